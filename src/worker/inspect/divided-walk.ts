/**
 * A full reading of a large log by several threads. Most of the cost is to read and checksum every frame, and that work does not
 * depend on the segments before: so jobs walk runs of segments by themselves, and the judgement, which goes through the log in
 * order, takes their findings wherever these hold (src/format/segment-walk.ts).
 *
 *   inspect     the segments are many bytes: how to divide them
 *   walkRun     ┐ at the same time, each with one window of 256 KiB
 *   walkRun     ┘
 *   inspect     first frames, the findings of the jobs, and everything that they did not find
 *
 * Nothing is decided here: without any of these jobs, or if their findings are of a log that has changed meanwhile, the
 * judgement reads by itself and is the same.
 */
import type { Disk } from '../../files/disk.js';
import { createNodeDisk } from '../../files/node-disk.js';
import { withSource } from '../../format/bytes.js';
import { FrameCursor } from '../../format/frame-cursor.js';
import { DEFAULT_WINDOW_BYTES } from '../../format/frame-reader.js';
import { type SegmentWalk, walkSegmentAlone } from '../../format/segment-walk.js';
import { surveyLog } from '../../format/survey.js';
import { announce, counted, type Layout, sizesOf } from '../directory/log-layout.js';
import { type DueCut, segmentFile, withoutCut } from '../directory/log-listing.js';
import { checkEvery } from './check-block.js';

/** Both in bytes of segments. */
export interface DivisionSizes {
  /** A log with fewer bytes is not divided. */
  readonly log: number;
  /** Each job has at least so many, except that of the last run. */
  readonly run: number;
}

/** A job of the pool: walks segments one after the other, each by itself. */
export interface WalkRequest {
  readonly directory: string;
  /** Ascending. */
  readonly numbers: readonly number[];
  /** The log's id, as the first frames of all segments and the state file give it. */
  readonly logId: bigint | undefined;
  readonly cut: DueCut | undefined;
  /** See `counted`. */
  readonly progress: SharedArrayBuffer | undefined;
}

export interface RunOfWalks {
  /** By segment number. Each of these segments ends with its last frame. */
  readonly walks: ReadonlyMap<number, SegmentWalk>;
  /** All segments of the run end with their last frame. Otherwise no judgement uses findings on later segments. */
  readonly goesOn: boolean;
}

/** How to divide the reading of a log among jobs; `undefined` = it is too small, or one segment. */
export function divideWalk(
  { directory, files, state, cut }: Layout,
  smallest: DivisionSizes,
  progress: SharedArrayBuffer | undefined,
): WalkRequest[] | undefined {
  if (files.length < 2) return undefined;
  const sizes = sizesOf(files);
  if (sizes.reduce((sum, size) => sum + size, 0) < smallest.log) return undefined;
  if (progress !== undefined) announce(progress, sizes);
  // This is rare, and not worth the code that would pass it to other threads.
  if (cut?.shortened !== undefined) return undefined;
  const { logId } = surveyLog(files, state !== undefined && 'fault' in state ? undefined : state);
  const runs: number[][] = [];
  let room = 0;
  for (const [index, { number }] of files.entries()) {
    if (room <= 0) {
      runs.push([]);
      room = smallest.run;
    }
    runs.at(-1)?.push(number);
    room -= sizes[index] as number;
  }
  return runs.map((numbers) => ({ directory, numbers, logId, cut, progress }));
}

export function walkRun(request: WalkRequest): RunOfWalks {
  return walkOn(createNodeDisk(), request);
}

export function walkOn(disk: Disk, { directory, numbers, logId, cut, progress }: WalkRequest): RunOfWalks {
  // All segments share one window, since one is open at a time: a window for each would pile up faster than it is collected.
  const window = new Uint8Array(DEFAULT_WINDOW_BYTES);
  const cursor = new FrameCursor();
  const plain = withoutCut(
    numbers.map((number) => segmentFile(disk, directory, number, window)),
    cut,
  );
  const check = checkEvery(directory);
  const walks = new Map<number, SegmentWalk>();
  for (const file of progress === undefined ? plain : counted(plain, progress)) {
    let walk: SegmentWalk;
    try {
      walk = withSource(file, (source) => walkSegmentAlone(source, file.number, logId, cursor, check));
    } catch {
      // The judgement reads this segment itself, and reports the faults that it still has then, in the order of the log.
      return { walks, goesOn: false };
    }
    // The log ends there, and a process may be writing there: the judgement must read that place itself.
    if (walk.stop !== undefined) return { walks, goesOn: false };
    walks.set(file.number, walk);
  }
  return { walks, goesOn: true };
}
