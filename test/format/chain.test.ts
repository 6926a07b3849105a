import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ChainContext, createChain, followFrame, validateFrame } from '../../src/format/chain.js';
import { encodeFrame, type FrameFields } from '../../src/format/encode.js';
import { createFrame, type FrameFault, frameChecksumSeed } from '../../src/format/frame.js';
import { parseFrame } from '../../src/format/frame-parser.js';
import { fill, flip, LOG_ID } from './log-builder.js';

const STAMP = { logId: LOG_ID, number: 3, createdMs: 5, recycled: false, branch: 0n };

function encode(fields: Partial<FrameFields>): Uint8Array {
  const checksumSeed = frameChecksumSeed(LOG_ID, 3);
  return encodeFrame({ lsn: 10, data: fill(30, 1), checksumSeed, fileOffset: 100, ...fields });
}

function validate(bytes: Uint8Array, place: Partial<ChainContext> = {}): FrameFault | undefined {
  const frame = createFrame();
  assert.equal(parseFrame(bytes, 0, bytes.length, frame), undefined);
  return validateFrame(bytes, 0, frame, { ...createChain(LOG_ID, 3), fileOffset: 100, ...place });
}

test('a frame follows its predecessor by LSN', () => {
  assert.equal(validate(encode({}), { expectedLsn: 10 }), undefined);
  assert.equal(validate(encode({}), { expectedLsn: 9 }), 'lsn');
  assert.equal(validate(encode({}), { expectedLsn: 11 }), 'lsn');
});

test('the first frame that is scanned may have any LSN', () => {
  assert.equal(validate(encode({}), { expectedLsn: 0 }), undefined);
  assert.equal(validate(encode({ skipped: 4 }), { expectedLsn: 0 }), undefined);
});

test('skipped LSNs count, and must be skipped', () => {
  assert.equal(validate(encode({ skipped: 4 }), { expectedLsn: 6 }), undefined);
  assert.equal(validate(encode({ skipped: 4 }), { expectedLsn: 10 }), 'lsn');
  assert.equal(validate(encode({ skipped: 4 }), { expectedLsn: 7 }), 'lsn');
});

test('a batch counts down to its last entry', () => {
  assert.equal(validate(encode({ batchRemaining: 2 }), { batchRemaining: 3 }), undefined);
  assert.equal(validate(encode({}), { batchRemaining: 1 }), undefined);
  assert.equal(validate(encode({}), { batchRemaining: 2 }), 'batch');
  assert.equal(validate(encode({ batchRemaining: 2 }), { batchRemaining: 2 }), 'batch');
  assert.equal(validate(encode({ batchRemaining: 9 }), { batchRemaining: 0 }), undefined);
});

test('data and LSN are under the CRC', () => {
  const bytes = encode({});
  assert.equal(validate(flip(bytes, 10)), 'data-checksum');
  assert.equal(validate(flip(bytes, 5)), 'data-checksum');
});

test('what stands around the data is under the frame checksum', () => {
  const bytes = encode({ syncedLsn: 9 });
  assert.equal(validate(flip(bytes, bytes.length - 6)), 'frame-checksum');
  assert.equal(validate(flip(bytes, bytes.length - 1)), 'frame-checksum');
});

test('the frame checksum stands on every frame that has more than LSN, data and CRC', () => {
  const bytes = encode({ syncedLsn: 9 }).slice(0, -5);
  bytes[0] -= 5;
  assert.equal(validate(bytes), 'frame-checksum');
});

test('a frame with frame checksum is valid at its own offset, in its own file, of its own log', () => {
  const bytes = encode({ syncedLsn: 9 });
  assert.equal(validate(bytes), undefined);
  assert.equal(validate(bytes, { fileOffset: 101 }), 'frame-checksum');
  assert.equal(validate(bytes, { seed: frameChecksumSeed(LOG_ID, 4) }), 'frame-checksum');
  assert.equal(validate(bytes, { seed: frameChecksumSeed(LOG_ID + 1n, 3) }), 'frame-checksum');
});

test('a Segment that names another file or another log makes an intact frame invalid', () => {
  const bytes = encode({ segment: STAMP, syncedLsn: 9 });
  assert.equal(validate(bytes), undefined);
  assert.equal(validate(bytes, { number: 4 }), 'other-segment');
  assert.equal(validate(bytes, { logId: 1n }), 'other-log');
});

test('where nothing names the log, the first Segment does; before it no extension can be trusted', () => {
  const chain = { ...createChain(undefined, 3), fileOffset: 100 };
  assert.equal(validate(encode({ syncedLsn: 9 }), chain), 'log-unknown');
  assert.equal(validate(encode({}), chain), undefined);
  const stamped = encode({ segment: STAMP, syncedLsn: 9 });
  assert.equal(validate(stamped, chain), undefined);

  const frame = createFrame();
  parseFrame(stamped, 0, stamped.length, frame);
  followFrame(chain, frame);
  assert.equal(chain.logId, LOG_ID);
  const next = encode({ lsn: 11, syncedLsn: 9, fileOffset: chain.fileOffset });
  assert.equal(validate(next, chain), undefined);
});

test('a reader of a single file takes its number from the first Segment', () => {
  const chain = { ...createChain(undefined, -1), fileOffset: 100 };
  const frame = createFrame();
  const stamped = encode({ segment: STAMP });
  parseFrame(stamped, 0, stamped.length, frame);
  assert.equal(validateFrame(stamped, 0, frame, chain), undefined);
  followFrame(chain, frame);
  assert.equal(chain.number, 3);
});
