import type { SegmentWalk } from '../../format/segment-walk.js';
import type { DivisionSizes, WalkRequest } from '../../worker/inspect/divided-walk.js';
import type { Inspection } from '../../worker/inspect/inspect.js';
import { type JobOptions, runJob } from './job-pool.js';
import { jobThreads } from './job-threads.js';
import { hasField } from './own-field.js';

/**
 * The size of log from which several threads share a full reading, and the size of each share. Bet: for a smaller
 * log, starting the threads takes longer than they save (they pay from about 180 MiB on, with 100-byte entries, two
 * processors and no thread running yet); and the cost of a job and its answer is negligible beside the bytes of a
 * run. bench/workloads/verify.ts measures the gain.
 */
const DIVISION: DivisionSizes = { log: 256 * 1024 * 1024, run: 16 * 1024 * 1024 };

/** Judges a log as `open` does: by the segment that holds the watermark and all later ones. */
export function inspectLog(directory: string, options: JobOptions): Promise<Inspection> {
  return runJob('inspect', { directory, full: false }, options);
}

/**
 * Reads all frames of a log and judges it.
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

/** Walks runs, oldest first, as many at a time as the pool has threads. It stops after a run that ends the log. */
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
    // After a failed job no further job begins.
    isOver = true;
  }
  return known;
}
