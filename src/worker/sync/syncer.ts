import type { MessagePort } from 'node:worker_threads';
import type { DiskFile } from '../../files/disk.js';
import type { Failure } from '../../protocol/errors.js';
import type { Housekeeping } from '../upkeep/keep-house.js';
import type { StatsOutcome } from '../upkeep/stats-publisher.js';
import type { SyncJob } from './sync-job.js';

/** How a started job ended. */
export interface SyncOutcome extends Housekeeping {
  /** Set when the log must end. */
  readonly failure?: Failure | undefined;
  /** Where figures were to be published. */
  readonly stats?: StatsOutcome | undefined;
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
  start(job: SyncJob<DiskFile>): void;
  /** The outcome of the job, once; `undefined` while it runs. */
  poll(): SyncOutcome | undefined;
  /** Waits for the job under way. */
  finish(): SyncOutcome;
  /** Jobs that are started from now on may acknowledge entries of `lane`, by this port. */
  addLane(lane: number, port: MessagePort): void;
  /** No job, also of those that were started, acknowledges anything to `lane` any more. */
  removeLane(lane: number): void;
  /** Lets go of whatever runs the jobs. Only while not busy. */
  stop(): void;
}
