import { quantile } from './statistics.js';

/** The shares (quantiles) at which a distribution of latencies is kept. */
export const LATENCY_SHARES = [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999] as const;

/** Latencies in µs, in memory that is allocated before the first one is recorded. */
export class Latencies {
  readonly #us: Float64Array;
  #taken = 0;

  constructor(max: number) {
    this.#us = new Float64Array(max);
  }

  /** Milliseconds of `performance.now()`; they are kept as µs. */
  add(fromMs: number, toMs: number): void {
    this.#us[this.#taken++] = (toMs - fromMs) * 1e3;
  }

  /** In µs, at `LATENCY_SHARES`. */
  distribution(): number[] {
    const sorted = this.#us.subarray(0, this.#taken).sort();
    return LATENCY_SHARES.map((share) => quantile(sorted, share));
  }
}
