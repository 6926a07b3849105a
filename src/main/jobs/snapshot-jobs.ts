import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type {
  FromSource,
  RemoveSnapshotsRequest,
  SnapshotCheck,
  ToSource,
  VerifySnapshotRequest,
  WriteSnapshotRequest,
} from '../../protocol/snapshot-jobs.js';
import type { SnapshotRecord } from '../../protocol/snapshots.js';
import { errorFromFailure } from '../errors/wal-error.js';
import { threadFailure } from '../threads/start-thread.js';
import { runJob, runSnapshotThread } from './job-pool.js';

/** The work on snapshots that blocks. It runs on threads of the system, or on a simulated machine. */
export interface SnapshotJobs {
  /** Begins the file of a snapshot. @throws WalError ERR_WAL_OPTION, ERR_WAL_IO, ERR_WAL_WORKER_DIED; then there is no file */
  write(request: WriteSnapshotRequest): Promise<SnapshotSink>;
  /** LSNs of the files that have the name of a snapshot, newest first. @throws WalError ERR_WAL_IO, ERR_WAL_WORKER_DIED */
  find(directory: string): Promise<readonly number[]>;
  /** @throws WalError ERR_WAL_IO, ERR_WAL_WORKER_DIED; the signal's reason */
  verify(request: VerifySnapshotRequest, signal: AbortSignal | undefined): Promise<SnapshotCheck>;
  /** @throws WalError ERR_WAL_IO, ERR_WAL_WORKER_DIED */
  remove(request: RemoveSnapshotsRequest): Promise<void>;
}

/** The file of a snapshot that is being written. Calls are carried out in order. After an error, only `abort` may follow. */
export interface SnapshotSink {
  /**
   * Writes a chunk: `buffer` as `SnapshotWriter.write` takes it. The caller must not touch the buffer until the promise returns it,
   * or another one of its size.
   */
  write(buffer: ArrayBuffer, dataBytes: number): Promise<ArrayBuffer>;
  /** Completes the file and makes it durable under its aside name. */
  finish(): Promise<SnapshotRecord>;
  /** Removes the file. */
  abort(): Promise<void>;
  /** Lets go of the file, which was finished. */
  close(): void;
}

/** On threads of the system. */
export function systemSnapshotJobs(workerUrl: URL | undefined): SnapshotJobs {
  return {
    write: async (request) => {
      const sink = new ThreadSink(request, workerUrl);
      await sink.begun;
      return sink;
    },
    find: async (directory) => (await runJob('findSnapshots', { directory }, { workerUrl })).lsns,
    verify: (request, signal) => runJob('verifySnapshot', request, { workerUrl, signal }),
    remove: async (request) => {
      await runJob('removeSnapshots', request, { workerUrl });
    },
  };
}

interface Pending {
  readonly resolve: (answer: Exclude<ToSource, { kind: 'failed' }>) => void;
  readonly reject: (error: unknown) => void;
}

class ThreadSink implements SnapshotSink {
  /** Resolves once the file is there. */
  readonly begun: Promise<unknown>;
  readonly #port: MessagePort;
  /** The calls that wait for an answer, in the order of the answers. */
  readonly #pending: Pending[] = [];
  #death: unknown;

  constructor(request: WriteSnapshotRequest, workerUrl: URL | undefined) {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    port1.on('message', (message: ToSource) => this.#receive(message));
    port1.unref();
    this.begun = this.#answer();
    runSnapshotThread({ ...request, port: port2 }, workerUrl).catch((error: unknown) => {
      const { directory } = request;
      const what = `Cannot write a snapshot of "${directory}": the thread that was to do it did not start, or ended`;
      this.#die(threadFailure(what, '', directory, error));
    });
  }

  async write(buffer: ArrayBuffer, dataBytes: number): Promise<ArrayBuffer> {
    const answer = await this.#ask({ kind: 'chunk', buffer, dataBytes }, [buffer]);
    return (answer as Extract<ToSource, { kind: 'written' }>).buffer;
  }

  async finish(): Promise<SnapshotRecord> {
    const answer = await this.#ask({ kind: 'finish' });
    return (answer as Extract<ToSource, { kind: 'finished' }>).snapshot;
  }

  async abort(): Promise<void> {
    try {
      await this.#ask({ kind: 'abort' });
    } finally {
      this.#port.close();
    }
  }

  close(): void {
    this.#port.close();
  }

  #ask(message: FromSource, buffers: ArrayBuffer[] = []): Promise<unknown> {
    if (this.#death !== undefined) return Promise.reject(this.#death);
    this.#port.postMessage(message, buffers);
    return this.#answer();
  }

  #answer(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      // The thread may have nothing left to do, and end, before its answer is here.
      this.#port.ref();
      this.#pending.push({ resolve, reject });
    });
  }

  #receive(message: ToSource): void {
    const pending = this.#pending.shift();
    if (this.#pending.length === 0) this.#port.unref();
    if (message.kind === 'failed') pending?.reject(errorFromFailure(message.failure));
    else pending?.resolve(message);
  }

  #die(error: unknown): void {
    this.#death = error;
    this.#port.unref();
    for (const { reject } of this.#pending.splice(0)) reject(error);
  }
}
