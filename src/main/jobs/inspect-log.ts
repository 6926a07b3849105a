import type { SegmentWalk } from '../../format/segment-walk.js';
import type { DivisionSizes, WalkRequest } from '../../worker/inspect/divided-walk.js';
import type { Inspection } from '../../worker/inspect/inspect.js';
import { type JobOptions, runJob } from './job-pool.js';
import { jobThreads } from './job-threads.js';
import { hasField } from './own-field.js';

/**
 * When a full reading is divided among threads, and into what. Bet: below, starting the threads takes longer than they save
 * (they pay from about 180 MiB on, of 100-byte entries on two processors, none of them running before); and what a job and its
 * answer cost does not show beside a run's bytes. bench/workloads/verify.ts shows what it brings.
 */
const DIVISION: DivisionSizes = { log: 256 * 1024 * 1024, run: 16 * 1024 * 1024 };

/** Judges a log by the segments from the one that holds the watermark on, as `open` does. */
export function inspectLog(directory: string, options: JobOptions): Promise<Inspection> {
  return runJob('inspect', { directory, full: false }, options);
}

/**
 * Judges a log by all of its frames.
 *
 * @param progress see `counted` in src/worker/directory/log-layout.ts
 */
export async function inspectWholeLog(
  directory: string,
  progress: SharedArrayBuffer,
  options: JobOptions,
  sizes = DIVISION,
): Promise<Inspection> {
  const request = { directory, full: true, progress };
  if (jobThreads() === 1) return runJob('inspect', request, options);
  const found = await runJob('inspectOrDivide', { ...request, sizes }, options);
  if (!hasField(found, 'walks')) return found;
  return runJob('inspect', { ...request, known: await walkAll(found.walks, options) }, options);
}

/** As many runs at a time as the pool has threads, oldest first, up to one that ends the log. */
async function walkAll(
  requests: readonly WalkRequest[],
  options: JobOptions,
): Promise<ReadonlyMap<number, SegmentWalk>> {
  const known = new Map<number, SegmentWalk>();
  const pending = requests.values();
  let isOver = false;
  const walkNext = async () => {
    for (const request of pending) {
      if (isOver) return;
      const { walks, goesOn } = await runJob('walkRun', request, options);
      for (const [number, walk] of walks) known.set(number, walk);
      isOver ||= !goesOn;
    }
  };
  try {
    await Promise.all(Array.from({ length: jobThreads() }, walkNext));
  } finally {
    // Where one job failed the others begin no more.
    isOver = true;
  }
  return known;
}
