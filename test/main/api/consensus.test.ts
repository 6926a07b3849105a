import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Wal, type WalEntry, type WalReader } from '#ringwal';
import { cleanUp } from '../../cleanup.js';
import {
  collect,
  fill,
  freshLog,
  lsns,
  openLog,
  range,
  temporaryLog,
  text,
  texts,
  walError,
} from '../support.js';

const PURGED = walError('ERR_WAL_PURGED');
const TRUNCATED = walError('ERR_WAL_TRUNCATED');
const CLOSED = walError('ERR_WAL_CLOSED');
const OPTION = walError('ERR_WAL_OPTION');

/** Three entries for each segment. */
const SMALL = { maxFileSize: 4096 };

async function appendTo(wal: Wal, last: number, round = 1): Promise<void> {
  for (let lsn = wal.lastLsn + 1; lsn <= last; lsn++)
    assert.equal(await wal.append(`entry ${lsn} of round ${round}`.padEnd(1200, '.')), lsn);
  await wal.sync();
}

async function openView(t: TestContext, directory: string): Promise<WalReader> {
  const view = await Wal.open(directory, { readOnly: true });
  cleanUp(t, () => view.close());
  return view;
}

function bounds({ firstLsn, lastLsn, durableLsn }: WalReader): number[] {
  return [firstLsn, lastLsn, durableLsn];
}

// ── create: false ───────────────────────────────────────────────────────────────────────────────────────────────

test('create: false opens a log that is there, with and without entries, and makes none', async (t) => {
  const directory = temporaryLog(t);
  const missing = walError('ERR_WAL_IO', { cause: 'ENOENT', path: directory });
  await assert.rejects(Wal.open(directory, { create: false }), missing);
  assert.ok(!existsSync(directory));
  mkdirSync(directory);
  await assert.rejects(Wal.open(directory, { create: false }), missing);
  assert.deepEqual(readdirSync(directory), []);
  await (await openLog(t, directory)).close();
  const again = await openLog(t, directory, { create: false });
  await again.append('a');
  await again.close();
  unlinkSync(join(directory, 'ringwal.state'));
  assert.deepEqual(await texts((await openLog(t, directory, { create: false })).entries()), ['a']);
  await assert.rejects(Wal.open(directory, { create: 1 as never }), OPTION);
});

// ── The floor ───────────────────────────────────────────────────────────────────────────────────────────────────

test('after truncateBefore every reader begins exactly there: in the process, read-only, following, after a restart', async (t) => {
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory, SMALL);
  await appendTo(wal, 12);
  const view = await openView(t, directory);
  assert.equal(view.firstLsn, 1);
  await wal.truncateBefore(8);
  const check = async (reader: WalReader) => {
    assert.deepEqual(bounds(reader), [8, 12, 12]);
    assert.deepEqual(await lsns(reader.entries()), range(8, 12));
    assert.deepEqual(await lsns(reader.entries({ reverse: true })), range(8, 12).reverse());
    assert.deepEqual((await collect(reader.batches())).flat().length, 5);
    for (const lsn of [1, 7]) {
      await assert.rejects(reader.get(lsn), PURGED);
      await assert.rejects(collect(reader.entries({ from: lsn })), PURGED);
      await assert.rejects(collect(reader.batches({ from: lsn })), PURGED);
      await assert.rejects(collect(reader.entries({ from: lsn, reverse: true })), PURGED);
      await assert.rejects(reader.follow({ from: lsn }).next(), PURGED);
    }
    assert.equal((await reader.get(8))?.lsn, 8);
  };
  await check(wal);
  await check(view);
  await assert.rejects(Wal.follow(directory, { from: 7 }).next(), PURGED);
  const follower = Wal.follow(directory);
  assert.equal((await follower.next()).value?.lsn, 8);
  await follower.return?.();
  const report = await Wal.verify(directory);
  assert.deepEqual([report.verdict, report.firstLsn, report.lastLsn], ['clean', 8, 12]);
  assert.equal(wal.stats().firstLsn, 8);
  await wal.close();
  const again = await openLog(t, directory, SMALL);
  assert.equal(again.recovery.firstLsn, 8);
  await check(again);
});

test('a lost state file loses the floor, and nothing else of what the segments hold', async (t) => {
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory, SMALL);
  await appendTo(wal, 12);
  await wal.truncateBefore(8);
  await wal.close();
  unlinkSync(join(directory, 'ringwal.state'));
  const again = await openLog(t, directory, SMALL);
  assert.deepEqual(bounds(again), [7, 12, 12]);
});

test('what a reader kept from truncateBefore goes with the next segment', async (t) => {
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory, SMALL);
  await appendTo(wal, 12);
  const reader = wal.batches()[Symbol.asyncIterator]();
  await reader.next();
  await wal.truncateBefore(11);
  assert.deepEqual([wal.firstLsn, wal.segments().length], [11, 4]);
  await reader.return?.(undefined);
  await appendTo(wal, 16);
  await wal.rotate();
  await wal.sync();
  const kept = () => wal.segments().map(({ firstLsn }) => firstLsn);
  await wal.checkpoint(16);
  while (Number(kept()[0]) < 10) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(kept()[0], 10);
});

test('truncateBefore is not held back by a checkpoint, as retention is', async (t) => {
  const wal = await freshLog(t, { ...SMALL, maxFiles: 2, retainFrom: 'checkpoint' });
  await appendTo(wal, 12);
  await wal.checkpoint(4);
  while (wal.firstLsn < 4) await new Promise((resolve) => setImmediate(resolve));
  await wal.truncateBefore(9);
  assert.deepEqual([wal.firstLsn, wal.segments()[0]?.firstLsn], [9, 7]);
});

// ── Emptying and reset ──────────────────────────────────────────────────────────────────────────────────────────

test('truncateAfter(firstLsn - 1) empties the log, and LSNs go on from there', async (t) => {
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory, SMALL);
  await appendTo(wal, 12);
  await wal.truncateBefore(5);
  await assert.rejects(wal.truncateAfter(3), OPTION);
  await wal.truncateAfter(4);
  assert.deepEqual(bounds(wal), [5, 4, 4]);
  assert.deepEqual(await lsns(wal.entries()), []);
  assert.deepEqual(await lsns(wal.entries({ reverse: true })), []);
  assert.equal(await wal.get(5), undefined);
  await assert.rejects(wal.get(4), PURGED);
  assert.deepEqual(await wal.appendBatch([]), { first: 5, last: 4 });
  await wal.close();
  const view = await openView(t, directory);
  assert.deepEqual(bounds(view), [5, 4, 4]);
  const again = await openLog(t, directory, SMALL);
  assert.deepEqual([...bounds(again), again.recovery.firstLsn, again.recovery.lastLsn], [5, 4, 4, 5, 4]);
  assert.equal(await again.append('new', { expectLsn: 5, durable: true }), 5);
  assert.deepEqual(bounds(again), [5, 5, 5]);
  assert.deepEqual([view.firstLsn, view.lastLsn], [5, 5]);
  assert.deepEqual(await texts(view.entries()), ['new']);
});

test('truncateAfter(0) makes a log that began with entry 1 a new one', async (t) => {
  const wal = await freshLog(t);
  await wal.truncateAfter(0);
  assert.deepEqual(bounds(wal), [0, 0, 0]);
  await wal.append('a');
  await wal.truncateAfter(0);
  assert.deepEqual(bounds(wal), [0, 0, 0]);
  assert.equal(await wal.append('b'), 1);
  assert.deepEqual(await texts(wal.entries()), ['b']);
});

for (const next of [1, 7, 13, 1000]) {
  test(`reset(${next}) empties a log, and its readers learn that everything is gone`, async (t) => {
    const directory = temporaryLog(t);
    const wal = await openLog(t, directory, SMALL);
    await appendTo(wal, 12);
    const view = await openView(t, directory);
    const readers = [wal.entries(), view.entries(), wal.follow(), Wal.follow(directory)];
    for (const reader of readers) assert.equal((await reader.next()).value?.lsn, 1);
    await wal.reset(next);
    const empty = [next === 1 ? 0 : next, next - 1, next - 1];
    assert.deepEqual(bounds(wal), empty);
    assert.deepEqual(bounds(view), empty);
    for (const reader of readers) await assert.rejects(collect(reader as AsyncIterable<WalEntry>), TRUNCATED);
    await appendTo(wal, next + 5, 2);
    assert.deepEqual(await lsns(view.entries()), range(next, next + 5));
    assert.deepEqual(await lsns(wal.entries({ reverse: true })), range(next, next + 5).reverse());
    assert.match(text((await wal.get(next))?.data ?? fill(0, 0)), /of round 2/);
    assert.match(text((await view.get(next))?.data ?? fill(0, 0)), /of round 2/);
    assert.equal((await Wal.verify(directory)).verdict, 'clean');
    await wal.close();
    const again = await openLog(t, directory, SMALL);
    assert.deepEqual(bounds(again), [next, next + 5, next + 5]);
  });
}

test('reset waits for the appends before it, and those after it begin at its LSN', async (t) => {
  const wal = await freshLog(t);
  const [one, , two] = await Promise.all([wal.append('one'), wal.reset(100), wal.append('two')]);
  assert.deepEqual([one, two], [1, 100]);
  assert.deepEqual(await texts(wal.entries()), ['two']);
  for (const lsn of [0, -1, 1.5, '7', undefined]) await assert.rejects(wal.reset(lsn as never), OPTION);
});

test('a log may be reset to the last LSN that there is', async (t) => {
  const wal = await freshLog(t);
  const last = Number.MAX_SAFE_INTEGER;
  await wal.reset(last);
  assert.equal(await wal.append('the last one', { expectLsn: last }), last);
  await assert.rejects(wal.append('one more'), walError('ERR_WAL_UNSUPPORTED'));
});

test('a segment that a log is emptied into is its own, though one that a cut removed had the number', async (t) => {
  const directory = temporaryLog(t);
  const first = await openLog(t, directory, SMALL);
  await appendTo(first, 6);
  await first.close();
  const wal = await openLog(t, directory, SMALL);
  await wal.truncateAfter(2);
  await wal.reset(3);
  await appendTo(wal, 4);
  assert.deepEqual(await lsns(wal.entries()), [3, 4]);
});

test('an empty log that has lost its state file is refused, not begun anew', async (t) => {
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory);
  await wal.append('a');
  await wal.reset(1000);
  await wal.close();
  unlinkSync(join(directory, 'ringwal.state'));
  await assert.rejects(Wal.open(directory), walError('ERR_WAL_CORRUPT'));
  await assert.rejects(Wal.open(directory, { readOnly: true }), walError('ERR_WAL_CORRUPT'));
  assert.equal((await Wal.verify(directory)).row, 4);
  // Who has been told, and says what to do, gets a log that can be set to the right LSN.
  const again = await openLog(t, directory, { recovery: 'point-in-time' });
  await again.reset(1000);
  assert.equal(await again.append('b'), 1000);
});

// ── Cuts inside a batch ─────────────────────────────────────────────────────────────────────────────────────────

test('truncateAfter with splitBatch ends a batch with the entry that it names', async (t) => {
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory, SMALL);
  await appendTo(wal, 2);
  // Over three segments.
  await wal.appendBatch(range(3, 9).map((lsn) => `part ${lsn}`.padEnd(1000, '.')));
  await appendTo(wal, 12);
  const view = await openView(t, directory);
  for (const lsn of [3, 6, 8]) await assert.rejects(wal.truncateAfter(lsn), OPTION);
  await assert.rejects(wal.truncateAfter(8, { splitBatch: 1 as never }), OPTION);
  await assert.rejects(wal.truncateAfter(8, { splitbatch: true } as never), OPTION);
  const words = async (reader: WalReader) =>
    (await texts(reader.entries())).map((each) => each.split(' ').slice(0, 2).join(' '));
  const kept = ['entry 1', 'entry 2', ...range(3, 9).map((lsn) => `part ${lsn}`)];
  for (const lsn of [8, 6, 3]) {
    await wal.truncateAfter(lsn, { splitBatch: true });
    assert.deepEqual(bounds(wal), [1, lsn, lsn]);
    const expected = kept.slice(0, lsn).map((each) => each.replace(/\.+$/, ''));
    assert.deepEqual(
      (await words(wal)).map((each) => each.replace(/\.+$/, '')),
      expected,
    );
    assert.deepEqual(
      (await words(view)).map((each) => each.replace(/\.+$/, '')),
      expected,
    );
    assert.equal((await Wal.verify(directory)).verdict, 'clean');
  }
  assert.equal(await wal.append('next', { expectLsn: 4 }), 4);
  await wal.close();
  const again = await openLog(t, directory);
  assert.deepEqual([again.recovery.verdict, again.lastLsn], ['clean', 4]);
});

// ── rotate ──────────────────────────────────────────────────────────────────────────────────────────────────────

test('rotate seals the live segment durably, and does nothing to one without an entry', async (t) => {
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory);
  await wal.rotate();
  assert.deepEqual(wal.segments(), []);
  wal.tryAppend('a');
  await wal.rotate();
  const segments = wal.segments();
  assert.deepEqual(
    segments.map(({ number, firstLsn, lastLsn }) => [number, firstLsn, lastLsn]),
    [
      [0, 1, 1],
      [1, 0, 0],
    ],
  );
  assert.equal(wal.durableLsn, 1);
  assert.deepEqual(await texts(Wal.readSegment(segments[0]?.path ?? '')), ['a']);
  await wal.rotate();
  assert.equal(wal.segments().length, 2);
  await wal.append('b');
  assert.deepEqual(await texts(wal.entries()), ['a', 'b']);
  assert.equal(wal.stats().rotations, 1);
  await wal.close();
});

test('every new call says that the log is closed', async (t) => {
  const wal = await freshLog(t);
  await wal.close();
  await assert.rejects(wal.rotate(), CLOSED);
  await assert.rejects(wal.reset(1), CLOSED);
  await assert.rejects(wal.truncateAfter(0), CLOSED);
  await assert.rejects(wal.truncateBefore(1), CLOSED);
});
