import { join } from 'node:path';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { nowMs } from '../../files/node-globals.js';
import { LOCK_FILE, segmentName } from '../../format/segment-name.js';
import type { ToLane } from '../../protocol/lane-messages.js';
import type { RecoveryReport } from '../../protocol/reports.js';
import { createSyncWords } from '../../protocol/sync-words.js';
import type { SyncThreadData, WriterThreadData } from '../../protocol/thread-data.js';
import { createDoorbellMemory, type Doorbell } from '../../ring/doorbell.js';
import { type LaneMemory, resetLane, ringUsed, viewLane } from '../../ring/layout.js';
import { createLogStatus, LogStatus } from '../../ring/log-status.js';
import { Lane } from '../append/lane.js';
import type { LaneParts } from '../append/lane-parts.js';
import { errorFromFailure, WalError } from '../errors/wal-error.js';
import type { CheckedOptions } from '../options/wal-options.js';
import { LiveView } from '../read/live-view.js';
import { threadFailure } from '../threads/start-thread.js';
import { createAttachment, type LaneSurroundings, type WalAttachment } from './attachment.js';
import { isWatched, publish } from './diagnostics.js';
import { ErrorReporter } from './error-reporter.js';
import { addExitParticipant, type ExitParticipant, removeExitParticipant } from './exit-hook.js';
import { poolLaneMemory, takeLaneMemory } from './lane-memories.js';
import { type LifeWatch, type LogEngine, type LogThread, systemEngine } from './log-engine.js';

/**
 * An open log as the opening thread holds it: its lane, the writer thread, the sync thread, and what becomes of them.
 *
 *   opening ──▶ open ──▶ closing ──▶ closed
 *      └─ refused ┴─ a thread died ─────┘
 */
export class Connection implements ExitParticipant {
  readonly lane: Lane;
  readonly status: LogStatus;
  readonly view: LiveView;
  readonly recovery: RecoveryReport;
  readonly #threads: Threads;
  readonly #onError: ErrorReporter;
  /** The lanes of other threads, by number. Each port closes when the lane's thread ends, or has closed the lane. */
  readonly #others = new Map<
    number,
    { readonly lifePort: MessagePort; readonly i32: Int32Array<SharedArrayBuffer> }
  >();
  #closed: Promise<void> | undefined;
  #hasEnded = false;
  readonly #openedMs = nowMs();

  private constructor(threads: Threads, opened: Extract<ToLane, { kind: 'opened' }>, directory: string) {
    this.#threads = threads;
    this.#onError = threads.onError;
    this.lane = threads.lane;
    this.status = threads.status;
    this.recovery = opened.recovery;
    this.view = new LiveView(
      directory,
      threads.status,
      opened.segments,
      opened.origin,
      () => threads.lane.drainPorts(),
      (isHeld) => threads.hold(isHeld),
      threads.engine,
    );
    threads.onFailure = (failure, toldUnsynced, isTold) => {
      this.view.fail(failure);
      const error = failure();
      if (isTold || !this.#tellOfUnsynced(error, toldUnsynced)) publish('error', { directory, error });
    };
    threads.onLogMessage = (message) => this.#receive(message);
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
    const threads = new Threads(checked, engine);
    try {
      const opened = await threads.waitForOpening(checked.signal);
      threads.watchLives();
      return new Connection(threads, opened, checked.writer.directory);
    } catch (error) {
      await threads.terminate();
      if (error instanceof WalError) publish('error', { directory: checked.writer.directory, error });
      throw error;
    }
  }

  /** Completes what was accepted, syncs, releases the lock, ends the threads. Rejects once with the failure that ended the log. */
  close(): Promise<void> {
    if (this.#closed === undefined) {
      const closing = this.#close();
      // Whoever closes again only waits: the failure is told once.
      this.#closed = closing.then(
        () => undefined,
        () => undefined,
      );
      return closing;
    }
    return this.#closed;
  }

  /**
   * The process that the log belonged to is gone, in a simulation: the log takes nothing more, and what is pending is never settled,
   * since the code that waits for it is gone too.
   */
  abandon(): void {
    this.#closed = Promise.resolve();
    this.#threads.abandon();
    removeExitParticipant(this);
  }

  /** In a word or two, for people. */
  get state(): string {
    if (this.#hasEnded) return 'closed';
    if (this.#closed !== undefined) return 'closing';
    const { failure } = this.lane;
    return failure === undefined ? 'open' : `failed (${failure.code})`;
  }

  /** Milliseconds since the log was opened. */
  get uptimeMs(): number {
    return nowMs() - this.#openedMs;
  }

  /** Bytes in the fullest ring of other threads, as far as this one has heard of them. */
  fullestOfOthers(): number {
    let most = 0;
    for (const { i32 } of this.#others.values()) most = Math.max(most, ringUsed(i32));
    return most;
  }

  /** See `Threads.askForSyncs`. */
  askForSyncs(): void {
    this.#threads.askForSyncs();
  }

  /** See `Wal.attachment`. */
  attachment(): WalAttachment {
    if (!this.#threads.engine.hasOtherThreads) throw noOtherThreads(this.view.directory);
    return createAttachment(this.lane, this.#threads.surroundings);
  }

  flushAtExit(): void {
    // Whoever had something to lose has been told, by a promise or by `onError`.
    if (this.lane.failure !== undefined) return;
    this.#onError.startExit();
    this.lane.flushEachAppend();
    try {
      this.lane.flushAtExit();
    } catch (error) {
      // The callback's own.
      if (!(error instanceof WalError)) throw error;
      // No promise and no event loop is left to tell it by.
      this.#onError.report(error);
    }
  }

  flushAtException(): void {
    if (this.lane.failure !== undefined) return;
    try {
      this.lane.flushAtExit();
    } catch (error) {
      if (!(error instanceof WalError)) throw error;
      this.#onError.report(error);
    }
  }

  /** Of entries that are written, not durable, and have no promise that would say so. False = there are none. */
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
    const filesClosed = this.view.close();
    this.#threads.startClosing();
    await this.#threads.waitForEnd();
    this.#threads.detach();
    for (const [lane, { lifePort }] of this.#others) {
      this.#others.delete(lane);
      lifePort.close();
    }
    removeExitParticipant(this);
    this.#hasEnded = true;
    await filesClosed;
    const { failure } = this.lane;
    if (failure !== undefined) throw failure;
  }

  #receive(message: ToLane): void {
    if (message.kind === 'trouble') this.#onError.report(errorFromFailure(message.failure));
    else if (message.kind === 'lane-opened') this.#watchLane(message);
    else if (message.kind === 'sync-made') this.#tellOfSync(message.watermark, message.durationMs);
    else {
      this.view.receive(message);
      if (message.kind === 'segment-opened' && message.number > 0) this.#tellOfRotation(message);
    }
  }

  #tellOfSync(durableLsn: number, durationMs: number): void {
    publish('sync', { directory: this.view.directory, durableLsn, durationMs });
  }

  #tellOfRotation({ number, firstLsn, sealedBytes }: Extract<ToLane, { kind: 'segment-opened' }>): void {
    const { directory } = this.view;
    publish('rotate', { directory, path: join(directory, segmentName(number)), firstLsn, sealedBytes });
  }

  /**
   * The writer, which is blocked most of the time, does not hear that a thread has ended; this one does, in its event loop.
   * Nothing but the lane's return to the pool waits for that.
   */
  #watchLane({ lane, lifePort, buffer }: Extract<ToLane, { kind: 'lane-opened' }>): void {
    this.#others.set(lane, { lifePort, i32: new Int32Array(buffer) });
    lifePort.on('close', () => {
      if (this.#others.delete(lane)) this.lane.otherLanes.reportGone(lane);
    });
    lifePort.unref();
  }
}

/**
 * How many lifelines a lock file has: so many that logs which come one after the other do not pick the same. Nobody has to be kept
 * from guessing it, so that it takes no `node:crypto`, which would be memory for nothing else.
 */
const LIFELINES = 2 ** 40;

/** The two threads of a log and the shared memory between them. */
class Threads {
  readonly lane: Lane;
  readonly status: LogStatus;
  readonly onError: ErrorReporter;
  /** What a lane on another thread needs to know of the log. */
  readonly surroundings: LaneSurroundings;
  onLogMessage: (message: ToLane) => void = () => {};
  onFailure: LaneParts['onFailure'] = () => {};
  readonly engine: LogEngine;
  readonly #memory: LaneMemory;
  readonly #doorbell: Doorbell;
  readonly #writer: LogThread;
  readonly #sync: LogThread;
  readonly #ended: Promise<unknown>;
  readonly #directory: string;
  readonly #lockFile: string;
  readonly #lifeline = 1 + Math.floor(Math.random() * LIFELINES);
  /** Threads die with their locks, whatever they die of, and a thread that is blocked hears no event that would tell. */
  #lives: LifeWatch | undefined;
  #areSyncsAsked = false;
  #isClosing = false;
  #isClosed = false;
  /** How many wait for word of the threads. */
  #holds = 0;
  #onDeath: (cause: unknown) => void = () => {};

  constructor(checked: CheckedOptions, engine: LogEngine) {
    const { ringSize, maxLanes } = checked.lane;
    const memory = takeLaneMemory(ringSize);
    const views = viewLane(memory);
    resetLane(views);
    const bell = createDoorbellMemory();
    const status = createLogStatus();
    const syncWords = createSyncWords();
    const toWriter = new MessageChannel();
    const toSync = new MessageChannel();
    const between = new MessageChannel();
    const { directory, fileMode } = checked.writer;

    this.engine = engine;
    this.#memory = memory;
    this.#directory = directory;
    this.#lockFile = join(directory, LOCK_FILE);
    this.status = new LogStatus(status);
    this.onError = new ErrorReporter(checked.onError, (error) => publish('error', { directory, error }));
    this.#doorbell = engine.createDoorbell(bell);
    this.surroundings = {
      bell,
      status,
      options: checked.lane,
      lockFile: this.#lockFile,
      lifeline: this.#lifeline,
    };
    const writerData: WriterThreadData<MessagePort> = {
      role: 'writer',
      options: checked.writer,
      lane: memory,
      lanePort: toWriter.port2,
      ringSize,
      maxLanes,
      syncPort: between.port1,
      bell,
      status,
      syncWords,
    };
    const syncData: SyncThreadData<MessagePort> = {
      role: 'sync',
      directory,
      lifeline: this.#lifeline,
      fileMode,
      writerPort: between.port2,
      lanePort: toSync.port2,
      bell,
      status,
      syncWords,
    };
    const deliver = () => this.lane.drainPorts();
    let sync: LogThread | undefined;
    try {
      // First the one that does nothing unasked: if the other does not start, nobody has the lock.
      sync = engine.startThread(syncData, [between.port2, toSync.port2], deliver);
      this.#writer = engine.startThread(writerData, [toWriter.port2, between.port1], deliver);
    } catch (error) {
      void sync?.terminate();
      poolLaneMemory(memory);
      throw error;
    }
    this.#sync = sync;
    this.lane = new Lane({
      directory,
      views,
      doorbell: this.#doorbell,
      writerPort: toWriter.port1,
      syncPort: toSync.port1,
      status: this.status,
      options: checked.lane,
      areThreadsAlive: () => this.#lives?.bothLive() ?? true,
      hold: (isHeld) => this.hold(isHeld),
      onError: (error) => this.onError.report(error),
      onFailure: (failure, toldUnsynced, isTold) => this.onFailure(failure, toldUnsynced, isTold),
      onReceive: () => this.askForSyncs(),
      // That a thread has ended its own event tells.
      onPortClosed: () => {},
      onLogMessage: (message) => {
        if (message.kind === 'closed') this.#isClosed = true;
        else this.onLogMessage(message);
      },
    });
    this.#ended = this.#watch();
  }

  /** Resolves with what recovery found; rejects if the log is refused or a thread dies. */
  async waitForOpening(signal: AbortSignal | undefined): Promise<Extract<ToLane, { kind: 'opened' }>> {
    let onAbort = () => {};
    this.hold(true);
    try {
      return await new Promise((resolve, reject) => {
        onAbort = () => reject(signal?.reason);
        signal?.addEventListener('abort', onAbort, { once: true });
        this.#onDeath = (cause) => reject(diedWhileOpening(this.#directory, cause));
        this.onLogMessage = (message) => {
          if (message.kind === 'opened') resolve(message);
          else if (message.kind === 'refused') reject(errorFromFailure(message.failure));
        };
      });
    } finally {
      signal?.removeEventListener('abort', onAbort);
      this.#onDeath = () => {};
      this.hold(false);
    }
  }

  /**
   * Has each sync told, or no longer, as there are subscribers. Nothing says when one comes or goes: so it is looked at
   * whenever word comes from the threads, and when the figures are asked for.
   */
  askForSyncs(): void {
    const isAsked = isWatched('sync');
    if (isAsked === this.#areSyncsAsked) return;
    this.#areSyncsAsked = isAsked;
    this.status.syncsWatched = isAsked;
  }

  /** Has the writer complete what was accepted and close the log. */
  startClosing(): void {
    // Before the request: a thread that finds its ring full for good learns why.
    this.#doorbell.setClosing();
    this.lane.startClosing('close');
  }

  /** Waits until both threads are gone; they end by themselves once the writer has closed the log. */
  async waitForEnd(): Promise<void> {
    this.#isClosing = true;
    this.hold(true);
    this.#sync.ref();
    await this.#ended;
  }

  /** From here on a blocked wait notices if one of the threads dies. @throws ERR_WAL_IO: no descriptor is left for it */
  watchLives(): void {
    try {
      this.#lives = this.engine.watchLives(this.#lockFile, this.#lifeline);
    } catch (error) {
      const { message } = error as Error;
      throw new WalError('ERR_WAL_IO', `Cannot open "${this.#lockFile}": ${message}`, {
        path: this.#lockFile,
        cause: error,
      });
    }
  }

  async terminate(): Promise<void> {
    await Promise.all([this.#writer.terminate(), this.#sync.terminate()]);
    this.detach();
  }

  /** As [detach], but settles nothing. */
  abandon(): void {
    this.startClosing();
    this.lane.letGo();
    this.#lives?.close();
    this.#lives = undefined;
    poolLaneMemory(this.#memory);
  }

  /** Both threads are gone: lets go of what led to them. */
  detach(): void {
    this.lane.detach();
    this.#lives?.close();
    this.#lives = undefined;
    poolLaneMemory(this.#memory);
  }

  /**
   * Keeps the process alive while somebody waits for the threads: by the thread and not by its port, which closes as
   * soon as the thread dies, before anybody has been told that it did.
   */
  hold(isHeld: boolean): void {
    this.#holds += isHeld ? 1 : -1;
    if (this.#holds === 0) this.#writer.unref();
    else if (isHeld && this.#holds === 1) this.#writer.ref();
  }

  async #watch(): Promise<void> {
    const gone = (thread: LogThread) =>
      new Promise<void>((resolve) => {
        let cause: unknown;
        thread.on('error', (error) => {
          cause = error;
        });
        thread.once('exit', (exitCode) => {
          this.#noteEnd(exitCode, cause);
          resolve();
        });
        thread.unref();
      });
    await Promise.all([gone(this.#writer), gone(this.#sync)]);
  }

  /** One of the two is gone. If nobody asked for it the other has no work left, and nobody must wait for it. */
  #noteEnd(exitCode: number, cause: unknown): void {
    // Its last word may still be in the port.
    this.lane.drainPorts();
    // While the log is being closed the sync thread ends first, as it should.
    if (this.#isClosed || (this.#isClosing && exitCode === 0)) return;
    this.#isClosed = true;
    this.#doorbell.setDead();
    this.#onDeath(cause);
    this.lane.die(cause);
    void Promise.all([this.#writer.terminate(), this.#sync.terminate()]);
  }
}

function noOtherThreads(directory: string): WalError {
  return new WalError(
    'ERR_WAL_OPTION',
    `Cannot attach another thread to "${directory}": the log is on a simulated machine, which has one thread. Append to the log itself.`,
    { path: directory },
  );
}

function diedWhileOpening(directory: string, cause: unknown): WalError {
  return threadFailure(
    `Cannot open "${directory}": a thread of the log ended before it was open`,
    'Nothing was accepted.',
    directory,
    cause,
  );
}
