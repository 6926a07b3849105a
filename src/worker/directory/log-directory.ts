import { type Disk, DiskError, type FileIdentity, isSameFile } from '../../files/disk.js';
import { LogFailure } from '../errors/failure.js';

/**
 * The directory that a log was opened in, by which it is told from whatever its path comes to lead to: a link may be moved, or
 * the directory renamed and another one put in its place, with another writer at work in it. As long as somebody has the
 * directory open no other can have its identity ([MachineDisk.holdDirectory]).
 *
 * A file that is created, renamed or removed by its name is so wherever the path leads at that moment: so whoever is about to do
 * that asks here first.
 */
export class LogDirectory {
  readonly directory: string;
  readonly identity: FileIdentity;
  readonly #disk: Disk;

  /** @param identity which one it is; default: where `directory` leads now. @throws the system's error; ENOENT */
  constructor(disk: Disk, directory: string, identity: FileIdentity | undefined = disk.stat(directory)) {
    if (identity === undefined) throw gone(directory);
    this.#disk = disk;
    this.directory = directory;
    this.identity = { dev: identity.dev, ino: identity.ino };
  }

  /** Does the path still lead there? */
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
      `Cannot go on in "${directory}": somebody has removed, renamed or replaced it, or moved a link that leads there. What was ` +
        'written is where the directory is now; nothing was changed in what has come in its place.',
      { path: directory, cause: gone(directory) },
    );
  }
}

function gone(directory: string): DiskError {
  return new DiskError('ENOENT', 'stat', directory, 'the directory that the log has open is not there');
}
