import { join } from 'node:path';
import { type Disk, type DiskLock, IrregularFile, systemCode } from '../../files/disk.js';
import { nameHolder } from '../../files/lock-note.js';
import { LOCK_FILE } from '../../format/segment-name.js';
import { LogFailure, systemCause } from '../errors/failure.js';

/**
 * Runs `look`, which throws what it refuses, where there is no lock file yet: a directory that is not ours to change, of
 * wal-go's later format or a damaged copy, is refused without being given one. Nobody is kept out meanwhile: whoever
 * gets by looks again under the lock.
 */
export function lookBeforeLock(disk: Disk, directory: string, look: () => void): void {
  const path = join(directory, LOCK_FILE);
  if (disk.stat(path) !== undefined) return;
  try {
    look();
  } catch (error) {
    // Of a log that somebody is making at this moment a part may have been seen: the lock has the last word.
    if (disk.stat(path) === undefined) throw error;
  }
}

/** Takes the lock that makes this thread the directory's one writer. @throws LogFailure ERR_WAL_LOCKED, ERR_WAL_IO */
export function lockDirectory(disk: Disk, directory: string, fileMode: number): DiskLock {
  const path = join(directory, LOCK_FILE);
  let lock: DiskLock | undefined;
  try {
    lock = disk.lock(path, fileMode);
  } catch (error) {
    const { message } = systemCause(error);
    throw new LogFailure('ERR_WAL_IO', `Cannot lock "${directory}": ${message} (${systemCode(error)})`, {
      path: error instanceof IrregularFile ? error.path : directory,
      cause: error,
    });
  }
  if (lock !== undefined) return lock;
  const holder = disk.lockHolder(path);
  // It may have let go since.
  const name = holder === undefined ? 'another writer' : nameHolder(holder);
  throw new LogFailure(
    'ERR_WAL_LOCKED',
    `Cannot open "${directory}" for writing: ${name} has it open, and a log has one writer. Close it there first. Reading needs ` +
      'no lock (readOnly, Wal.follow); other threads attach.',
    { path: directory },
  );
}
