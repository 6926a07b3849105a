import { join } from 'node:path';
import { type Disk, isRefusal } from '../../files/disk.js';
import { cutSnapshotName, segmentName, snapshotName } from '../../format/segment-name.js';
import {
  copyTailAside,
  discard,
  type SideFileNaming,
  setSegmentAside,
  syncDirectory,
  syncFile,
  uniqueName,
} from './side-files.js';
import { listSnapshots } from './snapshot-listing.js';

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
  /** The log's id. The cut also takes out the log's snapshots of entries that it removes; `undefined`: the log has none. */
  readonly logId: bigint | undefined;
  /** Empties the segment of `place` before the later ones are removed, not after. */
  readonly emptiesFirst?: boolean;
}

/**
 * Makes `cut.place` the end of the log. No byte other than zero is lost: the tail of the segment is copied into a side file, and
 * later segments are renamed to side files.
 *
 *   1. copy the tail, sync it and its name
 *   2. `recordIntent`: after it the next open finishes the cut; before it nothing has changed
 *   3. rename the log's snapshots of cut entries to side files, sync the directory
 *   4. remove later segments, highest first, with a sync of the directory after each
 *   5. truncate the segment, sync it
 *
 * If power goes between 4 and 5 the log still ends after the same entry.
 *
 * @returns paths of the side files
 * @throws the system's error; ENOSPC in 1 or 2 leaves the log untouched
 */
export function cutLog(disk: Disk, cut: Cut, recordIntent: () => void): string[] {
  const { directory, segments, place } = cut;
  const isThere = segments.includes(place.segment);
  // Done before the intent is recorded: if the disk cannot be read, the cut is refused and not interrupted.
  const snapshots = snapshotsToCut(disk, cut);
  const sideFiles = isThere && cut.keepsTail ? copyTailAside(disk, cut, place.segment, place.offset) : [];
  try {
    recordIntent();
  } catch (error) {
    // After any other error the next open may find the intent all the same, and then needs the copy.
    if (isRefusal(error)) discard(disk, sideFiles);
    throw error;
  }
  sideFiles.push(...setSnapshotsAside(disk, cut, snapshots));
  if (cut.emptiesFirst && isThere) truncateSegment(disk, join(directory, segmentName(place.segment)), 0);
  for (const number of segments.filter((each) => each > place.segment).reverse()) {
    // Checked before each removal: removing thousands of segments durably may take minutes.
    cut.checkPlace();
    sideFiles.push(...setSegmentAside(disk, cut, number));
    syncDirectory(disk, directory);
  }
  cut.checkPlace();
  // Makes durable the names that a killed process left in memory only, the segment's own name among them.
  syncDirectory(disk, directory);
  if (segments.includes(place.segment))
    truncateSegment(disk, join(directory, segmentName(place.segment)), place.offset);
  return sideFiles;
}

/** Only the log's own snapshots: another log's file is left alone. */
export function snapshotsToCut(
  disk: Disk,
  { directory, logId, lsn }: Pick<Cut, 'directory' | 'logId' | 'lsn'>,
): number[] {
  if (logId === undefined) return [];
  return listSnapshots(disk, directory)
    .filter((snapshot) => snapshot.logId === logId && snapshot.lsn >= lsn)
    .map((snapshot) => snapshot.lsn);
}

/** Takes snapshots out of the log by renaming them, durably. @returns paths of the side files */
export function setSnapshotsAside(
  disk: Disk,
  { directory, checkPlace }: Pick<Cut, 'directory' | 'checkPlace'>,
  lsns: readonly number[],
): string[] {
  const sideFiles = lsns.map((lsn) => {
    checkPlace();
    const aside = join(directory, cutSnapshotName(lsn, uniqueName(disk)));
    disk.rename(join(directory, snapshotName(lsn)), aside);
    return aside;
  });
  if (lsns.length > 0) syncDirectory(disk, directory);
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
