import { entryOf } from '../measure/feed.js';
import { Latencies } from '../measure/latencies.js';
import { contenderOf, type Outcome, oneSize, type Task, type Workload } from './workload.js';

/** Milliseconds from one append to the next, with the number of appends that are measured. */
const PACES = [
  { gapMs: 1, appends: { full: 1_000, quick: 50 } },
  { gapMs: 5, appends: { full: 400, quick: 20 } },
  { gapMs: 20, appends: { full: 150, quick: 10 } },
  { gapMs: 50, appends: { full: 100, quick: 5 } },
] as const;
/** One after the other, between the two measurements: after them the engine has compiled the code. */
const WARM_UP_APPENDS = { full: 12_000, quick: 50 } as const;

type Pace = (typeof PACES)[number];

/**
 * Durable appends with a pause before each one: services commit every few milliseconds, and threads, caches and the disk have gone
 * to rest in between.
 */
export const paced: readonly Workload[] = PACES.map((pace) => ({
  name: `paced-${pace.gapMs}`,
  title: `Durable append, one every ${pace.gapMs} ms, 100 B`,
  note:
    'From the call to the resolved promise. Cold: from the start of the process on, with code that the engine has not compiled yet. Warm: ' +
    `after ${WARM_UP_APPENDS.full.toLocaleString('en')} others.`,
  metrics: ['p50Us', 'p99Us', 'warmP50Us', 'warmP99Us'],
  contenders: [
    'ringwal',
    'ringwal, busyPoll',
    'raw loop, rewriting',
    'raw loop, other thread',
    'fs.promises',
    'better-sqlite3',
    'classic-level',
    'lmdb',
  ],
  sizes: oneSize,
  floor: 'raw loop, rewriting',
  run: (task) => run(task, pace),
}));

async function run(task: Task, pace: Pace): Promise<Outcome> {
  const entry = entryOf(task.entryBytes);
  const committer = await contenderOf(task).openCommitter!(task.directory, 'durable');
  const commitEach = async () => {
    const appends = pace.appends[task.scale];
    const latencies = new Latencies(appends);
    for (let left = appends; left > 0; left--) {
      await new Promise((resolve) => setTimeout(resolve, pace.gapMs));
      const calledMs = performance.now();
      await committer.commit(entry);
      latencies.add(calledMs, performance.now());
    }
    return latencies.distribution();
  };
  const latenciesUs = await commitEach();
  for (let left = WARM_UP_APPENDS[task.scale]; left > 0; left--) await committer.commit(entry);
  const warmUs = await commitEach();
  await committer.close();
  const [, , , p50Us, , , p99Us] = latenciesUs;
  const [, , , warmP50Us, , , warmP99Us] = warmUs;
  return { figures: { p50Us, p99Us, warmP50Us, warmP99Us }, latenciesUs };
}
