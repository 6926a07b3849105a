import timers from 'node:timers';
import type { MessagePort } from 'node:worker_threads';
import type { Judgement } from '../../format/verdict.js';
import type { BackupReport, RestoreReport, StoppedJob } from '../../protocol/backup-reports.js';
import type { Failure } from '../../protocol/errors.js';
import type { ReplicaRestoreReport } from '../../protocol/replica-reports.js';
import type { RepairReport } from '../../protocol/reports.js';
import type {
  RemoveSnapshotsRequest,
  SnapshotCheck,
  VerifySnapshotRequest,
  WriteSnapshotRequest,
} from '../../protocol/snapshot-jobs.js';
import type { BackupRequest } from '../../worker/backup/backup.js';
import type { RestoreRequest } from '../../worker/backup/restore.js';
import type { BackupInspection, VerifyBackupRequest } from '../../worker/backup/verify-backup.js';
import type { RunOfWalks, WalkRequest } from '../../worker/inspect/divided-walk.js';
import type {
  Division,
  InspectFileRequest,
  Inspection,
  InspectOrDivideRequest,
  InspectRequest,
} from '../../worker/inspect/inspect.js';
import type { RepairRequest } from '../../worker/recover/repair.js';
import type { RestoreReplicaRequest } from '../../worker/replica/restore-replica.js';
import { errorFromFailure } from '../errors/wal-error.js';
import { threadFailure, workerFile } from '../threads/start-thread.js';
import { JobThread } from './job-thread.js';
import { jobThreads } from './job-threads.js';
import { hasField } from './own-field.js';

/** Options of {@link runJob}. */
export interface JobOptions {
  /** The file with the job's code; default: the package's own. */
  readonly workerUrl?: URL | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The jobs by their names in src/worker/worker.ts, with the request and the answer of each. */
interface Jobs {
  inspect: { request: InspectRequest; answer: Fallible<Inspection> };
  inspectOrDivide: { request: InspectOrDivideRequest; answer: Fallible<Inspection | Division> };
  walkRun: { request: WalkRequest; answer: Fallible<RunOfWalks> };
  inspectFile: { request: InspectFileRequest; answer: Fallible<Judgement> };
  repair: { request: RepairRequest; answer: Fallible<RepairReport> };
  findSnapshots: {
    request: { readonly directory: string };
    answer: Fallible<{ readonly lsns: readonly number[] }>;
  };
  verifySnapshot: { request: VerifySnapshotRequest; answer: Fallible<SnapshotCheck> };
  removeSnapshots: { request: RemoveSnapshotsRequest; answer: Fallible<{ readonly removed: number }> };
  backup: { request: BackupRequest; answer: Fallible<BackupReport | StoppedJob> };
  restore: { request: RestoreRequest; answer: Fallible<RestoreReport | StoppedJob> };
  restoreReplica: { request: RestoreReplicaRequest; answer: Fallible<ReplicaRestoreReport | StoppedJob> };
  verifyBackup: { request: VerifyBackupRequest; answer: Fallible<BackupInspection | StoppedJob> };
}

type Fallible<T> = T | { readonly failure: Failure };

const JOB_TEXT: Readonly<Record<keyof Jobs, string>> = {
  inspect: 'read',
  inspectOrDivide: 'read',
  walkRun: 'read',
  inspectFile: 'read',
  repair: 'repair',
  findSnapshots: 'read',
  verifySnapshot: 'read',
  removeSnapshots: 'remove snapshots of',
  backup: 'back up',
  restore: 'restore',
  restoreReplica: 'restore',
  verifyBackup: 'verify',
};

/** An idle thread ends after this time. */
const IDLE_MS = 1000;

/** Node's own timer: the global one may be jsdom's or a fake timer of a test. */
const { setTimeout: startTimer, clearTimeout: stopTimer } = timers;

/** Idle threads whose last job succeeded, each with the timer that will end it; the most recently used one is last. */
const idle = new Map<JobThread, NodeJS.Timeout>();

/** Number of jobs that have a thread or are about to get one. */
let atWork = 0;

/** Jobs that wait for a thread, in order; calling one starts that job. */
const waiting = new Set<() => void>();

/** Runs a job on a thread of the pool, because scanning a gigabyte would block the event loop for a second. */
export async function runJob<Name extends keyof Jobs>(
  name: Name,
  request: Jobs[Name]['request'],
  { workerUrl, signal }: JobOptions,
): Promise<Exclude<Jobs[Name]['answer'], { readonly failure: Failure }>> {
  const answer = await onThread(signal, async () => {
    // A thread that failed for any reason is not used again: the next job gets another one.
    const thread = takeIdle() ?? new JobThread();
    try {
      // The file is named with the job, not with the thread: a thread would not report to the waiting caller that its
      // file cannot be loaded. A thread caches the files that it has loaded, so all threads serve all files, within
      // one bound.
      const task = { name, filename: (workerUrl ?? workerFile()).href, signal };
      const given = (await thread.run(request, task)) as Jobs[Name]['answer'];
      keepIdle(thread);
      return given;
    } catch (error) {
      thread.end();
      throw error;
    }
  }).catch((error: unknown) => {
    // After an abort the pool rejects with its own error; the caller expects the signal's reason.
    signal?.throwIfAborted();
    const place: { readonly path: string } | { readonly directory: string } = request;
    const path = hasField(place, 'path') ? place.path : place.directory;
    const what = `Cannot ${JOB_TEXT[name]} "${path}": the thread that was to do it did not start, or ended`;
    throw threadFailure(what, '', path, error);
  });
  if (hasField(answer, 'failure')) throw errorFromFailure(answer.failure);
  return answer as Exclude<Jobs[Name]['answer'], { readonly failure: Failure }>;
}

/**
 * Runs the job that writes a snapshot. Its thread does not count among those of the pool: it waits for the application's source as
 * long as that takes, and the source may need a job itself.
 *
 * @throws the error that ended the thread
 */
export async function runSnapshotThread(
  request: WriteSnapshotRequest & { readonly port: MessagePort },
  workerUrl: URL | undefined,
): Promise<void> {
  const thread = takeIdle() ?? new JobThread();
  try {
    const filename = (workerUrl ?? workerFile()).href;
    const task = { name: 'writeSnapshot', filename, signal: undefined, transferList: [request.port] };
    await thread.run(request, task);
    keepIdle(thread);
  } catch (error) {
    thread.end();
    throw error;
  }
}

function takeIdle(): JobThread | undefined {
  for (const [thread, timer] of [...idle].reverse()) {
    stopTimer(timer);
    idle.delete(thread);
    if (thread.isAlive) return thread;
  }
  return undefined;
}

function keepIdle(thread: JobThread): void {
  const end = () => {
    idle.delete(thread);
    thread.end();
  };
  idle.set(thread, startTimer(end, IDLE_MS).unref());
}

/** Runs `work` once fewer than `jobThreads()` other jobs are running. */
async function onThread<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  signal?.throwIfAborted();
  if (atWork < jobThreads()) atWork += 1;
  else await takeTurn(signal);
  try {
    signal?.throwIfAborted();
    return await work();
  } finally {
    const [next] = waiting;
    if (next === undefined) atWork -= 1;
    else next();
  }
}

/** Resolves when another job has ended and this one takes its place. */
function takeTurn(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const begin = () => {
      waiting.delete(begin);
      signal?.removeEventListener('abort', callOff);
      resolve();
    };
    const callOff = () => {
      waiting.delete(begin);
      reject(signal?.reason);
    };
    waiting.add(begin);
    signal?.addEventListener('abort', callOff, { once: true });
  });
}
