import { join } from 'node:path';
import { entryOf } from '../measure/feed.js';
import { spreadOf } from '../measure/statistics.js';
import { type Outcome, oneSize, type Task, type Workload } from './workload.js';

const SEGMENTS = 200;
/** Bytes of a segment: small compared with the default, because the cost of opening depends on the number of segments. */
const SEGMENT_BYTES = { full: 2 ** 20, quick: 2 ** 17 } as const;
const OPENINGS = { full: 15, quick: 5 } as const;
const ENTRY_BYTES = 1_000;
const FULL_SHARE = 0.95;

/** Measures whether opening a long log takes longer than opening a short one. */
export const open: Workload = {
  name: 'open',
  title: `Opening a log of ${SEGMENTS} full segments, and one of a single full segment`,
  note: 'Both were closed properly. Opened in turn, several times each, in one process; medians.',
  metrics: ['openOneMs', 'openManyMs', 'openMoreMs'],
  contenders: ['ringwal'],
  sizes: oneSize,
  run,
};

async function run({ directory, scale }: Task): Promise<Outcome> {
  const one = join(directory, 'one');
  const many = join(directory, 'many');
  await fillLog(one, 1, SEGMENT_BYTES[scale]);
  await fillLog(many, SEGMENTS, SEGMENT_BYTES[scale]);
  const oneMs: number[] = [];
  const manyMs: number[] = [];
  for (let opening = 0; opening < OPENINGS[scale]; opening++) {
    oneMs.push(await timeOpening(one, SEGMENT_BYTES[scale]));
    manyMs.push(await timeOpening(many, SEGMENT_BYTES[scale]));
  }
  const openOneMs = spreadOf(oneMs).median;
  const openManyMs = spreadOf(manyMs).median;
  return { figures: { openOneMs, openManyMs, openMoreMs: openManyMs - openOneMs } };
}

async function timeOpening(directory: string, maxFileSize: number): Promise<number> {
  const startedMs = performance.now();
  const wal = await openLog(directory, maxFileSize);
  const ms = performance.now() - startedMs;
  await wal.close();
  return ms;
}

async function fillLog(directory: string, segments: number, maxFileSize: number): Promise<void> {
  const wal = await openLog(directory, maxFileSize);
  const entry = entryOf(ENTRY_BYTES);
  for (;;) {
    await wal.append(entry);
    const made = wal.segments();
    const last = made.at(-1);
    if (made.length === segments && last !== undefined && last.bytes > maxFileSize * FULL_SHARE) break;
  }
  await wal.close();
}

async function openLog(directory: string, maxFileSize: number) {
  const { Wal } = await import('#ringwal');
  return Wal.open(directory, { maxFileSize });
}
