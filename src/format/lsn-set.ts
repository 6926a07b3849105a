import type { LsnRange } from './damage.js';

export type { LsnRange };

/** A set of LSNs as ranges. Each question takes logarithmic time. */
export class LsnSet {
  /** First and last LSN of each range, ascending; no two ranges touch. It crosses threads as it is. */
  readonly pairs: Float64Array;

  private constructor(pairs: Float64Array) {
    this.pairs = pairs;
  }

  /** The ranges may be in any order, and may overlap. */
  static of(ranges: readonly LsnRange[]): LsnSet {
    const pairs = new Float64Array(2 * ranges.length);
    let end = 0;
    for (const { first, last } of [...ranges].sort((one, other) => one.first - other.first)) {
      if (end > 0 && first <= (pairs[end - 1] as number) + 1) {
        pairs[end - 1] = Math.max(pairs[end - 1] as number, last);
        continue;
      }
      pairs[end] = first;
      pairs[end + 1] = last;
      end += 2;
    }
    return new LsnSet(pairs.slice(0, end));
  }

  /** What another thread's set has as [pairs]. */
  static from(pairs: Float64Array): LsnSet {
    return new LsnSet(pairs);
  }

  /** A copy, ascending; no two touch. */
  get ranges(): LsnRange[] {
    const { pairs } = this;
    return Array.from({ length: pairs.length / 2 }, (_, at) => ({
      first: pairs[2 * at] as number,
      last: pairs[2 * at + 1] as number,
    }));
  }

  has(lsn: number): boolean {
    return this.meets(lsn, lsn);
  }

  /** Is any LSN from `first` to `last` in the set? */
  meets(first: number, last: number): boolean {
    const at = this.#indexFrom(first);
    return at < this.pairs.length && (this.pairs[at] as number) <= last;
  }

  /** How many of the LSNs from `first` to `last` are in the set. */
  countIn(first: number, last: number): number {
    const { pairs } = this;
    let count = 0;
    for (let at = this.#indexFrom(first); at < pairs.length; at += 2) {
      const from = Math.max(first, pairs[at] as number);
      const to = Math.min(last, pairs[at + 1] as number);
      if (from > to) break;
      count += to - from + 1;
    }
    return count;
  }

  /** Of this set, the LSNs from `first` to `last`. */
  within(first: number, last: number): LsnSet {
    const from = this.#indexFrom(first);
    let to = this.#indexFrom(last);
    if (to < this.pairs.length && (this.pairs[to] as number) <= last) to += 2;
    const pairs = this.pairs.slice(from, Math.max(from, to));
    if (pairs.length > 0) {
      pairs[0] = Math.max(first, pairs[0] as number);
      pairs[pairs.length - 1] = Math.min(last, pairs[pairs.length - 1] as number);
    }
    return new LsnSet(pairs);
  }

  /** The same set without the LSNs from `first` to `last`. */
  without(first: number, last: number): LsnSet {
    if (last < first) return this;
    const below = this.within(0, first - 1).pairs;
    const above = this.within(last + 1, Number.MAX_SAFE_INTEGER).pairs;
    const pairs = new Float64Array(below.length + above.length);
    pairs.set(below);
    pairs.set(above, below.length);
    return new LsnSet(pairs);
  }

  /** The index in `pairs` of the first range that ends at or after `lsn`. */
  #indexFrom(lsn: number): number {
    const { pairs } = this;
    let low = 0;
    let high = pairs.length / 2;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((pairs[2 * middle + 1] as number) < lsn) low = middle + 1;
      else high = middle;
    }
    return 2 * low;
  }
}
