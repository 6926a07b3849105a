import type { MessagePort } from 'node:worker_threads';
import type { Disk, DiskFile } from '../files/disk.js';
import type { WriterOptions } from '../protocol/thread-data.js';
import type { LogStatus } from '../ring/log-status.js';
import type { LogDirectory } from '../worker/directory/log-directory.js';
import { AckChannel } from '../worker/intake/ack-channel.js';
import { JobRunner } from '../worker/sync/job-runner.js';
import type { SyncJob } from '../worker/sync/sync-job.js';
import type { SyncRound, SyncRoundParts } from '../worker/sync/sync-round.js';
import type { Syncer, SyncOutcome } from '../worker/sync/syncer.js';
import { StatsPublisher } from '../worker/upkeep/stats-publisher.js';

export interface SyncerHost {
  readonly disk: Disk;
  readonly nowMs: () => number;
  readonly status: LogStatus;
  readonly options: Pick<WriterOptions, 'directory' | 'fileMode'>;
  readonly place: LogDirectory;
  /** The sync thread's port to the opener. */
  readonly openerPort: MessagePort;
  readonly createRound: (parts: SyncRoundParts) => SyncRound;
  /** The process id in the stats file. */
  readonly pid: number;
}

/** Runs the sync thread's code (`JobRunner`) on command: a sync takes as long as a simulation or a test needs. */
export class SteppedSyncer implements Syncer {
  /** Runs each job as soon as it is started. */
  isPrompt = false;
  /** Called with each job that is started. */
  onStart: () => void = () => {};
  isStopped = false;
  /** A sync has failed, whether or not the writer has learned of it. */
  hasFailed = false;
  /** Every job so far. */
  readonly jobs: SyncJob[] = [];
  protected readonly round: SyncRound;
  readonly #publisher: StatsPublisher;
  readonly #runner: JobRunner;
  readonly #channels: Map<number, AckChannel>;
  #job: SyncJob | undefined;
  /** The outcome of the job under way, once the job is done and until the writer may take it. */
  #done: SyncOutcome | undefined;
  #outcome: SyncOutcome | undefined;

  constructor({ disk, nowMs, status, options, place, openerPort, createRound, pid }: SyncerHost) {
    this.#channels = new Map([[0, new AckChannel(openerPort)]]);
    this.#publisher = new StatsPublisher(disk, options.directory, status, options.fileMode, pid);
    this.round = createRound({
      disk,
      nowMs,
      directory: options.directory,
      status,
      channels: this.#channels,
    });
    this.#runner = new JobRunner(disk, place, options.fileMode, this.round, this.#publisher);
  }

  get busy(): boolean {
    return this.#job !== undefined || this.#outcome !== undefined;
  }

  get isDone(): boolean {
    return this.#outcome !== undefined;
  }

  start(job: SyncJob<DiskFile>): void {
    if (this.busy) throw new Error('a sync job is under way already');
    this.jobs.push(job);
    this.#job = job;
    this.onStart();
    if (this.isPrompt) this.complete();
  }

  /**
   * Runs the job under way, if any, which acknowledges entries to the lanes. The writer learns of it by [complete]. Until then it
   * may write more, which the sync does not cover.
   */
  work(): void {
    if (this.#job !== undefined) this.#done ??= this.#run(this.#job);
  }

  /** The sync that is under way, if any, returns. */
  complete(): void {
    this.work();
    if (this.#job === undefined) return;
    this.#job = undefined;
    this.#outcome = this.#done;
    this.#done = undefined;
  }

  poll(): SyncOutcome | undefined {
    const outcome = this.#outcome;
    this.#outcome = undefined;
    return outcome;
  }

  finish(): SyncOutcome {
    this.complete();
    const outcome = this.poll();
    if (outcome === undefined) throw new Error('no job is under way');
    return outcome;
  }

  addLane(lane: number, port: MessagePort): void {
    this.#channels.set(lane, new AckChannel(port));
  }

  removeLane(lane: number): void {
    this.#channels.get(lane)?.close();
    if (!this.#channels.delete(lane)) throw new Error('the removed lane was never added');
  }

  /** How many lanes were added and not removed. */
  get lanes(): number {
    return this.#channels.size - 1;
  }

  stop(): void {
    if (this.busy) throw new Error('the syncer was stopped while a job was under way');
    this.#publisher.close();
    this.isStopped = true;
  }

  #run(job: SyncJob): SyncOutcome {
    const outcome = this.#runner.run(job);
    this.hasFailed ||= outcome.failure !== undefined;
    return outcome;
  }
}
