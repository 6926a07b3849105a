import type { AsyncFile } from '../files/async-file.js';
import type { SegmentInfo } from '../worker/messages.js';
import type { OpenFiles } from './open-files.js';
import type { RecentReads } from './recent-reads.js';
import type { SparseIndexes } from './sparse-index.js';

/** What readers need to know of a log: the live one of this process, or a directory that somebody else may write. */
export interface LogView {
  readonly directory: string;
  /** Empty log: 0. */
  readonly firstLsn: number;
  /** Every entry up to it can be read from the files. */
  readonly lastLsn: number;
  readonly durableLsn: number;
  /** Lowest number first; those without an entry too. */
  segments(): readonly SegmentInfo[];
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
  /**
   * Resolves when entries above `lsn` are durable, or something else has happened that a follower must look at: a cut, the
   * end of the log, an abort. May resolve early: look, and wait again.
   */
  waitForWatermark(lsn: number, options: { signal: AbortSignal | undefined; ref: boolean }): Promise<void>;
  readonly isClosed: boolean;
  /**
   * A reader is about to open `segment`, and none below it any more; `undefined`: it is done. True = retention of this process
   * keeps it, and all behind it, from now on; false = it was faster, and `firstLsn` says so.
   */
  pin(reader: object, segment: SegmentInfo | undefined): boolean;
  /** Throws `ERR_WAL_CLOSED` once the log is closed. */
  assertOpen(): void;
  /** Resolves once no file is open. */
  close(): Promise<void>;
}
