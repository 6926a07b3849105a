import { join } from 'node:path';
import { type Disk, isRefusal } from '../../files/disk.js';
import { segmentName } from '../../format/segment-name.js';
import {
  copyTailAside,
  removeIfThere,
  type SideFileNaming,
  setSegmentAside,
  syncDirectory,
  syncFile,
} from './side-files.js';

/** Where a log is cut: everything behind it goes. */
export interface CutPlace {
  readonly segment: number;
  readonly offset: number;
}

export interface Cut extends SideFileNaming {
  /** Numbers of the log's segments, ascending. */
  readonly segments: readonly number[];
  readonly place: CutPlace;
  /** False: what stands behind `place` in its segment is of no value, or was copied before. */
  readonly keepsTail: boolean;
  /** Throws where the directory is no longer the log's. */
  readonly checkPlace: () => void;
  /** Empty the segment of `place` before the later ones go, and not after them. */
  readonly emptiesFirst?: boolean;
}

/**
 * Makes `cut.place` the end of the log. No byte that is not zero is removed: the tail of the segment is copied into a
 * side file, later segments become side files by another name.
 *
 *   1. copy the tail, sync it and its name
 *   2. `recordIntent`: from here on the cut is finished by the next open, before it nothing has happened
 *   3. later segments go, highest first, the directory synced after each
 *   4. truncate the segment, sync it
 *
 * If power goes between 3 and 4 the log still ends behind the same entry.
 *
 * @returns paths of the side files
 * @throws the system's error; ENOSPC in 1 or 2 leaves the log untouched
 */
export function cutLog(disk: Disk, cut: Cut, recordIntent: () => void): string[] {
  const { directory, segments, place } = cut;
  const isThere = segments.includes(place.segment);
  const sideFiles = isThere && cut.keepsTail ? copyTailAside(disk, cut, place.segment, place.offset) : [];
  try {
    recordIntent();
  } catch (error) {
    // Else the next open may find the intent all the same, and then the copy is all that is left of the tail.
    if (isRefusal(error)) for (const path of sideFiles) removeIfThere(disk, path);
    throw error;
  }
  if (cut.emptiesFirst && isThere) truncateSegment(disk, join(directory, segmentName(place.segment)), 0);
  for (const number of segments.filter((each) => each > place.segment).reverse()) {
    // Each time: it may take minutes until thousands are gone, each durably.
    cut.checkPlace();
    sideFiles.push(...setSegmentAside(disk, cut, number));
    syncDirectory(disk, directory);
  }
  cut.checkPlace();
  // For the sake of names that a killed process left in memory only, that of the segment itself among them.
  syncDirectory(disk, directory);
  if (segments.includes(place.segment))
    truncateSegment(disk, join(directory, segmentName(place.segment)), place.offset);
  return sideFiles;
}

export function truncateSegment(disk: Disk, path: string, size: number): void {
  const file = disk.open(path, 'r+');
  try {
    // Cut and synced also where nothing is left to cut: the process before may have cut it and then been killed, or
    // have seen its sync fail, so that its cut is in memory only. Never made longer: what is missing is missing.
    if (file.size() >= size) file.truncate(size);
    syncFile(file);
  } finally {
    file.close();
  }
}
