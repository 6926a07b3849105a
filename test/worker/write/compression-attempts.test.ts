import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CompressionAttempts } from '../../../src/worker/write/compression-attempts.js';

test('after the n-th miss in a row 1, 2, 4, … 64 groups are not tried, and no more', () => {
  let misses = 0;
  const attempts = new CompressionAttempts(() => misses++);
  const lane = {};
  const skipped: number[] = [];
  for (let miss = 0; miss < 9; miss++) {
    assert.ok(attempts.mayTry(lane));
    attempts.noteMiss(lane);
    let count = 0;
    while (!attempts.mayTry(lane)) count += 1;
    skipped.push(count);
  }
  assert.deepEqual(skipped, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
  assert.equal(misses, 9);
  attempts.noteSuccess(lane);
  attempts.noteMiss(lane);
  assert.ok(!attempts.mayTry(lane));
  assert.ok(attempts.mayTry(lane));
});
