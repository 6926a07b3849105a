/** A segment of a log: {@link WalReader.segments}. */
export interface SegmentInfo {
  /** n in `wal-<n>`. */
  readonly number: number;
  /** The file, absolute. */
  readonly path: string;
  /** LSN of its first entry; 0 while it holds none. */
  readonly firstLsn: number;
  /** LSN of its last entry; 0 while it holds none. */
  readonly lastLsn: number;
  /** Bytes of its frames. */
  readonly bytes: number;
  /** The segment's own creation stamp, in milliseconds since 1970; 0 for a file of wal-go, which has none. */
  readonly createdMs: number;
}

// Exported as WalRecovery.
/** The findings and actions of `open`: {@link WalReader.recovery}. LSNs are 0 where there is no entry. */
export interface RecoveryReport {
  /** The row of the decision table in docs/format.md, 1 to 6. */
  readonly row: number;
  /**
   * `clean`: nothing is wrong. `torn`: a write was interrupted; `open` cuts the rest off, unless the log is opened for reading
   * only.
   */
  readonly verdict: 'clean' | 'torn' | 'corrupt' | 'unsupported';
  /** The watermark that the files show: entries up to it were acknowledged as durable before. */
  readonly watermark: number;
  /** The oldest entry kept. */
  readonly firstLsn: number;
  /** The last entry kept. */
  readonly lastLsn: number;
  /** The number of segments. */
  readonly segments: number;
  /** The cut after the last kept entry; `undefined` if only zeros or stale bytes followed that entry. */
  readonly cut?: RecoveryCut | undefined;
  /** The repair that the option `recovery` made; `undefined` if the log was not corrupt. */
  readonly repair?: RepairReport | undefined;
  /** Bytes above the watermark that were written again, since the previous process may have seen their sync fail. */
  readonly rewrittenBytes: number;
  /** Names of files in the directory that do not belong to the log. They are left alone. */
  readonly foreignFiles: readonly string[];
  /** Why making the recovered entries durable was postponed (`ENOSPC`, `EROFS`, …); appends reject until it succeeds. */
  readonly postponed?: string | undefined;
  /** Duration of the recovery in milliseconds. */
  readonly durationMs: number;
}

// Exported as WalRepair.
/** The result of a repair, or of a dry run (`dryRun`): {@link Wal.repair}, and `open` with the option `recovery`. */
export interface RepairReport {
  /** `'truncate'`: the log ends before the first entry that cannot be read. `'salvage'`: everything readable is kept. */
  readonly mode: 'truncate' | 'salvage';
  /** True = a report of what would be done; nothing was changed. */
  readonly dryRun: boolean;
  /** The row of the decision table in docs/format.md for the log before the repair, 1 to 6. */
  readonly row: number;
  /** The verdict on the log before the repair. Only a corrupt log is repaired. */
  readonly verdict: 'clean' | 'torn' | 'corrupt' | 'unsupported';
  /** The watermark that the files show: entries up to it were acknowledged as durable. */
  readonly watermark: number;
  /** The oldest entry afterwards; 0 = there is none. */
  readonly firstLsn: number;
  /** The last entry afterwards; 0 = there is none. */
  readonly lastLsn: number;
  /** Entries that are lost: the remaining files show that they existed, and they are not kept. */
  readonly lostLsns: number;
  /** Segments that were cut or rewritten. Each has a side file. */
  readonly changedSegments: readonly string[];
  /** Segments that were removed. Each has a side file. */
  readonly removedSegments: readonly string[];
  /** The side files, which keep every byte that was taken out. */
  readonly sideFiles: readonly string[];
}

// Exported as WalRecoveryCut.
/** A torn tail that was cut, or the entries that were cut after damage: {@link RecoveryReport.cut}. */
export interface RecoveryCut {
  /** The segment that ended in the torn tail. */
  readonly path: string;
  /** The first byte that was cut, from the segment's start. */
  readonly offset: number;
  /** How many bytes were cut, those of removed segments included. */
  readonly bytes: number;
  /** The LSN that the first cut frame would have had. */
  readonly lsn: number;
  /** Why the frame there is not valid, in words. */
  readonly reason: string;
  /** Side files that keep the cut bytes. */
  readonly sideFiles: readonly string[];
  /** Later segments that were removed as well. */
  readonly removedSegments: readonly string[];
}
