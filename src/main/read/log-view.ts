import type { AsyncFile } from '../../files/async-file.js';
import type { FileIdentity } from '../../files/disk.js';
import type { SegmentInfo } from '../../protocol/reports.js';
import type { OpenFiles } from './open-files.js';
import type { Readers } from './readers.js';
import type { RecentReads } from './recent-reads.js';
import type { SparseIndexes } from './sparse-index.js';

/** The files that readers open, and the clock that they go by: Node's, or those of a simulated machine. */
export interface ReadAccess {
  /** @throws as `openForReading` of src/files */
  openForReading(path: string): Promise<AsyncFile>;
  /** @throws as `identifyPath` of src/files */
  identifyPath(path: string): Promise<FileIdentity | undefined>;
  /** Milliseconds of a clock that never goes back. */
  nowMs(): number;
}

/** What readers need to know of a log: the live one of this process, or a directory that somebody else may write. */
export interface LogView {
  readonly directory: string;
  /** Empty log: 0. */
  readonly firstLsn: number;
  /** Every entry up to it can be read from the files. */
  readonly lastLsn: number;
  readonly durableLsn: number;
  /** By which its frames prove that they are its own; `undefined` = nothing names it (wal-go's files), or nothing does yet. */
  readonly logId: bigint | undefined;
  /** Lowest number first; those without an entry too. Copied: who reads from one to the next asks for these alone, below. */
  segments(): readonly SegmentInfo[];
  /** The last segment that begins at or before entry `lsn`. */
  segmentOf(lsn: number): SegmentInfo | undefined;
  /** The first segment with an entry behind segment `number`. */
  segmentAfter(number: number): SegmentInfo | undefined;
  /** The last segment with an entry before segment `number`. */
  segmentBefore(number: number): SegmentInfo | undefined;
  /** The last entry that stayed at each cut, of `truncateAfter` or another, since the log was opened, oldest first. */
  readonly truncations: readonly number[];
  /** What readers have learned of where entries are. */
  readonly indexes: SparseIndexes;
  /** Opens the file of a segment. @throws as `openForReading` of src/files */
  openForReading(path: string): Promise<AsyncFile>;
  /** Where no other process can put other files in the place of the segments, some of them stay open. */
  readonly files: OpenFiles | undefined;
  /** Of a log that this process writes: how what it wrote last is read. */
  readonly recent: RecentReads | undefined;
  /** Bytes from the start of `segment` to the end of the log; `undefined`: it is gone. */
  bytesFrom(segment: SegmentInfo): number | undefined;
  /**
   * Resolves when entries above `lsn` are durable, or something else has happened that a follower must look at: a cut, the
   * end of the log, an abort. May resolve early: look, and wait again.
   */
  waitForWatermark(lsn: number, options: { signal: AbortSignal | undefined; ref: boolean }): Promise<void>;
  readonly isClosed: boolean;
  /**
   * A file was opened by the name of `segment`, or could not be (`undefined`). Throws `ERR_WAL_IO` where that name has come to
   * lead to something else than this log's.
   */
  proveOwn(segment: SegmentInfo, file: FileIdentity | undefined): Promise<void>;
  /** Those that are under way. */
  readonly readers: Readers;
  /** Throws `ERR_WAL_CLOSED` once the log is closed. */
  assertOpen(): void;
  /** Ends all readers. Resolves once no file is open. */
  close(): Promise<void>;
}
