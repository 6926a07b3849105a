import { IrregularFile, isFullDisk, isMissing, isOutOfDescriptors } from '../../files/disk.js';
import type { Failure, SystemCause, WalErrorCode } from '../../protocol/errors.js';

export interface FailureDetails {
  readonly path?: string | undefined;
  readonly lsn?: number | undefined;
  readonly offset?: number | undefined;
  readonly cause?: unknown;
}

/**
 * An error of the log on its way to the user: thrown in the writer thread, the sync thread or a job, sent as a plain [Failure],
 * and turned into a `WalError` by the thread that receives it.
 */
export class LogFailure extends Error {
  readonly failure: Failure;

  constructor(code: WalErrorCode, message: string, details: FailureDetails = {}) {
    super(message);
    this.failure = {
      code,
      message,
      ...(details.path === undefined ? {} : { path: details.path }),
      ...(details.lsn === undefined ? {} : { lsn: details.lsn }),
      ...(details.offset === undefined ? {} : { offset: details.offset }),
      ...(details.cause === undefined ? {} : { cause: systemCause(details.cause) }),
    };
  }

  /** The error to throw for a failure that another thread sent. */
  static of(failure: Failure): LogFailure {
    return new LogFailure(failure.code, failure.message, failure);
  }
}

/**
 * The system refuses something that it may grant later, and no data was harmed: the waiting calls reject, and the log continues.
 * `cause` is the system's error.
 */
export class PassingError extends Error {
  constructor(cause: unknown) {
    super(systemCause(cause).message, { cause });
  }
}

/** Is this a passing state in which no data was harmed: no disk space, no free descriptor, or a [PassingError]? */
export function mayPass(error: unknown): boolean {
  return isFullDisk(error) || isOutOfDescriptors(error) || error instanceof PassingError;
}

/** The part of an error that crosses threads. An error that has crossed already is unchanged. */
export function systemCause(error: unknown): SystemCause {
  if (typeof error !== 'object' || error === null || !('message' in error)) return { message: String(error) };
  const { code, syscall, errno, stack } = error as Record<string, unknown>;
  return {
    message: String(error.message),
    ...(typeof code === 'string' ? { code } : {}),
    ...(typeof syscall === 'string' ? { syscall } : {}),
    ...(typeof errno === 'number' ? { errno } : {}),
    ...(typeof stack === 'string' ? { stack } : {}),
  };
}

/**
 * The failure for an error: its own for a [LogFailure], otherwise an `ERR_WAL_IO` that says what was being done. `path` is the
 * path of that work; if a name leads to something other than a regular file, the failure names that path instead.
 */
export function failureOf(error: unknown, doing: string, path?: string): Failure {
  if (error instanceof LogFailure) return error.failure;
  const cause = systemCause(error);
  const place = error instanceof IrregularFile ? error.path : path;
  return {
    code: 'ERR_WAL_IO',
    message: `Cannot ${doing}: ${cause.message}`,
    ...(place === undefined ? {} : { path: place }),
    cause,
  };
}

/**
 * A failed sync of the file or directory `path`. It ends the log, whatever the system's code. A directory is opened in order to
 * sync it. If it is missing, the written entries may be intact, but no name leads to them.
 */
export function syncFailed(error: unknown, path: string): LogFailure {
  if (isMissing(error)) {
    return new LogFailure(
      'ERR_WAL_IO',
      `Cannot continue in "${path}": it was removed or renamed. No name leads to the entries that were written since then.`,
      { path, cause: error },
    );
  }
  return new LogFailure(
    'ERR_WAL_SYNC_FAILED',
    `Cannot sync "${path}": ${systemCause(error).message}. No entry after the last acknowledged one is certain to be in the log. ` +
      'A second sync would prove nothing: the system may have dropped the data that it could not write. Close the log and open it again.',
    { path, cause: error },
  );
}
