import type { WalErrorCode } from '../../protocol/errors.js';
import type { ReplicaState } from '../../protocol/replica-messages.js';

/** The replica of a log: {@link Wal.replica}. */
export interface ReplicaStats {
  /**
   * `connecting`: not acquired yet. `shipping`: all is well. `retrying`: the last request failed, and is settled or repeated. `stopped`:
   * replication has ended for as long as the log is open; `lastError` says why. `closed`: the log was closed.
   */
  readonly state: ReplicaState;
  /** As {@link Wal.replicatedLsn}. */
  readonly replicatedLsn: number;
  /** Under which the log writes there; 0 = it has none yet. */
  readonly epoch: number;
  /** Durable entries that are not replicated. */
  readonly lagEntries: number;
  /** Their bytes, roughly, at the last look: twice a second. */
  readonly lagBytes: number;
  /** Milliseconds for which the log has had entries that are not replicated; 0 = it has none. */
  readonly lagMs: number;
  /** Failures since the log was opened. Most are repeated successfully. */
  readonly failures: number;
  /** The last failure, in words; absent: there was none. */
  readonly lastError?: {
    /** As of the error that `onError` was given. */
    readonly code: WalErrorCode;
    /** Its text. */
    readonly message: string;
  };
}

/** Since when something waits to be replicated. */
export class LagClock {
  readonly #nowMs: () => number;
  #behindSinceMs: number | undefined;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Called at each progress, and when the figure is asked for. */
  read(durableLsn: number, replicatedLsn: number): number {
    if (replicatedLsn >= durableLsn) {
      this.#behindSinceMs = undefined;
      return 0;
    }
    this.#behindSinceMs ??= this.#nowMs();
    return this.#nowMs() - this.#behindSinceMs;
  }
}
