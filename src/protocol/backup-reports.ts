/** A finished backup: {@link Wal.backup}. LSNs are 0 where there is no entry. */
export interface BackupReport {
  /** Directory of the log, absolute. */
  readonly directory: string;
  /** Directory of the backup, absolute. Pass it, or this report, as `since` of the next incremental backup. */
  readonly target: string;
  /** Path of the manifest. */
  readonly manifest: string;
  /** `full`: the whole log. `incremental`: the entries after the backup `since`. */
  readonly kind: 'full' | 'incremental';
  /** Directory of the backup that this one continues. */
  readonly since?: string;
  /** The random id of the log, 16 hexadecimal digits. */
  readonly logId: string;
  /** The random id of the log's current branch, 16 hexadecimal digits; 0 = it has none. A cut begins a new branch. */
  readonly branch: string;
  /** The oldest entry in this backup. */
  readonly firstLsn: number;
  /** The last entry: the watermark when the backup was begun. */
  readonly lastLsn: number;
  /** Number of segments of which the backup holds bytes. */
  readonly segments: number;
  /** Number of snapshots in the backup, or in the earlier backups of its chain. */
  readonly snapshots: number;
  /** Bytes of all files of the backup but its manifest. */
  readonly bytes: number;
  /** The part of `bytes` that is in hard links to the log's own files. */
  readonly linkedBytes: number;
  /** When the backup was begun, in milliseconds since 1970. */
  readonly createdMs: number;
  /** Duration in milliseconds. */
  readonly durationMs: number;
}

/** The result of a restore, or of a dry run (`dryRun`): {@link Wal.restore}. LSNs are 0 where there is no entry. */
export interface RestoreReport {
  /** Directory of the restored log, absolute. */
  readonly directory: string;
  /** True = a report of what would be done; nothing was changed. */
  readonly dryRun: boolean;
  /** Directories of the backups, in the order of the chain. */
  readonly backups: readonly string[];
  /** The random id of the log that was backed up, 16 hexadecimal digits. The restored log keeps it. */
  readonly logId: string;
  /** The new branch of the restored log, 16 hexadecimal digits; absent in a dry run. */
  readonly branch?: string;
  /** The oldest entry of the restored log. */
  readonly firstLsn: number;
  /** Its last entry. */
  readonly lastLsn: number;
  /** The last entry of the backups. The entries after `lastLsn` are left out. */
  readonly backupLastLsn: number;
  /** The last time stamp up to `lastLsn`, in milliseconds since 1970; absent if `to` is no time, or there is none. */
  readonly lastTimeMs?: number;
  /** Number of segments of the restored log. */
  readonly segments: number;
  /** LSNs of the snapshots that it has. */
  readonly snapshots: readonly number[];
  /** Bytes of its segments and snapshots. */
  readonly bytes: number;
  /** Duration in milliseconds. */
  readonly durationMs: number;
}

/** The result of a job that the waiting thread has stopped. */
export interface StoppedJob {
  readonly stopped: true;
}
