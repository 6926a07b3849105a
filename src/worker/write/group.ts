import type { SegmentStamp } from '../../format/frame.js';

/**
 * Entries on their way to the disk: the frames of one write call, from one lane, for one segment. The framer makes a group, the
 * log's tail writes it, and the lane's waiters learn its LSNs. A group is valid until the next one is framed.
 */
export interface Group {
  /** The frames in order, in pieces that lie in different memory. */
  readonly pieces: readonly Uint8Array[];
  readonly frameBytes: number;
  /** LSN of the first entry; the others follow without a gap. */
  readonly firstLsn: number;
  readonly entries: number;
  /** Bytes of the entries without framing. */
  readonly payloadBytes: number;
  /** `entries` and `frameBytes` up to the last frame that ends outside of a batch; 0 if there is none. */
  readonly wholeEntries: number;
  readonly wholeBytes: number;
  /** Where the lane's records of this group end, as `Run.consumedTo`; 0 for a group made from the parts of a message. */
  readonly consumedTo: number;
  /** The frames are blocks; `undefined`: each has one entry. */
  readonly blocks?: BlockFigures | undefined;
}

/** What compression made of the entries of a group. */
export interface BlockFigures {
  readonly count: number;
  /** Bytes of the runs. */
  readonly rawBytes: number;
  /** Bytes that they became. */
  readonly storedBytes: number;
}

/** Where the next frame goes, and what it has to record about that place. */
export interface FramePlace {
  /** Bytes of whole frames in the segment: the offset of the next one. */
  readonly offset: number;
  /** Bytes that frames may still take. */
  readonly room: number;
  /** `frameChecksumSeed` of the segment. */
  readonly checksumSeed: number;
  /** Content of field 8, if the next frame has to carry it. */
  readonly stamp: SegmentStamp | undefined;
  /** Content of field 6, if the next frame has to carry it; 0 = it has not. */
  readonly timeMs: number;
  /** LSN of the next entry. */
  readonly nextLsn: number;
  /** How many LSNs are left from `nextLsn` on, at least 1. */
  readonly lsnsLeft: number;
}
