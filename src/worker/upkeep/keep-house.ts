import { join } from 'node:path';
import { type Disk, isMissing } from '../../files/disk.js';
import { segmentName } from '../../format/segment-name.js';
import type { LogState } from '../../format/state-file.js';
import type { Failure } from '../../protocol/errors.js';
import type { LogDirectory } from '../directory/log-directory.js';
import { syncDirectory } from '../directory/side-files.js';
import { replaceState } from '../directory/state-store.js';
import { failureOf, LogFailure } from '../errors/failure.js';
import {
  type FillStep,
  fill,
  type Recycling,
  type RecyclingOutcome,
  recycle,
} from '../write/preallocation.js';

/** What follows from durability and is nobody's wait: see [keepHouse]. */
export interface Housework {
  /** The state file's new content, if it is due. */
  readonly state: LogState | undefined;
  /** Numbers of the segments to remove, lowest first. */
  readonly removals: readonly number[];
  /** Of the removals the one whose file is kept for another use. */
  readonly recycling?: Recycling | undefined;
  /** Makes a file ready ahead of its use. Nobody waits for it: such a job has nothing else to do. */
  readonly fill?: FillStep | undefined;
}

/** What came of the housekeeping; troubles harm no entry. */
export interface Housekeeping {
  readonly stateWritten: boolean;
  /** Of the removals those that were not made, lowest first: none may be made before them, or the log has a hole. */
  readonly unremoved: readonly number[];
  readonly troubles: readonly Failure[];
  /** What became of the segment that was to be recycled; `undefined`: there was none, or it is where it was. */
  readonly recycled?: RecyclingOutcome | undefined;
  /** What kept the job's step of filling a file from being made. */
  readonly fillTroubles?: readonly Failure[] | undefined;
}

/**
 * State file, then removals, lowest first with the directory synced after each, so that a crash leaves no hole.
 * Nothing that an entry rests on is in these files: what keeps one from being written or removed is reported, whatever it is.
 * A failed sync of the directory throws, since the names of segments are in it; so does a directory that is no longer the log's, before
 * anything is done there.
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
    // Each time: it may take minutes until thousands are gone, each durably.
    place.check();
    try {
      if (number === job.recycling?.number) recycled = recycle(disk, directory, job.recycling);
      else removeFile(disk, directory, path);
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

function removeFile(disk: Disk, directory: string, path: string): void {
  try {
    disk.unlink(path);
  } catch (error) {
    // Somebody was faster.
    if (!isMissing(error)) throw error;
  }
  syncDirectory(disk, directory);
}
