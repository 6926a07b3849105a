import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Random } from '../../src/files/simulation/random.js';
import { dataChecksum, frameChecksum, frameChecksumSeed } from '../../src/format/frame.js';
import { FrameReader } from '../../src/format/frame-reader.js';
import { type KeptFrame, salvageFrames } from '../../src/format/salvage-scan.js';
import { SEED } from '../seed.js';
import { concat, entries, filesOf, fill, flip, hex, LOG_ID, LogBuilder } from './log-builder.js';

const RUNS = 1500;

/** Two segments; groups of three, of which the first frame alone is a head. */
function log(): LogBuilder {
  const builder = new LogBuilder();
  for (let segment = 0; segment < 2; segment++) {
    builder.newSegment();
    for (let group = 0; group < 2; group++) builder.group(entries(3), builder.lastLsn);
  }
  return builder;
}

function salvage(segments: readonly Uint8Array[], logId: bigint | undefined = LOG_ID): KeptFrame[] {
  const kept: KeptFrame[] = [];
  assert.equal(
    salvageFrames(filesOf(segments), logId, (frames) => kept.push(...frames)),
    undefined,
  );
  return kept;
}

function lsns(segments: readonly Uint8Array[], logId: bigint | undefined = LOG_ID): number[] {
  return salvage(segments, logId).map(({ lsn }) => lsn);
}

/** The log with a flipped byte `at` behind the start of the frame of each of these entries. */
function damaged(builder: LogBuilder, lsnsToFlip: readonly number[], at = 12): Uint8Array[] {
  const segments = builder.build();
  for (const lsn of lsnsToFlip) {
    const { segment, start } = builder.written.find((frame) => frame.lsn === lsn)!;
    segments[segment] = flip(segments[segment], start + at);
  }
  return segments;
}

test('of an intact log every frame is kept, with its place', () => {
  const builder = log();
  assert.deepEqual(
    salvage(builder.build()),
    builder.written.map(({ segment, lsn, start, end }) => ({
      segment,
      lsn,
      lastLsn: lsn,
      offset: start,
      byteLength: end - start,
      skipped: 0,
      batchRemaining: 0,
    })),
  );
});

describe('behind damage', () => {
  test('the scan takes up again at the next head of the segment', () => {
    assert.deepEqual(lsns(damaged(log(), [2])), [1, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    assert.deepEqual(lsns(damaged(log(), [4])), [1, 2, 3, 7, 8, 9, 10, 11, 12]);
    assert.deepEqual(lsns(damaged(log(), [1, 8])), [4, 5, 6, 7, 10, 11, 12]);
  });

  test('a header that claims any size does not hide the next head', () => {
    for (let at = 0; at < 8; at++)
      assert.deepEqual(lsns(damaged(log(), [2], at)).slice(0, 2), [1, 4], `${at}`);
  });

  test('the start of the next segment needs no predecessor', () => {
    assert.deepEqual(lsns(damaged(log(), [6])), [1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12]);
    const [first, second] = log().build() as [Uint8Array, Uint8Array];
    assert.deepEqual(lsns([first.subarray(0, 100), second]).slice(-6), [7, 8, 9, 10, 11, 12]);
    assert.deepEqual(lsns([new Uint8Array(0), second]), [7, 8, 9, 10, 11, 12]);
    assert.deepEqual(lsns([new Uint8Array(700), second]), [7, 8, 9, 10, 11, 12]);
  });

  test('bytes of a payload that look like frames and heads are not taken for any', () => {
    const forged = new LogBuilder({ firstLsn: 100 }).group(entries(3), 90).build()[0] as Uint8Array;
    const plain = new LogBuilder({ firstLsn: 200, isPlain: true })
      .group(entries(3), 0)
      .build()[0] as Uint8Array;
    const builder = new LogBuilder().group(entries(1), 0);
    builder.group([concat([forged, plain])], 1).group(entries(2), 2);
    const { start } = builder.written[1]!;
    for (const at of [0, 4, 8, 20, 60]) {
      const [segment] = builder.build() as [Uint8Array];
      assert.deepEqual(lsns([flip(segment, start + at)]), [1, 3, 4], `byte ${at}`);
    }
  });

  test('a segment of another log or another number gives nothing, wherever it lies', () => {
    const other = new LogBuilder({ logId: 5n, firstLsn: 7 }).newSegment().newSegment();
    other.group(entries(3), 6).group(entries(3), 9);
    const [first, second] = log().build() as [Uint8Array, Uint8Array];
    assert.deepEqual(lsns([first, other.build()[1] as Uint8Array]), [1, 2, 3, 4, 5, 6]);
    assert.deepEqual(lsns([second, first]), []);
    assert.deepEqual(lsns([first, first]), [1, 2, 3, 4, 5, 6]);
  });

  test("without a log id nothing but the starts of segments proves itself (wal-go's files)", () => {
    const builder = new LogBuilder({ isPlain: true }).newSegment().group(entries(4), 0).newSegment();
    builder.group(entries(4), 0);
    assert.deepEqual(lsns(damaged(builder, [2]), undefined), [1, 5, 6, 7, 8]);
  });
});

describe('of a batch', () => {
  /** 1 2 | (3 4 5 | 6) in the next segment, 7 | 8 */
  const spanning = () =>
    new LogBuilder()
      .group(entries(2), 0)
      .frame({ data: fill(20, 3), syncedLsn: 2, batchRemaining: 3 })
      .frame({ data: fill(20, 4), batchRemaining: 2 })
      .frame({ data: fill(20, 5), batchRemaining: 1 })
      .newSegment()
      .frame({ data: fill(20, 6), syncedLsn: 2 })
      .frame({ data: fill(20, 7), syncedLsn: 6 })
      .frame({ data: fill(20, 8), syncedLsn: 7 });

  test('nothing is kept when anything of it is damaged, though its end looks like an entry of its own', () => {
    for (const lsn of [3, 4, 5]) {
      for (const at of [0, 6, 12]) {
        assert.deepEqual(lsns(damaged(spanning(), [lsn], at)), [1, 2, 7, 8], `entry ${lsn}, byte ${at}`);
      }
    }
    assert.deepEqual(lsns(damaged(spanning(), [6])), [1, 2, 7, 8]);
    assert.deepEqual(lsns(damaged(spanning(), [3, 4], 6)), [1, 2, 7, 8]);
    assert.deepEqual(lsns(damaged(spanning(), [2])), [1, 7, 8]);
  });

  test('nothing is kept when its end is missing', () => {
    const [first] = spanning().build() as [Uint8Array];
    assert.deepEqual(lsns([first]), [1, 2]);
    assert.deepEqual(lsns([first, new Uint8Array(0)]), [1, 2]);
  });

  test('nothing is kept when the segment with its beginning is empty', () => {
    const builder = new LogBuilder()
      .newSegment()
      .frame({ data: fill(9, 1), syncedLsn: 0, batchRemaining: 2 });
    builder.newSegment().frame({ data: fill(9, 2), syncedLsn: 0, batchRemaining: 1 });
    builder.frame({ data: fill(9, 3) }).group(entries(2), 3);
    const [, second] = builder.build() as [Uint8Array, Uint8Array];
    assert.deepEqual(lsns([new Uint8Array(0), second]), [4, 5]);
    assert.deepEqual(lsns([new Uint8Array(30), second]), [4, 5]);
  });

  test('its end alone cannot be told from an entry', () => {
    const [, second] = spanning().build() as [Uint8Array, Uint8Array];
    assert.deepEqual(lsns([new Uint8Array(0), second]), [6, 7, 8]);
  });

  test('every frame is kept, and handed over together, when all are there', () => {
    const runs: number[][] = [];
    salvageFrames(filesOf(spanning().build()), LOG_ID, (frames) => runs.push(frames.map(({ lsn }) => lsn)));
    assert.deepEqual(runs, [[1], [2], [3, 4, 5, 6], [7], [8]]);
  });
});

test('LSNs that were skipped on purpose are no damage', () => {
  const builder = new LogBuilder().group(entries(2), 0).frame({ data: fill(9, 1), skipped: 4, syncedLsn: 2 });
  builder.frame({ data: fill(9, 2) });
  assert.deepEqual(
    salvage(builder.build()).map(({ lsn, skipped }) => [lsn, skipped]),
    [
      [1, 0],
      [2, 0],
      [7, 4],
      [8, 0],
    ],
  );
});

test('what an interrupted salvage has moved already is met again and passed over', () => {
  const original = new LogBuilder().group(entries(2), 0).newSegment().newSegment();
  original.group(entries(1), 2).batch(entries(3), 3).group(entries(2), 6);
  const [first, , third] = original.build() as [Uint8Array, Uint8Array, Uint8Array];
  const moved = new LogBuilder({ firstSegment: 1, firstLsn: 3 })
    .group(entries(1), 2)
    .build()[0] as Uint8Array;
  assert.deepEqual(lsns([first, moved, third]), [1, 2, 3, 4, 5, 6, 7, 8]);
});

test('a frame with a critical field that is not known ends it: it must not be written anew', () => {
  const builder = log();
  const { segment, start, end } = builder.written[8]!;
  const segments = damaged(builder, [2]);
  // In place of entry 9, which is no head.
  const frame = criticalFrame({ lsn: 9, number: segment, offset: start });
  segments[segment] = concat([segments[segment].subarray(0, start), frame, segments[segment].subarray(end)]);
  const kept: number[] = [];
  const found = salvageFrames(filesOf(segments), LOG_ID, (frames) =>
    kept.push(...frames.map(({ lsn }) => lsn)),
  );
  assert.deepEqual(found, { segment, offset: start, lsn: 9 });
  assert.deepEqual(kept, [1, 4, 5, 6, 7, 8]);
});

test(`whatever is flipped, zeroed or cut, what is kept was written, in order, and batches whole (RINGWAL_SEED=${SEED})`, () => {
  for (let run = 0; run < RUNS; run++) {
    const random = new Random(SEED + run);
    try {
      salvageByChance(random);
    } catch (error) {
      throw new Error(`RINGWAL_SEED=${SEED + run}: ${(error as Error).stack}`);
    }
  }
});

function salvageByChance(random: Random): void {
  const { builder, batchOf } = randomLog(random);
  const intact = builder.build();
  const segments = intact.map((bytes) => bytes.slice());
  for (let damages = 1 + random.below(4); damages > 0; damages--) {
    const at = random.below(segments.length);
    const bytes = segments[at] as Uint8Array;
    const from = random.below(bytes.length + 1);
    const kind = random.below(5);
    if (kind < 2 && from < bytes.length) bytes[from] ^= 1 << random.below(8);
    else if (kind === 2) bytes.fill(0, from, from + random.below(200));
    else if (kind === 3) segments[at] = bytes.slice(0, from);
    else for (let i = from; i < Math.min(bytes.length, from + 60); i++) bytes[i] = random.below(256);
  }
  const isIntact = ({ segment, start, end }: { segment: number; start: number; end: number }) =>
    end <= segments[segment].length &&
    Buffer.from(segments[segment].subarray(start, end)).equals(intact[segment].subarray(start, end));

  const kept = salvage(segments);
  const keptLsns = new Set(kept.map(({ lsn }) => lsn));
  kept.forEach(({ lsn, segment, offset, byteLength }, at) => {
    assert.ok(at === 0 || lsn > (kept[at - 1] as KeptFrame).lsn);
    const frame = builder.written.find((each) => each.lsn === lsn);
    assert.deepEqual(
      [frame?.segment, frame?.start, (frame?.end ?? 0) - offset],
      [segment, offset, byteLength],
    );
    assert.ok(frame !== undefined && isIntact(frame), `entry ${lsn} is not what was written`);
  });
  for (const frame of builder.written) {
    const batch = batchOf.get(frame.lsn) ?? [frame.lsn];
    const written = builder.written.filter(({ lsn }) => batch.includes(lsn));
    const isWhole = written.every(isIntact);
    const isEnd = frame.lsn === batch.at(-1);
    // Nothing is left that tells: the end of a batch of which every other frame was hit looks like an entry.
    const isOrphan = isEnd && written.slice(0, -1).every((each) => !isIntact(each));
    if (keptLsns.has(frame.lsn))
      assert.ok(isWhole || isOrphan, `entry ${frame.lsn} of a broken batch is kept`);
  }
  // Whatever follows an intact head in its segment without damage between is there.
  let follows = false;
  let segment = -1;
  for (const frame of builder.written) {
    if (frame.segment !== segment) follows = false;
    segment = frame.segment;
    const batch = batchOf.get(frame.lsn);
    if (!isIntact(frame)) follows = false;
    else if (batch === undefined && builder.heads.has(frame.lsn)) follows = true;
    if (follows && batch === undefined) assert.ok(keptLsns.has(frame.lsn), `entry ${frame.lsn} is lost`);
    if (follows && batch !== undefined) {
      const all = builder.written.filter(({ lsn }) => batch.includes(lsn));
      if (all.every(isIntact) && all[0]!.lsn === frame.lsn)
        assert.ok(keptLsns.has(frame.lsn), `batch at ${frame.lsn}`);
      else if (!all.every(isIntact)) follows = false;
    }
  }
}

class NotingBuilder extends LogBuilder {
  readonly heads = new Set<number>();
}

function randomLog(random: Random) {
  const builder = new NotingBuilder();
  const batchOf = new Map<number, number[]>();
  const groups = 4 + random.below(10);
  const next = () => fill(random.below(60), builder.nextLsn);
  const rotate = (chance: number) => {
    if (!random.chance(chance)) return false;
    builder.newSegment();
    return true;
  };
  builder.newSegment();
  for (let group = 0; group < groups; group++) {
    rotate(0.3);
    const count = 1 + random.below(4);
    const syncedLsn = builder.lastLsn;
    builder.heads.add(builder.nextLsn);
    const isBatch = count > 1 && random.chance(0.4);
    const all = Array.from({ length: count }, (_, at) => builder.nextLsn + at);
    for (let at = 0; at < count; at++) {
      const isFirst = at === 0 || (isBatch && rotate(0.3));
      if (isFirst) builder.heads.add(builder.nextLsn);
      if (isBatch) batchOf.set(builder.nextLsn, all);
      const batchRemaining = isBatch ? count - 1 - at : 0;
      builder.frame({ data: next(), batchRemaining, syncedLsn: isFirst ? syncedLsn : undefined });
    }
  }
  return { builder, batchOf };
}

/** A valid frame with field 17 and no synced_lsn. */
function criticalFrame({ lsn, number, offset }: { lsn: number; number: number; offset: number }): Uint8Array {
  const data = fill(5, lsn);
  const varint = (value: number): number[] =>
    value < 128 ? [value] : [(value % 128) | 128, ...varint(Math.floor(value / 128))];
  const before = Uint8Array.of(0x08, lsn, 0x12, data.length);
  const crc = dataChecksum(data, 0, data.length, lsn);
  const after = Uint8Array.of(0x18, ...varint(crc), ...hex('8a0100'));
  const size = Uint8Array.of(before.length + data.length + after.length + 5, 0, 0, 0);
  const frameCrc = new DataView(new ArrayBuffer(4));
  const seed = frameChecksumSeed(LOG_ID, number);
  frameCrc.setUint32(0, frameChecksum(concat([size, before]), after, seed, offset), true);
  const frame = concat([size, before, data, after, hex('7d'), new Uint8Array(frameCrc.buffer)]);
  const reader = new FrameReader();
  reader.open({ size: frame.length, read: (at, length) => frame.subarray(at, at + length) });
  assert.equal(reader.parseAt(0), undefined);
  return frame;
}
