import { entryOf } from '../measure/feed.js';
import { contenderOf, type Outcome, oneSize, type Task, type Workload } from './workload.js';

const ENTRIES = { full: 1_000_000, quick: 60_000 } as const;
const LOOKUPS = { full: 5_000, quick: 500 } as const;
/** Look-ups before the measurement, because a reader lives longer than the compiler needs. */
const WARM_UP_LOOKUPS = 2_000;

/** Measures reading: all entries in order, in bulk and one by one, and single entries at random. */
export const replay: Workload = {
  name: 'replay',
  title: 'Replay, 100 B',
  note:
    'From the page cache, the second pass of two: the first one compiles the reader. In bulk: `batches()`, ' +
    "classic-level's `nextv`. One by one: `entries()`, iterators. At random: `get`, each awaited; of what this process wrote last ringwal " +
    'reads it on the calling thread, of anything else through the thread pool. Only ringwal checks a CRC of every entry.',
  metrics: ['batchesNs', 'entriesNs', 'getUs'],
  contenders: ['ringwal', 'ringwal, reopened', 'raw read', 'lmdb', 'better-sqlite3', 'classic-level'],
  sizes: oneSize,
  run,
};

async function run(task: Task): Promise<Outcome> {
  const entry = entryOf(task.entryBytes);
  const count = ENTRIES[task.scale];
  const archive = await contenderOf(task).openArchive!(task.directory);
  await archive.fill(entry, count);

  const pass = async (read: () => Promise<number>) => {
    const startedMs = performance.now();
    const bytes = await read();
    const ns = ((performance.now() - startedMs) * 1e6) / count;
    if (bytes < count * entry.length) throw new Error(`read ${bytes} bytes of ${count * entry.length}`);
    return ns;
  };
  const secondPass = async (read: (() => Promise<number>) | undefined) => {
    if (read === undefined) return undefined;
    await pass(read);
    return pass(read);
  };
  const batchesNs = await secondPass(archive.readBatches);
  const entriesNs = await secondPass(archive.readEntries);
  const getUs = archive.readOne && (await lookUp(archive.readOne, count, LOOKUPS[task.scale]));
  await archive.close();
  return { figures: { batchesNs, entriesNs, getUs } };
}

/** Mean µs of a look-up. A single one is too short for the resolution of the clock. */
async function lookUp(
  readOne: (index: number) => Promise<number>,
  count: number,
  lookups: number,
): Promise<number> {
  let index = 0;
  const look = async () => {
    // A large constant step visits entries that are far apart, the same ones in every run.
    index = (index + 0x9e3779b1) % count;
    if ((await readOne(index)) === 0) throw new Error(`entry ${index} was not found`);
  };
  for (let left = WARM_UP_LOOKUPS; left > 0; left--) await look();
  const startedMs = performance.now();
  for (let left = lookups; left > 0; left--) await look();
  return ((performance.now() - startedMs) * 1e3) / lookups;
}
