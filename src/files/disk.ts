import { pause } from './pause.js';

/**
 * The disk seam: everything that the log asks of a file system. The writer runs unchanged on Node's file system
 * (`node-disk.ts`), on the simulated one (`simulated-disk.ts`), and on whatever a test puts between.
 *
 * What all calls share:
 *   - They are synchronous and happen in call order.
 *   - Sizes and positions are bytes, from 0, exact below 2^53. Times are milliseconds. Modes are POSIX bits (0o600).
 *   - They throw an `Error` with the system's `code` ('ENOSPC', 'EIO', …) as Node does: a [SystemError]. Nothing is
 *     retried below this seam: `EINTR` and `EAGAIN` come through, and [writeFully] and [readFully] carry on after them.
 *   - Only [DiskFile.write] and [DiskFile.read] may do less than they were asked for.
 *
 * What survives:
 *   a killed process   everything that a call returned from
 *   a power cut        bytes and size of a file: what the last completed [DiskFile.datasync] or [DiskFile.sync] of
 *                      that file found. Names in a directory (create, rename, unlink): what the last completed
 *                      [Disk.syncDirectory] of that directory found. Of everything else any part, in any order.
 *   a failed sync      nothing is known any more of what was written since the last completed one: a second sync that
 *                      returns proves nothing, and neither does reading the bytes back.
 */
export interface Disk {
  /**
   * Opens a regular file, at once. `mode` is that of a file which this call creates, before the process's umask (default
   * 0o666). A symbolic link opens for reading only.
   *
   * @throws IrregularFile (EISDIR, EINVAL); ENOENT, EEXIST (with `x`), EACCES, ENOTDIR, ELOOP, EMFILE, ENFILE, ENOSPC, EDQUOT, EROFS, EIO
   */
  open(path: string, flags: OpenFlags, mode?: number): DiskFile;
  /** Names in a directory, without '.' and '..', in no order. @throws ENOENT, ENOTDIR, EACCES, EMFILE */
  list(directory: string): string[];
  /**
   * What a name leads to, symbolic links followed; `undefined` where it leads to nothing (a parent that is missing or
   * that is not a directory too).
   *
   * @throws EACCES, ELOOP, EIO
   */
  stat(path: string): FileStat | undefined;
  /** Creates one directory; its parent must be there. @throws EEXIST, ENOENT, ENOTDIR, EACCES, ENOSPC, EROFS */
  mkdir(directory: string, mode?: number): void;
  /** Gives a file another name, atomically, in place of a file that bore it. @throws ENOENT, EACCES, ENOSPC, EISDIR */
  rename(from: string, to: string): void;
  /** Removes a name; who has the file open keeps it. @throws ENOENT, EACCES, EPERM or EISDIR for a directory */
  unlink(path: string): void;
  /** Makes the directory's names durable, not the files behind them. @throws ENOENT, EIO, EMFILE, EACCES */
  syncDirectory(directory: string): void;
  /**
   * Takes the exclusive lock of the file `path`, which is created where it is missing and never removed; `undefined`
   * while anybody holds it, this process included. No symbolic link is followed. It goes when it is released and when the process, or the worker
   * thread that took it, ends in whatever way. A note of who holds it is left in the file.
   *
   * @throws as [open]; ENOTSUP or the like where the file system has no locks
   */
  lock(path: string, mode?: number): DiskLock | undefined;
  /** Who holds the lock of the file `path`; `undefined` when nobody does. @throws as [open], but ENOENT */
  lockHolder(path: string): LockHolder | undefined;
  /** The wall clock, ms since 1970. It may go backwards. */
  now(): number;
  /** 64 random bits, for what must be unlike everything else: ids of logs, names of side files. */
  random64(): bigint;
}

/**
 * `r` read; `r+` read and write; with `w` the file is created or emptied, with `x` it must not exist; with `+` it can
 * be read too. No append flag: on Linux it makes the system ignore a write's position.
 */
export type OpenFlags = 'r' | 'r+' | 'w' | 'w+' | 'wx' | 'wx+';

/** An open file. After [close] any other call throws EBADF. */
export interface DiskFile {
  /** The name it was opened by; a rename does not change it. */
  readonly path: string;
  /** The system's descriptor, for another thread of this process to adopt; -1 where there is none. */
  readonly fd: number;
  /**
   * ONE positional write of `bytes[from, to)` at `position`, which may lie behind the end (zeros between). Returns the
   * bytes written: it may be fewer than asked, even 0. Use [writeFully].
   *
   * @throws ENOSPC, EDQUOT, EIO, EINTR, EAGAIN, EFBIG, EBADF; nothing of this call is certain then
   */
  write(bytes: Uint8Array, from: number, to: number, position: number): number;
  /**
   * ONE positional read into `target`. Returns the bytes read: it may be fewer than fit, 0 at the end of the file (and
   * for an empty target). Use [readFully].
   *
   * @throws EIO, EINTR, EAGAIN, EBADF, EISDIR
   */
  read(target: Uint8Array, position: number): number;
  /** Bytes, now. @throws EIO, EBADF */
  size(): number;
  /**
   * What the file takes of the file system, now; `undefined` where that does not tell how many bytes there are besides holes: a
   * file system that compresses takes less.
   *
   * @throws EIO, EBADF
   */
  allocation(): Allocation | undefined;
  /** Cuts the file, or lengthens it by zeros. @throws EIO, ENOSPC, EBADF */
  truncate(size: number): void;
  /** Makes bytes and size durable (fdatasync). Not the name: [Disk.syncDirectory]. @throws EIO, ENOSPC, EDQUOT, EBADF */
  datasync(): void;
  /** As [datasync], times and mode too (fsync). */
  sync(): void;
  /** Idempotent. Syncs nothing. @throws EIO */
  close(): void;
  /** Which file this is, whatever its name. @throws EBADF */
  identity(): FileIdentity;
}

/** No byte that is not zero lies outside of what is allocated. */
export interface Allocation {
  /** At least the bytes of all blocks that hold one which is not zero. */
  readonly bytes: number;
  /** What is allocated at a time, from the file's start on. */
  readonly blockBytes: number;
}

/**
 * Tells files apart for as long as one of them exists: an inode number is used again after the file is gone. BigInt,
 * since NTFS ids pass 2^53 and neighbours would round to the same number.
 */
export interface FileIdentity {
  readonly dev: bigint;
  readonly ino: bigint;
}

export interface FileStat extends FileIdentity {
  readonly kind: 'file' | 'directory' | 'other';
  readonly size: number;
  readonly mtimeMs: number;
}

export interface DiskLock {
  /** Idempotent. The file stays: unlinking it would let two processes lock two files of one name. */
  release(): void;
  /**
   * Whether the lock file's name still leads to the file that is locked. False: somebody has removed or replaced it, and
   * another process may hold a lock by that name.
   *
   * @throws as [Disk.stat]
   */
  isNamed(): boolean;
}

export interface LockHolder {
  /** As the lock file has it; `undefined` where it cannot be read. It counts in `place`. */
  readonly pid: number | undefined;
  /** `here`: another process of this machine, or of this container; `elsewhere`: of another machine or container. */
  readonly place: 'this process' | 'here' | 'elsewhere' | 'unknown';
  /** Name of the machine or container; `undefined` where the lock file does not have it. */
  readonly host: string | undefined;
}

/** What the system's errors carry. */
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

/** What bears the name is a directory, a FIFO, a socket or a device: nothing of it was read, nothing is waited for. */
export class IrregularFile extends DiskError {
  constructor(path: string, kind: string) {
    super(kind === 'directory' ? 'EISDIR' : 'EINVAL', 'open', path, `not a regular file but a ${kind}`);
  }
}

/**
 * Writes all of `bytes[from, to)` at `position`. The one place that carries on after short writes, `EINTR`, `EAGAIN`
 * and writes that return 0; of these four the last three only for as long as [Patience] has.
 *
 * @throws what the write threw; then any part of the bytes may be in the file
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
      throw refusal ?? new DiskError('EIO', 'write', file.path, 'the system keeps writing 0 bytes');
    }
  }
}

/**
 * Fills `target` from `position` on, carrying on as [writeFully] does. Returns the bytes read: fewer than fit only
 * where the file ends.
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
 * Fills all of `target` from `position` on, of a file that is known to be long enough.
 *
 * @throws EIO when it has become shorter; what the read threw
 */
export function readExactly(file: DiskFile, target: Uint8Array, position: number): void {
  if (readFully(file, target, position) === target.length) return;
  throw new DiskError('EIO', 'read', file.path, 'the file has become shorter');
}

/**
 * How long a call that makes no progress is repeated: at once, then after 1, 2, 4, 8, 16, 16, … ms, 32 times in all,
 * 0.4 s. Long enough for a signal storm or a device that is busy; short enough that nobody takes the log for hung,
 * and asleep meanwhile, so that no core burns.
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

  /** There was none. False: give up. */
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

/** How many calls this thread had to repeat, interrupted or without progress, since the last time it asked. */
export function takeRetries(): number {
  const { retries } = Patience;
  Patience.retries = 0;
  return retries;
}

/** The system's code of an error ('ENOENT'), '' where it has none. */
export function systemCode(error: unknown): string {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' ? code : '';
}

/** No room: of the file system or of the user's quota. From a write the log goes on once there is some. */
export function isFullDisk(error: unknown): boolean {
  const code = systemCode(error);
  return code === 'ENOSPC' || code === 'EDQUOT';
}

/** The same call may succeed at once or a little later, and nothing is lost. */
export function isTransient(error: unknown): boolean {
  const code = systemCode(error);
  return code === 'EINTR' || code === 'EAGAIN' || code === 'EWOULDBLOCK';
}

/** The name leads to nothing. */
export function isMissing(error: unknown): boolean {
  return systemCode(error) === 'ENOENT';
}

/** The user, or the way the file system is mounted, does not allow it. */
export function isDenied(error: unknown): boolean {
  const code = systemCode(error);
  return code === 'EACCES' || code === 'EPERM' || code === 'EROFS';
}

/** Out of file descriptors: of the process or of the system. */
export function isOutOfDescriptors(error: unknown): boolean {
  const code = systemCode(error);
  return code === 'EMFILE' || code === 'ENFILE';
}

/** The system has not begun what it was asked for: everything is as it was. */
export function isRefusal(error: unknown): boolean {
  return isFullDisk(error) || isOutOfDescriptors(error) || isDenied(error);
}

export function isSameFile(one: FileIdentity, other: FileIdentity): boolean {
  return one.dev === other.dev && one.ino === other.ino;
}
