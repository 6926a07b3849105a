/**
 * How long a look goes on without anything new being awaited. A disk that takes longer than this for a sync gains nothing
 * by it.
 */
const POLL_MS = 1;

/**
 * Keeps an event loop from sleeping while a durable append is on its way: each of its turns looks whether the
 * acknowledgement has come. To be woken takes a thread as long as a quick sync; the price is the processor, which is busy
 * for as long (bench/workloads/durable-latency.ts). Everything else in the event loop has its turns as ever.
 */
export class BusyPoll {
  readonly #isSettled: () => boolean;
  #untilMs = 0;
  #isPolling = false;

  /** `isSettled` takes in what has come, and tells whether nobody waits any more. */
  constructor(isSettled: () => boolean) {
    this.#isSettled = isSettled;
  }

  /** Somebody waits from now on. */
  start(): void {
    this.#untilMs = performance.now() + POLL_MS;
    if (this.#isPolling) return;
    this.#isPolling = true;
    setImmediate(this.#look);
  }

  readonly #look = (): void => {
    if (this.#isSettled() || performance.now() > this.#untilMs) this.#isPolling = false;
    else setImmediate(this.#look);
  };
}
