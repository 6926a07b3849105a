import type { SegmentCatalog, SegmentRecord } from '../write/segment-catalog.js';

export interface RetentionPolicy {
  /** Segments kept, the live one included. */
  readonly maxFiles: number;
  /** Bytes kept in all segments. */
  readonly maxTotalSize: number;
  /** Milliseconds, by the segment's own creation stamp. */
  readonly maxAge: number;
}

/** What of the log itself keeps entries from retention. Readers keep segments: [RetentionView.pinned]. */
export type RetentionHold = 'checkpoint';

export class RetentionHolds {
  readonly #lsns = new Map<RetentionHold, number>();

  /** Everything above entry `lsn` is held. */
  set(hold: RetentionHold, lsn: number): void {
    this.#lsns.set(hold, lsn);
  }

  /** Entries up to it are held by nothing; Infinity = there is no hold. */
  get releasedLsn(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...this.#lsns.values());
  }
}

export interface RetentionView {
  /** Lowest number first; the last one is live. */
  readonly segments: SegmentCatalog;
  readonly watermark: number;
  /** Entries above it are held back, Infinity = none: [RetentionHolds]. */
  readonly releasedLsn: number;
  /** Lowest segment that a reader of this process has open, -1 = none. */
  readonly pinned: number;
  readonly nowMs: number;
  /** What of a segment's age is the clock's own doing: see [ClockLead.sinceMs]. */
  readonly leadMs: (segment: SegmentRecord) => number;
}

/**
 * Numbers of the segments that the policy gives up, lowest first. Only a run from the front can go, and none of:
 *
 *   - the live one
 *   - one that holds an entry above the watermark, or the last durable entry: without it `open` could not tell where
 *     LSNs go on
 *   - one that a reader has open, or any after it
 *   - one that holds an entry which its consumer has not checkpointed, if the log is told to wait for him
 *
 * Age is judged by the clock only as far as something else bears it out: a clock that stands before the newest segment's stamp
 * went backwards and removes nothing, and what it jumps ahead while the log is open makes nothing older.
 *
 * What it looks at is what it gives up, and one more: at each rotation that is one segment, however many there are. `countMax`: more
 * are not wanted.
 */
export function expiredSegments(
  policy: RetentionPolicy,
  view: RetentionView,
  countMax = Number.POSITIVE_INFINITY,
): number[] {
  const { segments, watermark, releasedLsn, pinned, nowMs, leadMs } = view;
  let files = segments.length;
  let { bytes } = segments;
  const clockIsSound = nowMs >= segments.newestMs;
  const expired: number[] = [];
  for (let at = 0; at + 1 < segments.length && expired.length < countMax; at++) {
    const segment = segments.at(at) as SegmentRecord;
    const lastLsn = (segments.at(at + 1) as SegmentRecord).firstLsn - 1;
    // `firstLsn` 0: the next segment is still empty, so this one holds the last entry.
    if (lastLsn < 0 || lastLsn >= watermark || lastLsn > releasedLsn) break;
    if (pinned >= 0 && segment.number >= pinned) break;
    const tooMany = files > policy.maxFiles;
    const tooLarge = bytes > policy.maxTotalSize;
    const isDated = clockIsSound && segment.createdMs > 0;
    const tooOld = isDated && nowMs - segment.createdMs - leadMs(segment) > policy.maxAge;
    if (!tooMany && !tooLarge && !tooOld) break;
    expired.push(segment.number);
    files -= 1;
    bytes -= segment.bytes;
  }
  return expired;
}

/** Numbers of the segments that hold only entries below `lsn`, as far as no reader has one open (`pinned`, -1 = none). */
export function segmentsBelow(segments: SegmentCatalog, lsn: number, pinned: number): number[] {
  const numbers: number[] = [];
  for (let at = 0; at + 1 < segments.length; at++) {
    const next = (segments.at(at + 1) as SegmentRecord).firstLsn;
    const { number } = segments.at(at) as SegmentRecord;
    if (next === 0 || next > lsn || (pinned >= 0 && number >= pinned)) break;
    numbers.push(number);
  }
  return numbers;
}
