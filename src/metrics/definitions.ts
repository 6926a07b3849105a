import type { WalHistogram, WalStats } from '../index.js';
import { countBelow } from '../ring/shared-histogram.js';
import { REPLICA_FIGURES } from './replica-figures.js';
import { ARCHIVE_FIGURES } from './retention-figures.js';

/**
 * One figure of a log, as both exporters publish it. The names follow the conventions of each: base units, last in
 * the name for Prometheus.
 */
export interface Figure {
  readonly kind: 'counter' | 'gauge';
  readonly prometheus: `ringwal_${string}`;
  readonly opentelemetry: `ringwal.${string}`;
  /** The UCUM unit, for OpenTelemetry. */
  readonly unit: string;
  readonly help: string;
  readonly read: (stats: WalStats) => number;
}

/** A distribution with cumulative buckets, whose upper bounds are `bounds`. */
export interface Distribution {
  readonly prometheus: `ringwal_${string}`;
  readonly opentelemetry: `ringwal.${string}`;
  readonly unit: string;
  readonly help: string;
  readonly read: (stats: WalStats) => DistributionReading;
}

export interface DistributionReading {
  readonly count: number;
  readonly sum: number;
  /** Number of values at or below `le`, for ascending `le`. The count for infinity is `count`. */
  readonly buckets: readonly { readonly le: number; readonly count: number }[];
}

export const FIGURES: readonly Figure[] = [
  {
    kind: 'gauge',
    prometheus: 'ringwal_up',
    opentelemetry: 'ringwal.up',
    unit: '1',
    help: '1 while the log takes entries, 0 after an error has ended it',
    read: ({ failure }) => (failure === undefined ? 1 : 0),
  },
  {
    kind: 'counter',
    prometheus: 'ringwal_appends_total',
    opentelemetry: 'ringwal.appends',
    unit: '{entry}',
    help: 'Entries written, by all threads',
    read: ({ entries }) => entries,
  },
  {
    kind: 'counter',
    prometheus: 'ringwal_payload_bytes_total',
    opentelemetry: 'ringwal.payload',
    unit: 'By',
    help: 'Bytes of data in the entries written',
    read: ({ payloadBytes }) => payloadBytes,
  },
  {
    kind: 'counter',
    prometheus: 'ringwal_written_bytes_total',
    opentelemetry: 'ringwal.written',
    unit: 'By',
    help: 'Bytes written to segments, framing included',
    read: ({ frameBytes }) => frameBytes,
  },
  {
    kind: 'counter',
    prometheus: 'ringwal_compressed_blocks_total',
    opentelemetry: 'ringwal.compression.blocks',
    unit: '{block}',
    help: 'Compressed blocks written',
    read: ({ compression }) => compression.blocks,
  },
  {
    kind: 'counter',
    prometheus: 'ringwal_compression_input_bytes_total',
    opentelemetry: 'ringwal.compression.input',
    unit: 'By',
    help: 'Bytes of entries that were compressed',
    read: ({ compression }) => compression.rawBytes,
  },
  {
    kind: 'counter',
    prometheus: 'ringwal_compression_output_bytes_total',
    opentelemetry: 'ringwal.compression.output',
    unit: 'By',
    help: 'Bytes that those entries became',
    read: ({ compression }) => compression.storedBytes,
  },
  {
    kind: 'counter',
    prometheus: 'ringwal_compression_misses_total',
    opentelemetry: 'ringwal.compression.misses',
    unit: '{group}',
    help: 'Groups of entries that compression did not make short enough',
    read: ({ compression }) => compression.misses,
  },
  {
    kind: 'counter',
    prometheus: 'ringwal_rotations_total',
    opentelemetry: 'ringwal.rotations',
    unit: '{segment}',
    help: 'Segments sealed because they were full',
    read: ({ rotations }) => rotations,
  },
  {
    kind: 'counter',
    prometheus: 'ringwal_removed_segments_total',
    opentelemetry: 'ringwal.removed',
    unit: '{segment}',
    help: 'Segments that retention removed',
    read: ({ segmentsRemoved }) => segmentsRemoved,
  },
  {
    kind: 'counter',
    prometheus: 'ringwal_rejected_total',
    opentelemetry: 'ringwal.rejected',
    unit: '{entry}',
    help: 'Entries that were accepted and then rejected because the disk was full',
    read: ({ rejected }) => rejected,
  },
  {
    kind: 'counter',
    prometheus: 'ringwal_lost_total',
    opentelemetry: 'ringwal.lost',
    unit: '{entry}',
    help: 'Fire-and-forget entries that were accepted and then not written, of all threads',
    read: ({ allLanes }) => allLanes.lost,
  },
  {
    kind: 'counter',
    prometheus: 'ringwal_dropped_lines_total',
    opentelemetry: 'ringwal.dropped_lines',
    unit: '{line}',
    help: 'Lines dropped by log streams, of all threads',
    read: ({ allLanes }) => allLanes.droppedLines,
  },
  {
    kind: 'counter',
    prometheus: 'ringwal_refused_total',
    opentelemetry: 'ringwal.refused',
    unit: '{call}',
    help: 'Calls of tryAppend or tryEncode that found no room, on all threads',
    read: ({ allLanes }) => allLanes.refused,
  },
  {
    kind: 'counter',
    prometheus: 'ringwal_queued_total',
    opentelemetry: 'ringwal.queued',
    unit: '{call}',
    help: 'Appends that found the ring full and were queued, on all threads',
    read: ({ allLanes }) => allLanes.queued,
  },
  {
    kind: 'counter',
    prometheus: 'ringwal_waits_total',
    opentelemetry: 'ringwal.waits',
    unit: '{call}',
    help: 'Calls of ready() that had to wait, on all threads',
    read: ({ allLanes }) => allLanes.waits,
  },
  {
    kind: 'counter',
    prometheus: 'ringwal_retries_total',
    opentelemetry: 'ringwal.retries',
    unit: '{call}',
    help: 'System calls that the log repeated: short writes, EINTR, EAGAIN',
    read: ({ retries }) => retries,
  },
  {
    kind: 'counter',
    prometheus: 'ringwal_lanes_gone_total',
    opentelemetry: 'ringwal.lanes.gone',
    unit: '{thread}',
    help: 'Attached threads that ended without closing their lane',
    read: ({ lanes }) => lanes.gone,
  },
  {
    kind: 'gauge',
    prometheus: 'ringwal_first_lsn',
    opentelemetry: 'ringwal.lsn.first',
    unit: '1',
    help: 'LSN of the oldest entry kept, 0 = none',
    read: ({ firstLsn }) => firstLsn,
  },
  {
    kind: 'gauge',
    prometheus: 'ringwal_last_lsn',
    opentelemetry: 'ringwal.lsn.last',
    unit: '1',
    help: 'LSN of the newest entry written, 0 = none',
    read: ({ lastLsn }) => lastLsn,
  },
  {
    kind: 'gauge',
    prometheus: 'ringwal_durable_lsn',
    opentelemetry: 'ringwal.lsn.durable',
    unit: '1',
    help: 'The watermark: the highest LSN known to survive a power cut',
    read: ({ durableLsn }) => durableLsn,
  },
  {
    kind: 'gauge',
    prometheus: 'ringwal_checkpoint_lsn',
    opentelemetry: 'ringwal.lsn.checkpoint',
    unit: '1',
    help: 'The LSN of the last checkpoint, 0 = none',
    read: ({ checkpointLsn }) => checkpointLsn,
  },
  {
    kind: 'gauge',
    prometheus: 'ringwal_unsynced_entries',
    opentelemetry: 'ringwal.unsynced',
    unit: '{entry}',
    help: 'Entries written and not yet known durable',
    read: ({ lastLsn, durableLsn }) => Math.max(0, lastLsn - durableLsn),
  },
  {
    kind: 'gauge',
    prometheus: 'ringwal_segments',
    opentelemetry: 'ringwal.segments',
    unit: '{segment}',
    help: 'Segments of the log',
    read: ({ segments }) => segments,
  },
  {
    kind: 'gauge',
    prometheus: 'ringwal_segment_bytes',
    opentelemetry: 'ringwal.disk',
    unit: 'By',
    help: 'Bytes of frames in the segments',
    read: ({ segmentBytes }) => segmentBytes,
  },
  {
    kind: 'gauge',
    prometheus: 'ringwal_readers_open',
    opentelemetry: 'ringwal.readers.open',
    unit: '{reader}',
    help: 'Iterators of the opening thread that have a segment open',
    read: ({ readers }) => readers.open,
  },
  {
    kind: 'gauge',
    prometheus: 'ringwal_pinned_lsn',
    opentelemetry: 'ringwal.lsn.pinned',
    unit: '1',
    help: 'LSN of the first entry of the oldest segment that a reader keeps from retention, 0 = none',
    read: ({ readers }) => readers.pinnedLsn,
  },
  {
    kind: 'gauge',
    prometheus: 'ringwal_pinned_seconds',
    opentelemetry: 'ringwal.readers.pinned',
    unit: 's',
    help: 'The longest time that a reader has kept its current segment from retention',
    read: ({ readers }) => readers.pinnedMs / 1000,
  },
  {
    kind: 'counter',
    prometheus: 'ringwal_backups_total',
    opentelemetry: 'ringwal.backups',
    unit: '{backup}',
    help: 'Backups of the log that this process finished',
    read: ({ backups }) => backups.completed,
  },
  {
    kind: 'counter',
    prometheus: 'ringwal_backup_failures_total',
    opentelemetry: 'ringwal.backup.failures',
    unit: '{backup}',
    help: 'Backups that failed, without those that were aborted',
    read: ({ backups }) => backups.failed,
  },
  {
    kind: 'gauge',
    prometheus: 'ringwal_backup_last_lsn',
    opentelemetry: 'ringwal.lsn.backup',
    unit: '1',
    help: 'LSN of the last entry in the newest backup of this process, 0 = there is none',
    read: ({ backups }) => backups.lastLsn,
  },
  {
    kind: 'gauge',
    prometheus: 'ringwal_backup_age_seconds',
    opentelemetry: 'ringwal.backup.age',
    unit: 's',
    help: 'Time since the newest backup of this process was begun, 0 = there is none',
    read: ({ backups }) => backups.ageMs / 1000,
  },
  {
    kind: 'gauge',
    prometheus: 'ringwal_snapshots',
    opentelemetry: 'ringwal.snapshots',
    unit: '{snapshot}',
    help: 'Snapshots of the log',
    read: ({ snapshots }) => snapshots.count,
  },
  {
    kind: 'gauge',
    prometheus: 'ringwal_snapshot_lsn',
    opentelemetry: 'ringwal.lsn.snapshot',
    unit: '1',
    help: 'LSN of the newest snapshot, 0 = none',
    read: ({ snapshots }) => snapshots.newestLsn,
  },
  {
    kind: 'gauge',
    prometheus: 'ringwal_snapshot_age_seconds',
    opentelemetry: 'ringwal.snapshot.age',
    unit: 's',
    help: 'Time since the newest snapshot was begun, 0 = there is none',
    read: ({ snapshots }) => snapshots.newestAgeMs / 1000,
  },
  {
    kind: 'gauge',
    prometheus: 'ringwal_snapshot_bytes',
    opentelemetry: 'ringwal.snapshot.size',
    unit: 'By',
    help: 'Bytes of data in the newest snapshot',
    read: ({ snapshots }) => snapshots.newestBytes,
  },
  {
    kind: 'counter',
    prometheus: 'ringwal_snapshots_written_total',
    opentelemetry: 'ringwal.snapshots.written',
    unit: '{snapshot}',
    help: 'Snapshots written',
    read: ({ snapshots }) => snapshots.written,
  },
  {
    kind: 'counter',
    prometheus: 'ringwal_snapshot_failures_total',
    opentelemetry: 'ringwal.snapshots.failures',
    unit: '{snapshot}',
    help: 'Calls of writeSnapshot that failed',
    read: ({ snapshots }) => snapshots.failures,
  },
  {
    kind: 'gauge',
    prometheus: 'ringwal_ring_bytes',
    opentelemetry: 'ringwal.ring.limit',
    unit: 'By',
    help: 'Size of the ring of each thread',
    read: ({ ringBytes }) => ringBytes,
  },
  {
    kind: 'gauge',
    prometheus: 'ringwal_ring_used_bytes',
    opentelemetry: 'ringwal.ring.usage',
    unit: 'By',
    help: 'Bytes not written yet in the fullest ring of all threads',
    read: ({ allLanes }) => allLanes.fullestRingUsed,
  },
  {
    kind: 'gauge',
    prometheus: 'ringwal_pending_bytes',
    opentelemetry: 'ringwal.pending',
    unit: 'By',
    help: 'Bytes of the opening thread that wait for room in its ring or bypass it',
    read: ({ pendingBytes }) => pendingBytes,
  },
  {
    kind: 'gauge',
    prometheus: 'ringwal_unsettled_appends',
    opentelemetry: 'ringwal.unsettled',
    unit: '{call}',
    help: 'Append promises of the opening thread that are not settled',
    read: ({ unsettled }) => unsettled,
  },
  {
    kind: 'gauge',
    prometheus: 'ringwal_lanes_open',
    opentelemetry: 'ringwal.lanes.open',
    unit: '{thread}',
    help: 'Threads that append, the opening one included',
    read: ({ lanes }) => lanes.open,
  },
  {
    kind: 'gauge',
    prometheus: 'ringwal_uptime_seconds',
    opentelemetry: 'ringwal.uptime',
    unit: 's',
    help: 'Time since the log was opened',
    read: ({ uptimeMs }) => uptimeMs / 1000,
  },
  {
    kind: 'gauge',
    prometheus: 'ringwal_recovery_duration_seconds',
    opentelemetry: 'ringwal.recovery.duration',
    unit: 's',
    help: 'Time that recovery took when the log was opened',
    read: ({ recovered }) => recovered.durationMs / 1000,
  },
  {
    kind: 'gauge',
    prometheus: 'ringwal_recovery_cut_bytes',
    opentelemetry: 'ringwal.recovery.cut',
    unit: 'By',
    help: 'Bytes that recovery cut off when the log was opened: a torn tail',
    read: ({ recovered }) => recovered.cutBytes,
  },
  {
    kind: 'gauge',
    prometheus: 'ringwal_recovery_lost_lsns',
    opentelemetry: 'ringwal.recovery.lost',
    unit: '{entry}',
    help: 'LSNs that the repair of a corrupt log left without an entry when the log was opened',
    read: ({ recovered }) => recovered.lostLsns,
  },
  ...ARCHIVE_FIGURES,
  ...REPLICA_FIGURES,
];

export const DISTRIBUTIONS: readonly Distribution[] = [
  {
    prometheus: 'ringwal_write_duration_seconds',
    opentelemetry: 'ringwal.write.duration',
    unit: 's',
    help: 'Time to hand a group of entries to the system',
    read: ({ writeMicros }) => secondsOf(writeMicros),
  },
  {
    prometheus: 'ringwal_sync_duration_seconds',
    opentelemetry: 'ringwal.sync.duration',
    unit: 's',
    help: 'Time to make a group of entries durable: fdatasync of all its files',
    read: ({ syncMicros }) => secondsOf(syncMicros),
  },
  {
    prometheus: 'ringwal_group_entries',
    opentelemetry: 'ringwal.group.entries',
    unit: '{entry}',
    help: 'Entries in a group, which is handed to the system at once',
    read: ({ groupEntries }) => groupsOf(groupEntries),
  },
];

/**
 * 2 µs to 16.8 s. Recording truncates to whole microseconds, and a truncated value is below 2^n if and only if the
 * exact value is.
 */
const MICROS_POWERS = Array.from({ length: 24 }, (_, at) => at + 1);
/** 1, 3, 7, … 65,535: a whole number below 2^n is at most 2^n − 1. */
const ENTRIES_POWERS = Array.from({ length: 16 }, (_, at) => at + 1);

function secondsOf(micros: WalHistogram): DistributionReading {
  const buckets = MICROS_POWERS.map((power) => ({
    le: 2 ** power / 1e6,
    count: countBelow(micros, 2 ** power),
  }));
  return withInfinity(micros, micros.sum / 1e6, buckets);
}

function groupsOf(entries: WalHistogram): DistributionReading {
  const buckets = ENTRIES_POWERS.map((power) => ({
    le: 2 ** power - 1,
    count: countBelow(entries, 2 ** power),
  }));
  return withInfinity(entries, entries.sum, buckets);
}

function withInfinity(
  { count }: WalHistogram,
  sum: number,
  buckets: { le: number; count: number }[],
): DistributionReading {
  return { count, sum, buckets: [...buckets, { le: Number.POSITIVE_INFINITY, count }] };
}
