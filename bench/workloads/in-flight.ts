import type { CommitLevel } from '../contenders/contender.js';
import { entryOf } from '../measure/feed.js';
import { contenderOf, type Outcome, oneSize, type Task, type Workload } from './workload.js';

const CALLERS = 1_000;
const WARM_UP_MS = { full: 500, quick: 100 } as const;
const MEASURED_MS = { full: 2_000, quick: 200 } as const;

/** 1,000 callers, each with one durable append under way all the time. */
export const durableInFlight: Workload = {
  name: 'durable-in-flight',
  title: 'Durable appends, 1,000 in flight, 100 B',
  note: 'A closed loop: each of 1,000 callers awaits its append and makes the next one at once.',
  metrics: ['entriesPerS', 'entriesPerSync'],
  contenders: [
    'ringwal',
    'ringwal, growing',
    'ringwal, commit delay',
    'lmdb',
    'fs.promises',
    'classic-level',
  ],
  sizes: oneSize,
  run: (task) => run(task, 'durable'),
};

/** The same, but each append resolves once the system has the entry. */
export const writtenInFlight: Workload = {
  name: 'written-in-flight',
  title: 'Appends awaited without durable, 1,000 in flight, 100 B',
  note: 'The same closed loop; an append resolves once it is handed to the system, or committed without a sync.',
  metrics: ['entriesPerS'],
  contenders: ['ringwal', 'createWriteStream', 'lmdb', 'fs.promises', 'classic-level'],
  sizes: oneSize,
  run: (task) => run(task, 'written'),
};

async function run(task: Task, level: CommitLevel): Promise<Outcome> {
  const entry = entryOf(task.entryBytes);
  const committer = await contenderOf(task).openCommitter!(task.directory, level);
  let completed = 0;
  let isOver = false;
  const caller = async () => {
    while (!isOver) {
      await committer.commit(entry);
      completed++;
    }
  };
  const callers = Promise.all(Array.from({ length: CALLERS }, caller));

  // Measured from the event loop: between two timers only whole turns are counted.
  await sleep(WARM_UP_MS[task.scale]);
  const before = { completed, syncs: committer.syncs?.(), ms: performance.now() };
  await sleep(MEASURED_MS[task.scale]);
  const after = { completed, syncs: committer.syncs?.(), ms: performance.now() };
  isOver = true;
  await callers;
  await committer.close();

  const entries = after.completed - before.completed;
  const syncs = (after.syncs ?? 0) - (before.syncs ?? 0);
  return {
    figures: {
      entriesPerS: (entries * 1e3) / (after.ms - before.ms),
      entriesPerSync: level === 'durable' && syncs > 0 ? entries / syncs : undefined,
    },
  };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
