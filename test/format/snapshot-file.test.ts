import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import minimal from 'protobufjs/minimal.js';
import { MemorySource } from '../../src/format/bytes.js';
import {
  classifyName,
  isSnapshotAsideName,
  parseSnapshotName,
  snapshotAsideName,
} from '../../src/format/segment-name.js';
import {
  CHUNK_BYTES_MAX,
  CHUNK_HEAD_BYTES,
  CHUNK_TAIL_BYTES,
  ChunkWalk,
  encodeSnapshotEnd,
  encodeSnapshotStart,
  readOutline,
  SnapshotSeal,
  type SnapshotTools,
  sealChunk,
} from '../../src/format/snapshot-file.js';
import {
  decodeSnapshotHeader,
  encodeSnapshotFooter,
  encodeSnapshotHeader,
  type SnapshotHeader,
} from '../../src/format/snapshot-messages.js';
import { SEED } from '../seed.js';

const TOOLS: SnapshotTools = { protobuf: minimal, crc32 };

const HEADER: SnapshotHeader = {
  logId: 0x1122334455667788n,
  branch: 0x99aabbccddeeff01n,
  lsn: 300,
  entryCrc: 0xcafe,
  format: 'v3',
  createdMs: 1_700_000_000_000,
};

function build(header: SnapshotHeader, chunks: readonly Uint8Array[]): Uint8Array {
  const seal = new SnapshotSeal(header, crc32);
  let bytes = 0;
  const parts = chunks.map((data, index) => {
    const chunk = new Uint8Array(CHUNK_HEAD_BYTES + data.length + CHUNK_TAIL_BYTES);
    chunk.set(data, CHUNK_HEAD_BYTES);
    bytes += data.length;
    return chunk.subarray(0, sealChunk(seal, index, chunk, data.length));
  });
  const end = encodeSnapshotEnd(TOOLS, seal, { bytes, chunks: chunks.length });
  return Buffer.concat([encodeSnapshotStart(TOOLS, header), ...parts, end]);
}

/** The data of the file; what is wrong with it otherwise. */
function read(file: Uint8Array, lsn = HEADER.lsn): Uint8Array | { readonly fault: string } {
  const outline = readOutline(TOOLS, new MemorySource(file), lsn);
  if ('fault' in outline) return outline;
  const walk = new ChunkWalk(outline, crc32);
  const chunks: Uint8Array[] = [];
  while (!walk.isAtEnd) {
    const taken = walk.take(file.subarray(walk.offset, walk.offset + walk.reach));
    if ('fault' in taken) return taken;
    chunks.push(taken);
  }
  return Buffer.concat(chunks);
}

const faultOf = (file: Uint8Array, lsn?: number): string => {
  const found = read(file, lsn);
  return 'fault' in found ? found.fault : 'none';
};

test('the bytes of a snapshot are these', () => {
  const file = build(HEADER, [Buffer.from('ab'), Buffer.from('c')]);
  assert.equal(
    Buffer.from(file).toString('hex'),
    [
      '7277736e61707368', // magic
      '25000000', // header bytes
      '098877665544332211', // log_id
      '1101ffeeddccbbaa99', // branch
      '18ac02', // lsn
      '25feca0000', // entry_crc
      '2a027633', // format
      '3080d095ffbc31', // created_ms
      '9aa10bc4', // CRCs by Python's zlib
      '02000000',
      '6162',
      'dddf2b9e',
      '01000000',
      '63',
      '3acc1834',
      '00000000', // end mark
      '04000000', // footer bytes
      '08031002', // bytes, chunks
      'd4059055',
      '04000000',
    ].join(''),
  );
});

test('protobufjs, by the schema in proto/, reads and writes the same messages', () => {
  const schema = readFileSync(new URL('../../proto/snapshot.proto', import.meta.url), 'utf8');
  const { root } = protobuf.parse(schema, { keepCase: true });
  const header = root.lookupType('ringwal.SnapshotHeader');
  const footer = root.lookupType('ringwal.SnapshotFooter');
  const any = fc.record({
    logId: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
    branch: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    lsn: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    entryCrc: fc.option(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { nil: undefined }),
    format: fc.string({ unit: 'grapheme', maxLength: 20 }),
    createdMs: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  });
  fc.assert(
    fc.property(any, (given) => {
      const bytes = encodeSnapshotHeader(minimal, given);
      assert.deepEqual(decodeSnapshotHeader(minimal, bytes), { ...given });
      const message = header.decode(bytes);
      const { log_id, branch, lsn, entry_crc, format, created_ms } = header.toObject(message, {
        longs: String,
        defaults: true,
      });
      assert.equal(BigInt(log_id), given.logId);
      assert.equal(BigInt(branch), given.branch);
      assert.equal(Number(lsn), given.lsn);
      assert.equal(Object.hasOwn(message, 'entry_crc') ? entry_crc : undefined, given.entryCrc);
      assert.equal(format, given.format);
      assert.equal(Number(created_ms), given.createdMs);
      assert.deepEqual(Buffer.from(header.encode(message).finish()), Buffer.from(bytes));
    }),
    { seed: SEED },
  );
  for (const given of [
    { bytes: 0, chunks: 0 },
    { bytes: 2 ** 40, chunks: 2 ** 20 },
  ])
    assert.deepEqual(
      Buffer.from(footer.encode(footer.fromObject(given)).finish()),
      Buffer.from(encodeSnapshotFooter(minimal, given)),
    );
});

test('what was written is read: no data, one chunk, many chunks, the largest chunk', () => {
  for (const sizes of [[], [1], [100, 1, 1000], [CHUNK_BYTES_MAX, CHUNK_BYTES_MAX, 5]]) {
    const chunks = sizes.map((size, at) => Buffer.alloc(size, at + 1));
    assert.deepEqual(read(build(HEADER, chunks)), Buffer.concat(chunks));
  }
});

test('a flipped bit anywhere is noticed', () => {
  const file = build(HEADER, [Buffer.from('one chunk'), Buffer.from('another')]);
  for (let bit = 0; bit < file.length * 8; bit++) {
    const damaged = Uint8Array.from(file);
    damaged[bit >>> 3] ^= 1 << (bit & 7);
    assert.ok('fault' in read(damaged), `bit ${bit & 7} of byte ${bit >>> 3}`);
  }
});

test('a file that ends early, or goes on, is noticed', () => {
  const file = build(HEADER, [Buffer.from('one chunk'), Buffer.from('another')]);
  for (let length = 0; length < file.length; length++)
    assert.ok('fault' in read(file.subarray(0, length)), `${length} bytes`);
  for (const more of [1, 4, 100]) assert.ok('fault' in read(Buffer.concat([file, Buffer.alloc(more)])));
});

test('chunks in another order, of another snapshot, left out or doubled are noticed', () => {
  const data = ['aaaa', 'bbbb', 'cccc'].map((text) => Buffer.from(text));
  const file = build(HEADER, data);
  const start = encodeSnapshotStart(TOOLS, HEADER).length;
  const chunk = (from: Uint8Array, index: number) =>
    from.subarray(start + index * 12, start + (index + 1) * 12);
  const withChunks = (...chunks: readonly Uint8Array[]) =>
    Buffer.concat([file.subarray(0, start), ...chunks, file.subarray(start + 36)]);
  const [first, second, third] = [0, 1, 2].map((index) => chunk(file, index)) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  assert.equal(faultOf(withChunks(first, second, third)), 'none');
  assert.match(faultOf(withChunks(second, first, third)), /chunk 0 .* checksum/);
  assert.match(faultOf(withChunks(first, second)), /not as long/);
  assert.match(faultOf(withChunks(first, first, third)), /chunk 1 .* checksum/);
  const other = build({ ...HEADER, lsn: 301 }, data);
  assert.match(faultOf(withChunks(first, chunk(other, 1), third)), /chunk 1 .* checksum/);
  const stranger = build({ ...HEADER, logId: 5n }, data);
  assert.match(faultOf(withChunks(first, chunk(stranger, 1), third)), /chunk 1 .* checksum/);
});

test('a file of another name, another kind or a later version is refused, and says why', () => {
  assert.match(faultOf(build(HEADER, []), 299), /snapshot at entry 300 by its header/);
  assert.match(faultOf(Buffer.from('something else entirely')), /does not begin as a snapshot/);
  const message = Buffer.concat([encodeSnapshotHeader(minimal, HEADER), Buffer.of(0x80, 0x01, 0x05)]);
  assert.deepEqual(decodeSnapshotHeader(minimal, message), {
    fault: 'a later version wrote it',
    isUnsupported: true,
  });
  const skippable = Buffer.concat([encodeSnapshotHeader(minimal, HEADER), Buffer.of(0x38, 0x05)]);
  assert.deepEqual(decodeSnapshotHeader(minimal, skippable), HEADER);
});

test('bytes that mean harm are refused without reading beyond them', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, hasMagic) => {
      const file = hasMagic ? Buffer.concat([Buffer.from('rwsnapsh'), bytes]) : bytes;
      assert.ok('fault' in read(file));
      decodeSnapshotHeader(minimal, bytes);
    }),
    { seed: SEED, numRuns: 2000 },
  );
});

test('names of snapshots are told from all others', () => {
  assert.equal(parseSnapshotName('ringwal.snapshot-41207'), 41_207);
  for (const name of [
    'ringwal.snapshot-0',
    'ringwal.snapshot-007',
    'ringwal.snapshot-',
    'ringwal.snapshot-1.aside',
    'snapshot-1',
    'ringwal.snapshot-9007199254740993',
  ])
    assert.equal(parseSnapshotName(name), undefined, name);
  assert.ok(isSnapshotAsideName(snapshotAsideName(5)));
  for (const name of ['ringwal.snapshot-5', 'ringwal.snapshot-5.aside', 'ringwal.cut-snapshot-5-00ff'])
    assert.equal(classifyName(name), 'ours', name);
  assert.equal(classifyName('ringwal.snapshot-x'), 'foreign');
});
