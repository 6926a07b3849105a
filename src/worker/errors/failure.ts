import { IrregularFile, isFullDisk, isMissing, isOutOfDescriptors } from '../../files/disk.js';
import type { Failure, SystemCause, WalErrorCode } from '../../protocol/errors.js';

export interface FailureDetails {
  readonly path?: string | undefined;
  readonly lsn?: number | undefined;
  readonly offset?: number | undefined;
  readonly cause?: unknown;
}

/**
 * An error of the log on its way to the user: thrown in the writer thread, the sync thread or a job, sent as a plain
 * [Failure], made a `WalError` by the thread that receives it.
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

  /** To throw on what another thread sent. */
  static of(failure: Failure): LogFailure {
    return new LogFailure(failure.code, failure.message, failure);
  }
}

/**
 * The system refuses something that it may grant later, and nothing was harmed: what waits for it rejects, the log goes on. `cause` is
 * the system's error.
 */
export class PassingError extends Error {
  constructor(cause: unknown) {
    super(systemCause(cause).message, { cause });
  }
}

/** No room, in the file system or for another descriptor, or a [PassingError]: a passing state in which nothing was harmed. */
export function mayPass(error: unknown): boolean {
  return isFullDisk(error) || isOutOfDescriptors(error) || error instanceof PassingError;
}

/** What of an error crosses threads; of one that has crossed already, the same. */
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
 * The failure that an error stands for: its own when it is a [LogFailure], else an `ERR_WAL_IO` that says what was
 * being done. `path` is that of the work; where something that is no file bears a file's name, the failure names that.
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
 * A failed sync of the file or directory `path`. Terminal for the log, whatever the system's code. A directory is opened to be
 * synced: that it is not there says nothing about what was written, but that nobody will find it.
 */
export function syncFailed(error: unknown, path: string): LogFailure {
  if (isMissing(error)) {
    return new LogFailure(
      'ERR_WAL_IO',
      `Cannot go on in "${path}": somebody has removed or renamed it. What was written since then cannot be found by its name.`,
      { path, cause: error },
    );
  }
  return new LogFailure(
    'ERR_WAL_SYNC_FAILED',
    `Cannot sync "${path}": ${systemCause(error).message}. Nothing after the last acknowledged entry is certain, and a second try ` +
      'would prove nothing: the system may have dropped what it could not write. Close the log and open it again.',
    { path, cause: error },
  );
}
