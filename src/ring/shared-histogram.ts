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
 * Every access is Atomics on 64-bit words: a reader never sees half a count. Sum and buckets are not read at one point in time,
 * and need not be: each figure only grows. Writer and sync thread may both record: `add` loses nothing.
 */

import { type HistogramBucket, type HistogramReading, readBuckets } from '../format/histogram-buckets.js';

export type { HistogramReading };

const SUB_BITS = 3;
const SUB_BUCKETS = 2 ** SUB_BITS;
const VALUE_MAX = 0x7fff_ffff;
const BUCKETS = bucketOf(VALUE_MAX) + 1;

export const HISTOGRAM_BYTES = (1 + BUCKETS) * 8;

/** How many recorded values are below `value`, which must be the start of a bucket, as every power of two is. */
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
    const buckets: HistogramBucket[] = [];
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const count = Number(Atomics.load(this.#words, 1 + bucket));
      if (count > 0) buckets.push({ below: startOf(bucket + 1), count });
    }
    return readBuckets(sum, buckets);
  }
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
