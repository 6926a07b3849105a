import type { WalErrorCode } from '../../protocol/errors.js';
import type { HistogramReading as WalHistogram } from '../../ring/shared-histogram.js';
import type { LaneStats } from '../append/lane-tallies.js';
import type { ArchiveStats } from '../archive/archive-backlog.js';
import type { BackupsStats } from '../backup/live-backups.js';
import { type CheckpointStats, readCheckpoints } from '../checkpoints/checkpoint-stats.js';
import type { Connection } from '../log/connection.js';
import type { ReadersStats } from '../read/readers.js';
import type { ReplicaStats } from '../replica/replica-figures.js';
import type { SnapshotsStats } from '../snapshot/snapshots.js';

/**
 * Figures of a log since it was opened: {@link Wal.stats}. Counts begin at 0; an LSN of 0 means that there is no
 * entry. The figures of {@link LaneStats} describe the opening thread's lane, all other figures the whole log. The
 * object is plain data: it can be cloned and printed as JSON.
 */
export interface WalStats extends LaneStats {
  /** Milliseconds since the log was opened. */
  readonly uptimeMs: number;
  /** Code of the error that ended the log; `undefined` while the log works, and after an orderly close. */
  readonly failure: WalErrorCode | undefined;
  /** Entries written, by all threads. */
  readonly entries: number;
  /** Bytes of data in those entries. */
  readonly payloadBytes: number;
  /** Bytes written to the segments: the frames of those entries. */
  readonly frameBytes: number;
  /** What the option `compression` made of them. */
  readonly compression: CompressionStats;
  /** Groups of entries. One write call hands a group to the system. */
  readonly groups: number;
  /** Entries in each group. */
  readonly groupEntries: WalHistogram;
  /** Time to hand each group to the system, in microseconds. */
  readonly writeMicros: WalHistogram;
  /** Completed syncs. */
  readonly syncs: number;
  /** Time of each sync, in microseconds. It includes all files of the sync and the directory. */
  readonly syncMicros: WalHistogram;
  /** System calls that the log's threads repeated: short writes, `EINTR`, `EAGAIN`. */
  readonly retries: number;
  /** Segments that the log sealed. */
  readonly rotations: number;
  /** Segments that retention removed. */
  readonly segmentsRemoved: number;
  /** Entries that the log accepted and then rejected because the disk was full. */
  readonly rejected: number;
  /** As {@link WalReader.firstLsn}. */
  readonly firstLsn: number;
  /** As {@link WalReader.lastLsn}. */
  readonly lastLsn: number;
  /** As {@link WalReader.durableLsn}. */
  readonly durableLsn: number;
  /** As {@link Wal.checkpointLsn}. */
  readonly checkpointLsn: number;
  /**
   * The named checkpoints, and the unnamed one if it is above 0; the lowest first. With `retainFrom: 'checkpoint'` the
   * first one holds back the most entries.
   */
  readonly checkpoints: readonly CheckpointStats[];
  /** The option `archive`; `undefined` if the log was opened without it. */
  readonly archive: ArchiveStats | undefined;
  /** The option `replica`; `undefined` if the log was opened without it. */
  readonly replica: ReplicaStats | undefined;
  /** Number of segments. */
  readonly segments: number;
  /** Bytes of the frames in the segments. Space that `preallocate` keeps ready is not included. */
  readonly segmentBytes: number;
  /** The active readers of the opening thread. Retention waits for them. */
  readonly readers: ReadersStats;
  /** The log's snapshots, and the calls that wrote them. */
  readonly snapshots: SnapshotsStats;
  /** Backups by {@link Wal.backup} of this object. Backups by other processes are not counted. */
  readonly backups: BackupsStats;
  /** The result of recovery when the log was opened. */
  readonly recovered: RecoveryStats;
  /** The lanes of all threads. Each attached lane has its own {@link WalLane.stats}. */
  readonly lanes: LanesStats;
  /** Figures over the lanes of all threads. */
  readonly allLanes: AllLanesStats;
}

/** What {@link WalOptions.compression} has done since the log was opened; zeros without it. */
export interface CompressionStats {
  /** Compressed blocks written. Each holds many entries, or one large one. */
  readonly blocks: number;
  /** Bytes that were compressed: the data of the entries in those blocks, and one to five bytes for each. */
  readonly rawBytes: number;
  /** Bytes that these became. */
  readonly storedBytes: number;
  /**
   * Groups that did not become shorter than 7/8, and were written without compression. After the first miss in a row the
   * next group is not tried, then the next 2, 4, up to 64.
   */
  readonly misses: number;
}

/** Recovery in figures; {@link WalReader.recovery} has the whole report. */
export interface RecoveryStats {
  /** Milliseconds. */
  readonly durationMs: number;
  /** Bytes cut after the last kept entry: a torn tail, or the end of a corrupt log. */
  readonly cutBytes: number;
  /** Bytes above the watermark that recovery rewrote. */
  readonly rewrittenBytes: number;
  /** LSNs that a repair of a corrupt log left without an entry: a gap, or a lost end. */
  readonly lostLsns: number;
}

/** The lanes of a log, one for each thread that appends. */
export interface LanesStats {
  /** Lanes in use, including the opening thread's. */
  readonly open: number;
  /** Shared memory of closed lanes, kept for the next thread. */
  readonly pooled: number;
  /** Lanes since open that reused such memory. */
  readonly reused: number;
  /**
   * Lanes whose thread ended without closing them. The log still writes what the thread published, and then pools the
   * lane.
   */
  readonly gone: number;
}

/** The figures of {@link LaneStats}, over the lanes of all threads. Counts include lanes that are closed by now. */
export interface AllLanesStats {
  /** Bytes in use in the fullest ring. Each ring has {@link LaneStats.ringBytes}. */
  readonly fullestRingUsed: number;
  /** Sum of {@link LaneStats.lost}. */
  readonly lost: number;
  /** Sum of {@link LaneStats.refused}. */
  readonly refused: number;
  /** Sum of {@link LaneStats.queued}. */
  readonly queued: number;
  /** Sum of {@link LaneStats.waits}. */
  readonly waits: number;
  /** Sum of {@link LaneStats.droppedLines}. */
  readonly droppedLines: number;
}

export type { BackupsStats, ReadersStats, WalHistogram };

export function readStats(connection: Connection): WalStats {
  const { status, lane, recovery, view } = connection;
  connection.askForSyncs();
  const { segments, bytes: segmentBytes } = view.extent();
  const own = lane.stats();
  return {
    ...own,
    uptimeMs: connection.uptimeMs,
    failure: lane.failure?.code,
    entries: status.get('entries'),
    payloadBytes: status.get('payloadBytes'),
    frameBytes: status.get('frameBytes'),
    compression: {
      blocks: status.get('blocks'),
      rawBytes: status.get('blockRawBytes'),
      storedBytes: status.get('blockStoredBytes'),
      misses: status.get('blockMisses'),
    },
    groups: status.get('groups'),
    groupEntries: status.groupEntries.read(),
    writeMicros: status.writeMicros.read(),
    syncs: status.get('syncs'),
    syncMicros: status.syncMicros.read(),
    retries: status.get('retries'),
    rotations: status.get('rotations'),
    segmentsRemoved: status.get('removed'),
    rejected: status.get('rejected'),
    firstLsn: status.get('firstLsn'),
    lastLsn: status.get('lastLsn'),
    durableLsn: status.get('durableLsn'),
    checkpointLsn: status.get('checkpointLsn'),
    checkpoints: readCheckpoints(connection.checkpoints, status.get('checkpointLsn'), status.get('lastLsn')),
    archive: connection.archiver?.stats(),
    replica: connection.replication?.stats(),
    segments,
    segmentBytes,
    readers: view.readers.read(),
    snapshots: connection.snapshots.read(),
    backups: connection.backups.read(),
    recovered: {
      durationMs: recovery.durationMs,
      cutBytes: recovery.cut?.bytes ?? 0,
      rewrittenBytes: recovery.rewrittenBytes,
      lostLsns: recovery.repair?.lostLsns ?? 0,
    },
    lanes: {
      open: status.get('lanes'),
      pooled: status.get('lanesPooled'),
      reused: status.get('lanesReused'),
      gone: status.get('lanesGone'),
    },
    allLanes: {
      fullestRingUsed: Math.max(own.ringUsed, connection.fullestOfOthers()),
      lost: status.get('lost'),
      refused: status.get('refused'),
      queued: status.get('queued'),
      waits: status.get('waits'),
      droppedLines: status.get('dropped'),
    },
  };
}
