import { URL } from 'node:url';
import { Worker, type WorkerOptions } from 'node:worker_threads';
import { WalError } from './wal-error.js';

type Transfer = NonNullable<WorkerOptions['transferList']>;

/**
 * Of each thread of a log, and of its jobs, whose objects hardly outlive the round that made them. Bet: several MiB of resident memory
 * that a young generation of the default size would grow to, for nothing (bench/workloads/memory.ts).
 */
export const YOUNG_GENERATION_MIB = 2;

/** The package's worker file, unless [useWorkerFile] has named another. */
let packageFile = (): URL => new URL('./worker.js', import.meta.url);

/** Where the threads of all logs start from, unless their option `workerUrl` says otherwise. */
export function workerFile(): URL {
  return packageFile();
}

/** For entry points that know better than the package's layout where the worker file lies. */
export function useWorkerFile(file: URL): void {
  packageFile = () => file;
}

/**
 * Starts a thread of a log. It gets none of the process's `--import`, `--require` and `NODE_OPTIONS`: instrumentation that
 * the application loads into every thread has no business in this one, and slows every open.
 *
 * @param override the option `workerUrl`
 */
export function startThread(
  name: string,
  workerData: object,
  transferList: Transfer,
  override: URL | undefined,
): Worker {
  try {
    return new Worker(override ?? workerFile(), {
      name: `ringwal ${name}`,
      workerData,
      transferList,
      execArgv: [],
      env: {},
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB },
    });
  } catch (error) {
    const why = (error as Error).message;
    // It is looked for by the thread itself: what is thrown here is that there may be no thread.
    if (override === undefined || (error as { code?: string }).code === 'ERR_ACCESS_DENIED')
      throw new WalError('ERR_WAL_IO', `Cannot start a thread of the log: ${why}`, { cause: error });
    throw new WalError('ERR_WAL_OPTION', `workerUrl does not name a worker file: ${why}`, { cause: error });
  }
}
