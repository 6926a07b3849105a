import { setTimeout as sleep } from 'node:timers/promises';
import { entryOf, feed } from '../measure/feed.js';
import { type OtherThreads, otherThreads } from '../measure/threads.js';
import { contenderOf, type Outcome, oneSize, type Task, type Workload } from './workload.js';

const ENTRIES = 1_000;
/** Time for the work that follows a load: the last sync, the state file, the engine's own threads. */
const SETTLE_MS = 1_000;
const WATCHED_MS = 1_000;
const LOOKS = 3;

/** Measures the work of an open log that no code uses. */
export const idle: Workload = {
  name: 'idle',
  title: 'An open log that nobody uses',
  note:
    'All threads but the main one, over one second after 1,000 appends and a sync; the quietest of three, since the ' +
    "engine's own threads are among them. A thread that never woke made no system call.",
  metrics: ['wakeUps', 'idleCpuUs'],
  contenders: ['ringwal'],
  sizes: oneSize,
  isCount: true,
  obstacle: () => (process.platform === 'linux' ? undefined : 'only Linux counts them for each thread'),
  run,
};

async function run(task: Task): Promise<Outcome> {
  const sink = await contenderOf(task).openSink!(task.directory);
  await feed(sink, entryOf(task.entryBytes), ENTRIES);
  await sink.sync();
  await sleep(SETTLE_MS);
  let quietest: OtherThreads = { wakeUps: Number.POSITIVE_INFINITY, cpuNs: Number.POSITIVE_INFINITY };
  for (let look = 0; look < LOOKS && quietest.wakeUps > 0; look++) {
    const before = otherThreads();
    await sleep(WATCHED_MS);
    const after = otherThreads();
    const seen = { wakeUps: after.wakeUps - before.wakeUps, cpuNs: after.cpuNs - before.cpuNs };
    if (seen.wakeUps < quietest.wakeUps) quietest = seen;
  }
  await sink.close();
  return { figures: { wakeUps: quietest.wakeUps, idleCpuUs: quietest.cpuNs / 1e3 } };
}
