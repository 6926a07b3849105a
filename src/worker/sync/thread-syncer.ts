import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import type { DiskFile, FileIdentity } from '../../files/disk.js';
import { SyncWord } from '../../protocol/sync-words.js';
import { LogFailure } from '../errors/failure.js';
import type { SyncJob } from './sync-job.js';
import type { Syncer, SyncOutcome } from './syncer.js';

/** A file of a [SyncJob] as it crosses to the sync thread, which syncs the same descriptor that the writer wrote to. */
export interface FileHandle extends FileIdentity {
  readonly fd: number;
  readonly path: string;
}

export type ToSyncThread =
  /** The lock file exists: take the lifeline. `place`: the log's directory. */
  | { readonly kind: 'begin'; readonly place: FileIdentity }
  | {
      readonly kind: 'job';
      readonly job: Omit<SyncJob, 'files'> & { readonly files: readonly FileHandle[] };
      readonly newLanes: readonly { readonly lane: number; readonly port: MessagePort }[];
      readonly goneLanes: readonly number[];
    }
  | { readonly kind: 'stop' };

/** The writer's end of the sync thread. */
export class ThreadSyncer implements Syncer {
  readonly #port: MessagePort;
  readonly #words: Int32Array<SharedArrayBuffer>;
  /** Asked once for each file: asking the system at every sync would cost as much as posting the job. */
  readonly #identities = new WeakMap<DiskFile, FileIdentity>();
  /** Lanes that the next job adds and removes. */
  #newLanes = new Map<number, MessagePort>();
  #goneLanes: number[] = [];
  #requested = 0;
  #busy = false;

  constructor(port: MessagePort, words: SharedArrayBuffer) {
    this.#port = port;
    this.#words = new Int32Array(words);
  }

  /**
   * Waits until the sync thread works and its death can be noticed. Called once, before any job: from then on every thread that
   * waits for it notices if it dies.
   *
   * @throws LogFailure if the sync thread could not start
   */
  begin(place: FileIdentity): void {
    this.#busy = true;
    this.#send({ kind: 'begin', place });
    const { failure } = this.finish();
    if (failure !== undefined) throw LogFailure.of(failure);
  }

  get busy(): boolean {
    return this.#busy;
  }

  get isDone(): boolean {
    // Ordered after everything that the sync thread did for the job, its report included.
    return this.#busy && Atomics.load(this.#words, SyncWord.done) === this.#requested;
  }

  start(job: SyncJob<DiskFile>): void {
    if (this.#busy) throw new Error('a sync job is under way already');
    this.#busy = true;
    const newLanes = [...this.#newLanes].map(([lane, port]) => ({ lane, port }));
    const goneLanes = this.#goneLanes;
    this.#newLanes.clear();
    this.#goneLanes = [];
    const files = job.files.map((file) => this.#handle(file));
    const ports = newLanes.map(({ port }) => port);
    this.#send({ kind: 'job', job: { ...job, files }, newLanes, goneLanes }, ports);
  }

  poll(): SyncOutcome | undefined {
    if (!this.isDone) return undefined;
    this.#busy = false;
    return receiveMessageOnPort(this.#port)?.message as SyncOutcome;
  }

  finish(): SyncOutcome {
    for (;;) {
      const outcome = this.poll();
      if (outcome !== undefined) return outcome;
      // Sleeps only if no job has ended since the load: the wait compares the word again, so it sees a later store.
      Atomics.wait(this.#words, SyncWord.done, (this.#requested - 1) | 0);
    }
  }

  addLane(lane: number, port: MessagePort): void {
    this.#newLanes.set(lane, port);
  }

  removeLane(lane: number): void {
    const unsent = this.#newLanes.get(lane);
    if (unsent === undefined) {
      this.#goneLanes.push(lane);
    } else {
      // No job was sent since it was added: the sync thread does not know the lane.
      this.#newLanes.delete(lane);
      unsent.close();
    }
  }

  stop(): void {
    this.#send({ kind: 'stop' });
  }

  #send(message: ToSyncThread, transfer: MessagePort[] = []): void {
    this.#port.postMessage(message, transfer);
    this.#requested = (this.#requested + 1) | 0;
    Atomics.store(this.#words, SyncWord.requested, this.#requested);
    Atomics.notify(this.#words, SyncWord.requested);
  }

  #handle(file: DiskFile): FileHandle {
    let identity = this.#identities.get(file);
    if (identity === undefined) {
      identity = file.identity();
      this.#identities.set(file, identity);
    }
    return { fd: file.fd, path: file.path, dev: identity.dev, ino: identity.ino };
  }
}
