import type { MessagePort } from 'node:worker_threads';
import type { Disk } from '../../../src/files/disk.js';
import type { Board } from '../../../src/ring/board.js';
import { failureOf } from '../../../src/worker/failure.js';
import type { LaneRuns, WriterOptions } from '../../../src/worker/messages.js';
import { Publisher } from '../../../src/worker/publication.js';
import { keepHouse, type SyncJob, syncFiles } from '../../../src/worker/sync-job.js';
import type { Syncer, SyncOutcome } from '../../../src/worker/syncer.js';

export interface SyncerHost {
  readonly disk: Disk;
  readonly board: Board;
  readonly options: WriterOptions;
  acknowledge(lane: number, runs: LaneRuns): void;
}

/** The process that the figures are published for. */
export const PID = 4711;

/** What src/worker/sync-thread.ts does with a job, when the test says so: a sync takes as long as a test needs. */
export class StepSyncer implements Syncer {
  /** Run each job as soon as it is started. */
  isPrompt = false;
  isStopped = false;
  /** A sync has failed, whether or not the writer came to hear of it. */
  hasFailed = false;
  /** Every job so far. */
  readonly jobs: SyncJob[] = [];
  protected readonly host: SyncerHost;
  readonly #publisher: Publisher;
  /** By lane, but for the opener's. */
  readonly lanePorts = new Map<number, MessagePort>();
  #job: SyncJob | undefined;
  /** Of the job under way, once it is done and the writer has not heard of it. */
  #done: SyncOutcome | undefined;
  #outcome: SyncOutcome | undefined;

  constructor(host: SyncerHost) {
    this.host = host;
    const { disk, board, options } = host;
    this.#publisher = new Publisher(disk, options.directory, board, options.fileMode, PID);
  }

  get busy(): boolean {
    return this.#job !== undefined || this.#outcome !== undefined;
  }

  get isDone(): boolean {
    return this.#outcome !== undefined;
  }

  start(job: SyncJob): void {
    if (this.busy) throw new Error('two jobs at a time');
    this.jobs.push(job);
    this.#job = job;
    if (this.isPrompt) this.complete();
  }

  /**
   * The thread does the job that is under way, if any, and tells the lanes; the writer is to hear of it by [complete]. Until then it
   * may write more, which the sync does not cover.
   */
  work(): void {
    if (this.#job !== undefined) this.#done ??= this.run(this.#job);
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
    this.lanePorts.set(lane, port);
  }

  removeLane(lane: number): void {
    this.lanePorts.get(lane)?.close();
    if (!this.lanePorts.delete(lane)) throw new Error('a lane is removed that was not added');
  }

  stop(): void {
    if (this.busy) throw new Error('stopped while a job was under way');
    this.#publisher.close();
    this.isStopped = true;
  }

  protected run(job: SyncJob): SyncOutcome {
    const { disk, options } = this.host;
    try {
      this.sync(job);
      if (job.files.length > 0) this.tell(job);
      const done = keepHouse(disk, options.directory, job, options.fileMode);
      if (job.publication === undefined) return done;
      return { ...done, published: this.#publisher.publish(job.publication) };
    } catch (error) {
      this.hasFailed = true;
      const failure = failureOf(error, 'sync the log', options.directory);
      return { failure, stateWritten: false, unremoved: [], troubles: [] };
    }
  }

  protected sync(job: SyncJob): void {
    syncFiles(this.host.disk, this.host.options.directory, job);
  }

  protected tell(job: SyncJob): void {
    this.host.board.set('durableLsn', job.watermark);
    this.host.board.add('syncs', 1);
    for (const { lane, runs } of job.acknowledgements) {
      if (lane === 0) this.host.acknowledge(lane, runs);
      else this.lanePorts.get(lane)?.postMessage({ kind: 'durable', runs });
    }
  }
}
