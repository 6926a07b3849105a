import { pause } from './pause.js';

/**
 * The disk seam: everything that the log asks of a file system. The writer runs unchanged on Node's file system (`node-disk.ts`),
 * on the simulated one (`simulated-disk.ts`), and on any disk of a test.
 *
 * Rules for all calls:
 *   - They are synchronous and happen in call order.
 *   - Sizes and positions are bytes, from 0, exact below 2^53. Times are milliseconds. Modes are POSIX bits (0o600).
 *   - They throw an `Error` with the system's `code` ('ENOSPC', 'EIO', …) as Node does: a [SystemError]. Nothing is retried below
 *     this seam: it passes on `EINTR` and `EAGAIN`, and [writeFully] and [readFully] retry.
 *   - Only [DiskFile.write] and [DiskFile.read] may do less than requested.
 *
 * Data that survives:
 *   a killed process   the effect of every call that returned
 *   a power cut        bytes and size of a file, as far as the last completed [DiskFile.datasync] or [DiskFile.sync] of
 *                      that file covered them. Names in a directory (create, rename, unlink), as far as the last completed
 *                      [Disk.syncDirectory] of that directory covered them. Any part of everything else, in any order.
 *   a failed sync      nothing is known about the data written since the last completed sync: a second sync that
 *                      returns proves nothing, and neither does reading the bytes back.
 */
export interface Disk {
  /**
   * Opens a regular file without waiting. `mode` is the mode of a file that this call creates, before the process's umask
   * (default 0o666). A symbolic link opens for reading only.
   *
   * @throws IrregularFile (EISDIR, EINVAL); ENOENT, EEXIST (with `x`), EACCES, ENOTDIR, ELOOP, EMFILE, ENFILE, ENOSPC, EDQUOT,
   * EROFS, EIO
   */
  open(path: string, flags: OpenFlags, mode?: number): DiskFile;
  /** Names in a directory, without '.' and '..', in no order. @throws ENOENT, ENOTDIR, EACCES, EMFILE */
  list(directory: string): string[];
  /**
   * The file that a name leads to, symbolic links followed; `undefined` if it leads to nothing (also if a parent is missing or
   * not a directory).
   *
   * @throws EACCES, ELOOP, EIO
   */
  stat(path: string): FileStat | undefined;
  /** Creates one directory; its parent must exist. @throws EEXIST, ENOENT, ENOTDIR, EACCES, ENOSPC, EROFS */
  mkdir(directory: string, mode?: number): void;
  /** Removes an empty directory. @throws ENOTEMPTY (or EEXIST), ENOENT, ENOTDIR, EACCES, EBUSY */
  rmdir(directory: string): void;
  /**
   * Renames a file, atomically, replacing a file of the new name; or a directory to a name that does not exist.
   *
   * @throws ENOENT, EACCES, ENOSPC, EISDIR
   */
  rename(from: string, to: string): void;
  /** Gives a file a second name, which must not exist. Both lead to the same bytes. @throws EEXIST, ENOENT, EXDEV, EPERM, EMLINK */
  link(from: string, to: string): void;
  /**
   * Makes the file `to`, which must not exist, a copy of `from` that shares its blocks until one of them is changed. False: the
   * file system cannot do that, and there is no file `to`. As after a write, nothing of the copy is durable.
   *
   * @throws EEXIST, ENOENT, EACCES, ENOSPC, EMFILE
   */
  clone(from: string, to: string): boolean;
  /** Removes a name; a process that has the file open keeps it. @throws ENOENT, EACCES, EPERM or EISDIR for a directory */
  unlink(path: string): void;
  /** Makes the directory's names durable, not the content of the files. @throws ENOENT, EIO, EMFILE, EACCES */
  syncDirectory(directory: string): void;
  /**
   * Takes the exclusive lock of the file `path`, which is created if it is missing and never removed; `undefined` while another
   * holder has it, even one in this process. No symbolic link is followed. The lock ends when it is released, and when the
   * process, or the worker thread that took it, ends in any way. A note about the holder is left in the file.
   *
   * @throws as [open]; ENOTSUP or similar if the file system has no locks
   */
  lock(path: string, mode?: number): DiskLock | undefined;
  /** The holder of the lock of the file `path`; `undefined` if there is none. @throws as [open], except ENOENT */
  lockHolder(path: string): LockHolder | undefined;
  /** The wall clock, ms since 1970. It may go backwards. */
  now(): number;
  /** 64 random bits, for values that must be unique: ids of logs, names of side files. */
  random64(): bigint;
}

/**
 * `r` read; `r+` read and write; with `w` the file is created or emptied, with `x` it must not exist; with `+` it can also be
 * read. There is no append flag: on Linux it makes the system ignore a write's position.
 */
export type OpenFlags = 'r' | 'r+' | 'w' | 'w+' | 'wx' | 'wx+';

/** An open file. After [close] any other call throws EBADF. */
export interface DiskFile {
  /** The name by which it was opened; a rename does not change it. */
  readonly path: string;
  /** The system's descriptor, for another thread of this process to adopt; -1 if there is none. */
  readonly fd: number;
  /**
   * ONE positional write of `bytes[from, to)` at `position`, which may lie after the end (zeros fill the gap). Returns the bytes
   * written: it may be fewer than requested, even 0. Use [writeFully].
   *
   * @throws ENOSPC, EDQUOT, EIO, EINTR, EAGAIN, EFBIG, EBADF; then nothing about this call is certain
   */
  write(bytes: Uint8Array, from: number, to: number, position: number): number;
  /**
   * ONE positional read into `target`. Returns the bytes read: it may be fewer than fit, 0 at the end of the file (and
   * for an empty target). Use [readFully].
   *
   * @throws EIO, EINTR, EAGAIN, EBADF, EISDIR
   */
  read(target: Uint8Array, position: number): number;
  /** The file's size in bytes. @throws EIO, EBADF */
  size(): number;
  /**
   * The disk space that the file takes now; `undefined` if the file system does not report the size without holes: a compressing
   * file system reports less.
   *
   * @throws EIO, EBADF
   */
  allocation(): Allocation | undefined;
  /** Cuts the file, or lengthens it with zeros. @throws EIO, ENOSPC, EBADF */
  truncate(size: number): void;
  /** Makes bytes and size durable (fdatasync). Not the name: [Disk.syncDirectory]. @throws EIO, ENOSPC, EDQUOT, EBADF */
  datasync(): void;
  /** As [datasync], and makes times and mode durable too (fsync). */
  sync(): void;
  /** Idempotent. Syncs nothing. @throws EIO */
  close(): void;
  /** The identity of the file, whatever its name. @throws EBADF */
  identity(): FileIdentity;
}

/** Every byte that is not zero lies in allocated blocks. */
export interface Allocation {
  /** At least the bytes of all blocks that hold a byte other than zero. */
  readonly bytes: number;
  /** The unit of allocation, counted from the file's start. */
  readonly blockBytes: number;
}

/**
 * Distinguishes files as long as one of them exists: an inode number is reused after the file is gone. BigInt, since NTFS ids
 * exceed 2^53 and neighbours would round to the same number.
 */
export interface FileIdentity {
  readonly dev: bigint;
  readonly ino: bigint;
}

export interface FileStat extends FileIdentity {
  readonly kind: 'file' | 'directory' | 'other';
  readonly size: number;
  readonly mtimeMs: number;
  /** Number of names that lead to it: see [Disk.link]. For a directory, any number. */
  readonly links: number;
}

export interface DiskLock {
  /** Idempotent. The file stays: unlinking it would allow two processes to lock two files of one name. */
  release(): void;
  /**
   * Does the lock file's name still lead to the locked file? False: another process has removed or replaced it, and yet another
   * may hold a lock by that name.
   *
   * @throws as [Disk.stat]
   */
  isNamed(): boolean;
}

export interface LockHolder {
  /** From the lock file; `undefined` if it cannot be read. The id is valid in `place`. */
  readonly pid: number | undefined;
  /** `here`: another process of this machine or container; `elsewhere`: a process of another machine or container. */
  readonly place: 'this process' | 'here' | 'elsewhere' | 'unknown';
  /** Name of the machine or container; `undefined` if the lock file does not have it. */
  readonly host: string | undefined;
}

/** The fields of the system's errors. */
export interface SystemError extends Error {
  readonly code: string;
  readonly syscall?: string;
  readonly path?: string;
}

/** A system error that this code raises itself, in the shape of Node's. */
export class DiskError extends Error implements SystemError {
  readonly code: string;
  readonly syscall: string;
  readonly path: string;

  constructor(code: string, syscall: string, path: string, reason: string) {
    super(`${code}: ${reason}, ${syscall} '${path}'`);
    this.name = 'DiskError';
    this.code = code;
    this.syscall = syscall;
    this.path = path;
  }
}

/** The name leads to a directory, a FIFO, a socket or a device: nothing was read, and the open did not wait. */
export class IrregularFile extends DiskError {
  constructor(path: string, kind: string) {
    super(kind === 'directory' ? 'EISDIR' : 'EINVAL', 'open', path, `not a regular file but a ${kind}`);
  }
}

/**
 * Writes all of `bytes[from, to)` at `position`. The one place that retries short writes, `EINTR`, `EAGAIN` and writes that
 * return 0. The last three are retried only as long as [Patience] lasts.
 *
 * @throws the error of the write; then any part of the bytes may be in the file
 */
export function writeFully(
  file: DiskFile,
  bytes: Uint8Array,
  from: number,
  to: number,
  position: number,
): void {
  const patience = new Patience();
  let at = from;
  while (at < to) {
    let written = 0;
    let refusal: unknown;
    try {
      written = file.write(bytes, at, to, position + (at - from));
    } catch (error) {
      if (!isTransient(error)) throw error;
      refusal = error;
    }
    if (written > 0) {
      at += written;
      patience.renew();
    } else if (!patience.wait()) {
      throw refusal ?? new DiskError('EIO', 'write', file.path, 'the system wrote 0 bytes again and again');
    }
  }
}

/**
 * Fills `target` from `position` on, retrying as [writeFully] does. Returns the bytes read: fewer than fit only at the end of the
 * file.
 */
export function readFully(file: DiskFile, target: Uint8Array, position: number): number {
  const patience = new Patience();
  let length = 0;
  while (length < target.length) {
    try {
      const read = file.read(length === 0 ? target : target.subarray(length), position + length);
      if (read === 0) break;
      length += read;
      patience.renew();
    } catch (error) {
      if (!isTransient(error) || !patience.wait()) throw error;
    }
  }
  return length;
}

/**
 * Fills all of `target` from `position` on, from a file that is known to be long enough.
 *
 * @throws EIO if it has become shorter; the error of the read
 */
export function readExactly(file: DiskFile, target: Uint8Array, position: number): void {
  if (readFully(file, target, position) === target.length) return;
  throw new DiskError('EIO', 'read', file.path, 'the file has become shorter');
}

/**
 * How long a call that makes no progress is repeated: at once, then after 1, 2, 4, 8, 16, 16, … ms, 32 times in all, 0.4 s. That
 * is long enough for a burst of signals or a busy device, and short enough that the log does not seem to hang. The thread sleeps
 * meanwhile, so that it burns no processor time.
 */
class Patience {
  static readonly #ATTEMPTS_MAX = 32;
  static readonly #WAIT_MS_MAX = 16;
  #attempts = 0;

  /** Calls that this thread repeated since the last [takeRetries]. */
  static retries = 0;

  /** There was progress. */
  renew(): void {
    this.#attempts = 0;
  }

  /** There was no progress. False: give up. */
  wait(): boolean {
    this.#attempts += 1;
    if (this.#attempts > Patience.#ATTEMPTS_MAX) return false;
    Patience.retries += 1;
    if (this.#attempts > 1) {
      pause(Math.min(Patience.#WAIT_MS_MAX, 2 ** (this.#attempts - 2)));
    }
    return true;
  }
}

/** How many calls this thread had to repeat since it last called this: interrupted ones, and ones without progress. */
export function takeRetries(): number {
  const { retries } = Patience;
  Patience.retries = 0;
  return retries;
}

/** The system's code of an error ('ENOENT'), '' if it has none. */
export function systemCode(error: unknown): string {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' ? code : '';
}

/** No space, in the file system or in the user's quota. If a write fails with it, the log continues once there is some. */
export function isFullDisk(error: unknown): boolean {
  const code = systemCode(error);
  return code === 'ENOSPC' || code === 'EDQUOT';
}

/** The same call may succeed at once or a little later, and nothing was lost. */
export function isTransient(error: unknown): boolean {
  const code = systemCode(error);
  return code === 'EINTR' || code === 'EAGAIN' || code === 'EWOULDBLOCK';
}

/** The name leads to nothing. */
export function isMissing(error: unknown): boolean {
  return systemCode(error) === 'ENOENT';
}

/** The user's permissions, or the way the file system is mounted, forbid it. */
export function isDenied(error: unknown): boolean {
  const code = systemCode(error);
  return code === 'EACCES' || code === 'EPERM' || code === 'EROFS';
}

/** No file descriptor is left, in the process or in the system. */
export function isOutOfDescriptors(error: unknown): boolean {
  const code = systemCode(error);
  return code === 'EMFILE' || code === 'ENFILE';
}

/** The system did not begin the operation: nothing has changed. */
export function isRefusal(error: unknown): boolean {
  return isFullDisk(error) || isOutOfDescriptors(error) || isDenied(error);
}

export function isSameFile(one: FileIdentity, other: FileIdentity): boolean {
  return one.dev === other.dev && one.ino === other.ino;
}
