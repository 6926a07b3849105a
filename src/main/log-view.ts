import type { SegmentInfo } from '../worker/messages.js';

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
  /** What `truncateAfter` left as the last LSN since the log was opened, oldest first. */
  readonly truncations: readonly number[];
  /** A reader is about to open segment `number`, and none below it any more; `undefined`: it is done. */
  pin(reader: object, number: number | undefined): void;
  /** Throws `ERR_WAL_CLOSED` once the log is closed. */
  assertOpen(): void;
  close(): void;
}
