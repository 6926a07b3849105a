import { dirname, join } from 'node:path';
import { createDirectory } from '../../files/directories.js';
import { type Disk, type DiskLock, isMissing } from '../../files/disk.js';
import { nameHolder } from '../../files/lock-note.js';
import { createSha256 } from '../../files/sha256.js';
import {
  BACKUP_FILE,
  BACKUP_FILE_ASIDE,
  LOCK_FILE,
  parsePartName,
  parseSegmentName,
  parseSnapshotName,
  STATE_FILE,
} from '../../format/segment-name.js';
import { LogFailure } from '../errors/failure.js';
import { syncNames, writeSmall } from './copy-file.js';
import { encodeManifest, type Manifest } from './manifest.js';

const DIRECTORY_MODE = 0o700;
export const FILE_MODE = 0o600;

/**
 * The directory that a backup is written to.
 *
 *   begin    create the directory, lock it, make the empty file ringwal.backup.aside, sync the directory. From here on the
 *            directory says that a backup was begun in it; after a crash, the next backup to the same place removes the files
 *   clear    remove the files: the backup begins again
 *   finish   sync the directory; write the manifest aside, sync it, rename it to ringwal.backup, sync the directory
 *   undo     remove everything that this backup made, the directory too
 */
export class BackupTarget {
  readonly directory: string;
  readonly #disk: Disk;
  readonly #lock: DiskLock;
  /** The directory was not there before. */
  readonly #isNew: boolean;

  private constructor(disk: Disk, directory: string, lock: DiskLock, isNew: boolean) {
    this.#disk = disk;
    this.directory = directory;
    this.#lock = lock;
    this.#isNew = isNew;
  }

  /**
   * @throws LogFailure ERR_WAL_OPTION: there is a backup already, or anything else; ERR_WAL_LOCKED; the system's errors
   */
  static begin(disk: Disk, directory: string): BackupTarget {
    const isNew = disk.stat(directory) === undefined;
    if (!isNew) refuseOccupied(disk, directory);
    createDirectory(disk, directory, DIRECTORY_MODE);
    const target = new BackupTarget(disk, directory, lockTarget(disk, directory), isNew);
    try {
      // Another backup may have been finished here before this one got the lock.
      refuseOccupied(disk, directory);
      target.clear();
      writeSmall(disk, join(directory, BACKUP_FILE_ASIDE), new Uint8Array(0), FILE_MODE);
      syncNames(disk, directory);
      return target;
    } catch (error) {
      target.#lock.release();
      throw error;
    }
  }

  pathOf(name: string): string {
    return join(this.directory, name);
  }

  remove(name: string): void {
    try {
      this.#disk.unlink(this.pathOf(name));
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }

  /** Removes all files but the one that says that a backup was begun. */
  clear(): void {
    for (const name of this.#disk.list(this.directory)) if (isContent(name)) this.remove(name);
  }

  /** Makes it a backup. Every file but the manifest must have been synced. */
  finish(manifest: Manifest): void {
    const { directory } = this;
    const disk = this.#disk;
    const aside = this.pathOf(BACKUP_FILE_ASIDE);
    syncNames(disk, directory);
    writeSmall(disk, aside, encodeManifest(manifest), FILE_MODE);
    disk.rename(aside, this.pathOf(BACKUP_FILE));
    syncNames(disk, directory);
    // A killed process may have made the directory and never synced its name.
    syncNames(disk, dirname(directory));
    this.#lock.release();
  }

  /**
   * Removes everything that this backup made. A file that cannot be removed stays: the directory has no manifest, so it is no
   * backup, and the next backup to the same place removes the file.
   */
  undo(): void {
    try {
      this.remove(BACKUP_FILE);
      this.clear();
      // The mark goes last: without it, a file that a power cut brings back would look like a foreign file.
      syncNames(this.#disk, this.directory);
      this.remove(BACKUP_FILE_ASIDE);
      if (this.#isNew) {
        // Removed while the lock is held: another process that waits for the lock finds that the file's name is gone.
        this.remove(LOCK_FILE);
        this.#lock.release();
        this.#disk.rmdir(this.directory);
      }
    } finally {
      this.#lock.release();
    }
  }
}

/** The bytes of a manifest file are the identity of a backup. */
export function digestOf(manifestBytes: Uint8Array): Uint8Array {
  const sha256 = createSha256();
  sha256.update(manifestBytes);
  return sha256.digest();
}

function lockTarget(disk: Disk, directory: string): DiskLock {
  const path = join(directory, LOCK_FILE);
  const lock = disk.lock(path, FILE_MODE);
  if (lock?.isNamed()) return lock;
  lock?.release();
  const holder = lock === undefined ? disk.lockHolder(path) : undefined;
  throw new LogFailure(
    'ERR_WAL_LOCKED',
    `Cannot write a backup to "${directory}": ${holder === undefined ? 'another backup' : nameHolder(holder)} uses the directory. ` +
      'Choose another target.',
    { path: directory },
  );
}

/** Files that an unfinished backup may have left do not occupy the directory. */
function refuseOccupied(disk: Disk, directory: string): void {
  const kind = disk.stat(directory)?.kind;
  if (kind !== 'directory') throw occupied(directory, 'it is not a directory');
  const names = disk.list(directory);
  if (names.includes(BACKUP_FILE)) throw occupied(directory, 'it holds a backup already');
  const isUnfinished = names.includes(BACKUP_FILE_ASIDE);
  const isOwn = (name: string) =>
    name === LOCK_FILE || name === BACKUP_FILE_ASIDE || (isUnfinished && isContent(name));
  const other = names.filter((name) => !isOwn(name)).sort()[0];
  if (other !== undefined) throw occupied(directory, `it is not empty: it holds "${other}"`);
}

function isContent(name: string): boolean {
  return (
    name === STATE_FILE ||
    parseSegmentName(name) !== undefined ||
    parsePartName(name) !== undefined ||
    parseSnapshotName(name) !== undefined
  );
}

function occupied(directory: string, why: string): LogFailure {
  return new LogFailure(
    'ERR_WAL_OPTION',
    `Cannot write a backup to "${directory}": ${why}. Nothing was changed. Choose a directory that does not exist, or is empty.`,
    { path: directory },
  );
}
