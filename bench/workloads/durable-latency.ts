import { entryOf } from '../measure/feed.js';
import { Latencies } from '../measure/latencies.js';
import { contenderOf, type Outcome, oneSize, type Task, type Workload } from './workload.js';

const APPENDS = { full: 2_000, quick: 250 } as const;
/**
 * Appends before the measurement. A log lives longer than the compiler needs: while the compiler's threads compete
 * with the log's, they dominate p99.
 */
const WARM_UP_APPENDS = { full: 10_000, quick: 50 } as const;

/** Durable appends, each awaited before the next: how long a caller waits. */
export const durableLatency: Workload = {
  name: 'durable-latency',
  title: 'Durable append, one at a time, 100 B',
  note:
    'From the call to the resolved promise, each awaited before the next. The floors, but for that on another thread, and better-sqlite3 ' +
    'block the thread meanwhile.',
  metrics: ['p50Us', 'p90Us', 'p99Us'],
  contenders: [
    'ringwal',
    'ringwal, busyPoll',
    'ringwal, growing',
    'ringwal, zero',
    'ringwal, recycle',
    'raw loop, rewriting',
    'raw loop, other thread',
    'raw loop, appending',
    'better-sqlite3',
    'classic-level',
    'fs.promises',
    'lmdb',
  ],
  sizes: oneSize,
  floor: 'raw loop, rewriting',
  run,
};

async function run(task: Task): Promise<Outcome> {
  const entry = entryOf(task.entryBytes);
  const committer = await contenderOf(task).openCommitter!(task.directory, 'durable');
  for (let left = WARM_UP_APPENDS[task.scale]; left > 0; left--) await committer.commit(entry);
  const appends = APPENDS[task.scale];
  const latencies = new Latencies(appends);
  for (let left = appends; left > 0; left--) {
    const calledMs = performance.now();
    await committer.commit(entry);
    latencies.add(calledMs, performance.now());
  }
  await committer.close();
  const latenciesUs = latencies.distribution();
  const [, , , p50Us, , p90Us, p99Us] = latenciesUs;
  return { figures: { p50Us, p90Us, p99Us }, latenciesUs };
}
