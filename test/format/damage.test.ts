import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assessDamage, type Damage } from '../../src/format/damage.js';
import { judgeLog } from '../../src/format/verdict.js';
import { entries, filesOf, flip, hex, LogBuilder, state } from './log-builder.js';

/** Four segments of two groups of three entries, of which the first frame alone is a head. */
function log(): LogBuilder {
  const builder = new LogBuilder();
  for (let segment = 0; segment < 4; segment++) {
    builder.newSegment();
    for (let group = 0; group < 2; group++) builder.group(entries(3), builder.lastLsn);
  }
  return builder;
}

function assess(segments: readonly Uint8Array[], watermark = 0, firstSegment = 0): Damage {
  const files = filesOf(segments, firstSegment);
  const known = watermark === 0 ? undefined : state(watermark);
  return assessDamage(files, judgeLog({ segments: files, state: known, full: true }));
}

/** The log with a flipped byte in the data of each of these entries. */
function damaged(builder: LogBuilder, lsns: readonly number[]): Uint8Array[] {
  const segments = builder.build();
  for (const lsn of lsns) {
    const { segment, start } = builder.written.find((frame) => frame.lsn === lsn) ?? assert.fail();
    segments[segment] = flip(segments[segment] ?? assert.fail(), start + 12);
  }
  return segments;
}

function startOf(builder: LogBuilder, lsn: number): number {
  return builder.written.find((frame) => frame.lsn === lsn)?.start ?? assert.fail();
}

const columns = ({ segments }: Damage) =>
  segments.map(({ number, verdict, frames, firstLsn, lastLsn }) => [
    number,
    verdict,
    frames,
    firstLsn,
    lastLsn,
  ]);

test('of an intact log every segment is clean, and room made ahead is no damage', () => {
  const segments = log().build();
  segments[3] = Buffer.concat([segments[3] ?? assert.fail(), Buffer.alloc(1000)]);
  const damage = assess(segments, 24);
  assert.deepEqual([damage.lost, damage.inDoubt], [[], []]);
  assert.deepEqual(columns(damage), [
    [0, 'clean', 6, 1, 6],
    [1, 'clean', 6, 7, 12],
    [2, 'clean', 6, 13, 18],
    [3, 'clean', 6, 19, 24],
  ]);
  for (const { badOffset, reason } of damage.segments)
    assert.deepEqual([badOffset, reason], [undefined, undefined]);
});

test('each segment has its own verdict, frames and first bad byte; what is lost and in doubt is told by LSN', () => {
  const builder = log();
  const damage = assess(damaged(builder, [8, 21]), 24);
  assert.deepEqual(columns(damage), [
    [0, 'clean', 6, 1, 6],
    [1, 'corrupt', 1, 7, 7],
    [2, 'clean', 6, 13, 18],
    [3, 'corrupt', 2, 19, 20],
  ]);
  assert.deepEqual(
    damage.segments.map(({ badOffset, reason }) => [badOffset, reason]),
    [
      [undefined, undefined],
      [startOf(builder, 8), 'data-checksum'],
      [undefined, undefined],
      [startOf(builder, 21), 'data-checksum'],
    ],
  );
  // Behind damage the next head is the next start: 9 cannot be found.
  assert.deepEqual(damage.lost, [
    { first: 8, last: 9 },
    { first: 21, last: 21 },
  ]);
  assert.deepEqual(damage.inDoubt, [
    { first: 10, last: 20 },
    { first: 22, last: 24 },
  ]);
});

test('acknowledged entries that the log ends before are lost', () => {
  const [first, second = assert.fail()] = log().build();
  const damage = assess([first ?? assert.fail(), second], 20);
  assert.deepEqual(damage.lost, [{ first: 13, last: 20 }]);
  assert.deepEqual(damage.inDoubt, []);
  assert.deepEqual(columns(damage).at(-1), [1, 'corrupt', 6, 7, 12]);
  assert.deepEqual(
    [damage.segments[1]?.badOffset, damage.segments[1]?.reason],
    [second.length, 'missing-tail'],
  );
});

test('a missing segment is lost, and the segments around it are clean', () => {
  const segments = log().build();
  const files = filesOf(segments).filter(({ number }) => number !== 1);
  const damage = assessDamage(files, judgeLog({ segments: files, state: state(24), full: true }));
  assert.deepEqual(damage.lost, [{ first: 7, last: 12 }]);
  assert.deepEqual(damage.inDoubt, [{ first: 13, last: 24 }]);
  assert.deepEqual(columns(damage), [
    [0, 'clean', 6, 1, 6],
    [2, 'clean', 6, 13, 18],
    [3, 'clean', 6, 19, 24],
  ]);
});

test('zeros where acknowledged entries were are damage after a missing segment too', () => {
  const segments = log().build();
  segments[3] = Buffer.alloc(400);
  const files = filesOf(segments).filter(({ number }) => number !== 2);
  const judgement = judgeLog({ segments: files, state: state(24), full: true });
  assert.deepEqual([judgement.trouble?.segment, judgement.trouble?.reason], [2, 'missing-segment']);
  const damage = assessDamage(files, judgement);
  assert.deepEqual(columns(damage), [
    [0, 'clean', 6, 1, 6],
    [1, 'clean', 6, 7, 12],
    [3, 'corrupt', 0, 0, 0],
  ]);
  assert.deepEqual([damage.segments.at(-1)?.badOffset, damage.segments.at(-1)?.reason], [0, 'size']);
});

test('LSNs that were skipped on purpose are not lost', () => {
  const builder = new LogBuilder().group(entries(2), 0);
  builder.frame({ data: entries(1)[0] ?? assert.fail(), skipped: 5, syncedLsn: 2 });
  builder.group(entries(2), 8).group(entries(3), 10);
  const damage = assess(damaged(builder, [9]), 13);
  assert.deepEqual(damage.lost, [{ first: 9, last: 10 }]);
  assert.deepEqual(damage.inDoubt, [{ first: 11, last: 13 }]);
});

test('of a torn log nothing is lost; its end is in doubt, with all that stands behind it', () => {
  const builder = new LogBuilder();
  builder
    .newSegment()
    .group(entries(3), 0)
    .newSegment()
    .group(entries(3), 3)
    .newSegment()
    .group(entries(3), 3);
  const damage = assess(damaged(builder, [5]), 3);
  assert.deepEqual(damage.lost, []);
  assert.deepEqual(damage.inDoubt, [{ first: 5, last: 9 }]);
  assert.deepEqual(columns(damage), [
    [0, 'clean', 3, 1, 3],
    [1, 'torn', 1, 4, 4],
    [2, 'torn', 3, 7, 9],
  ]);
  assert.deepEqual(
    damage.segments.map(({ badOffset }) => badOffset),
    [undefined, startOf(builder, 5), 0],
  );
});

test('an unfinished batch is torn from its start, in each segment that it reaches', () => {
  const builder = new LogBuilder().group(entries(2), 0);
  const [one = assert.fail(), two = assert.fail(), three = assert.fail()] = entries(3);
  builder.frame({ data: one, syncedLsn: 2, batchRemaining: 3 });
  const { offset } = builder;
  builder.newSegment().frame({ data: two, syncedLsn: 2, batchRemaining: 2 });
  builder.frame({ data: three, batchRemaining: 1 });
  const damage = assess(builder.build(), 2);
  assert.deepEqual(damage.inDoubt, [{ first: 3, last: 3 }]);
  assert.deepEqual(
    damage.segments.map(({ verdict, frames, badOffset, reason }) => [verdict, frames, badOffset, reason]),
    [
      ['torn', 2, startOf(builder, 3), 'unfinished-batch'],
      ['torn', 2, 0, 'lsn'],
    ],
  );
  assert.ok(offset > startOf(builder, 3));
});

test('the torn end of a log that is damaged elsewhere is torn, not corrupt', () => {
  const builder = log();
  const segments = damaged(builder, [8]);
  segments[3] = Buffer.concat([segments[3] ?? assert.fail(), Buffer.from('a write that was cut short')]);
  const damage = assess(segments, 24);
  assert.deepEqual(
    damage.segments.map(({ verdict }) => verdict),
    ['clean', 'corrupt', 'clean', 'torn'],
  );
  assert.deepEqual(damage.lost, [{ first: 8, last: 9 }]);
});

test('segments that this version cannot read are unsupported, and nothing is said of their entries', () => {
  const [first = assert.fail(), second = assert.fail()] = log().build();
  const walg = hex('57 41 4c 47 01 00 10 00 01 00 00 00 00 00 00 00');
  const damage = assess([first, walg, second]);
  assert.deepEqual([damage.segments[0]?.verdict, damage.segments[1]?.verdict], ['clean', 'unsupported']);
  assert.deepEqual([damage.segments[1]?.badOffset, damage.segments[1]?.reason], [0, 'walg']);
  assert.deepEqual([damage.lost, damage.inDoubt], [[], []]);
});
