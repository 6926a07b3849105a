import type { Disk, DiskFile } from '../../files/disk.js';
import type { AckRuns } from '../../protocol/lane-messages.js';
import { LogFailure, syncFailed } from '../errors/failure.js';
import type { Housework } from '../upkeep/keep-house.js';
import type { StatsSnapshot } from '../upkeep/stats-publisher.js';

/** The part of a file that a sync needs. */
export type SyncableFile = Pick<DiskFile, 'path' | 'datasync'>;

/**
 * One job of the sync thread. It makes durable, in this order: the sealed segments, the directory, the live segment. Only then is
 * `watermark` true and `acknowledgements` may go out. No thread waits for the rest of the job (state file, removals).
 */
export interface SyncJob<File extends SyncableFile = SyncableFile> extends Housework {
  /** Sealed segments first, the live one last. Empty: nothing to sync, only the rest of the job. */
  readonly files: readonly File[];
  /** A segment was created since the directory was last synced. */
  readonly directoryChanged: boolean;
  /** Zeros were written after the frames of the live segment. */
  readonly hasZeros: boolean;
  /** The LSN up to which everything is durable once the files are. */
  readonly watermark: number;
  /** One element for each lane (by index) with entries that wait for durability. */
  readonly acknowledgements: readonly { readonly lane: number; readonly runs: AckRuns }[];
  /** Set when the job writes the stats file, as its last step. */
  readonly statsSnapshot?: StatsSnapshot | undefined;
}

/**
 * Makes the job's files durable.
 *
 * @throws LogFailure ERR_WAL_SYNC_FAILED: a failed sync is terminal, whatever its code
 */
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
    throw error instanceof LogFailure ? error : syncFailed(error, path);
  }
}
