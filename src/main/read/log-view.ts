import type { AsyncFile } from '../../files/async-file.js';
import type { FileIdentity } from '../../files/disk.js';
import type { NamedCheckpoint } from '../../protocol/checkpoint-changes.js';
import type { SegmentInfo } from '../../protocol/reports.js';
import type { SnapshotRecord } from '../../protocol/snapshots.js';
import type { SnapshotJobs } from '../jobs/snapshot-jobs.js';
import type { DecodedBlocks } from './decoded-blocks.js';
import type { OpenFiles } from './open-files.js';
import type { Readers } from './readers.js';
import type { RecentReads } from './recent-reads.js';
import type { SnapshotFiles } from './snapshot-files.js';
import type { SparseIndexes } from './sparse-index.js';
import type { LogTimes } from './time-index.js';

/** File access and the clock of readers: Node's, or those of a simulated machine. */
export interface ReadAccess {
  /** @throws as `openForReading` of src/files */
  openForReading(path: string): Promise<AsyncFile>;
  /** @throws as `identifyPath` of src/files */
  identifyPath(path: string): Promise<FileIdentity | undefined>;
  /** Milliseconds of a clock that never goes back. */
  nowMs(): number;
  /** The wall clock, milliseconds since 1970. */
  wallMs(): number;
  readonly snapshotJobs: SnapshotJobs;
}

/** A log as readers see it: the live log of this process, or a directory that another process may write. */
export interface LogView {
  readonly directory: string;
  /** LSN of the oldest entry; 0 = the log is empty. */
  readonly firstLsn: number;
  /** Every entry up to this LSN can be read from the files. */
  readonly lastLsn: number;
  readonly durableLsn: number;
  /** The id that the log's frames carry; `undefined` = no frame has one (wal-go's files), or no frame is written yet. */
  readonly logId: bigint | undefined;
  /**
   * A copy of the list of segments, lowest number first, including those without an entry. To walk the segments, use
   * the methods below: they do not copy.
   */
  segments(): readonly SegmentInfo[];
  /** A copy of the named checkpoints. */
  checkpoints(): ReadonlyMap<string, NamedCheckpoint>;
  /** The last segment that begins at or before entry `lsn`. */
  segmentOf(lsn: number): SegmentInfo | undefined;
  /** The first segment with an entry after segment `number`. */
  segmentAfter(number: number): SegmentInfo | undefined;
  /** The last segment with an entry before segment `number`. */
  segmentBefore(number: number): SegmentInfo | undefined;
  /**
   * The last entry that remained after each cut since the log was opened, by `truncateAfter` or by another process;
   * oldest first.
   */
  readonly truncations: readonly number[];
  /** Positions of entries that readers have learned. */
  readonly indexes: SparseIndexes;
  /** The known times of the segments. */
  readonly times: LogTimes;
  /** The wall clock, milliseconds since 1970. */
  wallMs(): number;
  /** Opens the file of a segment. @throws as `openForReading` of src/files */
  openForReading(path: string): Promise<AsyncFile>;
  /** Segment files that stay open; `undefined` if another process can replace the files. */
  readonly files: OpenFiles | undefined;
  /** Blocks that `get` has decoded. */
  readonly decoded: DecodedBlocks | undefined;
  /** How recent entries are read; only for a log that this process writes. */
  readonly recent: RecentReads | undefined;
  /** The log's snapshots whose two ends are intact, newest first. */
  snapshots(): readonly SnapshotRecord[];
  readonly snapshotJobs: SnapshotJobs;
  /** The files of snapshots that are being read. */
  readonly snapshotFiles: SnapshotFiles;
  /** Bytes from the start of `segment` to the end of the log; `undefined` if the segment is gone. */
  bytesFrom(segment: SegmentInfo): number | undefined;
  /**
   * Resolves when entries above `lsn` are durable, or when a follower must check the log for another reason: a cut,
   * the end of the log, an abort. It may resolve early, so the caller checks and waits again.
   */
  waitForWatermark(lsn: number, options: { signal: AbortSignal | undefined; ref: boolean }): Promise<void>;
  readonly isClosed: boolean;
  /**
   * Checks a file that was opened by the name of `segment` (`undefined`: it could not be opened). Throws `ERR_WAL_IO`
   * if that name no longer leads to a file of this log.
   */
  proveOwn(segment: SegmentInfo, file: FileIdentity | undefined): Promise<void>;
  /** The active readers. */
  readonly readers: Readers;
  /** Throws `ERR_WAL_CLOSED` once the log is closed. */
  assertOpen(): void;
  /** Ends all readers. Resolves once no file is open. */
  close(): Promise<void>;
}

/** The state of the log that a walk notes when it is requested, before it reads anything. */
export interface Look {
  /** Number of cuts when `lastLsn` was taken. */
  readonly cutsSeen: number;
  readonly lastLsn: number;
}

/** Taken in this order, so that the walk still notices a cut between the two. */
export function lookAt(view: LogView): Look {
  const cutsSeen = view.truncations.length;
  return { cutsSeen, lastLsn: view.lastLsn };
}
