import { type Disk, type FileIdentity, isSameFile } from './disk.js';

/**
 * How long ago the directory's last change must be when it is listed: otherwise a change right after the listing might leave the
 * same timestamp. Kernels stamp files by a clock that moves every few milliseconds.
 */
const SETTLED_MS = 50;
/** The same for file systems whose timestamps have a resolution of one or two seconds. */
const COARSE_SETTLED_MS = 2500;

/** The names found in a directory. */
export interface Listing {
  readonly names: readonly string[];
  /** The directory that the path led to. */
  readonly identity: FileIdentity;
}

/**
 * The names in a directory that other processes change. It lists the directory again only if it may have changed: each change of
 * a name moves the directory's modification time, and reading that time costs the same however many names there are.
 */
export class DirectoryListing {
  readonly #disk: Disk;
  readonly #directory: string;
  #listing: Listing | undefined;
  #modifiedMs = 0;
  /** A later change is certain to move the modification time away from `#modifiedMs`. */
  #isSettled = false;

  constructor(disk: Disk, directory: string) {
    this.#disk = disk;
    this.#directory = directory;
  }

  /** Returns the same object as long as nothing has changed. @throws ENOENT, ENOTDIR, EACCES, EMFILE */
  read(): Listing {
    // In this order: a change after any of the three steps is seen by the next call.
    const nowMs = this.#disk.now();
    const found = this.#disk.stat(this.#directory);
    const last = this.#listing;
    const isAsBefore =
      this.#isSettled &&
      last !== undefined &&
      found !== undefined &&
      found.mtimeMs === this.#modifiedMs &&
      isSameFile(found, last.identity);
    if (isAsBefore) return last;
    const names = this.#disk.list(this.#directory);
    // Without a timestamp, the next call lists again.
    const { dev, ino, mtimeMs } = found ?? { dev: -1n, ino: -1n, mtimeMs: nowMs };
    this.#modifiedMs = mtimeMs;
    this.#isSettled = nowMs - mtimeMs > (mtimeMs % 1000 === 0 ? COARSE_SETTLED_MS : SETTLED_MS);
    this.#listing = { names, identity: { dev, ino } };
    return this.#listing;
  }
}
