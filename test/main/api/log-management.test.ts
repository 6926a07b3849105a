import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { Wal } from '#ringwal';
import {
  fill,
  freshLog,
  lsns,
  openLog,
  range,
  segmentNames,
  temporaryLog,
  texts,
  walError,
} from '../support.js';

const SMALL = { maxFileSize: 4096 };

/** Appends entries of which three fill a segment. */
async function appendAll(wal: Wal, first: number, last: number): Promise<void> {
  for (const seed of range(first, last)) await wal.append(fill(1200, seed));
  await wal.sync();
}

test('truncateAfter makes an entry the last, and the next append gets the LSN behind it', async (t) => {
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory, SMALL);
  await appendAll(wal, 1, 12);
  const pending = wal.append('pending', { durable: true });
  await wal.truncateAfter(8);
  assert.equal(await pending, 13);
  assert.deepEqual([wal.lastLsn, wal.durableLsn], [8, 8]);
  assert.deepEqual(segmentNames(directory), ['wal-0', 'wal-1', 'wal-2']);
  assert.equal(wal.segments().at(-1)?.lastLsn, 8);
  assert.equal(await wal.get(9), undefined);
  assert.equal(await wal.append('nine', { durable: true }), 9);
  assert.deepEqual(await lsns(wal.entries()), range(1, 9));
  await wal.close();

  const reopened = await openLog(t, directory, SMALL);
  assert.equal(reopened.recovery.verdict, 'clean');
  assert.equal((await texts(reopened.entries({ from: 9 }))).join(), 'nine');
  for await (const { lsn, data } of reopened.entries({ to: 8 })) assert.ok(fill(1200, lsn).equals(data));
  await reopened.close();
  assert.equal((await Wal.verify(directory)).verdict, 'clean');
  assert.ok(readdirSync(directory).some((name) => name.startsWith('ringwal.cut-2-9-')));
});

test('truncateAfter refuses to land inside a batch, below firstLsn and above lastLsn', async (t) => {
  const wal = await freshLog(t, SMALL);
  await appendAll(wal, 1, 3);
  assert.deepEqual(await wal.appendBatch(['a', 'b', 'c']), { first: 4, last: 6 });
  await appendAll(wal, 7, 9);
  for (const lsn of [4, 5, 10, 1e9]) {
    await assert.rejects(wal.truncateAfter(lsn), walError('ERR_WAL_OPTION', { lsn }));
  }
  for (const lsn of [-1, 1.5, Number.NaN, '3', undefined]) {
    await assert.rejects(wal.truncateAfter(lsn as never), walError('ERR_WAL_OPTION'));
  }
  await wal.truncateBefore(9);
  const { firstLsn } = wal;
  assert.ok(firstLsn > 1);
  await assert.rejects(wal.truncateAfter(firstLsn - 2), walError('ERR_WAL_OPTION'));
  await wal.truncateAfter(firstLsn);
  assert.deepEqual([wal.firstLsn, wal.lastLsn], [firstLsn, firstLsn]);
});

test('a reader past truncateAfter gets ERR_WAL_TRUNCATED, one before it goes on', async (t) => {
  const wal = await freshLog(t, SMALL);
  await appendAll(wal, 1, 12);
  // One batch is one segment here.
  const past = wal.batches()[Symbol.asyncIterator]();
  const before = wal.batches({ to: 4 })[Symbol.asyncIterator]();
  const atEnd = wal.batches()[Symbol.asyncIterator]();
  const seen = async (reader: typeof past) =>
    (await reader.next()).value?.map(({ lsn }: { lsn: number }) => lsn);
  assert.deepEqual(await seen(past), [1, 2, 3]);
  assert.deepEqual(await seen(before), [1, 2, 3]);
  for (const first of [1, 4, 7]) assert.deepEqual(await seen(atEnd), range(first, first + 2));
  await wal.truncateAfter(4);
  await assert.rejects(past.next(), walError('ERR_WAL_TRUNCATED'));
  await assert.rejects(atEnd.next(), walError('ERR_WAL_TRUNCATED'));
  assert.deepEqual(await seen(before), [4]);
  assert.equal((await before.next()).done, true);
  assert.deepEqual(await lsns(wal.entries()), range(1, 4));
});

test('a reader that stands exactly where truncateAfter cut off gets ERR_WAL_TRUNCATED, not a missing entry', async (t) => {
  for (const again of [false, true]) {
    const wal = await freshLog(t, SMALL);
    await appendAll(wal, 1, 12);
    const reader = wal.batches()[Symbol.asyncIterator]();
    assert.deepEqual((await reader.next()).value?.length, 3);
    await wal.truncateAfter(3);
    // What has the same LSNs now is not what the reader was to see.
    if (again) await appendAll(wal, 4, 12);
    await assert.rejects(reader.next(), walError('ERR_WAL_TRUNCATED'));
    await wal.close();
  }
});

test('readers that run while the log is cut see what was there, or ERR_WAL_TRUNCATED', async (t) => {
  const wal = await freshLog(t, SMALL);
  await appendAll(wal, 1, 24);
  for (const lsn of [20, 15, 9, 5, 2]) {
    const reads = Array.from({ length: 4 }, async () => {
      let expected = 1;
      for await (const { lsn: found, data } of wal.entries()) {
        assert.equal(found, expected++);
        assert.ok(fill(1200, found).equals(data));
      }
    });
    const outcomes = Promise.allSettled(reads);
    await wal.truncateAfter(lsn);
    for (const outcome of await outcomes) {
      if (outcome.status === 'rejected') walError('ERR_WAL_TRUNCATED')(outcome.reason);
    }
  }
});

test('a checkpoint is read back after reopening, and truncateAfter lowers it', async (t) => {
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory, SMALL);
  assert.equal(wal.checkpointLsn, 0);
  await appendAll(wal, 1, 6);
  await wal.checkpoint(5);
  assert.equal(wal.checkpointLsn, 5);
  await assert.rejects(wal.checkpoint(7), walError('ERR_WAL_OPTION', { lsn: 7 }));
  await wal.close();
  const reopened = await openLog(t, directory, SMALL);
  assert.equal(reopened.checkpointLsn, 5);
  await reopened.truncateAfter(3);
  assert.equal(reopened.checkpointLsn, 3);
  await reopened.close();
  await assert.rejects(reopened.checkpoint(1), walError('ERR_WAL_CLOSED'));
  await assert.rejects(reopened.truncateAfter(1), walError('ERR_WAL_CLOSED'));
  await assert.rejects(reopened.truncateBefore(1), walError('ERR_WAL_CLOSED'));
});

test("retainFrom: 'checkpoint' keeps what is not checkpointed, whatever maxFiles says", async (t) => {
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory, { ...SMALL, maxFiles: 2, retainFrom: 'checkpoint' });
  await appendAll(wal, 1, 15);
  assert.equal(wal.firstLsn, 1);
  await wal.checkpoint(7);
  await appendAll(wal, 16, 18);
  await wal.close();
  assert.equal(segmentNames(directory)[0], 'wal-2');
  const reopened = await openLog(t, directory, SMALL);
  assert.equal(reopened.firstLsn, 7);
  await assert.rejects(reopened.get(6), walError('ERR_WAL_PURGED'));
});

test('after truncateBefore the log begins exactly there, though a reader keeps its segment', async (t) => {
  const wal = await freshLog(t, SMALL);
  await appendAll(wal, 1, 12);
  const reader = wal.batches()[Symbol.asyncIterator]();
  await reader.next();
  await wal.truncateBefore(9);
  assert.deepEqual([wal.firstLsn, wal.segments().length], [9, 4]);
  await reader.return?.(undefined);
  await wal.truncateBefore(9);
  assert.deepEqual([wal.firstLsn, wal.segments().length], [9, 2]);
  for (const lsn of [6, 7, 8]) await assert.rejects(wal.get(lsn), walError('ERR_WAL_PURGED', { lsn }));
  await assert.rejects(lsns(wal.entries({ from: 8 })), walError('ERR_WAL_PURGED'));
  await assert.rejects(lsns(wal.entries({ from: 8, reverse: true })), walError('ERR_WAL_PURGED'));
  assert.deepEqual(await lsns(wal.entries()), [9, 10, 11, 12]);
  assert.deepEqual(await lsns(wal.entries({ reverse: true })), [12, 11, 10, 9]);
  await wal.truncateBefore(3);
  assert.equal(wal.firstLsn, 9);
  await wal.truncateBefore(13);
  assert.deepEqual([wal.firstLsn, wal.lastLsn], [13, 12]);
  assert.deepEqual(await lsns(wal.entries()), []);
  assert.equal(await wal.get(13), undefined);
  await assert.rejects(wal.truncateBefore(14), walError('ERR_WAL_OPTION'));
});
