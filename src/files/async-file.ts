import { close, fdatasync, fstat, read, readSync, stat } from 'node:fs';
import { DiskError, type FileIdentity, isMissing, isSameFile, systemCode } from './disk.js';
import { type OpenedFile, openRegularFileAside } from './regular-file.js';

/**
 * A file that a thread with an event loop reads, without blocking it.
 *
 * It uses Node's callback API: a read through a `FileHandle` takes half as long again, and allocates more. As a `FileHandle`
 * does, this class never closes a descriptor while a read is in flight, since that read could then read another file with the
 * same number.
 */
export interface AsyncFile {
  readonly path: string;
  readonly identity: FileIdentity;
  /** The file's size in bytes when it was opened. */
  readonly sizeAtOpen: number;
  /** Fills `target` from `position` on. Returns the bytes read: may be short, 0 at the end. @throws EIO, EBADF */
  read(target: Uint8Array, position: number): Promise<number>;
  /** As [read], but synchronous: it blocks the calling thread while the system reads, so use it only for data in memory. */
  readNow(target: Uint8Array, position: number): number;
  /** The file's size in bytes now. */
  size(): Promise<number>;
  /** Does [path] still lead to this file, not to another one or to nothing? */
  isStillNamed(): Promise<boolean>;
  /** Idempotent. Resolves once the reads in flight have returned and the descriptor is closed. */
  close(): Promise<void>;
}

/** @throws IrregularFile, ENOENT, EACCES, ENOTDIR, EMFILE, … */
export async function openForReading(path: string): Promise<AsyncFile> {
  return new CallbackFile(await openRegularFileAside(path), path);
}

/** The file that `path` leads to, symbolic links followed; `undefined` if there is none. @throws EACCES, ELOOP, EIO */
export async function identifyPath(path: string): Promise<FileIdentity | undefined> {
  try {
    const { dev, ino } = await new Promise<FileIdentity>((resolve, reject) => {
      stat(path, { bigint: true }, (error, stats) => (error === null ? resolve(stats) : reject(error)));
    });
    return { dev, ino };
  } catch (error) {
    if (isMissing(error) || systemCode(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** fdatasync of a descriptor, which stays open until this settles, without blocking the thread. @throws EIO, ENOSPC, EDQUOT, EBADF */
export function datasyncAside(fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fdatasync(fd, (error) => (error === null ? resolve() : reject(error)));
  });
}

class CallbackFile implements AsyncFile {
  readonly path: string;
  readonly identity: FileIdentity;
  readonly sizeAtOpen: number;
  readonly #fd: number;
  #inFlight = 0;
  #closed: Promise<void> | undefined;
  #onIdle: (() => void) | undefined;

  constructor({ fd, identity, size }: OpenedFile, path: string) {
    this.#fd = fd;
    this.path = path;
    this.identity = identity;
    this.sizeAtOpen = size;
  }

  read(target: Uint8Array, position: number): Promise<number> {
    return this.#call('read', (done) => read(this.#fd, target, 0, target.length, position, done));
  }

  readNow(target: Uint8Array, position: number): number {
    this.#assertOpen('read');
    return readSync(this.#fd, target, 0, target.length, position);
  }

  async size(): Promise<number> {
    const stats = await this.#call<{ size: number }>('fstat', (done) => fstat(this.#fd, done));
    return stats.size;
  }

  async isStillNamed(): Promise<boolean> {
    this.#assertOpen('stat');
    const named = await identifyPath(this.path);
    return named !== undefined && isSameFile(this.identity, named);
  }

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
    await new Promise<void>((resolve, reject) => {
      close(this.#fd, (error) => (error == null ? resolve() : reject(error)));
    });
  }

  #assertOpen(syscall: string): void {
    if (this.#closed !== undefined) throw new DiskError('EBADF', syscall, this.path, 'the file is closed');
  }

  #call<T>(syscall: string, start: (done: (error: Error | null, value: T) => void) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#assertOpen(syscall);
      start((error, value) => {
        this.#inFlight -= 1;
        if (error) reject(error);
        else resolve(value);
        if (this.#inFlight === 0) this.#onIdle?.();
      });
      // Counted after the call: a read that throws for a bad argument is not in flight.
      this.#inFlight += 1;
    });
  }
}
