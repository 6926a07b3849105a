import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import type { CheckpointChange, ReplicatedPlace } from '../../protocol/checkpoint-changes.js';
import type {
  FromReplica,
  ReplicaState,
  ReplicaThreadData,
  ToReplica,
} from '../../protocol/replica-messages.js';
import type { LogStatus } from '../../ring/log-status.js';
import { errorFromFailure, WalError } from '../errors/wal-error.js';
import type { CheckedReplica } from '../options/replica-option.js';
import { LagClock, type ReplicaStats } from './replica-figures.js';

/** The thread, as far as it concerns this room. */
export interface ReplicaThread {
  on(event: 'error', listener: (error: unknown) => void): unknown;
  once(event: 'exit', listener: () => void): unknown;
  ref(): void;
  unref(): void;
}

export interface ReplicationParts {
  readonly directory: string;
  readonly status: LogStatus;
  readonly statusMemory: SharedArrayBuffer;
  readonly checked: CheckedReplica;
  readonly channel: string;
  /** 16 hexadecimal digits. */
  readonly logId: string;
  readonly known: ReplicatedPlace;
  readonly startThread: (data: ReplicaThreadData<MessagePort>, port: MessagePort) => ReplicaThread;
  readonly nowMs: () => number;
  /** Some milliseconds. */
  readonly pause: () => Promise<void>;
  /** How many cuts of the log have been heard of. */
  readonly cuts: () => number;
  /** Makes the progress durable; false: a cut came before. */
  readonly record: (change: CheckpointChange) => Promise<boolean>;
  readonly report: (error: WalError) => void;
}

/** How often the progress is recorded in the state file: after a crash the entries since then are compared with the replica. */
const RECORD_MS = 1000;

/**
 * The replica of an open log, as the opening thread sees it: it starts the replica thread, records its progress in the state file, which
 * releases segments for retention, and keeps it away from a log that is being cut.
 */
export class Replication {
  readonly #parts: ReplicationParts;
  readonly #thread: ReplicaThread;
  readonly #port: MessagePort;
  readonly #ended: Promise<void>;
  readonly #lag: LagClock;
  #state: ReplicaState = 'connecting';
  #place: ReplicatedPlace;
  #lagBytes = 0;
  #failures = 0;
  #lastError: ReplicaStats['lastError'];
  #lastMessage = '';
  #cut: ((failure: WalError | undefined) => void) | undefined;
  #isRecording = false;
  #isStopping = false;
  #isPlaceNew = false;
  #recordedMs = Number.NEGATIVE_INFINITY;
  #onState: () => void = () => {};

  constructor(parts: ReplicationParts) {
    const { directory, statusMemory, checked, channel, logId, known } = parts;
    const { port1, port2 } = new MessageChannel();
    this.#parts = parts;
    this.#place = known;
    this.#port = port1;
    this.#lag = new LagClock(parts.nowMs);
    // It comes from the state file, and may be lower than what the replica has.
    parts.status.set('replicatedLsn', known.lsn);
    const { adapter, timeoutMs, maxLag, onLag, expectEpoch } = checked;
    this.#thread = parts.startThread(
      {
        role: 'replica',
        directory,
        status: statusMemory,
        port: port2,
        channel,
        adapter,
        logId,
        writer: channel,
        known,
        expectEpoch,
        timeoutMs,
        maxLag,
        onLag,
      },
      port2,
    );
    port1.on('message', (message: FromReplica) => this.#receive(message));
    port1.unref();
    this.#ended = new Promise((resolve) => {
      let cause: unknown;
      this.#thread.on('error', (error) => {
        cause = error;
      });
      this.#thread.once('exit', () => {
        this.#noteEnd(cause);
        resolve();
      });
    });
    this.#thread.unref();
  }

  stats(): ReplicaStats {
    const { status } = this.#parts;
    const [durableLsn, replicatedLsn] = [status.get('durableLsn'), status.get('replicatedLsn')];
    return {
      state: this.#state,
      replicatedLsn,
      epoch: this.#place.epoch,
      lagEntries: Math.max(0, durableLsn - replicatedLsn),
      lagBytes: replicatedLsn >= durableLsn ? 0 : this.#lagBytes,
      lagMs: this.#lag.read(durableLsn, replicatedLsn),
      failures: this.#failures,
      ...(this.#lastError === undefined ? {} : { lastError: this.#lastError }),
    };
  }

  /** Resolves once the log is acquired and shipping. Rejects with what replication has stopped for. */
  async established(): Promise<void> {
    this.#thread.ref();
    try {
      while (this.#state !== 'shipping') {
        if (this.#state === 'stopped' || this.#state === 'closed') throw this.#stopError();
        await new Promise<void>((resolve) => {
          this.#onState = resolve;
        });
      }
    } finally {
      this.#thread.unref();
    }
  }

  /**
   * Runs `cutLog`, which cuts the local log after entry `lsn`, while the replica holds nothing above `lsn` and nothing is shipped. The
   * replica goes first: a local log that ends before it would be taken for an old copy. If the process dies in between, the next open
   * ships the entries again.
   */
  async cut(lsn: number, empties: boolean, cutLog: () => Promise<void>): Promise<void> {
    if (this.#state === 'stopped' || this.#state === 'closed') return cutLog();
    if (this.#cut !== undefined)
      throw new WalError(
        'ERR_WAL_OPTION',
        `Cannot cut "${this.#parts.directory}": another cut is under way.`,
        {
          path: this.#parts.directory,
        },
      );
    this.#thread.ref();
    try {
      await new Promise<void>((resolve, reject) => {
        this.#cut = (failure) => (failure === undefined ? resolve() : reject(failure));
        this.#post({ kind: 'cut', lsn, empties });
      });
      await cutLog();
      await this.#recordNow();
    } finally {
      this.#cut = undefined;
      this.#thread.unref();
      this.#post({ kind: 'resume' });
    }
  }

  /** Before the log closes: one more record, so that the next open has nothing to compare. */
  recordLast(): void {
    for (
      let each = receiveMessageOnPort(this.#port);
      each !== undefined;
      each = receiveMessageOnPort(this.#port)
    )
      this.#receive(each.message as FromReplica);
    if (this.#isPlaceNew) void this.#recordNow();
  }

  /** Resolves when `isDone`, when replication has ended, or after the time that a request may take. */
  async drained(isDone: () => boolean): Promise<void> {
    const untilMs = this.#parts.nowMs() + this.#parts.checked.timeoutMs;
    while (!isDone() && this.#state !== 'stopped' && this.#parts.nowMs() < untilMs) await this.#parts.pause();
  }

  /** Ends the thread. What was under way is found out by the next open. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    if (this.#state !== 'closed') this.#post({ kind: 'stop' });
    this.#thread.ref();
    await this.#ended;
    this.#port.close();
  }

  #post(message: ToReplica): void {
    this.#port.postMessage(message);
  }

  #receive(message: FromReplica): void {
    switch (message.kind) {
      case 'state':
        this.#state = message.state;
        this.#onState();
        break;
      case 'progress':
        this.#place = message.place;
        this.#isPlaceNew = true;
        this.#noteLag();
        if (this.#cut === undefined) this.#recordSometimes();
        break;
      case 'lag':
        this.#lagBytes = message.bytes;
        this.#noteLag();
        break;
      case 'trouble':
        this.#noteTrouble(errorFromFailure(message.failure), message.isFinal);
        break;
      case 'cut':
        this.#cut?.(message.failure && errorFromFailure(message.failure));
    }
  }

  #noteLag(): void {
    const { status } = this.#parts;
    this.#lag.read(status.get('durableLsn'), status.get('replicatedLsn'));
  }

  /** Each trouble is counted; one that repeats is reported once, until there is another one. */
  #noteTrouble(error: WalError, isFinal: boolean): void {
    this.#failures += 1;
    this.#lastError = { code: error.code, message: error.message };
    if (isFinal && error.code === 'ERR_WAL_PURGED' && this.#parts.checked.onLag === 'detach')
      void this.#parts.record({ kind: 'detached' }).catch(() => {});
    if (error.message === this.#lastMessage) return;
    this.#lastMessage = error.message;
    this.#parts.report(error);
  }

  #recordSometimes(): void {
    if (this.#isRecording || this.#parts.nowMs() - this.#recordedMs < RECORD_MS) return;
    void this.#recordNow();
  }

  async #recordNow(): Promise<void> {
    const { record, cuts, nowMs } = this.#parts;
    this.#isRecording = true;
    this.#isPlaceNew = false;
    try {
      await record({ kind: 'replicated', place: this.#place, cuts: cuts() });
    } catch {
      // The log is closed or has failed, which its calls tell; or the disk is full, and the next progress tries again.
      this.#isPlaceNew = true;
    } finally {
      this.#isRecording = false;
      this.#recordedMs = nowMs();
    }
  }

  #noteEnd(cause: unknown): void {
    // Its last word may still be in the port.
    if (this.#isStopping || this.#state === 'closed' || this.#state === 'stopped') return;
    this.#state = 'stopped';
    const why = cause instanceof Error ? `: ${cause.message}` : '';
    const { directory } = this.#parts;
    const message = `Replication of "${directory}" has ended: its thread ended unexpectedly${why}. The log itself works on.`;
    this.#noteTrouble(new WalError('ERR_WAL_WORKER_DIED', message, { path: directory, cause }), true);
    this.#onState();
    this.#cut?.(this.#stopError());
  }

  #stopError(): WalError {
    const { code = 'ERR_WAL_CLOSED', message = 'Replication has ended.' } = this.#lastError ?? {};
    return new WalError(code, message, { path: this.#parts.directory });
  }
}
