import type { SegmentRecord } from '../write/segment-catalog.js';

/**
 * Measures how far the wall clock has run ahead of a steady clock since a segment was begun.
 *
 * A segment's age is the time since its creation stamp, by the wall clock. That clock may jump: an administrator sets it, or the
 * network corrects it. Time that the wall clock gains on the steady clock while the process runs does not count as age. Jumps
 * before the log was opened cannot be detected: a log that was not used for a year looks the same.
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

  /** The segment gets its creation stamp now. For a segment that existed before, counting starts when the log is opened. */
  noteBegun(segment: SegmentRecord): void {
    this.#atBeginMs.set(segment, this.#nowMs());
  }

  /** Never below 0: a clock that was set back has no lead. */
  sinceMs(segment: SegmentRecord): number {
    return Math.max(0, this.#nowMs() - (this.#atBeginMs.get(segment) ?? this.#atOpenMs));
  }

  #nowMs(): number {
    return this.#wallMs() - this.#steadyMs();
  }
}
