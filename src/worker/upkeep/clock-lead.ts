import type { SegmentRecord } from '../write/segment-catalog.js';

/**
 * How far the wall clock has run ahead of one that only counts, since a segment was begun.
 *
 * A segment's age is the time since its creation stamp, by the wall clock. That clock may jump: it was set, or was wrong until
 * the network's time came. What it gains in the life of the process beyond the time that has passed is not taken for age. For what it gained
 * before the log was opened there is no witness: a log that rested for a year looks the same.
 */
export class ClockLead {
  readonly #wallMs: () => number;
  readonly #steadyMs: () => number;
  readonly #atOpenMs: number;
  readonly #atBeginMs = new WeakMap<SegmentRecord, number>();

  constructor(wallMs: () => number, steadyMs: () => number) {
    this.#wallMs = wallMs;
    this.#steadyMs = steadyMs;
    this.#atOpenMs = this.#nowMs();
  }

  /** The segment gets its creation stamp now. Of one that was there before, the opening counts. */
  noteBegun(segment: SegmentRecord): void {
    this.#atBeginMs.set(segment, this.#nowMs());
  }

  /** Never below 0: a clock that went back has no lead. */
  sinceMs(segment: SegmentRecord): number {
    return Math.max(0, this.#nowMs() - (this.#atBeginMs.get(segment) ?? this.#atOpenMs));
  }

  #nowMs(): number {
    return this.#wallMs() - this.#steadyMs();
  }
}
