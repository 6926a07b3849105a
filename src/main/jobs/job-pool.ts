import timers from 'node:timers';
import type { Judgement } from '../../format/verdict.js';
import type { Failure } from '../../protocol/errors.js';
import type { RepairReport } from '../../protocol/reports.js';
import type { RunOfWalks, WalkRequest } from '../../worker/inspect/divided-walk.js';
import type {
  Division,
  InspectFileRequest,
  Inspection,
  InspectOrDivideRequest,
  InspectRequest,
} from '../../worker/inspect/inspect.js';
import type { RepairRequest } from '../../worker/recover/repair.js';
import { errorFromFailure } from '../errors/wal-error.js';
import { threadFailure, workerFile } from '../threads/start-thread.js';
import { JobThread } from './job-thread.js';
import { jobThreads } from './job-threads.js';
import { hasField } from './own-field.js';

/** How a job is run. */
export interface JobOptions {
  /** The file that has the job; default: the package's own. */
  readonly workerUrl?: URL | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The jobs by their names in src/worker/worker.ts: what each is asked and answers. */
interface Jobs {
  inspect: { request: InspectRequest; answer: Fallible<Inspection> };
  inspectOrDivide: { request: InspectOrDivideRequest; answer: Fallible<Inspection | Division> };
  walkRun: { request: WalkRequest; answer: Fallible<RunOfWalks> };
  inspectFile: { request: InspectFileRequest; answer: Fallible<Judgement> };
  repair: { request: RepairRequest; answer: Fallible<RepairReport> };
}

type Fallible<T> = T | { readonly failure: Failure };

const JOB_TEXT: Readonly<Record<keyof Jobs, string>> = {
  inspect: 'read',
  inspectOrDivide: 'read',
  walkRun: 'read',
  inspectFile: 'read',
  repair: 'repair',
};

/** Threads that have nothing to do for so long end. */
const IDLE_MS = 1000;

/** Node's own timer: the global one may be jsdom's, or one whose time a test lets pass. */
const { setTimeout: startTimer, clearTimeout: stopTimer } = timers;

/** Threads that have done well and have nothing to do, with what will end them; the last one was at work last. */
const idle = new Map<JobThread, NodeJS.Timeout>();

/** Jobs that have a thread, or are about to get one. */
let atWork = 0;

/** Each gives a job its turn; the first one first. */
const waiting = new Set<() => void>();

/** Runs a job on a thread of the pool: scanning a gigabyte would block the event loop for a second. */
export async function runJob<Name extends keyof Jobs>(
  name: Name,
  request: Jobs[Name]['request'],
  { workerUrl, signal }: JobOptions,
): Promise<Exclude<Jobs[Name]['answer'], { readonly failure: Failure }>> {
  const answer = await onThread(signal, async () => {
    // A thread that failed, in whatever way, is not used again: the next job has another one.
    const thread = takeIdle() ?? new JobThread();
    try {
      // Named with the job and not with the thread, which would not tell whoever waits that it cannot be loaded. A thread
      // keeps what it has loaded by its file: the threads serve all of them, within one bound.
      const task = { name, filename: (workerUrl ?? workerFile()).href, signal };
      const given = (await thread.run(request, task)) as Jobs[Name]['answer'];
      keepIdle(thread);
      return given;
    } catch (error) {
      thread.end();
      throw error;
    }
  }).catch((error: unknown) => {
    // The pool rejects with an error of its own.
    signal?.throwIfAborted();
    const place: { readonly path: string } | { readonly directory: string } = request;
    const path = hasField(place, 'path') ? place.path : place.directory;
    const what = `Cannot ${JOB_TEXT[name]} "${path}": the thread that was to do it did not start, or ended`;
    throw threadFailure(what, '', path, error);
  });
  if (hasField(answer, 'failure')) throw errorFromFailure(answer.failure);
  return answer as Exclude<Jobs[Name]['answer'], { readonly failure: Failure }>;
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

/** Has `work` done as soon as fewer than `jobThreads()` others are at work. */
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

/** Resolves when another job has ended and left its place to this one. */
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
