/**
 * The write-ahead log. Begin with {@link Wal}.
 *
 * @module ringwal
 */

export type {
  AllLanesStats,
  BackupsStats,
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
export { WalError, type WalErrorDetails } from './main/errors/wal-error.js';
export type { BackupInfo, BackupVerifyReport, DamagedFile } from './main/jobs/backup.js';
export type { LsnRange, VerifyReport, VerifySegment, VerifyTrouble } from './main/jobs/verify.js';
export type { WalAttachment } from './main/log/attachment.js';
export type { Diagnostics as WalDiagnostics } from './main/log/diagnostics.js';
export type { AppendOptions } from './main/options/append-options.js';
export type {
  BackupOptions,
  BackupPlace,
  BackupProgress,
  DirectoryBackupOptions,
  RestoreOptions,
  VerifyBackupOptions,
} from './main/options/backup-options.js';
export type { DirectoryFollowOptions, FollowOptions } from './main/options/follow-options.js';
export type {
  ReadSegmentOptions,
  RepairOptions,
  VerifyOptions,
  VerifyProgress,
} from './main/options/job-options.js';
export type { LogStreamOptions } from './main/options/log-stream-options.js';
export type { EntriesOptions, ReadOptions } from './main/options/read-options.js';
export type { WalOptions, WalReaderOptions } from './main/options/wal-options.js';
export type { WalIterator } from './main/read/entry-iterator.js';
export type { WalEntry } from './main/read/segment-reader.js';
export type { LogStream } from './main/stream/log-stream.js';
export type { BackupReport, RestoreReport } from './protocol/backup-reports.js';
export type { WalErrorCode } from './protocol/errors.js';
export type {
  RecoveryCut as WalRecoveryCut,
  RecoveryReport as WalRecovery,
  RepairReport as WalRepair,
  SegmentInfo,
} from './protocol/reports.js';
