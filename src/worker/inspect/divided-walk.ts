/**
 * A full reading of a large log by several threads. What costs is to read and checksum every frame, and that is the same
 * work whatever stands before a segment: so jobs walk runs of segments by themselves, and the judgement, which goes
 * through the log in order, takes what they found wherever it holds (src/format/segment-walk.ts).
 *
 *   inspect     the segments are many bytes: how to divide them
 *   walkRun     ┐ at the same time, each with one window of 256 KiB
 *   walkRun     ┘
 *   inspect     first frames, what the jobs found, and whatever they did not find
 *
 * Nothing is decided here: without any of these jobs, or with what they found of a log that has changed meanwhile, the
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
  /** A log of fewer is not divided. */
  readonly log: number;
  /** So many at least, the last run's aside, make a job of their own. */
  readonly run: number;
}

/** A job of the pool: walks segments one after the other, each by itself. */
export interface WalkRequest {
  readonly directory: string;
  /** Ascending. */
  readonly numbers: readonly number[];
  /** As the first frames of all segments and the state file name the log. */
  readonly logId: bigint | undefined;
  readonly cut: DueCut | undefined;
  /** See `counted`. */
  readonly progress: SharedArrayBuffer | undefined;
}

export interface RunOfWalks {
  /** By the numbers of their segments, of which each ends with its last frame. */
  readonly walks: ReadonlyMap<number, SegmentWalk>;
  /** That is so of all segments of the run. Otherwise no judgement takes anything of those after it. */
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
  // Rare, and not worth the trouble of telling other threads of it.
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
  // One memory for all of them, of which one is open at a time: it would pile up faster than it is collected.
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
      // The judgement reads this segment itself, and reports what is still wrong with it then, in the order of the log.
      return { walks, goesOn: false };
    }
    // The log ends there, and perhaps somebody writes there: the judgement is to see what is there then.
    if (walk.stop !== undefined) return { walks, goesOn: false };
    walks.set(file.number, walk);
  }
  return { walks, goesOn: true };
}
