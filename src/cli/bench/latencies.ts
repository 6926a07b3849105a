/** Times in milliseconds. All are kept: the times of one minute fit into memory. */
export class Latencies {
  readonly #times: number[] = [];
  #sorted: number[] | undefined;

  add(ms: number): void {
    this.#times.push(ms);
    this.#sorted = undefined;
  }

  get count(): number {
    return this.#times.length;
  }

  /** The time that `percent` of the calls take at most; 0 if there are none. */
  percentile(percent: number): number {
    this.#sorted ??= this.#times.toSorted((a, b) => a - b);
    const at = Math.ceil((percent / 100) * this.#sorted.length) - 1;
    return this.#sorted[Math.max(0, at)] ?? 0;
  }

  summary(): LatencySummary {
    return {
      count: this.count,
      p50Ms: this.percentile(50),
      p90Ms: this.percentile(90),
      p99Ms: this.percentile(99),
      maxMs: this.percentile(100),
      // The points of a plot.
      curve: CURVE.map((percent) => [percent, this.percentile(percent)] as const),
    };
  }
}

export interface LatencySummary {
  readonly count: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Points of the distribution: that percentage of the calls takes at most `ms`. */
  readonly curve: readonly (readonly [percent: number, ms: number])[];
}

const CURVE = [1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 98, 99, 99.5, 99.9, 100];
