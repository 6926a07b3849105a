import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ByteSource, MemorySource } from '../../src/format/bytes.js';
import { createChain } from '../../src/format/chain.js';
import { encodeFrame } from '../../src/format/encode.js';
import { frameChecksumSeed, MAX_FRAME_SIZE, MAX_OVERHEAD, SIZE_WORD_BYTES } from '../../src/format/frame.js';
import { FrameReader } from '../../src/format/frame-reader.js';
import { SegmentScanner } from '../../src/format/scan.js';
import { entries, fill, flip, hex, LOG_ID, LogBuilder } from './log-builder.js';
import { propertyTest } from './property.js';

/** Keeps count of what is read. */
class CountingSource implements ByteSource {
  readonly #source: MemorySource;
  readonly size: number;
  bytesRead = 0;
  largestRead = 0;

  constructor(bytes: Uint8Array, size = bytes.length) {
    this.#source = new MemorySource(bytes);
    this.size = size;
  }

  read(offset: number, length: number): Uint8Array {
    const bytes = this.#source.read(offset, length);
    this.bytesRead += bytes.length;
    this.largestRead = Math.max(this.largestRead, length);
    return bytes;
  }
}

function lsnsOf(source: ByteSource, windowBytes?: number): { lsns: number[]; outcome: string | undefined } {
  const scanner = new SegmentScanner(source, createChain(undefined, 0), new FrameReader(windowBytes));
  const lsns: number[] = [];
  for (;;) {
    const outcome = scanner.next();
    if (outcome !== undefined) return { lsns, outcome };
    lsns.push(scanner.frame.lsn);
  }
}

propertyTest(
  'frames of any size are read through a window of any size',
  fc.property(
    fc.array(fc.oneof(fc.nat(40), fc.nat(2000)), { minLength: 1, maxLength: 12 }),
    fc.integer({ min: 1, max: 3000 }),
    (lengths, windowBytes) => {
      const builder = new LogBuilder();
      for (const [i, length] of lengths.entries())
        builder.group([fill(length, i), fill(3, i)], builder.lastLsn);
      const source = new CountingSource(builder.build()[0]);
      const { lsns, outcome } = lsnsOf(source, windowBytes);
      assert.equal(outcome, 'end');
      assert.deepEqual(
        lsns,
        builder.written.map(({ lsn }) => lsn),
      );
      assert.ok(source.largestRead <= Math.max(windowBytes, SIZE_WORD_BYTES + MAX_OVERHEAD));
    },
  ),
);

propertyTest(
  'damage to a frame larger than the window is seen wherever it is',
  fc.property(fc.nat(), fc.nat(7), (at, bit) => {
    const bytes = new LogBuilder().group([fill(3000, 1), fill(10, 2)], 0).build()[0];
    const { lsns, outcome } = lsnsOf(new MemorySource(flip(bytes, at % 3000, 1 << bit)), 256);
    assert.deepEqual(lsns, []);
    assert.notEqual(outcome, 'end');
  }),
);

test('a frame of many megabytes is checked without holding it', () => {
  const data = new Uint8Array(20 << 20).fill(0xa5);
  const bytes = new LogBuilder().group([data, fill(5, 1)], 0).build()[0];
  const source = new CountingSource(bytes);
  assert.deepEqual(lsnsOf(source), { lsns: [1, 2], outcome: 'end' });
  assert.ok(source.largestRead <= 256 * 1024);
});

test('a size that reaches beyond the file is believed for nothing', () => {
  for (const size of [MAX_FRAME_SIZE, 1000, 0x7fffffff, -1]) {
    const bytes = new LogBuilder().group([fill(50, 1)], 0).build()[0];
    new DataView(bytes.buffer).setInt32(0, size, true);
    const source = new CountingSource(bytes);
    assert.deepEqual(lsnsOf(source).lsns, []);
    assert.equal(source.bytesRead, bytes.length);
  }
});

test('the parts of a large frame are found at any offset without reading its data', () => {
  const fileOffset = 1000;
  const frame = encodeFrame({
    lsn: 5,
    data: fill(100_000, 1),
    syncedLsn: 4,
    checksumSeed: frameChecksumSeed(LOG_ID, 0),
    fileOffset,
  });
  const bytes = new Uint8Array(fileOffset + frame.length);
  bytes.set(frame, fileOffset);
  const source = new CountingSource(bytes);
  const reader = new FrameReader(512);
  reader.open(source);
  assert.equal(reader.parseAt(fileOffset), undefined);
  assert.equal(reader.frameChecksum(frameChecksumSeed(LOG_ID, 0)), reader.frame.frameCrc);
  assert.ok(source.bytesRead <= 512 + 128);
});

test('a byte is found across windows, and nowhere behind the end', () => {
  const bytes = new Uint8Array(1000);
  bytes[3] = bytes[700] = bytes[999] = 8;
  const reader = new FrameReader(256);
  reader.open(new MemorySource(bytes));
  assert.deepEqual(
    [0, 4, 700, 701, 1000].map((offset) => reader.find(8, offset)),
    [3, 700, 700, 999, -1],
  );
  // What an earlier, longer file left in the window is not part of this one.
  reader.open(new MemorySource(hex('00 00 00')));
  assert.equal(reader.find(8, 0), -1);
});

test('a file that becomes shorter under the reader is an error, not a shorter log', () => {
  const bytes = new LogBuilder().group(entries(30), 0).build()[0];
  const shrunk = new CountingSource(bytes.subarray(0, 200), bytes.length);
  assert.throws(() => lsnsOf(shrunk), /expected/);
});

test('a frame beyond 4 GiB is read in its place', () => {
  const fileOffset = 5 * 2 ** 30 + 3;
  const seed = frameChecksumSeed(LOG_ID, 0);
  const frame = encodeFrame({
    lsn: 2 ** 40,
    data: fill(300, 1),
    syncedLsn: 4,
    checksumSeed: seed,
    fileOffset,
  });
  const reader = new FrameReader(256);
  reader.open({
    size: fileOffset + frame.length,
    read: (offset, length) => new MemorySource(frame).read(offset - fileOffset, length),
  });
  assert.equal(reader.find(0x08, fileOffset), fileOffset + 4);
  assert.equal(reader.parseAt(fileOffset), undefined);
  assert.equal(reader.validate({ ...createChain(LOG_ID, 0), fileOffset }), undefined);
});
