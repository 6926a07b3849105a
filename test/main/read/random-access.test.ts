import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SEED } from '../../seed.js';
import { collect, fill, freshLog, openSegments, randomSource, walError } from '../support.js';

test(`get() and entries() from anywhere find what was appended, whatever was read, cut or removed before (seed ${SEED})`, async (t) => {
  const random = randomSource(SEED);
  const wal = await freshLog(t, { maxFileSize: 256 * 1024, ringSize: 64 * 1024 });
  /** By LSN. */
  const model = new Map<number, Buffer>();
  const sizes = [0, 10, 100, 3000, 20_000, 40_000];
  const newEntry = () => fill(sizes[random(sizes.length)] as number, random(1000));

  async function append(): Promise<void> {
    const count = 1 + random(30);
    const pending: Promise<void>[] = [];
    for (let i = 0; i < count; i++) {
      const data = newEntry();
      pending.push(wal.append(data).then((lsn) => void model.set(lsn, data)));
      if (random(5) > 0) continue;
      const batch = [newEntry(), newEntry(), newEntry()];
      const appended = wal.appendBatch(batch);
      pending.push(
        appended.then(({ first }) => batch.forEach((part, at) => void model.set(first + at, part))),
      );
    }
    await Promise.all(pending);
  }

  async function get(): Promise<void> {
    for (let i = 0; i < 20; i++) {
      const lsn = wal.firstLsn + random(wal.lastLsn - wal.firstLsn + 1);
      const entry = await wal.get(lsn);
      assert.equal(entry?.lsn, lsn);
      assert.deepEqual(Buffer.from(entry?.data ?? []), model.get(lsn), `entry ${lsn}`);
    }
  }

  async function read(): Promise<void> {
    const from = wal.firstLsn + random(wal.lastLsn - wal.firstLsn + 1);
    const to = from + random(40);
    for (const { lsn, data } of await collect(wal.entries({ from, to }))) {
      assert.deepEqual(Buffer.from(data), model.get(lsn), `entry ${lsn}`);
    }
  }

  async function cut(): Promise<void> {
    const lsn = Math.max(wal.firstLsn, wal.lastLsn - random(60));
    try {
      await wal.truncateAfter(lsn);
    } catch (error) {
      // Inside a batch.
      walError('ERR_WAL_OPTION')(error);
    }
    for (let gone = wal.lastLsn + 1; model.delete(gone); ) gone += 1;
    assert.equal(await wal.get(wal.lastLsn + 1), undefined);
  }

  async function remove(): Promise<void> {
    const lsn = wal.firstLsn + random(1 + ((wal.lastLsn - wal.firstLsn) >> 2));
    await wal.truncateBefore(lsn);
    if (wal.firstLsn > 1) await assert.rejects(wal.get(wal.firstLsn - 1), walError('ERR_WAL_PURGED'));
  }

  await append();
  const works = [append, append, get, get, get, read, read, cut, remove];
  for (let round = 0; round < 120; round++) await works[random(works.length)]?.();
});

test('what get() keeps open is closed with the log, and when its segment goes', async (t) => {
  const wal = await freshLog(t, { maxFileSize: 64 * 1024, ringSize: 64 * 1024 });
  const own = openSegments(wal.directory).length;
  for (let i = 0; i < 600; i++) await wal.append(fill(1000, i));
  for (let round = 0; round < 2; round++) for (let lsn = 20; lsn < 600; lsn += 40) await wal.get(lsn);
  const kept = openSegments(wal.directory).length - own;
  assert.ok(kept > 0 && kept <= 6, `${kept} files`);
  await wal.truncateBefore(590);
  await wal.get(600);
  // They are closed by the thread pool; if one were kept, this would not end.
  while (openSegments(wal.directory).some((path) => path.endsWith('(deleted)')))
    await new Promise(setImmediate);
  await wal.close();
  assert.equal(openSegments(wal.directory).length, 0);
});
