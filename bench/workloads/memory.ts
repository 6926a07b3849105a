import { entryOf, feed } from '../measure/feed.js';
import { quantile } from '../measure/statistics.js';
import { contenderOf, type Outcome, oneSize, type Task, type Workload } from './workload.js';

const MIB = 2 ** 20;
const LOAD_MS = { full: 6_000, quick: 400 } as const;
const SAMPLE_EVERY_MS = 20;
/** Entries between two readings of the clock. */
const BURST_ENTRIES = 2_000;
const CALLERS = 1_000;

const METRICS = ['peakMib', 'besideLanesMib', 'growthMib'] as const;
const NOTE =
  'Resident memory of the whole process above what it was before opening, sampled every 20 ms. Lanes: ' +
  'ring and staging, taken by design. Growth: the median of the last quarter less that of the second one; `npm run soak` ' +
  'is for hours. No log: what the same load takes by itself, which is part of all other figures.';

/** Memory while entries are pushed as fast as they are taken. */
export const memory: Workload = {
  name: 'memory',
  title: 'Memory under fire-and-forget at full speed, 100 B',
  note: NOTE,
  metrics: METRICS,
  contenders: ['ringwal', 'no log', 'createWriteStream', 'pino transport', 'lmdb', 'classic-level'],
  sizes: oneSize,
  run: (task) => run(task, loadSink),
};

/** Memory while 1,000 callers have a durable append under way. */
export const memoryInFlight: Workload = {
  name: 'memory-in-flight',
  title: 'Memory under durable appends, 1,000 in flight, 100 B',
  note: NOTE,
  metrics: METRICS,
  contenders: ['ringwal', 'no log', 'lmdb', 'fs.promises'],
  sizes: oneSize,
  run: (task) => run(task, loadCommitter),
};

/** Produces load until `isOver` returns true; returns the bytes of memory used by design. */
type Load = (task: Task, isOver: () => boolean) => Promise<number>;

async function run(task: Task, load: Load): Promise<Outcome> {
  const startBytes = process.memoryUsage.rss();
  const samples: number[] = [];
  const startedMs = performance.now();
  const laneBytes = await load(task, () => {
    const elapsedMs = performance.now() - startedMs;
    if (elapsedMs >= samples.length * SAMPLE_EVERY_MS) samples.push(process.memoryUsage.rss() - startBytes);
    return elapsedMs >= LOAD_MS[task.scale];
  });
  const peakMib = Math.max(...samples) / MIB;
  return {
    figures: {
      peakMib,
      besideLanesMib: peakMib - laneBytes / MIB,
      growthMib: (medianOfQuarter(samples, 3) - medianOfQuarter(samples, 1)) / MIB,
    },
  };
}

async function loadSink(task: Task, isOver: () => boolean): Promise<number> {
  const entry = entryOf(task.entryBytes);
  const sink = await contenderOf(task).openSink!(task.directory);
  while (!isOver()) await feed(sink, entry, BURST_ENTRIES);
  await sink.sync();
  await sink.close();
  return sink.laneBytes ?? 0;
}

async function loadCommitter(task: Task, isOver: () => boolean): Promise<number> {
  const entry = entryOf(task.entryBytes);
  const committer = await contenderOf(task).openCommitter!(task.directory, 'durable');
  let isStopped = false;
  const caller = async () => {
    while (!isStopped) await committer.commit(entry);
  };
  const callers = Promise.all(Array.from({ length: CALLERS }, caller));
  while (!isOver()) await new Promise((resolve) => setTimeout(resolve, SAMPLE_EVERY_MS / 4));
  isStopped = true;
  await callers;
  await committer.close();
  return committer.laneBytes ?? 0;
}

function medianOfQuarter(samples: readonly number[], quarter: number): number {
  const from = Math.floor((samples.length * quarter) / 4);
  const to = Math.max(from + 1, Math.floor((samples.length * (quarter + 1)) / 4));
  return quantile(
    samples.slice(from, to).sort((a, b) => a - b),
    0.5,
  );
}
