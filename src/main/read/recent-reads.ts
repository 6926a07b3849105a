import type { AsyncFile } from '../../files/async-file.js';
import { nowMs as clock } from '../../files/node-globals.js';

/**
 * How much of a log's end counts as recent. Bet: what this process wrote last is in the system's page cache, where four
 * segments of the default size have room.
 */
const RECENT_BYTES = 256 * 1024 * 1024;

/** A read that took longer did not find everything in memory. */
const QUICK_MS = 1;
/**
 * Reads that go through the thread pool after one that was not quick: twice as many after each further one, and one less after
 * each that was. Bet: it may have been the processor that was busy (the engine's own compiling takes it from this thread
 * for milliseconds) and not the disk, and of the few next reads through the pool nobody takes notice.
 */
const POOL_READS_MIN = 8;
const POOL_READS_MAX = 1024;

/**
 * Reads of what this process wrote itself, a short while ago. Its bytes are still in memory, so that they are copied from there
 * at once: the way through the thread pool takes far longer, since it wakes two threads (bench/workloads/replay.ts, at
 * random). Nothing older is ever read like that: the event loop would wait for the disk. Where the system keeps less in memory
 * than is thought here, the first read notices, and the next ones go through the pool.
 */
export class RecentReads {
  readonly #lastLsnAtOpen: number;
  /** Milliseconds of a clock that never goes back. */
  readonly #nowMs: () => number;
  /** Reads still to go through the pool. */
  #poolReads = 0;
  /** How many the next one that is not quick sends there. */
  #penalty = POOL_READS_MIN;

  /** Entries up to `lastLsnAtOpen` were there before this process came. */
  constructor(lastLsnAtOpen: number, nowMs: () => number = clock) {
    this.#lastLsnAtOpen = lastLsnAtOpen;
    this.#nowMs = nowMs;
  }

  /**
   * Whether `lsn` is to be read from memory. `bytesToEnd`: from the start of its segment to the end of the log; `undefined` = the
   * segment is gone.
   */
  include(lsn: number, bytesToEnd: number | undefined): boolean {
    return lsn > this.#lastLsnAtOpen && bytesToEnd !== undefined && bytesToEnd <= RECENT_BYTES;
  }

  /** `file`, read from memory as long as that is quick. */
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
