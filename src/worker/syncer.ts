import type { Failure } from './messages.js';
import type { SyncJob } from './sync-job.js';

/** How a started job ended. */
export interface SyncOutcome {
  /** Set when the log must end. */
  readonly failure?: Failure | undefined;
  readonly stateWritten: boolean;
  /** See [Housekeeping]. */
  readonly unremoved: readonly number[];
  readonly troubles: readonly Failure[];
}

/**
 * Whoever syncs for the writer: the sync thread, or in tests and simulation something that runs the job when told to.
 * At most one job is under way.
 */
export interface Syncer {
  /** A job was started and its outcome not taken. */
  readonly busy: boolean;
  /** [poll] has an outcome. */
  readonly isDone: boolean;
  /** Starts a job. Only while not busy. */
  start(job: SyncJob): void;
  /** The outcome of the job, once; `undefined` while it runs. */
  poll(): SyncOutcome | undefined;
  /** Waits for the job under way. */
  finish(): SyncOutcome;
  /** Lets go of whatever runs the jobs. Only while not busy. */
  stop(): void;
}
