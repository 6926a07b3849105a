import { clearImmediate, nowMs as clock, setImmediate } from '../../files/node-globals.js';

/**
 * How long a look goes on without anything new being awaited. A disk that takes longer than this for a sync gains nothing
 * by it.
 */
const POLL_MS = 1;

/** What is polled. */
export interface PollHost {
  /** Looks follow. */
  begin(): void;
  /** A look: takes in what has come. */
  take(): void;
  /** Nobody waits any more. */
  isSettled(): boolean;
  /** No look follows, though somebody may still wait: takes in what has come until now. */
  end(): void;
}

/**
 * Keeps an event loop from sleeping while a durable append is on its way: each of its turns looks whether the
 * acknowledgement has come. To be woken takes a thread as long as a quick sync; the price is the processor, which is busy
 * for as long (bench/workloads/durable-latency.ts). Everything else in the event loop has its turns as ever.
 */
export class BusyPoll {
  readonly #host: PollHost;
  /** Milliseconds of a clock that never goes back. */
  readonly #nowMs: () => number;
  #untilMs = 0;
  /** The next look; `undefined`: nobody polls. */
  #next: NodeJS.Immediate | undefined;

  constructor(host: PollHost, nowMs: () => number = clock) {
    this.#host = host;
    this.#nowMs = nowMs;
  }

  /** Somebody waits from now on. */
  start(): void {
    this.#untilMs = this.#nowMs() + POLL_MS;
    if (this.#next !== undefined) return;
    this.#host.begin();
    this.#next = setImmediate(this.#look);
  }

  /** A look before the next turn. */
  take(): void {
    if (this.#next !== undefined) this.#host.take();
  }

  /** No look follows until somebody [start]s anew. */
  stop(): void {
    if (this.#next === undefined) return;
    clearImmediate(this.#next);
    this.#next = undefined;
    this.#host.end();
  }

  readonly #look = (): void => {
    this.#host.take();
    if (this.#host.isSettled() || this.#nowMs() > this.#untilMs) this.stop();
    else this.#next = setImmediate(this.#look);
  };
}
