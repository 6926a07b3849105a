import { dirname } from 'node:path';
import { type Disk, DiskError, isDenied, systemCode } from './disk.js';

/**
 * Creates `directory` durably, with every missing parent.
 *
 * Each name is synced before the next directory is created inside it. So wherever an earlier call was interrupted, only the
 * deepest existing directory can be missing from disk. Its parent is synced in any case: otherwise acknowledged entries could
 * vanish together with a directory that a killed process had just created.
 *
 * @param mode of each directory that is created, before the umask
 * @throws ENOTDIR if another kind of file has the name; EACCES, ENOSPC, EROFS, …; everything that [Disk.syncDirectory] throws
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
      // Another process was faster.
      if (systemCode(error) !== 'EEXIST' || disk.stat(path)?.kind !== 'directory') throw error;
    }
    disk.syncDirectory(dirname(path));
  }
}

/** A parent that this user may not even open belongs to the system or to another user, and existed before. */
function syncExisting(disk: Disk, parent: string): void {
  try {
    disk.syncDirectory(parent);
  } catch (error) {
    if (!isDenied(error)) throw error;
  }
}
