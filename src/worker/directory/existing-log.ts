import { type Disk, DiskError, isMissing } from '../../files/disk.js';
import { parseSegmentName, STATE_FILE } from '../../format/segment-name.js';
import { LogFailure } from '../errors/failure.js';

/**
 * Refuses a directory without a log: one that is not there, or that has neither a segment nor a state file. A log has a state file
 * from its first open on. Changes nothing.
 *
 * @throws LogFailure ERR_WAL_IO, cause ENOENT; the system's other errors
 */
export function refuseMissing(disk: Disk, directory: string): void {
  if (namesIn(disk, directory).some((name) => name === STATE_FILE || parseSegmentName(name) !== undefined))
    return;
  throw new LogFailure(
    'ERR_WAL_IO',
    `Cannot open "${directory}": there is no log, and the option create is false. Nothing was created. Check the path, or leave ` +
      'the option out to make a new log.',
    { path: directory, cause: new DiskError('ENOENT', 'open', directory, 'no log is there') },
  );
}

function namesIn(disk: Disk, directory: string): readonly string[] {
  try {
    return disk.list(directory);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}
