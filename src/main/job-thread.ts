import type { Piscina } from 'piscina';
import { loadModule } from '../files/package-modules.js';
import { threadOptions } from './threads.js';

/** What a thread is to do, by piscina's names. */
export interface Task {
  readonly name: string;
  readonly filename: string;
  readonly signal: AbortSignal | undefined;
}

/**
 * One thread of the pool: starts with its first job and does one at a time.
 *
 * It is a pool of piscina's with one thread, and not one of several threads. Tasks that wait in such a pool wait for ever when the thread
 * that was started for them dies before it is ready, and when the threads before them are gone: nothing starts others. Here
 * no task waits in it, and whatever becomes of the thread is told to the one that it works for.
 */
export class JobThread {
  readonly #pool: Piscina;
  /** Of the task under way. */
  #onDeath: ((cause: Error) => void) | undefined;
  /** What the thread threw. */
  #thrown: Error | undefined;

  /** @throws where piscina cannot be loaded */
  constructor() {
    // Loaded by the first job: most logs never need one, and it would be half of what importing this package costs.
    const { Piscina } = loadModule('piscina') as typeof import('piscina');
    this.#pool = new Piscina({
      minThreads: 0,
      maxThreads: 1,
      // It would count the time by the global timer, which is another one in jsdom.
      idleTimeout: Number.POSITIVE_INFINITY,
      // Its default blocks the event loop of idle threads.
      atomics: 'disabled',
      ...threadOptions(),
    });
    this.#pool.on('error', (error: Error) => {
      this.#thrown = error;
      // Nobody waits for a thread that has no task, and the next one has another thread.
      if (this.#onDeath === undefined) process.emitWarning(error);
    });
    // Told in the midst of taking it out, and before what it threw. By a promise: tests replace `queueMicrotask` by a fake.
    this.#pool.on('workerDestroy', () => void Promise.resolve().then(() => this.#noteEnd()));
  }

  /** It lives, as far as is known. */
  get isAlive(): boolean {
    return this.#pool.threads.length > 0;
  }

  /** Rejects with what the job threw, with what ended the thread, whenever it did, or with an error of piscina's once aborted. */
  async run(request: unknown, { signal, ...task }: Task): Promise<unknown> {
    try {
      return await new Promise((resolve, reject) => {
        this.#onDeath = reject;
        this.#pool.run(request, signal === undefined ? task : { ...task, signal }).then(resolve, reject);
        // By the thread and not by its port, which closes as soon as it dies, before anybody has been told that it did.
        for (const thread of this.#pool.threads) thread.ref();
      });
    } finally {
      this.#onDeath = undefined;
      for (const thread of this.#pool.threads) thread.unref();
    }
  }

  /** Ends the thread, which is not to be used any more. */
  end(): void {
    // Where none could be started the task is still there, and whoever asked for it has been told.
    if (this.isAlive) void this.#pool.destroy();
  }

  #noteEnd(): void {
    if (!this.isAlive) this.#onDeath?.(this.#thrown ?? new Error('the thread ended before it took the job'));
  }
}
