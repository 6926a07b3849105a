import { closeSync, fsyncSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Wal } from '#ringwal';
import { entryOf } from '../measure/feed.js';
import { Latencies } from '../measure/latencies.js';
import { spreadOf } from '../measure/statistics.js';
import { ENTRY_BYTES, type Outcome, oneSize, type Task, type Workload } from './workload.js';

const MIB = 2 ** 20;
const SNAPSHOT_MIB = { full: 512, quick: 64 } as const;
/** Each of them measures the disk and the log in turn, so that both get the same minutes. */
const ROUNDS = { full: 5, quick: 3 } as const;
const APPENDS_MAX = 1_000_000;
/** Of the appends alone. */
const ALONE_MS = { full: 3_000, quick: 500 } as const;
/** Written while appends are timed: what a server would allow a background task. */
const PACED_MIB_PER_S = 50;
const p99At = 6;

/** Snapshots beside the raw disk, and what they cost the appends that come meanwhile. */
export const snapshot: Workload = {
  name: 'snapshot',
  title: 'Writing a snapshot',
  note:
    'The bytes come from memory. Raw: a loop of 1 MiB writes and one fsync, which blocks the thread. Appends: durable ones, one at a ' +
    `time, alone and during a snapshot: as fast as it goes, and with maxBytesPerSecond of ${PACED_MIB_PER_S} MiB.`,
  metrics: [
    'rawMibPerS',
    'snapshotMibPerS',
    'snapshotShare',
    'turnMs',
    'aloneP99Us',
    'meanwhileP99Us',
    'meanwhileGrowth',
    'pacedP99Us',
    'pacedGrowth',
  ],
  contenders: ['ringwal'],
  sizes: oneSize,
  fillsPageCache: true,
  run,
};

async function run({ directory, scale }: Task): Promise<Outcome> {
  const { Wal } = await import('#ringwal');
  const wal = await Wal.open(join(directory, 'log'), { durable: true });
  const entry = entryOf(ENTRY_BYTES);
  for (let left = 1000; left > 0; left--) await wal.append(entry);
  const size = SNAPSHOT_MIB[scale];
  const raw: number[] = [];
  const own: number[] = [];
  // The first one loads code and starts a thread.
  await wal.writeSnapshot(1, pieces(1));
  let turnMs = 0;
  for (let round = 0; round < ROUNDS[scale]; round++) {
    raw.push(writeRaw(join(directory, 'raw'), size));
    const watch = watchTurns();
    own.push(await timeSnapshot(wal, size, Number.POSITIVE_INFINITY));
    turnMs = Math.max(turnMs, watch());
  }
  const rawMibPerS = spreadOf(raw).median;
  const snapshotMibPerS = spreadOf(own).median;
  const alone = await timeAppends(wal, entry, new Promise((resolve) => setTimeout(resolve, ALONE_MS[scale])));
  const meanwhile = await timeAppends(wal, entry, timeSnapshot(wal, size, Number.POSITIVE_INFINITY));
  const paced = await timeAppends(wal, entry, timeSnapshot(wal, size / 2, PACED_MIB_PER_S * MIB));
  await wal.close();
  return {
    figures: {
      rawMibPerS,
      snapshotMibPerS,
      snapshotShare: snapshotMibPerS / rawMibPerS,
      turnMs,
      aloneP99Us: alone,
      meanwhileP99Us: meanwhile,
      meanwhileGrowth: meanwhile / alone,
      pacedP99Us: paced,
      pacedGrowth: paced / alone,
    },
  };
}

const BLOCK = Buffer.alloc(MIB, 65);

function* pieces(mib: number): Generator<Uint8Array> {
  for (let left = mib; left > 0; left--) yield BLOCK;
}

/** MiB a second. */
async function timeSnapshot(wal: Wal, mib: number, maxBytesPerSecond: number): Promise<number> {
  const startedMs = performance.now();
  await wal.writeSnapshot(wal.durableLsn, pieces(mib), { keep: 1, maxBytesPerSecond });
  return (mib * 1e3) / (performance.now() - startedMs);
}

/** MiB a second. */
function writeRaw(path: string, mib: number): number {
  const startedMs = performance.now();
  const fd = openSync(path, 'w');
  for (let left = mib; left > 0; left--)
    for (let written = 0; written < MIB; ) written += writeSync(fd, BLOCK, written);
  fsyncSync(fd);
  closeSync(fd);
  const ms = performance.now() - startedMs;
  unlinkSync(path);
  return (mib * 1e3) / ms;
}

/** p99 in µs of durable appends, one at a time, until `until` settles. */
async function timeAppends(wal: Wal, entry: Uint8Array, until: Promise<unknown>): Promise<number> {
  let isOver = false;
  const ended = until.finally(() => {
    isOver = true;
  });
  const latencies = new Latencies(APPENDS_MAX);
  for (let left = APPENDS_MAX; left > 0 && !isOver; left--) {
    const calledMs = performance.now();
    await wal.append(entry);
    latencies.add(calledMs, performance.now());
  }
  await ended;
  return latencies.distribution()[p99At] as number;
}

/** Ended by a call, which answers the longest time in ms between two turns of the event loop, less what the timer itself takes. */
function watchTurns(): () => number {
  let longestMs = 0;
  let lastMs = performance.now();
  let next = setImmediate(function turn() {
    const nowMs = performance.now();
    longestMs = Math.max(longestMs, nowMs - lastMs);
    lastMs = nowMs;
    next = setImmediate(turn);
  });
  return () => {
    clearImmediate(next);
    return longestMs;
  };
}
