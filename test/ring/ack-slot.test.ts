import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AckSlotReader, AckSlotWriter } from '../../src/ring/ack-slot.js';
import { LaneWord, resetLane } from '../../src/ring/layout.js';
import { type Actor, explore } from './explore.js';
import { createViews } from './lanes.js';

function createSides() {
  const views = createViews();
  return { views, poller: new AckSlotReader(views), teller: new AckSlotWriter(views) };
}

test('a run is told only to a producer that polls, and one at a time', () => {
  const { poller, teller } = createSides();
  assert.equal(teller.fill(1, 2, 3), false);
  assert.equal(poller.take(), undefined);
  poller.start();
  assert.equal(poller.take(), undefined);
  assert.equal(teller.fill(1, 2, 3), true);
  assert.equal(teller.fill(3, 1, 5), false);
  assert.deepEqual(poller.take(), [1, 2, 3]);
  assert.equal(poller.take(), undefined);
  assert.equal(teller.fill(3, 1, 5), true);
  assert.deepEqual(poller.stop(), [3, 1, 5]);
  assert.equal(poller.stop(), undefined);
  assert.equal(teller.fill(4, 1, 6), false);
});

test('numbers are told exactly, up to the largest LSN and beyond 2^32 entries', () => {
  const { poller, teller } = createSides();
  poller.start();
  assert.equal(teller.fill(2 ** 33 + 1, 2 ** 32 + 3, Number.MAX_SAFE_INTEGER), true);
  assert.deepEqual(poller.take(), [2 ** 33 + 1, 2 ** 32 + 3, Number.MAX_SAFE_INTEGER]);
});

test('the next producer of a lane does not get what was told to the last one', () => {
  const { views, poller, teller } = createSides();
  poller.start();
  teller.fill(1, 1, 1);
  resetLane(views);
  const next = new AckSlotReader(views);
  next.start();
  assert.equal(next.take(), undefined);
});

/** Runs 1 to `runs`: told, or marked in the box as posted. */
function writer(teller: AckSlotWriter, box: Int32Array, runs: number): Actor {
  return {
    name: 'writer',
    begin: () => () => {
      for (let run = 1; run <= runs; run++) {
        if (!teller.fill(run, run * 10, run * 100)) Atomics.store(box, run, 1);
      }
    },
  };
}

test('no order of steps loses a run, doubles it or mixes it with another', (t) => {
  const { views, poller, teller } = createSides();
  const counter = new Int32Array(new SharedArrayBuffer(4));
  const box = new Int32Array(new SharedArrayBuffer(5 * 4));
  const producer: Actor = {
    name: 'producer',
    begin: (tools) => {
      const note = (run: readonly number[] | undefined) => {
        if (run === undefined) return;
        const [first, count, lsn] = run as [number, number, number];
        assert.deepEqual([count, lsn], [first * 10, first * 100]);
        tools.emit(first);
      };
      return () => {
        for (let polls = 0; polls < 3; polls++) {
          poller.start();
          for (let looks = 0; looks < 2; looks++) note(poller.take());
          note(poller.stop());
        }
      };
    },
  };
  const told = new Set<string>();
  const result = explore({
    memory: [counter, box, views.i32.subarray(LaneWord.poll, LaneWord.poll + 8)],
    counter,
    actors: [producer, writer(teller, box, 4)],
    settled(end) {
      assert.ok(end.isDone('producer') && end.isDone('writer'));
      const taken = [...end.emitted('producer')];
      told.add(taken.join());
      for (let run = 1; run <= 4; run++) if (box[run] === 1) taken.push(run);
      assert.deepEqual(
        taken.sort((a, b) => a - b),
        [1, 2, 3, 4],
      );
    },
  });
  assert.ok(told.has('') && told.has('1,2,3,4'), 'all ways that they can go were tried');
  t.diagnostic(`${result.states} states, ${told.size} ways`);
});
