import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BellState, Doorbell } from '../../src/ring/doorbell.js';
import { LaneWord, RING_START } from '../../src/ring/layout.js';
import { LaneProducer, Want } from '../../src/ring/producer.js';
import { type Actor, type Explored, explore } from './explore.js';
import { canary, createWorld } from './world.js';

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
  ['2^31', 2 ** 31 - 16],
  ['2^32', -16],
] as const) {
  test(`no order of steps breaks a ring that fills and wraps around position ${name}`, (t) => {
    const world = createWorld({ lanes: 1, position });
    const result = explore(
      world.scenario([
        world.producer(0, (lane) => {
          // Records of 24 bytes in a ring of 64: the third one has room only if the first was drained, and wraps.
          for (const entry of [1, 2, 3]) lane.pushOrGiveUp(entry, 20);
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

test('a producer that dies after any step never leaves another one waiting', (t) => {
  const world = createWorld({ lanes: 2 });
  const result = explore(
    world.scenario([
      world.producer(0, (lane) => lane.push(1, 4), { mortal: true }),
      world.producer(1, (lane) => lane.push(101, 4)),
      world.writer({ linger: false }),
      world.ringer({ late: true }),
    ]),
  );
  report(t, result);
});

test('a producer that dies while the writer lingers or parks leaves whole entries to the next ring', (t) => {
  const world = createWorld({ lanes: 1 });
  const result = explore(
    world.scenario([
      world.producer(
        0,
        (lane) => {
          lane.push(1, 4, false);
          lane.pushBatch([2, 3], 4);
        },
        { mortal: true },
      ),
      world.writer(),
      world.ringer({ late: true }),
    ]),
  );
  report(t, result);
});

test('a producer and another thread ring while the writer goes to sleep, wakes and goes to sleep again', (t) => {
  const world = createWorld({ lanes: 1 });
  const result = explore(
    world.scenario([
      world.producer(0, (lane) => {
        for (const entry of [1, 2]) lane.push(entry, 4);
      }),
      world.ringer(),
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

function report(t: { diagnostic(message: string): void }, { states, settled }: Explored): void {
  assert.ok(settled > 0, 'no order of steps came to rest');
  t.diagnostic(`${states} states, ${settled} of them at rest`);
}
