/**
 * The path of an open log comes to lead to another log: a symbolic link is moved, or the directory is renamed and another one put
 * in its place. Nothing of the other log is read as this one's, and nothing of it is changed.
 */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, renameSync, symlinkSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Wal, type WalEntry, type WalIterator, type WalReader } from '#ringwal';
import { cleanUp, temporaryDirectory } from '../../cleanup.js';
import { makeLog, openLog, range, snapshot, text, until, walError } from '../support.js';

/** Three entries a segment. */
const OPTIONS = { maxFileSize: 4096, syncInterval: 20 };

const entry = (log: string, lsn: number) => `${log} ${lsn} `.padEnd(1200, '.');
const entriesOf = (log: string, last: number) => range(1, last).map((lsn) => entry(log, lsn));

/** What tells that the path does not lead to the log any more. */
const ELSEWHERE = walError('ERR_WAL_IO', { cause: 'ENOENT', message: /removed, renamed or replaced/ });

/** What a writer says that notices it, perhaps in the middle of its work. */
const GONE = walError('ERR_WAL_IO', { cause: 'ENOENT' });

const WAYS = ['a link that was moved', 'a directory that was replaced'] as const;

/** Where a log "mine" can be opened, and how another one takes its place there. */
interface Scene {
  readonly directory: string;
  readonly swap: () => void;
  /** Puts things back as they were. */
  readonly restore: () => void;
  /** Where the other log is, once it is in the place. */
  readonly mine: () => string;
}

/** `get(5)` gives the log's own entry, of a file that is still open, or is refused as expected: nothing else will do. */
async function isOwnOrRefused(log: WalReader, refusal: (error: unknown) => true): Promise<void> {
  await log.get(5).then((found) => {
    assert.equal(text((found ?? assert.fail('entry 5 is gone')).data), entry('mine', 5));
  }, refusal);
}

function scene(t: TestContext, way: (typeof WAYS)[number]): Scene & { readonly other: string } {
  const root = temporaryDirectory(t);
  const [directory, aside, other] = ['current', 'a', 'b'].map((name) => join(root, name)) as [
    string,
    string,
    string,
  ];
  if (way === 'a link that was moved') {
    mkdirSync(aside);
    symlinkSync(aside, directory);
    const point = (to: string) => {
      symlinkSync(to, `${directory}.new`);
      renameSync(`${directory}.new`, directory);
    };
    return {
      directory,
      other,
      swap: () => point(other),
      restore: () => point(aside),
      mine: () => aside,
    };
  }
  mkdirSync(directory);
  return {
    directory,
    other,
    swap: () => {
      renameSync(directory, aside);
      renameSync(other, directory);
    },
    restore: () => {
      renameSync(directory, other);
      renameSync(aside, directory);
    },
    mine: () => aside,
  };
}

/** Reads on until the end or an error; every entry must be of `log`. */
async function readsOnly(log: string, entries: WalIterator<WalEntry>): Promise<number> {
  let count = 0;
  for await (const { lsn, data } of entries) {
    assert.equal(text(data), entry(log, lsn));
    count++;
  }
  return count;
}

async function* flat(batches: WalIterator<WalEntry[]>): AsyncGenerator<WalEntry, undefined> {
  for await (const batch of batches) yield* batch;
  return undefined;
}

/** Each way to read from a log. */
const READS: Readonly<Record<string, (wal: WalReader) => Promise<unknown>>> = {
  entries: (wal) => readsOnly('mine', wal.entries()),
  'entries from the middle': (wal) => readsOnly('mine', wal.entries({ from: 8 })),
  'entries in reverse': (wal) => readsOnly('mine', wal.entries({ reverse: true })),
  batches: (wal) => readsOnly('mine', flat(wal.batches())),
  get: async (wal) => {
    const found = await wal.get(5);
    assert.equal(found === undefined ? undefined : text(found.data), entry('mine', 5));
  },
  follow: async (wal) => {
    for await (const { lsn, data } of wal.follow()) {
      assert.equal(text(data), entry('mine', lsn));
      if (lsn === 12) return;
    }
  },
};

for (const way of WAYS) {
  test(`of ${way} an open log reads nothing: every read fails and says so`, async (t) => {
    const { directory, other, swap } = scene(t, way);
    await makeLog(other, entriesOf('other', 30), OPTIONS);
    const wal = await openLog(t, directory, { ...OPTIONS, syncInterval: 60_000 });
    for (const each of entriesOf('mine', 12)) await wal.append(each, { durable: true });
    swap();
    for (const [name, read] of Object.entries(READS)) {
      await assert.rejects(read(wal), ELSEWHERE, name);
    }
    assert.deepEqual([wal.firstLsn, wal.lastLsn, wal.durableLsn], [1, 12, 12]);
    assert.deepEqual(
      wal.segments().map(({ firstLsn, lastLsn }) => [firstLsn, lastLsn]),
      [0, 1, 2, 3].map((at) => [3 * at + 1, 3 * at + 3]),
    );
  });

  test(`of ${way} an open log reads nothing though it be a copy of its own that went on by itself`, async (t) => {
    const { directory, other, swap } = scene(t, way);
    const wal = await openLog(t, directory, { ...OPTIONS, syncInterval: 60_000 });
    for (const each of entriesOf('mine', 4)) await wal.append(each, { durable: true });
    // The state file may just be being written.
    const filter = (path: string) => !path.endsWith('.aside');
    cpSync(directory, other, { recursive: true, dereference: true, filter });
    const copy = await openLog(t, other, OPTIONS);
    for (const each of entriesOf('other', 12).slice(4)) await copy.append(each, { durable: true });
    for (const each of entriesOf('mine', 12).slice(4)) await wal.append(each, { durable: true });
    await copy.close();
    swap();
    for (const [name, read] of Object.entries(READS)) await assert.rejects(read(wal), ELSEWHERE, name);
  });

  test(`an iterator that is under way ends with its segment where another log is in the place: ${way}`, async (t) => {
    const { directory, other, swap, restore } = scene(t, way);
    await makeLog(other, entriesOf('other', 30), OPTIONS);
    const wal = await openLog(t, directory, { ...OPTIONS, syncInterval: 60_000 });
    for (const each of entriesOf('mine', 12)) await wal.append(each, { durable: true });
    for (const iterator of [wal.entries(), wal.entries({ reverse: true }), wal.follow()]) {
      const first = await iterator.next();
      assert.equal(text(first.value?.data ?? Buffer.alloc(0)), entry('mine', first.value?.lsn ?? 0));
      swap();
      await assert.rejects(readsOnly('mine', iterator), ELSEWHERE);
      restore();
    }
    // Once it is back, so is the log.
    assert.equal(await readsOnly('mine', wal.entries()), 12);
  });

  test(`a get() of a segment that is open already is of that one, not of ${way}`, async (t) => {
    const { directory, other, swap } = scene(t, way);
    await makeLog(other, entriesOf('other', 30), OPTIONS);
    const wal = await openLog(t, directory, { ...OPTIONS, syncInterval: 60_000 });
    for (const each of entriesOf('mine', 12)) await wal.append(each, { durable: true });
    // The second one finds its way without the first frame, in a file that stays open.
    for (let round = 0; round < 3; round++) await wal.get(5);
    swap();
    await isOwnOrRefused(wal, ELSEWHERE);
  });

  test(`a read-only log and Wal.follow do not go over to another log: ${way}`, async (t) => {
    const { directory, other, swap, restore } = scene(t, way);
    await makeLog(directory, entriesOf('mine', 12), OPTIONS);
    await makeLog(other, entriesOf('other', 30), OPTIONS);
    const view = await Wal.open(directory, { readOnly: true });
    cleanUp(t, () => view.close());
    const running = view.entries();
    const followed = Wal.follow(directory, { ref: false });
    cleanUp(t, () => followed.return());
    for (const iterator of [running, followed])
      assert.equal(text((await iterator.next()).value?.data ?? Buffer.alloc(0)), entry('mine', 1));
    swap();
    for (const [name, read] of Object.entries(READS)) await assert.rejects(read(view), ELSEWHERE, name);
    assert.throws(() => view.lastLsn, ELSEWHERE);
    assert.throws(() => view.segments(), ELSEWHERE);
    for (const iterator of [running, followed]) await assert.rejects(readsOnly('mine', iterator), ELSEWHERE);
    restore();
    assert.equal(await readsOnly('mine', view.entries()), 12);
  });

  test(`a read-only log goes on in a copy of it that took its place: ${way}`, async (t) => {
    const { directory, other, swap } = scene(t, way);
    await makeLog(directory, entriesOf('mine', 12), OPTIONS);
    cpSync(directory, other, { recursive: true, dereference: true });
    const view = await Wal.open(directory, { readOnly: true });
    cleanUp(t, () => view.close());
    swap();
    assert.equal(await readsOnly('mine', view.entries()), 12);
    const wal = await openLog(t, directory, OPTIONS);
    await wal.append(entry('mine', 13), { durable: true });
    assert.equal(await readsOnly('mine', view.entries()), 13);
  });

  test(`a log that is empty makes nothing in another log's place: ${way}`, async (t) => {
    const { directory, other, swap } = scene(t, way);
    await makeLog(other, entriesOf('other', 12), OPTIONS);
    // As after retention: the number that an empty log begins with is free there.
    unlinkSync(join(other, 'wal-0'));
    const wal = await openLog(t, directory, OPTIONS);
    const before = snapshot(other);
    swap();
    const there = way === 'a link that was moved' ? other : directory;
    await assert.rejects(wal.checkpoint(0), ELSEWHERE);
    await assert.rejects(wal.append('first', { durable: true }), ELSEWHERE);
    await assert.rejects(wal.close(), ELSEWHERE);
    assert.deepEqual(snapshot(there), before);
  });
}

for (const preallocate of ['ahead', 'zero', 'recycle'] as const) {
  for (const what of [
    'appends',
    'truncateBefore',
    'truncateAfter',
    'checkpoint',
    'an idle time',
    'close',
  ] as const) {
    test(`a log does nothing in another log's place, whatever it is about to do: ${what}, preallocate ${preallocate}`, async (t) => {
      const { directory, other, swap } = scene(t, 'a link that was moved');
      await makeLog(other, entriesOf('other', 30), OPTIONS);
      // Names that a writer has files by.
      for (const name of ['ringwal.next', 'ringwal.spare', 'ringwal.stats'])
        cpSync(join(other, 'wal-0'), join(other, name));
      const wal = await openLog(t, directory, { ...OPTIONS, maxFiles: 3, preallocate, onError: () => {} });
      for (const each of entriesOf('mine', 12)) await wal.append(each, { durable: true });
      if (what === 'an idle time') wal.tryAppend('x');
      const before = snapshot(other);
      swap();
      if (what === 'appends') {
        await until(() => wal.append(entry('mine', 0), { durable: true }).then(() => false, GONE));
      } else if (what === 'truncateBefore') await assert.rejects(wal.truncateBefore(12), GONE);
      else if (what === 'truncateAfter') await assert.rejects(wal.truncateAfter(11), GONE);
      else if (what === 'checkpoint') await assert.rejects(wal.checkpoint(3), GONE);
      else if (what === 'an idle time') await until(() => wal.sync().then(() => false, GONE));
      await assert.rejects(wal.close(), GONE);
      assert.deepEqual(snapshot(other), before);
    });
  }
}

test('figures are neither published nor removed in another log’s place', async (t) => {
  const { directory, other, swap } = scene(t, 'a link that was moved');
  await makeLog(other, entriesOf('other', 30), OPTIONS);
  const wal = await openLog(t, directory, { onError: () => {} });
  const isPublished = () => readdirSync(directory).includes('ringwal.stats');
  await until(() => wal.append('x', { durable: true }).then(isPublished));
  cpSync(join(other, 'wal-0'), join(other, 'ringwal.stats'));
  const before = snapshot(other);
  swap();
  await until(() => wal.append('x', { durable: true }).then(() => false, GONE));
  await assert.rejects(wal.close(), GONE);
  assert.deepEqual(snapshot(other), before);
});

test("a single segment that another log's took the place of is not read", async (t) => {
  const root = temporaryDirectory(t);
  const [directory, other] = [join(root, 'a'), join(root, 'b')] as const;
  await makeLog(other, entriesOf('other', 12), OPTIONS);
  const wal = await openLog(t, directory, { ...OPTIONS, syncInterval: 60_000 });
  for (const each of entriesOf('mine', 12)) await wal.append(each, { durable: true });
  const reader = await Wal.open(directory, { readOnly: true });
  cleanUp(t, () => reader.close());
  // What was learned of a segment does not hold of the one in its place.
  for (const log of [wal, reader]) for (let round = 0; round < 2; round++) await log.get(6);
  renameSync(join(other, 'wal-1'), join(directory, 'wal-1'));
  const corrupt = walError('ERR_WAL_CORRUPT', { message: /another log/ });
  for (const log of [wal, reader]) {
    // The one that was there may still be open.
    await isOwnOrRefused(log, corrupt);
    await assert.rejects(readsOnly('mine', log.entries()), corrupt);
    await assert.rejects(readsOnly('mine', log.entries({ reverse: true })), corrupt);
    assert.equal(await readsOnly('mine', log.entries({ to: 3 })), 3);
  }
});
