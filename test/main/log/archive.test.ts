/** The option `archive`: each sealed segment, in order, at least once, whatever comes in between. */
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type ArchiveSegment, Wal, type WalError, type WalOptions } from '#ringwal';
import { temporaryDirectory } from '../../cleanup.js';
import { SEED } from '../../seed.js';
import {
  Child,
  freshLog,
  lsns,
  openLog,
  randomSource,
  range,
  segmentNames,
  temporaryLog,
  until,
  walError,
} from '../support.js';

/** Three entries of [appendAll] fill a segment. */
const SMALL = { maxFileSize: 4096 } as const;

async function appendAll(wal: Wal, count: number): Promise<void> {
  for (let at = 0; at < count; at++) await wal.append(new Uint8Array(1200), { durable: true });
}

/** Archives into an array, with the contents. */
function keeper() {
  const segments: (ArchiveSegment & { readonly content: Buffer })[] = [];
  const archive: WalOptions['archive'] = async (segment) => {
    segments.push({ ...segment, content: readFileSync(segment.path) });
  };
  return { segments, archive };
}

test('each sealed segment is given away once, in order, with all that identifies it', async (t) => {
  const directory = temporaryLog(t);
  const { segments, archive } = keeper();
  const wal = await openLog(t, directory, { ...SMALL, archive });
  await appendAll(wal, 10);
  await until(() => wal.stats().archive?.archived === 3);
  await wal.close();
  assert.deepEqual(
    segments.map(({ number, firstLsn, lastLsn }) => [number, firstLsn, lastLsn]),
    [
      [0, 1, 3],
      [1, 4, 6],
      [2, 7, 9],
    ],
  );
  for (const { number, path, name, logId, branch, bytes, createdMs, content } of segments) {
    assert.equal(path, join(directory, `wal-${number}`));
    assert.match(logId, /^[0-9a-f]{16}$/);
    assert.match(branch, /^[0-9a-f]{16}$/);
    assert.equal(name, `${logId}-${branch}-wal-${number}`);
    assert.equal(content.length, bytes);
    assert.ok(Math.abs(Date.now() - createdMs) < 600_000);
    assert.ok(content.equals(readFileSync(path)), 'what was given away is what is there');
  }
  assert.equal(new Set(segments.map(({ logId, branch }) => logId + branch)).size, 1);
});

test('an archive is a log: its segments, copied, open and hold every entry', async (t) => {
  const folder = temporaryDirectory(t);
  const archive: WalOptions['archive'] = async ({ path, number }) =>
    cpSync(path, join(folder, `wal-${number}`));
  const wal = await freshLog(t, { ...SMALL, maxFiles: 2, archive });
  await appendAll(wal, 30);
  await until(() => wal.stats().archive?.archivedLsn === 27);
  await wal.close();
  const restored = await openLog(t, folder);
  assert.deepEqual(await lsns(restored.entries()), range(1, 27));
});

test('what was sealed before, in earlier runs, is given away first', async (t) => {
  const directory = temporaryLog(t);
  const before = await openLog(t, directory, SMALL);
  await appendAll(before, 9);
  await before.close();
  const { segments, archive } = keeper();
  const wal = await openLog(t, directory, { ...SMALL, archive });
  await until(() => segments.length === 2);
  await appendAll(wal, 3);
  await until(() => wal.stats().archive?.archived === 3);
  await wal.close();
  const again = await openLog(t, directory, { ...SMALL, archive });
  await appendAll(again, 3);
  await until(() => again.stats().archive?.archived === 1);
  assert.deepEqual(
    segments.map(({ number }) => number),
    [0, 1, 2, 3],
    'none twice',
  );
});

test('retention and truncateBefore keep what is not archived, and let it go once it is', async (t) => {
  const directory = temporaryLog(t);
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const wal = await openLog(t, directory, { ...SMALL, maxFiles: 2, archive: () => held });
  await appendAll(wal, 15);
  await wal.truncateBefore(10);
  assert.deepEqual([wal.firstLsn, wal.segments()[0]?.number], [10, 0]);
  const { archive } = wal.stats();
  assert.deepEqual([archive?.pendingSegments, archive?.archivedLsn, archive?.archived], [4, 0, 0]);
  assert.equal(
    archive?.pendingBytes,
    wal
      .segments()
      .slice(0, 4)
      .reduce((sum, { bytes }) => sum + bytes, 0),
  );
  assert.ok((archive?.pendingMs ?? 0) > 0);
  release();
  await until(() => segmentNames(directory).length === 2);
  await until(() => wal.stats().archive?.pendingSegments === 0);
  assert.equal(wal.stats().archive?.pendingMs, 0);
});

test('a call that fails is told and made again, nothing overtakes it, and the log goes on', async (t) => {
  const errors: WalError[] = [];
  const asked: number[] = [];
  const archive: WalOptions['archive'] = ({ number }) => {
    asked.push(number);
    // Once by throwing, once by rejecting.
    if (asked.length === 1) throw new Error('no route to the archive');
    if (asked.length === 2) return Promise.reject('not an Error');
    return Promise.resolve();
  };
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory, { ...SMALL, archive, onError: (error) => errors.push(error) });
  await appendAll(wal, 9);
  await until(() => wal.stats().archive?.archived === 2);
  assert.deepEqual(asked, [0, 0, 0, 1]);
  assert.equal(wal.stats().archive?.failures, 2);
  assert.equal(errors.length, 2);
  walError('ERR_WAL_IO', {
    path: join(directory, 'wal-0'),
    message:
      /Cannot archive segment 0 .*attempt 1: no route to the archive\. It is kept, and tried again in 1 s/,
  })(errors[0]);
  assert.match(errors[1]?.message ?? '', /attempt 2: not an Error\. It is kept, and tried again in 2 s/);
});

test('close() aborts the call under way and waits for it; the segment is given away again', async (t) => {
  const directory = temporaryLog(t);
  let state = 'not begun';
  const wal = await openLog(t, directory, {
    ...SMALL,
    archive: (_segment, { signal }) =>
      new Promise((_, reject) => {
        state = 'under way';
        signal.addEventListener('abort', () => {
          walError('ERR_WAL_CLOSED')(signal.reason);
          setTimeout(() => {
            state = 'ended';
            reject(signal.reason);
          }, 50);
        });
      }),
  });
  await appendAll(wal, 4);
  await until(() => state === 'under way');
  await wal.close();
  assert.equal(state, 'ended');
  const { segments, archive } = keeper();
  const again = await openLog(t, directory, { ...SMALL, archive });
  await until(() => again.stats().archive?.archived === 1);
  assert.equal(segments[0]?.number, 0);
});

test('a log that ended by a failure aborts the call, and opens again with the segment still to be archived', async (t) => {
  const directory = temporaryLog(t);
  const reasons: unknown[] = [];
  const wal = await openLog(t, directory, {
    ...SMALL,
    archive: (_segment, { signal }) =>
      new Promise((resolve) => signal.addEventListener('abort', () => resolve(reasons.push(signal.reason)))),
    onError: () => {},
  });
  await appendAll(wal, 4);
  await until(() => wal.stats().archive?.pendingSegments === 1);
  // The lock file is gone: the writer finds it out at the next checkpoint, and ends.
  rmSync(join(directory, 'ringwal.lock'));
  await assert.rejects(wal.checkpoint(1, { name: 'a' }), walError('ERR_WAL_IO'));
  await assert.rejects(wal.close(), walError('ERR_WAL_IO'));
  assert.equal(reasons.length, 1);
  walError('ERR_WAL_IO')(reasons[0]);
  const { segments, archive } = keeper();
  const again = await openLog(t, directory, { ...SMALL, archive });
  await until(() => again.stats().archive?.archived === 1);
  assert.equal(segments[0]?.number, 0);
});

test('archiveTimeout seals a segment whose entries have waited, once, and an idle log no more', async (t) => {
  const directory = temporaryLog(t);
  const { segments, archive } = keeper();
  const wal = await openLog(t, directory, { archive, archiveTimeout: 50 });
  await wal.append('one');
  await wal.append('two');
  await until(() => wal.stats().archive?.archived === 1);
  assert.deepEqual([segments[0]?.firstLsn, segments[0]?.lastLsn], [1, 2]);
  assert.deepEqual(segmentNames(directory), ['wal-0', 'wal-1']);
  await wal.append('three');
  await until(() => wal.stats().archive?.archived === 2);
  assert.equal(wal.stats().rotations, 2);
  await wal.close();
  const again = await openLog(t, directory, { archive, archiveTimeout: 50 });
  assert.equal(await again.append('four'), 4);
  await until(() => again.stats().archive?.archived === 1);
  assert.deepEqual(
    segments.map(({ number, firstLsn, lastLsn }) => [number, firstLsn, lastLsn]),
    [
      [0, 1, 2],
      [1, 3, 3],
      [2, 4, 4],
    ],
  );
});

test('a cut that reaches the segment under way aborts its call, and it is given away again when it is sealed again', async (t) => {
  const directory = temporaryLog(t);
  const given: [number, number][] = [];
  let aborted = 0;
  const archive: WalOptions['archive'] = async ({ number, lastLsn }, { signal }) => {
    given.push([number, lastLsn]);
    if (given.length !== 2) return;
    await new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => {
        walError('ERR_WAL_TRUNCATED')(signal.reason);
        aborted += 1;
        // It says that all went well: that does not count.
        resolve();
      });
    });
  };
  const wal = await openLog(t, directory, { ...SMALL, archive });
  await appendAll(wal, 9);
  await until(() => given.length === 2);
  await wal.truncateAfter(5);
  await until(() => aborted === 1);
  await appendAll(wal, 4);
  await until(() => wal.stats().archive?.archived === 2);
  assert.deepEqual(given, [
    [0, 3],
    [1, 6],
    [1, 6],
  ]);
  assert.deepEqual(await lsns(wal.entries()), range(1, 9));
});

test('two logs restored from one backup share an archive: a name never means two contents', async (t) => {
  const wal = await freshLog(t, SMALL);
  await appendAll(wal, 8);
  const backup = join(temporaryDirectory(t), 'backup');
  await wal.backup(backup);
  const names = new Map<string, Buffer>();
  const archive: WalOptions['archive'] = async ({ name, path }) => {
    const content = readFileSync(path);
    assert.ok(names.get(name)?.equals(content) ?? true, `${name} has two contents`);
    names.set(name, content);
  };
  for (const log of [wal.directory, 'one', 'two', 'cut']) {
    const directory = log === wal.directory ? log : join(temporaryDirectory(t), log);
    if (log === wal.directory) await wal.close();
    else await Wal.restore(backup, directory, log === 'cut' ? { to: 5 } : {});
    const open = await openLog(t, directory, { ...SMALL, archive });
    for (let at = 0; at < 6; at++) await open.append(`${log} ${at} `.padEnd(1200, '.'), { durable: true });
    await until(() => open.stats().archive?.archivedLsn === Math.floor((open.lastLsn - 1) / 3) * 3);
    await open.close();
  }
  // Segments 0 and 1 have one content in all of them but for the second one of the log that was cut.
  assert.ok(names.size >= 8, [...names.keys()].join());
});

test('a hole in the archive is told at open', async (t) => {
  const directory = temporaryLog(t);
  const { archive } = keeper();
  const first = await openLog(t, directory, { ...SMALL, archive });
  await appendAll(first, 4);
  await until(() => first.stats().archive?.archived === 1);
  await first.close();
  const without = await openLog(t, directory, { ...SMALL, maxFiles: 1 });
  await appendAll(without, 9);
  await until(() => without.firstLsn > 6);
  await without.close();
  const errors: WalError[] = [];
  await openLog(t, directory, { ...SMALL, archive, onError: (error) => errors.push(error) });
  assert.equal(errors.length, 1);
  walError('ERR_WAL_PURGED', { message: /has a hole: segments 1 to \d+ were removed/ })(errors[0]);
});

test('wrong options are refused', async (t) => {
  const directory = temporaryLog(t);
  const archive = async () => {};
  for (const options of [
    { archive: 'cp' },
    { archive, archiveTimeout: -1 },
    { archive, archiveTimeout: 1.5 },
    { archive, archiveTimeout: Number.POSITIVE_INFINITY },
    { archiveTimeout: 60_000 },
  ])
    await assert.rejects(Wal.open(directory, options as unknown as WalOptions), walError('ERR_WAL_OPTION'));
  assert.equal(existsSync(directory), false);
});

/** Archives by copying, syncing and renaming, as docs/guide.md says; never over a file of other content. */
const ARCHIVER = `
  import { Wal } from '#ringwal';
  import { closeSync, copyFileSync, existsSync, fsyncSync, openSync, readFileSync, renameSync } from 'node:fs';
  const [directory, archive] = process.argv.slice(1);
  const wal = await Wal.open(directory, {
    maxFileSize: 4096,
    maxFiles: 2,
    archiveTimeout: 15,
    archive: async ({ path, name }) => {
      const to = archive + '/' + name;
      if (existsSync(to) && !readFileSync(to).equals(readFileSync(path))) {
        console.log('COLLISION ' + name);
        process.exit(3);
      }
      copyFileSync(path, to + '.new');
      const file = openSync(to + '.new', 'r+');
      fsyncSync(file);
      closeSync(file);
      renameSync(to + '.new', to);
    },
  });
  console.log('open ' + wal.lastLsn);
  for (let lsn = wal.lastLsn + 1; ; lsn++) {
    await wal.append(String(lsn).padEnd(lsn % 7 === 0 ? 1500 : 200), { durable: true });
    if (lsn % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  }
`;

test(`a process that archives and is killed leaves no gap: archive and log together hold every entry (seed ${SEED})`, async (t) => {
  const random = randomSource(SEED);
  const directory = temporaryLog(t);
  const archive = temporaryDirectory(t);
  const rounds = Number(process.env.RINGWAL_ROUNDS ?? 6);
  for (let round = 0; round < rounds; round++) {
    const child = new Child(t, ARCHIVER, [directory, archive]);
    await child.says('open ');
    await new Promise((resolve) => setTimeout(resolve, 30 + random(200)));
    child.process.kill('SIGKILL');
    const { stdout, stderr, signal } = await child.ended;
    assert.equal(signal, 'SIGKILL', stdout + stderr);
  }
  const whole = join(temporaryDirectory(t), 'whole');
  mkdirSync(whole);
  for (const name of readdirSync(archive)) {
    const [, number] = /-(wal-\d+)$/.exec(name) ?? [];
    if (number !== undefined) writeFileSync(join(whole, number), readFileSync(join(archive, name)));
  }
  const last = await openLog(t, directory);
  const { lastLsn } = last;
  await last.close();
  for (const name of segmentNames(directory)) {
    const copy = join(whole, name);
    if (existsSync(copy)) assert.ok(readFileSync(copy).equals(readFileSync(join(directory, name))), name);
    else cpSync(join(directory, name), copy);
  }
  const joined = await openLog(t, whole);
  assert.equal(joined.recovery.verdict, 'clean');
  assert.deepEqual(await lsns(joined.entries()), range(1, lastLsn));
});
