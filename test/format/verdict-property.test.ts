import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Judgement } from '../../src/format/verdict.js';
import { concat, fill, flip, hex, judge, LOG_ID, LogBuilder, state, type Written } from './log-builder.js';
import { propertyTest } from './property.js';

interface Group {
  readonly lengths: readonly number[];
  readonly isBatch: boolean;
  readonly startsSegment: boolean;
  /** Entries between the watermark and the group's start. */
  readonly lag: number;
}

const group: fc.Arbitrary<Group> = fc.record({
  lengths: fc.array(fc.nat(60), { minLength: 1, maxLength: 5 }),
  isBatch: fc.boolean(),
  startsSegment: fc.boolean(),
  lag: fc.nat(6),
});
const groups = fc.array(group, { minLength: 1, maxLength: 12 });

/** What the builder wrote, with what each frame says about others. */
interface Log {
  readonly segments: Uint8Array[];
  readonly frames: readonly (Written & { readonly syncedLsn: number; readonly batchEnd: number })[];
}

function write(groups: readonly Group[], dataOf = fill): Log {
  const builder = new LogBuilder();
  const frames: Log['frames'][number][] = [];
  let watermark = 0;
  for (const { lengths, isBatch, startsSegment, lag } of groups) {
    if (startsSegment) builder.newSegment();
    const first = builder.nextLsn;
    const last = builder.lastLsn + lengths.length;
    // A watermark never goes back and never lies inside a batch: it is the end of some group before.
    const durable = frames.findLast(({ lsn, batchEnd }) => lsn === batchEnd && lsn < first - lag)?.lsn ?? 0;
    watermark = Math.max(watermark, durable);
    const data = lengths.map((length, at) => dataOf(length, first + at));
    if (isBatch) builder.batch(data, watermark);
    else builder.group(data, watermark);
    for (const written of builder.written.slice(first - 1)) {
      const syncedLsn = written.lsn === first ? watermark : -1;
      frames.push({ ...written, syncedLsn, batchEnd: isBatch ? last : written.lsn });
    }
  }
  return { segments: builder.build(), frames };
}

/** k and W of a log of which only the frames in front of `lost` are left. */
function expectedOf(
  { frames }: Log,
  isLost: (frame: Log['frames'][number]) => boolean,
): { k: number; w: number } {
  const lost = frames.findIndex(isLost);
  const left = lost < 0 ? frames : frames.slice(0, lost);
  const lastLeft = left.at(-1)?.lsn ?? 0;
  return {
    k: left.findLast(({ batchEnd, lsn }) => batchEnd <= lastLeft && lsn === batchEnd)?.lsn ?? 0,
    w: Math.max(0, ...left.map(({ syncedLsn }) => syncedLsn)),
  };
}

/** What holds of every judgement, whatever the bytes. */
function assertConsistent(judgement: Judgement, segments: readonly Uint8Array[]): void {
  const { row, verdict, lastLsn, firstLsn, watermark, end, segments: reports, firstUnsynced } = judgement;
  assert.equal(verdict, ['unsupported', 'corrupt', 'corrupt', 'corrupt', 'clean', 'torn'][row - 1]);
  assert.equal(judgement.trouble === undefined, row === 5);
  assert.equal(reports.length, segments.length);
  assert.ok(firstLsn <= lastLsn || lastLsn === 0);
  assert.ok(end.offset <= (segments[end.segment]?.length ?? 0));
  for (const { number, size, validBytes } of reports) {
    assert.ok(validBytes <= size && size === segments[number].length);
    if (number > end.segment) assert.equal(validBytes, 0);
  }
  assert.equal(firstUnsynced === undefined, lastLsn <= watermark);
}

propertyTest(
  'a log as it was written ends cleanly, scanned in full or not',
  fc.property(groups, fc.boolean(), (groups, full) => {
    const log = write(groups);
    const judgement = judge(log.segments, { full });
    const { k, w } = expectedOf(log, () => false);
    assertConsistent(judgement, log.segments);
    assert.deepEqual(
      [judgement.row, judgement.lastLsn, judgement.watermark, judgement.firstLsn],
      [5, k, w, 1],
    );
    const unsynced = log.frames.find(({ lsn }) => lsn > w);
    assert.deepEqual(
      judgement.firstUnsynced,
      unsynced && { segment: unsynced.segment, offset: unsynced.start },
    );
  }),
);

propertyTest(
  'a log that is cut anywhere is a prefix of what was written, and corrupt if and only if an acknowledged entry is gone',
  fc.property(
    groups,
    fc.nat(),
    fc.nat(),
    fc.boolean(),
    fc.option(fc.nat(80)),
    (groups, at, by, isZeroed, known) => {
      const log = write(groups);
      const segment = at % log.segments.length;
      const offset = by % (log.segments[segment].length + 1);
      const head = log.segments[segment].subarray(0, offset);
      const rest = new Uint8Array(isZeroed ? log.segments[segment].length - offset : 0);
      const segments = [...log.segments.slice(0, segment), concat([head, rest])];

      const { k, w } = expectedOf(
        log,
        (frame) => frame.segment > segment || (frame.segment === segment && frame.end > offset),
      );
      // The state file knows of entries up to `known`, or there is none.
      const watermark = Math.max(w, known ?? 0);
      const judgement = judge(segments, { full: true, state: known === null ? undefined : state(known) });
      assertConsistent(judgement, segments);
      assert.equal(judgement.lastLsn, k);
      assert.equal(judgement.watermark, watermark);
      if (watermark > k) assert.equal(judgement.row, 2);
      else if (known !== null || w > 0 || k > 0) assert.ok(judgement.row >= 5, `row ${judgement.row}`);
    },
  ),
  { numRuns: 500 },
);

propertyTest(
  'a flipped bit anywhere never passes for data, and a torn tail never hides an acknowledged entry',
  fc.property(groups, fc.nat(), fc.nat(), fc.nat(7), (groups, at, by, bit) => {
    const log = write(groups);
    const segment = at % log.segments.length;
    const offset = by % log.segments[segment].length;
    const segments = log.segments.with(segment, flip(log.segments[segment], offset, 1 << bit));
    const judgement = judge(segments, { full: true, state: state(0) });
    assertConsistent(judgement, segments);

    const hit = log.frames.find(
      (frame) => frame.segment === segment && frame.start <= offset && offset < frame.end,
    )!;
    const { k } = expectedOf(log, (frame) => frame === hit);
    assert.equal(judgement.lastLsn, k);
    assert.notEqual(judgement.row, 1);
    const claimed = Math.max(
      ...log.frames.filter((frame) => frame !== hit).map(({ syncedLsn }) => syncedLsn),
      0,
    );
    assert.equal(judgement.row === 2, claimed > k || judgement.watermark > k);
    assert.ok(judgement.watermark >= claimed);
    assert.ok(judgement.watermark <= Math.max(0, ...log.frames.map(({ syncedLsn }) => syncedLsn)));

    const opened = judge(segments, { state: state(0) });
    assertConsistent(opened, segments);
    assert.ok(opened.row === 2 || opened.row === 4 || opened.lastLsn >= claimed);
  }),
  { numRuns: 500 },
);

/** Bytes that mean much elsewhere: whole segments, heads with high watermarks, critical fields, wal-go's magic. */
function hostileData(log: Log): Uint8Array {
  const forged = new LogBuilder({ firstLsn: 1_000_000 })
    .frame({ data: fill(4, 1), syncedLsn: 999_999 })
    .frame({ data: fill(4, 1), syncedLsn: 999_999 })
    .build();
  const walg = hex('57414c4701001000 0000000000000000');
  const critical = hex('16000000 0801 1205 68656c6c6f 2001 8a0100 7d00000000');
  const plain = new LogBuilder({ isPlain: true, firstLsn: 1_000_000 }).group([fill(9, 1)], 0).build();
  return concat([...log.segments, ...forged, walg, critical, ...plain, new Uint8Array(64)]);
}

propertyTest(
  'payloads that hold whole segments, forged watermarks and unknown fields change no verdict, whatever is cut or flipped',
  fc.property(groups, groups, fc.nat(), fc.nat(7), fc.boolean(), (inner, outer, by, bit, isCut) => {
    const data = hostileData(write(inner));
    const log = write(outer, (length, lsn) => (length % 3 === 0 ? data : fill(length, lsn)));
    assert.equal(judge(log.segments).row, 5);
    const last = log.segments.length - 1;
    const bytes = log.segments[last];
    const offset = by % bytes.length;
    const hit = log.frames.find(
      ({ segment, start, end }) => segment === last && start <= offset && offset < end,
    )!;
    const segments = log.segments.with(
      last,
      isCut ? bytes.subarray(0, offset) : flip(bytes, offset, 1 << bit),
    );
    const judgement = judge(segments, { full: true, state: state(0) });
    assertConsistent(judgement, segments);
    assert.equal(judgement.lastLsn, expectedOf(log, (frame) => frame === hit).k);
    assert.ok(judgement.watermark <= Math.max(0, ...log.frames.map(({ syncedLsn }) => syncedLsn)));
    assert.ok(judgement.row === 2 ? judgement.watermark > judgement.lastLsn : judgement.row >= 5);
  }),
);

/** Garbage that is likely to get far: pieces of real logs, zeros, the bytes that frames are made of. */
const garbage = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc
        .array(fc.constantFrom(0, 1, 2, 8, 0x12, 0x18, 0x20, 0x42, 0x7d, 0x80, 0xff), { maxLength: 40 })
        .map((a) => Uint8Array.from(a)),
      fc.nat(300).map((length) => new Uint8Array(length)),
      groups.map((some) => write(some).segments[0]),
      fc.constant(new LogBuilder({ isPlain: true }).group([fill(5, 1)], 0).build()[0]),
      fc.constant(hex('57414c4701001000')),
    ),
    { maxLength: 5 },
  )
  .map((pieces) => concat(pieces));

propertyTest(
  'any bytes at all get a verdict',
  fc.property(fc.array(garbage, { maxLength: 4 }), fc.boolean(), fc.boolean(), (segments, full, hasState) => {
    const judgement = judge(segments, { full, state: hasState ? state(2, LOG_ID) : undefined });
    assertConsistent(judgement, segments);
  }),
  { numRuns: 500 },
);
