import {
  type BigIntStats,
  closeSync,
  constants,
  copyFileSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readSync,
  renameSync,
  rmdirSync,
  statfsSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import {
  type Allocation,
  type Disk,
  DiskError,
  type DiskFile,
  type DiskLock,
  type FileIdentity,
  type FileStat,
  isSameFile,
  type LockHolder,
  type OpenFlags,
  systemCode,
} from './disk.js';
import { lockHolder, tryLock } from './lock.js';
import { openDirectory, openRegularFile } from './regular-file.js';

/** The file system of this machine, by Node's synchronous calls. */
export interface MachineDisk extends Disk {
  /**
   * Holds `directory` open until the thread ends. From now on
   *   - a sync of it needs no new descriptor: there may be none left when it is due, and a log that can still write must not end for
   *     that
   *   - its files are opened, renamed and removed in this directory, even if its path leads to another one by then. A look at the
   *     path before the call could not exclude that. Only on Linux, with /proc
   *
   * @throws as [Disk.open]
   */
  holdDirectory(directory: string): void;
}

export function createNodeDisk(): MachineDisk {
  return new NodeDisk();
}

/**
 * Adopts a descriptor that another thread of this process opened, so that a second thread can sync the file while the first one
 * writes. Closing it here does nothing: it belongs to its opener. If that thread dies, the system closes its descriptors and may
 * reuse their numbers for other files, and a sync here might succeed for one of those. So compare [DiskFile.identity] with the
 * opener's AFTER the sync and before acknowledging anything.
 */
export function adoptDescriptor(fd: number, path: string): DiskFile {
  return new NodeFile(fd, path, undefined);
}

/**
 * As the flag strings of `fs`, but a file opened for writing is never a symbolic link: otherwise a user who may write only to the
 * log's directory could make the log's process overwrite a file elsewhere. Windows has no such flag.
 */
const NO_LINK = constants.O_NOFOLLOW ?? 0;
const CREATED = constants.O_CREAT | NO_LINK;
const OPEN_FLAGS: Readonly<Record<OpenFlags, number>> = {
  r: constants.O_RDONLY,
  'r+': constants.O_RDWR | NO_LINK,
  w: constants.O_WRONLY | constants.O_TRUNC | CREATED,
  'w+': constants.O_RDWR | constants.O_TRUNC | CREATED,
  wx: constants.O_WRONLY | constants.O_EXCL | CREATED,
  'wx+': constants.O_RDWR | constants.O_EXCL | CREATED,
};

/** Error codes of systems that cannot share blocks at all, for these two files, or on this file system. */
const CANNOT_CLONE: readonly string[] = [
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
  'EXDEV',
  'ENOTTY',
  'EINVAL',
  'EBADF',
];

/** Node refuses a length above 2^31 - 1. A call may be short anyway. */
const CALL_BYTES_MAX = 2 ** 30;

/**
 * File systems whose `st_blocks` is never less than the blocks with content, in blocks of `f_bsize`: ext2 to ext4, XFS, Btrfs
 * (which counts compressed data by its uncompressed size) and tmpfs, as `statfs` on Linux reports them. Not ZFS and F2FS, which
 * count the compressed size.
 */
const HONEST_FILE_SYSTEMS: readonly number[] = [0xef53, 0x58465342, 0x9123683e, 0x01021994];

interface HeldDirectory extends FileIdentity {
  readonly directory: string;
  readonly fd: number;
  /** Leads to the directory itself, wherever it is; `undefined` = the system has no such path. */
  readonly path: string | undefined;
}

class NodeDisk implements MachineDisk {
  #held: HeldDirectory | undefined;

  open(path: string, flags: OpenFlags, mode = 0o666): DiskFile {
    return this.#named([path], (name) => {
      const { fd, identity } = openRegularFile(name, OPEN_FLAGS[flags], mode);
      return new NodeFile(fd, path, identity);
    });
  }

  list(directory: string): string[] {
    return readdirSync(directory);
  }

  stat(path: string): FileStat | undefined {
    const stat = this.#named([path], statUnlessMissing);
    if (stat === undefined) return undefined;
    return {
      kind: stat.isFile() ? 'file' : stat.isDirectory() ? 'directory' : 'other',
      size: Number(stat.size),
      mtimeMs: Number(stat.mtimeMs),
      links: Number(stat.nlink),
      dev: stat.dev,
      ino: stat.ino,
    };
  }

  mkdir(directory: string, mode = 0o777): void {
    mkdirSync(directory, mode);
  }

  rmdir(directory: string): void {
    rmdirSync(directory);
  }

  rename(from: string, to: string): void {
    this.#named([from, to], renameSync);
  }

  link(from: string, to: string): void {
    this.#named([from, to], linkSync);
  }

  clone(from: string, to: string): boolean {
    try {
      copyFileSync(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE);
      return true;
    } catch (error) {
      if (CANNOT_CLONE.includes(systemCode(error))) return false;
      throw error;
    }
  }

  unlink(path: string): void {
    this.#named([path], unlinkSync);
  }

  /**
   * Windows: nothing. A directory cannot be opened for FlushFileBuffers there (EPERM, EISDIR or EACCES, depending on the
   * version), and NTFS logs its names in order, so that LevelDB and SQLite do without as well. Everywhere else any error goes to
   * the caller: a file system that cannot sync a directory (EINVAL on some network ones) cannot hold a durable log.
   */
  syncDirectory(directory: string): void {
    if (process.platform === 'win32') {
      statSync(directory);
      return;
    }
    const held = this.#held;
    if (held !== undefined && this.#leadsTo(directory, held)) {
      fsyncSync(held.fd);
      return;
    }
    const fd = openDirectory(directory);
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  }

  holdDirectory(directory: string): void {
    if (process.platform === 'win32') return;
    const fd = openDirectory(directory);
    const { dev, ino } = fstatSync(fd, { bigint: true });
    const path = `/proc/self/fd/${fd}`;
    const found = process.platform === 'linux' ? statUnlessMissing(path) : undefined;
    const isThere = found !== undefined && isSameFile(found, { dev, ino });
    this.#held = { directory, fd, dev, ino, path: isThere ? path : undefined };
  }

  /** Runs `act` with names that lead into the held directory for those of its files. Errors name the paths that were given. */
  #named<Names extends readonly string[], T>(paths: readonly [...Names], act: (...names: Names) => T): T {
    const { directory, path: heldPath } = this.#held ?? {};
    if (directory === undefined || heldPath === undefined) return act(...paths);
    const isIn = (path: string) => dirname(path) === directory;
    if (!paths.some(isIn)) return act(...paths);
    try {
      return act(
        ...(paths.map((path) => (isIn(path) ? join(heldPath, basename(path)) : path)) as [...Names]),
      );
    } catch (error) {
      throw renamed(error, `${heldPath}/`, join(directory, '/'));
    }
  }

  /** Another directory may have been put in its place. */
  #leadsTo(directory: string, held: HeldDirectory): boolean {
    if (directory !== held.directory) return false;
    const found = this.stat(directory);
    return found !== undefined && isSameFile(found, held);
  }

  lock(path: string, mode?: number): DiskLock | undefined {
    return tryLock(path, mode);
  }

  lockHolder(path: string): LockHolder | undefined {
    return lockHolder(path);
  }

  now(): number {
    return Date.now();
  }

  /**
   * Loaded here instead of imported: a log needs this once in its life, and the module takes memory in every thread that loads it
   * (bench/workloads/memory.ts).
   */
  random64(): bigint {
    const require = createRequire(import.meta.url ?? __filename);
    const { randomBytes } = require('node:crypto') as typeof import('node:crypto');
    return randomBytes(8).readBigUInt64LE();
  }
}

class NodeFile implements DiskFile {
  readonly path: string;
  /** Set for a file that was opened here: its identity lasts as long as it is open. For an adopted descriptor the system is asked. */
  readonly #identity: FileIdentity | undefined;
  #fd: number;

  constructor(fd: number, path: string, identity: FileIdentity | undefined) {
    this.#fd = fd;
    this.path = path;
    this.#identity = identity;
  }

  get fd(): number {
    return this.#fd;
  }

  write(bytes: Uint8Array, from: number, to: number, position: number): number {
    return writeSync(this.#live('write'), bytes, from, Math.min(to - from, CALL_BYTES_MAX), position);
  }

  read(target: Uint8Array, position: number): number {
    return readSync(this.#live('read'), target, 0, Math.min(target.length, CALL_BYTES_MAX), position);
  }

  size(): number {
    return fstatSync(this.#live('fstat')).size;
  }

  allocation(): Allocation | undefined {
    const { blocks } = fstatSync(this.#live('fstat'));
    // Asked a moment later: by then the name leads to a file on the same file system, or the file is gone.
    const { type, bsize } = statfsSync(dirname(this.path));
    return HONEST_FILE_SYSTEMS.includes(type) ? { bytes: blocks * 512, blockBytes: bsize } : undefined;
  }

  truncate(size: number): void {
    ftruncateSync(this.#live('ftruncate'), size);
  }

  /** On macOS Node asks for F_FULLFSYNC, here and in [sync]: a plain fsync leaves the drive's cache there. */
  datasync(): void {
    fdatasyncSync(this.#live('fdatasync'));
  }

  sync(): void {
    fsyncSync(this.#live('fsync'));
  }

  close(): void {
    const fd = this.#fd;
    // Set first: a close that throws has closed the file all the same, and the number may belong to another file already.
    this.#fd = -1;
    if (this.#identity !== undefined && fd >= 0) closeSync(fd);
  }

  identity(): FileIdentity {
    const fd = this.#live('fstat');
    if (this.#identity !== undefined) return this.#identity;
    const { dev, ino } = fstatSync(fd, { bigint: true });
    return { dev, ino };
  }

  #live(syscall: string): number {
    if (this.#fd < 0) throw new DiskError('EBADF', syscall, this.path, 'the file is closed');
    return this.#fd;
  }
}

/** The same error, with the paths below `from` as paths below `to`. */
function renamed(error: unknown, from: string, to: string): unknown {
  if (!(error instanceof Error)) return error;
  const named = error as Error & { path?: string; dest?: string };
  named.message = named.message.replaceAll(from, to);
  if (named.path !== undefined) named.path = named.path.replace(from, to);
  if (named.dest !== undefined) named.dest = named.dest.replace(from, to);
  return named;
}

/** Node versions differ in whether a path whose parent is no directory counts as missing: here it does. */
function statUnlessMissing(path: string): BigIntStats | undefined {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false });
  } catch (error) {
    if (systemCode(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}
