import type { LsnRange } from './damage.js';

export type { LsnRange };

/** A set of LSNs as ranges. Each question takes logarithmic time. */
export class LsnSet {
  readonly #firsts: number[] = [];
  readonly #lasts: number[] = [];

  /** In any order; they may overlap. */
  constructor(ranges: readonly LsnRange[]) {
    for (const { first, last } of [...ranges].sort((one, other) => one.first - other.first)) {
      const end = this.#lasts.at(-1);
      if (end !== undefined && first <= end + 1) this.#lasts[this.#lasts.length - 1] = Math.max(end, last);
      else {
        this.#firsts.push(first);
        this.#lasts.push(last);
      }
    }
  }

  /** Ascending; no two touch. */
  get ranges(): LsnRange[] {
    return this.#firsts.map((first, at) => ({ first, last: this.#lasts[at] as number }));
  }

  has(lsn: number): boolean {
    return this.meets(lsn, lsn);
  }

  /** Is any LSN from `first` to `last` in the set? */
  meets(first: number, last: number): boolean {
    const at = this.#indexFrom(first);
    return at < this.#firsts.length && (this.#firsts[at] as number) <= last;
  }

  /** How many of the LSNs from `first` to `last` are in the set. */
  countIn(first: number, last: number): number {
    let count = 0;
    for (let at = this.#indexFrom(first); at < this.#firsts.length; at++) {
      const from = Math.max(first, this.#firsts[at] as number);
      const to = Math.min(last, this.#lasts[at] as number);
      if (from > to) break;
      count += to - from + 1;
    }
    return count;
  }

  /** Of this set, the LSNs from `first` to `last`. */
  within(first: number, last: number): LsnSet {
    const ranges = this.ranges.filter((range) => range.last >= first && range.first <= last);
    return new LsnSet(
      ranges.map((range) => ({ first: Math.max(range.first, first), last: Math.min(range.last, last) })),
    );
  }

  /** The same set without the LSNs from `first` to `last`. */
  without(first: number, last: number): LsnSet {
    return new LsnSet(
      this.ranges.flatMap((range) =>
        [
          { first: range.first, last: Math.min(range.last, first - 1) },
          { first: Math.max(range.first, last + 1), last: range.last },
        ].filter((part) => part.first <= part.last),
      ),
    );
  }

  /** The index of the first range that ends at or after `lsn`. */
  #indexFrom(lsn: number): number {
    let low = 0;
    let high = this.#lasts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#lasts[middle] as number) < lsn) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
