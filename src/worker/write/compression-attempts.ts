/** Groups of a lane that are not tried after the n-th miss in a row: 1, 2, 4, … up to this many. */
const SKIPPED_GROUPS_MAX = 64;

interface Attempts {
  /** Groups that are still not tried. */
  left: number;
  /** How many the next miss puts off. */
  next: number;
}

/**
 * When compression is tried. Data that does not become shorter costs the time of an attempt, so after a miss the next groups of
 * its lane are framed plain: 1, then 2, then 4, up to 64. One success ends that. Each lane counts by itself, since what one thread
 * appends says nothing about another's.
 */
export class CompressionAttempts {
  readonly #noteMiss: () => void;
  readonly #byLane = new WeakMap<object, Attempts>();

  /** `noteMiss` counts the misses. */
  constructor(noteMiss: () => void) {
    this.#noteMiss = noteMiss;
  }

  /** Counts the group if it is not to be tried. */
  mayTry(lane: object): boolean {
    const attempts = this.#byLane.get(lane);
    if (attempts === undefined || attempts.left === 0) return true;
    attempts.left -= 1;
    return false;
  }

  noteSuccess(lane: object): void {
    this.#byLane.delete(lane);
  }

  noteMiss(lane: object): void {
    this.#noteMiss();
    const next = this.#byLane.get(lane)?.next ?? 1;
    this.#byLane.set(lane, { left: next, next: Math.min(SKIPPED_GROUPS_MAX, 2 * next) });
  }
}
