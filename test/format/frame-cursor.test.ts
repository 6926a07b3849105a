import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemorySource } from '../../src/format/bytes.js';
import { FrameCursor } from '../../src/format/frame-cursor.js';
import { concat, entries, flip, LOG_ID, LogBuilder } from './log-builder.js';

/** Two segments: entries 1 to 3 and 4 to 6, each a group of one entry that was written when the one before was durable. */
function log(): LogBuilder {
  const builder = new LogBuilder();
  for (let segment = 0; segment < 2; segment++) {
    builder.newSegment();
    for (const data of entries(3)) builder.group([data], builder.lastLsn);
  }
  return builder;
}

function cursorIn(bytes: Uint8Array, number: number, logId: bigint | undefined): FrameCursor {
  const cursor = new FrameCursor().start({ logId, expectedLsn: 0, batchRemaining: 0 });
  return cursor.enter(new MemorySource(bytes), number);
}

function lsnsFrom(cursor: FrameCursor): number[] {
  const lsns: number[] = [];
  while (cursor.next() === undefined) lsns.push(cursor.frame.lsn);
  return lsns;
}

test('a cursor goes from one segment to the next, and the first frame there has to follow', () => {
  const [first, second] = log().build() as [Uint8Array, Uint8Array];
  const cursor = cursorIn(first, 0, LOG_ID);
  assert.deepEqual(lsnsFrom(cursor), [1, 2, 3]);
  assert.equal(cursor.next(), 'end');
  assert.deepEqual(lsnsFrom(cursor.enter(new MemorySource(second), 1)), [4, 5, 6]);
  const behindGap = cursorIn(first, 0, LOG_ID);
  behindGap.next();
  assert.equal(behindGap.enter(new MemorySource(second), 1).next(), 'lsn');
});

test('a cursor that was started anew knows nothing of the log before', () => {
  const other = new LogBuilder({ logId: 77n, firstLsn: 500 }).group(entries(2), 0).build()[0] as Uint8Array;
  const cursor = cursorIn(log().build()[0] as Uint8Array, 0, undefined);
  assert.deepEqual([lsnsFrom(cursor), cursor.logId], [[1, 2, 3], LOG_ID]);
  cursor.start({ logId: undefined, expectedLsn: 0, batchRemaining: 0 }).enter(new MemorySource(other), 0);
  assert.deepEqual([lsnsFrom(cursor), cursor.logId], [[500, 501], 77n]);
});

test('a cursor stays at a fault, and takes up again at the next head', () => {
  const builder = log();
  const [, damaged, next] = builder.written as [unknown, { start: number }, { start: number }];
  const cursor = cursorIn(flip(builder.build()[0] as Uint8Array, damaged.start + 12), 0, LOG_ID);
  assert.deepEqual(lsnsFrom(cursor), [1]);
  assert.deepEqual([cursor.offset, cursor.check()], [damaged.start, 'data-checksum']);
  assert.ok(cursor.findHead(damaged.start + 1));
  assert.deepEqual([cursor.offset, cursor.frame.lsn], [next.start, 3]);
  assert.equal(cursor.check(), 'lsn');
  cursor.expectAny();
  assert.deepEqual(lsnsFrom(cursor), [3]);
});

test('bytes that look like a frame in another place prove nothing', () => {
  const [first] = log().build() as [Uint8Array];
  const moved = cursorIn(concat([new Uint8Array(7), first]), 0, LOG_ID);
  assert.ok(moved.find(0));
  assert.deepEqual([moved.offset, moved.frame.lsn, moved.isHead()], [7, 1, false]);
  assert.equal(moved.findHead(0), false);
  assert.equal(moved.offset, 7, 'a search that finds nothing moves nowhere');
  assert.equal(cursorIn(first, 1, LOG_ID).findHead(0), false, 'of another segment');
  assert.equal(cursorIn(first, 0, 5n).findHead(0), false, 'of another log');
  assert.equal(cursorIn(first, 0, undefined).findHead(0), false, 'of a log that has no name yet');
  assert.ok(cursorIn(first, 0, LOG_ID).findHead(0));
});

test('a cursor goes over frames that it only parses, from any place', () => {
  const builder = log();
  const [, second] = builder.written as [unknown, { start: number }];
  const cursor = cursorIn(builder.build()[0] as Uint8Array, 0, LOG_ID).seek(second.start);
  const seen: number[] = [];
  for (; cursor.offset < cursor.size && cursor.parse() === undefined; cursor.pass())
    seen.push(cursor.frame.lsn);
  assert.deepEqual(seen, [2, 3]);
});
