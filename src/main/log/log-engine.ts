import type { MessagePort, Worker } from 'node:worker_threads';
import { identifyPath, openForReading } from '../../files/async-file.js';
import { LockWatch } from '../../files/lock.js';
import { clearTimeout, nowMs, setTimeout, wallMs } from '../../files/node-globals.js';
import type { BackupReport, StoppedJob } from '../../protocol/backup-reports.js';
import type { Failure } from '../../protocol/errors.js';
import type { ReplicaThreadData } from '../../protocol/replica-messages.js';
import type { SyncThreadData, WriterThreadData } from '../../protocol/thread-data.js';
import { Doorbell } from '../../ring/doorbell.js';
import type { BackupRequest } from '../../worker/backup/backup.js';
import { runJob } from '../jobs/job-pool.js';
import { systemSnapshotJobs } from '../jobs/snapshot-jobs.js';
import type { ReadAccess } from '../read/log-view.js';
import { startThread } from '../threads/start-thread.js';

/** A thread of a log, as the opening thread sees it. */
export interface LogThread {
  on(event: 'error', listener: (error: unknown) => void): unknown;
  once(event: 'exit', listener: (exitCode: number) => void): unknown;
  /** Makes the thread keep the process alive. `unref` undoes that. */
  ref(): void;
  unref(): void;
  terminate(): Promise<unknown>;
}

/** Shows whether the threads of a log live, to a thread that is blocked and receives no event. */
export interface LifeWatch {
  bothLive(): boolean;
  close(): void;
}

export interface DelayOptions {
  readonly signal: AbortSignal;
  readonly ref: boolean;
}

/**
 * The engine of an open log: its two threads, the way to wake them, and the files that readers open. Normally a log runs on
 * worker threads and Node's file system. `ringwal/testing` has another engine, whose threads take turns with the caller on a
 * simulated disk.
 */
export interface LogEngine extends ReadAccess {
  /** The opening thread's end of the doorbell. */
  createDoorbell(memory: SharedArrayBuffer): Doorbell;
  /**
   * Starts one of the two threads; `ports` are those in `data`. `deliver` makes the opening thread take in its messages, for an
   * engine that does not leave this to the event loop.
   */
  startThread(
    data: WriterThreadData<MessagePort> | SyncThreadData<MessagePort>,
    ports: MessagePort[],
    deliver: () => void,
  ): LogThread;
  /** Starts the thread that ships the log; `port` is the one in `data`. Absent: there are no other threads. */
  readonly startReplicaThread?: (data: ReplicaThreadData<MessagePort>, port: MessagePort) => LogThread;
  /** @throws the system's error: no descriptor is left for it */
  watchLives(lockFile: string, lifeline: number): LifeWatch;
  /** Resolves after `ms`, or when `signal` aborts. `ref`: keeps the process alive meanwhile. */
  delay(ms: number, options: DelayOptions): Promise<void>;
  /** Copies the log to another directory: see src/worker/backup/backup.ts. */
  backup(request: BackupRequest): Promise<BackupReport | StoppedJob | { readonly failure: Failure }>;
  /** Whether other threads may attach. */
  readonly hasOtherThreads: boolean;
}

/** Worker threads and Node's file system. `workerUrl`: the option. */
export function systemEngine(workerUrl: URL | undefined): LogEngine {
  return {
    createDoorbell: (memory) => new Doorbell(memory),
    startThread: (data, ports): Worker => startThread(data.role, data, ports, workerUrl),
    startReplicaThread: (data, port) => startThread(data.role, data, [port], workerUrl),
    watchLives: (lockFile, lifeline) => new LockWatch(lockFile, lifeline),
    openForReading,
    identifyPath,
    nowMs,
    wallMs,
    delay,
    snapshotJobs: systemSnapshotJobs(workerUrl),
    backup: (request) => runJob('backup', request, { workerUrl }),
    hasOtherThreads: true,
  };
}

function delay(ms: number, { signal, ref }: DelayOptions): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    if (!ref) timer.unref();
    signal.addEventListener('abort', end);
  });
}
