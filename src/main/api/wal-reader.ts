import type { RecoveryReport, SegmentInfo } from '../../protocol/reports.js';
import { checkLsn } from '../options/checks.js';
import { type FollowOptions, takeFollowOptions } from '../options/follow-options.js';
import { type EntriesOptions, type ReadOptions, takeReadOptions } from '../options/read-options.js';
import type { WalIterator } from '../read/entry-iterator.js';
import { follow } from '../read/follow.js';
import type { LogView } from '../read/log-view.js';
import { readBatches, readEntries, readEntry } from '../read/read-log.js';
import type { WalEntry } from '../read/segment-reader.js';
import { PRINTED, type PrintArguments, printed } from './printed.js';

/**
 * The reading side of a log. `Wal.open(directory, { readOnly: true })` makes one, a live view of a log that may have its writer in
 * another process: no lock, nothing is changed. {@link Wal} extends it.
 */
export class WalReader {
  // As of Wal.
  static {
    Object.defineProperty(WalReader, 'name', { value: 'WalReader' });
  }

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

  /** LSN of the oldest entry kept; 0 for an empty log. It grows as retention removes segments. */
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

  /** What `open` found and did: the verdict, what was cut, what was repaired. */
  get recovery(): RecoveryReport {
    return this.#recovery;
  }

  /** The segments as they are at the call, lowest number first. */
  segments(): SegmentInfo[] {
    return [...this.#view.segments()];
  }

  /**
   * The entries from `from` to `to`, both inclusive, in order, up to what is written at the call; with `reverse` the newest
   * first, of which the newest few cost no more than the segment that they are in. Their `data` are views of buffers that
   * are never used again: copy them to keep a few of many.
   *
   * Breaking out of the loop closes the file.
   *
   * @throws ERR_WAL_PURGED: `from` is below `firstLsn`, or retention removed what comes next
   * @throws ERR_WAL_TRUNCATED: what was still to come was cut off meanwhile, also by another process
   * @throws ERR_WAL_CORRUPT: an entry cannot be read
   * @throws ERR_WAL_UNSUPPORTED: a later version wrote it
   * @throws ERR_WAL_IO: a file cannot be read, or the directory leads to another log now
   * @throws ERR_WAL_CLOSED: the log is closed, or is closed meanwhile
   */
  entries(options: EntriesOptions = {}): WalIterator<WalEntry> {
    return readEntries(this.#view, takeReadOptions(options));
  }

  /**
   * As {@link WalReader.entries}, many at a time and forward only: the fast way to replay. A batch here is what one read brought, at
   * least one entry, and not an atomic batch.
   *
   * @throws as {@link WalReader.entries}
   */
  batches(options: ReadOptions = {}): WalIterator<WalEntry[]> {
    return readBatches(this.#view, takeReadOptions(options));
  }

  /**
   * The durable entries from `from` on (default: `firstLsn`) as they come, in order and without a gap, until the log is
   * closed: then it ends, also if entries are left that it has not handed out. Nothing is polled for: the thread that syncs wakes who waits. A slow consumer holds back nobody but retention,
   * and that only for the segment it is reading. Of a log that another process writes see {@link Wal.follow}.
   *
   * @throws ERR_WAL_PURGED: `from` is below `firstLsn`, or retention was faster
   * @throws ERR_WAL_TRUNCATED: an entry that was handed out is cut off
   * @throws ERR_WAL_CORRUPT, ERR_WAL_UNSUPPORTED, ERR_WAL_IO: as of {@link WalReader.entries}, or the failure that ended the log
   */
  follow(options: FollowOptions = {}): WalIterator<WalEntry> {
    return follow(this.#view, takeFollowOptions(options));
  }

  /**
   * The entry with this LSN; `undefined` above `lastLsn`, and where a repair has left the LSN without an entry.
   *
   * What this process appended last, up to 256 MiB from the end, is copied from the system's memory on the calling thread, once
   * the way to it is known; everything else is read by the thread pool.
   *
   * @param lsn from 1
   * @throws ERR_WAL_PURGED: below `firstLsn`
   * @throws ERR_WAL_OPTION: not an LSN
   * @throws ERR_WAL_CORRUPT, ERR_WAL_UNSUPPORTED, ERR_WAL_IO, ERR_WAL_CLOSED: as of {@link WalReader.entries}
   */
  async get(lsn: number): Promise<WalEntry | undefined> {
    return readEntry(this.#view, checkLsn('lsn', lsn));
  }

  /** @internal How `console.log` prints it. */
  [PRINTED](...args: PrintArguments): string {
    return printed('WalReader', () => this.fieldsToPrint(this.#view.isClosed ? 'closed' : 'open'), args);
  }

  /** @internal */
  protected fieldsToPrint(state: string): object {
    const { directory, firstLsn, lastLsn, durableLsn } = this;
    return { directory, state, firstLsn, lastLsn, durableLsn };
  }

  /** Ends reading: iterators under way fail with `ERR_WAL_CLOSED`, and the files that they have open are closed. Idempotent. */
  async close(): Promise<void> {
    await this.#view.close();
  }

  /** For `await using`: calls `close`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
