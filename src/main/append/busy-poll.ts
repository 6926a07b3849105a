import { clearImmediate, nowMs as clock, setImmediate } from '../../files/node-globals.js';

/**
 * How long polling continues if no new append begins to wait. On a disk whose syncs take longer than this, polling gains
 * nothing.
 */
const POLL_MS = 1;

/** The source of the acknowledgements. */
export interface PollHost {
  /** Polling begins. */
  begin(): void;
  /** Looks once, and takes in the acknowledgements that have come. */
  take(): void;
  /** No append waits any more. */
  isSettled(): boolean;
  /** Polling ends, though appends may still wait: takes in the acknowledgements that have come until now. */
  end(): void;
}

/**
 * Keeps an event loop from sleeping while a durable append is on its way: each turn of the loop looks whether the
 * acknowledgement has come. Waking a thread takes as long as a quick sync. The price is a processor that is busy during the
 * wait (bench/workloads/durable-latency.ts). Everything else in the event loop has its turns as usual.
 */
export class BusyPoll {
  readonly #host: PollHost;
  /** Milliseconds of a clock that never goes back. */
  readonly #nowMs: () => number;
  #untilMs = 0;
  /** The next look; `undefined`: the lane does not poll. */
  #next: NodeJS.Immediate | undefined;

  constructor(host: PollHost, nowMs: () => number = clock) {
    this.#host = host;
    this.#nowMs = nowMs;
  }

  /** An append waits from now on. */
  start(): void {
    this.#untilMs = this.#nowMs() + POLL_MS;
    if (this.#next !== undefined) return;
    this.#host.begin();
    this.#next = setImmediate(this.#look);
  }

  /** Looks once before the next turn. */
  take(): void {
    if (this.#next !== undefined) this.#host.take();
  }

  /** Ends polling until the next [start]. */
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
