import { type Disk, DiskError, type FileIdentity, isSameFile } from '../../files/disk.js';
import { LogFailure } from '../errors/failure.js';

/**
 * The directory in which a log was opened, identified by its inode and not by its path. The path may later lead elsewhere: a
 * link is moved, or the directory is renamed and another one put in its place, which another writer uses. As long as a
 * thread has the directory open ([MachineDisk.holdDirectory]), no other directory can have its identity.
 *
 * Creating, renaming or removing a file by its name acts wherever the path leads at that moment. So call [check] first.
 */
export class LogDirectory {
  readonly directory: string;
  readonly identity: FileIdentity;
  readonly #disk: Disk;

  /** @param identity the directory's; default: that of the one that `directory` leads to now. @throws the system's error; ENOENT */
  constructor(disk: Disk, directory: string, identity: FileIdentity | undefined = disk.stat(directory)) {
    if (identity === undefined) throw gone(directory);
    this.#disk = disk;
    this.directory = directory;
    this.identity = { dev: identity.dev, ino: identity.ino };
  }

  /** Does the path still lead to this directory? */
  get isOwn(): boolean {
    const found = this.#disk.stat(this.directory);
    return found !== undefined && isSameFile(found, this.identity);
  }

  /** @throws LogFailure ERR_WAL_IO, cause ENOENT: the path leads elsewhere; the log must end then */
  check(): void {
    if (this.isOwn) return;
    const { directory } = this;
    throw new LogFailure(
      'ERR_WAL_IO',
      `Cannot continue in "${directory}": the directory was removed, renamed or replaced, or a link to it was moved. The written ` +
        'entries are where the directory is now; a directory that took its place is unchanged.',
      { path: directory, cause: gone(directory) },
    );
  }
}

function gone(directory: string): DiskError {
  return new DiskError(
    'ENOENT',
    'stat',
    directory,
    'the path does not lead to the directory that the log has open',
  );
}
