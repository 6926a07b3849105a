import type { Failure, SystemCause, WalErrorCode } from '../../protocol/errors.js';

const BRAND = Symbol.for('ringwal.WalError');

/** What a {@link WalError} says besides its code and its message. */
export interface WalErrorDetails {
  /** The file or directory concerned. */
  readonly path?: string | undefined;
  /** The entry concerned. */
  readonly lsn?: number | undefined;
  /** Bytes from the start of the file `path`. */
  readonly offset?: number | undefined;
  /** The system's error, or what a thread of the log threw. */
  readonly cause?: unknown;
}

/**
 * Every error that ringwal makes. `code` tells the kinds apart; `cause` is the system's error where there is one, with
 * its own `code` (`ENOSPC`, `EACCES`, …). The text of a message may change.
 *
 * `instanceof WalError` holds for the errors of every copy of the package in the process.
 */
export class WalError extends Error {
  // On the prototype, so that `stack`, which is made with the error, begins with it.
  static {
    WalError.prototype.name = 'WalError';
    // A bundler may call the class otherwise, and what prints an error shows that.
    Object.defineProperty(WalError, 'name', { value: 'WalError' });
  }

  /** Which kind it is. */
  readonly code: WalErrorCode;
  /** The file or directory concerned. */
  declare readonly path?: string;
  /** The entry concerned. */
  declare readonly lsn?: number;
  /** Bytes from the start of the file `path`. */
  declare readonly offset?: number;

  /** For ringwal itself, and for tests of those who handle its errors. */
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

/** The error that another thread sent. */
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
