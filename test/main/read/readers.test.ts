/** What readers hold: a file, a segment that retention must leave. It is given back whatever becomes of them. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Wal, type WalReader } from '#ringwal';
import { cleanUp } from '../../cleanup.js';
import {
  fill,
  freshLog,
  makeLog,
  openSegments,
  range,
  segmentNames,
  temporaryLog,
  turn,
  until,
  walError,
} from '../support.js';

/** Three entries a segment. */
const SMALL = { maxFileSize: 4096 };
const ENTRIES = range(1, 30).map((seed) => fill(1200, seed));
const CLOSED = walError('ERR_WAL_CLOSED');

const noProc = process.platform !== 'linux' && 'the descriptors of a process can be listed on Linux only';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Waits, for as long as it takes, until what is unreachable is gone and `condition` holds. */
async function untilCollected(condition: () => boolean): Promise<void> {
  await until(async () => {
    collectGarbage();
    await turn();
    return condition();
  });
}

/** Each way to have a reader that is under way. */
const READERS: Readonly<Record<string, (log: WalReader) => AsyncIterator<unknown>>> = {
  entries: (log) => log.entries(),
  'entries in reverse': (log) => log.entries({ reverse: true }),
  batches: (log) => log.batches(),
  follow: (log) => log.follow({ ref: false }),
};

test('close() ends every reader, and no file stays open', { skip: noProc }, async (t) => {
  const directory = temporaryLog(t);
  await makeLog(directory, ENTRIES, SMALL);
  for (const open of [
    () => Wal.open(directory, { ...SMALL, readOnly: true }),
    () => Wal.open(directory, SMALL),
  ]) {
    const log: WalReader = await open();
    cleanUp(t, () => log.close());
    const readers = Object.values(READERS).map((start) => start(log));
    for (const reader of readers) assert.equal((await reader.next()).done, false);
    await log.get(2);
    // One is in the middle of a read, too.
    const waiting = log.batches();
    const answer = waiting.next().catch((error: unknown) => CLOSED(error));
    assert.ok(openSegments(directory).length >= readers.length);
    await log.close();
    assert.deepEqual(openSegments(directory), []);
    await answer;
    for (const reader of [...readers, waiting]) {
      // What it has at hand it may hand out; a follower ends.
      await assert.doesNotReject(async () => {
        try {
          for (let left = ENTRIES.length; left > 0; left--) if ((await reader.next()).done === true) return;
          assert.fail('it reads on');
        } catch (error) {
          CLOSED(error);
        }
      });
      assert.equal((await reader.next()).done, true);
    }
    assert.deepEqual(openSegments(directory), []);
  }
});

test('an iterator that nobody can call any more lets go of its segment and its file', {
  skip: noProc,
}, async (t) => {
  const wal = await freshLog(t, { ...SMALL, maxFiles: 3, syncInterval: 20 });
  for (const entry of ENTRIES.slice(0, 6)) await wal.append(entry, { durable: true });
  const { directory } = wal;
  // In a function of its own, whose frame holds nothing once it has returned.
  const abandon = async () => {
    const held = [];
    for (const start of Object.values(READERS)) {
      for (let count = 0; count < 10; count++) {
        const reader = start(wal);
        assert.equal((await Promise.race([reader.next()])).done, false);
        held.push(reader);
      }
    }
    assert.equal(wal.stats().readers.open, held.length);
  };
  await abandon();
  await untilCollected(() => wal.stats().readers.open === 0);
  await untilCollected(() => openSegments(directory).length <= 1);
  for (const entry of ENTRIES) await wal.append(entry, { durable: true });
  await until(() => segmentNames(directory).length <= 3);
});

test('abandoned readers of a read-only log, of a file, and from another process let go of theirs', {
  skip: noProc,
}, async (t) => {
  const directory = temporaryLog(t);
  await makeLog(directory, ENTRIES, SMALL);
  const abandon = async () => {
    // The log itself goes with its readers.
    const log = await Wal.open(directory, { readOnly: true });
    const readers = Object.values(READERS).map((start) => start(log));
    readers.push(Wal.readSegment(join(directory, 'wal-0')), Wal.follow(directory, { ref: false }));
    for (const reader of readers) assert.equal((await reader.next()).done, false);
    return readers.length;
  };
  assert.equal(await abandon(), 6);
  assert.ok(openSegments(directory).length > 0);
  await untilCollected(() => openSegments(directory).length === 0);
});

test('a reader that is in use is never taken for an abandoned one', async (t) => {
  const directory = temporaryLog(t);
  await makeLog(directory, ENTRIES, SMALL);
  const log = await Wal.open(directory, { readOnly: true });
  cleanUp(t, () => log.close());
  const sources: [string, AsyncIterator<unknown>][] = Object.entries(READERS).map(([name, start]) => [
    name,
    start(log),
  ]);
  sources.push(['Wal.follow', Wal.follow(directory, { ref: false })]);
  for (const [name, reader] of sources) {
    for (let left = name === 'batches' ? 10 : ENTRIES.length; left > 0; left--) {
      assert.equal((await reader.next()).done, false, name);
      collectGarbage();
      await turn();
    }
    await reader.return?.();
  }
});

test('a reader that keeps a segment from retention is seen in stats(), with the entry and for how long', async (t) => {
  const wal = await freshLog(t, { ...SMALL, maxFiles: 3 });
  for (const entry of ENTRIES.slice(0, 6)) await wal.append(entry, { durable: true });
  assert.deepEqual(wal.stats().readers, { open: 0, pinnedLsn: 0, pinnedMs: 0 });
  const [late, early] = [wal.entries({ from: 4 }), wal.entries()];
  await late.next();
  assert.deepEqual([wal.stats().readers.open, wal.stats().readers.pinnedLsn], [1, 4]);
  await early.next();
  const first = wal.stats().readers;
  assert.deepEqual([first.open, first.pinnedLsn], [2, 1]);
  await until(() => wal.stats().readers.pinnedMs > first.pinnedMs);
  await early.return();
  assert.deepEqual([wal.stats().readers.open, wal.stats().readers.pinnedLsn], [1, 4]);
  await late.return();
  assert.deepEqual(wal.stats().readers, { open: 0, pinnedLsn: 0, pinnedMs: 0 });
  // A follower that waits holds nothing.
  const follower = wal.follow({ from: 7, ref: false });
  const waiting = follower.next();
  await turn();
  assert.equal(wal.stats().readers.open, 0);
  await follower.return();
  await waiting;
});
