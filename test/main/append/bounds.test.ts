import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Faults, fill, freshLog, openLog, SMALL_RING, texts, walError } from '../support.js';

test('an entry or a batch above maxEntrySize is refused and nothing of it is taken', async (t) => {
  for (const maxEntrySize of [1000, SMALL_RING]) {
    const wal = await freshLog(t, { ringSize: SMALL_RING, maxEntrySize });
    const tooLarge = walError('ERR_WAL_TOO_LARGE');
    await assert.rejects(wal.append(fill(maxEntrySize + 1, 1)), tooLarge);
    await assert.rejects(wal.append('x'.repeat(maxEntrySize + 1), { durable: true }), tooLarge);
    await assert.rejects(wal.append('ä'.repeat(maxEntrySize / 2 + 1)), tooLarge);
    assert.throws(() => wal.tryAppend(fill(maxEntrySize + 1, 1)), tooLarge);
    assert.throws(() => wal.tryAppend('語'.repeat(maxEntrySize / 2)), tooLarge);
    await assert.rejects(wal.appendBatch([fill(maxEntrySize, 1), 'x']), tooLarge);
    await assert.rejects(wal.appendBatch(['語'.repeat(maxEntrySize / 2)]), tooLarge);
    assert.equal(wal.stats().accepted, 0);
    assert.equal(await wal.append(fill(maxEntrySize, 1)), 1);
    assert.equal(await wal.append('x'.repeat(maxEntrySize)), 2);
    assert.deepEqual(await wal.appendBatch([fill(maxEntrySize - 1, 1), 'x']), { first: 3, last: 4 });
    assert.equal(wal.tryAppend('ä'.repeat(maxEntrySize / 2)), true);
    await wal.close();
  }
});

test('what was larger than the limit of today is read all the same', async (t) => {
  const wal = await freshLog(t);
  await wal.append(fill(100_000, 1));
  await wal.close();
  const later = await openLog(t, wal.directory, { maxEntrySize: 10 });
  assert.ok(fill(100_000, 1).equals((await later.get(1))?.data ?? Buffer.alloc(0)));
});

test('an append in front of a full ring is queued up to maxPending, one is always admitted', async (t) => {
  const faults = new Faults(t);
  const wal = await freshLog(t, { ringSize: SMALL_RING, maxPending: 1000, workerUrl: faults.workerUrl });
  faults.give('hold-write');
  let taken = 0;
  while (wal.tryAppend(fill(1000, taken))) taken += 1;
  // Alone it may pass the limit.
  const queued = [wal.append(fill(5000, 1))];
  assert.equal(wal.stats().pendingBytes, 5000);
  await assert.rejects(wal.append('x'), walError('ERR_WAL_FULL'));
  await assert.rejects(wal.appendBatch(['x']), walError('ERR_WAL_FULL'));
  await assert.rejects(wal.append(fill(SMALL_RING, 1)), walError('ERR_WAL_FULL'));
  assert.equal(wal.tryAppend(fill(SMALL_RING, 1)), false);
  assert.equal(wal.stats().accepted, taken + 1);
  faults.recall('hold-write');
  assert.equal(await queued[0], taken + 1);
  await wal.sync();

  faults.give('hold-write');
  while (wal.tryAppend(fill(1000, taken))) taken += 1;
  queued.push(wal.append(fill(600, 1)), wal.append(fill(400, 1)));
  await assert.rejects(wal.append('x'), walError('ERR_WAL_FULL'));
  assert.equal(wal.stats().pendingBytes, 1000);
  faults.recall('hold-write');
  await Promise.all(queued);
  await wal.sync();
  assert.equal(wal.stats().pendingBytes, 0);
  assert.equal(wal.lastLsn, taken + 3);
});

test('large entries beside the ring count against maxPending', async (t) => {
  const faults = new Faults(t);
  const wal = await freshLog(t, {
    ringSize: SMALL_RING,
    maxPending: 3 * SMALL_RING,
    workerUrl: faults.workerUrl,
  });
  faults.give('hold-write');
  const large = [1, 2, 3].map((seed) => wal.append(fill(SMALL_RING, seed)));
  await assert.rejects(wal.append(fill(SMALL_RING, 4)), walError('ERR_WAL_FULL'));
  assert.equal(wal.tryAppend(fill(SMALL_RING, 4)), false);
  // The ring has room.
  assert.equal(wal.tryAppend('small'), true);
  faults.recall('hold-write');
  assert.deepEqual(await Promise.all(large), [1, 2, 3]);
  await wal.ready(SMALL_RING);
  assert.equal(wal.tryAppend(fill(SMALL_RING, 4)), true);
});

test('a batch beside the ring leaves the ring to others', async (t) => {
  const faults = new Faults(t);
  const wal = await freshLog(t, { ringSize: SMALL_RING, workerUrl: faults.workerUrl });
  faults.give('hold-write');
  const batch = wal.appendBatch(Array.from({ length: 100 }, (_, at) => fill(1000, at)));
  assert.equal(wal.tryAppend('behind it'), true);
  faults.recall('hold-write');
  assert.deepEqual(await batch, { first: 1, last: 100 });
  await wal.sync();
  assert.deepEqual(await texts(wal.entries({ from: 101 })), ['behind it']);
});

test('at most maxUnsettled append promises are pending; tryAppend needs none', async (t) => {
  const faults = new Faults(t);
  const wal = await freshLog(t, { maxUnsettled: 3, workerUrl: faults.workerUrl });
  faults.give('hold-sync');
  faults.give('hold-write');
  const pending: Promise<unknown>[] = [
    wal.append('a'),
    wal.append('b', { durable: true }),
    wal.appendBatch(['c', 'd']),
  ];
  assert.equal(wal.stats().unsettled, 3);
  await assert.rejects(wal.append('e'), walError('ERR_WAL_FULL'));
  await assert.rejects(wal.appendBatch(['e']), walError('ERR_WAL_FULL'));
  assert.equal(wal.tryAppend('f'), true);
  faults.recall('hold-write');
  faults.recall('hold-sync');
  await Promise.all(pending);
  assert.equal(await wal.append('g'), 6);
  assert.equal(wal.stats().unsettled, 0);
  assert.deepEqual(await texts(wal.entries()), ['a', 'b', 'c', 'd', 'f', 'g']);
});
