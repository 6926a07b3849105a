import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { crc32 } from 'node:zlib';
import protobuf from 'protobufjs';
import { Wal } from '#ringwal';
import { walgFile } from '../../walg.js';
import {
  collect,
  lsns,
  openLog,
  range,
  segmentNames,
  snapshot,
  temporaryLog,
  text,
  texts,
  walError,
} from '../support.js';

const SAMPLES = fileURLToPath(new URL('../../fixtures/walgo', import.meta.url));

/** What the README of the samples says of entry i, from 0. */
function sample(i: number, length: number, seed: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, j) => (i * 31 + j * 7 + seed) & 0xff));
}

const LENGTHS: Record<string, (i: number) => number> = {
  '01-small': () => 16,
  '02-empty': (i) => [0, 1, 0, 5][i % 4] as number,
  '05-rotation': () => 100,
};
const SEEDS: Record<string, number> = { '01-small': 1, '02-empty': 2, '05-rotation': 5 };
const COUNTS: Record<string, number> = { '01-small': 10, '02-empty': 12, '05-rotation': 400 };

function copyOf(t: Parameters<typeof temporaryLog>[0], name: string): string {
  const directory = temporaryLog(t);
  cpSync(join(SAMPLES, name), directory, { recursive: true });
  return directory;
}

function assertEntries(name: string, found: { lsn: number; data: Uint8Array }[]): void {
  const [length, seed] = [LENGTHS[name] ?? assert.fail(), SEEDS[name] as number];
  for (const { lsn, data } of found)
    assert.ok(sample(lsn - 1, length(lsn - 1), seed).equals(data), `${name} ${lsn}`);
}

for (const name of Object.keys(COUNTS)) {
  const count = COUNTS[name] as number;

  test(`readSegment reads what wal-go wrote: ${name}`, async () => {
    const found = [];
    for (const file of segmentNames(join(SAMPLES, name))) {
      found.push(...(await collect(Wal.readSegment(join(SAMPLES, name, file)))));
    }
    assert.deepEqual(
      found.map(({ lsn }) => lsn),
      range(1, count),
    );
    assertEntries(name, found);
  });

  test(`a directory of wal-go is opened, read and appended to: ${name}`, async (t) => {
    const directory = copyOf(t, name);
    const reader = await Wal.open(directory, { readOnly: true });
    assert.deepEqual([reader.lastLsn, reader.recovery.verdict], [count, 'clean']);
    assertEntries(name, await collect(reader.entries()));

    const before = segmentNames(directory).map((file) => readFileSync(join(directory, file)));
    const wal = await openLog(t, directory);
    assert.deepEqual(
      [wal.firstLsn, wal.lastLsn, wal.durableLsn, wal.recovery.verdict],
      [1, count, count, 'clean'],
    );
    assert.equal(await wal.append('from here', { durable: true }), count + 1);
    await wal.close();
    // Byte for byte what wal-go wrote, and ours behind it.
    segmentNames(directory).forEach((file, at) => {
      const bytes = readFileSync(join(directory, file));
      assert.ok(bytes.subarray(0, before[at]?.length).equals(before[at] ?? Buffer.alloc(0)), file);
    });
    const again = await openLog(t, directory);
    const found = await collect(again.entries());
    assertEntries(name, found.slice(0, -1));
    assert.equal(text(found.at(-1)?.data ?? Buffer.alloc(0)), 'from here');
    assert.deepEqual([again.lastLsn, again.recovery.verdict], [count + 1, 'clean']);
    assert.deepEqual(await lsns(again.entries({ from: count - 3 })), range(count - 3, count + 1));
  });
}

test('the torn sample of wal-go loses its torn frame alone', async (t) => {
  assert.deepEqual(await lsns(Wal.readSegment(join(SAMPLES, 'torn/wal-0'))), range(1, 9));
  const directory = copyOf(t, 'torn');
  const wal = await openLog(t, directory);
  assert.deepEqual([wal.lastLsn, wal.recovery.verdict, wal.recovery.cut?.lsn], [9, 'torn', 10]);
  assert.equal(await wal.append('x'), 10);
});

const hex = (data: Uint8Array) => Buffer.from(data).toString('hex');

/** As wal-go declares it. */
const { root } = protobuf.parse(`syntax = "proto3";
  message WAL_Entry { uint64 logSequenceNumber = 1; bytes data = 2; uint32 CRC = 3; }`);

/** What wal-go's reader makes of a file: it takes size after size, and skips the fields that it does not know. */
function readAsWalgo(bytes: Buffer): { lsn: number; data: Uint8Array; crc: number }[] {
  const type = root.lookupType('WAL_Entry');
  const found = [];
  for (let at = 0; at < bytes.length; ) {
    const size = bytes.readInt32LE(at);
    const entry = type.toObject(type.decode(bytes.subarray(at + 4, at + 4 + size)), {
      longs: Number,
      defaults: true,
    });
    found.push({ lsn: entry.logSequenceNumber, data: Buffer.from(entry.data), crc: entry.CRC });
    at += 4 + size;
  }
  return found;
}

test("wal-go's reader finds all entries of a closed log, with checksums that it can check", async (t) => {
  const directory = copyOf(t, '01-small');
  const wal = await openLog(t, directory, { maxFileSize: 4096, preallocate: 'zero' });
  await wal.appendBatch(['a', '', 'batch'], { durable: true });
  for (let i = 0; i < 200; i++) await wal.append(`entry ${i}`.repeat(9));
  await wal.close();
  const reader = await Wal.open(directory, { readOnly: true });
  const entries = (await collect(reader.entries())).map(({ lsn, data }) => [lsn, hex(data)]);
  await reader.close();
  assert.equal(entries.length, 213);
  const files = segmentNames(directory);
  assert.ok(files.length > 2);
  const found = files.flatMap((file) => readAsWalgo(readFileSync(join(directory, file))));
  assert.deepEqual(
    found.map(({ lsn, data }) => [lsn, hex(data)]),
    entries,
  );
  for (const { lsn, data, crc } of found) assert.equal(crc, crc32(Uint8Array.of(...data, lsn & 0xff)));
});

test("damage in the middle of wal-go's file is refused and left alone", async (t) => {
  const directory = copyOf(t, '01-small');
  const path = join(directory, 'wal-0');
  const bytes = readFileSync(path);
  bytes[40] = (bytes[40] as number) ^ 1;
  writeFileSync(path, bytes);
  const before = snapshot(directory);
  await assert.rejects(Wal.open(directory), walError('ERR_WAL_CORRUPT', { path }));
  assert.deepEqual(snapshot(directory), before);
});

test("wal-go's later format is read by readSegment, its torn end ends it, damage is told", async (t) => {
  const directory = temporaryLog(t);
  mkdirSync(directory);
  const path = join(directory, 'wal-3');
  const bytes = walgFile(41, ['a', '', 'third']);
  writeFileSync(path, bytes);
  const found = await collect(Wal.readSegment(path));
  assert.deepEqual(
    found.map(({ lsn, data }) => [lsn, text(data)]),
    [
      [41, 'a'],
      [42, ''],
      [43, 'third'],
    ],
  );
  writeFileSync(path, bytes.subarray(0, -1));
  assert.deepEqual(await texts(Wal.readSegment(path)), ['a', '']);
  const damaged = Buffer.from(bytes);
  damaged[damaged.length - 6] ^= 1;
  writeFileSync(path, damaged);
  await assert.rejects(collect(Wal.readSegment(path)), walError('ERR_WAL_CORRUPT', { path, lsn: 43 }));
  writeFileSync(path, walgFile(41, ['a'], 2));
  await assert.rejects(collect(Wal.readSegment(path)), walError('ERR_WAL_UNSUPPORTED', { path }));
});

test("open leaves a directory of wal-go's later format untouched and says how to import it", async (t) => {
  const directory = temporaryLog(t);
  mkdirSync(directory);
  writeFileSync(join(directory, 'wal-0'), walgFile(1, ['a', 'b']));
  writeFileSync(join(directory, 'wal-1'), walgFile(3, ['c']));
  const before = snapshot(directory);
  const refusal = walError('ERR_WAL_UNSUPPORTED', { path: join(directory, 'wal-0'), message: /readSegment/ });
  await assert.rejects(Wal.open(directory), refusal);
  await assert.rejects(Wal.open(directory, { readOnly: true }), walError('ERR_WAL_UNSUPPORTED'));
  assert.deepEqual(snapshot(directory), before);
  const report = await Wal.verify(directory);
  assert.deepEqual([report.row, report.verdict], [1, 'unsupported']);
});
