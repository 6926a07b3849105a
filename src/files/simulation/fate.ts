import type { Random } from './random.js';

/** A change to a disk that is not durable yet. */
export interface Unsynced {
  /** Position in the disk's history: higher is later. */
  readonly at: number;
}

/**
 * Decides which of the unsynced changes survive one power cut. A real disk and kernel may keep any part of them. Drawing for each
 * change alone would hardly ever leave all, none, or all but one, the cases in which bugs are likely. So each cut first draws a
 * temper:
 *
 *   ordered     everything up to some moment is kept and nothing after it, as if the disk wrote in order
 *   scattered   each change is drawn by itself, with a chance that is drawn once: often 0 or 1, so that all or nothing is kept
 */
export class Fate {
  readonly #random: Random;
  /** Ordered: the moment. Undefined: scattered. */
  readonly #moment: number | undefined;
  readonly #survival: number;
  /** The chance that a block which is not kept whole loses its change entirely. */
  readonly #loss: number;
  readonly #staleChance: number;
  readonly #tearChance: number;

  /** The history of unsynced changes runs from `oldest` to `newest`. `tearsSectors`: they are not atomic. */
  constructor(random: Random, oldest: number, newest: number, tearsSectors: boolean) {
    this.#random = random;
    this.#moment = random.chance(1 / 3) ? oldest + random.below(newest - oldest + 1) : undefined;
    this.#survival = random.pick([0, 0.1, 0.5, 0.9, 1]);
    this.#loss = random.pick([0.5, 1]);
    this.#staleChance = random.chance(1 / 4) ? 0.5 : 0;
    this.#tearChance = tearsSectors ? random.pick([0, 0.2]) : 0;
  }

  survives(change: Unsynced): boolean {
    if (this.#moment === undefined) return this.#random.chance(this.#survival);
    // The change at that very moment may be half done.
    return change.at < this.#moment || (change.at === this.#moment && this.#random.chance(0.5));
  }

  /**
   * For an object that changed several times, each time as a whole: how many of its changes, oldest first, reached the disk; 0 = it
   * is as it was when it was last durable.
   */
  countOf(changes: readonly Unsynced[]): number {
    if (this.#moment === undefined) {
      if (this.#random.chance(this.#survival)) return changes.length;
      return this.#random.chance(this.#loss) ? 0 : this.#random.below(changes.length + 1);
    }
    let count = changes.length;
    while (count > 0 && !this.survives(changes[count - 1] as Unsynced)) count -= 1;
    return count;
  }

  /** Does an allocated but unwritten block show its earlier content instead of zeros? */
  isStale(): boolean {
    return this.#random.chance(this.#staleChance);
  }

  /** Where in a block of `length` bytes the last change broke off; `length` = it is whole. */
  tearAt(length: number): number {
    return this.#random.chance(this.#tearChance) ? this.#random.below(length) : length;
  }
}
