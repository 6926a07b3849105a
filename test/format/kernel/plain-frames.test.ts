import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createChain, followFrame, validateFrame } from '../../../src/format/chain.js';
import { encodeFrame } from '../../../src/format/encode.js';
import { createFrame, MAX_LSN } from '../../../src/format/frame.js';
import { parseFrame } from '../../../src/format/frame-parser.js';
import { PlainFrames } from '../../../src/format/kernel/plain-frames.js';
import { fill } from '../log-builder.js';
import { propertyTest } from '../property.js';

const kernel = PlainFrames.create() as PlainFrames;

interface Found {
  readonly frames: number;
  readonly stoppedAt: number;
  /** Start and end of the data of each frame. */
  readonly data: number[];
}

function scan(bytes: Uint8Array, firstLsn: number, wantedLsn = firstLsn, lastLsn = MAX_LSN): Found {
  kernel.load(bytes);
  const frames = kernel.scan(0, bytes.length, bytes.length, firstLsn, wantedLsn, lastLsn);
  const wanted = Math.max(0, firstLsn + frames - Math.max(firstLsn, wantedLsn));
  return { frames, stoppedAt: kernel.stoppedAt, data: [...kernel.index.subarray(0, 2 * wanted)] };
}

/** What the parser says: plain frames only, as far as they are valid. */
function scanByParser(bytes: Uint8Array, firstLsn: number): Found {
  const chain = createChain(undefined, 0);
  chain.expectedLsn = firstLsn;
  const frame = createFrame();
  const data: number[] = [];
  let at = 0;
  let frames = 0;
  for (;;) {
    const fault =
      parseFrame(bytes, at, bytes.length, frame) ??
      (frame.extended ? 'extended' : validateFrame(bytes, at, frame, chain));
    if (fault !== undefined) return { frames, stoppedAt: at, data };
    data.push(frame.dataStart, frame.dataEnd);
    at += frame.byteLength;
    frames += 1;
    followFrame(chain, frame);
  }
}

/** Frames one behind the other; those whose number is in `extended` carry a watermark. */
function frames(lengths: readonly number[], firstLsn: number, extended: readonly number[] = []): Uint8Array {
  let fileOffset = 0;
  const parts = lengths.map((length, i) => {
    const part = encodeFrame({
      lsn: firstLsn + i,
      data: fill(length, i),
      checksumSeed: 1,
      fileOffset,
      syncedLsn: extended.includes(i) ? 0 : undefined,
    });
    fileOffset += part.length;
    return part;
  });
  return Buffer.concat(parts);
}

const lsn = fc.oneof(
  fc.integer({ min: 1, max: 300 }),
  fc.integer({ min: 1, max: MAX_LSN - 100 }),
  fc.nat(45).map((bits) => Math.max(1, 2 ** bits - 1)),
);
const lengths = fc.array(fc.oneof(fc.nat(40), fc.nat(40), fc.nat(20_000)), { minLength: 1, maxLength: 12 });

propertyTest(
  'the reading kernel goes over plain frames exactly as far as the parser finds them valid, whatever was changed or cut off',
  fc.property(
    lengths,
    lsn,
    fc.array(fc.nat(11), { maxLength: 2 }),
    fc.array(fc.record({ at: fc.nat(), bits: fc.integer({ min: 1, max: 255 }) }), { maxLength: 3 }),
    fc.option(fc.nat()),
    (all, firstLsn, extended, flips, cut) => {
      const whole = frames(all, firstLsn, extended);
      const bytes = cut === null ? whole : whole.subarray(0, cut % (whole.length + 1));
      for (const { at, bits } of flips) if (bytes.length > 0) bytes[at % bytes.length] ^= bits;
      assert.deepEqual(scan(bytes, firstLsn), scanByParser(bytes, firstLsn));
    },
  ),
  { numRuns: 1000 },
);

propertyTest(
  'changes near the start of a frame, where its numbers are, are met as the parser meets them',
  fc.property(
    fc.array(fc.nat(200), { minLength: 1, maxLength: 4 }),
    lsn,
    fc.nat(3),
    fc.array(fc.tuple(fc.nat(24), fc.nat(255)), { minLength: 1, maxLength: 4 }),
    (all, firstLsn, victim, changes) => {
      const bytes = frames(all, firstLsn);
      const start = frames(all.slice(0, victim % all.length), firstLsn).length;
      for (const [at, value] of changes) if (start + at < bytes.length) bytes[start + at] = value;
      assert.deepEqual(scan(bytes, firstLsn), scanByParser(bytes, firstLsn));
    },
  ),
  { numRuns: 3000 },
);

test('a length, an LSN or a checksum that is written longer than it need be is not gone over', () => {
  const frame = frames([100], 5);
  // size | 08 05 | 12 64 | …: the length in as many bytes as a varint may have, with the same 32 low bits.
  for (const length of [
    [0xe4, 0x00],
    [0xe4, 0x80, 0x00],
    [0xe4, 0x80, 0x80, 0x80, 0x10],
    [0xe4, 0x80, 0x80, 0x80, 0x80, 0x01],
  ]) {
    const bytes = Buffer.concat([frame.subarray(0, 7), Buffer.from(length), frame.subarray(8)]);
    bytes.writeUInt32LE(bytes.length - 4);
    assert.equal(scan(bytes, 5).frames, 0);
    assert.equal(scan(bytes, 5, 6).frames, 0);
  }
  assert.equal(scan(frame, 5).frames, 1);
});

test('frames below the LSN that is wanted are gone over unverified, and are not in the index', () => {
  const bytes = frames([30, 30, 30, 30], 10);
  const { data } = scanByParser(bytes, 10);
  bytes[20] ^= 1;
  assert.deepEqual(scan(bytes, 10, 12), { frames: 4, stoppedAt: bytes.length, data: data.slice(4) });
  assert.equal(scan(bytes, 10, 10).frames, 0);
});

test('the kernel pauses at the first frame that does not start before the place it is told', () => {
  const bytes = frames([30, 30, 30, 30], 10);
  const frameBytes = bytes.length / 4;
  kernel.load(bytes);
  for (const [until, expected] of [
    [0, 0],
    [1, 1],
    [frameBytes, 1],
    [frameBytes + 1, 2],
    [bytes.length, 4],
  ] as const) {
    assert.equal(kernel.scan(0, until, bytes.length, 10, 10, MAX_LSN), expected);
    assert.equal(kernel.stoppedAt, expected * frameBytes);
  }
});

test('no more frames are gone over than are asked for, or than the index holds', () => {
  const bytes = frames([30, 30, 30, 30], 10);
  assert.equal(scan(bytes, 10, 10, 11).frames, 2);
  assert.equal(scan(bytes, 10, 10, 9).frames, 0);
  const small = frames(Array(20_000).fill(0), 1);
  let found = 0;
  kernel.load(small);
  for (let at = 0; at < small.length; at = kernel.stoppedAt) {
    found += kernel.scan(at, small.length, small.length, found + 1, found + 1, MAX_LSN);
  }
  assert.equal(found, 20_000);
});
