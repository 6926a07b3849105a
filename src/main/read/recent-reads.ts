import type { AsyncFile } from '../../files/async-file.js';
import { nowMs as clock } from '../../files/node-globals.js';

/**
 * Bytes at the end of a log that count as recent. Bet: the page cache holds what this process wrote last, and has
 * room for four segments of the default size.
 */
const RECENT_BYTES = 256 * 1024 * 1024;

/** A longer read did not find all its bytes in memory. */
const QUICK_MS = 1;
/**
 * Number of reads that use the thread pool after a slow read. Each further slow read doubles it; each quick read
 * lowers it by one. Bet: a busy processor may have caused the slow read (the engine's compiler takes it from this
 * thread for milliseconds) and not the disk, and a few reads through the pool make no difference.
 */
const POOL_READS_MIN = 8;
const POOL_READS_MAX = 1024;

/**
 * Reads of entries that this process wrote recently. Their bytes are still in the page cache and are copied from
 * there on the calling thread: a read through the thread pool takes far longer, since it wakes two threads
 * (bench/workloads/replay.ts, at random). Older entries are never read in this way, because the event loop would wait
 * for the disk. If the system caches less than assumed, the first read is slow, and the next ones use the pool.
 */
export class RecentReads {
  readonly #lastLsnAtOpen: number;
  /** Milliseconds of a clock that never goes back. */
  readonly #nowMs: () => number;
  /** Number of reads that must still use the pool. */
  #poolReads = 0;
  /** Number of reads that the next slow read sends to the pool. */
  #penalty = POOL_READS_MIN;

  /** Entries up to `lastLsnAtOpen` were written before this process opened the log. */
  constructor(lastLsnAtOpen: number, nowMs: () => number = clock) {
    this.#lastLsnAtOpen = lastLsnAtOpen;
    this.#nowMs = nowMs;
  }

  /**
   * Whether to read `lsn` from memory. `bytesToEnd`: bytes from the start of its segment to the end of the log;
   * `undefined` = the segment is gone.
   */
  include(lsn: number, bytesToEnd: number | undefined): boolean {
    return lsn > this.#lastLsnAtOpen && bytesToEnd !== undefined && bytesToEnd <= RECENT_BYTES;
  }

  /** Wraps `file` so that reads come from memory as long as that is quick. */
  of(file: AsyncFile): AsyncFile {
    return {
      path: file.path,
      identity: file.identity,
      sizeAtOpen: file.sizeAtOpen,
      read: async (target, position) => this.#read(file, target, position),
      readNow: (target, position) => file.readNow(target, position),
      size: () => file.size(),
      isStillNamed: () => file.isStillNamed(),
      close: () => file.close(),
    };
  }

  #read(file: AsyncFile, target: Uint8Array, position: number): number | Promise<number> {
    if (this.#poolReads > 0) {
      this.#poolReads -= 1;
      return file.read(target, position);
    }
    const startedMs = this.#nowMs();
    const bytes = file.readNow(target, position);
    if (this.#nowMs() - startedMs > QUICK_MS) {
      this.#poolReads = this.#penalty;
      this.#penalty = Math.min(POOL_READS_MAX, this.#penalty * 2);
    } else {
      this.#penalty = Math.max(POOL_READS_MIN, this.#penalty - 1);
    }
    return bytes;
  }
}
