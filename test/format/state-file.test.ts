import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { decodeState, encodeState, type LogState } from '../../src/format/state-file.js';
import { flip, hex } from './log-builder.js';
import { propertyTest } from './property.js';

const PLAIN: LogState = { logId: 0x8877_6655_4433_2211n, watermark: 300, checkpoint: 2 ** 40 + 1 };
const CUT: LogState = { ...PLAIN, pendingCut: { segment: 3, offset: 4096, lsn: 299 } };

// As the header of src/format/state-file.ts draws them, with the CRC-32 of Python's zlib.
const PLAIN_BYTES = hex(`72696e6777616c00 01000000 1122334455667788
  2c01000000000000 0100000000010000 00000000 b6b59dda`);
const CUT_BYTES = hex(`72696e6777616c00 01000000 1122334455667788
  2c01000000000000 0100000000010000 01000000
  0300000000000000 0010000000000000 2b01000000000000 9bb1260b`);

/** `bytes` with others at `at` and a checksum that matches. */
function forge(bytes: Uint8Array, at: number, replacement: string): Uint8Array {
  const forged = bytes.slice();
  forged.set(hex(replacement), at);
  const end = forged.length - 4;
  new DataView(forged.buffer).setUint32(end, crc32(forged.subarray(0, end)), true);
  return forged;
}

function faultOf(bytes: Uint8Array): string | undefined {
  const state = decodeState(bytes);
  return 'fault' in state ? state.fault : undefined;
}

test('a state is written byte for byte as drawn, and reads back', () => {
  assert.deepEqual(encodeState(PLAIN), PLAIN_BYTES);
  assert.deepEqual(decodeState(PLAIN_BYTES), PLAIN);
  assert.deepEqual(encodeState(CUT), CUT_BYTES);
  assert.deepEqual(decodeState(CUT_BYTES), CUT);
});

test('a state that is cut, lengthened or damaged anywhere is a fault', () => {
  for (const bytes of [PLAIN_BYTES, CUT_BYTES]) {
    for (let length = 0; length < bytes.length; length++) assert.ok(faultOf(bytes.subarray(0, length)));
    for (let at = 0; at < bytes.length; at++) assert.ok(faultOf(flip(bytes, at)));
    assert.ok(faultOf(Uint8Array.of(...bytes, 0)));
  }
});

test('a state that says what no version writes is a fault, though its checksum matches', () => {
  assert.match(faultOf(forge(PLAIN_BYTES, 8, '02'))!, /version 2/);
  assert.match(faultOf(forge(PLAIN_BYTES, 36, '01'))!, /contradicts/);
  assert.match(faultOf(forge(CUT_BYTES, 36, '00'))!, /contradicts/);
  assert.match(faultOf(forge(CUT_BYTES, 36, '02'))!, /contradicts/);
  assert.match(faultOf(forge(PLAIN_BYTES, 20, '0000000000002000'))!, /out of range/);
  assert.match(faultOf(forge(CUT_BYTES, 48, 'ffffffffffffffff'))!, /out of range/);
});

const lsn = fc.maxSafeNat();

propertyTest(
  'any state reads back',
  fc.property(
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    lsn,
    lsn,
    fc.option(fc.record({ segment: lsn, offset: lsn, lsn }, { noNullPrototype: true }), { nil: undefined }),
    (logId, watermark, checkpoint, pendingCut) => {
      const state = { logId, watermark, checkpoint, ...(pendingCut === undefined ? {} : { pendingCut }) };
      assert.deepEqual(decodeState(encodeState(state)), state);
    },
  ),
);

propertyTest(
  'any bytes decode to a fault or to the state that encodes to them',
  fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
    const state = decodeState(bytes);
    if (!('fault' in state)) assert.deepEqual(encodeState(state), bytes);
  }),
);
