import { dirname, join } from 'node:path';
import { createDirectory } from '../../files/directories.js';
import { type Disk, type DiskLock, isMissing, systemCode } from '../../files/disk.js';
import { nameHolder } from '../../files/lock-note.js';
import { LOCK_FILE, parseSegmentName, parseSnapshotName, STATE_FILE } from '../../format/segment-name.js';
import { LogFailure, systemCause } from '../errors/failure.js';
import { FILE_MODE } from './backup-target.js';
import { syncNames } from './copy-file.js';

const DIRECTORY_MODE = 0o700;

/**
 * The directory in which a log is restored, before it gets its name: `<directory>.restoring`, beside it.
 *
 *   begin    create it, lock it, remove what an interrupted restore left in it
 *   finish   sync its names; remove the empty directory of the wanted name; rename it; sync the parent
 *   undo     remove it
 *
 * A crash leaves this directory or the restored log, and never a part of a log under the wanted name.
 */
export class RestoreAside {
  readonly directory: string;
  readonly #wanted: string;
  readonly #disk: Disk;
  readonly #lock: DiskLock;
  /** The directory has the wanted name: there is nothing to undo. */
  #isNamed = false;

  private constructor(disk: Disk, wanted: string, directory: string, lock: DiskLock) {
    this.#disk = disk;
    this.#wanted = wanted;
    this.directory = directory;
    this.#lock = lock;
  }

  /** @throws LogFailure ERR_WAL_OPTION: something else has the name; ERR_WAL_LOCKED: another restore is at work; the system's errors */
  static begin(disk: Disk, wanted: string): RestoreAside {
    const directory = `${wanted}.restoring`;
    createDirectory(disk, dirname(wanted), DIRECTORY_MODE);
    if (disk.stat(directory) === undefined) disk.mkdir(directory, DIRECTORY_MODE);
    refuseForeign(disk, wanted, directory);
    const aside = new RestoreAside(disk, wanted, directory, lockAside(disk, wanted, directory));
    try {
      aside.#clear();
      return aside;
    } catch (error) {
      aside.#lock.release();
      throw error;
    }
  }

  pathOf(name: string): string {
    return join(this.directory, name);
  }

  syncNames(): void {
    syncNames(this.#disk, this.directory);
  }

  /** @throws LogFailure ERR_WAL_OPTION: the wanted directory has been filled meanwhile; ERR_WAL_IO: it cannot be replaced */
  finish(): void {
    const wanted = this.#wanted;
    const disk = this.#disk;
    this.syncNames();
    refuseOccupied(disk, wanted);
    try {
      if (disk.stat(wanted) !== undefined) disk.rmdir(wanted);
      // Windows renames no directory in which a file is open.
      if (process.platform === 'win32') this.#lock.release();
      disk.rename(this.directory, wanted);
    } catch (error) {
      const isMount =
        systemCode(error) === 'EBUSY' ? ' It may be a mount point: restore to a directory in it.' : '';
      throw new LogFailure(
        'ERR_WAL_IO',
        `Cannot give the restored log the name "${wanted}": ${systemCause(error).message}.${isMount}`,
        { path: wanted, cause: error },
      );
    }
    this.#isNamed = true;
    this.#lock.release();
    try {
      syncNames(disk, dirname(wanted));
    } catch (error) {
      throw new LogFailure(
        'ERR_WAL_IO',
        `The restored log is whole in "${wanted}", but its name may be lost if the power fails now: ${systemCause(error).message}.`,
        { path: wanted, cause: error instanceof LogFailure ? error.failure.cause : error },
      );
    }
  }

  /** If a file cannot be removed, the next restore to the same name removes it. */
  undo(): void {
    if (this.#isNamed) return;
    try {
      this.#clear();
      // Removed while the lock is held: another restore that waits for the lock finds that the file's name is gone.
      this.#remove(LOCK_FILE);
    } finally {
      this.#lock.release();
    }
    this.#disk.rmdir(this.directory);
  }

  #clear(): void {
    for (const name of this.#disk.list(this.directory)) if (isContent(name)) this.#remove(name);
  }

  #remove(name: string): void {
    try {
      this.#disk.unlink(this.pathOf(name));
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
}

/** @throws LogFailure ERR_WAL_OPTION: there is anything but an empty directory */
export function refuseOccupied(disk: Disk, wanted: string): void {
  const kind = disk.stat(wanted)?.kind;
  if (kind === undefined) return;
  const first = kind === 'directory' ? disk.list(wanted).sort()[0] : undefined;
  if (kind === 'directory' && first === undefined) return;
  const why = first === undefined ? 'it is not a directory' : `it is not empty: it holds "${first}"`;
  throw new LogFailure(
    'ERR_WAL_OPTION',
    `Cannot restore to "${wanted}": ${why}. Nothing was changed. Choose a directory that does not exist, or is empty.`,
    { path: wanted },
  );
}

function refuseForeign(disk: Disk, wanted: string, directory: string): void {
  const kind = disk.stat(directory)?.kind;
  const foreign =
    kind === 'directory'
      ? disk
          .list(directory)
          .filter((name) => !isContent(name) && name !== LOCK_FILE)
          .sort()[0]
      : '';
  if (foreign === undefined) return;
  const why = foreign === '' ? 'it is not a directory' : `it holds "${foreign}"`;
  throw new LogFailure(
    'ERR_WAL_OPTION',
    `Cannot restore to "${wanted}": the log would be written to "${directory}" first, and that is not left from a restore: ${why}. ` +
      'Move it away.',
    { path: directory },
  );
}

function lockAside(disk: Disk, wanted: string, directory: string): DiskLock {
  const path = join(directory, LOCK_FILE);
  const lock = disk.lock(path, FILE_MODE);
  if (lock?.isNamed()) return lock;
  lock?.release();
  const holder = lock === undefined ? disk.lockHolder(path) : undefined;
  throw new LogFailure(
    'ERR_WAL_LOCKED',
    `Cannot restore to "${wanted}": ${holder === undefined ? 'another restore' : nameHolder(holder)} is at work in "${directory}".`,
    { path: directory },
  );
}

/** The only names that a restore makes besides the lock's. */
function isContent(name: string): boolean {
  return (
    name === STATE_FILE ||
    parseSegmentName(name) !== undefined ||
    parseSnapshotName(name) !== undefined ||
    name === `${STATE_FILE}.aside`
  );
}
