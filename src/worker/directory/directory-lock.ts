import { join } from 'node:path';
import { type Disk, type DiskLock, IrregularFile, systemCode } from '../../files/disk.js';
import { nameHolder } from '../../files/lock-note.js';
import { LOCK_FILE } from '../../format/segment-name.js';
import { LogFailure, systemCause } from '../errors/failure.js';

/**
 * Runs `look`, which throws to refuse a directory, if there is no lock file yet. A directory that must not be changed (wal-go's
 * later format, a damaged copy) is thus refused without creating a lock file in it. This keeps no other writer out: the caller
 * looks again under the lock.
 */
export function lookBeforeLock(disk: Disk, directory: string, look: () => void): void {
  const path = join(directory, LOCK_FILE);
  if (disk.stat(path) !== undefined) return;
  try {
    look();
  } catch (error) {
    // `look` may have seen part of a log that another process is creating: if there is a lock file now, the lock decides.
    if (disk.stat(path) === undefined) throw error;
  }
}

/** Takes the lock that makes this thread the directory's only writer. @throws LogFailure ERR_WAL_LOCKED, ERR_WAL_IO */
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
  // The holder may have released the lock since.
  const name = holder === undefined ? 'another writer' : nameHolder(holder);
  throw new LogFailure(
    'ERR_WAL_LOCKED',
    `Cannot open "${directory}" for writing: ${name} has it open, and a log has one writer. Close it there first. Reading needs ` +
      'no lock (readOnly, Wal.follow); other threads attach.',
    { path: directory },
  );
}
