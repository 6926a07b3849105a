import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Wal } from '#ringwal';
import {
  fill,
  makeLog,
  openLog,
  range,
  SMALL_RING,
  segmentNames,
  snapshot,
  texts,
  walError,
} from '../support.js';
import { SmallDisk } from './small-disk.js';

const DISK_BYTES = 512 * 1024;
const FULL = walError('ERR_WAL_IO', { cause: 'ENOSPC' });
// What no promise tells, as a state file that finds no room, is told by `onError`.
const OPTIONS = { ringSize: SMALL_RING, maxFileSize: 32 * 1024, onError: FULL };

const entry = (i: number) => `${i} `.padEnd(1000, 'x');

test('appends on a disk that is really full reject, spend no LSN, and go on once there is room', async (t) => {
  const disk = SmallDisk.mount(t, DISK_BYTES);
  if (typeof disk === 'string') return t.skip(disk);
  const directory = join(disk.root, 'log');
  const wal = await openLog(t, directory, OPTIONS);
  const kept: string[] = [];
  const append = async (i: number) => {
    assert.equal(await wal.append(entry(i), { durable: i % 2 === 0 }), kept.length + 1);
    kept.push(entry(i));
  };
  disk.fill(100_000);
  for (let round = 0; round < 3; round++) {
    await assert.rejects(async () => {
      for (let i = 0; i < 1000; i++) await append(i);
    }, FULL);
    // Not one byte is left, whatever was over at the end of the file before.
    disk.fill();
    await assert.rejects(wal.append(fill(5000, round), { durable: true }), FULL);
    await assert.rejects(wal.appendBatch([fill(3000, 1), fill(3000, 2)]), FULL);
    await assert.rejects(wal.append(fill(SMALL_RING, round)), FULL);
    assert.deepEqual([wal.lastLsn, await wal.sync()], [kept.length, kept.length]);
    assert.deepEqual(await texts(wal.entries()), kept);
    const report = await Wal.verify(directory);
    assert.deepEqual([report.verdict, report.lastLsn], ['clean', kept.length]);
    disk.free();
    await append(-round);
    disk.fill(100_000);
  }
  await wal.close();
  const again = await openLog(t, directory, OPTIONS);
  assert.deepEqual([again.recovery.verdict, again.lastLsn], ['clean', kept.length]);
  assert.deepEqual(await texts(again.entries()), kept);
});

test('what truncateBefore removes is room for more on a disk that is full', async (t) => {
  const disk = SmallDisk.mount(t, DISK_BYTES);
  if (typeof disk === 'string') return t.skip(disk);
  const wal = await openLog(t, join(disk.root, 'log'), OPTIONS);
  disk.fill(200_000);
  for (let round = 0; round < 3; round++) {
    await assert.rejects(async () => {
      for (let i = 0; i < 1000; i++) await wal.append(entry(i), { durable: true });
    }, FULL);
    const { lastLsn } = wal;
    await wal.truncateBefore(lastLsn);
    assert.equal(await wal.append(entry(1), { durable: true }), lastLsn + 1);
  }
});

test('a log is opened, read, verified and closed with not a byte free, and changes nothing', async (t) => {
  const disk = SmallDisk.mount(t, DISK_BYTES);
  if (typeof disk === 'string') return t.skip(disk);
  const directory = join(disk.root, 'log');
  const entries = range(1, 100).map(entry);
  await makeLog(directory, entries, OPTIONS);
  disk.fill();
  const before = snapshot(directory);
  const wal = await openLog(t, directory, OPTIONS);
  assert.deepEqual([wal.recovery.verdict, wal.recovery.postponed], ['clean', undefined]);
  assert.deepEqual([wal.lastLsn, wal.durableLsn], [100, 100]);
  await readsAll(directory, wal, entries);
  await assert.rejects(wal.append(fill(5000, 1)), FULL);
  await wal.close();
  assert.deepEqual(snapshot(directory), before);
});

test('a torn log is opened and read with not a byte free; what it needs room for is made up later', async (t) => {
  const disk = SmallDisk.mount(t, DISK_BYTES);
  if (typeof disk === 'string') return t.skip(disk);
  const directory = join(disk.root, 'log');
  const entries = range(1, 100).map(entry);
  await makeLog(directory, entries, OPTIONS);
  const last = join(directory, segmentNames(directory).at(-1) as string);
  appendFileSync(last, 'a write that was interrupted'.repeat(100));
  disk.fill();
  const before = snapshot(directory);
  const wal = await openLog(t, directory, OPTIONS);
  assert.deepEqual([wal.recovery.verdict, wal.recovery.postponed], ['torn', 'ENOSPC']);
  assert.equal(wal.lastLsn, 100);
  await readsAll(directory, wal, entries);
  await assert.rejects(wal.append('no room', { durable: true }), FULL);
  // The closed log has said so: nothing is left to sync.
  assert.equal(await wal.sync(), 100);
  assert.deepEqual(snapshot(directory), before);
  disk.free();
  assert.equal(await wal.append('room', { durable: true }), 101);
  assert.equal(wal.durableLsn, 101);
  await readsAll(directory, wal, [...entries, 'room']);
  await wal.close();
  assert.equal((await Wal.verify(directory)).verdict, 'clean');
});

test('a log cannot be made on a disk without a byte, and can be once there is room', async (t) => {
  const disk = SmallDisk.mount(t, DISK_BYTES);
  if (typeof disk === 'string') return t.skip(disk);
  const directory = join(disk.root, 'log');
  disk.fill();
  const wal = await openLog(t, directory, OPTIONS);
  assert.equal(wal.recovery.postponed, 'ENOSPC');
  await assert.rejects(wal.append('no room'), FULL);
  assert.deepEqual(await texts(wal.entries()), []);
  disk.free();
  assert.equal(await wal.append('room', { durable: true }), 1);
});

/** By the handle that is open, by one that may not write, and by the one that judges. */
async function readsAll(directory: string, wal: Wal, entries: readonly string[]): Promise<void> {
  assert.deepEqual(await texts(wal.entries()), entries);
  const reader = await Wal.open(directory, { readOnly: true });
  assert.deepEqual(await texts(reader.entries()), entries);
  await reader.close();
  const { lastLsn } = await Wal.verify(directory);
  assert.equal(lastLsn, entries.length);
}
