/**
 * A histogram in shared memory, for figures that are taken once for each group or sync.
 *
 *   word (64 bits)   meaning
 *      0             sum of all values
 *      1 … 232       how many values fell into each bucket
 *
 * Values are integers from 0 to 2^31 − 1; larger ones count as that. Below 8 each value has a bucket of its own; above, each
 * power of two has 8 of equal width, so that a bucket is at most an eighth of its values wide:
 *
 *   0 1 2 3 4 5 6 7 │ 8 9 10 … 15 │ 16–17 18–19 … 30–31 │ 32–35 … 60–63 │ …
 *
 * Every access is Atomics on 64-bit words: whoever reads never sees half a count. Sum and buckets are not read at one point in
 * time, nor need they be: each is a figure that only grows. Writer and sync thread may both record: `add` loses nothing.
 */

const SUB_BITS = 3;
const SUB_BUCKETS = 2 ** SUB_BITS;
const VALUE_MAX = 0x7fff_ffff;
const BUCKETS = bucketOf(VALUE_MAX) + 1;

export const HISTOGRAM_BYTES = (1 + BUCKETS) * 8;

// Exported as WalHistogram.
/**
 * A histogram as it was at one look: plain data, which can be cloned and printed. Percentiles and `max` are an eighth too high at
 * most, and 0 if there are no values.
 */
export interface HistogramReading {
  /** Values recorded. */
  readonly count: number;
  /** Their sum. */
  readonly sum: number;
  /** Half of the values are at or below it. */
  readonly p50: number;
  /** 9 of 10 are at or below it. */
  readonly p90: number;
  /** 99 of 100 are at or below it. */
  readonly p99: number;
  /** 999 of 1,000 are at or below it. */
  readonly p999: number;
  /** All are at or below it. */
  readonly max: number;
  /**
   * The buckets that are not empty, ascending, each at most an eighth of its values wide: `count` values that are all below
   * `below`, as none of the next bucket is.
   */
  readonly buckets: readonly {
    /** All values of the bucket are below it, and none of the next bucket is. */
    readonly below: number;
    /** How many they are. */
    readonly count: number;
  }[];
}

/** How many recorded values are below `value`, which has to begin a bucket: a power of two does. */
export function countBelow({ buckets }: HistogramReading, value: number): number {
  let counted = 0;
  for (const { below, count } of buckets) if (below <= value) counted += count;
  return counted;
}

export class Histogram {
  readonly #words: BigInt64Array<SharedArrayBuffer>;

  constructor(buffer: SharedArrayBuffer, byteOffset: number) {
    this.#words = new BigInt64Array(buffer, byteOffset, 1 + BUCKETS);
  }

  /** Two adds of 64 bits (bench/functions/figures.ts): for a group or a sync, never for an entry. */
  record(value: number): void {
    const counted = value >= VALUE_MAX ? VALUE_MAX : value > 0 ? Math.floor(value) : 0;
    Atomics.add(this.#words, 0, BigInt(counted));
    Atomics.add(this.#words, 1 + bucketOf(counted), 1n);
  }

  read(): HistogramReading {
    const sum = Number(Atomics.load(this.#words, 0));
    const buckets: { below: number; count: number }[] = [];
    let total = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const count = Number(Atomics.load(this.#words, 1 + bucket));
      if (count === 0) continue;
      buckets.push({ below: startOf(bucket + 1), count });
      total += count;
    }
    const percentile = (share: number) => percentileOf(buckets, Math.ceil(share * total));
    return {
      count: total,
      sum,
      p50: percentile(0.5),
      p90: percentile(0.9),
      p99: percentile(0.99),
      p999: percentile(0.999),
      max: percentile(1),
      buckets,
    };
  }
}

/** The largest value that the bucket of the value with this rank (from 1) may have. */
function percentileOf(buckets: HistogramReading['buckets'], rank: number): number {
  let seen = 0;
  for (const { below, count } of buckets) {
    seen += count;
    if (seen >= rank) return below - 1;
  }
  return 0;
}

/** @param value an integer from 0 to VALUE_MAX */
function bucketOf(value: number): number {
  if (value < SUB_BUCKETS) return value;
  const exponent = 31 - Math.clz32(value);
  const sub = (value >>> (exponent - SUB_BITS)) & (SUB_BUCKETS - 1);
  return (exponent - SUB_BITS + 1) * SUB_BUCKETS + sub;
}

/** The smallest value in a bucket; may be one past VALUE_MAX. */
function startOf(bucket: number): number {
  if (bucket < SUB_BUCKETS) return bucket;
  const exponent = Math.floor(bucket / SUB_BUCKETS) + SUB_BITS - 1;
  return (SUB_BUCKETS + (bucket % SUB_BUCKETS)) * 2 ** (exponent - SUB_BITS);
}
