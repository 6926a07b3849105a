import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { copyIn } from '../../src/ring/copy-in.js';
import { RECORD_HEADER_BYTES, recordBytes } from '../../src/ring/layout.js';
import { SEED } from '../seed.js';

/** Around the limits between the ways to copy, and anything else. */
const length = fc.oneof(
  fc.nat(80),
  fc.integer({ min: 2048 - 20, max: 2048 + 20 }),
  fc.integer({ min: 4096 - 20, max: 4096 + 20 }),
  fc.nat(150_000),
);
const AT = 1024;
const UNTOUCHED = 0xa5;

test(`a copy into the ring has the bytes of its source, wherever that lies, and none beyond its record (seed ${SEED})`, () => {
  fc.assert(
    fc.property(length, fc.nat(15), fc.integer({ min: 1, max: 255 }), (bytes, offset, first) => {
      const from = new Uint8Array(new ArrayBuffer(bytes + 16), offset, bytes);
      for (let i = 0; i < bytes; i++) from[i] = (first + i * 7) & 0xff;
      const ring = new Uint8Array(new SharedArrayBuffer(AT + bytes + 64)).fill(UNTOUCHED);
      copyIn(from, bytes, ring, AT);
      const copied = Buffer.from(ring.slice(AT, AT + bytes));
      assert.ok(copied.equals(from), `${bytes} bytes from offset ${offset}`);
      const recordEnd = AT - RECORD_HEADER_BYTES + recordBytes(bytes);
      assert.ok(ring.subarray(0, AT).every((byte) => byte === UNTOUCHED));
      assert.ok(ring.subarray(recordEnd).every((byte) => byte === UNTOUCHED));
    }),
    { seed: SEED, numRuns: 600 },
  );
});
