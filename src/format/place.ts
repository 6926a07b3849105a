/** Where an entry, or the end of one, is in a log. */
export interface Place {
  /** n in `wal-<n>`. */
  readonly segment: number;
  /** Byte of the segment at which a frame begins. */
  readonly offset: number;
  /** Entry of that frame, from 0: a frame that is no block has one. */
  readonly index: number;
}
