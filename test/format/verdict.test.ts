import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MemorySource } from '../../src/format/bytes.js';
import { frameChecksumSeed } from '../../src/format/frame.js';
import { describeReason, type Judgement, judgeLog } from '../../src/format/verdict.js';
import {
  concat,
  entries,
  filesOf,
  fill,
  flip,
  frameWith,
  hex,
  judge,
  LOG_ID,
  LogBuilder,
  state,
} from './log-builder.js';

/** Three segments of two groups of three entries; each group says that all before it were durable. */
function threeSegments(): LogBuilder {
  const builder = new LogBuilder();
  for (let segment = 0; segment < 3; segment++) {
    builder.newSegment();
    for (let group = 0; group < 2; group++) builder.group(entries(3), builder.lastLsn);
  }
  return builder;
}

/** The segments with the frame of `lsn` damaged in its last byte: checksum of the frame, or of the data. */
function damage(builder: LogBuilder, lsn: number): Uint8Array[] {
  const { segment, end } = builder.written.find((frame) => frame.lsn === lsn)!;
  const segments = builder.build();
  return segments.with(segment, flip(segments[segment], end - 1));
}

/** The segments with the data of the frame of `lsn` damaged, what stands around it intact. */
function damageData(builder: LogBuilder, lsn: number): Uint8Array[] {
  const { segment, start } = builder.written.find((frame) => frame.lsn === lsn)!;
  const segments = builder.build();
  return segments.with(segment, flip(segments[segment], start + 8));
}

function startOf(builder: LogBuilder, lsn: number): { segment: number; offset: number } {
  const { segment, start } = builder.written.find((frame) => frame.lsn === lsn)!;
  return { segment, offset: start };
}

function rowOf({ row, lastLsn, watermark }: Judgement): { row: number; lastLsn: number; watermark: number } {
  return { row, lastLsn, watermark };
}

describe('row 1, unsupported', () => {
  const CRITICAL = '8a0100';

  test('a valid frame with an unknown critical field, wherever it stands', () => {
    const builder = threeSegments();
    const at = { lsn: 19, syncedLsn: 18, number: 2, offset: builder.offset };
    const judgement = builder.raw(frameWith(CRITICAL, at)).judge();
    assert.deepEqual([judgement.row, judgement.verdict], [1, 'unsupported']);
    assert.deepEqual(judgement.trouble, {
      segment: 2,
      offset: at.offset,
      lsn: 19,
      reason: 'unknown-critical',
    });
  });

  test('a compressed group, which is reserved for later', () => {
    const builder = threeSegments();
    const at = { lsn: 19, syncedLsn: 18, number: 2, offset: builder.offset };
    assert.equal(builder.raw(frameWith('820100', at)).judge().row, 1);
  });

  test('a critical field inside Segment', () => {
    const segment = `420d 09 ${Buffer.from(BigUint64Array.of(LOG_ID).buffer).toString('hex')} 1001 8a0100`;
    const builder = new LogBuilder().group(entries(2), 0).newSegment();
    const frame = frameWith(segment.replace('420d', '420e'), { lsn: 3, syncedLsn: 2, number: 1, offset: 0 });
    assert.equal(builder.raw(frame).judge().row, 1);
  });

  test('a critical field in the first frame of a full segment that is not scanned', () => {
    const log = Buffer.from(BigUint64Array.of(LOG_ID).buffer).toString('hex');
    const first = frameWith(`4209 09 ${log} ${CRITICAL}`, { lsn: 1, syncedLsn: 0, number: 0, offset: 0 });
    const builder = new LogBuilder({ firstLsn: 2 }).raw(first).newSegment().group(entries(3), 1);
    const judgement = builder.newSegment().group(entries(3), 4).judge();
    assert.equal(judgement.scannedFrom, 1);
    assert.equal(judgement.row, 1);
  });

  test('a head with a critical field behind damage: recovery would cut what it cannot read', () => {
    const builder = threeSegments();
    const offset = builder.offset + 7;
    builder.raw(fill(7, 1)).raw(frameWith(CRITICAL, { lsn: 30, syncedLsn: 18, number: 2, offset }));
    assert.equal(builder.judge().row, 1);
  });

  test('not: a frame with a critical field that is not valid', () => {
    const builder = threeSegments();
    const frame = frameWith(CRITICAL, { lsn: 19, syncedLsn: 18, number: 2, offset: builder.offset });
    assert.equal(builder.raw(flip(frame, frame.length - 1)).judge().row, 6);
  });

  test('not: a frame with an unknown field below 16', () => {
    const builder = threeSegments();
    const frame = frameWith('700a', { lsn: 19, syncedLsn: 18, number: 2, offset: builder.offset });
    assert.deepEqual(rowOf(builder.raw(frame).judge()), { row: 5, lastLsn: 19, watermark: 18 });
  });
});

describe('row 2, acknowledged entries are missing', () => {
  test('a later group of the same segment says that the damaged entry was durable', () => {
    const judgement = judge(damage(threeSegments(), 14));
    assert.deepEqual(rowOf(judgement), { row: 2, lastLsn: 13, watermark: 15 });
    assert.equal(judgement.verdict, 'corrupt');
    assert.deepEqual(judgement.trouble, {
      ...startOf(threeSegments(), 14),
      lsn: 14,
      reason: 'data-checksum',
    });
  });

  test('a later segment says so', () => {
    const builder = new LogBuilder().group(entries(5), 0).newSegment().group(entries(5), 5);
    assert.deepEqual(rowOf(judge(damage(builder, 3))), { row: 2, lastLsn: 2, watermark: 5 });
  });

  test('the state file says so', () => {
    const damaged = damage(threeSegments(), 18);
    assert.deepEqual(rowOf(judge(damaged)), { row: 6, lastLsn: 17, watermark: 15 });
    assert.deepEqual(rowOf(judge(damaged, { state: state(17) })), { row: 6, lastLsn: 17, watermark: 17 });
    assert.deepEqual(rowOf(judge(damaged, { state: state(18) })), { row: 2, lastLsn: 17, watermark: 18 });
  });

  test('the log ends before an entry that the state file says was durable', () => {
    const judgement = threeSegments().judge({ state: state(19) });
    assert.deepEqual(rowOf(judgement), { row: 2, lastLsn: 18, watermark: 19 });
    assert.equal(judgement.trouble?.reason, 'missing-tail');
    assert.equal(judge([], { state: state(1) }).row, 2);
    assert.equal(judge([new Uint8Array(0)], { state: state(1) }).row, 2);
  });

  test('the missing segment is named, and not the one after it that does not follow on', () => {
    const builder = new LogBuilder();
    for (let segment = 0; segment < 5; segment++) {
      if (segment > 0) builder.newSegment();
      builder.group(entries(3), builder.lastLsn).group(entries(3), builder.lastLsn);
    }
    for (const full of [true, false]) {
      for (const missing of [[1], [2], [3], [1, 2], [2, 3]]) {
        const segments = filesOf(builder.build()).filter(({ number }) => !missing.includes(number));
        const { row, trouble } = judgeLog({ segments, state: state(30), full });
        const [number = 0] = missing;
        // Where every frame was read, it is known which entry should be there.
        const lsn = full ? number * 6 + 1 : 0;
        assert.deepEqual(row, full ? 2 : 4);
        assert.deepEqual(trouble, { segment: number, offset: 0, lsn, reason: 'missing-segment' });
      }
    }
  });

  test('the missing segment is named though the one after it begins with damage, or is empty', () => {
    const [first, second, third] = threeSegments().build();
    for (const bytes of [
      flip(third, third.length - 1),
      flip(third, 3),
      new Uint8Array(4096),
      new Uint8Array(0),
    ]) {
      const segments = filesOf([first, second, bytes]).filter(({ number }) => number !== 1);
      const { trouble } = judgeLog({ segments, state: state(18), full: true });
      assert.deepEqual(trouble, { segment: 1, offset: 0, lsn: 7, reason: 'missing-segment' });
    }
  });

  test('a missing segment before damage comes first, though no entry is missing with it', () => {
    const builder = new LogBuilder().group(entries(3), 0).newSegment().newSegment().group(entries(3), 3);
    builder.newSegment().group(entries(3), 6);
    const segments = filesOf(damage(builder, 8)).filter(({ number }) => number !== 1);
    const judgement = judgeLog({ segments, state: state(9), full: true });
    assert.deepEqual([judgement.row, judgement.lastLsn], [2, 7]);
    assert.deepEqual(judgement.trouble, { segment: 1, offset: 0, lsn: 0, reason: 'missing-segment' });
  });

  test('damage before a missing segment comes first', () => {
    const segments = filesOf(damage(threeSegments(), 3)).filter(({ number }) => number !== 1);
    const { trouble } = judgeLog({ segments, state: state(18), full: true });
    assert.deepEqual(trouble, { ...startOf(threeSegments(), 3), lsn: 3, reason: 'data-checksum' });
  });

  test('where no segment is left, that is what is missing', () => {
    const { row, trouble } = judge([], { state: state(1) });
    assert.equal(row, 2);
    assert.deepEqual(trouble, { segment: 0, offset: 0, lsn: 0, reason: 'missing-segment' });
  });

  test('a head at an odd offset says so, of whatever number of bytes are missing before it', () => {
    const builder = new LogBuilder().group(entries(4), 0).raw(fill(13, 2));
    builder.nextLsn = 9;
    assert.deepEqual(rowOf(builder.group(entries(1), 8).judge()), { row: 2, lastLsn: 4, watermark: 8 });
  });

  test('a head whose own data is damaged says so', () => {
    const builder = threeSegments();
    const segments = damageData(builder, 16);
    segments[2] = flip(segments[2], startOf(builder, 14).offset + 8);
    assert.deepEqual(rowOf(judge(segments)), { row: 2, lastLsn: 13, watermark: 15 });
  });

  test('the first invalid frame may itself be the head that says so', () => {
    const builder = new LogBuilder().group(entries(4), 0);
    builder.nextLsn = 9;
    assert.deepEqual(rowOf(builder.group(entries(1), 8).judge()), { row: 2, lastLsn: 4, watermark: 8 });
  });

  test('the whole first segment is zeros', () => {
    const segments = threeSegments().build();
    assert.deepEqual(rowOf(judge(segments.with(0, new Uint8Array(segments[0].length)), { full: true })), {
      row: 2,
      lastLsn: 0,
      watermark: 15,
    });
  });

  test('an unfinished batch was acknowledged in part', () => {
    const builder = new LogBuilder().group(entries(2), 0).batch(entries(3), 2, 5);
    assert.deepEqual(rowOf(builder.judge({ state: state(2) })), { row: 6, lastLsn: 2, watermark: 2 });
    assert.deepEqual(rowOf(builder.judge({ state: state(3) })), { row: 2, lastLsn: 2, watermark: 3 });
  });

  test('not: a frame that is no head, since its synced_lsn is not below its LSN', () => {
    const builder = new LogBuilder()
      .group(entries(4), 0)
      .raw(fill(13, 2))
      .frame({ data: fill(3, 1), syncedLsn: 5 });
    assert.deepEqual(rowOf(builder.judge()), { row: 6, lastLsn: 4, watermark: 0 });
  });

  test('not: a head of another log, another segment or another offset', () => {
    const damaged = new LogBuilder().group(entries(4), 0).raw(fill(13, 2)).build()[0];
    const headAt = (logId: bigint, number: number, offset: number) =>
      concat([
        damaged,
        new LogBuilder({ logId, firstSegment: number, firstLsn: 9 })
          .frame({
            data: fill(4, 1),
            syncedLsn: 8,
            fileOffset: offset,
            checksumSeed: frameChecksumSeed(logId, number),
            segment: undefined,
          })
          .build()[0],
      ]);
    assert.equal(judge([headAt(LOG_ID, 0, damaged.length)]).row, 2);
    assert.equal(judge([headAt(LOG_ID + 1n, 0, damaged.length)]).row, 6);
    assert.equal(judge([headAt(LOG_ID, 1, damaged.length)]).row, 6);
    assert.equal(judge([headAt(LOG_ID, 0, damaged.length + 1)]).row, 6);
  });
});

describe('row 3, logs without watermarks', () => {
  const plain = () => new LogBuilder({ isPlain: true }).group(entries(10), 0);

  test('any intact frame behind the damage makes it corruption', () => {
    const judgement = judge(damage(plain(), 4));
    assert.deepEqual(rowOf(judgement), { row: 3, lastLsn: 3, watermark: 0 });
    assert.equal(judgement.hasWatermarks, false);
    assert.equal(judge(damage(plain(), 9)).row, 3);
    assert.equal(judge(damage(plain(), 10)).row, 6);
  });

  test('also in a later segment, also at an odd offset', () => {
    const builder = plain().newSegment().raw(fill(5, 1)).group(entries(1), 0);
    assert.equal(builder.judge().row, 3);
    assert.equal(plain().raw(fill(3, 9)).group(entries(1), 0).judge().row, 3);
  });

  test('an intact frame whose LSN does not follow on is corruption', () => {
    const builder = plain();
    builder.nextLsn = 14;
    assert.deepEqual(rowOf(builder.group(entries(1), 0).judge()), { row: 3, lastLsn: 10, watermark: 0 });
  });

  test("a log of ours is judged so if nothing is left that names it: then its frames' neighbours are evidence", () => {
    const builder = new LogBuilder().group(entries(5), 0);
    assert.equal(judge(damage(builder, 1)).row, 3);
    assert.deepEqual(rowOf(judge(damage(builder, 1), { state: state(0) })), {
      row: 6,
      lastLsn: 0,
      watermark: 0,
    });
  });

  test('not where a state file is there, or a synced_lsn anywhere', () => {
    assert.deepEqual(rowOf(judge(damage(plain(), 4), { state: state(3) })), {
      row: 6,
      lastLsn: 3,
      watermark: 3,
    });
    assert.equal(judge(damage(plain(), 4), { state: { fault: 'lost' } }).row, 3);
    const builder = new LogBuilder().group(entries(5), 0);
    assert.equal(judge(damage(builder, 4)).row, 6);
  });

  test('bytes made so that every offset claims much data are corruption once the budget is spent', () => {
    // Frames within frames: each claims to reach almost to the end of the file, and none has the right checksum.
    const claims = (count: number, reach: number) => {
      const length = 12 * count + reach;
      const bytes = new Uint8Array(length + 2);
      const view = new DataView(bytes.buffer);
      for (let i = 0; i < count; i++) {
        const at = i * 12;
        const dataLength = length - at - 4 - 2 - 4;
        view.setInt32(at, length - at - 4 + 2, true);
        bytes.set(
          [
            0x08,
            1 + (i & 1),
            0x12,
            (dataLength & 127) | 128,
            ((dataLength >> 7) & 127) | 128,
            dataLength >> 14,
          ],
          at + 4,
        );
      }
      bytes.set([0x18, 0x01], length);
      return bytes;
    };
    const within = judge([concat([plain().build()[0], claims(10, 60_000)])]);
    assert.deepEqual(rowOf(within), { row: 6, lastLsn: 10, watermark: 0 });
    const beyond = judge([concat([plain().build()[0], claims(20, 60_000)])]);
    assert.deepEqual(rowOf(beyond), { row: 3, lastLsn: 10, watermark: 0 });
  });
});

describe('row 4, a gap', () => {
  // Entry 15 is in segment 2: what is below is full, and only its first frames are read.
  const known = { state: state(15) };

  test('a segment number is missing', () => {
    const [first, , third] = threeSegments().build();
    const open = (bytes: Uint8Array) => () => new MemorySource(bytes);
    const segments = [
      { number: 0, open: open(first) },
      { number: 2, open: open(third) },
    ];
    const judgement = judgeLog({ segments, ...known });
    assert.deepEqual(rowOf(judgement), { row: 4, lastLsn: 18, watermark: 15 });
    assert.deepEqual(judgement.trouble, { segment: 1, offset: 0, lsn: 0, reason: 'missing-segment' });
    assert.equal(judgeLog({ segments, ...known, full: true }).row, 2);
  });

  test('a segment number is missing, though no entry is', () => {
    const [first, second] = new LogBuilder({ isPlain: true })
      .group(entries(3), 0)
      .newSegment()
      .group(entries(3), 0)
      .build();
    const segments = [
      { number: 5, open: () => new MemorySource(first) },
      { number: 7, open: () => new MemorySource(second) },
    ];
    assert.deepEqual(rowOf(judgeLog({ segments, state: undefined })), { row: 4, lastLsn: 6, watermark: 0 });
  });

  test('a segment below the one that holds W starts with an invalid frame', () => {
    for (const lsn of [1, 7]) {
      const judgement = judge(damage(threeSegments(), lsn), known);
      assert.deepEqual(rowOf(judgement), { row: 4, lastLsn: 18, watermark: 15 });
      assert.equal(judgement.scannedFrom, 2);
      assert.deepEqual(judgement.trouble, {
        ...startOf(threeSegments(), lsn),
        lsn: 0,
        reason: 'frame-checksum',
      });
    }
  });

  test('a segment below the one that holds W is empty, is zeros or belongs to another log', () => {
    const segments = threeSegments().build();
    const other = new LogBuilder({ logId: 1n, firstSegment: 1, firstLsn: 7 }).group(entries(6), 0).build()[0];
    const reasons = { 'empty-segment': new Uint8Array(0), size: new Uint8Array(4096), 'other-log': other };
    for (const [reason, bytes] of Object.entries(reasons)) {
      const judgement = judge(segments.with(1, bytes), known);
      assert.deepEqual([judgement.row, judgement.trouble?.reason], [4, reason]);
    }
  });

  test('a segment that lies under the name of another one', () => {
    const [first, second, third] = threeSegments().build();
    const judgement = judge([second, first, third], known);
    assert.deepEqual([judgement.row, judgement.trouble?.reason], [4, 'other-segment']);
  });

  test('not: the one that holds W starts so, which is row 2', () => {
    assert.deepEqual(rowOf(judge(damage(threeSegments(), 13), known)), {
      row: 2,
      lastLsn: 12,
      watermark: 15,
    });
    assert.deepEqual(rowOf(judge(damage(threeSegments(), 7))), { row: 2, lastLsn: 6, watermark: 15 });
  });

  test('not: the oldest numbers are gone by retention', () => {
    const builder = new LogBuilder({ firstSegment: 7, firstLsn: 500 }).group(entries(3), 499);
    assert.deepEqual(rowOf(builder.judge({ firstSegment: 7 })), { row: 5, lastLsn: 502, watermark: 499 });
  });

  test('not: damage inside a full segment, which opening does not read, verifying does', () => {
    const damaged = damage(threeSegments(), 3);
    assert.deepEqual(rowOf(judge(damaged)), { row: 5, lastLsn: 18, watermark: 15 });
    assert.deepEqual(rowOf(judge(damaged, { full: true })), { row: 2, lastLsn: 2, watermark: 15 });
  });
});

describe('row 5, a clean end', () => {
  test('no segment at all, and one that is empty', () => {
    const nothing = judge([]);
    assert.deepEqual(rowOf(nothing), { row: 5, lastLsn: 0, watermark: 0 });
    assert.deepEqual(nothing.end, { segment: 0, offset: 0 });
    assert.deepEqual(rowOf(judge([new Uint8Array(0)])), { row: 5, lastLsn: 0, watermark: 0 });
    assert.equal(judge([new Uint8Array(4096)]).row, 5);
  });

  test('the log ends with its last frame', () => {
    const builder = threeSegments();
    const judgement = builder.judge();
    assert.deepEqual(judgement, {
      row: 5,
      verdict: 'clean',
      logId: LOG_ID,
      watermark: 15,
      hasWatermarks: true,
      firstLsn: 1,
      lastLsn: 18,
      floor: 0,
      end: { segment: 2, offset: builder.offset },
      trouble: undefined,
      segments: [
        { ...judgement.segments[0], number: 0, firstLsn: 1, lastLsn: 6, scanned: false, frames: 0 },
        { ...judgement.segments[1], number: 1, firstLsn: 7, lastLsn: 12, scanned: true, frames: 6 },
        {
          number: 2,
          size: builder.offset,
          firstLsn: 13,
          lastLsn: 18,
          skipped: 0,
          stamp: { logId: LOG_ID, number: 2, createdMs: 1_700_000_000_000, recycled: false, branch: 0n },
          time: judgement.segments[2]?.time,
          latestMs: undefined,
          scanned: true,
          frames: 6,
          validBytes: builder.offset,
        },
      ],
      // The first frames show that entry 12 was durable: it is in segment 1.
      scannedFrom: 1,
      // Of a segment that was not scanned nobody knows.
      whole: { count: 0, lastLsn: 0 },
      firstUnsynced: startOf(builder, 16),
    });
  });

  test('scanned in full, its segments are whole up to the last one that ends outside a batch', () => {
    const builder = threeSegments();
    assert.deepEqual(builder.judge({ full: true }).whole, { count: 3, lastLsn: 18 });
    builder.batch(entries(2), 18, 4).newSegment();
    for (const batchRemaining of [1, 0]) builder.frame({ data: fill(20, 1), batchRemaining });
    assert.deepEqual(builder.judge({ full: true }).whole, { count: 4, lastLsn: 22 });
    const cut = builder.build().with(3, new Uint8Array(0));
    assert.deepEqual(judge(cut, { full: true }).whole, { count: 2, lastLsn: 12 });
  });

  test('zeros behind the last frame, and later segments of nothing but zeros', () => {
    const builder = threeSegments().raw(new Uint8Array(5000));
    assert.equal(builder.judge().row, 5);
    assert.equal(builder.newSegment().newSegment().raw(new Uint8Array(100)).judge().row, 5);
    assert.deepEqual(builder.judge().end, { segment: 2, offset: threeSegments().offset });
    assert.equal(builder.newSegment().raw(hex('00000001')).judge().row, 6);
  });

  test('one or a few zero bytes, which are no size word', () => {
    for (let length = 1; length < 8; length++) {
      assert.equal(threeSegments().raw(new Uint8Array(length)).judge().row, 5);
    }
  });

  test('an entry whose segment was left empty by a crash goes on in the next one', () => {
    const builder = new LogBuilder().group(entries(3), 0).newSegment().newSegment().group(entries(3), 0);
    assert.deepEqual(rowOf(builder.judge()), { row: 5, lastLsn: 6, watermark: 0 });
  });

  describe('in a recycled segment', () => {
    const recycled = () => new LogBuilder().newSegment({ recycled: true }).group(entries(3), 0);
    const stale = new LogBuilder({ firstSegment: 9, firstLsn: 400 }).group(entries(5), 399).build()[0];

    test('stale bytes that do not start with a size word and the next LSN', () => {
      for (const bytes of [stale, stale.subarray(9), fill(100, 3), hex('ff'), hex('0000000008 04')]) {
        const judgement = recycled().raw(bytes).judge();
        assert.deepEqual([judgement.row, judgement.end.offset], [5, recycled().offset]);
      }
    });

    test('not: bytes that start with a size word and the next LSN', () => {
      assert.equal(recycled().raw(hex('40000000 08 04')).judge().row, 6);
      assert.equal(recycled().raw(hex('40000000 08 05')).judge().row, 5);
      const torn = recycled()
        .frame({ data: fill(40, 1) })
        .build()[0];
      for (let length = recycled().offset + 6; length < torn.length; length++) {
        assert.equal(judge([concat([torn.subarray(0, length), stale])]).row, 6);
      }
    });

    test('not: an unfinished batch in front of the stale bytes', () => {
      assert.equal(recycled().batch(entries(2), 3, 3).raw(stale).judge().row, 6);
    });

    test('not: stale bytes with a byte in a later segment', () => {
      assert.equal(recycled().raw(stale).newSegment().raw(hex('01')).judge().row, 6);
    });

    test('not: the same bytes in a segment that is not recycled', () => {
      assert.equal(new LogBuilder().group(entries(3), 0).raw(stale).judge().row, 6);
    });

    test('a watermark above the last entry is corruption here too', () => {
      assert.equal(
        recycled()
          .raw(stale)
          .judge({ state: state(4) }).row,
        2,
      );
    });
  });
});

describe('row 6, a torn tail', () => {
  test('the log is cut anywhere in its last group', () => {
    const builder = threeSegments();
    const whole = builder.build();
    const tail = builder.written.filter(({ lsn }) => lsn >= 16);
    for (let length = tail[0].start + 1; length < whole[2].length; length++) {
      const judgement = judge(whole.with(2, whole[2].subarray(0, length)));
      const last = builder.written.findLast(({ segment, end }) => segment < 2 || end <= length)!;
      const isWhole = last.end === length;
      assert.deepEqual(
        { row: judgement.row, lastLsn: judgement.lastLsn, end: judgement.end },
        { row: isWhole ? 5 : 6, lastLsn: last.lsn, end: { segment: 2, offset: last.end } },
      );
    }
  });

  test('frames that the disk wrote out of order: a later group is there, an unacknowledged one is not', () => {
    const builder = new LogBuilder().group(entries(3), 0).group(entries(3), 3).group(entries(3), 3);
    const segments = builder.build();
    segments[0].fill(0, startOf(builder, 4).offset, startOf(builder, 7).offset);
    const judgement = judge(segments);
    assert.deepEqual(rowOf(judgement), { row: 6, lastLsn: 3, watermark: 3 });
    assert.deepEqual(judgement.trouble, { ...startOf(builder, 4), lsn: 4, reason: 'size' });
  });

  test('an unacknowledged segment that starts with an invalid frame, in front of one that does not', () => {
    const builder = new LogBuilder().group(entries(3), 0).newSegment().group(entries(3), 3);
    builder.newSegment().group(entries(3), 3);
    const judgement = judge(damage(builder, 4));
    assert.deepEqual(rowOf(judgement), { row: 6, lastLsn: 3, watermark: 3 });
    assert.equal(judgement.end.segment, 0);
    assert.deepEqual(
      judgement.segments.map(({ lastLsn, validBytes }) => [lastLsn, validBytes > 0]),
      [
        [3, true],
        [0, false],
        [0, false],
      ],
    );
  });

  test('zeros behind the last frame of a segment with a later one behind it', () => {
    const builder = new LogBuilder().group(entries(3), 0).raw(new Uint8Array(64));
    assert.deepEqual(rowOf(builder.newSegment().group(entries(3), 3).judge()), {
      row: 6,
      lastLsn: 3,
      watermark: 3,
    });
  });

  test('an unfinished batch is dropped whole, though its frames are valid', () => {
    const builder = new LogBuilder().group(entries(2), 0);
    const { offset } = builder;
    const judgement = builder.batch(entries(3), 2, 5).judge();
    assert.deepEqual(rowOf(judgement), { row: 6, lastLsn: 2, watermark: 2 });
    assert.deepEqual(judgement.end, { segment: 0, offset });
    assert.deepEqual(judgement.trouble, { segment: 0, offset, lsn: 3, reason: 'unfinished-batch' });
    assert.deepEqual(
      judgement.segments.map(({ firstLsn, lastLsn, frames, validBytes }) => [
        firstLsn,
        lastLsn,
        frames,
        validBytes,
      ]),
      [[1, 2, 2, offset]],
    );
  });

  test('a batch counts from its last frame on', () => {
    const builder = new LogBuilder().group(entries(2), 0).batch(entries(4), 2);
    const [whole] = builder.build();
    assert.deepEqual(rowOf(builder.judge()), { row: 5, lastLsn: 6, watermark: 2 });
    for (const { start, end } of builder.written.slice(3)) {
      assert.deepEqual(rowOf(judge([whole.subarray(0, start)])), { row: 6, lastLsn: 2, watermark: 2 });
      assert.deepEqual(rowOf(judge([flip(whole, end - 1)])), { row: 6, lastLsn: 2, watermark: 2 });
    }
  });

  test('an unfinished batch that spans segments is dropped from all of them', () => {
    const builder = new LogBuilder().group(entries(2), 0);
    const { offset } = builder;
    builder.frame({ data: fill(9, 1), syncedLsn: 2, batchRemaining: 2 });
    builder.newSegment().frame({ data: fill(9, 2), syncedLsn: 2, batchRemaining: 1 });
    const unfinished = builder.judge();
    assert.deepEqual(rowOf(unfinished), { row: 6, lastLsn: 2, watermark: 2 });
    assert.deepEqual(unfinished.end, { segment: 0, offset });
    assert.deepEqual(
      unfinished.segments.map(({ firstLsn, lastLsn, frames }) => [firstLsn, lastLsn, frames]),
      [
        [1, 2, 2],
        [0, 0, 0],
      ],
    );
    assert.deepEqual(rowOf(builder.frame({ data: fill(9, 3) }).judge()), {
      row: 5,
      lastLsn: 5,
      watermark: 2,
    });
  });

  test('a batch that is not counted down ends the log before it', () => {
    const builder = new LogBuilder().group(entries(2), 0).batch(entries(1), 2, 3).group(entries(3), 2);
    assert.deepEqual(rowOf(builder.judge()), { row: 6, lastLsn: 2, watermark: 2 });
    assert.equal(builder.judge().trouble?.reason, 'batch');
  });

  test('the very first group', () => {
    const builder = new LogBuilder().group(entries(3), 0);
    assert.deepEqual(rowOf(judge([builder.build()[0].subarray(0, 20)])), {
      row: 6,
      lastLsn: 0,
      watermark: 0,
    });
  });
});

describe('the watermark', () => {
  test('of a state file counts, unless a Segment names another log', () => {
    const builder = threeSegments();
    assert.equal(builder.judge({ state: state(17) }).watermark, 17);
    assert.equal(builder.judge({ state: state(3) }).watermark, 15);
    const judgement = builder.judge({ state: state(400, 5n) });
    assert.deepEqual([judgement.row, judgement.watermark, judgement.logId], [5, 15, LOG_ID]);
  });

  test("of a state file counts for wal-go's files, until a frame in the middle of one names another log", () => {
    const builder = new LogBuilder({ isPlain: true }).group(entries(5), 0);
    assert.deepEqual(rowOf(builder.judge({ state: state(5, 5n) })), { row: 5, lastLsn: 5, watermark: 5 });
    const stamp = { logId: LOG_ID, number: 0, createdMs: 1, recycled: false, branch: 0n };
    const ours = { checksumSeed: frameChecksumSeed(LOG_ID, 0), fileOffset: builder.offset, skipped: 0 };
    const continued = new LogBuilder({ firstLsn: 6 }).frame({
      data: fill(3, 3),
      syncedLsn: 5,
      segment: stamp,
      ...ours,
    });
    const bytes = concat([builder.build()[0], continued.build()[0]]);
    const judgement = judge([bytes], { state: state(400, 5n) });
    assert.deepEqual([rowOf(judgement), judgement.logId], [{ row: 5, lastLsn: 6, watermark: 5 }, LOG_ID]);
    assert.equal(judge([bytes], { state: state(400) }).row, 2);
    assert.equal(judge([bytes]).logId, LOG_ID);
  });

  test('may come from any segment: the largest counts', () => {
    const builder = new LogBuilder().group(entries(3), 0).newSegment().group(entries(3), 3);
    assert.equal(builder.newSegment().group(entries(3), 1).judge().watermark, 3);
  });

  test('decides from which segment on all frames are read', () => {
    const builder = threeSegments();
    const scannedFrom = (watermark: number) =>
      new LogBuilder()
        .group(entries(3), 0)
        .newSegment()
        .group(entries(3), 0)
        .newSegment()
        .group(entries(3), watermark)
        .judge().scannedFrom;
    assert.deepEqual([0, 3, 4, 6].map(scannedFrom), [0, 0, 1, 1]);
    assert.equal(builder.judge({ state: state(18) }).scannedFrom, 2);
    assert.equal(builder.judge({ full: true }).scannedFrom, 0);
  });

  test('is looked for before the first segment that starts above it, should a later one start below', () => {
    const builder = new LogBuilder().group(entries(3), 0).newSegment().group(entries(3), 2).newSegment();
    builder.nextLsn = 2;
    assert.deepEqual(rowOf(builder.group(entries(5), 1).judge()), { row: 6, lastLsn: 6, watermark: 2 });
  });

  test('is not held by a segment behind the end of the log', () => {
    const builder = new LogBuilder().group(entries(3), 0).group(entries(3), 3).newSegment().raw(fill(30, 1));
    builder.newSegment().nextLsn = 2;
    assert.deepEqual(rowOf(builder.group(entries(5), 1).judge()), { row: 6, lastLsn: 6, watermark: 3 });
  });

  test('is not held by a segment that begins with a frame which a removed file left in its block', () => {
    for (const firstLsn of [2, 11, 12]) {
      const [bytes] = new LogBuilder({ isPlain: true, firstLsn }).group(entries(1), 0).build();
      const segments = [...threeSegments().build().slice(0, 2), concat([bytes, new Uint8Array(400)])];
      assert.deepEqual(rowOf(judge(segments, { state: state(12) })), { row: 6, lastLsn: 12, watermark: 12 });
    }
  });

  test("is held by a segment of wal-go's where one is the last", () => {
    const builder = new LogBuilder({ isPlain: true });
    for (let segment = 0; segment < 3; segment++) builder.newSegment().group(entries(3), 0);
    const { scannedFrom, lastLsn } = judge(builder.build(), { state: state(9) });
    assert.deepEqual([scannedFrom, lastLsn], [2, 9]);
  });

  test('shows where the entries start that were not known to be durable', () => {
    const builder = threeSegments();
    assert.deepEqual(builder.judge().firstUnsynced, startOf(builder, 16));
    assert.deepEqual(builder.judge({ state: state(17) }).firstUnsynced, startOf(builder, 18));
    assert.equal(builder.judge({ state: state(18) }).firstUnsynced, undefined);
  });

  test('shows them in a large segment, and across removed LSNs', () => {
    const builder = new LogBuilder();
    for (let i = 0; i < 30; i++) builder.group(entries(20, 5000), 0);
    builder.frame({ data: fill(10, 1), syncedLsn: 0, skipped: 50 });
    for (const lsn of [0, 1, 299, 300, 598, 599]) {
      assert.deepEqual(builder.judge({ state: state(lsn) }).firstUnsynced, startOf(builder, lsn + 1));
    }
    for (const lsn of [600, 601, 650]) {
      assert.deepEqual(builder.judge({ state: state(lsn) }).firstUnsynced, startOf(builder, 651));
    }
  });
});

test('opening reads only the first frames of full segments', () => {
  const builder = new LogBuilder();
  for (let segment = 0; segment < 40; segment++) {
    builder.newSegment();
    for (let group = 0; group < 10; group++) builder.group(entries(10, 1000), builder.lastLsn);
  }
  let bytesRead = 0;
  let openFiles = 0;
  let openFilesMax = 0;
  const segments = builder.build().map((bytes, number) => ({
    number,
    open: () => {
      const source = new MemorySource(bytes);
      openFilesMax = Math.max(openFilesMax, ++openFiles);
      return {
        size: source.size,
        read: (offset: number, length: number) => {
          const piece = source.read(offset, length);
          bytesRead += piece.length;
          return piece;
        },
        close: () => openFiles--,
      };
    },
  }));
  assert.equal(judgeLog({ segments, state: undefined }).row, 5);
  assert.deepEqual([openFiles, openFilesMax], [0, 1]);
  assert.ok(bytesRead < 40 * 5000 + 4 * builder.offset, `${bytesRead} bytes read`);
});

test('the last entry of a segment that is not scanned follows from the next one, removed entries left out', () => {
  const builder = new LogBuilder().group(entries(3), 0).newSegment();
  builder.frame({ data: fill(9, 1), syncedLsn: 3, skipped: 10 }).group(entries(2), 14);
  const { segments, row } = builder.judge({ state: state(14) });
  assert.equal(row, 5);
  assert.deepEqual(
    segments.map(({ firstLsn, lastLsn, scanned }) => [firstLsn, lastLsn, scanned]),
    [
      [1, 3, false],
      [14, 16, true],
    ],
  );
});

test('what a full reading finds torn is corrupt if the reading of open finds it so', () => {
  // The frame that skips a thousand LSNs leads the chain past every watermark that stands behind it.
  const builder = new LogBuilder().group(entries(1), 0).frame({ data: fill(9, 1), skipped: 1000 });
  builder.raw(fill(10, 3));
  builder.nextLsn = 5;
  builder.newSegment().group(entries(1), 4).raw(fill(10, 3));
  builder.nextLsn = 7;
  builder.newSegment().group(entries(1), 6);
  const [opened, whole] = [builder.judge(), builder.judge({ full: true })];
  assert.deepEqual([opened.row, opened.lastLsn], [2, 5]);
  assert.deepEqual([whole.row, whole.verdict, whole.lastLsn], [2, 'corrupt', 1002]);
});

test('what a full reading finds torn is corrupt if open keeps entries behind it', () => {
  const builder = new LogBuilder({ isPlain: true });
  for (let segment = 0; segment < 3; segment++) builder.newSegment().group(entries(2), 0);
  const [, second, third] = builder.build() as [Uint8Array, Uint8Array, Uint8Array];
  // The last segment has come again as the first one.
  const segments = [third, second, third];
  const [opened, whole] = [
    judge(segments, { state: state(6) }),
    judge(segments, { state: state(6), full: true }),
  ];
  assert.deepEqual([opened.row, opened.end.segment], [5, 2]);
  assert.deepEqual([whole.row, whole.verdict, whole.end.segment], [4, 'corrupt', 0]);
  assert.deepEqual(whole.trouble && [whole.trouble.segment, whole.trouble.offset], [1, 0]);
});

test('empty segments in front of the first entry have none', () => {
  const judgement = new LogBuilder({ isPlain: true }).newSegment().newSegment().group(entries(2), 0).judge();
  assert.deepEqual(
    [judgement.firstLsn, judgement.lastLsn, judgement.end.segment, judgement.segments[0].firstLsn],
    [1, 2, 1, 0],
  );
});

test('every reason has words', () => {
  assert.equal(describeReason('missing-segment'), 'its segment is missing');
  assert.equal(describeReason('size'), 'its size is impossible');
});
