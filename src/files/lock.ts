import { Buffer } from 'node:buffer';
import { closeSync, constants, readSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import {
  DiskError,
  type DiskLock,
  type FileIdentity,
  isMissing,
  isSameFile,
  type LockHolder,
  systemCode,
} from './disk.js';
import { isNote, NOTE_BYTES, readNote, writeNote } from './lock-note.js';
import { nativeLocks } from './native-locks.js';
import { pause } from './pause.js';
import { openDirectory, openRegularFile } from './regular-file.js';

/**
 * The lock that keeps a second writer out: an open-file-description lock (Linux), `flock` (macOS) or `LockFileEx` (Windows). The
 * system drops it when its descriptor is closed, and closes the descriptor when the process dies or the worker thread that opened
 * it is terminated. So no stale lock is left, and no heartbeat is needed. Unlike the classic POSIX lock it also excludes other
 * descriptors of the same process, and closing one of those does not drop it.
 *
 * One byte is locked, far after the content, for the reason that SQLite's lock bytes lie at 1 GiB: on Windows a lock also stops
 * other processes from reading the bytes that it covers, and they must be able to read the note at the start of the file
 * (`lock-note.ts`).
 */
const LOCK_AT = 2 ** 30;

/** `flock` locks whole files only. */
const HAS_RANGES = process.platform !== 'darwin';

/**
 * A probe holds a shared lock for some microseconds (longer if its thread is preempted at that moment). Taking the lock waits for
 * a probe, but not for a writer.
 */
const PROBE_WAITS_MAX = 1000;
const PROBE_WAIT_MS = 1;

/** As [Disk.lock]. */
export function tryLock(path: string, mode = 0o666): DiskLock | undefined {
  // Not through a symbolic link, since a note is written into the file.
  const flags = constants.O_RDWR | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0);
  const { identity, ...opened } = openRegularFile(path, flags, mode);
  let { fd } = opened;
  let isHeld = false;
  try {
    isHeld = lockForWriting(fd, path);
  } finally {
    if (!isHeld) closeSync(fd);
  }
  if (!isHeld) return undefined;
  leaveNote(fd);
  return {
    release() {
      if (fd < 0) return;
      const held = fd;
      fd = -1;
      closeSync(held);
    },
    isNamed: () => leadsTo(path, identity),
  };
}

/** As [Disk.lockHolder]. */
export function lockHolder(path: string): LockHolder | undefined {
  let fd: number;
  try {
    ({ fd } = openRegularFile(path, constants.O_RDONLY));
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  try {
    // Shared, since an exclusive lock needs a writable descriptor. Closing the descriptor releases it.
    return acquire(fd, path, 'shared') ? undefined : readNote(noteIn(fd));
  } finally {
    closeSync(fd);
  }
}

/**
 * Shows other threads of this process that the calling thread lives ([LockWatch]), whatever they are blocked in and however it
 * dies: it locks one more byte of the lock file `path` and holds it until the thread is gone.
 *
 * @param number the byte's distance from the lock's own, from 1. The thread of a log that was just closed may still hold its
 *   byte: use a new number each time
 * @throws the system's error
 */
export function holdLifeline(path: string, number: number): void {
  // Without ranges the directory is locked, which nothing else locks: `flock` needs no writable descriptor.
  const fd = HAS_RANGES ? openRegularFile(path, constants.O_RDWR).fd : openDirectory(dirname(path));
  let isHeld = false;
  try {
    for (let waits = 0; waits < PROBE_WAITS_MAX && !isHeld; waits += 1) {
      if (waits > 0) pause(PROBE_WAIT_MS);
      isHeld = acquire(fd, path, 'exclusive', LOCK_AT + number);
    }
  } finally {
    if (!isHeld) closeSync(fd);
  }
  if (isHeld) return;
  throw new DiskError('EAGAIN', 'lock', path, 'another thread holds the lifeline');
}

/**
 * Checks that two threads of this process live: the one with the lock and the one with the lifeline. It keeps the lock file open,
 * so that a check needs neither the file's name, which may be removed, nor a free descriptor.
 */
export class LockWatch {
  readonly #path: string;
  readonly #number: number;
  /** The note when both lived. */
  readonly #note: string | undefined;
  #lockFd: number;
  #lifelineFd: number;

  /** @throws the system's error */
  constructor(path: string, lifelineNumber: number) {
    this.#path = path;
    this.#number = lifelineNumber;
    this.#lockFd = openRegularFile(path, constants.O_RDONLY).fd;
    this.#lifelineFd = HAS_RANGES ? this.#lockFd : openDirectory(dirname(path));
    this.#note = noteIn(this.#lockFd);
  }

  /** Do both threads live? Not to be called once closed. */
  bothLive(): boolean {
    if (!this.#isHeld(this.#lockFd, LOCK_AT) || !this.#isHeld(this.#lifelineFd, LOCK_AT + this.#number))
      return false;
    // Another process may have taken the lock that a dead thread left, and have written its own note.
    const note = noteIn(this.#lockFd);
    return note === undefined || this.#note === undefined || note === this.#note;
  }

  /** Idempotent. */
  close(): void {
    const open = new Set([this.#lockFd, this.#lifelineFd]);
    this.#lockFd = -1;
    this.#lifelineFd = -1;
    for (const fd of open) if (fd >= 0) closeSync(fd);
  }

  #isHeld(fd: number, at: number): boolean {
    if (!acquire(fd, this.#path, 'shared', at)) return true;
    nativeLocks(this.#path).unlock(fd, ...range(at));
    return false;
  }
}

function leadsTo(path: string, identity: FileIdentity): boolean {
  try {
    return isSameFile(statSync(path, { bigint: true }), identity);
  } catch (error) {
    if (isMissing(error) || systemCode(error) === 'ENOTDIR') return false;
    throw error;
  }
}

function lockForWriting(fd: number, path: string): boolean {
  for (let waits = 0; waits < PROBE_WAITS_MAX; waits += 1) {
    if (acquire(fd, path, 'exclusive')) return true;
    // If a shared lock is granted, there is no writer. For a moment this looks like a probe itself.
    if (!acquire(fd, path, 'shared')) return false;
    nativeLocks(path).unlock(fd, ...range(LOCK_AT));
    pause(PROBE_WAIT_MS);
  }
  return false;
}

/** Offset and length of a lock at byte `at`. */
function range(at: number): [number, number] {
  return HAS_RANGES ? [at, 1] : [0, 0];
}

function acquire(fd: number, path: string, kind: 'shared' | 'exclusive', at = LOCK_AT): boolean {
  try {
    return nativeLocks(path).tryLock(fd, ...range(at), { shared: kind === 'shared' });
  } catch (error) {
    // Windows reports a held lock by this error; elsewhere `tryLock` returns false.
    if (systemCode(error) === 'EBUSY') return false;
    throw error;
  }
}

/** Best effort: on a full disk the lock is valid and the note is missing. */
function leaveNote(fd: number): void {
  try {
    writeSync(fd, writeNote(), 0, 'latin1');
  } catch {
    // The note is for people only.
  }
}

/** `undefined` if there is no note, or something else. */
function noteIn(fd: number): string | undefined {
  try {
    const bytes = Buffer.alloc(NOTE_BYTES);
    const text = bytes.toString('latin1', 0, readSync(fd, bytes, 0, NOTE_BYTES, 0));
    return isNote(text) ? text : undefined;
  } catch {
    return undefined;
  }
}
