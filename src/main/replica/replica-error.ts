import type { WalErrorCode } from '../../protocol/errors.js';
import { FINAL_CODES } from '../../replica/replica.js';
import { WalError } from '../errors/wal-error.js';

/** The error of a call that uses a replica on this thread; `doing` begins its message. */
export function errorOfReplica(error: unknown, doing: string, path?: string): unknown {
  if (error instanceof WalError) return error;
  const { code, lsn, message } = error as { code?: unknown; lsn?: unknown; message?: unknown };
  const isKnown = (FINAL_CODES as readonly unknown[]).includes(code);
  return new WalError(
    isKnown ? (code as WalErrorCode) : 'ERR_WAL_REPLICA',
    `${doing}: ${String(message ?? error)}`,
    {
      path,
      lsn: typeof lsn === 'number' ? lsn : undefined,
    },
  );
}
