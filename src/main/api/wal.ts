import type { RepairReport } from '../../protocol/reports.js';
import type { EntryData } from '../append/entry-data.js';
import { WalError } from '../errors/wal-error.js';
import { runJob } from '../jobs/job-pool.js';
import { type VerifyReport, verifyDirectory } from '../jobs/verify.js';
import type { WalAttachment } from '../log/attachment.js';
import type { Connection as OpenConnection } from '../log/connection.js';
import { Connection } from '../log/connection.js';
import type { LogEngine } from '../log/log-engine.js';
import type { AppendOptions } from '../options/append-options.js';
import { checkBytes, checkLsn, checkSignalOptions, checkTimeout } from '../options/checks.js';
import { type DirectoryFollowOptions, takeFollowOptions } from '../options/follow-options.js';
import {
  checkRepairOptions,
  checkVerifyOptions,
  type ReadSegmentOptions,
  type RepairOptions,
  type VerifyOptions,
} from '../options/job-options.js';
import { checkLogStreamOptions, type LogStreamOptions } from '../options/log-stream-options.js';
import { checkPath } from '../options/paths.js';
import { checkOptions, type WalOptions, type WalReaderOptions } from '../options/wal-options.js';
import { DirectoryView } from '../read/directory-view.js';
import type { WalIterator } from '../read/entry-iterator.js';
import { followDirectory } from '../read/follow.js';
import { readSegment } from '../read/read-segment.js';
import type { WalEntry } from '../read/segment-reader.js';
import { LogStream } from '../stream/log-stream.js';
import { PRINTED, type PrintArguments, printed } from './printed.js';
import { readStats, type WalStats } from './stats.js';
import { WalLane } from './wal-lane.js';
import { WalReader } from './wal-reader.js';

/**
 * A write-ahead log, open for appending and reading: {@link Wal.open} makes it. Appends are copied into shared memory; a thread
 * of the log's own frames, checksums, writes, rotates and syncs them. It belongs to the thread that opened it; others append by a
 * {@link WalLane}.
 *
 * Async methods reject and the others throw, with a {@link WalError}. A wrong argument is `ERR_WAL_OPTION` everywhere, before
 * anything is taken or changed. After `ERR_WAL_SYNC_FAILED`, `ERR_WAL_WORKER_DIED`, and `ERR_WAL_IO` of a write that failed
 * for another reason than lack of room, the log has ended: close it and open it again. docs/errors.md.
 *
 * @example
 * ```js
 * const wal = await Wal.open('./data');
 * const lsn = await wal.append('paid 30 to Ann', { durable: true });
 * for await (const { lsn, data } of wal.entries()) console.log(lsn, Buffer.from(data).toString());
 * await wal.close();
 * ```
 */
export class Wal extends WalReader {
  // A bundler may call the class otherwise, and what prints a log shows that.
  static {
    Object.defineProperty(Wal, 'name', { value: 'Wal' });
  }

  readonly #connection: OpenConnection;

  /** Use `Wal.open`. */
  private constructor(connection: OpenConnection) {
    // Without types it can be called.
    if (typeof connection !== 'object') {
      throw new WalError('ERR_WAL_OPTION', 'A log is opened by await Wal.open(directory), not by new Wal().');
    }
    super(connection.view, connection.recovery);
    this.#connection = connection;
  }

  /**
   * Opens the log in `directory`, creating both where they are missing: recovers what a crash left, locks the directory
   * against a second writer. Resolves once entries can be appended; what it found is in {@link WalReader.recovery}.
   *
   * @param directory a path or a `file:` URL, on a local file system
   * @throws ERR_WAL_LOCKED: another writer has it, in this process or another one
   * @throws ERR_WAL_CORRUPT: acknowledged entries cannot be read, and the option `recovery` does not say what to do
   * @throws ERR_WAL_UNSUPPORTED: a later version wrote it, or it is in wal-go's later format
   * @throws ERR_WAL_OPTION: an option is unknown or out of its range
   * @throws ERR_WAL_WORKER_DIED: a thread of the log did not find its code, or ended
   * @throws ERR_WAL_IO: the system refused; its error is the `cause`
   */
  static open(directory: string | URL, options?: WalOptions): Promise<Wal>;
  /**
   * Opens the log in `directory` for reading: a live view, also of a log that another process writes. Nothing is created, locked or
   * changed, and a torn tail is left as it is.
   *
   * @param directory a path or a `file:` URL
   * @throws ERR_WAL_CORRUPT: acknowledged entries cannot be read
   * @throws ERR_WAL_UNSUPPORTED: a later version wrote it, or it is in wal-go's later format
   * @throws ERR_WAL_OPTION: an option is unknown or out of its range
   * @throws ERR_WAL_WORKER_DIED: the thread that looks did not find its code, or ended
   * @throws ERR_WAL_IO: the system refused, or there is no such directory
   */
  static open(directory: string | URL, options: WalReaderOptions): Promise<WalReader>;
  /** Either of both, where only the running program knows which. */
  static open(directory: string | URL, options: WalOptions | WalReaderOptions): Promise<Wal | WalReader>;
  static async open(
    directory: string | URL,
    options: WalOptions | WalReaderOptions = {},
  ): Promise<Wal | WalReader> {
    const checked = checkOptions(directory, options);
    if (checked.readOnly) {
      const view = await DirectoryView.open(checked.writer.directory, checked);
      return WalReader.over(view, view.recovery);
    }
    return new Wal(await Connection.open(checked));
  }

  /** @internal For `ringwal/testing`: a log on another engine, and the connection, by which the engine can let go of it. */
  static async openOn(
    engine: LogEngine,
    directory: string | URL,
    options: WalOptions = {},
  ): Promise<{ readonly wal: Wal; readonly connection: OpenConnection }> {
    const { lane, ...checked } = checkOptions(directory, options);
    if (checked.readOnly) {
      throw new WalError(
        'ERR_WAL_OPTION',
        `Cannot open "${checked.writer.directory}" with readOnly: a simulated machine opens logs for writing only.`,
      );
    }
    // Nothing happens while the opening thread polls: the engine's threads have their turns after it.
    const connection = await Connection.open({ ...checked, lane: { ...lane, busyPoll: false } }, engine);
    return { wal: new Wal(connection), connection };
  }

  /**
   * The entries of one segment file, wal-go's in both of its formats included. The file's own first frame says which
   * segment of which log it is, whatever its name. Ends before a torn tail. Nothing is locked or changed.
   *
   * @param path of the file, or its `file:` URL
   * @throws ERR_WAL_CORRUPT: acknowledged entries cannot be read
   * @throws ERR_WAL_UNSUPPORTED: a later version wrote what this one cannot read, be it behind damage
   * @throws ERR_WAL_IO: the file cannot be opened or read
   */
  static readSegment(path: string | URL, options: ReadSegmentOptions = {}): WalIterator<WalEntry> {
    return readSegment(path, options);
  }

  /**
   * Follows a log that another process writes, or this one: no lock, nothing is changed. What is durable is told by the
   * watermarks in the files, hence up to `syncInterval` later than to the writer itself. Ends only by `break`, by `signal` or
   * by an error; a writer that closes or restarts does not end it.
   *
   * @throws ERR_WAL_PURGED: retention was faster
   * @throws ERR_WAL_TRUNCATED: an entry that was handed out is cut off
   * @throws ERR_WAL_CORRUPT, ERR_WAL_UNSUPPORTED, ERR_WAL_IO: as of {@link Wal.open}
   */
  static follow(directory: string | URL, options: DirectoryFollowOptions = {}): WalIterator<WalEntry> {
    return followDirectory(checkPath('directory', directory), takeFollowOptions(options));
  }

  /**
   * Reads a whole log and judges it: no lock, nothing is changed. A corrupt log is a verdict in the report and no error.
   * Several threads read where it is large; the report is the same.
   *
   * @throws ERR_WAL_IO: the directory or a file cannot be read
   * @throws ERR_WAL_WORKER_DIED: a thread did not find its code, or ended
   */
  static async verify(directory: string | URL, options: VerifyOptions = {}): Promise<VerifyReport> {
    return verifyDirectory(checkPath('directory', directory), checkVerifyOptions(options));
  }

  /**
   * Makes a corrupt log one that opens again, with what can be kept; says what that is. Every byte that it takes out of
   * the log is in a side file. A log that is well, or merely torn, is left as it is. Interrupted, it can be run again.
   *
   * @throws ERR_WAL_LOCKED: somebody has it open; not with `dryRun`
   * @throws ERR_WAL_UNSUPPORTED: a later version wrote it, or it is in wal-go's later format
   * @throws ERR_WAL_IO: a file cannot be read or written
   * @throws ERR_WAL_WORKER_DIED: the thread that does it did not find its code, or ended
   */
  static async repair(directory: string | URL, options: RepairOptions = {}): Promise<RepairReport> {
    const { repair, job } = checkRepairOptions(options);
    return runJob('repair', { directory: checkPath('directory', directory), ...repair }, job);
  }

  /**
   * Appends an entry and resolves to its LSN: once it is fsynced (`durable: true`), or once it is handed to the system.
   * `data` is copied before the call returns. When the ring is full a copy is queued. The promise must be handled.
   *
   * @param data bytes or text, of any length from 0 to `maxEntrySize`
   * @throws ERR_WAL_FULL: `maxPending` bytes are queued, or `maxUnsettled` promises are unsettled; nothing was taken
   * @throws ERR_WAL_TOO_LARGE: more than `maxEntrySize` bytes; nothing was taken
   * @throws ERR_WAL_OPTION: neither bytes nor text; nothing was taken
   * @throws ERR_WAL_CLOSED: the log is closed; the entry is not in it
   * @throws ERR_WAL_IO: the disk is full (cause `ENOSPC`, `EDQUOT`): the entry is not in the log, which works on. After another
   *   failed write the log has ended, and the entry may be in it or not
   * @throws ERR_WAL_SYNC_FAILED: the log has ended, and the entry may be in it or not
   * @throws ERR_WAL_WORKER_DIED: the same, of a thread of the log that is gone
   */
  append(data: EntryData, options?: AppendOptions): Promise<number> {
    return this.#connection.lane.append(data, options);
  }

  /**
   * Fire and forget: true = taken, it will be written within milliseconds and synced within `syncInterval`. False = no
   * room now, nothing was taken: wait for {@link Wal.ready}. If it is taken and then cannot be written, `onError` hears of it, and
   * {@link LaneStats.lost} counts it.
   *
   * @throws ERR_WAL_TOO_LARGE: more than `maxEntrySize` bytes
   * @throws ERR_WAL_OPTION: neither bytes nor text
   * @throws ERR_WAL_CLOSED: the log is closed
   * @throws ERR_WAL_IO, ERR_WAL_SYNC_FAILED, ERR_WAL_WORKER_DIED: what has ended the log
   */
  tryAppend(data: EntryData): boolean {
    return this.#connection.lane.tryAppend(data);
  }

  /**
   * As {@link Wal.tryAppend}, encoded straight into the ring: `encode` writes at most `maxLength` bytes into `view` and returns how
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
   *
   * @param maxLength bytes, at most `maxEntrySize`
   * @throws ERR_WAL_TOO_LARGE: `maxLength` is more than `maxEntrySize`
   * @throws ERR_WAL_OPTION: as said above
   * @throws ERR_WAL_CLOSED, ERR_WAL_IO, ERR_WAL_SYNC_FAILED, ERR_WAL_WORKER_DIED: as of {@link Wal.tryAppend}
   */
  tryEncode(maxLength: number, encode: (view: Buffer) => number): boolean {
    return this.#connection.lane.tryEncode(maxLength, encode);
  }

  /**
   * Resolves when {@link Wal.tryAppend} has room for an entry of `bytes`: at once if it has. Somebody else on this lane may be
   * faster: ask again. Aborted by `signal` it rejects with the signal's reason.
   *
   * @param bytes of the entry, from 0
   * @throws ERR_WAL_CLOSED: the log is closed, or is closed meanwhile
   * @throws ERR_WAL_IO, ERR_WAL_SYNC_FAILED, ERR_WAL_WORKER_DIED: what has ended the log, also meanwhile
   */
  async ready(bytes = 0, options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    return this.#connection.lane.ready(checkBytes(bytes), checkSignalOptions(options));
  }

  /**
   * Appends entries that get consecutive LSNs, and of which a crash leaves all or none. Resolves, as {@link Wal.append} does, to
   * the first and the last LSN.
   *
   * @param entries at least one; together at most `maxEntrySize` bytes
   * @throws ERR_WAL_FULL, ERR_WAL_TOO_LARGE, ERR_WAL_OPTION, ERR_WAL_CLOSED, ERR_WAL_IO, ERR_WAL_SYNC_FAILED,
   *   ERR_WAL_WORKER_DIED: as of {@link Wal.append}, for all of them or none
   */
  appendBatch(
    entries: readonly EntryData[],
    options?: AppendOptions,
  ): Promise<{
    /** LSN of the first entry. */
    first: number;
    /** LSN of the last one. */
    last: number;
  }> {
    return this.#connection.lane.appendBatch(entries, options);
  }

  /**
   * Resolves, to the watermark, once everything that was accepted before the call, on any lane, is durable. Aborted by `signal` it
   * rejects with the signal's reason; the entries are synced all the same.
   *
   * @throws ERR_WAL_IO: what was accepted before found no room on the disk (cause `ENOSPC`, `EDQUOT`), or a write failed
   * @throws ERR_WAL_SYNC_FAILED, ERR_WAL_WORKER_DIED: the log has ended
   * @throws ERR_WAL_CLOSED: the log is closed
   */
  async sync(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<number> {
    return this.#connection.lane.sync(checkSignalOptions(options));
  }

  /**
   * As {@link Wal.sync}, blocking this thread: for exit paths. It never waits for a thread that is gone.
   *
   * @param timeoutMs milliseconds, from 0; default: no limit
   * @throws ERR_WAL_TIMEOUT: it took longer; nothing is lost, the log works on
   * @throws ERR_WAL_IO, ERR_WAL_SYNC_FAILED, ERR_WAL_WORKER_DIED, ERR_WAL_CLOSED: as of {@link Wal.sync}
   */
  flushSync(timeoutMs?: number): void {
    this.#connection.lane.flushSync(checkTimeout(timeoutMs));
  }

  /**
   * A destination for lines of log, each of which becomes an entry: for pino (`pino(wal.createLogStream())`), winston,
   * `new Console(…)`, `pipeline`. The option `onFull` says what becomes of lines that come faster than the disk takes them; see
   * {@link LogStream}. Ending it leaves the log open.
   *
   * @throws ERR_WAL_OPTION: an option that is not known, or a value that it does not take
   */
  createLogStream(options: LogStreamOptions = {}): LogStream {
    return new LogStream(this.#connection.lane, checkLogStreamOptions(options));
  }

  /** The LSN that {@link Wal.checkpoint} last recorded, also before the log was opened; 0 = none. */
  get checkpointLsn(): number {
    return this.#connection.status.get('checkpointLsn');
  }

  /**
   * Records that entries up to `lsn` have been dealt with; resolves once that is durable. With the option
   * `retainFrom: 'checkpoint'`, retention waits for it.
   *
   * @param lsn 0 to `lastLsn`; 0 = nothing has
   * @throws ERR_WAL_OPTION: above `lastLsn`
   * @throws ERR_WAL_IO: it could not be written; unless there was no room the log has ended
   * @throws ERR_WAL_CLOSED, ERR_WAL_SYNC_FAILED, ERR_WAL_WORKER_DIED: the log is closed or has ended
   */
  async checkpoint(lsn: number): Promise<void> {
    if (lsn !== 0) checkLsn('lsn', lsn);
    return this.#connection.lane.command({ name: 'checkpoint', lsn });
  }

  /**
   * Removes the segments that hold only entries below `lsn`, except those that a reader of this process has open; resolves once
   * they are gone. `firstLsn` is at most `lsn` afterwards. The segment with the last durable entry stays.
   *
   * @param lsn 1 to `lastLsn + 1`
   * @throws ERR_WAL_OPTION: above `lastLsn + 1`
   * @throws ERR_WAL_IO: a file could not be removed
   * @throws ERR_WAL_CLOSED, ERR_WAL_SYNC_FAILED, ERR_WAL_WORKER_DIED: the log is closed or has ended
   */
  async truncateBefore(lsn: number): Promise<void> {
    return this.#connection.lane.command({ name: 'truncateBefore', lsn: checkLsn('lsn', lsn) });
  }

  /**
   * Makes `lsn` the last entry: those behind it are cut off, their bytes kept in side files, their LSNs given out
   * again. Waits for pending appends; resolves once the cut is durable. Who reads behind it gets `ERR_WAL_TRUNCATED`.
   *
   * @param lsn `firstLsn` to `lastLsn`
   * @throws ERR_WAL_OPTION: below `firstLsn`, above `lastLsn`, or inside a batch
   * @throws ERR_WAL_CORRUPT: the entry cannot be read
   * @throws ERR_WAL_IO: a file could not be written or cut; unless there was no room the log has ended
   * @throws ERR_WAL_CLOSED, ERR_WAL_SYNC_FAILED, ERR_WAL_WORKER_DIED: the log is closed or has ended
   */
  async truncateAfter(lsn: number): Promise<void> {
    return this.#connection.lane.command({ name: 'truncateAfter', lsn: checkLsn('lsn', lsn) });
  }

  /**
   * A lane for one more thread: a plain object, for one `Wal.attach` there. Move it with its `transferList`:
   * `new Worker(file, { workerData: a, transferList: a.transferList })`, or `port.postMessage(a, a.transferList)`. The lane
   * counts from here on; it is free again when it is closed, or when the thread that has the attachment ends.
   *
   * @throws ERR_WAL_FULL: `maxLanes` are in use
   * @throws ERR_WAL_CLOSED, ERR_WAL_IO, ERR_WAL_SYNC_FAILED, ERR_WAL_WORKER_DIED: the log is closed or has ended
   */
  attachment(): WalAttachment {
    return this.#connection.attachment();
  }

  /**
   * Takes up, in another thread, the lane that an `attachment` stands for. Resolves once the lane takes entries; the event loop
   * of the opening thread is not needed for it.
   *
   * @throws ERR_WAL_OPTION: it is used up, was not moved here, or another version made it
   * @throws ERR_WAL_FULL: other threads took the last lane meanwhile
   * @throws ERR_WAL_CLOSED, ERR_WAL_IO, ERR_WAL_SYNC_FAILED, ERR_WAL_WORKER_DIED: the log is closed or has ended
   */
  static attach(attachment: WalAttachment): Promise<WalLane> {
    return WalLane.attach(attachment);
  }

  /** Figures since the log was opened, as they are at the call: counts, sizes, latencies as histograms. Reading them costs the log's threads nothing. */
  stats(): WalStats {
    return readStats(this.#connection);
  }

  /** @internal How `console.log` prints it. */
  override [PRINTED](...args: PrintArguments): string {
    return printed('Wal', () => this.fieldsToPrint(this.#connection.state), args);
  }

  /**
   * Takes no new append, completes all accepted ones, on all lanes, syncs, releases the lock. Resolves once everything accepted is
   * durable. Idempotent. `await using` calls it.
   *
   * @throws the failure that ended the log, if one did, from the first call; all is released the same
   */
  override async close(): Promise<void> {
    await this.#connection.close();
  }
}
