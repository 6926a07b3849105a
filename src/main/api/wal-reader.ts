import type { NamedCheckpoint } from '../../protocol/checkpoint-changes.js';
import type { RecoveryReport, SegmentInfo } from '../../protocol/reports.js';
import type { SnapshotInfo } from '../../protocol/snapshots.js';
import { checkLsn } from '../options/checks.js';
import { type FollowOptions, takeFollowOptions } from '../options/follow-options.js';
import { type EntriesOptions, type ReadOptions, takeReadOptions } from '../options/read-options.js';
import {
  checkReadSnapshotOptions,
  checkVerifySnapshotsOptions,
  type ReadSnapshotOptions,
  type VerifySnapshotsOptions,
} from '../options/snapshot-options.js';
import { checkTime, type WalTime } from '../options/times.js';
import type { WalIterator } from '../read/entry-iterator.js';
import { follow } from '../read/follow.js';
import type { LogView } from '../read/log-view.js';
import { readBatches, readEntries, readEntry } from '../read/read-log.js';
import type { WalEntry } from '../read/segment-reader.js';
import { firstLsnAt } from '../read/time-search.js';
import { readSnapshot } from '../snapshot/read-snapshot.js';
import { checkRecoverOptions, type RecoverOptions } from '../snapshot/recover-options.js';
import { infoOf, type RecoveredState, recoverState } from '../snapshot/recover-state.js';
import { type SnapshotReport, verifySnapshots } from '../snapshot/verify-snapshots.js';
import { PRINTED, type PrintArguments, printed } from './printed.js';

/**
 * The reading side of a log. `Wal.open(directory, { readOnly: true })` makes one: a live view of a log that another
 * process may be writing. It takes no lock and changes nothing. {@link Wal} extends it.
 */
export class WalReader {
  // A bundler may rename the class; see Wal.
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

  /**
   * Where the log begins: LSN of the oldest entry kept, or of the first one that a repair left out before it. It rises
   * when retention removes segments. After {@link Wal.truncateBefore} it is exactly the LSN given to that call. In a log
   * whose entries were all removed it is `lastLsn + 1`. 0 if there has never been an entry.
   */
  get firstLsn(): number {
    return this.#view.firstLsn;
  }

  /**
   * LSN of the newest entry handed to the system: the next one gets `lastLsn + 1`. In a log whose entries were all
   * removed, the LSN before the next one. 0 if there has never been an entry.
   */
  get lastLsn(): number {
    return this.#view.lastLsn;
  }

  /** The watermark: the highest LSN known to survive a power cut; 0 for none. */
  get durableLsn(): number {
    return this.#view.durableLsn;
  }

  /** What `open` found and did: the verdict, the bytes cut, the repairs. */
  get recovery(): RecoveryReport {
    return this.#recovery;
  }

  /**
   * The named checkpoints of {@link Wal.checkpoint} that are durable, also those of earlier runs, sorted by name. The map is
   * a copy: changing it, or the data in it, changes nothing in the log. A reader of a log that another process writes reads
   * the checkpoints from the log's state file at each access. If that file is lost, there are none.
   *
   * @throws ERR_WAL_IO: the state file cannot be read
   */
  get checkpoints(): ReadonlyMap<string, NamedCheckpoint> {
    return this.#view.checkpoints();
  }

  /** The segments at the time of the call, lowest number first. */
  segments(): SegmentInfo[] {
    return [...this.#view.segments()];
  }

  /**
   * The entries from `from` to `to`, both inclusive, in order. The range ends at the last entry that is written at
   * the time of the call. With `reverse` the newest entry comes first; the newest few cost no more than reading their
   * segment. Each `data` is a view of a larger buffer, which is never reused: copy `data` to keep a few entries of
   * many.
   *
   * Leaving the loop closes the file.
   *
   * @throws ERR_WAL_PURGED: `from` is below `firstLsn`, or retention removed the next entry
   * @throws ERR_WAL_TRUNCATED: a cut, also one by another process, removed entries of the range before they were read
   * @throws ERR_WAL_CORRUPT: an entry cannot be read
   * @throws ERR_WAL_UNSUPPORTED: a later version wrote the entry
   * @throws ERR_WAL_IO: a file cannot be read, or another log has replaced this one in the directory
   * @throws ERR_WAL_CLOSED: the log is closed, or is closed while the iterator runs
   */
  entries(options: EntriesOptions = {}): WalIterator<WalEntry> {
    return readEntries(this.#view, takeReadOptions(options));
  }

  /**
   * As {@link WalReader.entries}, but in arrays and forward only: the fast way to replay. An array holds the entries
   * of one read, at least one. It is not an atomic batch.
   *
   * @throws as {@link WalReader.entries}
   */
  batches(options: ReadOptions = {}): WalIterator<WalEntry[]> {
    return readBatches(this.#view, takeReadOptions(options));
  }

  /**
   * The durable entries from `from` on (default: `firstLsn`), in order and without a gap, as they become durable. The
   * iterator ends when the log is closed, even if it has not returned all entries. It does not poll: the sync thread
   * wakes it. A slow consumer delays only retention, and only for the segment that it reads. To follow a log that
   * another process writes, use {@link Wal.follow}.
   *
   * @throws ERR_WAL_PURGED: `from` is below `firstLsn`, or retention removed the next entry
   * @throws ERR_WAL_TRUNCATED: a cut removed an entry that the iterator had returned
   * @throws ERR_WAL_CORRUPT, ERR_WAL_UNSUPPORTED, ERR_WAL_IO: as of {@link WalReader.entries}, or the failure that ended the log
   */
  follow(options: FollowOptions = {}): WalIterator<WalEntry> {
    return follow(this.#view, takeFollowOptions(options));
  }

  /**
   * The entry with this LSN; `undefined` if the LSN is above `lastLsn`, or if a repair left the LSN without an entry.
   *
   * Recent entries of this process, up to 256 MiB from the end of the log, are read from the page cache on the
   * calling thread once their position is known. The thread pool reads all other entries.
   *
   * @param lsn from 1
   * @throws ERR_WAL_PURGED: the LSN is below `firstLsn`
   * @throws ERR_WAL_OPTION: `lsn` is not an LSN
   * @throws ERR_WAL_CORRUPT, ERR_WAL_UNSUPPORTED, ERR_WAL_IO, ERR_WAL_CLOSED: as of {@link WalReader.entries}
   */
  async get(lsn: number): Promise<WalEntry | undefined> {
    return readEntry(this.#view, checkLsn('lsn', lsn));
  }

  /**
   * The LSN of the first entry that was made at `time` or later: at most `timeResolution` too early, and never too late as
   * long as the wall clock ran steadily. If no entry is that late, `lastLsn + 1`, the LSN of the next entry; if all are later,
   * `firstLsn`. An entry is made when the writer thread takes it, within milliseconds of its append.
   *
   * If the clock was set back, it showed some times twice. Entries of the second pass count as made at the latest time that
   * the clock had shown before. docs/guide.md has the details.
   *
   * @param time a Date, or milliseconds since 1970
   * @throws ERR_WAL_UNSUPPORTED: the entries there have no time stamps, as those of wal-go
   * @throws ERR_WAL_OPTION: `time` is not a time
   * @throws ERR_WAL_CORRUPT, ERR_WAL_IO, ERR_WAL_CLOSED: as of {@link WalReader.entries}
   */
  async lsnAt(time: WalTime): Promise<number> {
    return firstLsnAt(this.#view, checkTime('time', time));
  }

  /**
   * The snapshots of this log at the time of the call, newest first. Only their first and last bytes were read, so the list may
   * include snapshots whose data is damaged. {@link WalReader.verifySnapshots} reads everything.
   */
  snapshots(): SnapshotInfo[] {
    return this.#view.snapshots().map(infoOf);
  }

  /**
   * The data of the snapshot at entry `lsn`, in chunks of at most 1 MiB. Each chunk is checked before it is handed out, and has memory
   * of its own. Leaving the loop closes the file.
   *
   * @param lsn of one of {@link WalReader.snapshots}
   * @throws ERR_WAL_OPTION: there is no such snapshot
   * @throws ERR_WAL_CORRUPT: a chunk is damaged, or the file is no snapshot of this log
   * @throws ERR_WAL_IO: the file cannot be read
   * @throws ERR_WAL_CLOSED: the log is closed, or is closed while the iterator runs
   */
  readSnapshot(lsn: number, options: ReadSnapshotOptions = {}): WalIterator<Uint8Array> {
    return readSnapshot(this.#view, checkLsn('lsn', lsn), checkReadSnapshotOptions(options));
  }

  /**
   * Reads every file with the name of a snapshot, and compares each with the log. Changes nothing. Newest first.
   *
   * @throws ERR_WAL_IO: the directory cannot be read
   * @throws ERR_WAL_WORKER_DIED: the thread that reads could not load its code, or ended
   * @throws ERR_WAL_CLOSED: the log is closed
   */
  async verifySnapshots(options: VerifySnapshotsOptions = {}): Promise<SnapshotReport[]> {
    return verifySnapshots(this.#view, checkVerifySnapshotsOptions(options));
  }

  /**
   * Brings the application's state up to `lastLsn`: hands the newest snapshot that can be used to `load`, and every entry after it to
   * `apply`, in order. It reads the whole snapshot before `load` gets a byte. If the newest snapshot cannot be used, an older one
   * takes its place, and the result says why. Without a snapshot, `apply` gets the whole log, if the log still has its first entry.
   *
   * @returns the snapshot's LSN (0 = none), the number of entries replayed, and the snapshots that could not be used
   * @throws ERR_WAL_PURGED: no snapshot can be used, and the first entries of the log were removed; the message names the gap
   * @throws the error that `load` or `apply` throws; as {@link WalReader.batches}; the signal's reason
   */
  async recover(options: RecoverOptions): Promise<RecoveredState> {
    const { used: _, ...recovered } = await recoverState(this.#view, checkRecoverOptions(options));
    return recovered;
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

  /** Ends reading: active iterators fail with `ERR_WAL_CLOSED`, and their files are closed. Idempotent. */
  async close(): Promise<void> {
    await this.#view.close();
  }

  /** For `await using`: calls `close`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
