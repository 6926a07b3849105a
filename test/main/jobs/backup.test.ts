import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { type BackupReport, Wal, type WalOptions } from '#ringwal';
import { cleanUp, temporaryDirectory } from '../../cleanup.js';
import { SEED } from '../../seed.js';
import { SmallDisk } from '../log/small-disk.js';
import { collect, openLog, randomSource, range, text, walError } from '../support.js';

/** `RINGWAL_BACKUPS=100`: as many backups under load; otherwise a few. */
const BACKUPS = Number(process.env.RINGWAL_BACKUPS ?? 12);

/** A log under full load until `stop`. */
async function loadedLog(t: TestContext, root: string, options: WalOptions) {
  const wal = await openLog(t, join(root, 'log'), options);
  const state = { isStopped: false };
  const load = (async () => {
    for (let at = 1; !state.isStopped; ) {
      for (let each = 0; each < 200; each++, at++) if (!wal.tryAppend(entry(at))) break;
      const lsn = wal.lastLsn;
      await wal.append(entry(at), { durable: true });
      at = Math.max(at, lsn) + 1;
    }
  })();
  return {
    wal,
    stop: async () => {
      state.isStopped = true;
      await load;
    },
  };
}

function entry(at: number): string {
  return `entry ${at} ${'x'.repeat(at % 150)}`;
}

async function lastLsnOf(directory: string): Promise<{ first: number; last: number }> {
  const wal = await Wal.open(directory);
  try {
    assert.equal(wal.recovery.verdict, 'clean');
    assert.equal(wal.recovery.cut, undefined);
    let next = Math.max(1, wal.firstLsn);
    for await (const batch of wal.batches()) for (const { lsn } of batch) assert.equal(lsn, next++);
    assert.equal(next, wal.lastLsn + 1);
    return { first: wal.firstLsn, last: wal.lastLsn };
  } finally {
    await wal.close();
  }
}

for (const [name, options] of [
  ['rotation', { maxFileSize: 64 * 1024 }],
  ['rotation and retention', { maxFileSize: 64 * 1024, maxFiles: 6 }],
  [
    'rotation, retention and files that are used again',
    { maxFileSize: 64 * 1024, maxFiles: 6, preallocate: 'recycle' },
  ],
] as const) {
  test(`${BACKUPS} backups under full load, with ${name}, each open clean with the watermark as their last entry`, async (t) => {
    const root = temporaryDirectory(t);
    const { wal, stop } = await loadedLog(t, root, options);
    cleanUp(t, stop);
    for (let at = 0; at < BACKUPS; at++) {
      const durableBefore = wal.durableLsn;
      const target = join(root, `backup-${at}`);
      const report = await wal.backup(target);
      assert.ok(report.lastLsn >= durableBefore);
      assert.equal((await Wal.verifyBackup(report)).verdict, 'clean');
      const { first, last } = await lastLsnOf(target);
      assert.deepEqual([first, last], [report.firstLsn, report.lastLsn]);
      rmSync(target, { recursive: true });
    }
    assert.equal(wal.stats().backups.completed, BACKUPS);
  });
}

test('a log that is written all the time is backed up without its lock, again and again, each time whole', async (t) => {
  const root = temporaryDirectory(t);
  const { wal, stop } = await loadedLog(t, root, { maxFileSize: 256 * 1024, maxFiles: 20 });
  cleanUp(t, stop);
  for (let at = 0; at < Math.min(BACKUPS, 8); at++) {
    const target = join(root, `backup-${at}`);
    const report = await Wal.backup(wal.directory, target);
    assert.deepEqual(await lastLsnOf(target), { first: report.firstLsn, last: report.lastLsn });
  }
});

test('a full backup and incremental ones restore to what the log holds, to any entry', async (t) => {
  const root = temporaryDirectory(t);
  const wal = await openLog(t, join(root, 'log'), { maxFileSize: 16 * 1024 });
  const random = randomSource(SEED);
  const backups: BackupReport[] = [];
  let bytes = 0;
  for (let at = 0; at < 5; at++) {
    const count = 50 + random(300);
    for (let each = 0; each < count; each++) {
      if (random(10) > 0) await wal.append(entry(wal.lastLsn + 1));
      else await wal.appendBatch(range(0, random(6)).map((i) => entry(wal.lastLsn + 1 + i)));
    }
    const since: BackupReport | undefined = backups.at(-1);
    const report = await wal.backup(join(root, `backup-${at}`), since === undefined ? {} : { since });
    assert.equal(report.kind, since === undefined ? 'full' : 'incremental');
    assert.equal(report.lastLsn, wal.lastLsn);
    backups.push(report);
    bytes += report.bytes;
  }
  // Nothing is copied twice.
  assert.ok(bytes < wal.stats().segmentBytes + 5 * 4096);
  const whole = (await collect(wal.entries())).map(({ lsn, data }) => `${lsn} ${text(data)}`);
  for (let at = 0; at < 6; at++) {
    const directory = join(root, `restored-${at}`);
    const to = at === 0 ? wal.lastLsn : 1 + random(wal.lastLsn);
    const dry = await Wal.restore(backups, directory, { to, dryRun: true });
    assert.equal(existsSync(directory), false);
    const report = await Wal.restore(backups, directory, { to });
    assert.equal(dry.lastLsn, report.lastLsn);
    assert.ok(report.lastLsn <= to && to - report.lastLsn < 7, `seed ${SEED}`);
    const restored = await openLog(t, directory);
    assert.equal(restored.recovery.verdict, 'clean');
    assert.equal(restored.lastLsn, report.lastLsn);
    const found = (await collect(restored.entries())).map(({ lsn, data }) => `${lsn} ${text(data)}`);
    assert.deepEqual(found, whole.slice(0, report.lastLsn), `seed ${SEED}`);
    assert.equal(await restored.append('goes on', { durable: true }), report.lastLsn + 1);
  }
});

test('a log that is cut and grows again while it is backed up is backed up as it was at one moment', async (t) => {
  const root = temporaryDirectory(t);
  const wal = await openLog(t, join(root, 'log'), { maxFileSize: 32 * 1024 });
  const random = randomSource(SEED);
  /** What the log held before each cut, by LSN: the number of cuts before the entry was written. */
  const states: number[][] = [];
  let current: number[] = [];
  let isStopped = false;
  const load = (async () => {
    for (let cuts = 0; !isStopped; cuts++) {
      for (let at = 0; at < 600; at++) {
        current.push(cuts);
        wal.tryAppend(`${cuts} ${'x'.repeat(80)}`);
      }
      await wal.sync();
      states.push([...current]);
      const lsn = Math.max(1, wal.lastLsn - 1 - random(1200));
      await wal.truncateAfter(lsn);
      current = current.slice(0, lsn);
    }
    states.push([...current]);
  })();
  cleanUp(t, async () => {
    isStopped = true;
    await load;
  });
  const found: number[][] = [];
  for (let at = 0; at < 6; at++) {
    const target = join(root, `backup-${at}`);
    // A log that is cut without a pause may be refused, by name.
    const report = await wal.backup(target).catch(walErrorOr('ERR_WAL_TRUNCATED'));
    if (report === undefined) continue;
    const copy = await openLog(t, target);
    assert.equal(copy.lastLsn, report.lastLsn);
    found.push((await collect(copy.entries())).map(({ data }) => Number.parseInt(text(data), 10)));
  }
  isStopped = true;
  await load;
  for (const cuts of found) {
    const isPrefix = states.some((state) => cuts.every((each, at) => state[at] === each));
    assert.ok(isPrefix, `a mixture (seed ${SEED})`);
  }
});

function walErrorOr(code: string): (error: unknown) => undefined {
  return (error) => {
    assert.equal((error as { code?: string }).code, code);
    return undefined;
  };
}

async function smallLog(t: TestContext): Promise<{ root: string; wal: Wal }> {
  const root = temporaryDirectory(t);
  const wal = await openLog(t, join(root, 'log'), { maxFileSize: 64 * 1024 });
  for (let at = 1; at <= 5000; at++) wal.tryAppend(entry(at));
  await wal.sync();
  return { root, wal };
}

test('an aborted backup rejects with the reason of the signal and leaves nothing', async (t) => {
  const { root, wal } = await smallLog(t);
  const reason = new Error('enough');
  await assert.rejects(wal.backup(join(root, 'b'), { signal: AbortSignal.abort(reason) }), reason);
  const controller = new AbortController();
  const made = wal.backup(join(root, 'b'), { signal: controller.signal });
  controller.abort(reason);
  await assert.rejects(made, reason);
  assert.deepEqual(readdirSync(root), ['log']);
  assert.deepEqual([wal.stats().backups.failed, wal.stats().backups.running], [0, 0]);
  await wal.backup(join(root, 'b'));
  const restoring = new AbortController();
  const restored = Wal.restore(join(root, 'b'), join(root, 'r'), { signal: restoring.signal });
  restoring.abort(reason);
  await assert.rejects(restored, reason);
  assert.deepEqual(readdirSync(root).sort(), ['b', 'log']);
});

test('closing the log ends its backups, which leave nothing', async (t) => {
  const { root, wal } = await smallLog(t);
  const made = wal.backup(join(root, 'b'));
  const refused = assert.rejects(made, walError('ERR_WAL_CLOSED'));
  await wal.close();
  await refused;
  assert.deepEqual(readdirSync(root), ['log']);
  await assert.rejects(wal.backup(join(root, 'b')), walError('ERR_WAL_CLOSED'));
  // Nobody writes it any more.
  assert.equal((await Wal.backup(join(root, 'log'), join(root, 'b'))).lastLsn, 5000);
});

test('a target that is occupied is refused and left as it is, and two backups into one are never mixed', async (t) => {
  const { root, wal } = await smallLog(t);
  const [file, full] = [join(root, 'file'), join(root, 'full')];
  writeFileSync(file, 'mine');
  mkdirSync(full);
  writeFileSync(join(full, 'notes.txt'), 'mine');
  for (const target of [file, full, wal.directory]) {
    const before = existsSync(join(target, 'notes.txt')) ? readdirSync(target) : undefined;
    await assert.rejects(wal.backup(target), walError('ERR_WAL_OPTION'));
    if (before !== undefined) assert.deepEqual(readdirSync(target), before);
  }
  const results = await Promise.allSettled([wal.backup(join(root, 'b')), wal.backup(join(root, 'b'))]);
  const won = results.filter(({ status }) => status === 'fulfilled');
  assert.equal(won.length, 1);
  const lost = results.find((result) => result.status === 'rejected');
  assert.match(lost?.reason.code, /^ERR_WAL_(LOCKED|OPTION)$/);
  assert.equal((await Wal.verifyBackup(join(root, 'b'))).verdict, 'clean');
});

test('a target that is full fails the backup by name, leaves nothing there, and the log goes on', async (t) => {
  const disk = SmallDisk.mount(t, 256 * 1024);
  if (typeof disk === 'string') return t.skip(disk);
  const { wal } = await smallLog(t);
  const target = join(disk.root, 'backup');
  await assert.rejects(wal.backup(target), (error: Error & { code: string; cause: { code: string } }) => {
    assert.deepEqual([error.code, error.cause.code], ['ERR_WAL_IO', 'ENOSPC']);
    return true;
  });
  assert.deepEqual(readdirSync(disk.root), []);
  assert.equal(wal.stats().backups.failed, 1);
  assert.equal(await wal.append('goes on', { durable: true }), 5001);
});

test('bad arguments are refused before anything is made', async (t) => {
  const { root, wal } = await smallLog(t);
  const target = join(root, 'b');
  for (const call of [
    () => wal.backup(''),
    () => wal.backup(7 as never),
    () => wal.backup(target, { since: 7 as never }),
    () => wal.backup(target, { link: 'yes' as never }),
    () => wal.backup(target, { signal: {} as never }),
    () => wal.backup(target, { onProgress: 1 as never }),
    () => wal.backup(target, { workerUrl: 'x' } as never),
    () => wal.backup(target, { since: join(root, 'log') }),
    () => Wal.backup(join(root, 'log'), target, { sinse: target } as never),
    () => Wal.restore([], target),
    () => Wal.restore(target, target, { to: 0 }),
    () => Wal.restore(target, target, { to: 1.5 }),
    () => Wal.restore(target, target, { to: new Date('never') }),
    () => Wal.restore(target, target, { to: '5' as never }),
    () => Wal.verifyBackup(target),
    () => Wal.verifyBackup(join(root, 'log')),
  ]) {
    await assert.rejects(call(), walError('ERR_WAL_OPTION'));
  }
  await assert.rejects(Wal.backup(join(root, 'none'), target), walError('ERR_WAL_IO'));
  assert.deepEqual(readdirSync(root), ['log']);
});

test('paths may be URLs, the first backup may stand alone, and progress ends with all bytes', async (t) => {
  const { root, wal } = await smallLog(t);
  const progress: { bytesDone: number; bytesTotal: number }[] = [];
  const report = await wal.backup(pathToFileURL(join(root, 'b')), {
    onProgress: (each) => progress.push(each),
  });
  assert.equal(progress.at(-1)?.bytesDone, progress.at(-1)?.bytesTotal);
  assert.ok((progress.at(-1)?.bytesTotal ?? 0) > 0);
  const { directory } = await Wal.restore(pathToFileURL(report.manifest), pathToFileURL(join(root, 'r')));
  assert.equal(directory, join(root, 'r'));
  assert.equal((await lastLsnOf(directory)).last, 5000);
  const { backup } = await Wal.verifyBackup(pathToFileURL(join(root, 'b')));
  assert.equal(backup?.kind, 'full');
  const { lastLsn, lastBytes, ageMs, lastMs } = wal.stats().backups;
  assert.deepEqual([lastLsn, lastBytes, lastMs], [5000, report.bytes, report.createdMs]);
  assert.ok(ageMs >= 0);
});
