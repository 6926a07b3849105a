/** A sealed segment that the option `archive` of {@link Wal.open} is given. Every entry of it is durable. */
export interface ArchiveSegment {
  /** n in `wal-<n>`. */
  readonly number: number;
  /**
   * The file, absolute. Until the call settles it does not change and is not removed, unless `truncateAfter` cuts it: the
   * signal then aborts.
   */
  readonly path: string;
  /**
   * A name for it in the archive, `<logId>-<branch>-wal-<n>`. The same name always means the same content, also among several
   * logs that were restored from one backup, since each restore begins a branch of its own.
   */
  readonly name: string;
  /** The log's identity, 16 hexadecimal digits. */
  readonly logId: string;
  /** The log's branch, 16 hexadecimal digits: new after `truncateAfter`, after a repair that lost entries, and after a restore. */
  readonly branch: string;
  /** LSN of its first entry. */
  readonly firstLsn: number;
  /** LSN of its last entry. */
  readonly lastLsn: number;
  /** Bytes of the file. */
  readonly bytes: number;
  /** The segment's own creation stamp, in milliseconds since 1970; 0 for a file of wal-go, which has none. */
  readonly createdMs: number;
}

/**
 * Copies a sealed segment to where it is safe. The segment counts as archived once the promise resolves; if it rejects, or the
 * function throws, the call is made again later.
 */
export type Archive = (
  segment: ArchiveSegment,
  context: {
    /** Aborts when the log is closed, when it ends by a failure, and when a cut reaches the segment. */
    readonly signal: AbortSignal;
  },
) => Promise<unknown>;
