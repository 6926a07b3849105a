import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { crc32 } from '../../../src/format/crc32.js';
import { decodeManifest, encodeManifest, type Manifest } from '../../../src/worker/backup/manifest.js';
import { SEED } from '../../seed.js';

const SHA = (byte: number) => new Uint8Array(32).fill(byte);

const FULL: Manifest = {
  logId: 0xfedcba9876543210n,
  branch: 0x8000000000000001n,
  firstLsn: 3,
  watermark: 2 ** 52 + 1,
  createdMs: 1_800_000_000_000,
  since: undefined,
  end: { segment: 2, frameOffset: 40, offset: 90, crc: 0xffffffff },
  files: [
    segment({ name: 'wal-1', segment: 1, bytes: 100, firstLsn: 3, lastLsn: 9 }),
    segment({ name: 'wal-2', segment: 2, bytes: 90, firstLsn: 10, lastLsn: 2 ** 52 + 1 }),
    segment({ kind: 'snapshot', name: 'ringwal.snapshot-7', bytes: 5_000_000_000, lastLsn: 7 }),
    segment({ kind: 'state', name: 'ringwal.state', bytes: 72 }),
  ],
};
const NEXT: Manifest = {
  ...FULL,
  since: { manifestSha256: SHA(9), watermark: 5, createdMs: 7 },
  files: [
    segment({ name: 'ringwal.part-2-90', segment: 2, offset: 90, bytes: 10, firstLsn: 11, lastLsn: 12 }),
    segment({ kind: 'snapshot', name: 'ringwal.snapshot-7', bytes: 5, lastLsn: 7, isEarlier: true }),
  ],
};

function segment(fields: Partial<Manifest['files'][number]>): Manifest['files'][number] {
  return {
    kind: 'segment',
    name: '',
    bytes: 0,
    sha256: SHA(1),
    segment: 0,
    offset: 0,
    firstLsn: 0,
    lastLsn: 0,
    isEarlier: false,
    ...fields,
  };
}

const schema = protobuf.parse(readFileSync(new URL('../../../proto/backup.proto', import.meta.url), 'utf8'), {
  keepCase: true,
});
const Message = schema.root.lookupType('ringwal.BackupManifest');

test('a manifest reads back as it was written', () => {
  for (const manifest of [FULL, NEXT]) assert.deepEqual(decodeManifest(encodeManifest(manifest)), manifest);
});

test('a manifest is the message of proto/backup.proto between its magic and its checksum', () => {
  for (const manifest of [FULL, NEXT]) {
    const bytes = encodeManifest(manifest);
    assert.equal(Buffer.from(bytes.subarray(0, 8)).toString('latin1'), 'ringbak\0');
    const end = bytes.length - 4;
    assert.equal(Buffer.from(bytes).readUInt32LE(end), crc32(bytes.subarray(0, end)));
    const message = Message.decode(bytes.subarray(8, end));
    const plain = Message.toObject(message, { longs: String, enums: String, bytes: String });
    assert.equal(plain.version, 1);
    assert.equal(plain.log_id, manifest.logId.toString());
    assert.equal(plain.watermark, String(manifest.watermark));
    assert.deepEqual(
      plain.files.map((file: { kind: string; name: string }) => [file.kind.toLowerCase(), file.name]),
      manifest.files.map(({ kind, name }) => [kind, name]),
    );
    assert.deepEqual(Buffer.from(Message.encode(message).finish()), Buffer.from(bytes.subarray(8, end)));
  }
});

test('a flipped bit, a lost end and a version that is not known are faults', () => {
  const bytes = encodeManifest(FULL);
  for (let at = 0; at < bytes.length; at++) {
    const flipped = bytes.slice();
    flipped[at] = (flipped[at] as number) ^ 0x10;
    assert.ok('fault' in decodeManifest(flipped), `byte ${at}`);
    assert.ok('fault' in decodeManifest(bytes.subarray(0, at)), `${at} bytes`);
  }
  const later = sealed(Message.encode(Message.create({ version: 2 })).finish());
  const found = decodeManifest(later);
  assert.ok('fault' in found && found.isUnsupported === true);
});

test('a manifest whose names lead elsewhere, or whose segments do not follow on, is a fault', () => {
  const [one, two, ...rest] = FULL.files as [Manifest['files'][number], Manifest['files'][number]];
  for (const files of [
    [{ ...one, name: '../wal-1' }],
    [{ ...one, name: '/etc/passwd' }],
    [{ ...one, name: 'wal-01' }],
    [{ ...one, name: 'wal-2' }],
    [one, one],
    [two, one],
    [one, { ...two, name: 'wal-3', segment: 3 }],
    [{ ...one, sha256: SHA(1).subarray(1) }],
    [{ ...one, firstLsn: 10 }],
    [{ ...one, kind: 'state' as const }],
    [one, two, ...rest, { ...one, kind: 'snapshot' as const, name: 'ringwal.snapshot-8', lastLsn: 9 }],
  ]) {
    assert.ok(
      'fault' in decodeManifest(encodeManifest({ ...FULL, files })),
      JSON.stringify(files.map(({ name }) => name)),
    );
  }
});

test(`arbitrary bytes with a good checksum never throw (seed ${SEED})`, () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      decodeManifest(sealed(bytes));
      decodeManifest(bytes);
    }),
    { seed: SEED, numRuns: 2000 },
  );
  const message = encodeManifest(NEXT).slice(8, -4);
  fc.assert(
    fc.property(fc.nat(message.length - 1), fc.nat(255), (at, byte) => {
      const changed = message.slice();
      changed[at] = byte;
      decodeManifest(sealed(changed));
    }),
    { seed: SEED, numRuns: 3000 },
  );
});

function sealed(message: Uint8Array): Uint8Array {
  const bytes = Buffer.concat([Buffer.from('ringbak\0', 'latin1'), message, Buffer.alloc(4)]);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, bytes.length - 4)), bytes.length - 4);
  return bytes;
}
