import type { Contender, Crew } from '../contenders/contender.js';
import { nameOfLanes } from '../contenders/ringwal-lanes.js';
import { entryOf, feed } from '../measure/feed.js';
import { contenderOf, type Outcome, oneSize, type Task, type Workload } from './workload.js';

const MIB = 2 ** 20;
const ENTRIES = { full: 3_000_000, quick: 150_000 } as const;
/** Entries for each thread to warm up, because each thread compiles its own code. */
const WARM_UP_ENTRIES = { full: 500_000, quick: 20_000 } as const;

/** Fire and forget from several threads at once until everything is fsynced. */
export const lanes: Workload = {
  name: 'lanes',
  title: 'Fire-and-forget from several threads, until everything is fsynced, 100 B',
  note:
    'All threads together. The log has one thread that frames and writes, whatever the number of producers: more of them are to ' +
    'cost nothing, and gain what a single one leaves.',
  metrics: ['entriesPerS', 'payloadMibPerS'],
  contenders: [...[1, 2, 4].map(nameOfLanes), 'raw 1 MiB blocks'],
  sizes: oneSize,
  floor: 'raw 1 MiB blocks',
  fillsPageCache: true,
  run,
};

async function run(task: Task): Promise<Outcome> {
  const entry = entryOf(task.entryBytes);
  const crew = await openCrew(contenderOf(task), task.directory);
  const count = Math.floor(ENTRIES[task.scale] / crew.threads);

  await crew.push(entry, Math.max(WARM_UP_ENTRIES[task.scale], Math.ceil(crew.firstLapBytes / entry.length)));
  await crew.sync();

  const startedMs = performance.now();
  await crew.push(entry, count);
  await crew.sync();
  const seconds = (performance.now() - startedMs) / 1e3;
  await crew.close();

  const entries = count * crew.threads;
  return {
    figures: {
      entriesPerS: entries / seconds,
      payloadMibPerS: (entries * entry.length) / MIB / seconds,
    },
  };
}

/** A contender without threads runs on this one. */
async function openCrew(contender: Contender, directory: string): Promise<Crew> {
  if (contender.openCrew !== undefined) return contender.openCrew(directory);
  const sink = await contender.openSink!(directory);
  return {
    threads: 1,
    firstLapBytes: sink.firstLapBytes ?? 0,
    async push(entry, count) {
      await feed(sink, entry, count);
    },
    sync: () => sink.sync(),
    close: () => sink.close(),
  };
}
