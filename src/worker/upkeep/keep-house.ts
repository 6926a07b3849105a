import { join } from 'node:path';
import type { Disk } from '../../files/disk.js';
import { segmentName } from '../../format/segment-name.js';
import type { LogState } from '../../format/state-file.js';
import type { Failure } from '../../protocol/errors.js';
import type { LogDirectory } from '../directory/log-directory.js';
import { removeIfThere, syncDirectory } from '../directory/side-files.js';
import { replaceState } from '../directory/state-store.js';
import { failureOf, LogFailure } from '../errors/failure.js';
import {
  type FillStep,
  fill,
  type Recycling,
  type RecyclingOutcome,
  recycle,
} from '../write/preallocation.js';

/** Work that follows from durability and that no thread waits for: see [keepHouse]. */
export interface Housework {
  /** The state file's new content, if it is due. */
  readonly state: LogState | undefined;
  /** Numbers of the segments to remove, lowest first. */
  readonly removals: readonly number[];
  /** Which of the removals keeps its file for another use. */
  readonly recycling?: Recycling | undefined;
  /** Prepares a file before its use. Such a job does nothing else. */
  readonly fill?: FillStep | undefined;
}

/** The result of the housework. Its failures harm no entry. */
export interface Housekeeping {
  readonly stateWritten: boolean;
  /** Removals that failed or were not tried, lowest first. None may be overtaken by a later removal, or the log has a hole. */
  readonly unremoved: readonly number[];
  readonly troubles: readonly Failure[];
  /** The outcome for the segment to be recycled; `undefined`: there was none, or the rename failed. */
  readonly recycled?: RecyclingOutcome | undefined;
  /** Why the job's step of filling a file failed. */
  readonly fillTroubles?: readonly Failure[] | undefined;
}

/**
 * Writes the state file, then removes segments, lowest first, with a sync of the directory after each, so that a crash leaves no
 * hole. No entry depends on these files, so any failure to write or remove one is reported and does not end the log. A failed
 * sync of the directory throws, since it holds the names of segments. A directory that is no longer the log's throws before
 * anything is changed in it.
 */
export function keepHouse(disk: Disk, place: LogDirectory, job: Housework, fileMode: number): Housekeeping {
  const { directory } = place;
  const troubles: Failure[] = [];
  let stateWritten = false;
  if (job.state !== undefined) {
    place.check();
    try {
      replaceState(disk, directory, job.state, fileMode);
      stateWritten = true;
    } catch (error) {
      troubles.push(failureOf(error, `write the state file of "${directory}"`, directory));
    }
    if (stateWritten) syncDirectory(disk, directory);
  }
  let unremoved: readonly number[] = [];
  let recycled: RecyclingOutcome | undefined;
  for (const [at, number] of job.removals.entries()) {
    const path = join(directory, segmentName(number));
    // Checked before each removal: removing thousands of segments durably may take minutes.
    place.check();
    try {
      if (number === job.recycling?.number) recycled = recycle(disk, directory, job.recycling);
      else {
        // Another process may have removed it.
        removeIfThere(disk, path);
        syncDirectory(disk, directory);
      }
    } catch (error) {
      if (error instanceof LogFailure) throw error;
      troubles.push(failureOf(error, `remove "${path}"`, path));
      unremoved = job.removals.slice(at);
      break;
    }
  }
  if (job.fill !== undefined) place.check();
  const fillTroubles = job.fill && fill(disk, directory, job.fill, fileMode);
  return { stateWritten, unremoved, troubles, recycled, fillTroubles };
}
