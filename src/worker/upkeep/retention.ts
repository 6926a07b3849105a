import type { SegmentCatalog, SegmentRecord } from '../write/segment-catalog.js';

export interface RetentionPolicy {
  /** Segments kept, the live one included. */
  readonly maxFiles: number;
  /** Bytes kept in all segments. */
  readonly maxTotalSize: number;
  /** Milliseconds, by the segment's own creation stamp. */
  readonly maxAge: number;
}

/** Reasons inside the log to keep entries from retention. Readers and the archive hold segments instead: [RetentionView.pinned]. */
export type RetentionHold = 'checkpoint' | 'snapshot';

export class RetentionHolds {
  readonly #lsns = new Map<RetentionHold, number>();

  /** Holds every entry above `lsn`. */
  set(hold: RetentionHold, lsn: number): void {
    this.#lsns.set(hold, lsn);
  }

  /** No hold covers entries up to this LSN; Infinity = there is no hold. */
  get releasedLsn(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...this.#lsns.values());
  }
}

export interface RetentionView {
  /** Lowest number first; the last one is live. */
  readonly segments: SegmentCatalog;
  readonly watermark: number;
  /** Entries below it were given up: nothing but a reader holds their segments. 0 = none were. */
  readonly floor: number;
  /** Entries above it are held, Infinity = none: [RetentionHolds]. */
  readonly releasedLsn: number;
  /** Lowest segment that a reader of this process has open, or that is still to be archived; -1 = none. */
  readonly pinned: number;
  readonly nowMs: number;
  /** How much of a segment's age comes from jumps of the clock: see [ClockLead.sinceMs]. */
  readonly leadMs: (segment: SegmentRecord) => number;
}

/**
 * Numbers of the segments that the policy removes, lowest first. They are a run from the start of the log, without:
 *
 *   - the live segment
 *   - a segment with an entry above the watermark, or with the last durable entry: without it `open` could not tell where LSNs
 *     continue
 *   - a segment that a reader has open or that the archive waits for, and every later one
 *   - a segment with an entry above the lowest checkpoint, if the option `retainFromCheckpoint` is set, unless all of it is below
 *     the floor: `truncateBefore` gave it up
 *
 * The clock alone does not make a segment old: a clock that reads earlier than the newest segment's stamp was set back, and
 * removes nothing; and a jump forward while the log is open makes no segment older.
 *
 * It looks at the segments that it returns and at one more, so the cost of a rotation does not grow with their number.
 * `countMax`: the caller needs no more than this many.
 */
export function expiredSegments(
  policy: RetentionPolicy,
  view: RetentionView,
  countMax = Number.POSITIVE_INFINITY,
): number[] {
  const { segments, watermark, floor, releasedLsn, pinned, nowMs, leadMs } = view;
  let files = segments.length;
  let { bytes } = segments;
  const clockIsSound = nowMs >= segments.newestMs;
  const expired: number[] = [];
  for (let at = 0; at + 1 < segments.length && expired.length < countMax; at++) {
    const segment = segments.at(at) as SegmentRecord;
    const lastLsn = (segments.at(at + 1) as SegmentRecord).firstLsn - 1;
    // `firstLsn` 0: the next segment is still empty, so this one holds the last entry.
    if (lastLsn < 0 || lastLsn >= watermark) break;
    const isGivenUp = lastLsn < floor;
    if (lastLsn > releasedLsn && !isGivenUp) break;
    if (pinned >= 0 && segment.number >= pinned) break;
    const tooMany = files > policy.maxFiles;
    const tooLarge = bytes > policy.maxTotalSize;
    const isDated = clockIsSound && segment.createdMs > 0;
    const tooOld = isDated && nowMs - segment.createdMs - leadMs(segment) > policy.maxAge;
    if (!isGivenUp && !tooMany && !tooLarge && !tooOld) break;
    expired.push(segment.number);
    files -= 1;
    bytes -= segment.bytes;
  }
  return expired;
}

/** Numbers of the segments that hold only entries below `lsn` and that no reader has open and no archive waits for (`pinned`, -1 = none). */
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
