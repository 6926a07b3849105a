import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PendingAppends } from '../../../src/main/append/pending-appends.js';
import { seededTest } from '../../seed.js';
import { range, turn } from '../support.js';

/** A promise's outcome in one word, once it has one. */
function watch(promise: Promise<unknown>, name: number, order: string[]): void {
  promise.then(
    (value) => order.push(`${name}: ${typeof value === 'number' ? value : JSON.stringify(value)}`),
    (error: Error) => order.push(`${name}: ${error.message}`),
  );
}

seededTest(
  'appends settle in their order, to their LSNs, however their runs are cut and whichever comes first',
  async (seed) => {
    const step = fc.record({
      appends: fc.integer({ min: 0, max: 40 }),
      batchAt: fc.option(fc.integer({ min: 0, max: 39 }), { nil: -1 }),
      batchEntries: fc.integer({ min: 1, max: 5 }),
      cut: fc.integer({ min: 1, max: 9 }),
      swap: fc.boolean(),
      gap: fc.integer({ min: 0, max: 3 }),
      isRejected: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const pending = new PendingAppends();
        const order: string[] = [];
        const expected: string[] = [];
        let sequence = 1;
        let lsn = 1;
        for (const { appends, batchAt, batchEntries, cut, swap, gap, isRejected } of steps) {
          const from = sequence;
          // Entries of other lanes, in between.
          if (!isRejected) lsn += gap;
          const offset = lsn - from;
          for (let at = 0; at < appends; at++) {
            const name = sequence;
            if (at === batchAt) {
              watch(pending.addBatch(sequence, batchEntries), name, order);
              const first = sequence + offset;
              const last = first + batchEntries - 1;
              expected.push(isRejected ? `${name}: gone` : `${name}: ${JSON.stringify({ first, last })}`);
              sequence += batchEntries;
            } else {
              watch(pending.addEntry(sequence), name, order);
              expected.push(isRejected ? `${name}: gone` : `${name}: ${sequence + offset}`);
              sequence += 1;
            }
          }
          assert.equal(pending.size, appends);
          if (isRejected) {
            assert.equal(pending.reject(from, sequence, new Error('gone')), sequence - from);
          } else {
            const runs: number[][] = [];
            for (let first = from; first < sequence; first += cut) {
              runs.push([first, Math.min(cut, sequence - first), first + offset]);
            }
            if (swap) runs.reverse();
            for (const run of runs) pending.acknowledge(run);
            lsn = sequence + offset;
          }
          assert.equal(pending.size, 0);
          await turn();
        }
        assert.deepEqual(order, expected);
      }),
      { seed },
    );
  },
);

test('an append whose acknowledgement has overtaken the rejection of one before it settles with that', async () => {
  const pending = new PendingAppends();
  const order: string[] = [];
  for (const sequence of range(1, 5)) watch(pending.addEntry(sequence), sequence, order);
  pending.acknowledge([1, 1, 101]);
  pending.acknowledge([3, 2, 102]);
  assert.equal(pending.size, 4);
  assert.equal(pending.reject(2, 3, new Error('gone')), 1);
  assert.equal(pending.size, 1);
  await turn();
  assert.deepEqual(order, ['1: 101', '2: gone', '3: 102', '4: 103']);
  pending.acknowledge([5, 1, 104]);
  await turn();
  assert.equal(order.at(-1), '5: 104');
});

test('as many appends as come find a place, and what is left of them goes on in order', async () => {
  const pending = new PendingAppends();
  const order: string[] = [];
  let next = 1;
  const add = (count: number) => {
    for (const sequence of range(next, next + count - 1)) watch(pending.addEntry(sequence), sequence, order);
    next += count;
  };
  add(50);
  pending.acknowledge([1, 30, 101]);
  // More than there were slots for, while some that came before still wait: in front of and behind the end of the slots.
  add(40_000);
  assert.equal(pending.size, 40_020);
  assert.equal(pending.reject(1_001, 2_001, new Error('gone')), 1_000);
  pending.acknowledge([31, 970, 131]);
  pending.acknowledge([2_001, next - 2_001, 2_101]);
  assert.equal(pending.size, 0);
  add(3);
  pending.acknowledge([next - 3, 3, 100 + next - 3]);
  await turn();
  const settled = (sequence: number) => `${sequence}: ${sequence + 100}`;
  const gone = range(1_001, 2_000).map((sequence) => `${sequence}: gone`);
  assert.deepEqual(
    order.filter((line) => line.endsWith('gone')),
    gone,
  );
  assert.deepEqual(
    order.filter((line) => !line.endsWith('gone')),
    [...range(1, 1_000), ...range(2_001, next - 1)].map(settled),
  );
});
