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
  /** Milliseconds since 1970 of the segment's own creation stamp; 0 for a file of wal-go, which has none. */
  readonly createdMs: number;
}

// Exported as WalRecovery.
/** What `open` found and did: {@link WalReader.recovery}. LSNs are 0 where there is no entry. */
export interface RecoveryReport {
  /** The row of the decision table in docs/format.md, 1 to 6. */
  readonly row: number;
  /** `clean`: all is well. `torn`: a write was interrupted; it is cut, unless the log is open for reading only. */
  readonly verdict: 'clean' | 'torn' | 'corrupt' | 'unsupported';
  /** The watermark that the files showed: entries up to it were acknowledged as durable before. */
  readonly watermark: number;
  /** The oldest entry kept. */
  readonly firstLsn: number;
  /** The last entry kept. */
  readonly lastLsn: number;
  /** How many segments there are. */
  readonly segments: number;
  /** What was cut behind the last kept entry; `undefined` where nothing but zeros or stale bytes stood there. */
  readonly cut?: RecoveryCut | undefined;
  /** What the option `recovery` made of a corrupt log, if it was one. */
  readonly repair?: RepairReport | undefined;
  /** Bytes above the watermark that were written anew, since the process before may have seen their sync fail. */
  readonly rewrittenBytes: number;
  /** Names of files in the directory that are not the log's. They are left alone. */
  readonly foreignFiles: readonly string[];
  /** Why making the recovered entries durable was put off (`ENOSPC`, `EROFS`, …); appends reject until it could be done. */
  readonly postponed?: string | undefined;
  /** Milliseconds that it took. */
  readonly durationMs: number;
}

// Exported as WalRepair.
/** What a repair did, or would do (`dryRun`): {@link Wal.repair}, and `open` with the option `recovery`. */
export interface RepairReport {
  /** `'truncate'`: the log ends before the first entry that cannot be read. `'salvage'`: everything readable is kept. */
  readonly mode: 'truncate' | 'salvage';
  /** True = this is what would be done; nothing was changed. */
  readonly dryRun: boolean;
  /** The row of the decision table in docs/format.md, of the log as it was: 1 to 6. */
  readonly row: number;
  /** The verdict on the log as it was. Only a corrupt one is repaired. */
  readonly verdict: 'clean' | 'torn' | 'corrupt' | 'unsupported';
  /** The watermark that the files showed: entries up to it were acknowledged as durable. */
  readonly watermark: number;
  /** The oldest entry afterwards; 0 = there is none. */
  readonly firstLsn: number;
  /** The last entry afterwards; 0 = there is none. */
  readonly lastLsn: number;
  /** Entries that must have been there, as far as what is left shows it, and are not kept. */
  readonly lostLsns: number;
  /** Segments that were cut or written anew. Each has a side file. */
  readonly changedSegments: readonly string[];
  /** Segments that are gone. Each has a side file. */
  readonly removedSegments: readonly string[];
  /** Where every byte that was taken out is kept. */
  readonly sideFiles: readonly string[];
}

// Exported as WalRecoveryCut.
/** A torn tail that was cut, or what was cut behind damage: {@link RecoveryReport.cut}. */
export interface RecoveryCut {
  /** The segment that ended in it. */
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
  /** Later segments that were removed with it. */
  readonly removedSegments: readonly string[];
}
