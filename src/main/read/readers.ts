import type { AsyncFile } from '../../files/async-file.js';
import { nowMs as clock } from '../../files/node-globals.js';
import type { SegmentInfo } from '../../protocol/reports.js';
import { WalError } from '../errors/wal-error.js';

/** The part of a log that a reader uses. */
export interface ReaderHost {
  /** Opens the file of a segment and checks that it belongs to this log. */
  open(segment: SegmentInfo, lsn: number): Promise<AsyncFile>;
  /**
   * Announces that `reader` will open `segment` and none below it; `undefined`: the reader is done. True = from now
   * on the retention of this process keeps that segment and all after it. False = retention has removed the segment
   * already, and `firstLsn` shows it.
   */
  pin(reader: object, segment: SegmentInfo | undefined): boolean;
  /** Throws once the log is closed. */
  assertOpen(): void;
}

/**
 * Iterators of `entries`, `batches` and `follow` that have a segment open. Retention keeps that segment, and all
 * later ones, until the iterator moves on, ends, or is garbage-collected.
 */
export interface ReadersStats {
  /**
   * Number of such iterators. An iterator that waits for its first call, or for the next durable entry, has no
   * segment open.
   */
  readonly open: number;
  /** LSN of the first entry in the oldest segment that such an iterator has open; 0 = none. */
  readonly pinnedLsn: number;
  /** The longest time in milliseconds that such an iterator has been in its current segment; 0 = none. */
  readonly pinnedMs: number;
}

/**
 * Releases the resources of a reader whose iterator is unreachable. The registry belongs to the module, not to a log:
 * it would be collected together with a dropped log.
 *
 * A reader must not reference its iterator. The registered object is one that only the iterator's own code
 * references, until the iterator ends.
 */
const abandoned = new FinalizationRegistry<{ end(): Promise<void> }>((held) => {
  // No caller is left to get the error.
  held.end().catch(() => {});
});

/** Calls `held.end` once `iterator` is unreachable, unless [unwatchAbandoned] is called first. */
export function watchAbandoned(iterator: object, held: { end(): Promise<void> }): void {
  abandoned.register(iterator, held, iterator);
}

/** The iterator calls this when it ends. The call also keeps `iterator` reachable until then. */
export function unwatchAbandoned(iterator: object): void {
  abandoned.unregister(iterator);
}

/** All readers of one log. */
export class Readers {
  readonly #host: ReaderHost;
  readonly #open = new Set<Reader>();
  readonly #nowMs: () => number;

  constructor(host: ReaderHost, nowMs: () => number = clock) {
    this.#host = host;
    this.#nowMs = nowMs;
  }

  /** Makes a reader, which holds nothing yet. The caller must call `end`. */
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

  /** Ends all readers when the log is closed. Resolves once no file is open. */
  async endAll(): Promise<void> {
    await Promise.all([...this.#open].map((reader) => reader.end().catch(() => {})));
  }
}

/** One reader: the segment that it keeps from retention, and the files that it has open. */
export class Reader {
  readonly #host: ReaderHost;
  /** The readers of the log that hold a segment or a file. */
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

  /** The segment that the reader is in. */
  get segment(): SegmentInfo | undefined {
    return this.#segment;
  }

  /** The time when the reader entered that segment, in milliseconds. */
  get sinceMs(): number {
    return this.#sinceMs;
  }

  /** Moves the reader to `segment`; it will open none below it. False: retention has removed the segment. */
  pin(segment: SegmentInfo): boolean {
    this.#host.assertOpen();
    this.#segment = segment;
    this.#sinceMs = this.#nowMs();
    this.#open.add(this);
    return this.#host.pin(this, segment);
  }

  /** Opens the segment of entry `lsn`. @throws as `openSegmentFile`; ERR_WAL_CLOSED */
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
      // If the reader was closed during the opening, `end` has waited for the file.
      if (this.#isEnded) this.#host.assertOpen();
    }
  }

  /** Closes the files and keeps the segment. @throws ERR_WAL_IO */
  async closeFiles(): Promise<void> {
    const files = [...this.#files];
    this.#files.clear();
    const results = await Promise.allSettled(files.map(close));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  /** Releases the segment and closes the files. Idempotent. Resolves once no file is open. @throws ERR_WAL_IO */
  async end(): Promise<void> {
    this.#isEnded = true;
    if (this.#open.delete(this)) this.#host.pin(this, undefined);
    this.#segment = undefined;
    await this.closeFiles();
  }
}

async function close(opening: Promise<AsyncFile>): Promise<void> {
  // The caller of `open` has got the error of a file that could not be opened.
  const file = await opening.catch(() => undefined);
  try {
    await file?.close();
  } catch (error) {
    const path = file?.path;
    const { message } = error as Error;
    throw new WalError('ERR_WAL_IO', `Cannot close "${path}": ${message}`, { path, cause: error });
  }
}
