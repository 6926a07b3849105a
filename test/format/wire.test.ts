import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 as zlibCrc32 } from 'node:zlib';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { isZeroFrom, MemorySource } from '../../src/format/bytes.js';
import { crc32 } from '../../src/format/crc32.js';
import { readVarint, varintEnd, varintLength, writeVarint } from '../../src/format/wire.js';
import { propertyTest } from './property.js';

const edges = Array.from({ length: 53 }, (_, bit) => [2 ** bit - 1, 2 ** bit]).flat();
const uint53 = fc.oneof(fc.constantFrom(...edges, Number.MAX_SAFE_INTEGER), fc.maxSafeNat());

propertyTest(
  'varints are written as protobufjs writes them, and read back',
  fc.property(uint53, (value) => {
    const bytes = new Uint8Array(12);
    const end = writeVarint(bytes, 1, value);
    assert.deepEqual(
      bytes.subarray(1, end),
      Uint8Array.from(protobuf.Writer.create().uint64(value).finish()),
    );
    assert.equal(varintLength(value), end - 1);
    assert.equal(readVarint(bytes, 1, bytes.length), value);
    assert.equal(varintEnd, end);
    assert.equal(readVarint(bytes, 1, end - 1), -1);
  }),
  { numRuns: 1000 },
);

test('CRC-32 is that of IEEE', () => {
  assert.equal(crc32(new TextEncoder().encode('123456789')), 0xcbf43926);
  assert.equal(crc32(new Uint8Array(0)), 0);
});

propertyTest(
  'CRC-32 goes on where it stopped, and is that of zlib',
  fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
    assert.equal(crc32(b, crc32(a)), zlibCrc32(Buffer.concat([a, b])));
  }),
);

propertyTest(
  'a byte that is not zero is seen wherever it stands, at any alignment',
  fc.property(fc.nat(40), fc.nat(300), fc.nat(300), fc.boolean(), (start, length, at, isSet) => {
    const bytes = new Uint8Array(400).subarray(start, start + length);
    if (isSet && at < length) bytes[at] = 0x80;
    assert.equal(isZeroFrom(new MemorySource(bytes), 0), !(isSet && at < length));
    assert.equal(isZeroFrom(new MemorySource(bytes), Math.min(at + 1, length)), true);
  }),
  { numRuns: 500 },
);

test('zeros are zeros beyond one piece of a file', () => {
  const bytes = new Uint8Array(1_000_000);
  assert.ok(isZeroFrom(new MemorySource(bytes), 5));
  bytes[999_999] = 1;
  assert.ok(!isZeroFrom(new MemorySource(bytes), 5));
});
