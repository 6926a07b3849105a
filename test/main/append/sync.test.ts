import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Faults, fill, freshLog, SMALL_RING, settled, until, walError } from '../support.js';

test('sync() makes everything accepted before it durable and resolves to the watermark', async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING, syncInterval: 60_000 });
  for (let round = 1; round <= 5; round++) {
    for (let i = 0; i < 99; i++) while (!wal.tryAppend(fill(700, i))) await wal.ready(700);
    const large = wal.append(fill(SMALL_RING, round));
    const watermark = await wal.sync();
    assert.ok(watermark >= round * 100);
    assert.equal(wal.durableLsn, watermark);
    assert.equal(await large, round * 100);
  }
});

test('sync() of nothing resolves at once', async (t) => {
  const wal = await freshLog(t);
  assert.equal(await wal.sync(), 0);
  assert.deepEqual(await Promise.all([wal.sync(), wal.sync(), wal.sync()]), [0, 0, 0]);
  await wal.append('x', { durable: true });
  const { syncs } = wal.stats();
  assert.equal(await wal.sync(), 1);
  assert.equal(wal.stats().syncs, syncs);
});

test('many that sync at once share syncs', async (t) => {
  const wal = await freshLog(t);
  const all = [];
  for (let i = 1; i <= 1000; i++) {
    wal.tryAppend(`entry ${i}`);
    all.push(wal.sync().then((watermark) => assert.ok(watermark >= i)));
  }
  await Promise.all(all);
  assert.ok(wal.stats().syncs < 500, `${wal.stats().syncs} syncs`);
});

test('sync() is abandoned by its signal, and the log goes on', async (t) => {
  const faults = new Faults(t);
  const wal = await freshLog(t, { workerUrl: faults.workerUrl });
  const reason = new Error('enough');
  await assert.rejects(wal.sync({ signal: AbortSignal.abort(reason) }), reason);
  faults.give('hold-sync');
  wal.tryAppend('x');
  const abort = new AbortController();
  const abandoned = wal.sync({ signal: abort.signal });
  const kept = wal.sync({ signal: new AbortController().signal });
  assert.equal(await settled(abandoned), 'pending');
  abort.abort(reason);
  await assert.rejects(abandoned, reason);
  faults.recall('hold-sync');
  assert.equal(await kept, 1);
});

test('flushSync() makes everything accepted durable before it returns', async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING, syncInterval: 60_000 });
  wal.flushSync();
  const promises = [];
  for (let round = 1; round <= 20; round++) {
    wal.tryAppend('small');
    promises.push(wal.append(fill(SMALL_RING, round)), wal.append('x', { durable: true }));
    promises.push(wal.appendBatch(['a', 'b']));
    wal.flushSync();
    assert.equal(wal.durableLsn, round * 5);
    assert.equal(wal.lastLsn, round * 5);
  }
  await Promise.all(promises);
});

test('flushSync() settles promises that it made true', async (t) => {
  const wal = await freshLog(t);
  let resolved = 0;
  wal.append('a', { durable: true }).then(() => resolved++);
  wal.sync().then(() => resolved++);
  wal.flushSync();
  await Promise.resolve();
  await Promise.resolve();
  assert.ok(resolved >= 1);
});

test('flushSync() gives up after its time, and what it began goes on', async (t) => {
  const faults = new Faults(t);
  const wal = await freshLog(t, { workerUrl: faults.workerUrl });
  faults.give('hold-sync');
  wal.tryAppend('x');
  for (const timeoutMs of [0, 1, 120]) {
    assert.throws(() => wal.flushSync(timeoutMs), walError('ERR_WAL_TIMEOUT'));
  }
  assert.equal(wal.durableLsn, 0);
  faults.recall('hold-sync');
  wal.flushSync();
  assert.equal(wal.durableLsn, 1);
  wal.tryAppend('y');
  wal.flushSync(60_000);
  assert.equal(wal.durableLsn, 2);
});

test('what is only written is synced by itself within the interval', async (t) => {
  const wal = await freshLog(t, { syncInterval: 20 });
  wal.tryAppend('x');
  await until(() => wal.durableLsn >= 1);
  await wal.append('y');
  await until(() => wal.durableLsn >= 2);
});

test("a durable append with commit: 'interval' waits for the tick, one with 'group' does not", async (t) => {
  const wal = await freshLog(t, { syncInterval: 60_000, commit: 'interval' });
  const patient = wal.append('a', { durable: true });
  assert.equal(await wal.append('b'), 2);
  assert.equal(await settled(patient), 'pending');
  assert.equal(wal.durableLsn, 0);
  assert.equal(await wal.append('c', { durable: true, commit: 'group' }), 3);
  assert.equal(await patient, 1);
  const next = wal.append('d', { durable: true });
  assert.equal(await settled(next), 'pending');
  await wal.sync();
  assert.equal(await next, 4);

  const ticking = await freshLog(t, { syncInterval: 30, commit: 'interval', durable: true });
  const syncs = [];
  for (let i = 0; i < 100; i++) syncs.push(ticking.append('x'));
  await Promise.all(syncs);
  assert.ok(ticking.stats().syncs <= 3);
});

test('commitDelay gathers company for a group', async (t) => {
  const wal = await freshLog(t, { commitDelay: 50 });
  const first = wal.append('a', { durable: true });
  await wal.append('b');
  const second = wal.append('c', { durable: true });
  assert.deepEqual(await Promise.all([first, second]), [1, 3]);
  assert.equal(wal.durableLsn, 3);
});

test('durable appends one after the other are each synced, all at once share syncs', async (t) => {
  const wal = await freshLog(t);
  for (let i = 1; i <= 20; i++) {
    assert.equal(await wal.append('x', { durable: true }), i);
    assert.ok(wal.durableLsn >= i);
  }
  assert.ok(wal.stats().syncs >= 20);
  const { syncs } = wal.stats();
  await Promise.all(Array.from({ length: 2000 }, () => wal.append('x', { durable: true })));
  assert.ok(wal.stats().syncs - syncs < 1000);
});
