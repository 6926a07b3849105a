import type { Piscina } from 'piscina';
import type { Judgement } from '../format/verdict.js';
import type { RunOfWalks, WalkRequest } from '../worker/divided-walk.js';
import type {
  Division,
  InspectFileRequest,
  Inspection,
  InspectOrDivideRequest,
  InspectRequest,
} from '../worker/inspect.js';
import type { Failure, RepairReport } from '../worker/messages.js';
import type { RepairRequest } from '../worker/repair.js';
import { jobThreads } from './options.js';
import { hasField } from './own-field.js';
import { workerFile, YOUNG_GENERATION_MIB } from './threads.js';
import { errorFromFailure, WalError } from './wal-error.js';

/** Threads that have nothing to do for so long end. */
const IDLE_MS = 1000;

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

let pool: Promise<Piscina> | undefined;

/** Runs a job on a thread of the pool: scanning a gigabyte would block the event loop for a second. */
export async function runJob<Name extends keyof Jobs>(
  name: Name,
  request: Jobs[Name]['request'],
  { workerUrl, signal }: JobOptions,
): Promise<Exclude<Jobs[Name]['answer'], { readonly failure: Failure }>> {
  pool ??= createPool();
  let answer: Jobs[Name]['answer'];
  try {
    // Named with the job and not with the pool, which would not tell whoever waits that it cannot be loaded. A thread
    // keeps what it has loaded by its file: one pool serves all of them, within one bound.
    const task = { name, filename: (workerUrl ?? workerFile()).href };
    answer = await (await pool).run(request, signal === undefined ? task : { ...task, signal });
  } catch (error) {
    // The pool rejects with an error of its own.
    signal?.throwIfAborted();
    const place: { readonly path: string } | { readonly directory: string } = request;
    const path = hasField(place, 'path') ? place.path : place.directory;
    throw new WalError(
      'ERR_WAL_WORKER_DIED',
      `Cannot ${JOB_TEXT[name]} "${path}": the thread that was to do it did not start, or ended: ${(error as Error).message}. ` +
        'If the code was bundled, see to it that the worker file is there (option workerUrl, docs/packaging.md).',
      { path, cause: error },
    );
  }
  if (hasField(answer, 'failure')) throw errorFromFailure(answer.failure);
  return answer as Exclude<Jobs[Name]['answer'], { readonly failure: Failure }>;
}

/** Loaded by the first job: most logs never need one, and it would be half of what importing this package costs. */
async function createPool(): Promise<Piscina> {
  const { Piscina } = await import('piscina');
  const created = new Piscina({
    minThreads: 0,
    maxThreads: jobThreads(),
    idleTimeout: IDLE_MS,
    // Its default blocks the event loop of idle threads.
    atomics: 'disabled',
    env: {},
    execArgv: [],
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB },
  });
  // Of a thread that had no job: nobody waits for it, and the next job starts another.
  created.on('error', (error: Error) => process.emitWarning(error));
  return created;
}
