import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type Disk, type DiskFile, isMissing, readFully, writeFully } from '../files/disk.js';
import { cutFileName, segmentName } from '../format/segment-name.js';
import { syncFailed } from './failure.js';

/** Where a log is cut: everything behind it goes. */
export interface CutPlace {
  readonly segment: number;
  readonly offset: number;
}

const COPY_BYTES = 1024 * 1024;

/**
 * Copies what a cut at `place` is about to remove into side files, one for each segment that has anything but zeros
 * there. They are synced, and their names with them, before this returns: no byte is only in memory at any time.
 *
 * @param segments numbers of the log's segments, ascending
 * @param lsn that the first cut frame would have had
 * @returns paths of the side files
 * @throws the system's error, ENOSPC among them; the log is untouched then
 */
export function keepCutBytes(
  disk: Disk,
  directory: string,
  segments: readonly number[],
  place: CutPlace,
  lsn: number,
  fileMode: number,
): string[] {
  const sideFiles: string[] = [];
  for (const number of segments) {
    if (number < place.segment) continue;
    const from = number === place.segment ? place.offset : 0;
    const source = disk.open(join(directory, segmentName(number)), 'r');
    try {
      const to = endOfContent(source, from);
      if (to === from) continue;
      const unique = randomBytes(6).toString('hex');
      const path = join(directory, cutFileName(number, lsn, unique));
      sideFiles.push(path);
      copy(disk, source, from, to, path, fileMode);
    } catch (error) {
      for (const path of sideFiles) remove(disk, path);
      throw error;
    } finally {
      source.close();
    }
  }
  if (sideFiles.length > 0) syncDirectory(disk, directory);
  return sideFiles;
}

/**
 * Makes `place` the end of the log: later segments go, highest first with the directory synced after each, then the
 * segment is truncated and synced. If power goes in between, the log still ends behind the same entry and the next
 * open finishes the cut.
 */
export function cutTail(disk: Disk, directory: string, segments: readonly number[], place: CutPlace): void {
  for (const number of segments.filter((each) => each > place.segment).reverse()) {
    remove(disk, join(directory, segmentName(number)));
    syncDirectory(disk, directory);
  }
  if (!segments.includes(place.segment)) return;
  const path = join(directory, segmentName(place.segment));
  const file = disk.open(path, 'r+');
  try {
    if (file.size() === place.offset) return;
    file.truncate(place.offset);
    syncFile(file);
  } finally {
    file.close();
  }
}

/** Behind the last byte that is not zero. */
function endOfContent(file: DiskFile, from: number): number {
  const window = new Uint8Array(COPY_BYTES);
  for (let end = file.size(); end > from; ) {
    const start = Math.max(from, end - window.length);
    const piece = window.subarray(0, end - start);
    readFully(file, piece, start);
    const last = piece.findLastIndex((byte) => byte !== 0);
    if (last >= 0) return start + last + 1;
    end = start;
  }
  return from;
}

function copy(disk: Disk, source: DiskFile, from: number, to: number, path: string, fileMode: number): void {
  const target = disk.open(path, 'wx', fileMode);
  try {
    const window = new Uint8Array(Math.min(COPY_BYTES, to - from));
    for (let at = from; at < to; ) {
      const length = readFully(source, window.subarray(0, to - at), at);
      writeFully(target, window, 0, length, at - from);
      at += length;
    }
    syncFile(target);
  } finally {
    target.close();
  }
}

function remove(disk: Disk, path: string): void {
  try {
    disk.unlink(path);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

function syncFile(file: DiskFile): void {
  try {
    file.sync();
  } catch (error) {
    throw syncFailed(error, file.path);
  }
}

function syncDirectory(disk: Disk, directory: string): void {
  try {
    disk.syncDirectory(directory);
  } catch (error) {
    throw syncFailed(error, directory);
  }
}
