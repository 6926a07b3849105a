import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { LaneConsumer } from '../../src/ring/consumer.js';
import { BellState, createDoorbellMemory, DoorbellSleeper } from '../../src/ring/doorbell.js';
import { createLaneMemory, resetLane, viewLane } from '../../src/ring/layout.js';
import { SEED } from '../seed.js';
import { Canaries } from './canaries.js';
import { RecordReader } from './lanes.js';
import type { StressData } from './stress-producer.js';

const LOST_MS = 10_000;
/** So often nothing came within that time: the producer is dead. */
const SILENCES_MAX = 60;

for (const [ringBytes, entries] of [
  [1024, 40_000],
  [65_536, 150_000],
] as const) {
  test(`two threads pass ${entries} entries through a ring of ${ringBytes} bytes unharmed (seed ${SEED})`, async (t) => {
    const lane = createLaneMemory(ringBytes, 0);
    const views = viewLane(lane);
    resetLane(views, 2 ** 31 - ringBytes * 4);
    const bell = createDoorbellMemory();
    const room = new SharedArrayBuffer(4);
    const workerData: StressData = { lane, bell, room, seed: SEED, entries };
    const worker = new Worker(new URL('./stress-worker.mjs', import.meta.url), {
      workerData,
      execArgv: ['--conditions=ringwal-source'],
    });
    await once(worker, 'message');
    worker.postMessage('go');

    const consumer = new LaneConsumer(views);
    const reader = new RecordReader(views, consumer);
    const sleeper = new DoorbellSleeper(bell);
    const roomWord = new Int32Array(room);
    const canaries = new Canaries(SEED, ringBytes);
    let expected: Uint8Array[] = [];
    let seen = 0;
    let parked = 0;

    const drain = () => {
      consumer.loadHead();
      reader.drain(({ data, batchRemaining }) => {
        if (expected.length === 0) expected = canaries.nextGroup(entries - seen);
        assert.equal(batchRemaining, expected.length - 1);
        assert.ok(Buffer.from(data).equals(expected.shift()!), `entry ${seen + 1} is not what was pushed`);
        seen++;
      });
      if (consumer.takeRoomWanted()) {
        Atomics.add(roomWord, 0, 1);
        Atomics.notify(roomWord, 0);
      }
    };
    while (seen < entries) {
      drain();
      if (seen === entries) break;
      const lingering = sleeper.announce(BellState.lingering);
      if (!consumer.hasWork() && !sleeper.wait(lingering, 1)) {
        const announced = sleeper.announce(BellState.parked);
        parked++;
        let silences = 0;
        while (!consumer.hasWork() && !sleeper.wait(announced, LOST_MS)) {
          // On a busy machine the producer may not have come to anything: lost is a ring where there is work.
          const isLost = consumer.hasWork() && !sleeper.wait(announced, LOST_MS);
          assert.ok(!isLost, `nobody rang after entry ${seen}`);
          silences += 1;
          assert.ok(silences < SILENCES_MAX, `the producer does nothing any more after entry ${seen}`);
        }
      }
      sleeper.awake();
    }
    t.diagnostic(`parked ${parked} times`);
    await worker.terminate();
  });
}
