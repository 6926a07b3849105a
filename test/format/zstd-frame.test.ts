import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isZstdFrameOf } from '../../src/format/zstd-frame.js';
import { concat, hex } from './log-builder.js';

/** zstd's own output for 100 times 'a', with the size of the content. */
const FRAME = hex('28b52ffd 20 64 450000 10 6161 0100 3f012c');

describe('exactly one frame with the expected content size', () => {
  test('is accepted', () => assert.ok(isZstdFrameOf(FRAME, 100)));
  test('not with another size', () => assert.ok(!isZstdFrameOf(FRAME, 101)));
  test('not with junk behind it, another frame, or a skippable frame before or behind it', () => {
    const skippable = hex('502a4d18 00000000');
    for (const bytes of [
      concat([FRAME, hex('00')]),
      concat([FRAME, FRAME]),
      concat([FRAME, skippable]),
      concat([skippable, FRAME]),
    ])
      assert.ok(!isZstdFrameOf(bytes, 100));
  });
  test('not cut off anywhere', () => {
    for (let length = 0; length < FRAME.length; length++)
      assert.ok(!isZstdFrameOf(FRAME.subarray(0, length), 100), `${length} bytes`);
  });
});

describe('the header', () => {
  // Raw blocks of no bytes: the header alone counts.
  const LAST = '010000';
  const cases: Readonly<Record<string, readonly [string, number, boolean]>> = {
    'one segment of 5 bytes': [`28b52ffd 20 05 ${LAST}`, 5, true],
    'a checksum behind the blocks': [`28b52ffd 24 05 ${LAST} aabbccdd`, 5, true],
    'a checksum that is missing': [`28b52ffd 24 05 ${LAST}`, 5, false],
    'a window of 1 MiB': [`28b52ffd 80 50 00002000 ${LAST}`, 2 ** 21, true],
    'a window of 1 MiB and an eighth': [`28b52ffd 80 51 00002000 ${LAST}`, 2 ** 21, false],
    'a window of 128 MiB': [`28b52ffd 80 88 00002000 ${LAST}`, 2 ** 21, false],
    'one segment above 1 MiB, which is its window': [`28b52ffd a0 01001000 ${LAST}`, 2 ** 20 + 1, false],
    'a size of two bytes counts from 256': [`28b52ffd 60 0000 ${LAST}`, 256, true],
    'a size of eight bytes': [`28b52ffd e0 0500000000000000 ${LAST}`, 5, true],
    'a size that is not there': [`28b52ffd 00 50 ${LAST}`, 0, false],
    'a dictionary': [`28b52ffd 21 01 05 ${LAST}`, 5, false],
    'a reserved bit': [`28b52ffd 28 05 ${LAST}`, 5, false],
    'another magic': [`28b52ffe 20 05 ${LAST}`, 5, false],
    'a block of the reserved type': ['28b52ffd 20 05 070000', 5, false],
    'a block of one repeated byte': ['28b52ffd 20 05 2b0000 61', 5, true],
    'a block that passes the end': ['28b52ffd 20 05 290000 6161', 5, false],
  };
  for (const [what, [bytes, size, isAccepted]] of Object.entries(cases))
    test(what, () => assert.equal(isZstdFrameOf(hex(bytes), size), isAccepted));
});
