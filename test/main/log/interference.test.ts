/**
 * Somebody else puts a hand to the files of a log: while it is open, and between two opens. Nothing can bring back what
 * they took; but nobody hangs, whoever asks is told, no lock stays, and what was not touched is kept.
 */
import assert from 'node:assert/strict';
import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type SegmentInfo, Wal, type WalError } from '#ringwal';
import {
  collect,
  lsns,
  makeLog,
  openLog,
  range,
  segmentNames,
  snapshot,
  temporaryLog,
  texts,
  until,
  walError,
} from '../support.js';
import { SmallDisk } from './small-disk.js';

/** Three entries a segment. */
const OPTIONS = { maxFileSize: 4096, syncInterval: 20 };

const NOBODY = 65_534;

const entry = (i: number) => `${i} `.padEnd(1300, 'x');

const CORRUPT = walError('ERR_WAL_CORRUPT');
const GONE = walError('ERR_WAL_IO', { cause: 'ENOENT' });

test('a log whose directory was removed ends under a load that makes no new segment, too', async (t) => {
  const directory = temporaryLog(t);
  const errors: WalError[] = [];
  const wal = await openLog(t, directory, { onError: (error) => errors.push(error) });
  await wal.append('before', { durable: true });
  removeAtOnce(directory);
  await until(() => wal.append('x', { durable: true }).then(() => false, GONE));
  await assert.rejects(wal.close(), GONE);
  for (const error of errors) GONE(error);
});

for (const { what, take, how } of [
  { what: 'removed', take: removeAtOnce, how: 'a rotation' },
  { what: 'removed', take: removeAtOnce, how: 'an idle time' },
  {
    what: 'renamed',
    take: (directory: string) => renameSync(directory, `${directory}-elsewhere`),
    how: 'a rotation',
  },
]) {
  test(`a log whose directory was ${what} ends at the latest by ${how}, says why, and its lock is free`, async (t) => {
    const directory = temporaryLog(t);
    const errors: WalError[] = [];
    const wal = await openLog(t, directory, { ...OPTIONS, onError: (error) => errors.push(error) });
    for (const i of range(1, 10)) await wal.append(entry(i), { durable: true });
    take(directory);
    const pending: Promise<number>[] = [];
    if (how === 'a rotation') {
      for (const i of range(11, 20)) pending.push(wal.append(entry(i), { durable: true }));
    } else {
      // Then the state file is to be written.
      wal.tryAppend('x');
      await until(() => wal.sync().then(() => false, GONE));
    }
    const results = await Promise.allSettled(pending);
    for (const result of results) if (result.status === 'rejected') GONE(result.reason);
    if (how === 'a rotation') assert.equal(results.at(-1)?.status, 'rejected');
    await assert.rejects(wal.append('more'), GONE);
    assert.throws(() => wal.flushSync(), GONE);
    await assert.rejects(wal.sync(), GONE);
    await assert.rejects(collect(wal.entries()), GONE);
    await assert.rejects(wal.close(), GONE);
    for (const error of errors) GONE(error);
    // Another log takes the place.
    const next = await openLog(t, directory, OPTIONS);
    assert.equal(await next.append('a new log', { durable: true }), 1);
    if (what === 'renamed') {
      const moved = await openLog(t, `${directory}-elsewhere`, OPTIONS);
      assert.deepEqual((await texts(moved.entries())).slice(0, 10), range(1, 10).map(entry));
    }
  });
}

test('a log whose directory was replaced by that of another log ends, and does the other one no harm', async (t) => {
  for (const how of ['a rotation', 'an idle time', 'close()'] as const) {
    const directory = temporaryLog(t);
    const old = await openLog(t, directory, { ...OPTIONS, onError: GONE });
    for (const i of range(1, 10)) await old.append(entry(i), { durable: true });
    removeAtOnce(directory);
    const other = await openLog(t, directory, { ...OPTIONS, syncInterval: 60_000 });
    for (const i of range(1, 5)) assert.equal(await other.append(entry(i), { durable: true }), i);
    const before = snapshot(directory);
    if (how === 'a rotation') {
      const pending = range(11, 20).map((i) => old.append(entry(i), { durable: true }));
      const results = await Promise.allSettled(pending);
      GONE((results.at(-1) as PromiseRejectedResult).reason);
    } else if (how === 'an idle time') {
      await until(() => old.sync().then(() => false, GONE));
    }
    await assert.rejects(old.close(), GONE);
    assert.deepEqual(snapshot(directory), before, how);
    assert.equal(await other.append(entry(6), { durable: true }), 6);
    await other.close();
    assert.equal((await Wal.verify(directory)).verdict, 'clean');
  }
});

test('a log whose lock file was removed, and which another writer has opened then, ends and harms nothing of it', async (t) => {
  for (const how of ['a rotation', 'an idle time', 'a steady load', 'close()'] as const) {
    const directory = temporaryLog(t);
    const errors: WalError[] = [];
    const onError = (error: WalError) => errors.push(error);
    const old = await openLog(t, directory, { ...OPTIONS, onError });
    for (const i of range(1, 10)) await old.append(entry(i), { durable: true });
    await until(() => Wal.verify(directory).then(({ watermark }) => watermark === 10));
    rmSync(join(directory, 'ringwal.lock'));
    const other = await openLog(t, directory, { ...OPTIONS, syncInterval: 60_000 });
    assert.equal(await other.append('of the other', { durable: true }), 11);
    if (how === 'a rotation') {
      const results = await Promise.allSettled(
        range(11, 20).map((i) => old.append(entry(i), { durable: true })),
      );
      GONE((results.at(-1) as PromiseRejectedResult).reason);
    } else if (how === 'an idle time') {
      old.tryAppend('x');
      await until(() => old.sync().then(() => false, GONE));
    } else if (how === 'a steady load') {
      await until(() => old.append('', { durable: true }).then(() => false, GONE));
    }
    const lock = join(directory, 'ringwal.lock');
    await assert.rejects(old.close(), walError('ERR_WAL_IO', { cause: 'ENOENT', path: lock }), how);
    for (const error of errors) GONE(error);
    if (how !== 'close()') {
      // What the old one wrote before it noticed lies among the other's entries: nothing can undo that.
      await other.close();
      continue;
    }
    assert.equal(await other.append('and more', { durable: true }), 12);
    await other.close();
    assert.equal((await Wal.verify(directory)).verdict, 'clean');
  }
});

test('a log whose live segment was removed ends before it goes on to the next one', async (t) => {
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory, { ...OPTIONS, syncInterval: 60_000, onError: GONE });
  for (const i of range(1, 10)) await wal.append(entry(i), { durable: true });
  rmSync(join(directory, segmentNames(directory).at(-1) as string));
  const results = await Promise.allSettled(range(11, 20).map((i) => wal.append(entry(i), { durable: true })));
  GONE((results.at(-1) as PromiseRejectedResult).reason);
  await assert.rejects(wal.append('more'), GONE);
  assert.deepEqual(await lsns(wal.entries({ to: 9 })), range(1, 9));
  await assert.rejects(collect(wal.entries()), GONE);
  await assert.rejects(wal.close(), GONE);
  assert.equal((await Wal.verify(directory)).lastLsn, 9);
});

for (const { what, harm, read } of [
  { what: 'removed', harm: ({ path }: SegmentInfo) => rmSync(path), read: GONE },
  {
    what: 'cut short',
    harm: ({ path, bytes }: SegmentInfo) => truncateSync(path, bytes - 5),
    read: CORRUPT,
  },
  { what: 'emptied', harm: ({ path }: SegmentInfo) => truncateSync(path), read: CORRUPT },
]) {
  for (const which of ['a sealed segment', 'the live segment'] as const) {
    if (what === 'removed' && which === 'the live segment') continue;
    test(`when ${which} is ${what} under a running log readers are told, appends go on, and it is found afterwards`, async (t) => {
      const directory = temporaryLog(t);
      const wal = await openLog(t, directory, { ...OPTIONS, onError: GONE });
      for (const i of range(1, 10)) await wal.append(entry(i), { durable: true });
      const names = segmentNames(directory);
      const name = (which === 'the live segment' ? names.at(-1) : names[1]) as string;
      const segment = wal.segments().find(({ path }) => path.endsWith(name)) as SegmentInfo;
      const { firstLsn } = segment;
      harm(segment);
      for (const i of range(11, 20)) assert.equal(await wal.append(entry(i), { durable: true }), i);
      const before = await lsns(wal.entries({ to: firstLsn - 1 }));
      assert.deepEqual(before, range(1, firstLsn - 1));
      await assert.rejects(collect(wal.entries()), read);
      await wal.close();
      if (what === 'cut short' && which === 'a sealed segment') {
        // Of a sealed segment open looks at the first frame only; who reads on is told.
        const escaped = await openLog(t, directory);
        await assert.rejects(collect(escaped.entries()), CORRUPT);
        await escaped.close();
      } else {
        await assert.rejects(Wal.open(directory), CORRUPT);
      }
      const report = await Wal.verify(directory);
      assert.deepEqual([report.verdict, report.watermark], ['corrupt', 20]);
      // What was not touched can be kept.
      await Wal.repair(directory, { mode: 'salvage' });
      const again = await openLog(t, directory);
      const kept = await lsns(again.entries());
      assert.deepEqual(kept.slice(0, firstLsn - 1), range(1, firstLsn - 1));
      assert.equal(kept.at(-1), 20);
      assert.equal(await again.append('on', { durable: true }), 21);
    });
  }
}

test('a log on a file system that is read-only is refused with its reason, and can be read', async (t) => {
  const disk = SmallDisk.mount(t, 512 * 1024);
  if (typeof disk === 'string') return t.skip(disk);
  const directory = join(disk.root, 'log');
  await makeLog(directory, range(1, 10).map(entry), OPTIONS);
  disk.protect();
  const before = snapshot(directory);
  const refused = walError('ERR_WAL_IO', { cause: 'EROFS' });
  for (let again = 0; again < 2; again++) await assert.rejects(Wal.open(directory), refused);
  await assert.rejects(Wal.open(join(disk.root, 'new')), refused);
  await assert.rejects(Wal.repair(directory), refused);
  await readsAll(directory);
  assert.deepEqual(snapshot(directory), before);
  disk.unprotect();
  const wal = await openLog(t, directory);
  assert.equal(await wal.append('writable again', { durable: true }), 11);
});

test('a log that its user may not write is refused with its reason, and can be read', {
  skip: process.platform === 'win32' && 'Windows has no such permissions',
}, async (t) => {
  const directory = temporaryLog(t);
  await makeLog(directory, range(1, 10).map(entry), OPTIONS);
  const before = snapshot(directory);
  const reason = await asReader(directory, async () => {
    const refused = walError('ERR_WAL_IO', { cause: 'EACCES' });
    for (let again = 0; again < 2; again++) await assert.rejects(Wal.open(directory), refused);
    await assert.rejects(Wal.open(join(directory, 'new')), refused);
    await assert.rejects(Wal.repair(directory), refused);
    await readsAll(directory);
  });
  if (reason !== undefined) return t.skip(reason);
  assert.deepEqual(snapshot(directory), before);
  const wal = await openLog(t, directory);
  assert.equal(await wal.append('writable again', { durable: true }), 11);
});

/**
 * Under its name it is gone in one step. The log may be making a file in it, of which the look at its names knows nothing: then it is
 * removed again.
 */
function removeAtOnce(directory: string): void {
  renameSync(directory, `${directory}-gone`);
  rmSync(`${directory}-gone`, { recursive: true, maxRetries: 10 });
}

/** Runs `body` as somebody who may read the log and not write it, which binds nobody who is root. Or says why it cannot. */
async function asReader(directory: string, body: () => Promise<void>): Promise<string | undefined> {
  const isRoot = process.geteuid?.() === 0;
  const paths = readdirSync(directory).map((name) => join(directory, name));
  for (const path of paths) chmodSync(path, 0o444);
  chmodSync(directory, 0o555);
  chmodSync(dirname(directory), 0o755);
  if (isRoot) process.seteuid?.(NOBODY);
  try {
    // Threads load their code as this user. Opened, since `access` asks for the real user, who is still root.
    closeSync(
      openSync(fileURLToPath(new URL('../../../node_modules/piscina/package.json', import.meta.url)), 'r'),
    );
    await body();
    return undefined;
  } catch (error) {
    const { code, path = '' } = error as NodeJS.ErrnoException;
    if (code === 'EACCES' && !path.startsWith(directory)) return `others may not read "${path}"`;
    throw error;
  } finally {
    if (isRoot) process.seteuid?.(0);
    chmodSync(directory, 0o700);
    for (const path of paths) chmodSync(path, 0o600);
  }
}

/** By a handle that may not write, and by the one that judges. */
async function readsAll(directory: string): Promise<void> {
  const reader = await Wal.open(directory, { readOnly: true });
  assert.deepEqual(await texts(reader.entries()), range(1, 10).map(entry));
  await reader.close();
  assert.equal((await Wal.verify(directory)).verdict, 'clean');
}

for (const name of [
  'wal-0',
  'ringwal.lock',
  'ringwal.state.aside',
  'ringwal.salvage.aside',
  'ringwal.stats',
  'ringwal.next',
]) {
  const skip =
    process.platform === 'win32' && 'Windows lets few make links, and has no flag that refuses them';
  test(`a link that was laid as ${name} leads nobody to write outside the directory`, { skip }, async (t) => {
    const directory = temporaryLog(t);
    const precious = join(dirname(directory), 'precious');
    writeFileSync(precious, 'kept '.repeat(100));
    mkdirSync(directory);
    symlinkSync(precious, join(directory, name));
    const options = { ...OPTIONS, preallocate: 'zero', onError: () => {} } as const;
    const written = openLog(t, directory, options).then(async (wal) => {
      for (const i of range(1, 20)) await wal.append(entry(i), { durable: true });
      await wal.close();
    });
    // Some of these names it can do without; where it cannot, it says so.
    await written.catch(walError('ERR_WAL_IO', { cause: 'ELOOP' }));
    assert.equal(readFileSync(precious, 'utf8'), 'kept '.repeat(100));
  });
}
