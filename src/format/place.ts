/** Where a frame, or the end of one, is in a log. */
export interface SegmentPlace {
  /** n of `wal-<n>`. */
  readonly segment: number;
  readonly offset: number;
}

/** Where an entry, or the end of one, is in a log. `offset` is where its frame begins. */
export interface Place extends SegmentPlace {
  /** Which entry of that frame, from 0: a frame that is no block has one. */
  readonly index: number;
}

/** Where a frame is in files that stand for the segments of a log. */
export interface FilePlace {
  /** Which file, from 0: not n of `wal-<n>`. */
  readonly index: number;
  readonly offset: number;
}
