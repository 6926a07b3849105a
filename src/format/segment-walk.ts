/**
 * The chain of valid frames through one segment. The result depends on the segments before it in three things only: the LSN
 * and the place in a batch that its first frame must have, and the log's id. So a segment can be walked by itself, on another
 * thread, and the result holds if the first frame continues the chain ([followsOn]).
 */

import { type BlockCheck, passesCheck } from './block-check.js';
import { BlockAdder, type BlockSums } from './block-sums.js';
import type { ByteSource } from './bytes.js';
import { checkOrder, type Order } from './chain.js';
import type { FrameFault, SegmentStamp } from './frame.js';
import { FrameCursor, type Inbound } from './frame-cursor.js';
import { LatestTime } from './time-walk.js';

/** A frame's start is noted this often, so that an entry is found again without walking its whole segment. */
const MARK_BYTES = 1024 * 1024;

/** The part of one segment that is kept. */
export interface Extent {
  /** The first valid one. */
  readonly stamp: SegmentStamp | undefined;
  /** 0 = no entry is kept. */
  readonly firstLsn: number;
  readonly lastLsn: number;
  readonly frames: number;
  readonly bytes: number;
  /** See [LatestTime.ms]. */
  readonly latestMs: number | undefined;
  /** Absent: it has none. */
  readonly blocks?: BlockSums;
}

export const NO_EXTENT: Extent = {
  stamp: undefined,
  firstLsn: 0,
  lastLsn: 0,
  frames: 0,
  bytes: 0,
  latestMs: 0,
};

/** What one segment holds. Plain data: it crosses threads. */
export interface SegmentWalk {
  /** Bytes of the file. */
  readonly size: number;
  /** The log's id when the walk began, and after it: the segment's frames may name the log. */
  readonly logIdBefore: bigint | undefined;
  readonly logId: bigint | undefined;
  /** The first valid frame; `undefined` = there is none. */
  readonly first: Order | undefined;
  /** All valid frames. */
  readonly extent: Extent;
  /** The largest synced_lsn of a valid frame; -1 = there is none. */
  readonly syncedLsn: number;
  /** Of the last valid frame. */
  readonly batchRemaining: number;
  /** LSNs are missing between two frames of a batch in this segment. No writer does that. */
  readonly skipsInBatch: boolean;
  /** The batch that the last valid frame leaves open; at offset 0 the segment may have begun inside it. */
  readonly openBatch: OpenBatch | undefined;
  /** Starts of frames, ascending: the first one's, and one for every [MARK_BYTES]. */
  readonly marks: readonly Mark[];
  /** Why the walk ended before the file's end. `lsn`: the LSN that should be there (0 = not known), or that of an unknown frame. */
  readonly stop: Stop | undefined;
}

export interface OpenBatch {
  readonly offset: number;
  /** The entry before it in this segment; 0 = it begins the segment. */
  readonly lastLsn: number;
  /** The part of the segment that is kept without it. */
  readonly extent: Extent;
}

export interface Mark {
  readonly offset: number;
  readonly lsn: number;
}

export interface Stop {
  readonly offset: number;
  readonly lsn: number;
  readonly reason: FrameFault | 'unknown-critical';
}

/** Walks a segment whose first frame may have any LSN and any place in a batch: possible before the earlier segments are known. */
export function walkSegmentAlone(
  source: ByteSource,
  number: number,
  logId: bigint | undefined,
  cursor?: FrameCursor,
  check?: BlockCheck,
): SegmentWalk {
  return walkSegment(source, number, { expectedLsn: 0, batchRemaining: 0, logId }, cursor, check);
}

/** `cursor`: a caller that walks many segments uses one for all of them. */
export function walkSegment(
  source: ByteSource,
  number: number,
  inbound: Inbound,
  cursor: FrameCursor = new FrameCursor(),
  check?: BlockCheck,
): SegmentWalk {
  const { frame } = cursor.start(inbound).enter(source, number);
  let first: Order | undefined;
  let stamp: SegmentStamp | undefined;
  let frames = 0;
  let bytes = 0;
  let lastLsn = 0;
  let syncedLsn = -1;
  let batchRemaining = 0;
  let skipsInBatch = false;
  let openBatch: OpenBatch | undefined;
  let stop: Stop | undefined;
  const marks: Mark[] = [];
  let nextMark = 0;
  const latest = new LatestTime();
  const adder = new BlockAdder();
  const extent = (): Extent => ({
    stamp,
    firstLsn: first?.lsn ?? 0,
    lastLsn,
    frames,
    bytes,
    latestMs: latest.ms,
    ...adder.sums,
  });
  for (;;) {
    const { offset, expectedLsn } = cursor;
    const outcome = cursor.next();
    if (outcome === 'end') break;
    if (outcome !== undefined) {
      stop = { offset, lsn: expectedLsn, reason: outcome };
      break;
    }
    if (frame.unknownCritical !== 0) {
      stop = { offset, lsn: frame.lsn, reason: 'unknown-critical' };
      break;
    }
    if (!passesCheck(check, cursor)) {
      stop = { offset, lsn: frame.lsn, reason: 'block' };
      break;
    }
    if (offset >= nextMark) {
      marks.push({ offset, lsn: frame.lsn });
      nextMark = offset + MARK_BYTES;
    }
    if (frame.syncedLsn > syncedLsn) syncedLsn = frame.syncedLsn;
    if (batchRemaining > 0 && frame.skipped > 0) skipsInBatch = true;
    batchRemaining = frame.batchRemaining;
    if (batchRemaining === 0) openBatch = undefined;
    else openBatch ??= { offset, lastLsn, extent: extent() };
    if (frame.segment !== undefined) stamp ??= frame.segment;
    if (frame.extended || frames === 0) latest.see(frame);
    adder.add(frame);
    first ??= orderOf(frame);
    frames++;
    lastLsn = frame.lastLsn;
    bytes = cursor.offset;
  }
  return {
    size: source.size,
    logIdBefore: inbound.logId,
    logId: cursor.logId,
    first,
    extent: extent(),
    syncedLsn,
    batchRemaining,
    skipsInBatch,
    openBatch,
    marks,
    stop,
  };
}

function orderOf({ lsn, lastLsn, skipped, batchRemaining, block }: Order): Order {
  return {
    lsn,
    lastLsn,
    skipped,
    batchRemaining,
    block: block === undefined ? undefined : { continues: block.continues },
  };
}

/**
 * Does a walk that knew nothing of the segments before have the result of a walk after `inbound`? Only the first frame must
 * fit, since every later frame depends only on that one and on the frames between them.
 */
export function followsOn(alone: SegmentWalk, inbound: Inbound): boolean {
  const { first, logIdBefore } = alone;
  return first !== undefined && logIdBefore === inbound.logId && checkOrder(first, inbound) === undefined;
}
