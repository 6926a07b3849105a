import type { HistogramReading } from '../ring/histogram.js';
import type { WalErrorCode } from '../worker/messages.js';
import type { Connection } from './connection.js';
import type { LaneStats } from './lane.js';

/** Figures of a log since it was opened. */
export interface WalStats extends LaneStats {
  /** Milliseconds since the log was opened. */
  readonly uptimeMs: number;
  /** Code of the error that ended the log; `undefined` while it works, and once it was closed in order. */
  readonly failure: WalErrorCode | undefined;
  /** Entries written, and the bytes of their data and of their frames. */
  readonly entries: number;
  readonly payloadBytes: number;
  readonly frameBytes: number;
  /** Write calls' worth of frames. */
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
  readonly rotations: number;
  /** Segments that retention removed. */
  readonly segmentsRemoved: number;
  /** Entries that were accepted and then rejected for lack of room on the disk. */
  readonly rejected: number;
  readonly firstLsn: number;
  readonly lastLsn: number;
  readonly durableLsn: number;
  readonly checkpointLsn: number;
  /** Segments of the log, and the bytes of the frames in them. What `preallocate` keeps ready comes on top. */
  readonly segments: number;
  readonly segmentBytes: number;
  /** What opening found and did. */
  readonly recovered: RecoveryStats;
  /** The figures above are those of the whole log, and of the opening thread's lane; each attached lane has its own `stats`. */
  readonly lanes: LanesStats;
}

/** Recovery in figures; `Wal.recovery` has the whole report. */
export interface RecoveryStats {
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

/** A histogram as it was at the call. Its buckets are at most an eighth of their values wide. */
export type WalHistogram = HistogramReading;

export function readStats(connection: Connection): WalStats {
  const { board, lane, recovery, view } = connection;
  connection.askForSyncs();
  const segments = view.segments();
  return {
    ...lane.stats(),
    uptimeMs: connection.uptimeMs,
    failure: lane.failure?.code,
    entries: board.get('entries'),
    payloadBytes: board.get('payloadBytes'),
    frameBytes: board.get('frameBytes'),
    groups: board.get('groups'),
    groupEntries: board.groupEntries.read(),
    writeMicros: board.writeMicros.read(),
    syncs: board.get('syncs'),
    syncMicros: board.syncMicros.read(),
    retries: board.get('retries'),
    rotations: board.get('rotations'),
    segmentsRemoved: board.get('removed'),
    rejected: board.get('rejected'),
    firstLsn: board.get('firstLsn'),
    lastLsn: board.get('lastLsn'),
    durableLsn: board.get('durableLsn'),
    checkpointLsn: board.get('checkpointLsn'),
    segments: segments.length,
    segmentBytes: segments.reduce((sum, { bytes }) => sum + bytes, 0),
    recovered: {
      durationMs: recovery.durationMs,
      cutBytes: recovery.cut?.bytes ?? 0,
      rewrittenBytes: recovery.rewrittenBytes,
      lostLsns: recovery.repair?.lostLsns ?? 0,
    },
    lanes: {
      open: board.get('lanes'),
      pooled: board.get('lanesPooled'),
      reused: board.get('lanesReused'),
      gone: board.get('lanesGone'),
    },
  };
}
