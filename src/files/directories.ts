import { dirname } from 'node:path';
import { type Disk, DiskError, isDenied, systemCode } from './disk.js';

/**
 * Makes `directory` exist, durably, with every parent that is missing.
 *
 * A name is synced before the next one is created inside it. Hence, wherever an earlier call was interrupted, only the
 * deepest directory that is there can be missing from disk, and that one's parent is synced in any case: else
 * acknowledged entries could vanish together with a directory that a killed process had just created.
 *
 * @param mode of each directory that is created, before the umask
 * @throws ENOTDIR when something else bears the name; EACCES, ENOSPC, EROFS, …; whatever [Disk.syncDirectory] throws
 */
export function createDirectory(disk: Disk, directory: string, mode?: number): void {
  const missing: string[] = [];
  let deepest = directory;
  let kind = disk.stat(deepest)?.kind;
  while (kind === undefined && dirname(deepest) !== deepest) {
    missing.push(deepest);
    deepest = dirname(deepest);
    kind = disk.stat(deepest)?.kind;
  }
  if (kind !== 'directory') throw new DiskError('ENOTDIR', 'mkdir', deepest, 'not a directory');
  syncExisting(disk, dirname(deepest));
  for (const path of missing.reverse()) {
    try {
      disk.mkdir(path, mode);
    } catch (error) {
      // Somebody else was faster.
      if (systemCode(error) !== 'EEXIST' || disk.stat(path)?.kind !== 'directory') throw error;
    }
    disk.syncDirectory(dirname(path));
  }
}

/** A parent that this user may not even open is the system's or another user's: he has seen to it. */
function syncExisting(disk: Disk, parent: string): void {
  try {
    disk.syncDirectory(parent);
  } catch (error) {
    if (!isDenied(error)) throw error;
  }
}
