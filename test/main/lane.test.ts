import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import { Lane } from '../../src/main/lane.js';
import { checkOptions } from '../../src/main/options.js';
import { Board, createBoard } from '../../src/ring/board.js';
import { LaneConsumer } from '../../src/ring/consumer.js';
import { createDoorbellMemory, Doorbell } from '../../src/ring/doorbell.js';
import { createLaneMemory, recordBytes, viewLane } from '../../src/ring/layout.js';
import { fill, SMALL_RING, settled } from './support.js';

const RECORD_BYTES = recordBytes(1000);

test('who waits for room is woken once for a quarter of the ring, and not once for each group', async (t) => {
  const views = viewLane(createLaneMemory(SMALL_RING, SMALL_RING));
  const [toWriter, toSync] = [new MessageChannel(), new MessageChannel()];
  t.after(() => {
    toWriter.port1.close();
    toSync.port1.close();
  });
  const lane = new Lane({
    directory: 'unused',
    views,
    doorbell: new Doorbell(createDoorbellMemory()),
    writerPort: toWriter.port1,
    syncPort: toSync.port1,
    board: new Board(createBoard()),
    options: checkOptions('unused', { ringSize: SMALL_RING }).lane,
    areThreadsAlive: () => true,
    hold: (isHeld) => void (isHeld ? toWriter.port1.ref() : toWriter.port1.unref()),
    onError() {},
    onFailure() {},
    onPortClosed() {},
    onReceive() {},
    onLogMessage() {},
  });
  while (lane.tryAppend(fill(1000, 1)));
  const ready = lane.ready(1000, undefined);

  // The writer, a record at a time.
  const consumer = new LaneConsumer(views);
  const run = { from: 0, to: 0 };
  consumer.loadHead();
  let freed = 0;
  while (!consumer.takeRoomWish()) {
    assert.ok(consumer.nextRun(run), 'the ring is empty, and nobody was told');
    consumer.release(run.from + RECORD_BYTES);
    freed += RECORD_BYTES;
  }
  assert.ok(freed >= SMALL_RING / 4, `told when ${freed} bytes were free`);
  // Where such a record would not fit before the end of the ring, what is left there does not count.
  assert.ok(freed <= SMALL_RING / 2 + RECORD_BYTES, `told when ${freed} bytes were free`);
  toWriter.port2.postMessage({ kind: 'room' });
  await ready;
  for (let n = 0; n < 10; n++) assert.ok(lane.tryAppend(fill(1000, n)));
  assert.equal(await settled(lane.ready(1000, undefined)), 'resolved');
});
