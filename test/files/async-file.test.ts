import assert from 'node:assert/strict';
import { mkdirSync, renameSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openForReading } from '../../src/files/async-file.js';
import { isSameFile } from '../../src/files/disk.js';
import { createNodeDisk } from '../../src/files/node-disk.js';
import { temporaryDirectory } from '../cleanup.js';

test('an async file reads from where it is told, shared memory too, short at the end', async (t) => {
  const path = join(temporaryDirectory(t), 'a');
  writeFileSync(path, 'abcdef');
  const file = await openForReading(path);
  assert.equal(await file.size(), 6);
  const target = new Uint8Array(new SharedArrayBuffer(8), 2, 4);
  assert.equal(await file.read(target, 1), 4);
  assert.equal(Buffer.from(target).toString(), 'bcde');
  assert.equal(await file.read(target, 4), 2);
  assert.equal(await file.read(target, 6), 0);
  assert.equal(file.readNow(target, 2), 4);
  assert.equal(Buffer.from(target).toString(), 'cdef');
  await file.close();
  assert.throws(() => file.readNow(target, 0), { code: 'EBADF' });
});

test('an async file sees what is appended and what is cut while it is open', async (t) => {
  const path = join(temporaryDirectory(t), 'a');
  writeFileSync(path, 'abc');
  const file = await openForReading(path);
  writeFileSync(path, 'def', { flag: 'a' });
  assert.equal(await file.size(), 6);
  truncateSync(path, 2);
  assert.equal(await file.size(), 2);
  await file.close();
});

test('an async file knows whether its name still leads to it', async (t) => {
  const directory = temporaryDirectory(t);
  const path = join(directory, 'wal-0');
  writeFileSync(path, 'abc');
  const file = await openForReading(path);
  assert.ok(isSameFile(file.identity, createNodeDisk().stat(path) ?? assert.fail('it is there')));
  assert.equal(await file.isStillNamed(), true);
  renameSync(path, join(directory, 'ringwal.spare'));
  assert.equal(await file.isStillNamed(), false);
  writeFileSync(path, 'abc');
  assert.equal(await file.isStillNamed(), false);
  unlinkSync(path);
  assert.equal(await file.isStillNamed(), false);
  await file.close();
});

test('closing an async file waits for the reads in flight, and is idempotent', async (t) => {
  const path = join(temporaryDirectory(t), 'a');
  // Zeros without blocks: a read of them takes far longer than a close that another thread of the pool does.
  const bytes = 2 ** 27;
  writeFileSync(path, '');
  truncateSync(path, bytes);
  const file = await openForReading(path);
  const order: string[] = [];
  const read = file.read(new Uint8Array(bytes), 0).then((length) => order.push(`read ${length}`));
  const closes = [file.close(), file.close()].map((closed) => closed.then(() => order.push('closed')));
  await Promise.all([read, ...closes]);
  assert.deepEqual(order, [`read ${bytes}`, 'closed', 'closed']);
});

test('a closed async file answers with EBADF, whatever the descriptor is now', async (t) => {
  const path = join(temporaryDirectory(t), 'a');
  writeFileSync(path, 'abc');
  const file = await openForReading(path);
  const closed = file.close();
  const next = await openForReading(path);
  await assert.rejects(file.read(new Uint8Array(1), 0), { code: 'EBADF' });
  await assert.rejects(file.size(), { code: 'EBADF' });
  await closed;
  await assert.rejects(file.isStillNamed(), { code: 'EBADF' });
  await next.close();
});

test('a bad argument rejects and leaves the file able to close', async (t) => {
  const path = join(temporaryDirectory(t), 'a');
  writeFileSync(path, 'abc');
  const file = await openForReading(path);
  await assert.rejects(file.read('no bytes' as unknown as Uint8Array, 0), { code: 'ERR_INVALID_ARG_TYPE' });
  await file.close();
});

test('opening for reading what is not there, or no file, rejects with the system error', async (t) => {
  const directory = temporaryDirectory(t);
  await assert.rejects(openForReading(join(directory, 'a')), { code: 'ENOENT' });
  mkdirSync(join(directory, 'd'));
  await assert.rejects(openForReading(join(directory, 'd')), { code: 'EISDIR' });
});
