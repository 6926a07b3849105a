import { join } from 'node:path';
import type { MessagePort } from 'node:worker_threads';
import { AbortController, nowMs } from '../../files/node-globals.js';
import { segmentName } from '../../format/segment-name.js';
import type { LogCommand, ToLane } from '../../protocol/lane-messages.js';
import type { RecoveryReport } from '../../protocol/reports.js';
import { NO_PROGRESS } from '../../replica/shipper.js';
import { ringUsed } from '../../ring/layout.js';
import type { LogStatus } from '../../ring/log-status.js';
import type { Lane } from '../append/lane.js';
import { closedError, notReplicatedYet } from '../append/lane-errors.js';
import { hexId } from '../archive/archive-name.js';
import { Archiver } from '../archive/archiver.js';
import { LiveBackups } from '../backup/live-backups.js';
import { CheckpointList } from '../checkpoints/checkpoint-list.js';
import { errorFromFailure, WalError } from '../errors/wal-error.js';
import type { Archive } from '../options/archive-option.js';
import type { CheckedReplica } from '../options/replica-option.js';
import type { CheckedOptions } from '../options/wal-options.js';
import { LiveView } from '../read/live-view.js';
import { Replication } from '../replica/replication.js';
import { Snapshots } from '../snapshot/snapshots.js';
import { createAttachment, type WalAttachment } from './attachment.js';
import { CloseOnce } from './close-once.js';
import { publish } from './diagnostics.js';
import type { ErrorReporter } from './error-reporter.js';
import { addExitParticipant, type ExitParticipant, removeExitParticipant } from './exit-hook.js';
import { type LogEngine, systemEngine } from './log-engine.js';
import { LogThreads } from './log-threads.js';

/**
 * An open log as the opening thread holds it: its lane, the writer thread, the sync thread, and their state.
 *
 *   opening ──▶ open ──▶ closing ──▶ closed
 *      └─ refused ┴─ a thread died ─────┘
 */
export class Connection implements ExitParticipant {
  readonly lane: Lane;
  readonly status: LogStatus;
  readonly view: LiveView;
  readonly recovery: RecoveryReport;
  readonly logId: bigint;
  readonly checkpoints: CheckpointList;
  /** Only with the option `archive`. */
  readonly archiver: Archiver | undefined;
  /** Only with the option `replica`. */
  readonly replication: Replication | undefined;
  readonly snapshots: Snapshots;
  readonly backups: LiveBackups;
  readonly #threads: LogThreads;
  readonly #onError: ErrorReporter;
  /** The lanes of other threads, by number. Each port closes when the lane's thread ends, or has closed the lane. */
  readonly #others = new Map<
    number,
    { readonly lifePort: MessagePort; readonly i32: Int32Array<SharedArrayBuffer> }
  >();
  readonly #closed = new CloseOnce();
  #hasEnded = false;
  readonly #openedMs = nowMs();

  private constructor(
    threads: LogThreads,
    opened: Extract<ToLane, { kind: 'opened' }>,
    { writer: { directory, fileMode, preallocate }, lane, archive, replica }: CheckedOptions,
  ) {
    this.#threads = threads;
    this.#onError = threads.onError;
    this.lane = threads.lane;
    this.status = threads.status;
    this.recovery = opened.recovery;
    this.logId = opened.origin.logId;
    this.checkpoints = new CheckpointList(opened.kept.namedCheckpoints);
    threads.lane.checkpoints.onDone = (change) => this.checkpoints.apply(change);
    this.view = new LiveView(
      directory,
      threads.status,
      opened.segments,
      opened.times,
      opened.origin,
      this.checkpoints,
      opened.snapshots,
      () => threads.lane.drainPorts(),
      (isHeld) => threads.hold(isHeld),
      threads.engine,
    );
    this.snapshots = new Snapshots({
      directory,
      lane: threads.lane,
      view: this.view,
      jobs: threads.engine.snapshotJobs,
      fileMode,
      nowMs: () => threads.engine.nowMs(),
      onError: (error) => threads.onError.report(error),
    });
    this.backups = new LiveBackups({
      view: this.view,
      status: threads.surroundings.status,
      recycles: preallocate === 'recycle',
      sync: (signal) => this.lane.sync(signal),
      run: (request) => threads.engine.backup(request),
    });
    threads.onFailure = (failure, toldUnsynced, isTold) => {
      this.view.fail(failure);
      this.archiver?.abort(failure());
      const error = failure();
      if (isTold || !this.#tellOfUnsynced(error, toldUnsynced)) publish('error', { directory, error });
    };
    threads.onLogMessage = (message) => this.#receive(message);
    this.archiver = archive && this.#startArchiver(archive, opened);
    this.replication = replica && this.#startReplication(replica, lane.replicaChannel as string, opened);
    addExitParticipant(this);
    publish('open', { directory, recovery: this.recovery });
    if (this.recovery.verdict !== 'clean') publish('recover', { directory, recovery: this.recovery });
    threads.askForSyncs();
  }

  /** Starts the threads and has the writer thread recover and lock the log. */
  static async open(
    checked: CheckedOptions,
    engine: LogEngine = systemEngine(checked.workerUrl),
  ): Promise<Connection> {
    checked.signal?.throwIfAborted();
    if (checked.replica !== undefined && engine.startReplicaThread === undefined)
      throw noOtherThreads(checked.writer.directory);
    const threads = new LogThreads(checked, engine);
    try {
      const opened = await threads.waitForOpening(checked.signal);
      threads.watchLives();
      return new Connection(threads, opened, checked);
    } catch (error) {
      await threads.terminate();
      if (error instanceof WalError) publish('error', { directory: checked.writer.directory, error });
      throw error;
    }
  }

  /** Completes accepted entries, syncs, releases the lock, ends the threads. Rejects once with the failure that ended the log. */
  close(): Promise<void> {
    return this.#closed.run(() => this.#close());
  }

  /**
   * In a simulation, the log's process is gone: the log takes nothing more, and pending promises are never settled, since the code
   * that waits for them is gone too.
   */
  abandon(): void {
    this.#closed.skip();
    this.archiver?.letGo();
    void this.replication?.stop();
    this.#threads.abandon();
    removeExitParticipant(this);
  }

  /** In a word or two, for people. */
  get state(): string {
    if (this.#hasEnded) return 'closed';
    if (this.#closed.hasStarted) return 'closing';
    const { failure } = this.lane;
    return failure === undefined ? 'open' : `failed (${failure.code})`;
  }

  /** Milliseconds since the log was opened. */
  get uptimeMs(): number {
    return nowMs() - this.#openedMs;
  }

  /** Bytes in the fullest ring of other threads, as far as this thread knows of them. */
  fullestOfOthers(): number {
    let most = 0;
    for (const { i32 } of this.#others.values()) most = Math.max(most, ringUsed(i32));
    return most;
  }

  /** Cuts the log, and its replica before it. */
  async cut(command: LogCommand & { readonly name: 'truncateAfter' | 'reset' }): Promise<void> {
    const { replication, lane } = this;
    const cutLog = async () => void (await lane.command(command));
    if (replication === undefined) return cutLog();
    const isReset = command.name === 'reset';
    // What the local log would refuse must not reach the replica.
    if (!isReset) await lane.command({ ...command, dryRun: true });
    const lsn = isReset ? command.lsn - 1 : command.lsn;
    await replication.cut(lsn, isReset || lsn < this.status.get('firstLsn'), cutLog);
  }

  /** See `LogThreads.askForSyncs`. */
  askForSyncs(): void {
    this.#threads.askForSyncs();
  }

  /** See `Wal.attachment`. */
  attachment(): WalAttachment {
    if (!this.#threads.engine.hasOtherThreads) throw noOtherThreads(this.view.directory);
    return createAttachment(this.lane, this.#threads.surroundings);
  }

  flushAtExit(): void {
    // Every loss was reported, by a promise or by `onError`.
    if (this.lane.failure !== undefined) return;
    this.#onError.startExit();
    this.lane.flushEachAppend();
    this.#flush();
  }

  flushAtException(): void {
    if (this.lane.failure === undefined) this.#flush();
  }

  #flush(): void {
    try {
      this.lane.flushAtExit();
    } catch (error) {
      // An error of the callback itself.
      if (!(error instanceof WalError)) throw error;
      // No promise and no event loop is left that could report it.
      this.#onError.report(error);
    }
  }

  /** Reports entries that are written, not durable, and have no promise that would say so. False = there are none. */
  #tellOfUnsynced(error: WalError, told: number): boolean {
    const [durableLsn, lastLsn] = [this.status.get('durableLsn'), this.status.get('lastLsn')];
    if (lastLsn - durableLsn <= told) return false;
    this.#onError.report(
      new WalError(
        error.code,
        `Entries ${durableLsn + 1} to ${lastLsn} were written and are not known to be durable. ${error.message}`,
        { path: error.path, cause: error.cause },
      ),
    );
    return true;
  }

  async #close(): Promise<void> {
    const filesClosed = Promise.all([this.view.close(), this.backups.close()]);
    this.archiver?.abort(closedError(this.view.directory));
    const snapshotsClosed = this.snapshots.close(() => closedError(this.view.directory));
    this.replication?.recordLast();
    this.#threads.startClosing();

    await this.#threads.waitForEnd();
    await this.#endReplication();
    await this.archiver?.ended();
    this.#threads.detach();
    for (const [lane, { lifePort }] of this.#others) {
      this.#others.delete(lane);
      lifePort.close();
    }
    removeExitParticipant(this);
    this.#hasEnded = true;
    await Promise.all([filesClosed, snapshotsClosed]);
    const { failure } = this.lane;
    if (failure !== undefined) throw failure;
  }

  #receive(message: ToLane): void {
    if (message.kind === 'trouble') this.#onError.report(errorFromFailure(message.failure));
    else if (message.kind === 'lane-opened') this.#watchLane(message);
    else if (message.kind === 'sync-made') this.#tellOfSync(message.watermark, message.durationMs);
    else if (message.kind === 'segments-sealed') this.archiver?.noteSealed(message.upTo);
    else {
      this.view.receive(message);
      if (message.kind === 'truncated')
        this.archiver?.noteCut(message.segments.at(-1)?.number ?? 0, message.branch);
      if (message.kind === 'segment-opened' && message.number > 0) this.#tellOfRotation(message);
    }
  }

  #startArchiver(
    archive: Archive,
    { origin, kept, segments }: Extract<ToLane, { kind: 'opened' }>,
  ): Archiver {
    const { view, lane } = this;
    const { engine } = this.#threads;
    return new Archiver({
      directory: view.directory,
      archive,
      logId: origin.logId,
      branch: kept.branch,
      archived: kept.archived,
      sealed: (segments.at(-1)?.number ?? 0) - 1,
      segmentAfter: (number) => view.segmentAfter(number),
      segments: () => view.segments(),
      cuts: () => view.truncations.length,
      record: (change) => lane.checkpoints.request(change),
      report: (error) => this.#onError.report(error),
      nowMs: () => engine.nowMs(),
      delay: (ms, options) => engine.delay(ms, options),
    });
  }

  #startReplication(
    checked: CheckedReplica,
    channel: string,
    { origin, kept }: Extract<ToLane, { kind: 'opened' }>,
  ): Replication {
    const { view, lane, status } = this;
    const { engine, surroundings } = this.#threads;
    return new Replication({
      directory: view.directory,
      status,
      statusMemory: surroundings.status,
      checked,
      channel,
      logId: hexId(origin.logId),
      known: kept.replicated ?? NO_PROGRESS,
      startThread: engine.startReplicaThread as NonNullable<LogEngine['startReplicaThread']>,
      nowMs: () => engine.nowMs(),
      pause: () => engine.delay(5, { signal: new AbortController().signal, ref: true }),
      cuts: () => view.truncations.length,
      record: (change) => lane.checkpoints.request(change),
      report: (error) => this.#onError.report(error),
    });
  }

  /** Everything is durable here. Appends that wait for the replica have some time left for it. */
  async #endReplication(): Promise<void> {
    const { replication, lane } = this;
    if (replication === undefined) return;
    const { directory } = this.view;
    if (lane.failure === undefined) await replication.drained(() => (lane.replicated?.size ?? 0) === 0);
    lane.replicated?.rejectAll(lane.failure ?? notReplicatedYet(directory));
    await replication.stop();
  }

  #tellOfSync(durableLsn: number, durationMs: number): void {
    publish('sync', { directory: this.view.directory, durableLsn, durationMs });
  }

  #tellOfRotation({ number, firstLsn, sealedBytes }: Extract<ToLane, { kind: 'segment-opened' }>): void {
    const { directory } = this.view;
    publish('rotate', { directory, path: join(directory, segmentName(number)), firstLsn, sealedBytes });
  }

  /**
   * The writer is blocked most of the time, so it gets no event when a thread has ended; this thread gets one, in its event loop.
   * Only the lane's return to the pool waits for that.
   */
  #watchLane({ lane, lifePort, buffer }: Extract<ToLane, { kind: 'lane-opened' }>): void {
    this.#others.set(lane, { lifePort, i32: new Int32Array(buffer) });
    lifePort.on('close', () => {
      if (this.#others.delete(lane)) this.lane.otherLanes.reportGone(lane);
    });
    lifePort.unref();
  }
}

function noOtherThreads(directory: string): WalError {
  return new WalError(
    'ERR_WAL_OPTION',
    `Cannot attach another thread to "${directory}": the log is on a simulated machine, which has one thread. Append to the log itself.`,
    { path: directory },
  );
}
