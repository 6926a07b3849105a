/**
 * The write-ahead log: {@link Wal} is where to begin.
 *
 * @module ringwal
 */

export type { WalAttachment } from './main/attachment.js';
export type { Diagnostics as WalDiagnostics } from './main/diagnostics.js';
export type { EntryData } from './main/entry-data.js';
export type { WalIterator } from './main/entry-iterator.js';
export type { LaneStats } from './main/lane.js';
export type { LogStream } from './main/log-stream.js';
export type {
  AppendOptions,
  DirectoryFollowOptions,
  EntriesOptions,
  FollowOptions,
  LogStreamOptions,
  ReadOptions,
  ReadSegmentOptions,
  RepairOptions,
  VerifyOptions,
  VerifyProgress,
  WalOptions,
  WalReaderOptions,
} from './main/options.js';
export type { WalEntry } from './main/segment-reader.js';
export type { LanesStats, RecoveryStats, WalHistogram, WalStats } from './main/stats.js';
export type { LsnRange, VerifyReport, VerifySegment, VerifyTrouble } from './main/verify.js';
export { Wal } from './main/wal.js';
export { WalError, type WalErrorDetails } from './main/wal-error.js';
export { WalLane } from './main/wal-lane.js';
export { WalReader } from './main/wal-reader.js';
export type {
  RecoveryCut as WalRecoveryCut,
  RecoveryReport as WalRecovery,
  RepairReport as WalRepair,
  SegmentInfo,
  WalErrorCode,
} from './worker/messages.js';
