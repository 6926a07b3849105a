import { join } from 'node:path';
import { entryOf } from '../measure/feed.js';
import { spreadOf } from '../measure/statistics.js';
import { type Outcome, oneSize, type Task, type Workload } from './workload.js';

const SEGMENTS = { full: 1_000, quick: 200 } as const;
/** Small, because the cost of a search depends on the number of segments, and on the size of the one that has the answer. */
const SEGMENT_BYTES = 64 * 1024;
/** The default size: what the answer costs that is far behind in it. */
const LONG_SEGMENT_BYTES = 64 * 2 ** 20;
const ENTRY_BYTES = 1_000;
const OPENINGS = { full: 7, quick: 3 } as const;
const QUESTIONS = { full: 200, quick: 50 } as const;

/** Measures `lsnAt`, which `since` and `until` use. */
export const times: Workload = {
  name: 'times',
  title: 'Finding an entry by time in a log of 1,000 segments',
  note:
    'Segments of 64 KiB, from the page cache; medians. Cold: the first question after opening, at a moment anywhere in the log. Warm: ' +
    'further ones. Of a full segment of 64 MiB: the first question, which reads up to the answer, and further ones.',
  metrics: ['timeColdMs', 'timeReaderColdMs', 'timeWarmMs', 'timeLongColdMs', 'timeLongWarmMs'],
  contenders: ['ringwal'],
  sizes: oneSize,
  run,
};

async function run({ directory, scale }: Task): Promise<Outcome> {
  const many = join(directory, 'many');
  const moments = await makeLog(many, SEGMENTS[scale] * SEGMENT_BYTES, SEGMENT_BYTES);
  const long = join(directory, 'long');
  const longMoments = await makeLog(long, LONG_SEGMENT_BYTES * 0.95, LONG_SEGMENT_BYTES);
  const coldMs: number[] = [];
  const readerColdMs: number[] = [];
  const longColdMs: number[] = [];
  let warmMs: number[] = [];
  let longWarmMs: number[] = [];
  for (let opening = 0; opening < OPENINGS[scale]; opening++) {
    const { cold, warm } = await ask(many, false, moments, opening, QUESTIONS[scale]);
    coldMs.push(cold);
    warmMs = warm;
    readerColdMs.push((await ask(many, true, moments, opening, 0)).cold);
    const found = await ask(long, false, longMoments, opening, QUESTIONS[scale]);
    longColdMs.push(found.cold);
    longWarmMs = found.warm;
  }
  return {
    figures: {
      timeColdMs: spreadOf(coldMs).median,
      timeReaderColdMs: spreadOf(readerColdMs).median,
      timeWarmMs: spreadOf(warmMs).median,
      timeLongColdMs: spreadOf(longColdMs).median,
      timeLongWarmMs: spreadOf(longWarmMs).median,
    },
  };
}

/** Fills a log with stamps as close as they can be. Returns moments at which entries were made, in order. */
async function makeLog(directory: string, bytes: number, maxFileSize: number): Promise<number[]> {
  const wal = await openLog(directory, maxFileSize);
  const entry = entryOf(ENTRY_BYTES);
  const moments: number[] = [];
  for (let left = Math.floor(bytes / entry.length); left > 0; left--) {
    if (!wal.tryAppend(entry)) await wal.ready(entry.length);
    if (left % 100 !== 0) continue;
    await wal.append(entry);
    moments.push(Date.now());
  }
  await wal.close();
  return moments;
}

async function ask(
  directory: string,
  isReader: boolean,
  moments: readonly number[],
  opening: number,
  questions: number,
): Promise<{ readonly cold: number; readonly warm: number[] }> {
  const { Wal } = await import('#ringwal');
  const log = isReader
    ? await Wal.open(directory, { readOnly: true })
    : await openLog(directory, LONG_SEGMENT_BYTES);
  // A large constant step visits moments that are far apart, the same ones in every run.
  const momentAt = (at: number) => moments[(at * 0x9e3779b1) % moments.length] as number;
  const timed = async (ms: number) => {
    const startedMs = performance.now();
    const lsn = await log.lsnAt(ms);
    const took = performance.now() - startedMs;
    if (lsn < 1 || lsn > log.lastLsn) throw new Error(`lsnAt(${ms}) is ${lsn} of ${log.lastLsn}`);
    return took;
  };
  const cold = await timed(momentAt(opening + 1));
  const warm: number[] = [];
  for (let at = 0; at < questions; at++) warm.push(await timed(momentAt(opening + at)));
  await log.close();
  return { cold, warm };
}

async function openLog(directory: string, maxFileSize: number) {
  const { Wal } = await import('#ringwal');
  return Wal.open(directory, { maxFileSize, timeResolution: 1 });
}
