import { entryOf } from '../measure/feed.js';
import { quantile } from '../measure/statistics.js';
import { contenderOf, type Outcome, oneSize, type Task, type Workload } from './workload.js';

const WARM_UP_APPENDS = { full: 10_000, quick: 50 } as const;
const MEASURED_MS = { full: 60_000, quick: 500 } as const;
/** More than any contender makes in the time. */
const APPENDS_MAX = 2_000_000;

/** Durable appends, each awaited before the next, for a minute: rotations, retention and the state file have their turns. */
export const tail: Workload = {
  name: 'tail',
  title: 'Durable append, one at a time for a minute, 100 B: the slow ones',
  note: 'From the call to the resolved promise, each awaited before the next.',
  metrics: ['p99Us', 'p999Us', 'p9999Us', 'longestMs'],
  contenders: [
    'ringwal',
    'ringwal, busyPoll',
    'raw loop, rewriting',
    'fs.promises',
    'better-sqlite3',
    'classic-level',
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
  const us = new Float64Array(APPENDS_MAX);
  const endMs = performance.now() + MEASURED_MS[task.scale];
  let appends = 0;
  for (let calledMs = 0; calledMs < endMs && appends < APPENDS_MAX; appends++) {
    calledMs = performance.now();
    await committer.commit(entry);
    us[appends] = (performance.now() - calledMs) * 1e3;
  }
  await committer.close();
  const sorted = us.subarray(0, appends).sort();
  const at = (share: number) => quantile(sorted, share);
  return {
    figures: { p99Us: at(0.99), p999Us: at(0.999), p9999Us: at(0.9999), longestMs: at(1) / 1e3 },
  };
}
