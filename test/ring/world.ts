/**
 * Actors around real lanes and a real doorbell, for explore.ts. Only the writer's loop is written here, as the writer
 * thread's drain loop has it. An entry is its number, as often as it has bytes: one that is torn, lost, doubled or misplaced
 * shows.
 */
import assert from 'node:assert/strict';
import { LaneConsumer } from '../../src/ring/consumer.js';
import { BellState, createDoorbellMemory, Doorbell, DoorbellSleeper } from '../../src/ring/doorbell.js';
import { type LaneViews, LaneWord, RING_START } from '../../src/ring/layout.js';
import { LaneProducer, Want } from '../../src/ring/producer.js';
import type { Actor, ActorTools, Scenario, Settled } from './explore.js';
import { createViews, RecordReader, usedBytes } from './lanes.js';

export interface WriterOptions {
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

/** The calls that a producer's script makes. */
export interface ProducerScript {
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

export function createWorld({
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

    scenario(actors: readonly Actor[]): Scenario {
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
          if (producers.every(({ mortal }) => !mortal) || end.isDone('ringer')) {
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

    /** A thread that rings for reasons of its own; a late one after all else has come to rest. */
    ringer({ late = false } = {}): Actor {
      return {
        name: 'ringer',
        late,
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
  tools: ActorTools,
): ProducerScript {
  const lane = new LaneProducer(views);
  const doorbell = new Doorbell(bell);
  let posted = 0;
  const took = (...entries: number[]) => {
    for (const entry of entries) tools.emit(entry);
    tools.forget(`took ${entries}`);
  };
  return {
    push(entry, bytes, urgent = true, wants = Want.nothing) {
      assert.ok(lane.tryPush(canary(entry, bytes), wants), `no room for ${entry}`);
      doorbell.ring(urgent);
      took(entry);
    },
    pushOrGiveUp(entry, bytes) {
      if (!lane.tryPush(canary(entry, bytes))) return tools.forget(`no room for ${entry}`);
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
  tools: ActorTools,
): void {
  const isIdle = (point: string) => {
    if (!lookAgain) return true;
    for (const [number, lane] of lanes.entries()) {
      if (lane.hasWork()) return false;
      tools.forget(`${point}, nothing in ${number}`);
    }
    return true;
  };
  for (const [number, lane] of lanes.entries()) {
    lane.drain();
    tools.forget(`drained ${number}`);
  }
  if (linger) {
    const announced = sleeper.announce(BellState.lingering);
    tools.forget('lingering');
    const idle = isIdle('lingering');
    tools.forget(`lingering, idle ${idle}`);
    if (!idle || sleeper.wait(announced, 2)) {
      tools.forget('rung');
      sleeper.awake();
      return;
    }
    tools.forget('lingered');
  }
  let announced = sleeper.announce(BellState.parked);
  if (keepGeneration) announced = (Atomics.sub(bell, 0, 4) - 4) | 0;
  tools.forget('parked');
  const idle = isIdle('parked');
  tools.forget(`parked, idle ${idle}`);
  if (idle) sleeper.wait(staleWait ? Atomics.load(bell, 0) : announced);
  tools.forget('rung');
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
    if (this.#options.roomWishes && consumer.takeRoomWanted()) {
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

export function canary(entry: number, bytes: number): Uint8Array {
  return new Uint8Array(bytes).fill(entry);
}
