import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import { Lane } from '../../../src/main/append/lane.js';
import { checkOptions, type WalOptions } from '../../../src/main/options/wal-options.js';
import type { ToLane } from '../../../src/protocol/lane-messages.js';
import { AckSlotReader, AckSlotWriter } from '../../../src/ring/ack-slot.js';
import { LaneConsumer } from '../../../src/ring/consumer.js';
import { BellState, createDoorbellMemory, Doorbell, DoorbellSleeper } from '../../../src/ring/doorbell.js';
import { createLaneMemory, LaneWord, PollState, recordBytes, viewLane } from '../../../src/ring/layout.js';
import { createLogStatus, LogStatus } from '../../../src/ring/log-status.js';
import { cleanUp } from '../../cleanup.js';
import { fill, SMALL_RING, settled, turn } from '../support.js';

const RECORD_BYTES = recordBytes(1000);

/** A lane whose writer is the test. */
function createLane(t: TestContext, options: WalOptions = {}) {
  const views = viewLane(createLaneMemory(SMALL_RING, SMALL_RING));
  const bell = createDoorbellMemory();
  const [toWriter, toSync] = [new MessageChannel(), new MessageChannel()];
  cleanUp(t, () => {
    toWriter.port1.close();
    toSync.port1.close();
  });
  const lane = new Lane({
    directory: 'unused',
    views,
    doorbell: new Doorbell(bell),
    writerPort: toWriter.port1,
    syncPort: toSync.port1,
    status: new LogStatus(createLogStatus()),
    options: checkOptions('unused', { ringSize: SMALL_RING, ...options }).lane,
    areThreadsAlive: () => true,
    hold: (isHeld) => void (isHeld ? toWriter.port1.ref() : toWriter.port1.unref()),
    onError() {},
    onFailure() {},
    onPortClosed() {},
    onReceive() {},
    onLogMessage() {},
  });
  return { lane, views, bell, writerPort: toWriter.port2, syncPort: toSync.port2 };
}

test('who waits for room is woken once for a quarter of the ring, and not once for each group', async (t) => {
  const { lane, views, writerPort } = createLane(t);
  while (lane.tryAppend(fill(1000, 1)));
  const ready = lane.ready(1000, undefined);

  // The writer, a record at a time.
  const consumer = new LaneConsumer(views);
  const run = { from: 0, to: 0 };
  consumer.loadHead();
  let freed = 0;
  while (!consumer.takeRoomWanted()) {
    assert.ok(consumer.nextRun(run), 'the ring is empty, and nobody was told');
    consumer.release(run.from + RECORD_BYTES);
    freed += RECORD_BYTES;
  }
  assert.ok(freed >= SMALL_RING / 4, `told when ${freed} bytes were free`);
  // Where such a record would not fit before the end of the ring, what is left there does not count.
  assert.ok(freed <= SMALL_RING / 2 + RECORD_BYTES, `told when ${freed} bytes were free`);
  writerPort.postMessage({ kind: 'room' });
  await ready;
  for (let n = 0; n < 10; n++) assert.ok(lane.tryAppend(fill(1000, n)));
  assert.equal(await settled(lane.ready(1000, undefined)), 'resolved');
});

for (const [name, append] of Object.entries({
  tryAppend: (lane: Lane) => lane.tryAppend(fill(1000, 1)),
  tryEncode: (lane: Lane) => lane.tryEncode(1000, (view) => view.fill(1).length),
})) {
  test(`${name} rings for a writer that is parked, and for one that lingers once a quarter of the ring is full`, (t) => {
    const { lane, bell } = createLane(t);
    const sleeper = new DoorbellSleeper(bell);
    const rings = () => {
      const before = Atomics.load(new Int32Array(bell), 0);
      assert.ok(append(lane));
      return Atomics.load(new Int32Array(bell), 0) !== before;
    };
    assert.equal(rings(), false, 'the writer is awake');
    sleeper.announce(BellState.lingering);
    const first = Math.ceil(SMALL_RING / 4 / RECORD_BYTES);
    for (let entry = 2; entry <= first; entry++) assert.equal(rings(), entry === first, `entry ${entry}`);
    sleeper.awake();
    assert.equal(rings(), false, 'the writer is awake again');
    const announced = sleeper.announce(BellState.parked);
    assert.equal(rings(), true, 'the writer sleeps');
    assert.equal(sleeper.wait(announced, 0), true);
    assert.equal(rings(), false, 'it was rung for already');
  });
}

const DURABLE = { durable: true, commit: 'group' } as const;

test('a lane that polls hears of a durable entry without a message', async (t) => {
  const { lane, views } = createLane(t, { busyPoll: true });
  const appended = lane.append('entry', DURABLE);
  assert.equal(new AckSlotWriter(views).fill(1, 1, 7), true);
  assert.equal(await appended, 7);
});

test('what a lane was told before the log failed is durable all the same', async (t) => {
  const { lane, views, writerPort } = createLane(t, { busyPoll: true });
  const appended = [lane.append('synced', DURABLE), lane.append('not synced', DURABLE)];
  assert.equal(new AckSlotWriter(views).fill(1, 1, 1), true);
  const failure = { code: 'ERR_WAL_IO', message: 'the disk is gone' } as const;
  writerPort.postMessage({ kind: 'failed', written: 3, failure } satisfies ToLane);
  lane.drainPorts();
  assert.equal(views.i32[LaneWord.poll], PollState.none, 'nothing more is told');
  assert.deepEqual(await Promise.all(appended.map(settled)), ['resolved', 'rejected']);
});

test('an append that the sync thread acknowledges before the writer is heard, who rejected one before it, settles', async (t) => {
  const { lane, writerPort, syncPort } = createLane(t);
  const appended = [lane.append('no room', DURABLE), lane.append('durable', DURABLE)];
  syncPort.postMessage({ kind: 'durable', runs: [2, 1, 1] } satisfies ToLane);
  lane.drainPorts();
  const failure = { code: 'ERR_WAL_IO', message: 'the disk is full' } as const;
  writerPort.postMessage({ kind: 'rejected', from: 1, to: 2, failure } satisfies ToLane);
  lane.drainPorts();
  assert.deepEqual(await Promise.all(appended.map(settled)), ['rejected', 'resolved']);
  assert.equal(await appended[1], 1);
});

test('what a lane was told comes before what was posted later', async (t) => {
  const { lane, views, writerPort } = createLane(t, { busyPoll: true });
  const settled: string[] = [];
  const appended = lane.append('entry', DURABLE).then(() => settled.push('append'));
  const synced = lane.sync(undefined).then(() => settled.push('sync'));
  assert.equal(new AckSlotWriter(views).fill(1, 1, 1), true);
  writerPort.postMessage({ kind: 'synced', id: 1, watermark: 1 } satisfies ToLane);
  await Promise.all([appended, synced]);
  assert.deepEqual(settled, ['append', 'sync']);
});

test('who looks at once finds what a lane was told', (t) => {
  const { lane, views } = createLane(t, { busyPoll: true });
  lane.append('entry', DURABLE);
  assert.equal(new AckSlotWriter(views).fill(1, 1, 1), true);
  assert.equal(lane.stats().unsettled, 1);
  lane.drainPorts();
  assert.equal(lane.stats().unsettled, 0);
});

test('a lane polls also where somebody has put another setImmediate in place of the real one', async (t) => {
  t.mock.method(globalThis, 'setImmediate', () => {});
  const { lane, views } = createLane(t, { busyPoll: true });
  const appended = lane.append('entry', DURABLE);
  assert.equal(new AckSlotWriter(views).fill(1, 1, 1), true);
  assert.equal(await appended, 1);
});

for (const what of ['detach', 'close'] as const) {
  test(`a lane that polls takes what it was told, and looks no more, before it says "${what}"`, async (t) => {
    const { lane, views } = createLane(t, { busyPoll: true });
    const teller = new AckSlotWriter(views);
    const appended = [lane.append('told', DURABLE), lane.append('to be posted', DURABLE)];
    assert.equal(teller.fill(1, 1, 1), true);
    lane.startClosing(what);
    assert.equal(views.i32[LaneWord.poll], PollState.none);
    assert.equal(await appended[0], 1);
    // The next producer of this memory polls, and is told of an entry of its own.
    new AckSlotReader(views).start();
    assert.equal(teller.fill(2, 1, 9), true);
    for (let turns = 0; turns < 3; turns++) await turn();
    lane.drainPorts();
    assert.equal(views.i32[LaneWord.poll], PollState.filled);
  });
}
