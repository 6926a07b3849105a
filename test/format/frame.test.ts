import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { createChain, validateFrame } from '../../src/format/chain.js';
import { encodeFrame, encodeSegmentField, type FrameFields } from '../../src/format/encode.js';
import { createFrame, dataChecksum, frameChecksumSeed } from '../../src/format/frame.js';
import { parseFrame, peekFrameLength } from '../../src/format/frame-parser.js';
import { flip } from './log-builder.js';
import { propertyTest } from './property.js';

const schema = protobuf.loadSync(join(import.meta.dirname, '../../proto/wal.proto'));
const Entry = schema.lookupType('ringwal.WAL_Entry');
/** What wal-go knows of an entry. */
const PlainEntry = protobuf
  .parse('syntax = "proto3"; message E { uint64 logSequenceNumber = 1; bytes data = 2; uint32 CRC = 3; }')
  .root.lookupType('E');

type Fields = FrameFields & { data: Uint8Array };

const edges = Array.from({ length: 52 }, (_, bit) => 2 ** (bit + 1) - 1);
const lsn = fc.oneof(
  fc.constantFrom(1, 2, 127, 128, ...edges),
  fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
);
const count = fc.oneof(fc.constantFrom(0, 1, 127, 128), fc.maxSafeNat());
const logId = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });

const fieldsArbitrary: fc.Arbitrary<Fields> = fc
  .record({
    lsn,
    data: fc.uint8Array({ maxLength: 300 }),
    syncedLsn: optional(count),
    batchRemaining: optional(fc.nat(0xffffffff)),
    skipped: optional(count),
    timeMs: optional(count),
    segment: optional(fc.record({ createdMs: count, recycled: fc.boolean(), branch: logId })),
    logId,
    number: count,
    fileOffset: fc.nat(2 ** 31 - 1),
  })
  .map(({ logId, number, segment, syncedLsn, ...fields }) => ({
    ...fields,
    syncedLsn: syncedLsn === undefined ? undefined : syncedLsn % fields.lsn,
    segment: segment && { logId, number, ...segment },
    checksumSeed: frameChecksumSeed(logId, number),
  }));

/** The same frame, made by protobufjs and zlib from the description of the format alone. */
function oracleFrame({ segment, ...fields }: Fields): Uint8Array {
  const message = {
    logSequenceNumber: fields.lsn,
    ...(fields.data.length > 0 ? { data: fields.data } : {}),
    ...nonZero('CRC', crc32(Uint8Array.of(fields.lsn % 256), crc32(fields.data))),
    ...(fields.syncedLsn === undefined ? {} : { syncedLsn: fields.syncedLsn }),
    ...nonZero('batchRemaining', fields.batchRemaining ?? 0),
    ...nonZero('timeMs', fields.timeMs ?? 0),
    ...nonZero('skipped', fields.skipped ?? 0),
    ...(segment === undefined
      ? {}
      : {
          segment: {
            ...(segment.logId === 0n ? {} : { logId: longOf(segment.logId) }),
            ...nonZero('number', segment.number),
            ...nonZero('createdMs', segment.createdMs),
            ...(segment.recycled ? { recycled: true } : {}),
            ...(segment.branch === 0n ? {} : { branch: longOf(segment.branch) }),
          },
        }),
  };
  const isPlain = !['syncedLsn', 'batchRemaining', 'timeMs', 'skipped', 'segment'].some(
    (field) => field in message,
  );
  if (isPlain) return sized(Entry.encode(message).finish());
  const frame = sized(Entry.encode({ ...message, frameCrc: 0xffffffff }).finish());
  const offset = new DataView(new ArrayBuffer(8));
  offset.setBigUint64(0, BigInt(fields.fileOffset), true);
  const { data: _, ...around } = message;
  const dataTag =
    fields.data.length > 0 ? protobuf.Writer.create().uint32(0x12).uint32(fields.data.length).finish() : [];
  const lsnBytes = Entry.encode({ logSequenceNumber: fields.lsn }).finish();
  const rest = Entry.encode(around).finish().subarray(lsnBytes.length);
  const guarded = Buffer.concat([
    new Uint8Array(offset.buffer),
    frame.subarray(0, 4),
    lsnBytes,
    Uint8Array.from(dataTag),
    rest,
  ]);
  new DataView(frame.buffer).setUint32(frame.length - 4, crc32(guarded, fields.checksumSeed), true);
  return frame;
}

function nonZero<K extends string>(key: K, value: number): Partial<Record<K, number>> {
  return value === 0 ? {} : ({ [key]: value } as Record<K, number>);
}

function longOf(value: bigint): protobuf.Long {
  return new protobuf.util.Long(Number(value & 0xffffffffn), Number(value >> 32n), true);
}

function sized(entry: Uint8Array): Uint8Array {
  const frame = new Uint8Array(4 + entry.length);
  new DataView(frame.buffer).setInt32(0, entry.length, true);
  frame.set(entry, 4);
  return frame;
}

propertyTest(
  'any frame has the bytes that protobufjs gives it',
  fc.property(fieldsArbitrary, (fields) => {
    assert.deepEqual(encodeFrame(fields), oracleFrame(fields));
  }),
  { numRuns: 1000 },
);

propertyTest(
  'any frame that is written parses to what it was made of, and is valid in its place',
  fc.property(fieldsArbitrary, fc.nat(20), (fields, start) => {
    const encoded = encodeFrame(fields);
    const bytes = new Uint8Array(start + encoded.length + 5);
    bytes.set(encoded, start);
    const frame = createFrame();
    assert.equal(parseFrame(bytes, start, bytes.length, frame), undefined);
    assert.equal(peekFrameLength(bytes, start, bytes.length), encoded.length);
    const { syncedLsn, batchRemaining, timeMs, skipped, segment } = fields;
    const isExtended =
      syncedLsn !== undefined || !!batchRemaining || !!timeMs || !!skipped || segment !== undefined;
    assert.deepEqual(
      { ...frame, data: bytes.subarray(frame.dataStart, frame.dataEnd) },
      {
        byteLength: encoded.length,
        lsn: fields.lsn,
        lastLsn: fields.lsn,
        dataStart: frame.dataStart,
        dataEnd: frame.dataStart + fields.data.length,
        crc: dataChecksum(fields.data, 0, fields.data.length, fields.lsn),
        syncedLsn: syncedLsn ?? -1,
        batchRemaining: batchRemaining ?? 0,
        timeMs: timeMs ?? 0,
        skipped: skipped ?? 0,
        segment,
        block: undefined,
        frameCrc: isExtended ? new DataView(encoded.buffer).getUint32(encoded.length - 4, true) : -1,
        extended: isExtended,
        unknownCritical: 0,
        data: fields.data,
      },
    );
    const chain = {
      ...createChain(undefined, -1),
      seed: fields.checksumSeed,
      fileOffset: fields.fileOffset,
    };
    assert.equal(validateFrame(bytes, start, frame, chain), undefined);
  }),
  { numRuns: 1000 },
);

propertyTest(
  'a reader that knows fields 1 to 3 only reads every entry',
  fc.property(fieldsArbitrary, (fields) => {
    const message = PlainEntry.decode(encodeFrame(fields).subarray(4));
    const entry = PlainEntry.toObject(message, { longs: Number, defaults: true, bytes: Array });
    assert.deepEqual(entry, {
      logSequenceNumber: fields.lsn,
      data: Array.from(fields.data),
      CRC: dataChecksum(fields.data, 0, fields.data.length, fields.lsn),
    });
  }),
);

/**
 * The size word alone is not under the CRC of the data. One flipped bit in it can make a frame end right behind that
 * CRC, as if it had been written without extension fields: the entry is still the one that was appended.
 */
propertyTest(
  'a frame with any one bit changed is not valid in its place, or is the same entry without extension fields',
  fc.property(fieldsArbitrary, fc.nat(), fc.nat(7), (fields, at, bit) => {
    const encoded = encodeFrame(fields);
    const offset = at % encoded.length;
    const bytes = flip(encoded, offset, 1 << bit);
    const frame = createFrame();
    const chain = {
      ...createChain(fields.segment?.logId, fields.segment?.number ?? -1),
      seed: fields.checksumSeed,
      fileOffset: fields.fileOffset,
      expectedLsn: fields.lsn,
    };
    if (parseFrame(bytes, 0, bytes.length, frame) !== undefined) return;
    if (validateFrame(bytes, 0, frame, chain) !== undefined) return;
    assert.ok(offset < 4 && !frame.extended);
    assert.equal(frame.lsn, fields.lsn);
    assert.deepEqual(bytes.subarray(frame.dataStart, frame.dataEnd), fields.data);
  }),
  { numRuns: 1000 },
);

test('a Segment with the largest numbers takes 40 bytes', () => {
  const most = Number.MAX_SAFE_INTEGER;
  const id = 2n ** 64n - 1n;
  const field = encodeSegmentField({ logId: id, number: most, createdMs: most, recycled: true, branch: id });
  assert.equal(field.length, 40);
});
