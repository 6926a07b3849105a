import type { SegmentStamp } from '../../format/frame.js';
import { DEFAULT_RESOLUTION_MS } from '../../format/time-walk.js';
import type { SegmentRecord } from './segment-catalog.js';

/**
 * Decides which groups carry `time_ms`: the first one of a segment or after a Segment, and then each that finds the resolution
 * passed since the last stamp, or the clock behind it. src/format/time-walk.ts draws what readers make of it.
 *
 * The clock is read once for each group, after the group's entries were published and before they are framed: an entry's
 * producer has read no later time before it appended.
 */
export class TimeStamps {
  readonly #now: () => number;
  readonly #resolutionMs: number;
  /** The last stamp of the live segment; -1 = it has none, or none that is known. */
  #stampedMs = -1;
  /** What [read] found last. */
  #readMs = 0;
  #isDue = false;

  /** `now`: the wall clock. `resolutionMs`: 0 = no stamps. */
  constructor(now: () => number, resolutionMs: number) {
    this.#now = now;
    this.#resolutionMs = resolutionMs;
  }

  /** The time that the next group has to carry; 0 = none. `hasSegment`: its first frame carries a Segment. */
  read(hasSegment: boolean): number {
    if (this.#resolutionMs === 0) return 0;
    // A clock at or before 1970 is wrong, and 0 stands for no time.
    const readMs = Math.max(1, this.#now());
    const sinceMs = readMs - this.#stampedMs;
    this.#readMs = readMs;
    this.#isDue = hasSegment || this.#stampedMs < 0 || sinceMs >= this.#resolutionMs || sinceMs < 0;
    return this.#isDue ? readMs : 0;
  }

  /** The group for which [read] was called was written to `record`. */
  noteWritten(record: SegmentRecord): void {
    if (this.#resolutionMs === 0) {
      record.latestMs = undefined;
      return;
    }
    if (this.#isDue) this.#stampedMs = this.#readMs;
    if (record.latestMs !== undefined) record.latestMs = Math.max(record.latestMs, this.#readMs);
  }

  /** The live segment is another one, or has lost frames. */
  reset(): void {
    this.#stampedMs = -1;
  }

  /** What a Segment says of times. `before`: the record of the segment before, on the first frame of one. */
  fieldsOfSegment(
    before: SegmentRecord | undefined,
  ): Pick<SegmentStamp, 'timeResolutionMs' | 'previousLatestMs'> {
    const resolutionMs = this.#resolutionMs;
    return {
      timeResolutionMs:
        resolutionMs === 0 || resolutionMs === DEFAULT_RESOLUTION_MS ? undefined : resolutionMs,
      previousLatestMs: before?.latestMs || undefined,
    };
  }
}
