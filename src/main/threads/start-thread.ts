import { URL } from 'node:url';
import { getSystemErrorMap } from 'node:util';
import { Worker, type WorkerOptions } from 'node:worker_threads';
import { WalError } from '../errors/wal-error.js';
import { type ThreadResolution, threadResolution } from './module-resolution.js';

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
    const refusal = systemRefusal(error);
    const why = (refusal ?? (error as Error)).message;
    if (refusal !== undefined)
      throw new WalError('ERR_WAL_IO', `Cannot start a thread of the log: ${why}. ${wayOut(refusal)}`, {
        cause: refusal,
      });
    // It is looked for by the thread itself: what is thrown here is that there may be no thread.
    if (override === undefined || (error as { code?: string }).code === 'ERR_ACCESS_DENIED')
      throw new WalError('ERR_WAL_IO', `Cannot start a thread of the log: ${why}`, { cause: error });
    throw new WalError('ERR_WAL_OPTION', `workerUrl does not name a worker file: ${why}`, { cause: error });
  }
}

/**
 * The error of a call whose thread did not start, or ended.
 *
 * @param what was being done, and what the thread had to do with it: a sentence that a reason goes on
 * @param outcome whole sentences about what that means, if there is anything to say
 */
export function threadFailure(what: string, outcome: string, path: string, cause: unknown): WalError {
  const refusal = systemRefusal(cause);
  const known = refusal ?? cause;
  const why = known instanceof Error ? `: ${known.message}` : '';
  return new WalError(
    refusal === undefined ? 'ERR_WAL_WORKER_DIED' : 'ERR_WAL_IO',
    [`${what}${why}.`, outcome, wayOut(known)].filter((sentence) => sentence !== '').join(' '),
    { path, cause: known },
  );
}

/** What the system may have none of for another thread: descriptors, threads, memory. */
const SCARCE = ['EMFILE', 'ENFILE', 'EAGAIN', 'ENOMEM'];

/** The system's error that kept a thread from starting; `undefined`: it was something else. */
export function systemRefusal(cause: unknown): Error | undefined {
  if (!(cause instanceof Error)) return undefined;
  const { code } = cause as { code?: unknown };
  if (SCARCE.includes(code as string)) return cause;
  if (code !== 'ERR_WORKER_INIT_FAILED') return undefined;
  // "Worker initialization failure: EMFILE" of an event loop, "EAGAIN" of a thread.
  const [, name = ''] = /\b(E[A-Z0-9]+)$/.exec(cause.message) ?? [];
  for (const [errno, [each, text]] of getSystemErrorMap()) {
    if (each !== name) continue;
    return Object.assign(new Error(`${name}: ${text}, start of a thread`, { cause }), { code: name, errno });
  }
  return undefined;
}

/** What to do about a thread that did not start, or ended, as far as its error tells: whole sentences. */
export function wayOut(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : '';
  if (/\buv_cwd\b/.test(message))
    return 'The working directory of the process was removed, and Node starts no thread in one that is missing: change to another one (process.chdir).';
  if (/\bE[MN]FILE\b/.test(message))
    return 'No file descriptor is free: close some, or raise the limit (ulimit -n), and call again.';
  if (/\bE(?:AGAIN|NOMEM)\b/.test(message))
    return 'The system gives the process no other thread, or no memory for one: end some, or raise the limit (ulimit -u, pids.max of the container).';
  if ((cause as { code?: unknown } | undefined)?.code === 'ERR_WORKER_OUT_OF_MEMORY')
    return 'The thread has reached the limit of its heap: raise it (--max-old-space-size).';
  const [, missing] = /^Cannot find (?:module|package) '([^']+)'/.exec(message) ?? [];
  if (missing !== undefined && !/^(?:\.|\/|file:|[A-Za-z]:)/.test(missing))
    return (
      `Threads look for "${missing}" as Node does by itself: install it where the worker file finds it, or name a worker file ` +
      'that first does what makes it found (option workerUrl, docs/packaging.md, "Where threads find modules").'
    );
  return 'If the code was bundled, see to it that the worker file is there (option workerUrl, docs/packaging.md).';
}
