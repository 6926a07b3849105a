import { join } from 'node:path';
import { type Disk, isRefusal } from '../../files/disk.js';
import { segmentName } from '../../format/segment-name.js';
import {
  copyTailAside,
  discard,
  type SideFileNaming,
  setSegmentAside,
  syncDirectory,
  syncFile,
} from './side-files.js';

/** The place where a log is cut: everything after it is removed. */
export interface CutPlace {
  readonly segment: number;
  readonly offset: number;
}

export interface Cut extends SideFileNaming {
  /** Numbers of the log's segments, ascending. */
  readonly segments: readonly number[];
  readonly place: CutPlace;
  /** False: the bytes after `place` in its segment are worthless, or were copied before. */
  readonly keepsTail: boolean;
  /** Throws if the directory is no longer the log's. */
  readonly checkPlace: () => void;
  /** Empties the segment of `place` before the later ones are removed, not after. */
  readonly emptiesFirst?: boolean;
}

/**
 * Makes `cut.place` the end of the log. No byte other than zero is lost: the tail of the segment is copied into a side file, and
 * later segments are renamed to side files.
 *
 *   1. copy the tail, sync it and its name
 *   2. `recordIntent`: after it the next open finishes the cut; before it nothing has changed
 *   3. remove later segments, highest first, with a sync of the directory after each
 *   4. truncate the segment, sync it
 *
 * If power goes between 3 and 4 the log still ends after the same entry.
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
    // After any other error the next open may find the intent all the same, and then needs the copy.
    if (isRefusal(error)) discard(disk, sideFiles);
    throw error;
  }
  if (cut.emptiesFirst && isThere) truncateSegment(disk, join(directory, segmentName(place.segment)), 0);
  for (const number of segments.filter((each) => each > place.segment).reverse()) {
    // Checked before each removal: removing thousands of segments durably may take minutes.
    cut.checkPlace();
    sideFiles.push(...setSegmentAside(disk, cut, number));
    syncDirectory(disk, directory);
  }
  cut.checkPlace();
  // Makes names durable that a killed process left in memory only, the segment's own name among them.
  syncDirectory(disk, directory);
  if (segments.includes(place.segment))
    truncateSegment(disk, join(directory, segmentName(place.segment)), place.offset);
  return sideFiles;
}

export function truncateSegment(disk: Disk, path: string, size: number): void {
  const file = disk.open(path, 'r+');
  try {
    // Cut and synced even if nothing is left to cut: an earlier process may have cut it and been killed, or its sync may have
    // failed, so that the cut is in memory only. Never lengthened: missing bytes stay missing.
    if (file.size() >= size) file.truncate(size);
    syncFile(file);
  } finally {
    file.close();
  }
}
