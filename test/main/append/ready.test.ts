import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Wal } from '#ringwal';
import { Faults, fill, freshLog, SMALL_RING, settled, walError } from '../support.js';

/** Fills the ring of a log whose writer is held. */
function fillRing(wal: Wal, bytes = 1000): number {
  let taken = 0;
  while (wal.tryAppend(fill(bytes, taken))) taken += 1;
  while (wal.tryAppend('')) taken += 1;
  return taken;
}

test('tryAppend returns false when the ring is full, and takes nothing then', async (t) => {
  const faults = new Faults(t);
  const wal = await freshLog(t, { ringSize: SMALL_RING, workerUrl: faults.workerUrl });
  faults.give('hold-write');
  const taken = fillRing(wal);
  assert.ok(taken > 0);
  assert.equal(wal.tryAppend('x'), false);
  assert.equal(wal.tryAppend(fill(1000, 1)), false);
  assert.equal(wal.stats().accepted, taken);
  faults.recall('hold-write');
  assert.equal(await wal.sync(), taken);
});

test('while an append is queued tryAppend returns false, even for what would fit', async (t) => {
  const faults = new Faults(t);
  const wal = await freshLog(t, { ringSize: SMALL_RING, workerUrl: faults.workerUrl });
  faults.give('hold-write');
  const taken = fillRing(wal);
  const queued = wal.append('queued');
  assert.equal(wal.tryAppend(''), false);
  faults.recall('hold-write');
  assert.equal(await queued, taken + 1);
  await wal.ready();
  assert.equal(wal.tryAppend(''), true);
});

test('ready() resolves at once when there is room', async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING });
  await wal.ready();
  await wal.ready(100);
  await wal.ready(SMALL_RING / 4 - 4);
  await wal.ready(SMALL_RING * 10);
  await wal.ready(1, { signal: new AbortController().signal });
});

test('ready() resolves once an entry of that size has room', async (t) => {
  const faults = new Faults(t);
  const wal = await freshLog(t, { ringSize: SMALL_RING, workerUrl: faults.workerUrl });
  for (const bytes of [0, 1, 1000, 16_000]) {
    await wal.sync();
    faults.give('hold-write');
    fillRing(wal);
    const ready = wal.ready(bytes);
    assert.equal(await settled(ready), 'pending');
    faults.recall('hold-write');
    await ready;
    assert.equal(wal.tryAppend(fill(bytes, 1)), true, `${bytes} bytes`);
  }
});

test('a ready() that is granted at once takes nothing from one that waits for more', async (t) => {
  const faults = new Faults(t);
  const wal = await freshLog(t, { ringSize: SMALL_RING, workerUrl: faults.workerUrl });
  faults.give('hold-write');
  while (wal.tryAppend(fill(1000, 1)));
  const waits = wal.ready(16_000);
  assert.equal(await settled(waits), 'pending');
  await wal.ready(0);
  faults.recall('hold-write');
  await waits;
});

test('many that wait in ready() for different sizes are all told', async (t) => {
  const faults = new Faults(t);
  const wal = await freshLog(t, { ringSize: SMALL_RING, workerUrl: faults.workerUrl });
  for (const sizes of [
    [0, 16_000, 500, 8000],
    [16_000, 8000, 500, 0],
    [100, 100, SMALL_RING, 100],
  ]) {
    await wal.sync();
    faults.give('hold-write');
    fillRing(wal);
    const all = Promise.all(sizes.map((bytes) => wal.ready(bytes)));
    faults.recall('hold-write');
    await all;
  }
});

test('ready() while appends are queued waits for them', async (t) => {
  const faults = new Faults(t);
  const wal = await freshLog(t, { ringSize: SMALL_RING, workerUrl: faults.workerUrl });
  faults.give('hold-write');
  fillRing(wal);
  const queued = [wal.append('a'), wal.append('b')];
  const waits = Array.from({ length: 50 }, (_, at) => wal.ready(at));
  assert.equal(await settled(Promise.race(waits)), 'pending');
  faults.recall('hold-write');
  await Promise.all([...queued, ...waits]);
});

test('ready() is abandoned by its signal', async (t) => {
  const faults = new Faults(t);
  const wal = await freshLog(t, { ringSize: SMALL_RING, workerUrl: faults.workerUrl });
  const reason = new Error('enough');
  await assert.rejects(wal.ready(0, { signal: AbortSignal.abort(reason) }), reason);
  faults.give('hold-write');
  fillRing(wal);
  const abort = new AbortController();
  const abandoned = wal.ready(0, { signal: abort.signal });
  const other = wal.ready(0);
  abort.abort(reason);
  await assert.rejects(abandoned, reason);
  faults.recall('hold-write');
  await other;
});

test('ready() rejects when the log is closed', async (t) => {
  const faults = new Faults(t);
  const wal = await freshLog(t, { ringSize: SMALL_RING, workerUrl: faults.workerUrl });
  faults.give('hold-write');
  fillRing(wal);
  const waits = wal.ready(1000);
  const closing = wal.close();
  await assert.rejects(wal.ready(), walError('ERR_WAL_CLOSED'));
  faults.recall('hold-write');
  await waits.catch(walError('ERR_WAL_CLOSED'));
  await closing;
  await assert.rejects(wal.ready(), walError('ERR_WAL_CLOSED'));
});

test('ready() refuses a size that no entry may have', async (t) => {
  const wal = await freshLog(t, { maxEntrySize: 1000 });
  await assert.rejects(wal.ready(1001), walError('ERR_WAL_TOO_LARGE'));
  await wal.ready(1000);
});
