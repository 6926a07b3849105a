import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Wal, WalError } from '#ringwal';
import { Faults, fill, openLog, range, SMALL_RING, temporaryLog, text, until, walError } from '../support.js';

const DIED = walError('ERR_WAL_WORKER_DIED');

/** Everything that waits when the thread dies is told, and everything after it. */
async function diesTold(wal: Wal, pending: Promise<unknown>[]): Promise<void> {
  for (const each of pending) await assert.rejects(each, DIED);
  await assert.rejects(wal.append('y'), DIED);
  await assert.rejects(wal.append('y', { durable: true }), DIED);
  await assert.rejects(wal.appendBatch(['y']), DIED);
  await assert.rejects(wal.sync(), DIED);
  await assert.rejects(wal.ready(), DIED);
  assert.throws(() => wal.tryAppend('y'), DIED);
  assert.throws(() => wal.flushSync(), DIED);
  await assert.rejects(wal.close(), DIED);
  // Once.
  await wal.close();
}

for (const order of ['die-at-write', 'die-at-sync'] as const) {
  test(`whoever waits is told when a thread dies (${order}), and the log opens again in the same process`, async (t) => {
    const directory = temporaryLog(t);
    const faults = new Faults(t);
    const wal = await openLog(t, directory, { workerUrl: faults.workerUrl, ringSize: SMALL_RING });
    assert.equal(await wal.append('safe', { durable: true }), 1);
    faults.give(order);
    const pending = [
      wal.append('a', { durable: true }),
      wal.append('b', { durable: true }),
      wal.appendBatch(['c', 'd'], { durable: true }),
      wal.append(fill(SMALL_RING, 1), { durable: true }),
      wal.sync(),
    ];
    await diesTold(wal, pending);
    faults.recall(order);
    const again = await openLog(t, directory, { workerUrl: faults.workerUrl });
    assert.ok(again.lastLsn >= 1 && again.lastLsn <= 6);
    assert.equal(text((await again.get(1))?.data ?? Buffer.alloc(0)), 'safe');
    assert.equal(await again.append('after', { durable: true }), again.lastLsn);
  });
}

for (const [thread, order] of [
  ['writer', 'die-at-write'],
  ['sync', 'die-at-sync'],
] as const) {
  test(`flushSync() in a blocked thread does not hang when the ${thread} thread dies`, async (t) => {
    const directory = temporaryLog(t);
    const faults = new Faults(t);
    const wal = await openLog(t, directory, { workerUrl: faults.workerUrl, onError: () => {} });
    await wal.append('safe', { durable: true });
    faults.give(order);
    // Two, since the writer would sync a lone one itself.
    wal.tryAppend('a');
    wal.tryAppend('b');
    assert.throws(() => wal.flushSync(), DIED);
    faults.recall(order);
    await diesTold(wal, []);
    const again = await openLog(t, directory);
    assert.ok(again.lastLsn >= 1);
  });
}

test('flushSync() does not hang when the sync thread died before, unnoticed, and the writer waits for it', async (t) => {
  const directory = temporaryLog(t);
  const faults = new Faults(t);
  const wal = await openLog(t, directory, {
    workerUrl: faults.workerUrl,
    ringSize: SMALL_RING,
    maxFileSize: 4096,
    syncInterval: 60_000,
    onError: () => {},
  });
  await wal.append('safe', { durable: true });
  faults.give('die-at-sync');
  // Rotations: the writer waits for the sync thread where a sealed segment has to be synced. No event is heard meanwhile.
  for (let i = 0; i < 20; i++) wal.tryAppend(fill(1500, i));
  while (!faults.isMet('die-at-sync')) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
  assert.throws(() => wal.flushSync(), DIED);
  faults.recall('die-at-sync');
  await diesTold(wal, []);
});

test('fire-and-forget entries that die with the writer are reported and counted', async (t) => {
  const faults = new Faults(t);
  const errors: WalError[] = [];
  const wal = await openLog(t, temporaryLog(t), {
    workerUrl: faults.workerUrl,
    ringSize: SMALL_RING,
    onError: (error) => errors.push(error),
  });
  await wal.append('safe', { durable: true });
  faults.give('hold-write');
  for (let i = 0; i < 10; i++) assert.ok(wal.tryAppend(fill(500, i)));
  while (!faults.isMet('hold-write')) await new Promise((resolve) => setImmediate(resolve));
  faults.give('die-at-write');
  faults.recall('hold-write');
  while (errors.length === 0) await new Promise((resolve) => setImmediate(resolve));
  walError('ERR_WAL_WORKER_DIED', { message: /10 entries/ })(errors[0]);
  assert.deepEqual([errors.length, wal.stats().lost], [1, 10]);
  await assert.rejects(wal.close(), DIED);
  assert.equal(errors.length, 1);
});

test('a thread that dies while nobody waits is noticed by the next call', async (t) => {
  const faults = new Faults(t);
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory, {
    workerUrl: faults.workerUrl,
    syncInterval: 1,
    onError: () => {},
  });
  faults.give('die-at-sync');
  wal.tryAppend('x');
  wal.tryAppend('y');
  await until(() => faults.isMet('die-at-sync'));
  await assert.rejects(wal.append('z', { durable: true }), DIED);
  await assert.rejects(wal.close(), DIED);
});

test('acknowledged entries are in the log after each of many deaths', async (t) => {
  const directory = temporaryLog(t);
  const acknowledged: string[] = [];
  for (let round = 0; round < 4; round++) {
    const faults = new Faults(t);
    const wal = await openLog(t, directory, { workerUrl: faults.workerUrl, maxFileSize: 4096 });
    let lsn = wal.lastLsn;
    const kept: string[] = [];
    for await (const entry of wal.entries()) kept.push(text(entry.data));
    assert.deepEqual(kept.slice(0, acknowledged.length), acknowledged);
    acknowledged.push(...kept.slice(acknowledged.length));
    for (const i of range(1, 20)) {
      const entry = `${round}-${i}`.padEnd(300);
      assert.equal(await wal.append(entry, { durable: i % 2 === 0 }), ++lsn);
      acknowledged.push(entry);
    }
    await wal.sync();
    faults.give(round % 2 === 0 ? 'die-at-write' : 'die-at-sync');
    await assert.rejects(
      Promise.all(range(1, 5).map((i) => wal.append(`lost ${i}`, { durable: true }))),
      DIED,
    );
    faults.recallAll();
    await wal.close().catch(DIED);
  }
});
