import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Wal } from '#ringwal';
import { temporaryDirectory } from '../../cleanup.js';
import {
  collect,
  fill,
  lsns,
  makeLog,
  range,
  segmentNames,
  temporaryLog,
  texts,
  walError,
} from '../support.js';

test('readSegment reads a segment anywhere, by any name', async (t) => {
  const directory = temporaryLog(t);
  await makeLog(
    directory,
    range(1, 12).map((seed) => fill(1200, seed)),
    { maxFileSize: 4096 },
  );
  const parent = temporaryDirectory(t);
  const path = join(parent, 'some file');
  copyFileSync(join(directory, 'wal-2'), path);
  assert.deepEqual(await lsns(Wal.readSegment(path)), [7, 8, 9]);
  assert.deepEqual(await lsns(Wal.readSegment(pathToFileURL(path))), [7, 8, 9]);
  const found = await collect(Wal.readSegment(path));
  for (const { lsn, data } of found) assert.ok(fill(1200, lsn).equals(data));
  for await (const { lsn } of Wal.readSegment(path)) {
    assert.equal(lsn, 7);
    break;
  }
});

test('readSegment ends before a torn tail, at whatever byte', async (t) => {
  const directory = temporaryLog(t);
  const wal = await Wal.open(directory, { syncInterval: 60_000 });
  await wal.append('a');
  await wal.append('b');
  const { bytes } = wal.segments()[0] ?? assert.fail();
  await wal.append('third');
  const whole = readFileSync(join(directory, 'wal-0'));
  await wal.close();
  const path = join(temporaryDirectory(t), 'wal-0');
  for (let end = bytes; end < whole.length; end++) {
    writeFileSync(path, whole.subarray(0, end));
    assert.deepEqual(await texts(Wal.readSegment(path)), ['a', 'b'], `cut at ${end}`);
  }
  writeFileSync(path, Buffer.concat([whole, Buffer.alloc(5000)]));
  assert.deepEqual(await texts(Wal.readSegment(path)), ['a', 'b', 'third']);
});

test('readSegment tells of damage that acknowledged entries follow', async (t) => {
  const directory = temporaryLog(t);
  const wal = await Wal.open(directory);
  for (const entry of ['a', 'b', 'c']) await wal.append(entry, { durable: true });
  await wal.close();
  const path = join(directory, 'wal-0');
  const bytes = readFileSync(path);
  const first = bytes.readInt32LE(0) + 4;
  bytes[first + 8] ^= 1;
  writeFileSync(path, bytes);
  const found: number[] = [];
  await assert.rejects(
    async () => {
      for await (const { lsn } of Wal.readSegment(path)) found.push(lsn);
    },
    walError('ERR_WAL_CORRUPT', { path, offset: first, lsn: 2 }),
  );
  assert.deepEqual(found, [1]);
});

test('readSegment of an empty file yields nothing, of anything else nothing or an error', async (t) => {
  const parent = temporaryDirectory(t);
  const path = join(parent, 'file');
  writeFileSync(path, '');
  assert.deepEqual(await collect(Wal.readSegment(path)), []);
  writeFileSync(path, 'not a segment at all');
  assert.deepEqual(await collect(Wal.readSegment(path)), []);
  mkdirSync(join(parent, 'folder'));
  await assert.rejects(
    collect(Wal.readSegment(join(parent, 'folder'))),
    walError('ERR_WAL_IO', { cause: 'EISDIR' }),
  );
  await assert.rejects(
    collect(Wal.readSegment(join(parent, 'missing'))),
    walError('ERR_WAL_IO', { cause: 'ENOENT' }),
  );
  for (const bad of ['', 5, undefined, 'a\0b']) {
    await assert.rejects(async () => collect(Wal.readSegment(bad as string)), walError('ERR_WAL_OPTION'));
  }
});

test('a payload that holds whole segments confuses nobody', async (t) => {
  const inner = temporaryLog(t);
  await makeLog(
    inner,
    range(1, 50).map((i) => `inner ${i}`),
  );
  const payload = readFileSync(join(inner, 'wal-0'));
  const directory = temporaryLog(t);
  const wal = await Wal.open(directory, { maxFileSize: 8192 });
  for (let i = 0; i < 10; i++) await wal.append(payload, { durable: i % 3 === 0 });
  await wal.close();
  const again = await Wal.open(directory);
  const found = await collect(again.entries());
  assert.deepEqual([found.length, again.recovery.verdict], [10, 'clean']);
  for (const { data } of found) assert.ok(payload.equals(data));
  await again.close();
  for (const name of segmentNames(directory)) await collect(Wal.readSegment(join(directory, name)));
});
