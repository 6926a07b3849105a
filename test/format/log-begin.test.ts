/** Where a log begins and goes on: its first frame, what that skips, the floor, and a log without an entry. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { emptyState } from '../../src/format/state-file.js';
import { judge, LOG_ID, LogBuilder } from './log-builder.js';

const DATA = new Uint8Array(5);

function bounds({ firstLsn, lastLsn, row }: ReturnType<typeof judge>): number[] {
  return [firstLsn, lastLsn, row];
}

test("a log begins at its first frame's LSN less what that frame skips", () => {
  const builder = new LogBuilder({ firstSegment: 3, firstLsn: 10 });
  builder.frame({ data: DATA, syncedLsn: 0, skipped: 5 }).frame({ data: DATA });
  assert.deepEqual(bounds(builder.judge()), [10, 16, 5]);
  assert.deepEqual(
    builder.judge({ full: true }).segments.map(({ firstLsn, skipped }) => [firstLsn, skipped]),
    [[15, 5]],
  );
});

test('the floor is where a log begins, if it is higher', () => {
  const builder = new LogBuilder();
  for (let at = 0; at < 10; at++) builder.frame({ data: DATA, syncedLsn: at });
  const state = (floor: number) => ({ ...emptyState(LOG_ID), watermark: 10, floor });
  assert.deepEqual(bounds(builder.judge({ state: state(4) })), [4, 10, 5]);
  assert.deepEqual(bounds(builder.judge({ state: state(11) })), [11, 10, 5]);
  assert.deepEqual(bounds(builder.judge({ state: state(0) })), [1, 10, 5]);
  const other = { ...state(4), logId: 7n };
  assert.deepEqual(bounds(builder.judge({ state: other })), [1, 10, 5], "another log's state file");
});

test('a log that was emptied goes on at its floor, and what its watermark promises above that is missing', () => {
  const empty = [new Uint8Array(0)];
  const state = { ...emptyState(LOG_ID), watermark: 999, floor: 1000, isEmptied: true };
  assert.deepEqual(bounds(judge(empty, { firstSegment: 6, state })), [1000, 999, 5]);
  assert.deepEqual(
    bounds(judge(empty, { firstSegment: 6, state: { ...state, watermark: 1000 } })),
    [1000, 999, 2],
  );
  const torn = [Uint8Array.of(20, 0, 0, 0, 8)];
  assert.deepEqual(bounds(judge(torn, { firstSegment: 6, state })), [1000, 999, 6]);
  // Of one that was not, the entries that the first frame should begin were durable.
  assert.deepEqual(
    bounds(judge(torn, { firstSegment: 6, state: { ...state, isEmptied: false } })),
    [1000, 0, 2],
  );
});

test('a log without an entry and without a state file is corrupt, unless it may be a new one', () => {
  for (const segment of [new Uint8Array(0), new Uint8Array(4096), Uint8Array.of(20, 0, 0, 0, 8)]) {
    for (const full of [false, true]) {
      const lost = judge([segment], { firstSegment: 6, full });
      assert.deepEqual([lost.row, lost.verdict, lost.trouble?.reason], [4, 'corrupt', 'missing-segment']);
      assert.notEqual(judge([segment], { firstSegment: 0, full }).verdict, 'corrupt');
    }
  }
  const known = { ...emptyState(LOG_ID), watermark: 0 };
  assert.equal(judge([new Uint8Array(0)], { firstSegment: 6, state: known }).row, 5);
});

test('the first frame of an emptied log says where the LSNs are, whatever became of the state file', () => {
  const builder = new LogBuilder({ firstSegment: 6, firstLsn: 1000 }).frame({ data: DATA, syncedLsn: 999 });
  assert.deepEqual(bounds(builder.judge()), [1000, 1000, 5]);
});
