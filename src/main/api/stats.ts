import type { WalErrorCode } from '../../protocol/errors.js';
import type { HistogramReading as WalHistogram } from '../../ring/shared-histogram.js';
import type { LaneStats } from '../append/lane-tallies.js';
import type { Connection } from '../log/connection.js';
import type { ReadersStats } from '../read/readers.js';

/**
 * Figures of a log since it was opened: {@link Wal.stats}. Counts begin at 0; LSNs are 0 where there is no entry. The figures of
 * {@link LaneStats} among them are those of the opening thread's lane, all others those of the whole log. Plain data: it can be
 * cloned and printed as JSON.
 */
export interface WalStats extends LaneStats {
  /** Milliseconds since the log was opened. */
  readonly uptimeMs: number;
  /** Code of the error that ended the log; `undefined` while it works, and once it was closed in order. */
  readonly failure: WalErrorCode | undefined;
  /** Entries written, by all threads. */
  readonly entries: number;
  /** Bytes of their data. */
  readonly payloadBytes: number;
  /** Bytes of their frames: what went to the segments. */
  readonly frameBytes: number;
  /** Groups of entries that were handed to the system in one go. */
  readonly groups: number;
  /** How many entries the groups had. */
  readonly groupEntries: WalHistogram;
  /** What handing each group to the system took, in microseconds. */
  readonly writeMicros: WalHistogram;
  /** Completed syncs. */
  readonly syncs: number;
  /** What each sync took, in microseconds: all files of it, the directory included. */
  readonly syncMicros: WalHistogram;
  /** Calls of the log's threads that were repeated: short writes, `EINTR`, `EAGAIN`. */
  readonly retries: number;
  /** Segments that were sealed. */
  readonly rotations: number;
  /** Segments that retention removed. */
  readonly segmentsRemoved: number;
  /** Entries that were accepted and then rejected for lack of room on the disk. */
  readonly rejected: number;
  /** As {@link WalReader.firstLsn}. */
  readonly firstLsn: number;
  /** As {@link WalReader.lastLsn}. */
  readonly lastLsn: number;
  /** As {@link WalReader.durableLsn}. */
  readonly durableLsn: number;
  /** As {@link Wal.checkpointLsn}. */
  readonly checkpointLsn: number;
  /** Segments of the log. */
  readonly segments: number;
  /** Bytes of the frames in them. What `preallocate` keeps ready comes on top. */
  readonly segmentBytes: number;
  /** The readers of the opening thread that are under way: what retention waits for. */
  readonly readers: ReadersStats;
  /** What opening found and did. */
  readonly recovered: RecoveryStats;
  /** The lanes of all threads. Each attached one has its own {@link WalLane.stats}. */
  readonly lanes: LanesStats;
  /** The figures of all threads' lanes together. */
  readonly allLanes: AllLanesStats;
}

/** Recovery in figures; {@link WalReader.recovery} has the whole report. */
export interface RecoveryStats {
  /** Milliseconds. */
  readonly durationMs: number;
  /** Bytes behind the last kept entry that were cut, a torn tail's or a corrupt log's. */
  readonly cutBytes: number;
  /** Bytes above the watermark that were written anew. */
  readonly rewrittenBytes: number;
  /** LSNs that a repair of a corrupt log left without an entry: a gap, or a lost end. */
  readonly lostLsns: number;
}

/** The lanes of a log, one for each thread that appends. */
export interface LanesStats {
  /** In use, the opening thread's included. */
  readonly open: number;
  /** Memories of lanes that wait for the next thread. */
  readonly pooled: number;
  /** Lanes since open that were made of such a memory. */
  readonly reused: number;
  /** Lanes whose thread ended without closing them. What it had published is written; the lane is pooled like any other. */
  readonly gone: number;
}

/** What {@link LaneStats} says of one lane, of the lanes of all threads. Counts include lanes that were closed since. */
export interface AllLanesStats {
  /** Bytes in use of the fullest ring. Each has {@link LaneStats.ringBytes}. */
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

export type { ReadersStats, WalHistogram };

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
    segments,
    segmentBytes,
    readers: view.readers.read(),
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
