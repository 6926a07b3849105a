/** What `Wal.restore` from a replica has done. */
export interface ReplicaRestoreReport {
  /** Of the restored log, absolute. */
  readonly directory: string;
  /** The random id of the log, 16 hexadecimal digits: that of the replicated one. */
  readonly logId: string;
  /** The random id of the new branch, 16 hexadecimal digits. */
  readonly branch: string;
  /** LSN of the first entry; 0 = there is none. */
  readonly firstLsn: number;
  /** LSN of the last entry; 0 = there is none. */
  readonly lastLsn: number;
  /** The last entry that the replica held confirmed. */
  readonly replicaLastLsn: number;
  /** Number of segments. */
  readonly segments: number;
  /** Their bytes. */
  readonly bytes: number;
  /** Milliseconds that it took. */
  readonly durationMs: number;
}
