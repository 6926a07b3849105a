import { join } from 'node:path';
import { entryOf } from '../measure/feed.js';
import { spreadOf } from '../measure/statistics.js';
import { type Outcome, oneSize, type Task, type Workload } from './workload.js';

const SEGMENTS = { full: [500, 4_000], quick: [25, 100] } as const;
/** The smallest possible segments, because the measured cost depends on their number. */
const SEGMENT_BYTES = 4096;
/** Bytes of an entry: one entry fills a segment. */
const ENTRY_BYTES = 3_000;
const PASSES = { full: 5, quick: 3 } as const;

/** Measures whether the cost of a segment grows with the number of segments. */
export const manySegments: Workload = {
  name: 'many-segments',
  title: 'A segment of 4 KiB in a log of few segments, and in one of many',
  note:
    'Read: the log is opened for reading and for writing, its entries are read, and it is followed as from another process, all of ' +
    'it from the page cache; medians of several passes. Retired: one `truncateBefore`, which syncs the directory after each segment. ' +
    'The ratio is what matters: of a log that takes linear time it is 1.',
  metrics: [
    'segmentReadFewUs',
    'segmentReadManyUs',
    'segmentReadGrowth',
    'segmentRetireFewUs',
    'segmentRetireManyUs',
    'segmentRetireGrowth',
  ],
  contenders: ['ringwal'],
  sizes: oneSize,
  run,
};

async function run({ directory, scale }: Task): Promise<Outcome> {
  const [few, many] = SEGMENTS[scale];
  const logs = [
    { directory: join(directory, 'few'), segments: few, readUs: [] as number[] },
    { directory: join(directory, 'many'), segments: many, readUs: [] as number[] },
  ] as const;
  for (const log of logs) await makeLog(log.directory, log.segments);
  for (let pass = 0; pass < PASSES[scale]; pass++) {
    for (const log of logs) log.readUs.push((await timeReading(log.directory, log.segments)) / log.segments);
  }
  const [readFewUs, readManyUs] = logs.map(({ readUs }) => spreadOf(readUs).median) as [number, number];
  const retireUs: number[] = [];
  for (const log of logs) retireUs.push((await timeRetiring(log.directory, log.segments)) / log.segments);
  const [retireFewUs, retireManyUs] = retireUs as [number, number];
  return {
    figures: {
      segmentReadFewUs: readFewUs,
      segmentReadManyUs: readManyUs,
      segmentReadGrowth: readManyUs / readFewUs,
      segmentRetireFewUs: retireFewUs,
      segmentRetireManyUs: retireManyUs,
      segmentRetireGrowth: retireManyUs / retireFewUs,
    },
  };
}

async function makeLog(directory: string, segments: number): Promise<void> {
  const wal = await openLog(directory);
  const entry = entryOf(ENTRY_BYTES);
  for (let left = segments; left > 0; ) {
    if (wal.tryAppend(entry)) left--;
    else await wal.ready(entry.length);
  }
  await wal.close();
}

/** Returns microseconds per segment. */
async function timeReading(directory: string, entries: number): Promise<number> {
  const { Wal } = await import('#ringwal');
  const startedMs = performance.now();
  const reader = await Wal.open(directory, { readOnly: true });
  const wal = await openLog(directory);
  await readThrough(reader.entries(), entries);
  await readThrough(wal.entries(), entries);
  await readThrough(Wal.follow(directory), entries);
  const us = (performance.now() - startedMs) * 1e3;
  await Promise.all([reader.close(), wal.close()]);
  return us;
}

async function readThrough(found: AsyncIterable<{ readonly lsn: number }>, entries: number): Promise<void> {
  for await (const { lsn } of found) if (lsn === entries) return;
  throw new Error(`entry ${entries} is missing`);
}

/** Returns microseconds per segment. */
async function timeRetiring(directory: string, entries: number): Promise<number> {
  const wal = await openLog(directory);
  const startedMs = performance.now();
  await wal.truncateBefore(entries);
  const us = (performance.now() - startedMs) * 1e3;
  const { segments } = wal.stats();
  if (segments !== 1) throw new Error(`${segments} segments are left`);
  await wal.close();
  return us;
}

async function openLog(directory: string) {
  const { Wal } = await import('#ringwal');
  return Wal.open(directory, { maxFileSize: SEGMENT_BYTES });
}
