import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { type Block, CODEC, parseBlock, writeBlockField } from '../../src/format/block.js';
import { checkOrder, createChain, validateFrame } from '../../src/format/chain.js';
import { encodeFrame } from '../../src/format/encode.js';
import { createFrame, type Frame, frameChecksumSeed, MAX_LSN } from '../../src/format/frame.js';
import { parseFrame } from '../../src/format/frame-parser.js';
import { hex, LOG_ID } from './log-builder.js';
import { propertyTest } from './property.js';

const schema = protobuf.loadSync(join(import.meta.dirname, '../../proto/wal.proto'));
const BlockMessage = schema.lookupType('ringwal.Block');

const KiB = 1024;
const MiB = 1024 * KiB;

function block(fields: Partial<Block> = {}): Block {
  return {
    entries: 1,
    rawBytes: 100,
    codec: CODEC.lz4,
    keyHeaderBytes: 0,
    epoch: 0,
    counter: 0,
    continues: false,
    ...fields,
  };
}

/** Tag and length of the field come first. */
function contentOf(fields: Block): Uint8Array {
  const bytes = new Uint8Array(64);
  return bytes.subarray(3, writeBlockField(bytes, 0, fields));
}

function parse(content: Uint8Array, dataBytes: number): Block | 'unsupported' | undefined {
  return parseBlock(content, 0, content.length, dataBytes);
}

const blocks = fc
  .record({
    entries: fc.integer({ min: 1, max: 2 ** 20 }),
    codec: fc.constantFrom(CODEC.lz4, CODEC.zstd),
    continues: fc.boolean(),
    spare: fc.nat(200),
  })
  .map(({ spare, ...fields }) =>
    block({
      ...fields,
      rawBytes: Math.min(fields.entries + 4 + spare, MiB),
      entries: Math.min(fields.entries, MiB - 4),
    }),
  );

propertyTest(
  'any Block has the bytes that protobufjs gives it, and parses to what it was made of',
  fc.property(blocks, (fields) => {
    const content = contentOf(fields);
    const { entries, rawBytes, codec, continues } = fields;
    const message = { entries, rawBytes, codec, ...(continues ? { continues } : {}) };
    assert.deepEqual(Buffer.from(content), Buffer.from(BlockMessage.encode(message).finish()));
    assert.deepEqual(parse(content, MiB), fields);
  }),
);

describe('what a Block may say', () => {
  test('a stored run is exactly as long as the data', () => {
    const stored = block({ codec: CODEC.stored, rawBytes: 1000 });
    assert.deepEqual(parse(contentOf(stored), 1000), stored);
    assert.equal(parse(contentOf(stored), 999), undefined);
    assert.equal(parse(contentOf(stored), 1001), undefined);
  });

  test('every entry has a byte in the run, besides the checksum', () => {
    assert.ok(parse(contentOf(block({ entries: 96 })), 100));
    assert.equal(parse(contentOf(block({ entries: 97 })), 100), undefined);
  });

  test('a compressed run has at most 1 MiB, one of a single entry 64 MiB', () => {
    const many = (rawBytes: number) => parse(contentOf(block({ entries: 2, rawBytes })), MiB);
    assert.ok(many(MiB));
    assert.equal(many(MiB + 1), undefined);
    const single = (rawBytes: number) => parse(contentOf(block({ rawBytes })), MiB);
    assert.ok(single(64 * MiB));
    assert.equal(single(64 * MiB + 1), undefined);
  });

  test('it becomes at most 64 KiB and 1,024 times the stored bytes', () => {
    const rawBytes = 64 * KiB + 1024 * 7;
    assert.ok(parse(contentOf(block({ rawBytes })), 7));
    assert.equal(parse(contentOf(block({ rawBytes: rawBytes + 1 })), 7), undefined);
  });

  test('there is a byte of data', () => assert.equal(parse(contentOf(block()), 0), undefined));

  test('zeros are not written, and a flag is 1', () => {
    assert.equal(parse(hex('0801 1064 1800'), 100), undefined);
    assert.equal(parse(hex('0801 1064 1801 3802'), 100), undefined);
  });

  test('only a sealed block has a counter and a key header, and it has a counter', () => {
    assert.equal(parse(contentOf(block({ counter: 1 })), 100), undefined);
    assert.equal(parse(contentOf(block({ keyHeaderBytes: 1 })), 100), undefined);
    assert.equal(parse(contentOf(block({ epoch: 1 })), 100), undefined);
  });
});

describe('a Block of a later version is unsupported', () => {
  const cases: Readonly<Record<string, string>> = {
    'a field that is not known': '0801 1064 1801 4001',
    'a field that is not known, below 15 or above': '0801 1064 1801 820101ff',
    'a codec that is not known': '0801 1064 1803',
    'a known field of another type': '0801 1201aa',
    'no entries': '1064 1801',
    'nothing at all': '',
    'what is no message': 'aabb',
    'a sealed one': '0801 1064 1801 2801 3001',
  };
  for (const [what, content] of Object.entries(cases))
    test(what, () => assert.equal(parse(hex(content), 116), 'unsupported'));
});

const SEED = frameChecksumSeed(LOG_ID, 3);

function frameOf(fields: {
  lsn: number;
  batchRemaining?: number;
  block: Block;
  syncedLsn?: number | undefined;
}): {
  bytes: Uint8Array;
  frame: Frame;
  fault: string | undefined;
} {
  const bytes = encodeFrame({
    data: new Uint8Array(fields.block.codec === CODEC.stored ? fields.block.rawBytes : 50),
    syncedLsn: 0,
    checksumSeed: SEED,
    fileOffset: 0,
    ...fields,
  });
  const frame = createFrame();
  const chain = { ...createChain(LOG_ID, 3), fileOffset: 0 };
  const fault = parseFrame(bytes, 0, bytes.length, frame) ?? validateFrame(bytes, 0, frame, chain);
  return { bytes, frame, fault };
}

describe('a frame with a Block', () => {
  test('has the LSNs of all its entries', () => {
    const { frame, fault } = frameOf({ lsn: 41, block: block({ entries: 10 }) });
    assert.equal(fault, undefined);
    assert.deepEqual([frame.lsn, frame.lastLsn], [41, 50]);
  });

  test('is not canonical without a watermark', () => {
    assert.equal(frameOf({ lsn: 1, block: block(), syncedLsn: undefined }).fault, 'not-canonical');
  });

  test('cannot go beyond the largest LSN', () => {
    assert.equal(frameOf({ lsn: MAX_LSN - 9, block: block({ entries: 10 }) }).fault, undefined);
    assert.equal(frameOf({ lsn: MAX_LSN - 8, block: block({ entries: 10 }) }).fault, 'not-canonical');
  });

  test('has its bytes', () => {
    const { bytes } = frameOf({
      lsn: 7,
      batchRemaining: 2,
      block: block({ entries: 3, codec: CODEC.stored, rawBytes: 7, continues: true }),
    });
    // Worked out apart from this code, as in golden.test.ts.
    assert.deepEqual(Buffer.from(bytes).toString('hex'), GOLDEN_FRAME.replaceAll(/\s/g, ''));
  });
});

const GOLDEN_FRAME =
  '23000000  0807  1207 00000000000000  18ca9599da0f  2000  2802  820106 0803 1007 3801  7d f8210601';

describe('rule 3 counts the entries of a block', () => {
  const order = (fields: Partial<Frame>) => ({
    lsn: 5,
    lastLsn: 9,
    skipped: 0,
    batchRemaining: 0,
    block: undefined,
    ...fields,
  });
  const continuing = { continues: true };
  const beginning = { continues: false };

  test('the next LSN follows on the last one of the block', () => {
    const chain = { expectedLsn: 5, batchRemaining: 0 };
    assert.equal(checkOrder(order({ block: block() }), chain), undefined);
    assert.equal(checkOrder(order({ block: block() }), { ...chain, expectedLsn: 6 }), 'lsn');
  });

  test('a batch goes on with as many entries fewer, in a block that says so', () => {
    const chain = { expectedLsn: 5, batchRemaining: 7 };
    assert.equal(checkOrder(order({ batchRemaining: 2, block: block(continuing) }), chain), undefined);
    assert.equal(checkOrder(order({ batchRemaining: 3, block: block(continuing) }), chain), 'batch');
    assert.equal(checkOrder(order({ batchRemaining: 2, block: block(beginning) }), chain), 'batch');
    assert.equal(
      checkOrder(order({ batchRemaining: 0, block: block(continuing) }), { ...chain, batchRemaining: 3 }),
      'batch',
    );
  });

  test('a block goes on with a batch only where one is open, or nothing before it is known', () => {
    assert.equal(
      checkOrder(order({ block: block(continuing) }), { expectedLsn: 5, batchRemaining: 0 }),
      'batch',
    );
    assert.equal(
      checkOrder(order({ block: block(continuing) }), { expectedLsn: 0, batchRemaining: 0 }),
      undefined,
    );
  });
});
