import type { Piscina } from 'piscina';
import type { Judgement } from '../format/verdict.js';
import type { InspectFileRequest, Inspection, InspectRequest } from '../worker/inspect.js';
import type { Failure, RepairReport } from '../worker/messages.js';
import type { RepairRequest } from '../worker/repair.js';
import { jobThreads } from './options.js';
import { workerFile } from './threads.js';
import { errorFromFailure, WalError } from './wal-error.js';

/** Threads that have nothing to do for so long end. */
const IDLE_MS = 1000;

let pool: Promise<Piscina> | undefined;

/** Judges a log on a thread of the pool: scanning a gigabyte would block the event loop for a second. */
export async function inspectDirectory(request: InspectRequest, signal?: AbortSignal): Promise<Inspection> {
  const result = await run<Inspection>('inspect', request, signal);
  if ('failure' in result) throw errorFromFailure(result.failure);
  return result;
}

/** Repairs a log on a thread of the pool. */
export async function repairDirectory(request: RepairRequest): Promise<RepairReport> {
  const result = await run<RepairReport>('repair', request, undefined);
  if ('failure' in result) throw errorFromFailure(result.failure);
  return result;
}

/** Judges one segment file without its neighbours. */
export async function inspectSegment(request: InspectFileRequest): Promise<Judgement> {
  const result = await run<Judgement>('inspectFile', request, undefined);
  if ('failure' in result) throw errorFromFailure(result.failure);
  return result;
}

const JOB_TEXT = { inspect: 'read', inspectFile: 'read', repair: 'repair' } as const;

async function run<T>(
  job: keyof typeof JOB_TEXT,
  request: InspectRequest | InspectFileRequest | RepairRequest,
  signal: AbortSignal | undefined,
): Promise<T | { failure: Failure }> {
  pool ??= createPool();
  try {
    // Named with the job and not with the pool, which would not tell whoever waits that it cannot be loaded.
    const task = { name: job, filename: workerFile().href };
    return await (await pool).run(request, signal === undefined ? task : { ...task, signal });
  } catch (error) {
    // The pool rejects with an error of its own.
    signal?.throwIfAborted();
    const path = 'path' in request ? request.path : request.directory;
    throw new WalError(
      'ERR_WAL_WORKER_DIED',
      `Cannot ${JOB_TEXT[job]} "${path}": the thread that was to do it did not start, or ended: ${(error as Error).message}. ` +
        'If the code was bundled, see to it that the worker file is there (docs/packaging.md).',
      { path, cause: error },
    );
  }
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
  });
  // Of a thread that had no job: nobody waits for it, and the next job starts another.
  created.on('error', (error: Error) => process.emitWarning(error));
  return created;
}
