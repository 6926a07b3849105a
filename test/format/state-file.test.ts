import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import {
  decodeState,
  emptyState,
  encodeState,
  endingWith,
  type LogState,
  STATE_BYTES_MAX,
} from '../../src/format/state-file.js';
import { flip, hex } from './log-builder.js';
import { propertyTest } from './property.js';

const PLAIN: LogState = {
  ...emptyState(0x8877_6655_4433_2211n),
  branch: 0x1020_3040_5060_7080n,
  watermark: 300,
  floor: 7,
  checkpoint: 2 ** 40 + 1,
  archived: 3,
};
const FULL: LogState = {
  ...PLAIN,
  namedCheckpoints: new Map([
    ['index', { lsn: 5, data: hex('') }],
    ['mailer', { lsn: 299, data: hex('ff00') }],
    ['ä', { lsn: 0, data: hex('78') }],
  ]),
  pendingCut: { segment: 3, offset: 4096, lsn: 299 },
};
const REPLICATED: LogState = {
  ...PLAIN,
  replicated: { epoch: 9, lsn: 290, chain: new Uint8Array(32).map((_, at) => at) },
};

// As the header of src/format/state-file.ts draws them, with the CRC-32 of Python's zlib.
const PLAIN_BYTES = hex(`72696e6777616c00 02000000 1122334455667788 8070605040302010
  2c01000000000000 0700000000000000 0100000000010000 0300000000000000 00000000 00000000 a4c98cf6`);
const FULL_BYTES = hex(`72696e6777616c00 02000000 1122334455667788 8070605040302010
  2c01000000000000 0700000000000000 0100000000010000 0300000000000000 01000000
  0300000000000000 0010000000000000 2b01000000000000 03000000
  05 696e646578 0500000000000000 0000
  06 6d61696c6572 2b01000000000000 0200 ff00
  02 c3a4 0000000000000000 0100 78
  9ee0c5a7`);
/** Where the second name begins. */
const MAILER_AT = 92 + 16;

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
  assert.deepEqual(encodeState(FULL), FULL_BYTES);
  assert.deepEqual(decodeState(FULL_BYTES), FULL);
});

test('how far the log is replicated stands before the names: epoch, LSN, chain', () => {
  const bytes = encodeState(REPLICATED);
  const chain = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f';
  assert.deepEqual(
    bytes.subarray(60, -4),
    hex(`04000000 0900000000000000 2201000000000000 ${chain} 00000000`),
  );
  assert.deepEqual(decodeState(bytes), REPLICATED);
});

test('a log that ends before the place up to which it was replicated does not know that place any more', () => {
  assert.deepEqual(endingWith(REPLICATED, 290).replicated, REPLICATED.replicated);
  assert.deepEqual(endingWith(REPLICATED, 289).replicated, { epoch: 9, lsn: 0, chain: new Uint8Array(32) });
  assert.equal(endingWith(PLAIN, 1).replicated, undefined);
});

test('a state that is cut, lengthened or damaged anywhere is a fault', () => {
  for (const bytes of [PLAIN_BYTES, FULL_BYTES]) {
    for (let length = 0; length < bytes.length; length++) assert.ok(faultOf(bytes.subarray(0, length)));
    for (let at = 0; at < bytes.length; at++) assert.ok(faultOf(flip(bytes, at)));
    assert.ok(faultOf(Uint8Array.of(...bytes, 0)));
  }
});

test('a state that says what no version writes is a fault, though its checksum matches', () => {
  assert.match(faultOf(forge(PLAIN_BYTES, 8, '01'))!, /version 1/);
  assert.match(faultOf(forge(PLAIN_BYTES, 8, '03'))!, /version 3/);
  assert.match(faultOf(forge(PLAIN_BYTES, 60, '01'))!, /contradicts/);
  assert.match(faultOf(forge(FULL_BYTES, 60, '08'))!, /contradicts/);
  assert.match(faultOf(forge(PLAIN_BYTES, 60, '04'))!, /contradicts/);
  assert.match(faultOf(forge(FULL_BYTES, 60, '00'))!, /named checkpoints/);
  assert.match(faultOf(forge(PLAIN_BYTES, 28, '0000000000002000'))!, /out of range/);
  assert.match(faultOf(forge(FULL_BYTES, 72, 'ffffffffffffffff'))!, /out of range/);
});

test('named checkpoints that are not as a version writes them are a fault, though the checksum matches', () => {
  for (const [at, replacement] of [
    [88, '02'], // fewer than there are
    [88, '04'], // more than there are
    [88, '01010000'], // more than there may be
    [MAILER_AT, '00'], // no name
    [MAILER_AT, 'ff'], // a name beyond the end
    [MAILER_AT + 1, 'ff'], // a name that is no text
    [MAILER_AT + 1, '61'], // names that do not ascend
    [MAILER_AT + 15, '0110'], // more data than there may be
    [MAILER_AT + 15, '0100'], // the next one does not begin there
  ] as const)
    assert.match(faultOf(forge(FULL_BYTES, at, replacement))!, /named checkpoints/, `${at}: ${replacement}`);
  assert.match(faultOf(forge(FULL_BYTES, MAILER_AT + 7, 'ffffffffffffffff'))!, /out of range/);
});

test('the largest state is as long as a reader expects at most', () => {
  const data = new Uint8Array(4096);
  const names = Array.from({ length: 256 }, (_, at) => String(at).padStart(255, '-'));
  const { replicated } = REPLICATED;
  const state = {
    ...FULL,
    replicated,
    namedCheckpoints: new Map(names.map((name) => [name, { lsn: 1, data }])),
  };
  const bytes = encodeState(state);
  assert.equal(bytes.length, STATE_BYTES_MAX);
  assert.deepEqual(decodeState(bytes), state);
  const longer = new Uint8Array(bytes.length + 1);
  longer.set(bytes);
  assert.ok(faultOf(longer));
});

const lsn = fc.maxSafeNat();

const id = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

propertyTest(
  'any state reads back',
  fc.property(
    fc.record({ logId: id, branch: id, watermark: lsn, floor: lsn, checkpoint: lsn, archived: lsn }),
    fc.option(fc.record({ segment: lsn, offset: lsn, lsn }, { noNullPrototype: true }), { nil: undefined }),
    fc.dictionary(
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
      fc.record({ lsn, data: fc.uint8Array({ maxLength: 50 }) }, { noNullPrototype: true }),
      { maxKeys: 5 },
    ),
    fc.boolean(),
    fc.option(
      fc.record(
        { epoch: lsn, lsn, chain: fc.uint8Array({ minLength: 32, maxLength: 32 }) },
        { noNullPrototype: true },
      ),
      { nil: undefined },
    ),
    (fixed, pendingCut, named, isEmptied, replicated) => {
      const namedCheckpoints = new Map(Object.entries(named));
      const state = {
        ...fixed,
        namedCheckpoints,
        isEmptied,
        ...(pendingCut === undefined ? {} : { pendingCut }),
        ...(replicated === undefined ? {} : { replicated }),
      };
      assert.deepEqual({ ...decodeState(encodeState(state)) }, state);
    },
  ),
);

propertyTest(
  'any bytes decode to a fault or to the state that encodes to them',
  fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    const state = decodeState(bytes);
    if (!('fault' in state)) assert.deepEqual(encodeState(state), bytes);
  }),
);
