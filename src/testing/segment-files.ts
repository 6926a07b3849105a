import type { AsyncFile } from '../files/async-file.js';
import { type DiskFile, type FileIdentity, isSameFile, isTransient } from '../files/disk.js';
import type { Boot } from './boot.js';

/** Opens a segment of a log for its readers. @throws ENOENT, EMFILE, … */
export function openSimulated(boot: Boot, path: string): Promise<AsyncFile> {
  return boot.later(() => {
    const file = boot.disk.open(path, 'r');
    return new SegmentFile(boot, file, file.identity());
  });
}

class SegmentFile implements AsyncFile {
  readonly path: string;
  readonly identity: FileIdentity;
  readonly sizeAtOpen: number;
  readonly #boot: Boot;
  readonly #file: DiskFile;
  #inFlight = 0;
  #closed: Promise<void> | undefined;
  #onIdle: (() => void) | undefined;

  constructor(boot: Boot, file: DiskFile, identity: FileIdentity) {
    this.#boot = boot;
    this.#file = file;
    this.path = file.path;
    this.identity = identity;
    this.sizeAtOpen = file.size();
  }

  read(target: Uint8Array, position: number): Promise<number> {
    return this.#call(() => this.#readUninterrupted(target, position));
  }

  /** As libuv, which Node reads with: an interrupted read is made again. */
  #readUninterrupted(target: Uint8Array, position: number): number {
    for (;;) {
      try {
        return this.#file.read(target, position);
      } catch (error) {
        if (!isTransient(error)) throw error;
      }
    }
  }

  readNow(target: Uint8Array, position: number): number {
    return this.#file.read(target, position);
  }

  size(): Promise<number> {
    return this.#call(() => this.#file.size());
  }

  isStillNamed(): Promise<boolean> {
    return this.#call(() => {
      const named = this.#boot.disk.stat(this.path);
      return named !== undefined && isSameFile(named, this.identity);
    });
  }

  /** After the reads in flight, as with real files. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    if (this.#inFlight > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    await this.#boot.later(() => this.#file.close());
  }

  async #call<T>(run: () => T): Promise<T> {
    this.#inFlight += 1;
    try {
      return await this.#boot.later(run);
    } finally {
      this.#inFlight -= 1;
      if (this.#inFlight === 0) this.#onIdle?.();
    }
  }
}
