import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import {
  decodeSalvageMark,
  encodeSalvageMark,
  type LsnRun,
  runsInclude,
} from '../../src/format/salvage-mark.js';
import { flip, hex } from './log-builder.js';
import { propertyTest } from './property.js';

const MARK = { logId: 0x8877_6655_4433_2211n, kept: [[1, 300] as const, [2 ** 40, 2 ** 40 + 1] as const] };
const DRAWN = hex(`727773616c766167 01000000 02000000 1122334455667788
  0100000000000000 2c01000000000000 0000000000010000 0100000000010000`);

test('a mark is written byte for byte as drawn, and reads back', () => {
  const bytes = encodeSalvageMark(MARK);
  assert.deepEqual(bytes.subarray(0, -4), DRAWN);
  assert.equal(new DataView(bytes.buffer).getUint32(DRAWN.length, true), crc32(DRAWN));
  assert.deepEqual(decodeSalvageMark(bytes), MARK);
});

test('a mark that is cut, lengthened or damaged anywhere is none', () => {
  const bytes = encodeSalvageMark(MARK);
  for (let length = 0; length < bytes.length; length++)
    assert.equal(decodeSalvageMark(bytes.subarray(0, length)), undefined);
  for (let at = 0; at < bytes.length; at++) assert.equal(decodeSalvageMark(flip(bytes, at)), undefined);
  assert.equal(decodeSalvageMark(Uint8Array.of(...bytes, 0)), undefined);
});

test('runs that do not ascend make no mark, though the checksum matches', () => {
  for (const kept of [
    [[0, 3]],
    [[3, 2]],
    [
      [1, 3],
      [3, 4],
    ],
    [
      [5, 6],
      [1, 2],
    ],
    [[1, 2 ** 53]],
  ] as LsnRun[][])
    assert.equal(decodeSalvageMark(encodeSalvageMark({ ...MARK, kept })), undefined);
});

propertyTest(
  'any bytes are decoded without a throw',
  fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
    decodeSalvageMark(bytes);
  }),
);

test('an LSN is included when one of the runs has it', () => {
  const includes = runsInclude(MARK.kept.concat([[2 ** 41, 2 ** 41]]));
  const lsns = [1, 300, 301, 2 ** 40 - 1, 2 ** 40, 2 ** 40 + 1, 2 ** 40 + 2, 2 ** 41, 2 ** 41 + 1];
  assert.deepEqual(lsns.filter(includes), [1, 300, 2 ** 40, 2 ** 40 + 1, 2 ** 41]);
});
