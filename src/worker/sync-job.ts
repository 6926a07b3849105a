import { join } from 'node:path';
import { type Disk, type DiskFile, isFullDisk, isMissing, isOutOfDescriptors } from '../files/disk.js';
import { segmentName } from '../format/segment-name.js';
import type { LogState } from '../format/state-file.js';
import { failureOf, LogFailure, syncFailed } from './failure.js';
import type { Failure, LaneRuns } from './messages.js';
import { writeState } from './state-store.js';

/**
 * One round of the sync thread. What it makes durable, in this order: the sealed segments, the directory, the live
 * segment. Only then is `watermark` true and `acknowledgements` may go out; what follows (state file, removals) is
 * nobody's wait.
 */
export interface SyncJob {
  /** Sealed segments first, the live one last. Empty: nothing to sync, only the rest. */
  readonly files: readonly DiskFile[];
  /** A segment was created since the directory was last synced. */
  readonly directoryChanged: boolean;
  /** The LSN up to which everything is durable once the files are. */
  readonly watermark: number;
  /** For each lane (by index) that waits for durability. */
  readonly acknowledgements: readonly { readonly lane: number; readonly runs: LaneRuns }[];
  /** The state file's new content, if it is due. */
  readonly state: LogState | undefined;
  /** Numbers of the segments to remove, lowest first. */
  readonly removals: readonly number[];
}

/** Makes the job's files durable. Throws `ERR_WAL_SYNC_FAILED`: a failed sync is terminal, whatever its code. */
export function syncFiles(disk: Disk, directory: string, job: SyncJob): void {
  let path = directory;
  try {
    for (const file of job.files.slice(0, -1)) {
      path = file.path;
      file.datasync();
    }
    if (job.directoryChanged) {
      path = directory;
      disk.syncDirectory(directory);
    }
    const live = job.files.at(-1);
    if (live !== undefined) {
      path = live.path;
      live.datasync();
    }
  } catch (error) {
    throw syncFailed(error, path);
  }
}

/** What came of the housekeeping; troubles harm no entry. */
export interface Housekeeping {
  readonly stateWritten: boolean;
  /** Of the removals those that were not made, lowest first: none may be made before them, or the log has a hole. */
  readonly unremoved: readonly number[];
  readonly troubles: readonly Failure[];
}

/**
 * State file, then removals, lowest first with the directory synced after each, so that a crash leaves no hole.
 * A full disk or a file that cannot be removed is reported; a failed sync throws, since it is terminal like any other.
 */
export function keepHouse(
  disk: Disk,
  directory: string,
  job: Pick<SyncJob, 'state' | 'removals'>,
  fileMode: number,
): Housekeeping {
  const troubles: Failure[] = [];
  let stateWritten = false;
  if (job.state !== undefined) {
    try {
      writeState(disk, directory, job.state, fileMode);
      stateWritten = true;
    } catch (error) {
      if (!isFullDisk(error) && !isOutOfDescriptors(error)) throw error;
      troubles.push(failureOf(error, 'write the state file', directory));
    }
  }
  let unremoved: readonly number[] = [];
  for (const [at, number] of job.removals.entries()) {
    const path = join(directory, segmentName(number));
    try {
      removeFile(disk, directory, path);
    } catch (error) {
      if (error instanceof LogFailure) throw error;
      troubles.push(failureOf(error, `remove "${path}"`, path));
      unremoved = job.removals.slice(at);
      break;
    }
  }
  return { stateWritten, unremoved, troubles };
}

function removeFile(disk: Disk, directory: string, path: string): void {
  try {
    disk.unlink(path);
  } catch (error) {
    // Somebody was faster.
    if (!isMissing(error)) throw error;
  }
  try {
    disk.syncDirectory(directory);
  } catch (error) {
    throw syncFailed(error, directory);
  }
}
