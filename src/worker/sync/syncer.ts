import type { MessagePort } from 'node:worker_threads';
import type { DiskFile } from '../../files/disk.js';
import type { Failure } from '../../protocol/errors.js';
import type { Housekeeping } from '../upkeep/keep-house.js';
import type { StatsOutcome } from '../upkeep/stats-publisher.js';
import type { SyncJob } from './sync-job.js';

/** How a started job ended. */
export interface SyncOutcome extends Housekeeping {
  /** Set if the log must end. */
  readonly failure?: Failure | undefined;
  /** Set if the job wrote the stats file, or failed to. */
  readonly stats?: StatsOutcome | undefined;
}

/**
 * Runs the writer's sync jobs: the sync thread, or in tests and simulations an object that runs a job on command. At most one job
 * is under way.
 */
export interface Syncer {
  /** A job was started and its outcome has not been taken. */
  readonly busy: boolean;
  /** [poll] returns an outcome. */
  readonly isDone: boolean;
  /** Starts a job. Only while not busy. */
  start(job: SyncJob<DiskFile>): void;
  /** The outcome of the job, once; `undefined` while the job runs. */
  poll(): SyncOutcome | undefined;
  /** Waits for the job under way and returns its outcome. */
  finish(): SyncOutcome;
  /** Jobs started from now on may acknowledge entries of `lane` through this port. */
  addLane(lane: number, port: MessagePort): void;
  /** No job acknowledges anything to `lane` any more, not even one that was started before. */
  removeLane(lane: number): void;
  /** Ends what runs the jobs. Only while not busy. */
  stop(): void;
}
