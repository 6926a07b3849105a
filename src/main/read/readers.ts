import type { AsyncFile } from '../../files/async-file.js';
import type { SegmentInfo } from '../../protocol/reports.js';
import { WalError } from '../errors/wal-error.js';

/** What a reader holds of its log. */
export interface ReaderHost {
  /** Opens a segment's file, and makes sure that it is this log's. */
  open(segment: SegmentInfo, lsn: number): Promise<AsyncFile>;
  /**
   * `reader` is about to open `segment`, and none below it any more; `undefined`: it is done. True = retention of this process
   * keeps it, and all behind it, from now on; false = it was faster, and `firstLsn` says so.
   */
  pin(reader: object, segment: SegmentInfo | undefined): boolean;
  /** Throws once the log is closed. */
  assertOpen(): void;
}

/**
 * Iterators of `entries`, `batches` and `follow` that have a segment open. Retention leaves that segment, and all behind it, until the
 * iterator goes on, ends, or is dropped and collected as garbage.
 */
export interface ReadersStats {
  /** How many. One that waits for its first call, or for the next durable entry, has none open. */
  readonly open: number;
  /** LSN of the first entry of the oldest segment that one of them has open; 0 = none. */
  readonly pinnedLsn: number;
  /** Milliseconds since the one that has stayed longest in its segment came there; 0 = none. */
  readonly pinnedMs: number;
}

/**
 * Lets go of what a reader held whose iterator nobody can call any more. Of the module and not of a log, since a log that was
 * dropped, too, would take the registry along.
 *
 * A reader must lead nobody to its iterator. What stands for the iterator is an object that only the iterator's own code
 * holds, until it ends.
 */
const abandoned = new FinalizationRegistry<{ end(): Promise<void> }>((held) => {
  // Nobody is left who could be told.
  held.end().catch(() => {});
});

/** Has `held.end` called once `iterator` is unreachable, unless [unwatch] comes first. */
export function watchAbandoned(iterator: object, held: { end(): Promise<void> }): void {
  abandoned.register(iterator, held, iterator);
}

/** To be called where the iterator ends: this call is also what keeps `iterator` reachable until then. */
export function unwatchAbandoned(iterator: object): void {
  abandoned.unregister(iterator);
}

/** All readers of one log. */
export class Readers {
  readonly #host: ReaderHost;
  readonly #open = new Set<Reader>();
  readonly #nowMs: () => number;

  constructor(host: ReaderHost, nowMs: () => number = () => performance.now()) {
    this.#host = host;
    this.#nowMs = nowMs;
  }

  /** A new one, which holds nothing yet. Whoever has it calls `end`. */
  start(): Reader {
    return new Reader(this.#host, this.#open, this.#nowMs);
  }

  read(): ReadersStats {
    let pinnedLsn = 0;
    let pinnedNumber = Number.POSITIVE_INFINITY;
    let sinceMs = Number.POSITIVE_INFINITY;
    for (const { segment, sinceMs: readerSinceMs } of this.#open) {
      if (segment === undefined) continue;
      if (segment.number < pinnedNumber) {
        pinnedNumber = segment.number;
        pinnedLsn = segment.firstLsn;
      }
      sinceMs = Math.min(sinceMs, readerSinceMs);
    }
    const isPinned = pinnedNumber !== Number.POSITIVE_INFINITY;
    return { open: this.#open.size, pinnedLsn, pinnedMs: isPinned ? this.#nowMs() - sinceMs : 0 };
  }

  /** The log is closed: nothing stays open. Resolves once that is so. */
  async endAll(): Promise<void> {
    await Promise.all([...this.#open].map((reader) => reader.end().catch(() => {})));
  }
}

/** One reader: the segment that it keeps from retention, and the files that it has open. */
export class Reader {
  readonly #host: ReaderHost;
  /** Of the log: those that hold something. */
  readonly #open: Set<Reader>;
  readonly #nowMs: () => number;
  readonly #files = new Set<Promise<AsyncFile>>();
  #segment: SegmentInfo | undefined;
  #sinceMs = 0;
  #isEnded = false;

  constructor(host: ReaderHost, open: Set<Reader>, nowMs: () => number) {
    this.#host = host;
    this.#open = open;
    this.#nowMs = nowMs;
  }

  /** The segment that it is in. */
  get segment(): SegmentInfo | undefined {
    return this.#segment;
  }

  /** When it came there. */
  get sinceMs(): number {
    return this.#sinceMs;
  }

  /** From now on it is in `segment`, and in none below it. False: retention was faster. */
  pin(segment: SegmentInfo): boolean {
    this.#host.assertOpen();
    this.#segment = segment;
    this.#sinceMs = this.#nowMs();
    this.#open.add(this);
    return this.#host.pin(this, segment);
  }

  /** Opens a segment for the sake of entry `lsn`. @throws as `openSegmentFile`; ERR_WAL_CLOSED */
  async open(segment: SegmentInfo, lsn: number): Promise<AsyncFile> {
    this.#host.assertOpen();
    const opening = this.#host.open(segment, lsn);
    this.#files.add(opening);
    try {
      return await opening;
    } catch (error) {
      this.#files.delete(opening);
      throw error;
    } finally {
      // Closed meanwhile: `end` has waited for it.
      if (this.#isEnded) this.#host.assertOpen();
    }
  }

  /** Closes what is open, and keeps the segment. @throws ERR_WAL_IO */
  async closeFiles(): Promise<void> {
    const files = [...this.#files];
    this.#files.clear();
    const results = await Promise.allSettled(files.map(close));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  /** It holds nothing any more. Idempotent. Resolves once nothing is open. @throws ERR_WAL_IO */
  async end(): Promise<void> {
    this.#isEnded = true;
    if (this.#open.delete(this)) this.#host.pin(this, undefined);
    this.#segment = undefined;
    await this.closeFiles();
  }
}

async function close(opening: Promise<AsyncFile>): Promise<void> {
  // One that could not be opened has been told of.
  const file = await opening.catch(() => undefined);
  try {
    await file?.close();
  } catch (error) {
    const path = file?.path;
    const { message } = error as Error;
    throw new WalError('ERR_WAL_IO', `Cannot close "${path}": ${message}`, { path, cause: error });
  }
}
