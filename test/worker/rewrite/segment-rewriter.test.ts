import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { SimulatedDisk } from '../../../src/files/simulation/simulated-disk.js';
import { SALVAGE_FILE_ASIDE, segmentName } from '../../../src/format/segment-name.js';
import { LogDirectory } from '../../../src/worker/directory/log-directory.js';
import { type NewSegment, rewriteSegment } from '../../../src/worker/rewrite/segment-rewriter.js';
import { LOG_ID, LogBuilder, type Written } from '../../format/log-builder.js';
import { dataOf, diskOf, framesOf, type Image, imageOf, judgeFully } from '../recover/damaged-logs.js';
import { DIRECTORY } from '../support/test-log.js';

/** wal-0 holds entries 1 to 3, wal-1 the entries 4 to 9, of which 7 to 9 are a batch. */
function log(): { readonly image: Image; readonly written: readonly Written[] } {
  const builder = new LogBuilder();
  const next = (count: number) => Array.from({ length: count }, (_, at) => dataOf(builder.nextLsn + at));
  builder.group(next(3), 0).newSegment().group(next(3), 3).batch(next(3), 6);
  const image = new Map(builder.build().map((bytes, number) => [segmentName(number), bytes]));
  return { image, written: builder.written };
}

/** wal-1 without entry 5. */
function without5(written: readonly Written[]): NewSegment {
  const { start, end } = written.find(({ lsn }) => lsn === 5) as Written;
  const last = written.at(-1) as Written;
  return {
    number: 1,
    createdMs: 123_456,
    syncedLsn: 3,
    runs: [
      { segment: 1, offset: 0, bytes: start, skipped: 0 },
      { segment: 1, offset: end, bytes: last.end - end, skipped: 1 },
    ],
  };
}

function rewrite(disk: SimulatedDisk, segment: NewSegment): void {
  const options = { logId: LOG_ID, asideName: SALVAGE_FILE_ASIDE, fileMode: 0o600 };
  rewriteSegment(disk, new LogDirectory(disk, DIRECTORY), segment, options);
}

test('a segment that is written anew holds the kept frames, valid where they stand now', () => {
  const { image, written } = log();
  const disk = diskOf(image);
  rewrite(disk, without5(written));
  const frames = framesOf(imageOf(disk)).filter(({ segment }) => segment === 1);
  const said = frames.map(({ lsn, skipped, batchRemaining }) => [lsn, skipped, batchRemaining]);
  assert.deepEqual(said, [
    [4, 0, 0],
    [6, 1, 0],
    [7, 0, 2],
    [8, 0, 1],
    [9, 0, 0],
  ]);
  for (const { lsn, data } of frames) assert.deepEqual(Buffer.from(data), Buffer.from(dataOf(lsn)));
  const { verdict, lastLsn } = judgeFully(disk);
  assert.deepEqual([verdict, lastLsn], ['clean', 9]);
});

test('its first frame names the segment, when it was created and what was durable before it', () => {
  const { image, written } = log();
  const disk = diskOf(image);
  rewrite(disk, without5(written));
  const [first, ...others] = framesOf(imageOf(disk)).filter(({ segment }) => segment === 1);
  assert.deepEqual(first?.stamp, {
    logId: LOG_ID,
    number: 1,
    createdMs: 123_456,
    recycled: false,
    branch: 0n,
  });
  assert.equal(first?.syncedLsn, 3);
  assert.ok(others.every(({ stamp, syncedLsn }) => stamp === undefined && syncedLsn === -1));
});

test('frames of another segment are valid in the one that they move to', () => {
  const { image, written } = log();
  const disk = diskOf(image);
  const { end } = written.findLast(({ segment }) => segment === 0) as Written;
  const bytes = (written.find(({ lsn }) => lsn === 4) as Written).end;
  const runs = [
    { segment: 0, offset: 0, bytes: end, skipped: 0 },
    { segment: 1, offset: 0, bytes, skipped: 0 },
  ];
  rewrite(disk, { number: 0, createdMs: 1, syncedLsn: 0, runs });
  disk.unlink(join(DIRECTORY, segmentName(1)));
  const { verdict, lastLsn } = judgeFully(disk);
  assert.deepEqual([verdict, lastLsn], ['clean', 4]);
});

test('after a power cut at any operation the segment is the old one or the new one, whole', () => {
  const { image, written } = log();
  const name = segmentName(1);
  const whole = diskOf(image);
  const before = whole.counts.operations;
  rewrite(whole, without5(written));
  const operations = whole.counts.operations - before;
  const after = imageOf(whole).get(name) as Uint8Array;
  const seen = new Set<string>();
  for (let operation = 0; operation < operations; operation++) {
    for (const seed of [1, 2, 3, 4]) {
      const disk = diskOf(image, seed);
      disk.crashAt(disk.counts.operations + operation);
      assert.throws(() => rewrite(disk, without5(written)));
      disk.powerCut();
      const found = Buffer.from(imageOf(disk).get(name) as Uint8Array);
      const isOld = found.equals(image.get(name) as Uint8Array);
      assert.ok(isOld || found.equals(after), `stopped at operation ${operation} of ${operations}`);
      seen.add(isOld ? 'old' : 'new');
    }
  }
  assert.deepEqual([...seen].sort(), ['new', 'old']);
});

test('a frame that has changed since it was found is not written anew, and the segment stays', () => {
  const { image, written } = log();
  const segment = without5(written);
  const bytes = image.get(segmentName(1)) as Uint8Array;
  const { end } = written.find(({ lsn }) => lsn === 8) as Written;
  bytes[end - 20] ^= 1;
  const disk = diskOf(image);
  assert.throws(() => rewrite(disk, segment), /reads otherwise than before/);
  assert.deepEqual(Buffer.from(imageOf(disk).get(segmentName(1)) as Uint8Array), Buffer.from(bytes));
});

/** Entries 1 to 8 of wal-0, each a group; entry n was made at 1,000 × n, and those of `stamped` say so. */
function timedLog(stamped: readonly number[], reopenedAt = 0): { image: Image; written: readonly Written[] } {
  const builder = new LogBuilder();
  for (let lsn = 1; lsn <= 8; lsn++) {
    const segment = {
      logId: LOG_ID,
      number: 0,
      createdMs: 1,
      recycled: false,
      branch: 0n,
      timeResolutionMs: lsn === reopenedAt ? 20 : 3000,
      previousLatestMs: lsn === 1 ? 7 : undefined,
    };
    builder.frame({
      data: dataOf(lsn),
      syncedLsn: lsn - 1,
      timeMs: stamped.includes(lsn) ? lsn * 1000 : 0,
      ...(lsn === 1 || lsn === reopenedAt ? { segment } : {}),
    });
  }
  const image = new Map(builder.build().map((bytes, number) => [segmentName(number), bytes]));
  return { image, written: builder.written };
}

/** What the frames of wal-0 say of time, once entries `from` to `to` are taken out: LSN, stamp, resolution of a Segment. */
function timesWithout(
  { image, written }: ReturnType<typeof timedLog>,
  from: number,
  to: number,
): [lsn: number, timeMs: number, resolutionMs: number | undefined][] {
  const disk = diskOf(image);
  const { start } = written[from - 1] as Written;
  const { end } = written[to - 1] as Written;
  const last = written.at(-1) as Written;
  const before = { segment: 0, offset: 0, bytes: start, skipped: 0 };
  const after = { segment: 0, offset: end, bytes: last.end - end, skipped: to - from + 1 };
  const runs = from === 1 ? [after] : [before, after];
  rewrite(disk, { number: 0, createdMs: 1, syncedLsn: 0, runs });
  assert.equal(judgeFully(disk).verdict, 'clean');
  const frames = framesOf(imageOf(disk));
  assert.ok(frames.every(({ stamp }) => stamp?.previousLatestMs === undefined));
  return frames
    .filter(({ timeMs, stamp }) => timeMs > 0 || stamp !== undefined)
    .map(({ lsn, timeMs, stamp }) => [lsn, timeMs, stamp && (stamp.timeResolutionMs ?? 100)]);
}

test('time stamps stay, and so does what a Segment in the middle says of them', () => {
  const log = timedLog([1, 4, 6, 8], 6);
  assert.deepEqual(timesWithout(log, 7, 7), [
    [1, 1000, 3000],
    [4, 4000, undefined],
    [6, 6000, 20],
    [8, 8000, undefined],
  ]);
});

test('where entries are gone a stamp may be gone: a Segment without a time says so, up to the next stamp', () => {
  const log = timedLog([1, 4, 7]);
  assert.deepEqual(timesWithout(log, 3, 4), [
    [1, 1000, 3000],
    [5, 0, 3000],
    [7, 7000, undefined],
  ]);
});

test('a survivor with a stamp of its own needs no such Segment', () => {
  const log = timedLog([1, 4, 7]);
  assert.deepEqual(timesWithout(log, 2, 3), [
    [1, 1000, 3000],
    [4, 4000, undefined],
    [7, 7000, undefined],
  ]);
});

test('a segment that has lost its first frame keeps the resolution that the frame said', () => {
  const log = timedLog([1, 4]);
  assert.deepEqual(timesWithout(log, 1, 2), [
    [3, 0, 3000],
    [4, 4000, undefined],
  ]);
});

test('if nothing says the resolution any more, it is the largest that there can be', () => {
  const { image, written } = timedLog([1, 4]);
  (image.get(segmentName(0)) as Uint8Array)[2] ^= 0xff;
  assert.deepEqual(timesWithout({ image, written }, 1, 2), [
    [3, 0, 3_600_000],
    [4, 4000, undefined],
  ]);
});
