import type { MessagePort } from 'node:worker_threads';
import { createDirectory } from '../files/directories.js';
import type { Disk, DiskLock } from '../files/disk.js';
import type { ToLane } from '../protocol/lane-messages.js';
import type { WriterOptions, WriterThreadData } from '../protocol/thread-data.js';
import { Doorbell } from '../ring/doorbell.js';
import { chooseKernel } from '../ring/kernel/wasm.js';
import { touchRing, viewLane } from '../ring/layout.js';
import { LogStatus } from '../ring/log-status.js';
import { lockDirectory, lookBeforeLock } from './directory/directory-lock.js';
import { refuseMissing } from './directory/existing-log.js';
import { LanePool } from './intake/lane-pool.js';
import { WriterLane } from './intake/writer-lane.js';
import { WriterLanes } from './intake/writer-lanes.js';
import { type Recovered, refuseUntouched } from './recover/recovery.js';
import { SyncRound } from './sync/sync-round.js';
import type { Syncer } from './sync/syncer.js';
import { describeSegments } from './write/segment-catalog.js';
import { Writer } from './writer.js';

/** Creates the log's directory if it is missing, and takes the lock. @throws LogFailure, or the system's error */
export function lockLog(disk: Disk, options: WriterOptions): DiskLock {
  const { directory, directoryMode, fileMode, create } = options;
  if (create) createDirectory(disk, directory, directoryMode);
  else refuseMissing(disk, directory);
  lookBeforeLock(disk, directory, () => refuseUntouched(disk, options));
  return lockDirectory(disk, directory, fileMode);
}

export interface WriterHost {
  readonly disk: Disk;
  readonly lock: DiskLock;
  /** Milliseconds of a clock that never goes back. */
  readonly nowMs: () => number;
  readonly data: WriterThreadData<MessagePort>;
  readonly syncer: Syncer;
  readonly recovered: Recovered;
}

/** Creates the writer of a log that is locked and recovered, with its lanes and its round of syncs. */
export function createWriter({ disk, lock, nowMs, data, syncer, recovered }: WriterHost): {
  readonly writer: Writer;
  readonly pool: LanePool;
} {
  const { options, lanePort } = data;
  const { directory } = options;
  const views = viewLane(data.lane);
  // Touching the ring here spares the producer page faults in its first lap.
  touchRing(views);
  const status = new LogStatus(data.status);
  const pool = new LanePool(directory, data, status, chooseKernel);
  const lanes = new WriterLanes(new WriterLane(0, views, chooseKernel(data.lane, views), lanePort));
  const writer = new Writer({
    disk,
    lock,
    nowMs,
    status,
    doorbell: new Doorbell(data.bell),
    options,
    lanes,
    pool,
    syncer,
    round: new SyncRound({ disk, nowMs, directory, status, channels: lanes.channels }),
    start: recovered.start,
  });
  return { writer, pool };
}

/** The message to the opener once the log takes entries. */
export function openedMessage({ report, start }: Recovered, directory: string): ToLane {
  const { logId, place, unnamed, catalog, times, lastLsn, state, snapshots } = start;
  return {
    kind: 'opened',
    recovery: report,
    segments: describeSegments(catalog, directory, lastLsn),
    times,
    origin: { logId, place: place.identity, unnamed },
    kept: {
      namedCheckpoints: state.namedCheckpoints,
      archived: state.archived,
      branch: state.branch,
      replicated: state.replicated,
    },
    snapshots,
  };
}
