import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LaneConsumer } from '../../src/ring/consumer.js';
import { BellState, createDoorbellMemory, Doorbell, DoorbellSleeper } from '../../src/ring/doorbell.js';
import { type LaneViews, LaneWord, RING_START } from '../../src/ring/layout.js';
import { LaneProducer, Want } from '../../src/ring/producer.js';
import { type Actor, type ActorTools, type Explored, explore, type Settled } from './explore.js';
import { createViews, RecordReader, usedBytes } from './lanes.js';

/**
 * Real lanes and a real doorbell; only the writer's loop is written here, as the writer thread's drain loop has it. An
 * entry is its number, `bytes` times: a torn, lost, doubled or misplaced one shows.
 */

test('no order of steps loses, tears or reorders an entry, or leaves the writer asleep on one', (t) => {
  const world = createWorld({ lanes: 1 });
  const result = explore(
    world.scenario([
      world.producer(0, (lane) => {
        for (const entry of [1, 2, 3]) lane.push(entry, 4);
      }),
      world.writer(),
    ]),
  );
  report(t, result);
});

for (const [name, position] of [
  ['0', 0],
  ['2^31', 2 ** 31 - 16],
  ['2^32', -16],
] as const) {
  test(`no order of steps breaks a ring that fills and wraps around position ${name}`, (t) => {
    const world = createWorld({ lanes: 1, position });
    const result = explore(
      world.scenario([
        world.producer(0, (lane) => {
          // Records of 24 bytes in a ring of 64: the third one has room only if the first was drained, and wraps.
          for (const entry of [1, 2, 3, 4]) lane.pushOrGiveUp(entry, 20);
        }),
        world.writer({ linger: false }),
      ]),
    );
    report(t, result);
  });
}

test('no order of steps takes a batch apart, with WRAP inside it', (t) => {
  const world = createWorld({ lanes: 1, position: 40 });
  const result = explore(
    world.scenario([
      world.producer(0, (lane) => {
        lane.pushBatch([1, 2], 9);
        lane.push(3, 1);
      }),
      world.writer(),
    ]),
  );
  report(t, result);
});

test('two producers that may die after every step never leave the third one waiting', (t) => {
  const world = createWorld({ lanes: 2 });
  const result = explore(
    world.scenario([
      world.producer(0, (lane) => lane.push(1, 4), { mortal: true }),
      world.producer(1, (lane) => lane.push(101, 4), { mortal: true }),
      world.writer(),
      world.lateRinger(),
    ]),
  );
  report(t, result);
});

test('two producers ring for two entries each while the writer goes to sleep and wakes', (t) => {
  const world = createWorld({ lanes: 2 });
  const result = explore(
    world.scenario([
      world.producer(0, (lane) => {
        lane.push(1, 4);
        lane.push(2, 4);
      }),
      world.producer(1, (lane) => lane.push(101, 4)),
      world.writer({ linger: false }),
    ]),
  );
  report(t, result);
});

test('an entry that nobody is in a hurry about is written when lingering ends', (t) => {
  const world = createWorld({ lanes: 1 });
  const result = explore(
    world.scenario([
      world.producer(0, (lane) => {
        lane.push(1, 4, false);
        lane.push(2, 4, false);
        lane.push(3, 4, true);
      }),
      world.writer(),
    ]),
  );
  report(t, result);
});

test('a producer that waits for room gets word of it', (t) => {
  const world = createWorld({ lanes: 1 });
  const result = explore(
    world.scenario([
      world.producer(0, (lane) => {
        for (const entry of [1, 2]) lane.push(entry, 20, false);
        lane.waitForRoom(20);
        lane.push(3, 20);
      }),
      world.writer({ linger: false, roomWishes: true }),
    ]),
  );
  report(t, result);
});

test('a blocked flush ends, and everything pushed before it is drained by then', (t) => {
  const world = createWorld({ lanes: 1 });
  const result = explore(
    world.scenario([
      world.producer(0, (lane) => {
        lane.push(1, 4, false);
        lane.flush();
        lane.expectEmpty();
      }),
      world.writer({ flushes: true }),
    ]),
  );
  report(t, result);
});

test('a message beside the ring keeps its place among the entries', (t) => {
  const world = createWorld({ lanes: 1 });
  const result = explore(
    world.scenario([
      world.producer(0, (lane) => {
        lane.push(1, 4, false);
        lane.post(2);
        lane.push(3, 4, false);
        lane.post(4);
      }),
      world.writer({ linger: false }),
    ]),
  );
  report(t, result);
});

test('the writer that sees an entry sees what its append wants', (t) => {
  const world = createWorld({ lanes: 1, sequence: 2 ** 31 - 2 });
  const result = explore(
    world.scenario([
      world.producer(0, (lane) => {
        for (const entry of [1, 2, 3]) lane.push(entry, 4, true, Want.durable | Want.commit);
      }),
      world.writer({ linger: false, checkWants: true }),
    ]),
  );
  report(t, result);
});

const brokenSleepers = {
  'does not look again after it announced to sleep': { lookAgain: false },
  'waits for any ring, not for one since its announcement': { staleWait: true },
  'announces without a new generation': { keepGeneration: true },
} as const;

for (const [fault, options] of Object.entries(brokenSleepers)) {
  test(`these tests catch a writer that ${fault}`, () => {
    const world = createWorld({ lanes: 2 });
    assert.throws(
      () =>
        explore(
          world.scenario([
            world.producer(0, (lane) => {
              lane.push(1, 4);
              lane.push(2, 4);
            }),
            world.producer(1, (lane) => lane.push(101, 4)),
            world.writer({ linger: false, ...options }),
          ]),
        ),
      /left behind/,
    );
  });
}

test('these tests catch a producer that clears the state before it notifies', () => {
  const world = createWorld({ lanes: 2 });
  const clearing: Actor = {
    name: 'clearing producer',
    mortal: true,
    begin() {
      const lane = new LaneProducer(world.lanes[0]);
      const bell = new Int32Array(world.bell);
      return () => {
        lane.tryPush(canary(1, 4));
        if ((Atomics.load(bell, 0) & 3) !== BellState.running) {
          Atomics.and(bell, 0, ~3);
          Atomics.notify(bell, 0);
        }
      };
    },
  };
  const scenario = world.scenario([
    clearing,
    world.producer(1, (lane) => lane.push(101, 4)),
    world.writer({ linger: false }),
  ]);
  assert.throws(() => explore(scenario), /left behind/);
});

test('these tests catch a producer that publishes before it has written', () => {
  const world = createWorld({ lanes: 1 });
  const hasty: Actor = {
    name: 'hasty producer',
    begin: () => () => {
      const { i32, u8 } = world.lanes[0];
      Atomics.store(i32, LaneWord.head, 16);
      i32[RING_START >> 2] = 8;
      u8.fill(1, RING_START + 4, RING_START + 12);
      new Doorbell(world.bell).ring(true);
    },
  };
  assert.throws(() => explore(world.scenario([hasty, world.writer({ linger: false })])), /torn|canary/);
});

interface WriterOptions {
  readonly linger?: boolean;
  // What a test does not need is left out, since every step multiplies the orders.
  readonly flushes?: boolean;
  readonly roomWishes?: boolean;
  readonly checkWants?: boolean;
  // Faults, to see that they are caught.
  readonly lookAgain?: boolean;
  readonly staleWait?: boolean;
  readonly keepGeneration?: boolean;
}

/** The calls that a producer's script makes in the tests above. */
interface ProducerScript {
  push(entry: number, bytes: number, urgent?: boolean, wants?: number): void;
  /** As push, but a full ring skips the entry. */
  pushOrGiveUp(entry: number, bytes: number): void;
  pushBatch(entries: readonly number[], bytes: number): void;
  post(entry: number): void;
  waitForRoom(bytes: number): void;
  flush(): void;
  expectEmpty(): void;
}

const LANE_WORDS = [LaneWord.head, LaneWord.tail, LaneWord.roomWanted, LaneWord.flushRequested];
const LANE_LINE_WORDS = 5;
/** A lane's mailbox: a count of messages about room, pairs of position and entry, a count of pairs read. */
const MESSAGES_MAX = 2;
const MAILBOX_WORDS = 2 + 2 * MESSAGES_MAX;

function createWorld({
  lanes: laneCount,
  position = 0,
  sequence = 0,
}: {
  lanes: number;
  position?: number;
  sequence?: number;
}) {
  const lanes = Array.from({ length: laneCount }, () => createViews({ position, sequence }));
  const mailboxes = lanes.map(() => new Int32Array(new SharedArrayBuffer(MAILBOX_WORDS * 4)));
  const bell = createDoorbellMemory();
  const memory = [
    new Int32Array(bell, 0, 1),
    ...mailboxes,
    ...lanes.flatMap(({ i32, ringBytes }) => [
      ...LANE_WORDS.map((word) => i32.subarray(word, word + LANE_LINE_WORDS)),
      i32.subarray(RING_START >> 2, (RING_START + ringBytes) >> 2),
    ]),
  ];

  return {
    lanes,
    bell,

    scenario(actors: readonly Actor[]) {
      const producers = actors.filter(({ name }) => name.startsWith('producer'));
      return {
        memory,
        counter: memory[0],
        actors,
        settled(end: Settled) {
          const drained = end.emitted('writer');
          for (const { name, mortal } of producers) {
            assert.ok(mortal || end.isDone(name), `${name} is stuck`);
            if (!end.isDone(name)) continue;
            const left = end.emitted(name).filter((entry) => !drained.includes(entry));
            assert.deepEqual(left, [], `left behind: entries of ${name}`);
          }
          if (producers.every(({ mortal }) => !mortal) || end.isDone('late ringer')) {
            for (const [lane, views] of lanes.entries()) {
              assert.equal(usedBytes(views), 0, `left behind: bytes of lane ${lane}`);
            }
          }
        },
      };
    },

    producer(lane: number, script: (calls: ProducerScript) => void, { mortal = false } = {}): Actor {
      return {
        name: `producer ${lane}`,
        mortal,
        begin(tools) {
          const calls = producerCalls(lanes[lane], mailboxes[lane], bell, tools);
          return () => script(calls);
        },
      };
    },

    /** Somebody who rings for a reason of his own, after all else has come to rest. */
    lateRinger(): Actor {
      return {
        name: 'late ringer',
        late: true,
        begin() {
          const doorbell = new Doorbell(bell);
          return () => doorbell.ring(true);
        },
      };
    },

    writer(options: WriterOptions = {}): Actor {
      return {
        name: 'writer',
        rounds: true,
        begin(tools) {
          const sleeper = new DoorbellSleeper(bell);
          const writerLanes = lanes.map(
            (views, lane) => new WriterLane(views, mailboxes[lane], { ...options, lane, sequence, tools }),
          );
          return () => writerRound(sleeper, new Int32Array(bell), writerLanes, options, tools);
        },
      };
    },
  };
}

function producerCalls(
  views: LaneViews,
  mailbox: Int32Array<SharedArrayBuffer>,
  bell: SharedArrayBuffer,
  { emit, forget }: ActorTools,
): ProducerScript {
  const lane = new LaneProducer(views);
  const doorbell = new Doorbell(bell);
  let posted = 0;
  const took = (...entries: number[]) => {
    for (const entry of entries) emit(entry);
    forget(`took ${entries}`);
  };
  return {
    push(entry, bytes, urgent = true, wants = Want.nothing) {
      assert.ok(lane.tryPush(canary(entry, bytes), wants), `no room for ${entry}`);
      doorbell.ring(urgent);
      took(entry);
    },
    pushOrGiveUp(entry, bytes) {
      if (!lane.tryPush(canary(entry, bytes))) return forget(`no room for ${entry}`);
      doorbell.ring(true);
      took(entry);
    },
    pushBatch(entries, bytes) {
      assert.ok(lane.tryPushBatch(entries.map((entry) => canary(entry, bytes))));
      doorbell.ring(true);
      took(...entries);
    },
    post(entry) {
      mailbox[1 + 2 * posted] = lane.position;
      mailbox[2 + 2 * posted] = entry;
      posted++;
      lane.countPosted(1);
      doorbell.ring(true);
      took(entry);
    },
    waitForRoom(bytes) {
      const word = Atomics.load(mailbox, 0);
      if (lane.askForRoom(bytes)) return;
      doorbell.ring(true);
      Atomics.wait(mailbox, 0, word);
    },
    flush() {
      const ticket = lane.requestFlush();
      doorbell.ring(true);
      while (!lane.waitForFlush(ticket, Number.POSITIVE_INFINITY));
    },
    expectEmpty() {
      assert.equal(usedBytes(views), 0, 'the flush ended too early');
    },
  };
}

/** Once around the writer's loop: drain everything, then sleep if there is still nothing to do. */
function writerRound(
  sleeper: DoorbellSleeper,
  bell: Int32Array<SharedArrayBuffer>,
  lanes: readonly WriterLane[],
  { linger = true, lookAgain = true, staleWait = false, keepGeneration = false }: WriterOptions,
  { forget }: ActorTools,
): void {
  const isIdle = (point: string) => {
    if (!lookAgain) return true;
    for (const [number, lane] of lanes.entries()) {
      if (lane.hasWork()) return false;
      forget(`${point}, nothing in ${number}`);
    }
    return true;
  };
  for (const [number, lane] of lanes.entries()) {
    lane.drain();
    forget(`drained ${number}`);
  }
  if (linger) {
    const announced = sleeper.announce(BellState.lingering);
    forget('lingering');
    const idle = isIdle('lingering');
    forget(`lingering, idle ${idle}`);
    if (!idle || sleeper.wait(announced, 2)) {
      forget('rung');
      sleeper.awake();
      return;
    }
    forget('lingered');
  }
  let announced = sleeper.announce(BellState.parked);
  if (keepGeneration) announced = (Atomics.sub(bell, 0, 4) - 4) | 0;
  forget('parked');
  const idle = isIdle('parked');
  forget(`parked, idle ${idle}`);
  if (idle) sleeper.wait(staleWait ? Atomics.load(bell, 0) : announced);
  forget('rung');
  sleeper.awake();
}

interface WriterLaneOptions extends WriterOptions {
  readonly lane: number;
  /** Sequence number before the first entry. */
  readonly sequence: number;
  readonly tools: ActorTools;
}

/** What the writer thread does with one lane, without files. */
class WriterLane {
  readonly #consumer: LaneConsumer;
  readonly #reader: RecordReader;
  readonly #mailbox: Int32Array<SharedArrayBuffer>;
  readonly #options: WriterLaneOptions;
  #sequence: number;
  #last: number;

  constructor(views: LaneViews, mailbox: Int32Array<SharedArrayBuffer>, options: WriterLaneOptions) {
    this.#consumer = new LaneConsumer(views);
    this.#reader = new RecordReader(views, this.#consumer);
    this.#mailbox = mailbox;
    this.#options = options;
    const seen = options.tools.emitted.filter((entry) => laneOf(entry) === options.lane);
    this.#sequence = (options.sequence + seen.length) | 0;
    this.#last = seen.at(-1) ?? 0;
  }

  hasWork(): boolean {
    if (this.#consumer.hasWork()) return true;
    return this.#options.flushes === true && this.#consumer.flushTicket() !== undefined;
  }

  drain(): void {
    const consumer = this.#consumer;
    const ticket = this.#options.flushes ? consumer.flushTicket() : undefined;
    consumer.loadHead();
    while (consumer.postedWaiting > 0) {
      const message = 1 + 2 * this.#mailbox[1 + 2 * MESSAGES_MAX];
      const position = this.#mailbox[message];
      this.#drainRing(position);
      if (consumer.position !== position) break;
      this.#see(this.#mailbox[message + 1]);
      this.#mailbox[1 + 2 * MESSAGES_MAX]++;
      consumer.takePosted();
    }
    this.#drainRing(undefined);
    if (this.#options.roomWishes && consumer.takeRoomWish()) {
      Atomics.add(this.#mailbox, 0, 1);
      Atomics.notify(this.#mailbox, 0);
    }
    if (ticket !== undefined) consumer.finishFlush(ticket);
  }

  #drainRing(limit: number | undefined): void {
    this.#reader.drain(
      ({ data, batchRemaining }) => {
        assert.ok(data.length > 0 && data.every((byte) => byte === data[0]), `torn entry: ${data}`);
        assert.ok(batchRemaining === 0 || this.#consumer.loadedBytes > 0, 'half a batch was published');
        this.#see(data[0]);
      },
      undefined,
      limit,
    );
  }

  #see(entry: number): void {
    assert.ok(entry > this.#last, `canary ${entry} after ${this.#last}`);
    this.#last = entry;
    this.#sequence = (this.#sequence + 1) | 0;
    if (this.#options.checkWants) {
      assert.ok(((this.#consumer.durableWanted - this.#sequence) | 0) >= 0, 'durableWanted lags behind');
      assert.ok(((this.#consumer.commitWanted - this.#sequence) | 0) >= 0, 'commitWanted lags behind');
    }
    this.#options.tools.emit(entry);
  }
}

/** Entries of lane 0 are 1 to 99, those of lane 1 from 100 on. */
function laneOf(entry: number): number {
  return Math.floor(entry / 100);
}

function canary(entry: number, bytes: number): Uint8Array {
  return new Uint8Array(bytes).fill(entry);
}

function report(t: { diagnostic(message: string): void }, { states, settled }: Explored): void {
  assert.ok(settled > 0, 'no order of steps came to rest');
  t.diagnostic(`${states} states, ${settled} of them at rest`);
}
