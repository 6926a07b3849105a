/**
 * A file may be a terabyte long and hold a megabyte: a copy gone wrong, a size that rotted, `truncate -s`. Work is bounded by what
 * a file holds, and what has to be read all the same can be stopped. Who reads a tebibyte of zeros does not end: the watchdog tells.
 */
import assert from 'node:assert/strict';
import { closeSync, openSync, statfsSync, statSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Wal } from '#ringwal';
import { fill, lsns, makeLog, openLog, range, temporaryLog, walError } from '../support.js';

const TEBIBYTE = 2 ** 40;

/** Ext4, XFS, Btrfs, tmpfs, which say how much of a file there is. */
const KNOWN = [0xef53, 0x58465342, 0x9123683e, 0x01021994];

async function sparseLog(
  t: TestContext,
  entries = 40,
): Promise<{ directory: string; last: string } | string> {
  const directory = temporaryLog(t);
  await makeLog(
    directory,
    range(1, entries).map((seed) => fill(1000, seed)),
    { maxFileSize: 16 * 1024 },
  );
  if (!KNOWN.includes(statfsSync(directory).type))
    return 'this file system does not tell how much of a file there is';
  const last = join(directory, `wal-${Math.floor((entries - 1) / 15)}`);
  const { size } = statSync(last);
  assert.ok(size > 0, 'the last segment');
  truncateSync(last, TEBIBYTE);
  if (statSync(last).blocks * 512 > 1024 * 1024) return 'this file system has no holes';
  return { directory, last };
}

test('a log whose last segment ends with a hole of a tebibyte is a clean one, read in no time, with progress', async (t) => {
  const log = await sparseLog(t);
  if (typeof log === 'string') return t.skip(log);
  const { directory, last } = log;
  const reader = await Wal.open(directory, { readOnly: true });
  assert.deepEqual(await lsns(reader.entries()), range(1, 40));
  await reader.close();
  const seen: { bytesRead: number; bytesTotal: number }[] = [];
  const report = await Wal.verify(directory, { onProgress: (progress) => seen.push({ ...progress }) });
  assert.deepEqual([report.verdict, report.lastLsn], ['clean', 40]);
  const { bytesRead, bytesTotal } = seen.at(-1) ?? assert.fail('no progress');
  assert.ok(bytesTotal < 1024 * 1024 && bytesRead < 64 * 1024 * 1024, `${bytesRead} of ${bytesTotal} bytes`);
  for (const mode of ['truncate', 'salvage'] as const) {
    assert.equal((await Wal.repair(directory, { mode })).verdict, 'clean');
  }
  for await (const { lsn } of Wal.follow(directory)) if (lsn === 40) break;
  assert.equal((await lsns(Wal.readSegment(last))).at(-1), 40);
  const wal = await openLog(t, directory);
  assert.equal(await wal.append('on', { durable: true }), 41);
  await wal.close();
  assert.ok(statSync(last).size < 1024 * 1024);
});

test('damage in front of such a hole is found and repaired, with a side file of what went', async (t) => {
  for (const mode of ['truncate', 'salvage'] as const) {
    const log = await sparseLog(t);
    if (typeof log === 'string') return t.skip(log);
    const { directory, last } = log;
    overwrite(last, Buffer.from('damage'), 1300);
    await assert.rejects(Wal.open(directory), walError('ERR_WAL_CORRUPT'));
    await assert.rejects(Wal.open(directory, { readOnly: true }), walError('ERR_WAL_CORRUPT'));
    const { verdict, watermark } = await Wal.verify(directory);
    assert.deepEqual([verdict, watermark], ['corrupt', 40]);
    const { sideFiles, lastLsn } = await Wal.repair(directory, { mode });
    assert.ok(sideFiles.length > 0);
    for (const path of sideFiles) assert.ok(statSync(path).blocks * 512 < 1024 * 1024, path);
    const wal = await openLog(t, directory);
    assert.equal(await wal.append('on', { durable: true }), lastLsn + 1);
    await wal.close();
    assert.equal((await Wal.verify(directory)).verdict, 'clean');
  }
});

test('a frame that claims a gigabyte of such a hole is damage, and found to be so', async (t) => {
  const log = await sparseLog(t);
  if (typeof log === 'string') return t.skip(log);
  const { directory, last } = log;
  const size = Buffer.alloc(4);
  size.writeInt32LE(2 ** 30);
  overwrite(last, size, 0);
  await assert.rejects(Wal.open(directory), walError('ERR_WAL_CORRUPT'));
  assert.equal((await Wal.verify(directory)).verdict, 'corrupt');
});

test('who reads what cannot be bounded, since a part of it is allocated, stops at his signal', async (t) => {
  const log = await sparseLog(t);
  if (typeof log === 'string') return t.skip(log);
  const { directory, last } = log;
  // Zeros that take room, far behind: there may be anything before them.
  overwrite(last, Buffer.alloc(4096), 2 ** 39);
  const calls: Readonly<Record<string, (signal: AbortSignal) => Promise<unknown>>> = {
    open: (signal) => Wal.open(directory, { signal }),
    'open read-only': (signal) => Wal.open(directory, { readOnly: true, signal }),
    follow: async (signal) => {
      for await (const entry of Wal.follow(directory, { signal })) assert.fail(`entry ${entry.lsn}`);
    },
  };
  for (const [what, call] of Object.entries(calls)) {
    await assert.rejects(call(AbortSignal.timeout(300)), { name: 'TimeoutError' }, what);
  }
  // Nobody holds the lock any more.
  truncateSync(last, 2 ** 20);
  const wal = await openLog(t, directory);
  assert.equal(wal.lastLsn, 40);
});

function overwrite(path: string, bytes: Uint8Array, at: number): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, bytes, 0, bytes.length, at);
  closeSync(fd);
}
