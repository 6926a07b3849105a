import { join } from 'node:path';
import { entryOf } from '../measure/feed.js';
import { type Outcome, oneSize, type Task, type Workload } from './workload.js';

const MIB = 2 ** 20;
const IN_TURN = { full: 1_000, quick: 10 } as const;
const AT_ONCE = { full: 20, quick: 3 } as const;

/** What a log costs a process that opens many: one after the other, and at once. */
export const manyLogs: Workload = {
  name: 'many-logs',
  title: `${IN_TURN.full.toLocaleString('en')} logs one after the other in one process, and ${AT_ONCE.full} at once`,
  note:
    'Each is opened, gets one durable append of 100 B and is closed. Memory: resident, after all of them beyond after the first tenth; ' +
    'and of each log that is open, its ring not counted.',
  metrics: ['logMs', 'logGrowthMib', 'openLogMs', 'openLogMib'],
  contenders: ['ringwal'],
  sizes: oneSize,
  run,
};

async function run({ directory, scale, entryBytes }: Task): Promise<Outcome> {
  const { Wal } = await import('#ringwal');
  const entry = entryOf(entryBytes);
  const count = IN_TURN[scale];
  let earlyBytes = 0;
  const startedMs = performance.now();
  for (let at = 0; at < count; at++) {
    const wal = await Wal.open(join(directory, `log-${at}`));
    await wal.append(entry, { durable: true });
    await wal.close();
    if (at === Math.floor(count / 10)) earlyBytes = process.memoryUsage.rss();
  }
  const logMs = (performance.now() - startedMs) / count;
  const before = process.memoryUsage.rss();
  const together = AT_ONCE[scale];
  const openedMs = performance.now();
  const logs = await Promise.all(
    Array.from({ length: together }, (_, at) => Wal.open(join(directory, `together-${at}`))),
  );
  await Promise.all(logs.map((wal) => wal.append(entry, { durable: true })));
  const openLogMs = (performance.now() - openedMs) / together;
  const ringBytes = logs.reduce((sum, wal) => sum + wal.stats().ringBytes, 0);
  const openLogMib = (process.memoryUsage.rss() - before - ringBytes) / together / MIB;
  await Promise.all(logs.map((wal) => wal.close()));
  return { figures: { logMs, logGrowthMib: (before - earlyBytes) / MIB, openLogMs, openLogMib } };
}
