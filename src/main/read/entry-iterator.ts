import type { WalEntry } from './segment-reader.js';

/**
 * An iterator over entries, or over arrays of them, for `for await`. Reading begins with the first call of `next`;
 * `value` is `undefined` once `done` is true. Leaving the loop closes the file. Code that calls `next` itself and
 * stops early must call `return`. Otherwise the file stays open, and retention keeps its segment, until the iterator
 * is garbage-collected or the log is closed.
 *
 * @typeParam T the yielded value: {@link WalEntry}, or an array of them
 */
export interface WalIterator<T> {
  /**
   * Resolves to the next value. Rejects with the errors of the method that made the iterator; after an error it is
   * done.
   */
  next(): Promise<IteratorResult<T, undefined>>;
  /** Ends the iterator and closes the file, even while `next` waits. Resolves once the file is closed. */
  return(value?: undefined): Promise<IteratorResult<T, undefined>>;
  /** Ends the iterator as `return` does, and rejects with `error`. */
  throw(error: unknown): Promise<IteratorResult<T, undefined>>;
  /** Returns this iterator. */
  [Symbol.asyncIterator](): WalIterator<T>;
}

type Result = IteratorResult<WalEntry, undefined>;

/**
 * Yields the entries of batches one at a time. It is not an async generator: that takes three turns of the microtask
 * queue for each `yield`, and this class takes one, so buffered entries cost half as much (bench/workloads, replay).
 *
 * It behaves as an async generator does: it answers concurrent calls in order, and when it ends it also ends the
 * generator of batches.
 */
export class EntryIterator implements AsyncGenerator<WalEntry, undefined, undefined> {
  readonly #batches: AsyncGenerator<WalEntry[], undefined, undefined>;
  readonly #interrupt: () => void;
  #batch: readonly WalEntry[] = [];
  #at = 0;
  /** Number of calls that wait for a batch, or for an earlier call. */
  #waiting = 0;
  #lastCall: Promise<unknown> = Promise.resolve();

  /** @param interrupt makes a waiting `batches` end soon, so that a queued `return` runs */
  constructor(batches: AsyncGenerator<WalEntry[], undefined, undefined>, interrupt: () => void = () => {}) {
    this.#batches = batches;
    this.#interrupt = interrupt;
  }

  next(): Promise<Result> {
    if (this.#waiting === 0 && this.#at < this.#batch.length) {
      return Promise.resolve({ value: this.#batch[this.#at++] as WalEntry, done: false });
    }
    return this.#inTurn(() => this.#advance());
  }

  return(): Promise<Result> {
    this.#interrupt();
    return this.#inTurn(async () => {
      this.#drop();
      await this.#batches.return(undefined);
      return { value: undefined, done: true };
    });
  }

  throw(error: unknown): Promise<Result> {
    this.#interrupt();
    return this.#inTurn(async () => {
      this.#drop();
      await this.#batches.return(undefined);
      throw error;
    });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  async #advance(): Promise<Result> {
    while (this.#at >= this.#batch.length) {
      this.#drop();
      const { value, done } = await this.#batches.next();
      if (done === true) return { value: undefined, done: true };
      this.#batch = value as WalEntry[];
    }
    return { value: this.#batch[this.#at++] as WalEntry, done: false };
  }

  /** Drops a finished batch, because it holds a chunk of the file. */
  #drop(): void {
    this.#batch = [];
    this.#at = 0;
  }

  /** Runs `call` after all earlier calls are answered. */
  #inTurn(call: () => Promise<Result>): Promise<Result> {
    this.#waiting += 1;
    const answer = this.#lastCall.then(call, call).finally(() => {
      this.#waiting -= 1;
    });
    this.#lastCall = answer;
    return answer;
  }
}
