import { join } from 'node:path';
import type { Disk } from '../../files/disk.js';
import { segmentName } from '../../format/segment-name.js';
import {
  removeIfThere,
  type SideFileNaming,
  setSegmentAside,
  syncDirectory,
  syncFile,
} from './side-files.js';

/*
 * Emptying a log: no entry stays, and the LSNs continue where the caller says. Afterwards the disk holds one segment without a
 * byte, whose number is above that of every segment before, and the state file, whose floor is the LSN that comes next.
 *
 *   1. sync the directory, create the empty segment, sync the directory again
 *                                                          a crash leaves the old log and an empty segment after it. Without the
 *                                                          first sync the live segment's name might be lost if the segment has no
 *                                                          entry yet: the next open would miss a segment before this one
 *   2. record the intent in the state file: the cut ends at byte 0 of that segment, and the floor is above the last entry
 *                                                          from here on the next open empties the log
 *   3. rename the old segments to side files, lowest first, the directory synced after each
 *                                                          without the state file: the log begins later, as after retention
 *   4. clear the intent
 *
 * A lost state file is noticed: a new log begins with segment 0, so an empty segment with a higher number shows that entries were
 * there, and `open` refuses the log (row 4 of the decision table) instead of giving out LSN 1 again. Once an entry is
 * written, its frame says where the LSNs are.
 */

/** Step 1. @throws the system's errors: nothing has changed; LogFailure ERR_WAL_SYNC_FAILED */
export function createEmptySegment(disk: Disk, directory: string, number: number, fileMode: number): void {
  syncDirectory(disk, directory);
  const path = join(directory, segmentName(number));
  const file = disk.open(path, 'wx', fileMode);
  try {
    syncFile(file);
  } finally {
    file.close();
  }
  syncDirectory(disk, directory);
}

/** Undoes step 1: another segment may need the number. @throws the system's errors */
export function removeEmptySegment(disk: Disk, directory: string, number: number): void {
  removeIfThere(disk, join(directory, segmentName(number)));
  syncDirectory(disk, directory);
}

export interface Emptying extends SideFileNaming {
  /** Numbers of the segments in the directory, ascending. */
  readonly segments: readonly number[];
  /** The empty segment. */
  readonly keep: number;
  /** Throws if the directory is no longer the log's. */
  readonly checkPlace: () => void;
}

/** Step 3. Continues where it was interrupted. @returns paths of the side files @throws the system's errors */
export function setAllAside(disk: Disk, emptying: Emptying): string[] {
  const { directory, segments, keep, checkPlace } = emptying;
  const sideFiles: string[] = [];
  for (const number of segments.filter((each) => each !== keep)) {
    checkPlace();
    sideFiles.push(...setSegmentAside(disk, emptying, number));
    syncDirectory(disk, directory);
  }
  return sideFiles;
}
