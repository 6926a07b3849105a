/**
 * Files that a merge of segments has left: those whose numbers a merged segment before them stands for. They may go once it is certain
 * that the merged segment holds everything that is to be kept of them.
 */

import { type SegmentFile, withSource } from './bytes.js';
import type { FrameFault } from './frame.js';
import { FrameCursor } from './frame-cursor.js';
import type { SegmentStart, Survey } from './survey.js';

/** What speaks against removing a covered segment, and where. */
export interface CoverTrouble {
  readonly segment: number;
  readonly offset: number;
  /** 0 = not known. */
  readonly lsn: number;
  readonly reason: FrameFault;
}

/**
 * Reads each merged segment whole of which covered files are left. They may go if all of its frames are valid, and if no covered file
 * begins with an entry that the merged segment does not account for.
 *
 * @param files all segments of the log, ascending
 * @returns `undefined`: they may go
 */
export function troubleOfCovered(files: readonly SegmentFile[], survey: Survey): CoverTrouble | undefined {
  const { covered, starts, logId } = survey;
  for (const merged of starts) {
    const reach = merged.stamp?.lastNumber ?? merged.number;
    const numbers = covered.filter((number) => number > merged.number && number <= reach);
    if (numbers.length === 0) continue;
    const file = survey.files.find(({ number }) => number === merged.number) as SegmentFile;
    const end = readWhole(file, logId);
    if (typeof end === 'object') return end;
    for (const number of numbers) {
      const left = files.find((each) => each.number === number) as SegmentFile;
      const trouble = judgeLeft(left, merged, end, survey);
      if (trouble !== undefined) return trouble;
    }
  }
  return undefined;
}

/** The last LSN that the segment accounts for. */
function readWhole(file: SegmentFile, logId: bigint | undefined): number | CoverTrouble {
  return withSource(file, (source) => {
    const cursor = new FrameCursor().start({ logId, expectedLsn: 0, batchRemaining: 0 });
    cursor.enter(source, file.number);
    for (;;) {
      const { offset, expectedLsn } = cursor;
      const outcome = cursor.next();
      if (outcome === 'end') return expectedLsn - 1;
      if (outcome !== undefined) return { segment: file.number, offset, lsn: expectedLsn, reason: outcome };
    }
  });
}

/** A file without a valid first frame holds nothing that the merge could have missed: its source was read whole. */
function judgeLeft(
  file: SegmentFile,
  merged: SegmentStart,
  end: number,
  { logId }: Survey,
): CoverTrouble | undefined {
  const cursor = new FrameCursor().start({ logId, expectedLsn: 0, batchRemaining: 0 });
  return withSource(file, (source) => {
    if (cursor.enter(source, file.number).check() !== undefined) return undefined;
    const { lsn } = cursor.frame;
    if (lsn > merged.lsn - merged.skipped - 1 && lsn <= end) return undefined;
    return { segment: file.number, offset: 0, lsn, reason: 'lsn' };
  });
}
