// Exported as WalHistogram.
/**
 * A histogram at one moment: plain data, which can be cloned and printed. Percentiles and `max` are at most an eighth too high,
 * and 0 if there are no values.
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
   * The buckets that are not empty, ascending. The width of each is at most an eighth of its values. It has `count` values, all of
   * them below `below`; those of the next bucket are not.
   */
  readonly buckets: readonly {
    /** All values of the bucket are below it, and none of the next bucket is. */
    readonly below: number;
    /** The number of values in the bucket. */
    readonly count: number;
  }[];
}

export type HistogramBucket = HistogramReading['buckets'][number];

/** Makes a reading from buckets, which are ascending and not empty. */
export function readBuckets(sum: number, buckets: readonly HistogramBucket[]): HistogramReading {
  const count = buckets.reduce((total, bucket) => total + bucket.count, 0);
  const percentile = (share: number) => percentileOf(buckets, Math.ceil(share * count));
  return {
    count,
    sum,
    p50: percentile(0.5),
    p90: percentile(0.9),
    p99: percentile(0.99),
    p999: percentile(0.999),
    max: percentile(1),
    buckets,
  };
}

/**
 * The values recorded between two readings of one histogram. If `now` holds less than `before`, it began anew: then `now` alone.
 */
export function sinceReading(now: HistogramReading, before: HistogramReading): HistogramReading {
  const counts = new Map(before.buckets.map(({ below, count }) => [below, count]));
  const buckets: HistogramBucket[] = [];
  for (const { below, count } of now.buckets) {
    const gained = count - (counts.get(below) ?? 0);
    counts.delete(below);
    if (gained < 0) return now;
    if (gained > 0) buckets.push({ below, count: gained });
  }
  return counts.size > 0 || now.sum < before.sum ? now : readBuckets(now.sum - before.sum, buckets);
}

/** The largest value that the bucket of the value with this rank (from 1) may have. */
function percentileOf(buckets: readonly HistogramBucket[], rank: number): number {
  let seen = 0;
  for (const { below, count } of buckets) {
    seen += count;
    if (seen >= rank) return below - 1;
  }
  return 0;
}
