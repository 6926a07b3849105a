import type { WalEntry } from './segment-reader.js';

/**
 * Entries, or batches of them, for `for await`; by hand `value` is `undefined` once `done`. It begins with the first call of `next`;
 * breaking off closes the file. Whoever stops in the middle without breaking off, by hand, calls `return`: else the file stays open,
 * and its segment is kept from retention, until the iterator is collected as garbage or the log is closed.
 *
 * @typeParam T what it yields: {@link WalEntry}, or an array of them
 */
export interface WalIterator<T> {
  /** The next one. Rejects as the method that made the iterator says, and is done after that. */
  next(): Promise<IteratorResult<T, undefined>>;
  /** Ends it: closes the file, also while `next` waits. Resolves once that is done. */
  return(value?: undefined): Promise<IteratorResult<T, undefined>>;
  /** Ends it as `return` does, and rejects with `error`. */
  throw(error: unknown): Promise<IteratorResult<T, undefined>>;
  /** Itself. */
  [Symbol.asyncIterator](): WalIterator<T>;
}

type Result = IteratorResult<WalEntry, undefined>;

/**
 * The entries of batches, one at a time. By hand, since an async generator takes three turns of the microtask queue for
 * each `yield` and this takes one: entries that are at hand cost half as much (bench/workloads, replay).
 *
 * Behaves as an async generator does: calls are answered in their order, also when one does not wait for the other, and
 * whatever ends the walk ends the walk over the batches.
 */
export class EntryIterator implements AsyncGenerator<WalEntry, undefined, undefined> {
  readonly #batches: AsyncGenerator<WalEntry[], undefined, undefined>;
  readonly #interrupt: () => void;
  #batch: readonly WalEntry[] = [];
  #at = 0;
  /** Calls that wait for a batch, or for such a call. */
  #waiting = 0;
  #lastCall: Promise<unknown> = Promise.resolve();

  /** @param interrupt has `batches` end soon, though it wait for something: for `return`, which comes behind that */
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

  /** A batch that is through is let go: it holds a chunk of the file. */
  #drop(): void {
    this.#batch = [];
    this.#at = 0;
  }

  /** Runs `call` once all calls before it are answered. */
  #inTurn(call: () => Promise<Result>): Promise<Result> {
    this.#waiting += 1;
    const answer = this.#lastCall.then(call, call).finally(() => {
      this.#waiting -= 1;
    });
    this.#lastCall = answer;
    return answer;
  }
}
