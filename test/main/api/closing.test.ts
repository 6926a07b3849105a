import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { Wal } from '#ringwal';
import {
  Faults,
  fill,
  freshLog,
  openLog,
  range,
  SMALL_RING,
  temporaryLog,
  texts,
  walError,
} from '../support.js';

test('close() completes everything accepted: ring, queue, beside, and promises', async (t) => {
  const faults = new Faults(t);
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory, { ringSize: SMALL_RING, workerUrl: faults.workerUrl });
  faults.give('hold-write');
  const promised = [];
  for (let i = 0; i < 200; i++) promised.push(wal.append(fill(1000, i), { durable: i % 2 === 0 }));
  promised.push(wal.append(fill(SMALL_RING, 1)), wal.sync(), wal.ready());
  const closing = wal.close();
  assert.throws(() => wal.tryAppend('x'), walError('ERR_WAL_CLOSED'));
  faults.recall('hold-write');
  await closing;
  const settled = await Promise.all(promised.slice(0, 201));
  assert.deepEqual(settled, range(1, 201));
  assert.equal(await promised[201], 201);
  await Promise.allSettled(promised);
  const again = await openLog(t, directory);
  assert.deepEqual([again.lastLsn, again.recovery.watermark, again.recovery.verdict], [201, 201, 'clean']);
});

test('close() is idempotent, also at the same time', async (t) => {
  const wal = await freshLog(t);
  await wal.append('x');
  await Promise.all([wal.close(), wal.close(), wal.close()]);
  await wal.close();
  await wal[Symbol.asyncDispose]();
});

test('a closed log takes nothing more and says so', async (t) => {
  const wal = await freshLog(t);
  await wal.append('x', { durable: true });
  await wal.close();
  const closed = walError('ERR_WAL_CLOSED');
  await assert.rejects(wal.append('y'), closed);
  await assert.rejects(wal.append('y', { durable: true }), closed);
  await assert.rejects(wal.appendBatch(['y']), closed);
  assert.throws(() => wal.tryAppend('y'), closed);
  await assert.rejects(wal.sync(), closed);
  await assert.rejects(wal.ready(), closed);
  assert.throws(() => wal.flushSync(), closed);
  // Figures remain.
  assert.deepEqual([wal.firstLsn, wal.lastLsn, wal.durableLsn], [1, 1, 1]);
  assert.equal(wal.stats().entries, 1);
  assert.equal(wal.segments().length, 1);
  assert.equal(wal.recovery.verdict, 'clean');
});

test('a log is disposed of at the end of its block', async (t) => {
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory);
  assert.equal(typeof wal[Symbol.asyncDispose], 'function');
  wal.tryAppend('x');
  await wal[Symbol.asyncDispose]();
  const again = await openLog(t, directory);
  assert.deepEqual(await texts(again.entries()), ['x']);
});

test('a log can be opened again as soon as close() has resolved, many times over', async (t) => {
  const directory = temporaryLog(t);
  for (let round = 1; round <= 8; round++) {
    const wal = await Wal.open(directory, { ringSize: SMALL_RING });
    assert.equal(await wal.append(`round ${round}`), round);
    await wal.close();
  }
});

test('a closed log has let go of its descriptors and threads', async (t) => {
  const directory = temporaryLog(t);
  const count = (folder: string) => readdirSync(`/proc/self/${folder}`).length;
  await (await Wal.open(directory, { ringSize: SMALL_RING })).close();
  const fds = count('fd');
  // The runtime may start a thread of its own once; logs that keep one make the number grow every time.
  const growth: number[] = [];
  for (let trial = 0; trial < 3; trial++) {
    const threads = count('task');
    for (let round = 0; round < 5; round++) {
      const wal = await Wal.open(directory, { ringSize: SMALL_RING, maxFileSize: 4096 });
      for (let i = 0; i < 20; i++) await wal.append(fill(1000, i));
      await wal.close();
    }
    growth.push(count('task') - threads);
  }
  assert.ok(count('fd') <= fds, `${count('fd')} descriptors, ${fds} before`);
  assert.ok(
    growth.some((more) => more <= 0),
    `threads grew every time: by ${growth.join(', ')}`,
  );
});

test('several logs live side by side', async (t) => {
  const logs = await Promise.all(range(1, 4).map(() => freshLog(t, { ringSize: SMALL_RING })));
  await Promise.all(
    logs.map(async (wal, log) => {
      for (let i = 1; i <= 50; i++)
        assert.equal(await wal.append(`${log}-${i}`, { durable: i % 10 === 0 }), i);
    }),
  );
  for (const [log, wal] of logs.entries()) {
    assert.deepEqual(
      await texts(wal.entries()),
      range(1, 50).map((i) => `${log}-${i}`),
    );
  }
});
