import { pause } from '../../files/pause.js';

/** A job that sleeps looks this often whether it is to stop. */
const PAUSE_MS_MAX = 100;

/** Sleeps so that on average no more than so many bytes are taken in a second. For a thread that may block. */
export class Throttle {
  readonly #bytesPerSecond: number;
  readonly #nowMs: () => number;
  readonly #sleep: (ms: number) => void;
  #dueMs: number;

  constructor(bytesPerSecond: number, nowMs: () => number, sleep: (ms: number) => void = pause) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#nowMs = nowMs;
    this.#sleep = sleep;
    this.#dueMs = nowMs();
  }

  /** `onPause`: called again and again while it sleeps; it may throw. */
  take(bytes: number, onPause: () => void): void {
    if (this.#bytesPerSecond === Number.POSITIVE_INFINITY) return;
    // Time in which nothing was taken is not saved up.
    this.#dueMs = Math.max(this.#dueMs, this.#nowMs()) + (bytes * 1000) / this.#bytesPerSecond;
    for (;;) {
      const waitMs = this.#dueMs - this.#nowMs();
      if (waitMs <= 0) return;
      this.#sleep(Math.min(waitMs, PAUSE_MS_MAX));
      onPause();
    }
  }
}
