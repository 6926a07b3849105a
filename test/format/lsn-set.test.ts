import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LsnSet } from '../../src/format/lsn-set.js';

test('ranges in any order become ascending ones that do not touch', () => {
  const set = LsnSet.of([
    { first: 8, last: 9 },
    { first: 1, last: 2 },
    { first: 3, last: 4 },
    { first: 2, last: 3 },
  ]);
  assert.deepEqual(set.ranges, [
    { first: 1, last: 4 },
    { first: 8, last: 9 },
  ]);
});

test('every question has the answer that a plain set of numbers gives', () => {
  const ranges = [
    { first: 2, last: 2 },
    { first: 5, last: 7 },
    { first: 10, last: 10 },
  ];
  const set = LsnSet.of(ranges);
  const plain = new Set([2, 5, 6, 7, 10]);
  for (let first = 1; first <= 12; first++) {
    assert.equal(set.has(first), plain.has(first));
    for (let last = first; last <= 12; last++) {
      const within = [...plain].filter((lsn) => lsn >= first && lsn <= last);
      assert.equal(set.countIn(first, last), within.length);
      assert.equal(set.meets(first, last), within.length > 0);
      const lsnsOf = (of: LsnSet) =>
        of.ranges.flatMap((range) =>
          Array.from({ length: range.last - range.first + 1 }, (_, at) => range.first + at),
        );
      assert.deepEqual(lsnsOf(set.within(first, last)), within);
      assert.deepEqual(
        lsnsOf(set.without(first, last)),
        [...plain].filter((lsn) => !within.includes(lsn)),
      );
    }
  }
});
