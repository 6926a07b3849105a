import type { Failure, SystemCause, WalErrorCode } from '../../protocol/errors.js';

const BRAND = Symbol.for('ringwal.WalError');

/** The fields of a {@link WalError} besides its code and its message. */
export interface WalErrorDetails {
  /** The file or directory concerned. */
  readonly path?: string | undefined;
  /** The entry concerned. */
  readonly lsn?: number | undefined;
  /** Bytes from the start of the file `path`. */
  readonly offset?: number | undefined;
  /** The system's error, or the error that a thread of the log threw. */
  readonly cause?: unknown;
}

/**
 * The class of every error that ringwal makes. `code` identifies the kind of error. `cause` is the system's error, if
 * there is one, with its own `code` (`ENOSPC`, `EACCES`, …). Message texts may change between versions.
 *
 * `instanceof WalError` is true for the errors of every copy of the package in the process.
 */
export class WalError extends Error {
  // The name is on the prototype so that `stack`, which Node creates with the error, begins with it.
  static {
    WalError.prototype.name = 'WalError';
    // A bundler may rename the class, and a printed error would show that name.
    Object.defineProperty(WalError, 'name', { value: 'WalError' });
  }

  /** The kind of error. */
  readonly code: WalErrorCode;
  /** The file or directory concerned. */
  declare readonly path?: string;
  /** The entry concerned. */
  declare readonly lsn?: number;
  /** Bytes from the start of the file `path`. */
  declare readonly offset?: number;

  /** For ringwal itself, and for tests of code that handles its errors. */
  constructor(code: WalErrorCode, message: string, details: WalErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    if (details.path !== undefined) this.path = details.path;
    if (details.lsn !== undefined) this.lsn = details.lsn;
    if (details.offset !== undefined) this.offset = details.offset;
    Object.defineProperty(this, BRAND, { value: true });
  }

  /** Also true of an error of another copy of the package. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && BRAND in value;
  }
}

/** The error that another thread has sent. */
export function errorFromFailure(failure: Failure): WalError {
  return new WalError(failure.code, failure.message, {
    path: failure.path,
    lsn: failure.lsn,
    offset: failure.offset,
    cause: failure.cause === undefined ? undefined : errorFromCause(failure.cause),
  });
}

function errorFromCause(cause: SystemCause): Error {
  const error = new Error(cause.message);
  if (cause.stack !== undefined) error.stack = cause.stack;
  return Object.assign(error, {
    ...(cause.code === undefined ? {} : { code: cause.code }),
    ...(cause.errno === undefined ? {} : { errno: cause.errno }),
    ...(cause.syscall === undefined ? {} : { syscall: cause.syscall }),
  });
}
