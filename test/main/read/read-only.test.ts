import assert from 'node:assert/strict';
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Wal, WalError } from '#ringwal';
import {
  Child,
  collect,
  fill,
  lsns,
  makeLog,
  openLog,
  range,
  segmentNames,
  snapshot,
  temporaryLog,
  texts,
  walError,
} from '../support.js';

const READ_ONLY = { readOnly: true } as const;

test('a read-only log reads and tells, cannot append, changes nothing and takes no lock', async (t) => {
  const directory = temporaryLog(t);
  await makeLog(
    directory,
    range(1, 20).map((i) => String(i).padEnd(1000)),
    { maxFileSize: 4096 },
  );
  rmSync(join(directory, 'ringwal.lock'));
  const before = snapshot(directory);
  const reader = await Wal.open(directory, READ_ONLY);
  const other = await Wal.open(directory, READ_ONLY);
  assert.deepEqual([reader.firstLsn, reader.lastLsn, reader.durableLsn], [1, 20, 20]);
  assert.deepEqual(await lsns(reader.entries()), range(1, 20));
  assert.deepEqual(await lsns(reader.entries({ from: 4, to: 15 })), range(4, 15));
  assert.deepEqual((await collect(other.batches())).flat().length, 20);
  assert.equal((await reader.get(7))?.lsn, 7);
  assert.equal(await reader.get(21), undefined);
  assert.equal(reader.segments().length, segmentNames(directory).length);
  assert.equal(reader.directory, directory);
  assert.equal(reader.recovery.verdict, 'clean');
  for (const method of ['append', 'tryAppend', 'appendBatch', 'sync', 'flushSync'])
    assert.ok(!(method in reader));
  assert.ok(!(reader instanceof Wal));
  await reader.close();
  await reader.close();
  await assert.rejects(collect(reader.entries()), walError('ERR_WAL_CLOSED'));
  await assert.rejects(reader.get(1), walError('ERR_WAL_CLOSED'));
  await other[Symbol.asyncDispose]();
  assert.deepEqual(snapshot(directory), before);
  assert.ok(!readdirSync(directory).includes('ringwal.lock'));
});

test('a read-only log that is not there is an error, an empty directory is an empty log', async (t) => {
  const directory = temporaryLog(t);
  await assert.rejects(Wal.open(directory, READ_ONLY), walError('ERR_WAL_IO', { cause: 'ENOENT' }));
  mkdirSync(directory);
  const reader = await Wal.open(directory, READ_ONLY);
  assert.deepEqual([reader.firstLsn, reader.lastLsn, reader.durableLsn], [0, 0, 0]);
  assert.deepEqual(await collect(reader.entries()), []);
  assert.deepEqual(reader.segments(), []);
  assert.deepEqual(readdirSync(directory), []);
  await makeLog(directory, ['a', 'b']);
  assert.deepEqual(await texts(reader.entries()), ['a', 'b']);
  assert.deepEqual([reader.firstLsn, reader.lastLsn, reader.durableLsn], [1, 2, 2]);
});

test('a read-only log is a live view of what another handle writes, across rotations', async (t) => {
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory, { maxFileSize: 4096 });
  const reader = await Wal.open(directory, READ_ONLY);
  for (let i = 1; i <= 30; i++) {
    await wal.append(fill(1000, i), { durable: i % 5 === 0 });
    assert.equal(reader.lastLsn, i);
    assert.equal(reader.firstLsn, 1);
    assert.ok(reader.durableLsn <= wal.durableLsn);
    assert.ok(fill(1000, i).equals((await reader.get(i))?.data ?? Buffer.alloc(0)));
  }
  assert.deepEqual(
    reader.segments().map(({ number, firstLsn, lastLsn }) => [number, firstLsn, lastLsn]),
    wal.segments().map(({ number, firstLsn, lastLsn }) => [number, firstLsn, lastLsn]),
  );
  await wal.appendBatch(range(31, 60).map((i) => fill(1000, i)));
  assert.equal(reader.lastLsn, 60);
  assert.deepEqual(await lsns(reader.entries()), range(1, 60));
});

test('a read-only log follows a writer in another process', async (t) => {
  const directory = temporaryLog(t);
  const child = new Child(
    t,
    `import { Wal } from '#ringwal';
    const wal = await Wal.open(process.argv[1], { maxFileSize: 65536 });
    console.log('open');
    for (let i = 1; i <= 20000; i++) while (!wal.tryAppend('entry ' + i)) await wal.ready();
    await wal.sync();
    console.log('done');
    setInterval(() => {}, 1000);`,
    [directory],
  );
  await child.says('open');
  const reader = await Wal.open(directory, READ_ONLY);
  let next = 1;
  while (next <= 20_000) {
    for await (const { lsn, data } of reader.entries({ from: next })) {
      assert.equal(lsn, next++);
      assert.equal(Buffer.from(data).toString(), `entry ${lsn}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await child.says('done');
  assert.equal(reader.lastLsn, 20_000);
});

test('a read-only log that fell behind retention goes on with what is left', async (t) => {
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory, { maxFileSize: 4096, maxFiles: 2 });
  await wal.append(fill(3000, 1), { durable: true });
  const reader = await Wal.open(directory, READ_ONLY);
  assert.equal(reader.lastLsn, 1);
  for (let i = 2; i <= 40; i++) await wal.append(fill(3000, i), { durable: true });
  await wal.sync();
  await wal.close();
  const reopened = await openLog(t, directory, { maxFileSize: 4096, maxFiles: 2 });
  await reopened.sync();
  assert.ok(reopened.firstLsn > 30);
  assert.deepEqual([reader.firstLsn, reader.lastLsn], [reopened.firstLsn, 40]);
  assert.deepEqual(await lsns(reader.entries()), range(reopened.firstLsn, 40));
  await assert.rejects(collect(reader.entries({ from: 1 })), walError('ERR_WAL_PURGED', { lsn: 1 }));
  await assert.rejects(reader.get(2), walError('ERR_WAL_PURGED'));
});

test('a read-only log survives that its writer crashed in a batch and another one went on', async (t) => {
  const original = temporaryLog(t);
  const directory = temporaryLog(t);
  const wal = await openLog(t, original, { syncInterval: 60_000 });
  await wal.append('first');
  await wal.appendBatch(['x'.repeat(100), 'y'.repeat(100), 'z'.repeat(100)]);
  cpSync(original, directory, { recursive: true });
  const path = join(directory, 'wal-0');
  const whole = readFileSync(path);
  writeFileSync(path, whole.subarray(0, -10));
  const reader = await Wal.open(directory, READ_ONLY);
  assert.deepEqual([reader.lastLsn, reader.recovery.verdict], [1, 'torn']);
  // The batch grows under it, and is never finished.
  writeFileSync(path, whole.subarray(0, -5));
  assert.equal(reader.lastLsn, 1);
  const next = await openLog(t, directory);
  assert.equal(next.lastLsn, 1);
  for (let i = 2; i <= 9; i++) await next.append(`entry ${i}`);
  assert.equal(reader.lastLsn, 9);
  assert.deepEqual(
    await texts(reader.entries({ from: 2 })),
    range(2, 9).map((i) => `entry ${i}`),
  );
});

test('what a read-only log cannot do is told by its type and by WalError', async (t) => {
  const directory = temporaryLog(t);
  await makeLog(directory, ['a']);
  copyFileSync(join(directory, 'wal-0'), join(directory, 'wal-7'));
  const error = await Wal.open(directory, READ_ONLY).catch((thrown: unknown) => thrown);
  assert.ok(error instanceof WalError);
  walError('ERR_WAL_CORRUPT')(error);
});
