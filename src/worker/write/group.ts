import type { SegmentStamp } from '../../format/frame.js';

/**
 * Entries on their way to the disk: the frames that one write call hands to the system, of one lane, in one segment. The framer
 * makes it, the log's tail writes it, the lane's waiters are told of it. It holds until the next one is framed.
 */
export interface Group {
  /** The frames, one after the other, in pieces that lie in several places. */
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
  /** Where the lane's records that it was made of end, as `Run.consumedTo`; 0 if it was made of the parts of a message. */
  readonly consumedTo: number;
}

/** Where the next frame goes, and what the frame has to say of the place. */
export interface FramePlace {
  /** Bytes of whole frames in the segment: the offset of the next one. */
  readonly offset: number;
  /** Bytes that frames may still take. */
  readonly room: number;
  /** `frameChecksumSeed` of the segment. */
  readonly checksumSeed: number;
  /** For field 8 of the next frame, if that has to carry it. */
  readonly stamp: SegmentStamp | undefined;
  /** LSN of the next entry. */
  readonly nextLsn: number;
  /** How many LSNs there are from it on, at least 1. */
  readonly lsnsLeft: number;
}
