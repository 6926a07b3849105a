import { WalError } from '../errors/wal-error.js';

/** The errors of a lane: why it does not take an entry, or takes nothing more. */

export function closedError(directory: string): WalError {
  return new WalError(
    'ERR_WAL_CLOSED',
    `Cannot use the log "${directory}": it is closed. Open the log again to continue.`,
    { path: directory },
  );
}

export function laneClosed(directory: string): WalError {
  return new WalError(
    'ERR_WAL_CLOSED',
    `Cannot use this lane of "${directory}": it is closed. Attach this thread again to continue.`,
    { path: directory },
  );
}

/** The log or the lane is closed, and entries of it wait for the replica. */
export function notReplicatedYet(directory: string): WalError {
  return new WalError(
    'ERR_WAL_REPLICA',
    `The log "${directory}" was closed before the entry was known to be replicated. It is durable here, and the next open ships it.`,
    { path: directory },
  );
}

/** A thread of the log has ended without a request. `cause` is the error that the thread threw, if it is known. */
export function threadDied(directory: string, cause?: unknown): WalError {
  const why = cause instanceof Error ? `: ${cause.message}` : '';
  return new WalError(
    'ERR_WAL_WORKER_DIED',
    `Cannot continue with "${directory}": a thread of the log ended unexpectedly${why}. An entry that was not acknowledged may or ` +
      'may not be in the log. Close the log and open it again.',
    { path: directory, cause },
  );
}

/** Refuses every call that a callback of `tryEncode` makes to its own lane. */
export function encodingError(): WalError {
  return new WalError(
    'ERR_WAL_OPTION',
    'Cannot use this lane now: an entry is being encoded into its ring. Wait until the callback has returned.',
  );
}

export function tooLarge(directory: string, bytes: number, maxEntrySize: number): WalError {
  return new WalError(
    'ERR_WAL_TOO_LARGE',
    `Cannot append to "${directory}": ${bytes} bytes are more than the limit for an entry or a batch. Split it, or raise ` +
      `the option maxEntrySize (${maxEntrySize}).`,
    { path: directory },
  );
}

export function ringFull(
  directory: string,
  { bytes, queuedBytes, maxPending }: { bytes: number; queuedBytes: number; maxPending: number },
): WalError {
  return new WalError(
    'ERR_WAL_FULL',
    `Cannot append to "${directory}": the ring is full and ${queuedBytes} bytes are queued; ${bytes} more would exceed ` +
      `maxPending (${maxPending}). Wait for appends to settle, or for ready().`,
    { path: directory },
  );
}

export function tooManyUnsettled(directory: string, maxUnsettled: number): WalError {
  return new WalError(
    'ERR_WAL_FULL',
    `Cannot append to "${directory}": ${maxUnsettled} append promises are not settled yet (option maxUnsettled). ` +
      'Wait for some of them.',
    { path: directory },
  );
}

export function tooManyLanes(directory: string, maxLanes: number): WalError {
  return new WalError(
    'ERR_WAL_FULL',
    `Cannot attach another thread to "${directory}": ${maxLanes} lanes are in use already (option maxLanes). ` +
      'Close one of them first.',
    { path: directory },
  );
}

export function flushTimedOut(directory: string, timeoutMs: number): WalError {
  return new WalError(
    'ERR_WAL_TIMEOUT',
    `Cannot flush "${directory}" within ${timeoutMs} ms: not everything is durable yet. Nothing is lost, and the log continues ` +
      'to write: flush again to wait longer.',
    { path: directory },
  );
}

/** The report of entries that were accepted without a promise and then not written. */
export function entriesLost(entries: number, error: WalError): WalError {
  const subject =
    entries === 1 ? '1 entry without a promise was' : `${entries} entries without a promise were`;
  return new WalError(error.code, `${subject} not written. ${error.message}`, {
    path: error.path,
    cause: error.cause,
  });
}
