import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LsnRange } from '../../../src/format/lsn-set.js';
import { COMPACT_FILE_ASIDE } from '../../../src/format/segment-name.js';
import { repairLog } from '../../../src/worker/recover/repair.js';
import { dataOf, diskOf, imageOf, intactLog, judgeFully } from '../recover/damaged-logs.js';
import { Level } from '../support/lane-client.js';
import { DIRECTORY } from '../support/test-log.js';
import { begin, compact, entriesOf, install, lsnsWithout, openLog, write } from './support.js';

interface Case {
  readonly name: string;
  readonly segments: readonly number[];
  readonly drop: readonly LsnRange[];
}

const CASES: readonly Case[] = [
  { name: 'the first entry of a segment', segments: [1], drop: [{ first: 9, last: 9 }] },
  { name: 'the first entry of the log', segments: [0], drop: [{ first: 1, last: 1 }] },
  { name: 'the first entries of a segment', segments: [3], drop: [{ first: 19, last: 20 }] },
  { name: 'the last entry of a segment', segments: [1], drop: [{ first: 12, last: 12 }] },
  { name: 'the last entries of a segment', segments: [2], drop: [{ first: 17, last: 18 }] },
  { name: 'an entry in the middle', segments: [1], drop: [{ first: 10, last: 10 }] },
  { name: 'nothing', segments: [0], drop: [] },
  { name: 'every entry of the second of two segments', segments: [1, 2], drop: [{ first: 13, last: 18 }] },
  { name: 'every entry of the first of two segments', segments: [0, 1], drop: [{ first: 1, last: 6 }] },
  { name: 'three whole segments in a row', segments: [0, 1, 2, 3], drop: [{ first: 2, last: 23 }] },
  { name: 'every second entry of all sealed segments', segments: [0, 1, 2, 3], drop: every(2, 1, 24) },
  { name: 'two of three entries', segments: [0, 1, 2, 3], drop: [...every(3, 1, 24), ...every(3, 2, 24)] },
  ...[6, 7, 8].map((lsn) => ({
    name: `entry ${lsn} of a batch across segments`,
    segments: [0, 1],
    drop: [{ first: lsn, last: lsn }],
  })),
  ...[13, 14, 15, 16].map((lsn) => ({
    name: `entry ${lsn} of a batch within a segment`,
    segments: [2],
    drop: [{ first: lsn, last: lsn }],
  })),
];

function every(step: number, from: number, to: number): LsnRange[] {
  const ranges: LsnRange[] = [];
  for (let lsn = from; lsn <= to; lsn += step) ranges.push({ first: lsn, last: lsn });
  return ranges;
}

for (const { name, segments, drop } of CASES) {
  test(`a run without ${name} holds the others, and the log is clean and goes on`, () => {
    const disk = diskOf(intactLog());
    const log = openLog(disk);
    compact(log, segments, drop);
    const expected = lsnsWithout(1, 26, drop);
    assertHolds(disk, expected);
    log.lane.append('next', Level.durable);
    log.run();
    log.close();
    assertHolds(disk, [...expected, 27]);
    const again = openLog(disk);
    assert.equal(again.status.get('firstLsn'), 1);
    assert.equal(again.status.get('lastLsn'), 27);
    assert.equal(again.recovered.report.verdict, 'clean');
    // Once more: nothing changes.
    compact(again, [segments[0] as number], drop, segments.at(-1));
    again.close();
    assertHolds(disk, [...expected, 27]);
  });
}

function assertHolds(disk: ReturnType<typeof diskOf>, lsns: readonly number[]): void {
  const { verdict, trouble } = judgeFully(disk);
  assert.equal(verdict, 'clean', JSON.stringify(trouble));
  const entries = entriesOf(disk);
  assert.deepEqual([...entries.keys()], lsns);
  for (const [lsn, data] of entries) {
    if (lsn <= 26) assert.deepEqual(Buffer.from(data), Buffer.from(dataOf(lsn)), `entry ${lsn}`);
  }
}

test('a run of which no entry is left writes no file', () => {
  const disk = diskOf(intactLog());
  const log = openLog(disk);
  assert.throws(() => write(log, [2], [{ first: 13, last: 18 }]));
  assert.ok(!disk.names(DIRECTORY).includes(COMPACT_FILE_ASIDE));
  log.close();
});

test('a flipped bit in a source is refused, and nothing changes', () => {
  const image = intactLog();
  const bytes = image.get('wal-1') as Uint8Array;
  bytes[100] = (bytes[100] as number) ^ 1;
  const disk = diskOf(image);
  const log = openLog(disk);
  assert.throws(() => write(log, [1], [{ first: 9, last: 9 }]), /cannot be read/);
  assert.ok(!disk.names(DIRECTORY).includes(COMPACT_FILE_ASIDE));
  log.close();
});

test('a run is not installed once its sources have changed, are cut off, or hold the last durable entry', () => {
  const disk = diskOf(intactLog());
  const log = openLog(disk);
  const run = write(log, [3], [{ first: 19, last: 20 }]);
  const { cuts } = begin(log);
  log.lane.command('truncateAfter', 22);
  log.run();
  assert.equal(install(log, run, cuts).installed, false);
  assert.equal(install(log, run).installed, false);
  assert.equal(judgeFully(disk).lastLsn, 22);
  log.close();
});

test('truncateAfter into a gap gives no LSN out again, and the log opens there', () => {
  for (const lsn of [9, 10, 11, 12, 15, 18]) {
    const disk = diskOf(intactLog());
    const log = openLog(disk);
    compact(
      log,
      [1, 2],
      [
        { first: 9, last: 12 },
        { first: 14, last: 18 },
      ],
    );
    log.lane.command('truncateAfter', lsn);
    log.run();
    assert.deepEqual(log.lane.all('command-rejected'), []);
    assert.equal(log.status.get('lastLsn'), lsn);
    log.close();
    const again = openLog(disk);
    assert.equal(again.status.get('lastLsn'), lsn);
    const sequence = again.lane.append('next', Level.durable);
    again.run();
    assert.equal(again.lane.acknowledged('durable').get(sequence), lsn + 1);
    again.close();
    assert.equal(judgeFully(disk).verdict, 'clean');
  }
});

test('truncateBefore inside a merged range raises the beginning of the log to that entry', () => {
  const disk = diskOf(intactLog());
  const log = openLog(disk);
  compact(log, [0, 1, 2], [{ first: 4, last: 11 }]);
  log.lane.command('truncateBefore', 8);
  log.run();
  assert.equal(log.status.get('firstLsn'), 8);
  log.lane.command('truncateBefore', 20);
  log.run();
  assert.deepEqual(log.segments.slice(0, 1), [3]);
  log.close();
  assert.equal(judgeFully(disk).firstLsn, 20);
});

test('a salvage of a damaged merged segment keeps what can be read of it, and the segments after it', () => {
  const disk = diskOf(intactLog());
  const log = openLog(disk);
  compact(log, [0, 1, 2], [{ first: 4, last: 11 }]);
  log.close();
  const image = imageOf(disk);
  const merged = image.get('wal-0') as Uint8Array;
  merged[120] = (merged[120] as number) ^ 1;
  const damagedDisk = diskOf(image);
  assert.equal(judgeFully(damagedDisk).verdict, 'corrupt');
  repairLog(damagedDisk, DIRECTORY, 'salvage', false, 0o600);
  const again = openLog(damagedDisk);
  assert.equal(again.status.get('lastLsn'), 26);
  again.close();
  assert.equal(judgeFully(damagedDisk).verdict, 'clean');
  const kept = [...entriesOf(damagedDisk).keys()];
  for (const lsn of lsnsWithout(19, 26, [])) assert.ok(kept.includes(lsn), `entry ${lsn}`);
  assert.ok(kept.every((lsn) => lsn < 4 || lsn > 11));
});
