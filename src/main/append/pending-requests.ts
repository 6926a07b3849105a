import type { WaitingPromises } from './waiting-promises.js';

interface Request<T> {
  /** Entries that the lane had accepted when the request was made. */
  readonly accepted: number;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

/** Requests of one kind to the writer thread, by the number that the answer carries: syncs, or commands. */
export class PendingRequests<T> {
  readonly #promises: WaitingPromises;
  readonly #accepted: () => number;
  readonly #requests = new Map<number, Request<T>>();
  /** 0 is the number of a blocking flush. */
  #nextId = 1;

  /** `accepted`: how many entries the lane has accepted. */
  constructor(promises: WaitingPromises, accepted: () => number) {
    this.#promises = promises;
    this.#accepted = accepted;
  }

  get size(): number {
    return this.#requests.size;
  }

  /** A promise for the answer to the request that `post` sends. If its signal has abandoned a request, the answer is ignored. */
  make(signal: AbortSignal | undefined, post: (id: number) => void): Promise<T> {
    return this.#promises.create<T>(signal, (resolve, reject) => {
      const id = this.#nextId++;
      this.#requests.set(id, { accepted: this.#accepted(), resolve, reject });
      post(id);
      return () => {
        this.#requests.delete(id);
      };
    });
  }

  resolve(id: number, value: T): void {
    const request = this.#requests.get(id);
    this.#requests.delete(id);
    request?.resolve(value);
  }

  reject(id: number, error: unknown): void {
    const request = this.#requests.get(id);
    this.#requests.delete(id);
    request?.reject(error);
  }

  /** Rejects the requests that were made when entry `accepted`, or a later one, had been accepted. */
  rejectFrom(accepted: number, error: unknown): void {
    for (const [id, request] of this.#requests) {
      if (request.accepted >= accepted) this.reject(id, error);
    }
  }

  rejectAll(error: unknown): void {
    for (const request of this.#requests.values()) request.reject(error);
    this.#requests.clear();
  }
}
