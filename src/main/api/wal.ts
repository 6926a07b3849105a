import type { BackupReport, RestoreReport } from '../../protocol/backup-reports.js';
import type { ReplicaRestoreReport } from '../../protocol/replica-reports.js';
import type { RepairReport } from '../../protocol/reports.js';
import type { SnapshotInfo } from '../../protocol/snapshots.js';
import type { ReplicaAdapter, ReplicatedLog } from '../../replica/replica.js';
import type { EntryData } from '../append/entry-data.js';
import {
  type CheckpointOptions,
  checkName,
  takeCheckpointOptions,
} from '../checkpoints/checkpoint-options.js';
import { WalError } from '../errors/wal-error.js';
import {
  type BackupVerifyReport,
  backupDirectory,
  restoreBackups,
  restoreFromReplica,
  verifyBackup,
} from '../jobs/backup.js';
import { runJob } from '../jobs/job-pool.js';
import { type VerifyReport, verifyDirectory } from '../jobs/verify.js';
import type { WalAttachment } from '../log/attachment.js';
import type { Connection as OpenConnection } from '../log/connection.js';
import { Connection } from '../log/connection.js';
import type { LogEngine } from '../log/log-engine.js';
import type { AppendOptions } from '../options/append-options.js';
import {
  type BackupOptions,
  type BackupPlace,
  checkBackup,
  checkBackupPlace,
  checkRestore,
  checkVerifyBackup,
  type DirectoryBackupOptions,
  type RestoreOptions,
  type VerifyBackupOptions,
} from '../options/backup-options.js';
import {
  checkBytes,
  checkLsn,
  checkSignalOptions,
  checkTimeout,
  flag,
  takeOptions,
} from '../options/checks.js';
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
import {
  checkRemote,
  checkReplicaFollow,
  checkReplicaRestore,
  isAdapter,
  type ReplicaFollowOptions,
  type ReplicaRestoreOptions,
  type TakeOverOptions,
} from '../options/remote-options.js';
import type { CheckedReplica } from '../options/replica-option.js';
import { checkWriteSnapshotOptions, type WriteSnapshotOptions } from '../options/snapshot-options.js';
import { checkOptions, type WalOptions, type WalReaderOptions } from '../options/wal-options.js';
import { DirectoryView } from '../read/directory-view.js';
import type { WalIterator } from '../read/entry-iterator.js';
import { followDirectory } from '../read/follow.js';
import { readSegment } from '../read/read-segment.js';
import type { WalEntry } from '../read/segment-reader.js';
import { followReplica } from '../replica/remote-follow.js';
import { listReplicatedLogs } from '../replica/remote-logs.js';
import type { ReplicaStats } from '../replica/replica-figures.js';
import { takeOver } from '../replica/take-over.js';
import { checkRecoverOptions, type RecoverOptions } from '../snapshot/recover-options.js';
import { infoOf, type RecoveredState, recoverState } from '../snapshot/recover-state.js';
import { checkSource, type SnapshotSource } from '../snapshot/snapshot-source.js';
import { LogStream } from '../stream/log-stream.js';
import { openWithoutReplica } from './local-log.js';
import { PRINTED, type PrintArguments, printed } from './printed.js';
import { readStats, type WalStats } from './stats.js';
import { WalLane } from './wal-lane.js';
import { WalReader } from './wal-reader.js';

const NOT_STOPPABLE = { signal: undefined, onProgress: undefined };

/**
 * A write-ahead log, open for appending and reading: {@link Wal.open} makes it. An append copies the entry into
 * shared memory; the log's own threads frame, checksum, write and sync it. The object belongs to the thread that
 * opened it; other threads append through a {@link WalLane}.
 *
 * Async methods reject, and all others throw, with a {@link WalError}. Every method checks its arguments first and
 * fails with `ERR_WAL_OPTION` before it takes or changes anything. The log has ended after `ERR_WAL_SYNC_FAILED`,
 * after `ERR_WAL_WORKER_DIED`, and after `ERR_WAL_IO` of a write that failed for any reason but a full disk: close it
 * and open it again. See docs/errors.md.
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
  // A bundler may rename the class, and a printed log would show that name.
  static {
    Object.defineProperty(Wal, 'name', { value: 'Wal' });
  }

  readonly #connection: OpenConnection;

  /** Use `Wal.open`. */
  private constructor(connection: OpenConnection) {
    // JavaScript callers can call a private constructor.
    if (typeof connection !== 'object') {
      throw new WalError('ERR_WAL_OPTION', 'A log is opened by await Wal.open(directory), not by new Wal().');
    }
    super(connection.view, connection.recovery);
    this.#connection = connection;
  }

  /**
   * Opens the log in `directory` and creates both if they are missing. It locks the directory against a second writer
   * and recovers the log from a crash. Resolves once the log takes entries; {@link WalReader.recovery} says what
   * recovery found.
   *
   * @param directory a path or a `file:` URL, on a local file system
   * @throws ERR_WAL_LOCKED: another writer has the log open, in this process or another one
   * @throws ERR_WAL_CORRUPT: acknowledged entries cannot be read, and the option `recovery` does not allow a repair
   * @throws ERR_WAL_UNSUPPORTED: a later version wrote it, or it is in wal-go's later format
   * @throws ERR_WAL_OPTION: an option is unknown or out of its range
   * @throws ERR_WAL_WORKER_DIED: a thread of the log could not load its code, or ended
   * @throws ERR_WAL_IO: a system call failed; its error is the `cause`
   */
  static open(directory: string | URL, options?: WalOptions): Promise<Wal>;
  /**
   * Opens the log in `directory` for reading: a live view, also of a log that another process writes. It creates,
   * locks and changes nothing, and leaves a torn tail as it is.
   *
   * @param directory a path or a `file:` URL
   * @throws ERR_WAL_CORRUPT: acknowledged entries cannot be read
   * @throws ERR_WAL_UNSUPPORTED: a later version wrote it, or it is in wal-go's later format
   * @throws ERR_WAL_OPTION: an option is unknown or out of its range
   * @throws ERR_WAL_WORKER_DIED: the thread that reads the log could not load its code, or ended
   * @throws ERR_WAL_IO: a system call failed, or there is no such directory
   */
  static open(directory: string | URL, options: WalReaderOptions): Promise<WalReader>;
  /** Opens a log either way, if only the running program knows which one. */
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

  /**
   * @internal For `ringwal/testing`: a log on another engine, and the connection, which lets the engine release the
   * log.
   */
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
    // `busyPoll` is of no use: the engine's threads do not run while the opening thread polls.
    const connection = await Connection.open({ ...checked, lane: { ...lane, busyPoll: false } }, engine);
    return { wal: new Wal(connection), connection };
  }

  /**
   * The entries of one segment file, also of wal-go in either of its formats. The first frame identifies the segment
   * and the log; the file name does not matter. The iterator ends before a torn tail. It locks and changes nothing.
   *
   * @param path of the file, or its `file:` URL
   * @throws ERR_WAL_CORRUPT: acknowledged entries cannot be read
   * @throws ERR_WAL_UNSUPPORTED: a later version wrote part of the file, even if it stands after damage
   * @throws ERR_WAL_IO: the file cannot be opened or read
   */
  static readSegment(path: string | URL, options: ReadSegmentOptions = {}): WalIterator<WalEntry> {
    return readSegment(path, options);
  }

  /**
   * Follows a log that another process, or this one, writes. It takes no lock and changes nothing. The watermarks in the
   * files show it which entries are durable, up to `syncInterval` later than the writer knows it. It ends only by
   * `break`, by `signal` or by an error; it continues when the writer closes or restarts the log.
   *
   * @throws ERR_WAL_PURGED: retention removed the next entry
   * @throws ERR_WAL_TRUNCATED: a cut removed an entry that the iterator had returned
   * @throws ERR_WAL_CORRUPT, ERR_WAL_UNSUPPORTED, ERR_WAL_IO: as of {@link Wal.open}
   */
  static follow(directory: string | URL, options?: DirectoryFollowOptions): WalIterator<WalEntry>;
  /**
   * Follows a replicated log, on any machine: entries that are confirmed, and so are never taken back by a failover. It looks for new ones
   * every 25 ms. It ends only by `break`, by `signal` or by an error.
   *
   * @throws ERR_WAL_PURGED: the next entry was removed from the replica
   * @throws ERR_WAL_TRUNCATED: a cut removed an entry that the iterator had returned
   * @throws ERR_WAL_OPTION: the replica holds no such log, or several
   * @throws ERR_WAL_REPLICA: the replica cannot be read, or contradicts itself
   */
  static follow(replica: ReplicaAdapter, options?: ReplicaFollowOptions): WalIterator<WalEntry>;
  static follow(
    directory: string | URL | ReplicaAdapter,
    options: DirectoryFollowOptions | ReplicaFollowOptions = {},
  ): WalIterator<WalEntry> {
    if (isAdapter(directory)) return followReplica(checkReplicaFollow(directory, options));
    return followDirectory(checkPath('directory', directory), takeFollowOptions(options));
  }

  /**
   * Reads and checks a whole log. It takes no lock and changes nothing. A corrupt log is a verdict in the report, not
   * an error. Several threads read a large log; the report is the same.
   *
   * @throws ERR_WAL_IO: the directory or a file cannot be read
   * @throws ERR_WAL_WORKER_DIED: a thread could not load its code, or ended
   */
  static async verify(directory: string | URL, options: VerifyOptions = {}): Promise<VerifyReport> {
    return verifyDirectory(checkPath('directory', directory), checkVerifyOptions(options));
  }

  /**
   * Repairs a corrupt log so that it opens again, and reports which entries it kept. It saves every byte that it
   * removes in a side file. It does not change a clean or torn log. After an interruption it can be run again.
   *
   * @throws ERR_WAL_LOCKED: a writer has the log open; not with `dryRun`
   * @throws ERR_WAL_UNSUPPORTED: a later version wrote it, or it is in wal-go's later format
   * @throws ERR_WAL_IO: a file cannot be read or written
   * @throws ERR_WAL_WORKER_DIED: the repairing thread could not load its code, or ended
   */
  static async repair(directory: string | URL, options: RepairOptions = {}): Promise<RepairReport> {
    const { repair, job } = checkRepairOptions(options);
    return runJob('repair', { directory: checkPath('directory', directory), ...repair }, job);
  }

  /**
   * Copies a log to the directory `target`, also while another process writes it. It takes no lock on the log and changes nothing in
   * it. The backup holds the entries that the files show to be durable, up to `syncInterval` behind the writer. The writer's
   * retention may remove the oldest segments meanwhile: a full backup then begins after them, and an incremental one fails. In the
   * process that writes the log, use {@link Wal.backup} of the log itself.
   *
   * @param directory of the log, or its `file:` URL
   * @param target a directory that does not exist, or is empty
   * @throws ERR_WAL_OPTION: there is a backup in `target`, or anything else; `since` is of another log or branch
   * @throws ERR_WAL_PURGED: entries after `since` are no longer in the log, or segments go faster than they can be copied
   * @throws ERR_WAL_TRUNCATED: the log was cut again and again meanwhile
   * @throws ERR_WAL_CORRUPT, ERR_WAL_UNSUPPORTED: the log, or the manifest of `since`, cannot be read
   * @throws ERR_WAL_LOCKED: another backup is being written to `target`
   * @throws ERR_WAL_IO: a file cannot be read, written or synced; the copies are removed
   * @throws ERR_WAL_WORKER_DIED: the copying thread could not load its code, or ended
   */
  static async backup(
    directory: string | URL,
    target: string | URL,
    options: DirectoryBackupOptions = {},
  ): Promise<BackupReport> {
    return backupDirectory(checkPath('directory', directory), checkBackup(target, options, false));
  }

  /**
   * Checks a backup: its manifest, the size and the SHA-256 of each file, and every frame of the log in it. It changes nothing.
   * Damage is a verdict in the report, not an error.
   *
   * @param target the backup
   * @throws ERR_WAL_OPTION: there is no finished backup
   * @throws ERR_WAL_IO: a file cannot be read
   * @throws ERR_WAL_WORKER_DIED: the reading thread could not load its code, or ended
   */
  static async verifyBackup(
    target: BackupPlace,
    options: VerifyBackupOptions = {},
  ): Promise<BackupVerifyReport> {
    return verifyBackup(checkBackupPlace('target', target), checkVerifyBackup(options));
  }

  /**
   * Makes a log in `directory` from a full backup and the incremental ones that continue it. The log is written to
   * `<directory>.restoring` and gets its name last, so that an interrupted restore leaves no part of a log; the next restore to the
   * same directory removes the leftover. The restored log has the same id and a new branch.
   *
   * @param backups the full backup, or an array: the full one, then those that continue it, in order
   * @param directory a directory that does not exist, or is empty
   * @throws ERR_WAL_OPTION: the directory is not empty; the backups are no chain (the message names the one that does not fit); `to`
   *   is above the last entry, or is a time and no entry has a time stamp
   * @throws ERR_WAL_PURGED: `to` is before the first entry
   * @throws ERR_WAL_CORRUPT, ERR_WAL_UNSUPPORTED: a backup is damaged, or a later version wrote it; `path` is the file
   * @throws ERR_WAL_LOCKED: another restore to the directory is at work
   * @throws ERR_WAL_IO: a file cannot be read, written or synced; the written files are removed
   * @throws ERR_WAL_WORKER_DIED: the restoring thread could not load its code, or ended
   */
  static restore(
    backups: BackupPlace | readonly BackupPlace[],
    directory: string | URL,
    options?: RestoreOptions,
  ): Promise<RestoreReport>;
  /**
   * Makes a log in `directory` of what a replica holds confirmed: for a copy, or for the state at an entry. It does not acquire the log,
   * so its writer goes on; the last acknowledged entries may not be confirmed yet. To go on writing use {@link Wal.takeOver}. The
   * restored log has the same id and a new branch, and no time stamps.
   *
   * @param directory a directory that does not exist, or is empty
   * @throws ERR_WAL_OPTION: the directory is not empty; the replica holds no such log, or several; `to` is above the last confirmed entry
   * @throws ERR_WAL_PURGED: `to` is before the first entry
   * @throws ERR_WAL_REPLICA: the replica cannot be read, or contradicts itself; what was written is removed
   * @throws ERR_WAL_LOCKED: another restore to the directory is at work
   * @throws ERR_WAL_IO: a file cannot be written or synced; what was written is removed
   * @throws ERR_WAL_WORKER_DIED: the restoring thread could not load its code, or ended
   */
  static restore(directory: string | URL, options: ReplicaRestoreOptions): Promise<ReplicaRestoreReport>;
  static async restore(
    source: BackupPlace | readonly BackupPlace[],
    place: string | URL | ReplicaRestoreOptions,
    options: RestoreOptions = {},
  ): Promise<RestoreReport | ReplicaRestoreReport> {
    if (typeof place === 'object' && 'replica' in place)
      return restoreFromReplica(checkReplicaRestore(source, place));
    return restoreBackups(checkRestore(source, place, options));
  }

  /**
   * The logs that a replica holds, for people.
   *
   * @throws ERR_WAL_REPLICA: the replica cannot be read
   */
  static async replicatedLogs(
    replica: ReplicaAdapter,
    options: { readonly replicaTimeout?: number | undefined } = {},
  ): Promise<readonly ReplicatedLog[]> {
    const { replicaTimeout } = takeOptions(options, 'option', ['replicaTimeout']);
    return listReplicatedLogs(checkRemote(replica, { replicaTimeout }));
  }

  /**
   * Makes this process the writer of a replicated log, and resolves to the log, open at the replica's head. It fences every earlier
   * writer, wherever it is: from then on nothing that an earlier writer ships has an effect. The log in `directory` becomes that of the
   * replica: entries that it lacks are fetched, and entries that the replica does not hold are cut off into side files. If there is no
   * log in `directory`, it is restored.
   *
   * Who takes over, and when, is for your orchestrator to decide. Two takeovers at the same time are safe: one of them fails with
   * `ERR_WAL_FENCED`.
   *
   * @param directory a path or a `file:` URL
   * @throws ERR_WAL_FENCED: another one has taken over meanwhile
   * @throws ERR_WAL_LOCKED: a writer has the directory open
   * @throws ERR_WAL_OPTION: an option is wrong; the replica holds no such log, or several
   * @throws ERR_WAL_REPLICA: the replica cannot be reached or read
   * @throws ERR_WAL_PURGED, ERR_WAL_UNSUPPORTED: the directory's log cannot be made that of the replica; the message says what to do
   * @throws as {@link Wal.open}
   */
  static async takeOver(directory: string | URL, options: TakeOverOptions): Promise<Wal> {
    const { logId, ...others } = options;
    const remote = checkRemote(others.replica, { logId, replicaTimeout: others.replicaTimeout });
    const checked = checkOptions(directory, others);
    const { replica, lane, workerUrl, writer } = checked;
    const path = writer.directory;
    const expectEpoch = await takeOver({
      directory: path,
      remote,
      writer: lane.replicaChannel as string,
      openLocal: () => openWithoutReplica(checked),
      restore: (id) =>
        restoreFromReplica({
          ...remote,
          logId: id,
          directory: path,
          to: undefined,
          workerUrl,
          ...NOT_STOPPABLE,
        }),
    });
    const connection = await Connection.open({
      ...checked,
      replica: { ...(replica as CheckedReplica), expectEpoch },
    });
    const wal = new Wal(connection);
    try {
      await connection.replication?.established();
      return wal;
    } catch (error) {
      await wal.close();
      throw error;
    }
  }

  /**
   * Appends an entry and resolves to its LSN: with `durable: true` once the entry is fsynced, with `durable: 'replicated'` once it is
   * durable on the replica as well, otherwise once it is handed to the system. The call copies `data` before it returns. If the ring is full, the copy is queued. The
   * caller must handle the promise.
   *
   * @param data bytes or text, of any length from 0 to `maxEntrySize`
   * @throws ERR_WAL_FULL: `maxPending` bytes are queued, `maxUnsettled` promises are unsettled, or more than `maxLag` bytes wait for the
   *   replica; the entry was not taken
   * @throws ERR_WAL_FENCED, ERR_WAL_DIVERGED, ERR_WAL_PURGED: of `durable: 'replicated'`: replication has ended. The entry is durable in the
   *   local log, unless the call rejected at once
   * @throws ERR_WAL_REPLICA: of `durable: 'replicated'`: the log was closed before the entry was known to be replicated. It is durable in the
   *   local log
   * @throws ERR_WAL_TOO_LARGE: the entry has more than `maxEntrySize` bytes; it was not taken
   * @throws ERR_WAL_OPTION: `data` is neither bytes nor text; it was not taken
   * @throws ERR_WAL_CLOSED: the log is closed; the entry is not in it
   * @throws ERR_WAL_IO: the disk is full (cause `ENOSPC`, `EDQUOT`): the entry is not in the log, and the log
   *   continues. After any other failed write the log has ended, and it may or may not contain the entry
   * @throws ERR_WAL_SYNC_FAILED: the log has ended, and it may or may not contain the entry
   * @throws ERR_WAL_WORKER_DIED: a thread of the log has died: the log has ended, and it may or may not contain the
   *   entry
   */
  append(data: EntryData, options?: AppendOptions): Promise<number> {
    return this.#connection.lane.append(data, options);
  }

  /**
   * Fire and forget. True: the entry is taken; the log writes it within milliseconds and syncs it within
   * `syncInterval`. False: there is no room now, and the entry is not taken; wait for {@link Wal.ready}. If a taken
   * entry cannot be written, the log calls `onError` and counts the entry in {@link LaneStats.lost}.
   *
   * @throws ERR_WAL_TOO_LARGE: the entry has more than `maxEntrySize` bytes
   * @throws ERR_WAL_OPTION: `data` is neither bytes nor text
   * @throws ERR_WAL_CLOSED: the log is closed
   * @throws ERR_WAL_IO, ERR_WAL_SYNC_FAILED, ERR_WAL_WORKER_DIED: the error that ended the log
   */
  tryAppend(data: EntryData): boolean {
    return this.#connection.lane.tryAppend(data);
  }

  /**
   * As {@link Wal.tryAppend}, but `encode` writes the entry directly into the ring: at most `maxLength` bytes into
   * `view`. It returns the number of bytes. At first the view contains arbitrary bytes. Only the callback may use the
   * view:
   *
   * - Nothing may touch the view after the callback returns: the bytes are shared with the log's threads, and another
   *   entry will soon use them. An `async` callback is refused after it has run.
   * - If the callback throws, the entry is not taken and the caller gets the error. If it returns anything but an
   *   integer from 0 to `maxLength`, the entry is not taken and the call fails with `ERR_WAL_OPTION`.
   * - While the callback runs, every other append of this lane fails with `ERR_WAL_OPTION`.
   *
   * False: there is no room for `maxLength` bytes now, and `encode` was not called. If `maxLength` is more than a
   * quarter of the ring, `encode` writes into memory outside of the ring.
   *
   * @param maxLength bytes, at most `maxEntrySize`
   * @throws ERR_WAL_TOO_LARGE: `maxLength` is more than `maxEntrySize`
   * @throws ERR_WAL_OPTION: the callback breaks one of the rules above
   * @throws ERR_WAL_CLOSED, ERR_WAL_IO, ERR_WAL_SYNC_FAILED, ERR_WAL_WORKER_DIED: as of {@link Wal.tryAppend}
   */
  tryEncode(maxLength: number, encode: (view: Buffer) => number): boolean {
    return this.#connection.lane.tryEncode(maxLength, encode);
  }

  /**
   * Resolves when {@link Wal.tryAppend} has room for an entry of `bytes`; at once if there is room. Other code may
   * take the room first, so call `tryAppend` in a loop. If `signal` aborts, the promise rejects with the signal's
   * reason.
   *
   * @param bytes of the entry, from 0
   * @throws ERR_WAL_CLOSED: the log is closed, or is closed during the wait
   * @throws ERR_WAL_IO, ERR_WAL_SYNC_FAILED, ERR_WAL_WORKER_DIED: the error that ended the log, before or during the
   *   wait
   */
  async ready(bytes = 0, options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    return this.#connection.lane.ready(checkBytes(bytes), checkSignalOptions(options));
  }

  /**
   * Appends entries with consecutive LSNs as an atomic batch: after a crash the log contains all of them or none.
   * Resolves when {@link Wal.append} would, to the first and the last LSN.
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
   * Resolves to the watermark once all entries that any lane accepted before the call are durable. If `signal`
   * aborts, the promise rejects with the signal's reason; the log syncs the entries anyway.
   *
   * @throws ERR_WAL_IO: the disk had no room for an accepted entry (cause `ENOSPC`, `EDQUOT`), or a write failed
   * @throws ERR_WAL_SYNC_FAILED, ERR_WAL_WORKER_DIED: the log has ended
   * @throws ERR_WAL_CLOSED: the log is closed
   */
  async sync(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<number> {
    return this.#connection.lane.sync(checkSignalOptions(options));
  }

  /**
   * As {@link Wal.sync}, but blocks the calling thread: for exit paths. It does not hang if a thread of the log has
   * died.
   *
   * @param timeoutMs milliseconds, from 0; default: no limit
   * @throws ERR_WAL_TIMEOUT: the sync took longer; nothing is lost, and the log continues
   * @throws ERR_WAL_IO, ERR_WAL_SYNC_FAILED, ERR_WAL_WORKER_DIED, ERR_WAL_CLOSED: as of {@link Wal.sync}
   */
  flushSync(timeoutMs?: number): void {
    this.#connection.lane.flushSync(checkTimeout(timeoutMs));
  }

  /**
   * A stream that appends each line as an entry: for pino (`pino(wal.createLogStream())`), winston, `new Console(…)`,
   * `pipeline`. The option `onFull` chooses what happens to lines that arrive faster than the disk takes them; see
   * {@link LogStream}. Ending the stream leaves the log open.
   *
   * @throws ERR_WAL_OPTION: an option is unknown or out of its range
   */
  createLogStream(options: LogStreamOptions = {}): LogStream {
    return new LogStream(this.#connection.lane, checkLogStreamOptions(options));
  }

  /** The LSN that {@link Wal.checkpoint} recorded last, also in an earlier run; 0 = none. */
  get checkpointLsn(): number {
    return this.#connection.status.get('checkpointLsn');
  }

  /**
   * Records that the application has processed all entries up to `lsn`. Resolves once the record is durable. With the
   * option `retainFrom: 'checkpoint'`, retention keeps all entries above the checkpoint.
   *
   * With `name`, the checkpoint is the place of one of several consumers, and retention keeps all entries above the lowest
   * checkpoint. `data` holds up to 4,096 bytes of the consumer's own, recorded in the same step: after a crash, place and data
   * are both the old ones or both the new ones. A named checkpoint exists until {@link Wal.removeCheckpoint} removes it, and
   * may move back. Calls with a name that are in flight at the same time share one write of the log's state file.
   *
   * @param lsn 0 to `lastLsn`; 0 = no entry is processed
   * @throws ERR_WAL_OPTION: `lsn` is above `lastLsn`, or the name or the data are not as {@link CheckpointOptions} says
   * @throws ERR_WAL_FULL: the log has 256 named checkpoints already, or 4,096 calls wait
   * @throws ERR_WAL_IO: the checkpoint could not be written; unless the disk is full, the log has ended
   * @throws ERR_WAL_CLOSED, ERR_WAL_SYNC_FAILED, ERR_WAL_WORKER_DIED: the log is closed or has ended
   */
  async checkpoint(lsn: number, options: CheckpointOptions = {}): Promise<void> {
    if (lsn !== 0) checkLsn('lsn', lsn);
    const named = takeCheckpointOptions(options);
    const { lane } = this.#connection;
    if (named === undefined) await lane.command({ name: 'checkpoint', lsn });
    else await lane.checkpoints.request({ kind: 'set', lsn, ...named });
  }

  /**
   * Removes a named checkpoint, durably, so that it no longer holds back retention: for a consumer that is gone for ever.
   *
   * @param name the name that was given to {@link Wal.checkpoint}
   * @returns false: there is no checkpoint of this name
   * @throws ERR_WAL_OPTION: `name` cannot be the name of a checkpoint
   * @throws ERR_WAL_IO, ERR_WAL_FULL, ERR_WAL_CLOSED, ERR_WAL_SYNC_FAILED, ERR_WAL_WORKER_DIED: as of {@link Wal.checkpoint}
   */
  async removeCheckpoint(name: string): Promise<boolean> {
    return this.#connection.lane.checkpoints.request({ kind: 'remove', name: checkName(name) });
  }

  /**
   * Gives up the entries below `lsn`: `firstLsn` is `lsn` from now on, durably, and reading below it fails with
   * `ERR_WAL_PURGED`. Segments with lower entries only are removed before the call resolves. Retention later removes
   * segments that a reader of this process has open or that are not archived yet, and the segment that holds entry `lsn` or
   * the last durable entry. If the state file is lost, entries below `lsn` whose segment is still there can be read again.
   *
   * @param lsn 1 to `lastLsn + 1`; below `firstLsn` it changes nothing
   * @throws ERR_WAL_OPTION: `lsn` is above `lastLsn + 1`
   * @throws ERR_WAL_IO: the state file could not be written, and nothing changed; or a file could not be removed
   * @throws ERR_WAL_CLOSED, ERR_WAL_SYNC_FAILED, ERR_WAL_WORKER_DIED: the log is closed or has ended
   */
  async truncateBefore(lsn: number): Promise<void> {
    await this.#connection.lane.command({ name: 'truncateBefore', lsn: checkLsn('lsn', lsn) });
  }

  /**
   * Makes `lsn` the last entry. It cuts off all later entries, keeps their bytes in side files, and assigns their
   * LSNs again. It waits for pending appends, and resolves once the cut is durable. A reader beyond `lsn` fails with
   * `ERR_WAL_TRUNCATED`. Checkpoints above `lsn` become `lsn`; named ones keep their data. If the cut
   * reaches a segment that was archived, that segment is archived again, under the log's new branch.
   *
   * With `firstLsn - 1` no entry stays: the log is empty, and the next append gets the LSN `lsn + 1`.
   *
   * The replica, if there is one, is cut first: the call waits until it can be reached.
   *
   * @param lsn `firstLsn - 1` to `lastLsn`
   * @param options `splitBatch: true`: the cut may be inside a batch, which then ends with `lsn`
   * @throws ERR_WAL_OPTION: `lsn` is below `firstLsn - 1` or above `lastLsn`, or inside a batch without `splitBatch`
   * @throws ERR_WAL_CORRUPT: the entry `lsn` cannot be read
   * @throws ERR_WAL_IO: a file could not be written or cut; unless the disk is full, the log has ended
   * @throws ERR_WAL_CLOSED, ERR_WAL_SYNC_FAILED, ERR_WAL_WORKER_DIED: the log is closed or has ended
   */
  async truncateAfter(
    lsn: number,
    options: { readonly splitBatch?: boolean | undefined } = {},
  ): Promise<void> {
    if (lsn !== 0) checkLsn('lsn', lsn);
    const { splitBatch } = takeOptions(options, 'option', ['splitBatch']);
    const command = { name: 'truncateAfter', lsn, splitBatch: flag('splitBatch', splitBatch) } as const;
    await this.#connection.cut(command);
  }

  /**
   * Removes every entry and continues with `nextLsn`: for a log whose content is replaced as a whole, for example by a
   * snapshot from another machine. The bytes of the entries are kept in side files. It waits for pending appends, and
   * resolves once the log is empty durably. Afterwards `firstLsn` is `nextLsn` and `lastLsn` is `nextLsn - 1`. A
   * reader fails with `ERR_WAL_TRUNCATED`. The replica is emptied first: the call waits until it can be reached.
   *
   * @param nextLsn the LSN of the next entry, from 1, lower or higher than before
   * @throws ERR_WAL_OPTION: `nextLsn` is not an LSN
   * @throws ERR_WAL_IO: a file could not be written or renamed; unless the disk is full, the log has ended
   * @throws ERR_WAL_CLOSED, ERR_WAL_SYNC_FAILED, ERR_WAL_WORKER_DIED: the log is closed or has ended
   */
  async reset(nextLsn: number): Promise<void> {
    await this.#connection.cut({ name: 'reset', lsn: checkLsn('nextLsn', nextLsn) });
  }

  /**
   * Seals the live segment now and begins the next one. Resolves once the sealed segment is durable: its file holds entries
   * only, and never changes again. If the live segment has no entry, nothing happens.
   *
   * @throws ERR_WAL_IO: the next segment could not be created; unless the disk is full, the log has ended
   * @throws ERR_WAL_CLOSED, ERR_WAL_SYNC_FAILED, ERR_WAL_WORKER_DIED: the log is closed or has ended
   */
  async rotate(): Promise<void> {
    await this.#connection.lane.command({ name: 'rotate', lsn: 0 });
  }

  /**
   * Writes a snapshot: the application's state after entry `lsn`. Resolves once the snapshot is durable under its name; then
   * snapshots beyond `keep` are removed. Another thread writes the file, so the event loop stays free. Memory stays the same
   * however large the snapshot is: nothing is taken from `source` while some MiB are on their way.
   *
   * Until the call resolves, the older snapshots stay as they are. If it rejects, nothing of the new snapshot is left.
   *
   * @param lsn the last entry that the state contains: from `firstLsn`, not inside a batch. It becomes durable first
   * @param source yields the state's bytes, in pieces of any size: an iterable, an async iterable or a stream
   * @throws ERR_WAL_OPTION: `lsn` is above `lastLsn`, below `firstLsn` or inside a batch; a snapshot at `lsn` is being written; the source
   *   yields a value that is no `Uint8Array`
   * @throws ERR_WAL_TRUNCATED: `truncateAfter` cut off entry `lsn` meanwhile
   * @throws ERR_WAL_IO: the file could not be written, for example because the disk is full; the log continues
   * @throws ERR_WAL_CLOSED, ERR_WAL_SYNC_FAILED, ERR_WAL_WORKER_DIED: the log is closed or has ended; or its own thread ended
   * @throws the error that the source throws; the signal's reason
   */
  async writeSnapshot(
    lsn: number,
    source: SnapshotSource,
    options: WriteSnapshotOptions = {},
  ): Promise<SnapshotInfo> {
    const checked = checkWriteSnapshotOptions(options);
    return infoOf(await this.#connection.snapshots.write(checkLsn('lsn', lsn), checkSource(source), checked));
  }

  /**
   * Removes the snapshot at `lsn`, also one that cannot be used. Resolves once the removal is durable; at once if there is none.
   *
   * @throws ERR_WAL_IO: the file could not be removed
   * @throws ERR_WAL_CLOSED, ERR_WAL_SYNC_FAILED, ERR_WAL_WORKER_DIED: the log is closed or has ended
   */
  async removeSnapshot(lsn: number): Promise<void> {
    await this.#connection.snapshots.remove(checkLsn('lsn', lsn));
  }

  override async recover(options: RecoverOptions): Promise<RecoveredState> {
    const { used, ...recovered } = await recoverState(this.#connection.view, checkRecoverOptions(options));
    if (used !== undefined) await this.#connection.snapshots.noteVerified(used);
    return recovered;
  }

  /**
   * Copies the log to the directory `target` while it is being written. The backup ends with the watermark: every entry that was
   * accepted before the call is in it. Retention keeps the segments that are still to be copied. A job thread does the work; appends
   * go on. A cut (`truncateAfter`) makes the backup begin again. `close()` ends it with `ERR_WAL_CLOSED`.
   *
   * The backup is finished when its manifest is written, last. If the call fails, the copies are removed.
   *
   * @param target a directory that does not exist, or is empty
   * @throws ERR_WAL_OPTION: there is a backup in `target`, or anything else; `since` is of another log or branch; `link` does not fit
   * @throws ERR_WAL_PURGED: entries after `since` are no longer in the log
   * @throws ERR_WAL_TRUNCATED: the log was cut again and again meanwhile
   * @throws ERR_WAL_CORRUPT, ERR_WAL_UNSUPPORTED: the log, or the manifest of `since`, cannot be read
   * @throws ERR_WAL_LOCKED: another backup is being written to `target`
   * @throws ERR_WAL_IO: a file cannot be read, written or synced; the log continues
   * @throws ERR_WAL_CLOSED, ERR_WAL_SYNC_FAILED, ERR_WAL_WORKER_DIED: the log is closed or has ended
   */
  async backup(target: string | URL, options: BackupOptions = {}): Promise<BackupReport> {
    return this.#connection.backups.make(checkBackup(target, options, true));
  }

  /**
   * A lane for one more thread, as a plain object for one `Wal.attach` in that thread. Move it with its
   * `transferList`: `new Worker(file, { workerData: a, transferList: a.transferList })`, or
   * `port.postMessage(a, a.transferList)`. The lane counts towards `maxLanes` from this call on. It is free again
   * when it is closed, or when the thread that received the attachment exits.
   *
   * @throws ERR_WAL_FULL: `maxLanes` are in use
   * @throws ERR_WAL_CLOSED, ERR_WAL_IO, ERR_WAL_SYNC_FAILED, ERR_WAL_WORKER_DIED: the log is closed or has ended
   */
  attachment(): WalAttachment {
    return this.#connection.attachment();
  }

  /**
   * Opens, in another thread, the lane of an `attachment`. Resolves once the lane takes entries. It does not need the
   * event loop of the opening thread.
   *
   * @throws ERR_WAL_OPTION: the attachment is used already, was not moved to this thread, or comes from another
   *   version
   * @throws ERR_WAL_FULL: other threads have taken the last lane
   * @throws ERR_WAL_CLOSED, ERR_WAL_IO, ERR_WAL_SYNC_FAILED, ERR_WAL_WORKER_DIED: the log is closed or has ended
   */
  static attach(attachment: WalAttachment): Promise<WalLane> {
    return WalLane.attach(attachment);
  }

  /** R: all entries up to this LSN are durable on the replica; 0 = none is, or there is no replica. */
  get replicatedLsn(): number {
    return this.#connection.status.get('replicatedLsn');
  }

  /** The replica; `undefined` if the log was opened without one. */
  get replica(): ReplicaStats | undefined {
    return this.#connection.replication?.stats();
  }

  /**
   * Figures since the log was opened: counts, sizes, and latencies as histograms. Reading them does not slow down the
   * log's threads.
   */
  stats(): WalStats {
    return readStats(this.#connection);
  }

  /** @internal How `console.log` prints it. */
  override [PRINTED](...args: PrintArguments): string {
    return printed('Wal', () => this.fieldsToPrint(this.#connection.state), args);
  }

  /**
   * Refuses new appends, writes and syncs all accepted entries of all lanes, and releases the lock. Resolves once all
   * accepted entries are durable. Idempotent. `await using` calls it.
   *
   * @throws if the log has failed: the first call rejects with the error that ended the log. It releases everything
   *   all the same
   */
  override async close(): Promise<void> {
    await this.#connection.close();
  }
}
