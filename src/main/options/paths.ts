import { isAbsolute, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL, URL } from 'node:url';
import { describeValue } from '../errors/describe-value.js';
import { WalError } from '../errors/wal-error.js';

/**
 * A path as a string, absolute, so that a later change of the working directory does not move the log.
 *
 * @throws ERR_WAL_OPTION: neither a path nor the URL of a file
 * @throws ERR_WAL_IO: the path is relative, and the working directory was removed
 */
export function checkPath(name: string, given: unknown): string {
  const href = hrefOf(given);
  const path = href === undefined ? given : pathOfFile(href);
  if (typeof path !== 'string' || path.length === 0 || path.includes('\0')) {
    const value = describeValue(href ?? given);
    throw new WalError('ERR_WAL_OPTION', `${name} must be a path (string or file: URL), not ${value}.`);
  }
  return absolute(name, path);
}

/**
 * One check for threads and jobs, of which the pool would take whatever it can import. Paths that begin with a dot are what
 * `new Worker` takes too: from the working directory on.
 */
export function checkWorkerUrl(url: unknown): URL | undefined {
  if (url === undefined) return undefined;
  const given = hrefOf(url) ?? url;
  if (typeof given === 'string' && !given.includes('\0')) {
    if (isAbsolute(given) || /^\.\.?[/\\]/.test(given)) return pathToFileURL(absolute('workerUrl', given));
    if (pathOfFile(given) !== undefined) return new URL(given);
  }
  const value = describeValue(given);
  throw new WalError('ERR_WAL_OPTION', `workerUrl must be a file: URL or an absolute path, not ${value}.`);
}

/** The text of a URL, of whatever class: jsdom has one of its own. `undefined` of anything else. */
function hrefOf(given: unknown): string | undefined {
  if (typeof given !== 'object' || given === null) return undefined;
  try {
    const { href, protocol } = given as Partial<URL>;
    return typeof href === 'string' && typeof protocol === 'string' ? href : undefined;
  } catch {
    // What only stands for a URL, as a Proxy around one does.
    return undefined;
  }
}

/** `undefined`: not every URL is one of a file, and not every file: URL names one, as one with a host. */
function pathOfFile(href: string): string | undefined {
  if (!href.startsWith('file:')) return undefined;
  try {
    const path = fileURLToPath(href);
    return path.includes('\0') ? undefined : path;
  } catch {
    return undefined;
  }
}

function absolute(name: string, path: string): string {
  try {
    return resolve(path);
  } catch (error) {
    throw new WalError(
      'ERR_WAL_IO',
      `Cannot find "${path}" (${name}): it is relative to the working directory, which cannot be found: ${(error as Error).message}. ` +
        'Give an absolute path, or change to a directory that is there.',
      { path, cause: error },
    );
  }
}
