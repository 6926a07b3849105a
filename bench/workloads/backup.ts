import { execFile } from 'node:child_process';
import { open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Wal } from '#ringwal';
import { entryOf } from '../measure/feed.js';
import { spreadOf } from '../measure/statistics.js';
import { type Outcome, oneSize, type Task, type Workload } from './workload.js';

const run = promisify(execFile);

/** Bytes of frames in the log: eight or two segments of the default size. */
const LOG_BYTES = { full: 2 ** 29, quick: 2 ** 27 } as const;
const PASSES = { full: 3, quick: 1 } as const;
/** Appends whose latency is measured, without a backup and during backups. */
const APPENDS = { full: 4000, quick: 1000 } as const;
const MIB = 2 ** 20;
/** The part of the log that an incremental backup has to copy. */
const NEW_SHARE = 1 / 16;

/** Measures a backup and a restore against `cp` and an fsync of each file, and what a backup costs the appends meanwhile. */
export const backup: Workload = {
  name: 'backup',
  title: '`wal.backup` and `Wal.restore` of a large log, 100 B',
  note:
    'From the page cache to the same disk. cp: `cp -r`, then an fsync of each file and of the directory; the copies are compared with no digest. ' +
    'In turn, medians; the ratios are of neighbours. Incremental: the time for a sixteenth of the log, as a multiple of a sixteenth of the time of a full ' +
    'backup. Latency: durable appends one by one, p99 while backups run, as a multiple of p99 without.',
  metrics: ['backupMibPerS', 'backupToCp', 'incrementalShare', 'restoreToCp', 'backupP99Growth'],
  contenders: ['ringwal'],
  sizes: oneSize,
  run: measure,
};

async function measure({ directory, entryBytes, scale }: Task): Promise<Outcome> {
  const { Wal } = await import('#ringwal');
  const log = join(directory, 'log');
  const wal = await Wal.open(log);
  const entry = entryOf(entryBytes);
  const target = join(directory, 'copy');
  const timed = async (work: () => Promise<unknown>): Promise<number> => {
    const startedMs = performance.now();
    await work();
    return performance.now() - startedMs;
  };
  await grow(wal, entry, LOG_BYTES[scale] * (1 - NEW_SHARE));

  const quiet = await p99Of(wal, entry, APPENDS[scale]);
  const full: number[] = [];
  const toCp: number[] = [];
  const incremental: number[] = [];
  const restored: number[] = [];
  for (let pass = 0; pass < PASSES[scale]; pass++) {
    const bytes = wal.stats().segmentBytes;
    const cpMs = await timed(() => copySynced(log, target));
    await rm(target, { recursive: true });
    const backupMs = await timed(() => wal.backup(target));
    full.push(bytes / MIB / (backupMs / 1e3));
    toCp.push(cpMs / backupMs);
    const restoreMs = await timed(() => Wal.restore(target, join(directory, 'restored')));
    restored.push(cpMs / restoreMs);
    await rm(join(directory, 'restored'), { recursive: true });

    const newBytes = bytes * NEW_SHARE;
    await grow(wal, entry, wal.stats().segmentBytes + newBytes);
    const next = join(directory, 'next');
    const nextMs = await timed(() => wal.backup(next, { since: target }));
    incremental.push(nextMs / (backupMs * NEW_SHARE));
    for (const each of [target, next]) await rm(each, { recursive: true });
  }

  let isOver = false;
  const backups = (async () => {
    while (!isOver) {
      await wal.backup(target);
      await rm(target, { recursive: true });
    }
  })();
  const busy = await p99Of(wal, entry, APPENDS[scale]);
  isOver = true;
  await backups;
  await wal.close();
  return {
    figures: {
      backupMibPerS: spreadOf(full).median,
      backupToCp: spreadOf(toCp).median,
      incrementalShare: spreadOf(incremental).median,
      restoreToCp: spreadOf(restored).median,
      backupP99Growth: busy / quiet,
    },
  };
}

async function grow(wal: Wal, entry: Uint8Array, toBytes: number): Promise<void> {
  while (wal.stats().segmentBytes < toBytes) {
    for (let left = 10_000; left > 0; ) {
      if (wal.tryAppend(entry)) left--;
      else await wal.ready(entry.length);
    }
  }
  await wal.sync();
}

async function p99Of(wal: Wal, entry: Uint8Array, count: number): Promise<number> {
  const latencies: number[] = [];
  while (latencies.length < count) {
    const startedMs = performance.now();
    await wal.append(entry, { durable: true });
    latencies.push(performance.now() - startedMs);
  }
  latencies.sort((one, other) => one - other);
  return latencies[Math.floor(latencies.length * 0.99)] as number;
}

async function copySynced(from: string, to: string): Promise<void> {
  await run('cp', ['-r', from, to]);
  for (const name of [...(await readdir(to)), '.']) {
    const file = await open(join(to, name));
    try {
      await file.sync();
    } finally {
      await file.close();
    }
  }
}
