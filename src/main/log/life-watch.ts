import { WalError } from '../errors/wal-error.js';
import type { LifeWatch } from './log-engine.js';

/** Opens a watch on the lock file. @throws ERR_WAL_IO, for example if no file descriptor is left */
export function openLifeWatch(lockFile: string, open: () => LifeWatch): LifeWatch {
  try {
    return open();
  } catch (error) {
    throw new WalError('ERR_WAL_IO', `Cannot open "${lockFile}": ${(error as Error).message}`, {
      path: lockFile,
      cause: error,
    });
  }
}
