/** A snapshot of a log: {@link WalReader.snapshots}. */
export interface SnapshotInfo {
  /** It is the application's state after this entry. */
  readonly lsn: number;
  /** The format that `writeSnapshot` was given; `''` = none. */
  readonly format: string;
  /** Bytes of data. */
  readonly bytes: number;
  /** When it was begun, milliseconds since 1970. */
  readonly createdMs: number;
  /** The file, absolute. */
  readonly path: string;
}

/** A snapshot as the log's threads know it, including the fields of its header about its entry. */
export interface SnapshotRecord extends SnapshotInfo {
  readonly logId: bigint;
  readonly branch: bigint;
  /** `undefined`: see `SnapshotHeader`. */
  readonly entryCrc: number | undefined;
}

/** `header`: the content of the file's header. `bytes`: number of bytes of data. */
export function snapshotRecord(
  path: string,
  header: Omit<SnapshotRecord, 'path' | 'bytes'>,
  bytes: number,
): SnapshotRecord {
  const { lsn, format, createdMs, logId, branch, entryCrc } = header;
  return { lsn, format, bytes, createdMs, path, logId, branch, entryCrc };
}

/** A file with the name of a snapshot that is not a valid one of this log. */
export interface RejectedSnapshot {
  /** The LSN in the file's name. */
  readonly lsn: number;
  /** The file, absolute. */
  readonly path: string;
  /** Why it is not used, in words. */
  readonly reason: string;
}
