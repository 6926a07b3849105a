import { type Disk, type FileIdentity, isSameFile } from './disk.js';

/**
 * How far the clock must have gone on, since the directory's last change, when it is listed: a change right after the listing
 * might else leave the same time behind. Kernels stamp files by a clock that moves every few milliseconds.
 */
const SETTLED_MS = 50;
/** The same of file systems that stamp in whole seconds, or even in every other one. */
const COARSE_SETTLED_MS = 2500;

/** The names in a directory as they were found. */
export interface Listing {
  readonly names: readonly string[];
  /** Which directory the path led to. */
  readonly identity: FileIdentity;
}

/**
 * The names in a directory that others change, listed anew only where they may have changed: each change of a name moves the
 * directory's time of modification. To ask for that costs the same however many names there are.
 */
export class DirectoryListing {
  readonly #disk: Disk;
  readonly #directory: string;
  #listing: Listing | undefined;
  #modifiedMs = 0;
  /** A later change cannot have left `#modifiedMs` behind. */
  #isSettled = false;

  constructor(disk: Disk, directory: string) {
    this.#disk = disk;
    this.#directory = directory;
  }

  /** The same object as long as nothing has changed. @throws ENOENT, ENOTDIR, EACCES, EMFILE */
  read(): Listing {
    // In this order: what changes after one of the three is seen by the next look.
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
    // Whatever was listed without one is listed again.
    const { dev, ino, mtimeMs } = found ?? { dev: -1n, ino: -1n, mtimeMs: nowMs };
    this.#modifiedMs = mtimeMs;
    this.#isSettled = nowMs - mtimeMs > (mtimeMs % 1000 === 0 ? COARSE_SETTLED_MS : SETTLED_MS);
    this.#listing = { names, identity: { dev, ino } };
    return this.#listing;
  }
}
