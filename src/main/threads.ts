import { URL } from 'node:url';
import { Worker, type WorkerOptions } from 'node:worker_threads';
import { type ThreadResolution, threadResolution } from './module-resolution.js';
import { WalError } from './wal-error.js';

type Transfer = NonNullable<WorkerOptions['transferList']>;

/**
 * Of each thread of a log, and of its jobs, whose objects hardly outlive the round that made them. Bet: several MiB of resident memory
 * that a young generation of the default size would grow to, for nothing (bench/workloads/memory.ts).
 */
const YOUNG_GENERATION_MIB = 2;

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
 * Of every thread of the package. It gets the process's `--import`, `--require` and `NODE_OPTIONS` only as far as it needs them to
 * find modules: instrumentation that the application loads into every thread has no business in this one, and slows every open.
 */
export function threadOptions(): ThreadResolution & Required<Pick<WorkerOptions, 'resourceLimits'>> {
  return { ...threadResolution(), resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB } };
}

/**
 * Starts a thread of a log.
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
      ...threadOptions(),
    });
  } catch (error) {
    const why = (error as Error).message;
    // It is looked for by the thread itself: what is thrown here is that there may be no thread.
    if (override === undefined || (error as { code?: string }).code === 'ERR_ACCESS_DENIED')
      throw new WalError('ERR_WAL_IO', `Cannot start a thread of the log: ${why}`, { cause: error });
    throw new WalError('ERR_WAL_OPTION', `workerUrl does not name a worker file: ${why}`, { cause: error });
  }
}

/** What to do about a thread that did not start, or ended, as far as its error tells: whole sentences. */
export function wayOut(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : '';
  if (/\buv_cwd\b/.test(message))
    return 'The working directory of the process was removed, and Node starts no thread in one that is missing: change to another one (process.chdir).';
  if (/\bE[MN]FILE\b/.test(message))
    return 'No file descriptor is free: close some, or raise the limit (ulimit -n), and call again.';
  const [, missing] = /^Cannot find (?:module|package) '([^']+)'/.exec(message) ?? [];
  if (missing !== undefined && !/^(?:\.|\/|file:|[A-Za-z]:)/.test(missing))
    return (
      `Threads look for "${missing}" as Node does by itself: install it where the worker file finds it, or name a worker file ` +
      'that first does what makes it found (option workerUrl, docs/packaging.md, "Where threads find modules").'
    );
  return 'If the code was bundled, see to it that the worker file is there (option workerUrl, docs/packaging.md).';
}
