/**
 * The write-ahead log. Begin with {@link Wal}.
 *
 * @module ringwal
 */

export type {
  AllLanesStats,
  BackupsStats,
  CompressionStats,
  LanesStats,
  ReadersStats,
  RecoveryStats,
  WalHistogram,
  WalStats,
} from './main/api/stats.js';
export { Wal } from './main/api/wal.js';
export { WalLane } from './main/api/wal-lane.js';
export { WalReader } from './main/api/wal-reader.js';
export type { EntryData } from './main/append/entry-data.js';
export type { LaneStats } from './main/append/lane-tallies.js';
export type { ArchiveStats } from './main/archive/archive-backlog.js';
export type { CheckpointOptions } from './main/checkpoints/checkpoint-options.js';
export type { CheckpointStats } from './main/checkpoints/checkpoint-stats.js';
export { WalError, type WalErrorDetails } from './main/errors/wal-error.js';
export type { BackupInfo, BackupVerifyReport, DamagedFile } from './main/jobs/backup.js';
export type {
  LsnRange,
  VerifyBlocks,
  VerifyReport,
  VerifySegment,
  VerifyTrouble,
} from './main/jobs/verify.js';
export type { WalAttachment } from './main/log/attachment.js';
export type { Diagnostics as WalDiagnostics } from './main/log/diagnostics.js';
export type { AppendOptions } from './main/options/append-options.js';
export type { Archive, ArchiveSegment } from './main/options/archive-option.js';
export type {
  BackupOptions,
  BackupPlace,
  BackupProgress,
  DirectoryBackupOptions,
  RestoreOptions,
  VerifyBackupOptions,
} from './main/options/backup-options.js';
export type { CompressionCodec, CompressionOption } from './main/options/compression-option.js';
export type { DirectoryFollowOptions, FollowOptions } from './main/options/follow-options.js';
export type {
  ReadSegmentOptions,
  RepairOptions,
  VerifyOptions,
  VerifyProgress,
} from './main/options/job-options.js';
export type { LogStreamOptions } from './main/options/log-stream-options.js';
export type { EntriesOptions, ReadOptions } from './main/options/read-options.js';
export type {
  RemoteOptions,
  ReplicaFollowOptions,
  ReplicaRestoreOptions,
  TakeOverOptions,
} from './main/options/remote-options.js';
export type { DurabilityLevel, ReplicaOptions } from './main/options/replica-option.js';
export type {
  ReadSnapshotOptions,
  SnapshotProgress,
  VerifySnapshotsOptions,
  WriteSnapshotOptions,
} from './main/options/snapshot-options.js';
export type { WalTime } from './main/options/times.js';
export type { RetainFrom, WalOptions, WalReaderOptions } from './main/options/wal-options.js';
export type { WalIterator } from './main/read/entry-iterator.js';
export type { WalEntry } from './main/read/segment-reader.js';
export type { ReplicaStats } from './main/replica/replica-figures.js';
export type { RecoverOptions } from './main/snapshot/recover-options.js';
export type { RecoveredState } from './main/snapshot/recover-state.js';
export type {
  AsyncBytesIterable,
  BytesEnd,
  BytesIterable,
  BytesIterator,
  BytesPiece,
  BytesResult,
  SnapshotSource,
} from './main/snapshot/snapshot-source.js';
export type { SnapshotsStats } from './main/snapshot/snapshots.js';
export type { SnapshotReport } from './main/snapshot/verify-snapshots.js';
export type { LogStream } from './main/stream/log-stream.js';
export type { BackupReport, RestoreReport } from './protocol/backup-reports.js';
export type { NamedCheckpoint } from './protocol/checkpoint-changes.js';
export type { WalErrorCode } from './protocol/errors.js';
export type { ReplicaState } from './protocol/replica-messages.js';
export type { ReplicaRestoreReport } from './protocol/replica-reports.js';
export type {
  RecoveryCut as WalRecoveryCut,
  RecoveryReport as WalRecovery,
  RepairReport as WalRepair,
  SegmentInfo,
} from './protocol/reports.js';
export type { RejectedSnapshot, SnapshotInfo } from './protocol/snapshots.js';
export type { ReplicaAdapter, ReplicatedLog } from './replica/replica.js';
