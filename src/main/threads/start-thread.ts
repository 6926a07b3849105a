import { URL } from 'node:url';
import { getSystemErrorMap } from 'node:util';
import { Worker, type WorkerOptions } from 'node:worker_threads';
import { isPackageFile } from '../../files/package-modules.js';
import { WalError } from '../errors/wal-error.js';
import { isWithinReach, type ThreadResolution, threadResolution } from './module-resolution.js';

type Transfer = NonNullable<WorkerOptions['transferList']>;

/**
 * Young generation of each thread of a log and of its jobs. Their objects seldom outlive the round that made them.
 * Bet: the default size would grow to several MiB of resident memory without any gain (bench/workloads/memory.ts).
 */
const YOUNG_GENERATION_MIB = 2;

/** The name of the file that has the code of the writer thread and the sync thread only. Not written as a URL: no bundler is to look for it. */
const LOG_THREAD_FILE = 'log-thread.js';

/** The package's worker file, unless [useWorkerFile] has named another. */
let packageFile = (): URL => new URL('./worker.js', import.meta.url);

/** The file from which the threads of all logs start, unless their option `workerUrl` names another. */
export function workerFile(): URL {
  return packageFile();
}

/** For entry points whose worker file is not where the package's layout puts it. */
export function useWorkerFile(file: URL): void {
  packageFile = () => file;
}

let logThreadFile: URL | undefined;

/**
 * The file of a thread with this role. Bet: the writer thread and the sync thread read a file of their own, which is smaller, and an open
 * log takes 1.5 MiB less (bench/workloads/memory.ts). A bundle has the worker file alone.
 */
function fileOf(role: string): URL {
  const worker = workerFile();
  if (role === 'replica') return worker;
  if (logThreadFile === undefined) {
    const own = new URL(LOG_THREAD_FILE, worker);
    logThreadFile = worker.protocol === 'file:' && isPackageFile(own) ? own : worker;
  }
  return logThreadFile;
}

/**
 * Options of every thread of the package. A thread gets the process's `--import`, `--require` and `NODE_OPTIONS` only
 * as far as it needs them to find modules: instrumentation that the application loads into every thread is of no use
 * here and slows down every open.
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
    return new Worker(override ?? fileOf(name), {
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
    // The thread itself looks for the file, so an error here means that no thread may be started.
    if (override === undefined || (error as { code?: string }).code === 'ERR_ACCESS_DENIED')
      throw new WalError('ERR_WAL_IO', `Cannot start a thread of the log: ${why}`, { cause: error });
    throw new WalError('ERR_WAL_OPTION', `workerUrl does not name a worker file: ${why}`, { cause: error });
  }
}

/**
 * The error of a call whose thread did not start or has ended.
 *
 * @param what the failed action and the thread's part in it: a sentence to which the reason is added
 * @param outcome whole sentences about the consequences; may be empty
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

/** Errors for lack of a resource that a new thread needs: descriptors, threads, memory. */
const SCARCE = ['EMFILE', 'ENFILE', 'EAGAIN', 'ENOMEM'];

/** The system's error that kept a thread from starting; `undefined` if there was another cause. */
function systemRefusal(cause: unknown): Error | undefined {
  if (!(cause instanceof Error)) return undefined;
  const { code } = cause as { code?: unknown };
  if (SCARCE.includes(code as string)) return cause;
  // Node takes a package for missing if it has no descriptor to open its package.json.
  const [, missing] = /^Cannot find module '([^']+)'/.exec(cause.message) ?? [];
  if (code === 'MODULE_NOT_FOUND' && missing !== undefined && isWithinReach(missing))
    return Object.assign(
      new Error(`EMFILE: too many open files, look for the package "${missing}"`, { cause }),
      {
        code: 'EMFILE',
      },
    );
  if (code !== 'ERR_WORKER_INIT_FAILED' && code !== 'ERR_INVALID_PACKAGE_CONFIG') return undefined;
  // "Worker initialization failure: EMFILE" of an event loop, "EAGAIN" of a thread, and of the look for a package's folder
  // "Cannot read package config /srv/package.json: too many open files."
  const [reason = ''] = /[^:]+$/.exec(cause.message) ?? [];
  const told = reason.trim().replace(/\.$/, '');
  for (const [errno, [name, text]] of getSystemErrorMap()) {
    if (told !== name && told !== text) continue;
    return Object.assign(new Error(`${name}: ${text}, start of a thread`, { cause }), { code: name, errno });
  }
  return undefined;
}

/** Advice for a thread that did not start or has ended, as far as its error shows the cause: whole sentences. */
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
      'that first loads the hook which finds it (option workerUrl, docs/packaging.md, "Where threads find modules").'
    );
  return 'If the code was bundled, make sure that the worker file exists (option workerUrl, docs/packaging.md).';
}
