import type { RepairReport } from '../worker/messages.js';
import type { WalAttachment } from './attachment.js';
import type { Connection as OpenConnection } from './connection.js';
import { Connection } from './connection.js';
import { DirectoryView } from './directory-view.js';
import type { EntryData } from './entry-data.js';
import type { WalIterator } from './entry-iterator.js';
import { followDirectory } from './follow.js';
import { runJob } from './job-pool.js';
import { LogStream } from './log-stream.js';
import {
  type AppendOptions,
  checkBytes,
  checkLogStreamOptions,
  checkLsn,
  checkOptions,
  checkPath,
  checkRepairOptions,
  checkSignalOptions,
  checkTimeout,
  checkVerifyOptions,
  type DirectoryFollowOptions,
  type LogStreamOptions,
  type ReadSegmentOptions,
  type RepairOptions,
  type VerifyOptions,
  type WalOptions,
} from './options.js';
import { readSegment } from './read-segment.js';
import type { WalEntry } from './segment-reader.js';
import { readStats, type WalStats } from './stats.js';
import { type VerifyReport, verifyDirectory } from './verify.js';
import { WalLane } from './wal-lane.js';
import { WalReader } from './wal-reader.js';

/**
 * A write-ahead log. Appends are copied into shared memory; a thread of its own frames, checksums, writes, rotates and
 * syncs them.
 */
export class Wal extends WalReader {
  readonly #connection: OpenConnection;

  /** Use `Wal.open`. */
  private constructor(connection: OpenConnection) {
    super(connection.view, connection.recovery);
    this.#connection = connection;
  }

  /**
   * Opens the log in `directory`, creating both where they are missing: recovers what a crash left, locks the directory
   * against a second writer. With `readOnly: true` nothing is locked or changed.
   *
   * Errors: `ERR_WAL_LOCKED`; `ERR_WAL_CORRUPT` (acknowledged entries cannot be read); `ERR_WAL_UNSUPPORTED`;
   * `ERR_WAL_OPTION`; `ERR_WAL_IO` with the system's error as its cause.
   */
  static open(directory: string | URL, options: WalOptions & { readOnly: true }): Promise<WalReader>;
  static open(directory: string | URL, options?: WalOptions & { readOnly?: false | undefined }): Promise<Wal>;
  static open(directory: string | URL, options?: WalOptions): Promise<Wal | WalReader>;
  static async open(directory: string | URL, options: WalOptions = {}): Promise<Wal | WalReader> {
    const checked = checkOptions(directory, options);
    if (checked.readOnly) {
      const view = await DirectoryView.open(checked.writer.directory, checked);
      return WalReader.over(view, view.recovery);
    }
    return new Wal(await Connection.open(checked));
  }

  /**
   * The entries of one segment file, wal-go's in both of its formats included. The file's own first frame says which
   * segment of which log it is. Ends before a torn tail; `ERR_WAL_CORRUPT` where acknowledged entries cannot be read,
   * `ERR_WAL_UNSUPPORTED` where a later version wrote what this one cannot read, be it behind damage, `ERR_WAL_IO`.
   */
  static readSegment(path: string | URL, options: ReadSegmentOptions = {}): WalIterator<WalEntry> {
    return readSegment(path, options);
  }

  /**
   * Follows a log that another process writes, or this one: no lock, nothing is changed. What is durable is told by the
   * watermarks in the files, hence up to `syncInterval` later than to the writer itself. Ends only by `break`, by `signal` or
   * by an error; a writer that closes or restarts does not end it.
   *
   * Errors: as of `Wal.open` with `readOnly`, and of `follow`.
   */
  static follow(directory: string | URL, options: DirectoryFollowOptions = {}): WalIterator<WalEntry> {
    return followDirectory(checkPath('directory', directory), options);
  }

  /**
   * Reads a whole log and judges it; changes nothing. Several threads read where it is large; the report is the same.
   *
   * Errors: `ERR_WAL_IO` (a file cannot be read, or there is no such directory), `ERR_WAL_WORKER_DIED` (a thread did not
   * start). Damage is no error: the report says it.
   */
  static async verify(directory: string | URL, options: VerifyOptions = {}): Promise<VerifyReport> {
    return verifyDirectory(checkPath('directory', directory), checkVerifyOptions(options));
  }

  /**
   * Makes a corrupt log one that opens again, with what can be kept; says what that is. Every byte that it takes out of
   * the log is in a side file. A log that is well, or merely torn, is left as it is. Interrupted, it can be run again.
   *
   * Errors: `ERR_WAL_LOCKED` while somebody has it open, `ERR_WAL_UNSUPPORTED`, `ERR_WAL_IO`.
   */
  static async repair(directory: string | URL, options: RepairOptions = {}): Promise<RepairReport> {
    const { repair, job } = checkRepairOptions(options);
    return runJob('repair', { directory: checkPath('directory', directory), ...repair }, job);
  }

  /**
   * Appends an entry and resolves to its LSN: once it is fsynced (`durable: true`), or once it is handed to the system.
   * `data` is copied before the call returns. The promise must be handled.
   *
   * When the ring is full a copy is queued, up to `maxPending` bytes; beyond that it rejects with `ERR_WAL_FULL`.
   * Other errors: `ERR_WAL_TOO_LARGE`, `ERR_WAL_CLOSED`, `ERR_WAL_IO` (disk full: cause `ENOSPC`; the log works on),
   * `ERR_WAL_SYNC_FAILED` (the log ended; whether the entry is in it nobody knows), `ERR_WAL_WORKER_DIED`.
   */
  append(data: EntryData, options?: AppendOptions): Promise<number> {
    return this.#connection.lane.append(data, options);
  }

  /**
   * Fire and forget: true = taken, it will be written within milliseconds and synced within `syncInterval`. False = no
   * room now, nothing was taken: wait for [ready]. Throws if the log is closed or failed.
   */
  tryAppend(data: EntryData): boolean {
    return this.#connection.lane.tryAppend(data);
  }

  /**
   * As [tryAppend], encoded straight into the ring: `encode` writes at most `maxLength` bytes into `view` and returns how
   * many. The view may hold anything before, and is the callback's alone:
   *
   * - It is not to be touched once the callback has returned, by it or by anybody it was given to: the bytes are shared with
   *   the log's threads, and soon another entry's. An `async` callback is refused, after the fact.
   * - If the callback throws, nothing is taken and the error is passed on. The same if it returns anything but an integer
   *   from 0 to `maxLength`, with `ERR_WAL_OPTION`.
   * - Inside it this lane takes nothing else: `ERR_WAL_OPTION`.
   *
   * False = no room for `maxLength` bytes now, and `encode` was not called. An entry for which a quarter of the ring is not
   * enough is encoded into memory of its own.
   */
  tryEncode(maxLength: number, encode: (view: Buffer) => number): boolean {
    return this.#connection.lane.tryEncode(maxLength, encode);
  }

  /** Resolves when [tryAppend] has room for an entry of `bytes` (default 0); rejects if the log is closed or failed. */
  async ready(bytes = 0, options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    return this.#connection.lane.ready(checkBytes(bytes), checkSignalOptions(options));
  }

  /**
   * Appends entries that get consecutive LSNs, and of which a crash leaves all or none. Resolves to the first and the
   * last LSN. Errors as of [append].
   */
  appendBatch(
    entries: readonly EntryData[],
    options?: AppendOptions,
  ): Promise<{ first: number; last: number }> {
    return this.#connection.lane.appendBatch(entries, options);
  }

  /** Resolves, to the watermark, once everything that was accepted before the call is durable. */
  async sync(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<number> {
    return this.#connection.lane.sync(checkSignalOptions(options));
  }

  /**
   * As [sync], blocking this thread: for exit paths. Throws `ERR_WAL_TIMEOUT` after `timeoutMs` (default: no limit),
   * `ERR_WAL_WORKER_DIED` instead of waiting for a thread that is gone.
   */
  flushSync(timeoutMs?: number): void {
    this.#connection.lane.flushSync(checkTimeout(timeoutMs));
  }

  /**
   * A destination for lines of log, each of which becomes an entry: for pino (`pino(wal.createLogStream())`), winston,
   * `new Console(…)`, `pipeline`. What becomes of lines that come faster than the disk takes them says `onFull`; see
   * [LogStream]. Ending it leaves the log open.
   */
  createLogStream(options: LogStreamOptions = {}): LogStream {
    return new LogStream(this.#connection.lane, checkLogStreamOptions(options));
  }

  /** The LSN that [checkpoint] last recorded; 0 = none. */
  get checkpointLsn(): number {
    return this.#connection.board.get('checkpointLsn');
  }

  /**
   * Records durably that entries up to `lsn` have been dealt with. With the option `retainFrom: 'checkpoint'`, retention
   * waits for it. `ERR_WAL_OPTION` above `lastLsn`.
   */
  async checkpoint(lsn: number): Promise<void> {
    if (lsn !== 0) checkLsn('lsn', lsn);
    return this.#connection.lane.command({ name: 'checkpoint', lsn });
  }

  /**
   * Removes the segments that hold only entries below `lsn`, except those that a reader has open. `firstLsn` is at most
   * `lsn` afterwards. `ERR_WAL_OPTION` above `lastLsn + 1`.
   */
  async truncateBefore(lsn: number): Promise<void> {
    return this.#connection.lane.command({ name: 'truncateBefore', lsn: checkLsn('lsn', lsn) });
  }

  /**
   * Makes `lsn` the last entry: those behind it are cut off durably, their bytes kept in side files, their LSNs given out
   * again. Waits for pending appends. `ERR_WAL_OPTION` below `firstLsn`, above `lastLsn`, and inside a batch.
   */
  async truncateAfter(lsn: number): Promise<void> {
    return this.#connection.lane.command({ name: 'truncateAfter', lsn: checkLsn('lsn', lsn) });
  }

  /**
   * A lane for one more thread: a plain object, for one `Wal.attach` there. Move it with its `transferList`:
   * `new Worker(file, { workerData: a, transferList: a.transferList })`, or `port.postMessage(a, a.transferList)`. The lane
   * counts from here on; it is free again when it is closed, or when the thread that has the attachment ends.
   *
   * Throws `ERR_WAL_FULL` if `maxLanes` are in use.
   */
  attachment(): WalAttachment {
    return this.#connection.attachment();
  }

  /**
   * Takes up, in another thread, the lane that an `attachment` stands for. `ERR_WAL_OPTION` if it is used up,
   * `ERR_WAL_FULL` if other threads took the last lane meanwhile, `ERR_WAL_CLOSED`, or the failure that ended the log.
   */
  static attach(attachment: WalAttachment): Promise<WalLane> {
    return WalLane.attach(attachment);
  }

  /** Figures since the log was opened: counts, sizes, latencies as histograms. Reading them costs the log's threads nothing. */
  stats(): WalStats {
    return readStats(this.#connection);
  }

  /**
   * Takes no new append, completes all accepted ones, syncs, releases the lock. Idempotent. If the log had failed, all
   * is released the same and the first call rejects with the failure.
   */
  override async close(): Promise<void> {
    await this.#connection.close();
  }
}
