import { join } from 'node:path';
import type { Disk } from '../../files/disk.js';
import { COMPACT_FILE_ASIDE, segmentName } from '../../format/segment-name.js';
import type { LogDirectory } from '../directory/log-directory.js';
import { removeIfThere, syncDirectory } from '../directory/side-files.js';

/** The file that an interrupted compaction was writing goes unread. @throws the system's error */
export function removeCompactAside(disk: Disk, directory: string): void {
  removeIfThere(disk, join(directory, COMPACT_FILE_ASIDE));
}

/**
 * Removes the segments that a merged one stands for, as step 6 of src/worker/commands/compaction-commands.ts would have done. The
 * judgement has read the merged segment whole. The name of that one comes first: a killed process may have left it in memory only.
 *
 * @throws the system's error; LogFailure ERR_WAL_SYNC_FAILED
 */
export function removeCovered(disk: Disk, home: LogDirectory, covered: readonly number[]): void {
  if (covered.length === 0) return;
  const { directory } = home;
  syncDirectory(disk, directory);
  for (const number of covered) {
    home.check();
    removeIfThere(disk, join(directory, segmentName(number)));
  }
  syncDirectory(disk, directory);
}
