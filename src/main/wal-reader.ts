import type { RecoveryReport, SegmentInfo } from '../worker/messages.js';
import type { WalIterator } from './entry-iterator.js';
import { follow } from './follow.js';
import type { LogView } from './log-view.js';
import { checkLsn, type EntriesOptions, type FollowOptions, type ReadOptions } from './options.js';
import { readBatches, readEntries, readEntry } from './read-log.js';
import type { WalEntry } from './segment-reader.js';

/** The reading side of a log. `Wal.open(directory, { readOnly: true })` makes one; `Wal` extends it. */
export class WalReader {
  readonly #view: LogView;
  readonly #recovery: RecoveryReport;

  /** Use `Wal.open`. */
  protected constructor(view: LogView, recovery: RecoveryReport) {
    this.#view = view;
    this.#recovery = recovery;
  }

  /** @internal */
  static over(view: LogView, recovery: RecoveryReport): WalReader {
    return new WalReader(view, recovery);
  }

  /** The log's directory, absolute. */
  get directory(): string {
    return this.#view.directory;
  }

  /** LSN of the oldest entry kept; 0 for an empty log. */
  get firstLsn(): number {
    return this.#view.firstLsn;
  }

  /** LSN of the newest entry handed to the system; 0 for an empty log. */
  get lastLsn(): number {
    return this.#view.lastLsn;
  }

  /** The watermark: the highest LSN known to survive a power cut; 0 for none. */
  get durableLsn(): number {
    return this.#view.durableLsn;
  }

  /** What `open` found and did. */
  get recovery(): RecoveryReport {
    return this.#recovery;
  }

  /** The segments, lowest number first. */
  segments(): SegmentInfo[] {
    return [...this.#view.segments()];
  }

  /**
   * The entries from `from` to `to`, both inclusive, in order, up to what is written at the call; with `reverse` the newest
   * first, of which the newest few cost no more than the segment that they are in. Their `data` are views of buffers that
   * are never used again: copy them to keep a few of many.
   *
   * Breaking out of the loop closes the file. Errors: `ERR_WAL_PURGED` where `from` is below `firstLsn`, or retention
   * removed what comes next; `ERR_WAL_TRUNCATED` where what was still to come was cut off meanwhile, also by another process;
   * `ERR_WAL_CORRUPT`; `ERR_WAL_IO`; `ERR_WAL_CLOSED` when the log is closed meanwhile.
   */
  entries(options: EntriesOptions = {}): WalIterator<WalEntry> {
    return readEntries(this.#view, options);
  }

  /** As [entries], many at a time: the fast way to replay. A batch here is what one read brought, not an atomic batch. */
  batches(options: ReadOptions = {}): WalIterator<WalEntry[]> {
    return readBatches(this.#view, options);
  }

  /**
   * The durable entries from `from` on (default: `firstLsn`) as they come, in order and without a gap, until the log is
   * closed. Nothing is polled for: the thread that syncs wakes who waits. A slow consumer holds back nobody but retention,
   * and that only for the segment it is reading.
   *
   * Errors: `ERR_WAL_PURGED` if retention was faster; `ERR_WAL_TRUNCATED` if an entry that was handed out is cut off; the
   * failure that ended the log.
   */
  follow(options: FollowOptions = {}): WalIterator<WalEntry> {
    return follow(this.#view, options);
  }

  /** The entry with this LSN; `undefined` above `lastLsn` or where it was skipped; `ERR_WAL_PURGED` below `firstLsn`. */
  async get(lsn: number): Promise<WalEntry | undefined> {
    return readEntry(this.#view, checkLsn('lsn', lsn));
  }

  /** Ends reading: iterators under way fail with `ERR_WAL_CLOSED`. Idempotent. */
  async close(): Promise<void> {
    await this.#view.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
