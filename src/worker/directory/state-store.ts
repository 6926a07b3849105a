import { join } from 'node:path';
import {
  type Disk,
  DiskError,
  type DiskFile,
  isMissing,
  isSameFile,
  readFully,
  writeFully,
} from '../../files/disk.js';
import { STATE_FILE, STATE_FILE_ASIDE } from '../../format/segment-name.js';
import { decodeState, encodeState, type LogState, STATE_BYTES_MAX } from '../../format/state-file.js';
import { syncFailed } from '../errors/failure.js';
import { syncDirectory } from './side-files.js';

/** The state file's content; a `fault` if it is not valid; `undefined` if there is none. */
export function readState(disk: Disk, directory: string): LogState | { readonly fault: string } | undefined {
  let file: DiskFile;
  try {
    file = disk.open(join(directory, STATE_FILE), 'r');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  try {
    const size = file.size();
    if (size > STATE_BYTES_MAX) return { fault: `${size} bytes long` };
    const bytes = new Uint8Array(size);
    return decodeState(bytes.subarray(0, readFully(file, bytes, 0)));
  } finally {
    file.close();
  }
}

/**
 * Replaces the state file: writes it aside, syncs it, renames it, syncs the directory. Power may go at any point: the name always
 * leads to a whole file, the old one or the new one.
 *
 * @throws the system's error of the write or rename (the old file stays), `ERR_WAL_SYNC_FAILED` of a sync
 */
export function writeState(disk: Disk, directory: string, state: LogState, fileMode: number): void {
  replaceState(disk, directory, state, fileMode);
  syncDirectory(disk, directory);
}

/**
 * As [writeState], but leaves the sync of the directory to the caller: until then the name leads to the old file or to the new
 * one. A failure to write it, even a failed sync, harms no entry and no state that was written before.
 *
 * @throws as [writeState]
 */
export function replaceState(disk: Disk, directory: string, state: LogState, fileMode: number): void {
  const aside = join(directory, STATE_FILE_ASIDE);
  const bytes = encodeState(state);
  const file = disk.open(aside, 'w', fileMode);
  try {
    writeFully(file, bytes, 0, bytes.length, 0);
    try {
      file.datasync();
    } catch (error) {
      throw syncFailed(error, aside);
    }
    // The path may lead to another log since the sync: that log's file must not be replaced.
    const found = disk.stat(aside);
    if (found === undefined || !isSameFile(found, file.identity()))
      throw new DiskError('ENOENT', 'rename', aside, 'the name does not lead to the file that was written');
  } finally {
    file.close();
  }
  disk.rename(aside, join(directory, STATE_FILE));
}
