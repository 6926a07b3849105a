/**
 * The first look at a log: only the first frame of each segment is read, however full the segments are.
 * Every segment's first frame starts a group and says which entries were durable then.
 */

import { type SegmentFile, withSource } from './bytes.js';
import type { FrameFault, SegmentStamp } from './frame.js';
import { FrameCursor } from './frame-cursor.js';
import type { LogState } from './state-file.js';
import { type SegmentTime, segmentTimeOf } from './time-walk.js';
import { isWalg } from './walg.js';

/** First frames are small: with a large window, most bytes would be read in vain. */
const WINDOW_BYTES = 4096;

/** How a segment begins. The numbers are 0 unless the frame is valid, `syncedLsn` is -1. */
export interface SegmentStart {
  readonly number: number;
  readonly size: number;
  readonly fault: FrameFault | 'walg' | 'empty-segment' | undefined;
  readonly lsn: number;
  readonly skipped: number;
  readonly syncedLsn: number;
  readonly stamp: SegmentStamp | undefined;
  readonly time: SegmentTime | undefined;
  readonly unknownCritical: number;
}

export interface Survey {
  readonly starts: readonly SegmentStart[];
  /** `undefined` = neither a segment's first frame nor the state file names the log. */
  readonly logId: bigint | undefined;
  /** A segment's first frame names the log. */
  readonly isNamedBySegment: boolean;
  /** The state file, unless it is another log's. */
  readonly state: LogState | undefined;
  /** The largest synced_lsn of a first frame; -1 = there is none. */
  readonly syncedLsn: number;
  /** W as far as first frames and the state file show it. */
  readonly watermark: number;
}

export function surveyLog(files: readonly SegmentFile[], foundState: LogState | undefined): Survey {
  const cursor = new FrameCursor(WINDOW_BYTES);
  const firstLook = files.map((file) => readStart(cursor, file, undefined));
  const logId = electLogId(firstLook, foundState);
  const starts = firstLook.map((start, index) => {
    const isForeign = start.stamp !== undefined && start.stamp.logId !== logId;
    return start.fault === 'log-unknown' || isForeign ? readStart(cursor, files[index], logId) : start;
  });
  const state = foundState?.logId === logId ? foundState : undefined;
  const syncedLsn = starts.reduce((largest, start) => Math.max(largest, start.syncedLsn), -1);
  return {
    starts,
    logId,
    isNamedBySegment: starts.some(({ stamp }) => stamp !== undefined),
    state,
    syncedLsn,
    watermark: Math.max(0, syncedLsn, state?.watermark ?? 0),
  };
}

/**
 * The log that most segments name. The state file has one vote, so a valid Segment contradicts it. If two logs have equally
 * many votes, that of the oldest segment counts. So a foreign file among the segments makes only itself invalid.
 */
function electLogId(starts: readonly SegmentStart[], state: LogState | undefined): bigint | undefined {
  const votes = new Map<bigint, number>();
  const vote = (logId: bigint) => votes.set(logId, (votes.get(logId) ?? 0) + 1);
  for (const { stamp } of starts) if (stamp !== undefined) vote(stamp.logId);
  if (state !== undefined) vote(state.logId);
  let elected: bigint | undefined;
  for (const [logId, count] of votes) {
    if (elected === undefined || count > votes.get(elected)!) elected = logId;
  }
  return elected;
}

function readStart(cursor: FrameCursor, file: SegmentFile, logId: bigint | undefined): SegmentStart {
  const { number } = file;
  return withSource(file, (source) => {
    const { size } = source;
    if (size === 0) return invalidStart(number, size, 'empty-segment');
    if (isWalg(source.read(0, 4))) return invalidStart(number, size, 'walg');
    const fault = cursor.start({ logId, expectedLsn: 0, batchRemaining: 0 }).enter(source, number).check();
    if (fault !== undefined) return invalidStart(number, size, fault);
    const { lsn, skipped, syncedLsn, segment, unknownCritical } = cursor.frame;
    const time = segmentTimeOf(cursor.frame);
    return { number, size, fault, lsn, skipped, syncedLsn, stamp: segment, time, unknownCritical };
  });
}

function invalidStart(number: number, size: number, fault: SegmentStart['fault']): SegmentStart {
  return {
    number,
    size,
    fault,
    lsn: 0,
    skipped: 0,
    syncedLsn: -1,
    stamp: undefined,
    time: undefined,
    unknownCritical: 0,
  };
}
