import { join } from 'node:path';
import { endOfContent } from '../../files/content-end.js';
import {
  type Disk,
  type DiskFile,
  isMissing,
  readExactly,
  systemCode,
  writeFully,
} from '../../files/disk.js';
import { cutFileName, segmentName } from '../../format/segment-name.js';
import { syncFailed } from '../errors/failure.js';

/**
 * Side files keep the bytes that a cut or a repair takes out of the log: `ringwal.cut-<n>-<lsn>-<unique>`. A side file is created
 * exclusively, and its bytes and name are synced, before the log loses those bytes.
 */
export interface SideFileNaming {
  readonly directory: string;
  /** LSN of the first entry that is taken out. */
  readonly lsn: number;
  readonly fileMode: number;
}

const COPY_BYTES = 1024 * 1024;

/** Copies the bytes of segment `number` from `offset` on, unless they are all zeros. Returns the side file, if one was needed. */
export function copyTailAside(disk: Disk, naming: SideFileNaming, number: number, offset: number): string[] {
  const source = disk.open(join(naming.directory, segmentName(number)), 'r');
  try {
    const end = endOfContent(source, offset);
    if (end === offset) return [];
    const path = sideFile(disk, naming, number);
    try {
      copy(disk, source, offset, end, path, naming.fileMode);
      syncDirectory(disk, naming.directory);
    } catch (error) {
      discard(disk, [path]);
      throw error;
    }
    return [path];
  } finally {
    source.close();
  }
}

/** Copies a whole segment. */
export function copySegmentAside(disk: Disk, naming: SideFileNaming, number: number): string[] {
  return copyTailAside(disk, naming, number, 0);
}

/**
 * Takes a whole segment out of the log by renaming it. The file is synced, since an earlier process may have left its bytes in
 * memory only; a segment of zeros is not kept. The directory is not synced.
 */
export function setSegmentAside(disk: Disk, naming: SideFileNaming, number: number): string[] {
  const path = join(naming.directory, segmentName(number));
  let file: DiskFile;
  try {
    file = disk.open(path, 'r+');
  } catch (error) {
    // An earlier attempt has renamed it already.
    if (isMissing(error)) return [];
    throw error;
  }
  let isEmpty: boolean;
  try {
    isEmpty = endOfContent(file, 0) === 0;
    if (!isEmpty) syncFile(file);
  } finally {
    file.close();
  }
  if (isEmpty) {
    disk.unlink(path);
    return [];
  }
  const aside = sideFile(disk, naming, number);
  disk.rename(path, aside);
  return [aside];
}

function sideFile(disk: Disk, naming: SideFileNaming, number: number): string {
  return join(naming.directory, cutFileName(number, naming.lsn, uniqueName(disk)));
}

/** Makes the name of a side file new. */
export function uniqueName(disk: Disk): string {
  return BigInt.asUintN(48, disk.random64()).toString(16).padStart(12, '0');
}

function copy(disk: Disk, source: DiskFile, from: number, to: number, path: string, fileMode: number): void {
  const target = disk.open(path, 'wx', fileMode);
  try {
    const window = new Uint8Array(Math.min(COPY_BYTES, to - from));
    for (let at = from; at < to; ) {
      const piece = window.subarray(0, to - at);
      readExactly(source, piece, at);
      writeFully(target, piece, 0, piece.length, at - from);
      at += piece.length;
    }
    // The rest are zeros: the copy gets the original's length, and they take no space.
    const bytes = source.size() - from;
    if (bytes > to - from) target.truncate(bytes);
    syncFile(target);
  } finally {
    target.close();
  }
}

export function removeIfThere(disk: Disk, path: string): void {
  try {
    disk.unlink(path);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

/**
 * Removes the files of an attempt that has failed. The caller reports the error of the attempt: a file that cannot be removed only
 * costs room, and its name says what it is.
 */
export function discard(disk: Disk, paths: readonly string[]): void {
  for (const path of paths) {
    try {
      disk.unlink(path);
    } catch (error) {
      if (systemCode(error) === '') throw error;
    }
  }
}

export function syncFile(file: DiskFile): void {
  try {
    file.sync();
  } catch (error) {
    throw syncFailed(error, file.path);
  }
}

export function syncDirectory(disk: Disk, directory: string): void {
  try {
    disk.syncDirectory(directory);
  } catch (error) {
    throw syncFailed(error, directory);
  }
}
