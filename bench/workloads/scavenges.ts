import { entryOf, feed } from '../measure/feed.js';
import { countScavenges } from '../measure/scavenges.js';
import { contenderOf, type Outcome, oneSize, type Task, type Workload } from './workload.js';

const APPENDS = 1_000_000;
const WARM_UP_APPENDS = 200_000;

/** Measures whether an append allocates memory: the engine must collect allocated objects. */
export const scavenges: Workload = {
  name: 'scavenges',
  title: 'Garbage of 1,000,000 fire-and-forget appends, 100 B',
  note: "Scavenges of the main thread's heap, counted by a PerformanceObserver, waiting for room included.",
  metrics: ['scavenges'],
  contenders: ['ringwal', 'createWriteStream', 'pino transport', 'lmdb', 'better-sqlite3'],
  sizes: oneSize,
  isCount: true,
  run,
};

async function run(task: Task): Promise<Outcome> {
  const entry = entryOf(task.entryBytes);
  const sink = await contenderOf(task).openSink!(task.directory);
  await feed(sink, entry, WARM_UP_APPENDS);
  await sink.sync();
  const counted = await countScavenges(async () => {
    await feed(sink, entry, APPENDS);
  });
  await sink.close();
  return { figures: { scavenges: counted } };
}
