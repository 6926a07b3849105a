import { join } from 'node:path';
import {
  type Disk,
  type DiskFile,
  isMissing,
  isRefusal,
  readFully,
  systemCode,
  writeFully,
} from '../../files/disk.js';
import { type SegmentFile, withSource } from '../../format/bytes.js';
import {
  decodeSalvageMark,
  encodeSalvageMark,
  type LsnRun,
  runsInclude,
  type SalvageMark,
} from '../../format/salvage-mark.js';
import { type KeptFrame, salvageFrames, type UnsupportedFrame } from '../../format/salvage-scan.js';
import { SegmentAges } from '../../format/segment-age.js';
import { SALVAGE_FILE, SALVAGE_FILE_ASIDE } from '../../format/segment-name.js';
import type { LogDirectory } from '../directory/log-directory.js';
import {
  copySegmentAside,
  discard,
  removeIfThere,
  setSegmentAside,
  syncDirectory,
  syncFile,
} from '../directory/side-files.js';
import { checkIfPossible } from '../inspect/check-block.js';
import { rewriteSegment } from '../rewrite/segment-rewriter.js';

/** Kept frames that stand one after the other in a segment. All but the first stay as they are. */
interface PlannedRun {
  /** n of the segment in which they stand. */
  readonly segment: number;
  readonly offset: number;
  bytes: number;
  /** LSNs missing right before the first of them, and the number that this frame records now. */
  readonly gap: number;
  readonly skipped: number;
}

interface PlannedSegment {
  readonly number: number;
  /** The last entry that is kept before it; 0 = none. */
  readonly previousLsn: number;
  /** When it was created; `undefined` = nothing shows it. */
  readonly createdMs: number | undefined;
  readonly runs: readonly PlannedRun[];
}

/** The entries that a salvage keeps, and the segments that it changes. */
export interface SalvagePlan {
  readonly logId: bigint;
  /** 0 = nothing can be read. */
  readonly firstLsn: number;
  readonly lastLsn: number;
  readonly entries: number;
  readonly kept: readonly LsnRun[];
  /** The log's mark records this already: the salvage was begun. */
  readonly isMarked: boolean;
  /** LSNs between the first and the last kept entry that cannot be read. */
  readonly lostLsns: number;
  /** Segments to rewrite, ascending. */
  readonly rewritten: readonly PlannedSegment[];
  /** Segments of which nothing is left, ascending. */
  readonly removed: readonly number[];
  /** A frame that prevents the salvage, since it must not be rewritten. */
  readonly unsupported: UnsupportedFrame | undefined;
}

/**
 * Plans the salvage of a damaged log: every entry and every whole batch that can be read is kept, in order, with its LSN;
 * `skipped` says where entries are missing. Segment numbers must not have gaps, so a frame goes to the segment that it
 * stands in, or to the one after the last that has anything, whichever is lower. A segment whose frames all stay as
 * they are is not touched.
 *
 * @param mark of a salvage of this log that was begun and must be finished: exactly the entries that it names are kept
 */
export function planSalvage(
  files: readonly SegmentFile[],
  logId: bigint,
  mark: SalvageMark | undefined,
): SalvagePlan {
  // A mark with another id is from the time when this log had no name yet, and nothing had been changed then.
  const ownMark = mark?.logId === logId ? mark : undefined;
  const isKept = ownMark === undefined ? () => true : runsInclude(ownMark.kept);
  const ages = new SegmentAges(files, logId);
  const byNumber = new Map(files.map((file) => [file.number, file]));
  const kept: [first: number, last: number][] = [];
  const planned = new Map<number, { readonly previousLsn: number; readonly runs: PlannedRun[] }>();
  let current = (files[0]?.number ?? 0) - 1;
  let firstLsn = 0;
  let lastLsn = 0;
  let entries = 0;
  let lostLsns = 0;
  const keep = (frames: readonly KeptFrame[]) => {
    if (!frames.every((frame) => isKept(frame.lsn) && isKept(frame.lastLsn))) return;
    for (const frame of frames) {
      const { segment, offset, byteLength, lsn, skipped } = frame;
      const gap = lastLsn === 0 ? skipped : lsn - lastLsn - 1;
      current = Math.max(current, Math.min(segment, current + 1));
      const target = planned.get(current) ?? { previousLsn: lastLsn, runs: [] };
      planned.set(current, target);
      const { runs } = target;
      const run = runs.at(-1);
      if (
        run !== undefined &&
        run.segment === segment &&
        run.offset + run.bytes === offset &&
        gap === skipped
      ) {
        run.bytes += byteLength;
      } else {
        runs.push({ segment, offset, bytes: byteLength, gap, skipped });
      }
      if (firstLsn === 0) firstLsn = lsn;
      lostLsns += gap - skipped;
      const keptRun = kept.at(-1);
      if (keptRun?.[1] === lsn - 1) keptRun[1] = frame.lastLsn;
      else kept.push([lsn, frame.lastLsn]);
      lastLsn = frame.lastLsn;
      entries += frame.lastLsn - lsn + 1;
    }
  };
  const unsupported = salvageFrames(files, logId, keep, undefined, checkIfPossible);
  return {
    logId,
    firstLsn,
    lastLsn,
    entries,
    kept,
    isMarked: ownMark !== undefined,
    lostLsns,
    rewritten: [...planned]
      .filter(([number, { runs }]) => !staysAsItIs(byNumber.get(number), number, runs))
      .map(([number, target]) => ({ number, createdMs: createdMsOf(target.runs, ages), ...target })),
    removed: files.map(({ number }) => number).filter((number) => !planned.has(number)),
    unsupported,
  };
}

/**
 * Carries the plan out. No byte goes without a copy beside it.
 *
 *   1. copy every segment that will be replaced into a side file
 *   2. mark the log as being salvaged, with the LSNs that are kept, and sync the mark: from here on the next open finishes
 *      the salvage; before this step nothing has changed
 *   3. `recordIntent`: the state file of the damaged log may promise more than will be left
 *   4. write the readable rest of each segment anew beside it, sync it, rename it over the damaged one, highest first,
 *      the directory synced after each; but a segment that gets frames of a higher one comes before that one, and before
 *      those between the two
 *   5. segments of which nothing is left become side files, highest first, and the mark goes
 *
 * If power goes in 4 or 5, a second salvage keeps the same entries. Frames only move down, and frames that were moved
 * already are met again and passed over. The frames that prove that the end of a broken batch is not an entry of its own may
 * be gone by then, so the mark says which entries are kept. Without it, a reading of first frames only may find such a log intact.
 *
 * @param watermark of the damaged log: no later entry counts as synced
 * @returns paths of the side files
 * @throws the system's errors; on a full disk some segments are replaced and the others are unchanged
 */
export function salvage(
  disk: Disk,
  home: LogDirectory,
  files: readonly SegmentFile[],
  plan: SalvagePlan,
  watermark: number,
  fileMode: number,
  recordIntent: () => void,
): string[] {
  const { directory } = home;
  const naming = { directory, lsn: plan.lastLsn + 1, fileMode };
  const present = new Set(files.map(({ number }) => number));
  const mark = join(directory, SALVAGE_FILE);
  const sideFiles: string[] = [];
  const undo = () => {
    if (!plan.isMarked && !withdrawMark(disk, directory, mark)) return;
    discard(disk, sideFiles);
  };
  try {
    for (const { number } of plan.rewritten) {
      if (present.has(number)) sideFiles.push(...copySegmentAside(disk, naming, number));
    }
    if (!plan.isMarked) writeMark(disk, mark, { logId: plan.logId, kept: plan.kept }, fileMode);
    syncDirectory(disk, directory);
  } catch (error) {
    undo();
    throw error;
  }
  try {
    recordIntent();
  } catch (error) {
    // Otherwise the state file may promise less already: without the mark, the next open would take the damage for a clean end.
    if (isRefusal(error)) undo();
    throw error;
  }
  for (const segment of inOrderOfReplacement(plan.rewritten)) {
    const { number, previousLsn, runs } = segment;
    const createdMs = segment.createdMs ?? disk.now();
    const rewritten = {
      number,
      createdMs,
      syncedLsn: Math.min(watermark, previousLsn),
      runs: runs.map(({ gap, ...run }) => ({ ...run, skipped: gap })),
    };
    rewriteSegment(disk, home, rewritten, { logId: plan.logId, asideName: SALVAGE_FILE_ASIDE, fileMode });
  }
  for (const number of [...plan.removed].reverse()) {
    home.check();
    sideFiles.push(...setSegmentAside(disk, naming, number));
    syncDirectory(disk, directory);
  }
  disk.unlink(mark);
  syncDirectory(disk, directory);
  return sideFiles;
}

/** No honest mark is larger: 64 million runs of kept entries. */
const MARK_BYTES_MAX = 2 ** 30;

/** The mark of a salvage that was begun; `undefined`: none was begun, or it has changed nothing yet. */
export function readSalvageMark(disk: Disk, directory: string): SalvageMark | undefined {
  let file: DiskFile;
  try {
    file = disk.open(join(directory, SALVAGE_FILE), 'r');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  try {
    const size = file.size();
    if (size > MARK_BYTES_MAX) return undefined;
    const bytes = new Uint8Array(size);
    return decodeSalvageMark(bytes.subarray(0, readFully(file, bytes, 0)));
  } finally {
    file.close();
  }
}

function writeMark(disk: Disk, path: string, mark: SalvageMark, fileMode: number): void {
  const bytes = encodeSalvageMark(mark);
  const file = disk.open(path, 'w', fileMode);
  try {
    writeFully(file, bytes, 0, bytes.length, 0);
    syncFile(file);
  } finally {
    file.close();
  }
}

/**
 * Removes a mark, durably, so that no later open salvages without the copies; false = it may still be there. The caller reports why
 * the salvage failed, and not a failure here: a mark that is left only leads to the same salvage again.
 */
function withdrawMark(disk: Disk, directory: string, mark: string): boolean {
  try {
    removeIfThere(disk, mark);
    disk.syncDirectory(directory);
    return true;
  } catch (error) {
    if (systemCode(error) === '') throw error;
    return false;
  }
}

/** The age of a segment is that of its frames: if they come from several segments, that of the newest of these. */
function createdMsOf(runs: readonly PlannedRun[], ages: SegmentAges): number | undefined {
  let newestMs = 0;
  for (const number of new Set(runs.map(({ segment }) => segment))) {
    const createdMs = ages.createdMs(number);
    if (createdMs === undefined) return undefined;
    newestMs = Math.max(newestMs, createdMs);
  }
  return newestMs;
}

function staysAsItIs(file: SegmentFile | undefined, number: number, runs: readonly PlannedRun[]): boolean {
  const [run, ...more] = runs;
  if (file === undefined || run === undefined || more.length > 0) return false;
  const { segment, offset, bytes, gap, skipped } = run;
  return (
    segment === number && offset === 0 && gap === skipped && bytes === withSource(file, ({ size }) => size)
  );
}

/**
 * Highest first, but no segment before a lower one that gets frames from it or from a later one: otherwise those frames would
 * stand after later entries, and a salvage that continues after a crash would pass over them. Segments that depend on each other
 * in this way are replaced lowest first.
 */
function inOrderOfReplacement(segments: readonly PlannedSegment[]): PlannedSegment[] {
  const chains: PlannedSegment[][] = [];
  /** The highest segment from which the last chain gets frames. */
  let reach = -1;
  for (const segment of segments) {
    if (segment.number > reach) chains.push([]);
    chains.at(-1)?.push(segment);
    for (const run of segment.runs) reach = Math.max(reach, run.segment);
  }
  return chains.reverse().flat();
}
