/**
 * The kind of a {@link WalError}. For each code, docs/errors.md explains its meaning, what to do, and what is certain about
 * the data.
 *
 * | code | |
 * | --- | --- |
 * | `ERR_WAL_OPTION` | an argument or an option is wrong, or does not fit this log |
 * | `ERR_WAL_LOCKED` | the directory has a writer already |
 * | `ERR_WAL_CORRUPT` | an acknowledged entry cannot be read |
 * | `ERR_WAL_UNSUPPORTED` | the files are in a format that this version cannot read, or cannot write |
 * | `ERR_WAL_TOO_LARGE` | an entry or a batch has more than `maxEntrySize` bytes |
 * | `ERR_WAL_FULL` | no room in memory now, or no lane |
 * | `ERR_WAL_IO` | the system refused to open, read, write, cut or remove a file, or to start a thread; `cause` says why |
 * | `ERR_WAL_SYNC_FAILED` | an fsync failed; the log has ended |
 * | `ERR_WAL_CLOSED` | the log, the lane or the reader was closed |
 * | `ERR_WAL_WORKER_DIED` | a thread of the log did not find its code, or ended unexpectedly |
 * | `ERR_WAL_PURGED` | retention or `truncateBefore` has removed the entry |
 * | `ERR_WAL_TRUNCATED` | `truncateAfter` or `reset` has cut off an entry that a reader returned or was reading |
 * | `ERR_WAL_TIMEOUT` | `flushSync` reached its time limit |
 * | `ERR_WAL_CONFLICT` | an append with `expectLsn` would have become another entry; nothing was taken |
 * | `ERR_WAL_FENCED` | another writer has acquired the replica |
 * | `ERR_WAL_REPLICA` | the replica cannot be reached or used now, or it is not known whether an entry is replicated |
 * | `ERR_WAL_DIVERGED` | the replica holds another history than this log |
 * | `ERR_WAL_READ_ONLY` | reserved; never thrown |
 */
export type WalErrorCode =
  | 'ERR_WAL_OPTION'
  | 'ERR_WAL_LOCKED'
  | 'ERR_WAL_CORRUPT'
  | 'ERR_WAL_UNSUPPORTED'
  | 'ERR_WAL_TOO_LARGE'
  | 'ERR_WAL_FULL'
  | 'ERR_WAL_IO'
  | 'ERR_WAL_SYNC_FAILED'
  | 'ERR_WAL_CLOSED'
  | 'ERR_WAL_WORKER_DIED'
  | 'ERR_WAL_PURGED'
  | 'ERR_WAL_TRUNCATED'
  | 'ERR_WAL_TIMEOUT'
  | 'ERR_WAL_CONFLICT'
  | 'ERR_WAL_FENCED'
  | 'ERR_WAL_REPLICA'
  | 'ERR_WAL_DIVERGED'
  | 'ERR_WAL_READ_ONLY';

/** A system error as it crosses threads. */
export interface SystemCause {
  readonly code?: string;
  readonly message: string;
  readonly syscall?: string;
  readonly errno?: number;
  readonly stack?: string;
}

/** A `WalError` as it crosses threads. */
export interface Failure {
  readonly code: WalErrorCode;
  readonly message: string;
  readonly path?: string;
  readonly lsn?: number;
  readonly offset?: number;
  readonly cause?: SystemCause;
}
