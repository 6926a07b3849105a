import { join } from 'node:path';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { LOCK_FILE } from '../../format/segment-name.js';
import type { ToLane } from '../../protocol/lane-messages.js';
import { createSyncWords } from '../../protocol/sync-words.js';
import type { SyncThreadData, WriterThreadData } from '../../protocol/thread-data.js';
import { createDoorbellMemory, type Doorbell } from '../../ring/doorbell.js';
import { type LaneMemory, resetLane, viewLane } from '../../ring/layout.js';
import { createLogStatus, LogStatus } from '../../ring/log-status.js';
import { Lane } from '../append/lane.js';
import type { LaneParts } from '../append/lane-parts.js';
import { errorFromFailure, type WalError } from '../errors/wal-error.js';
import type { CheckedOptions } from '../options/wal-options.js';
import { threadFailure } from '../threads/start-thread.js';
import type { LaneSurroundings } from './attachment.js';
import { isWatched, publish } from './diagnostics.js';
import { ErrorReporter } from './error-reporter.js';
import { HoldCount } from './hold-count.js';
import { poolLaneMemory, takeLaneMemory } from './lane-memories.js';
import { openLifeWatch } from './life-watch.js';
import type { LifeWatch, LogEngine, LogThread } from './log-engine.js';

/**
 * How many lifelines a lock file has: so many that logs that follow each other do not pick the same one. The choice need not be
 * hard to guess, so it does not use `node:crypto`, which would take memory and is not needed otherwise.
 */
const LIFELINES = 2 ** 40;

/** The two threads of a log and the shared memory between them. */
export class LogThreads {
  readonly lane: Lane;
  readonly status: LogStatus;
  readonly onError: ErrorReporter;
  /** The data about the log that a lane on another thread needs. */
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
  /** However a thread dies, its locks go with it. A blocked thread checks these, since it receives no events. */
  #lives: LifeWatch | undefined;
  #areSyncsAsked = false;
  #isClosing = false;
  #isClosed = false;
  /** References the threads and not their ports: a port closes as soon as its thread dies, before any promise has rejected. */
  readonly #holds: HoldCount;
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
      // The sync thread starts first, since it does nothing unasked: if the writer then does not start, no thread has the lock.
      sync = engine.startThread(syncData, [between.port2, toSync.port2], deliver);
      this.#writer = engine.startThread(writerData, [toWriter.port2, between.port1], deliver);
    } catch (error) {
      void sync?.terminate();
      poolLaneMemory(memory);
      throw error;
    }
    this.#sync = sync;
    this.#holds = new HoldCount(this.#writer);
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
      // The thread's own event reports its end.
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
   * Asks for a message about each sync if there are subscribers, and for none otherwise. No event says when a subscriber comes or
   * goes, so this is checked whenever a message comes from the threads, and when the figures are asked for.
   */
  askForSyncs(): void {
    const isAsked = isWatched('sync');
    if (isAsked === this.#areSyncsAsked) return;
    this.#areSyncsAsked = isAsked;
    this.status.syncsWatched = isAsked;
  }

  /** Has the writer complete the accepted entries and close the log. */
  startClosing(): void {
    // Set before the request is posted: a thread whose ring then stays full learns why.
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

  /** From now on a blocked wait notices that a thread has died. @throws ERR_WAL_IO: no file descriptor is left */
  watchLives(): void {
    this.#lives = openLifeWatch(this.#lockFile, () => this.engine.watchLives(this.#lockFile, this.#lifeline));
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

  /** Both threads are gone: closes the ports to them and drops references. */
  detach(): void {
    this.lane.detach();
    this.#lives?.close();
    this.#lives = undefined;
    poolLaneMemory(this.#memory);
  }

  /** Keeps the process alive while a promise waits for the threads. */
  hold(isHeld: boolean): void {
    this.#holds.change(isHeld);
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

  /** One of the two is gone. If that was not requested, the other has no work left, and no caller may wait for it. */
  #noteEnd(exitCode: number, cause: unknown): void {
    // Its last message may still be in the port.
    this.lane.drainPorts();
    // While the log is being closed, the sync thread ends first, as intended.
    if (this.#isClosed || (this.#isClosing && exitCode === 0)) return;
    this.#isClosed = true;
    this.#doorbell.setDead();
    this.#onDeath(cause);
    this.lane.die(cause);
    void Promise.all([this.#writer.terminate(), this.#sync.terminate()]);
  }
}

function diedWhileOpening(directory: string, cause: unknown): WalError {
  return threadFailure(
    `Cannot open "${directory}": a thread of the log ended before it was open`,
    'Nothing was accepted.',
    directory,
    cause,
  );
}
