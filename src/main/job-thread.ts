import type { Piscina } from 'piscina';
import { loadModule } from '../files/package-modules.js';
import { threadOptions } from './threads.js';

/** A thread that has nothing to do for so long ends. */
const IDLE_MS = 1000;

/** What a thread is to do, by piscina's names. */
export interface Task {
  readonly name: string;
  readonly filename: string;
  readonly signal: AbortSignal | undefined;
}

/**
 * One thread of the pool: starts with a job, does one at a time, ends when it has had none for a while, and starts again with the
 * next one.
 *
 * It is a pool of piscina's with one thread, and not one of several threads. Tasks that wait in such a pool wait for ever when the thread
 * that was started for them dies before it is ready, and when the threads before them are gone: nothing starts others. Here
 * no task waits in it, and whatever becomes of the thread is told to the one that it works for.
 */
export class JobThread {
  readonly #pool: Piscina;
  /** Of the task under way. */
  #onDeath: ((cause: Error) => void) | undefined;
  /** What the thread threw last. */
  #thrown: Error | undefined;

  /** @throws where piscina cannot be loaded */
  constructor() {
    // Loaded by the first job: most logs never need one, and it would be half of what importing this package costs.
    const { Piscina } = loadModule('piscina') as typeof import('piscina');
    this.#pool = new Piscina({
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: IDLE_MS,
      // Its default blocks the event loop of idle threads.
      atomics: 'disabled',
      ...threadOptions(),
    });
    this.#pool.on('error', (error: Error) => {
      this.#thrown = error;
      // Nobody waits for a thread that has no task, and the next one starts another.
      if (this.#onDeath === undefined) process.emitWarning(error);
    });
    // Told in the midst of taking it out, and before what it threw.
    this.#pool.on('workerDestroy', () => queueMicrotask(() => this.#noteEnd()));
  }

  /** Rejects with what the job threw, with what ended the thread, whenever it did, or with an error of piscina's once aborted. */
  async run(request: unknown, { signal, ...task }: Task): Promise<unknown> {
    this.#thrown = undefined;
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
  discard(): void {
    // Where none could be started the task is still there, and whoever asked for it has been told.
    if (this.#pool.threads.length > 0) void this.#pool.destroy();
  }

  #noteEnd(): void {
    if (this.#pool.threads.length > 0) return;
    this.#onDeath?.(this.#thrown ?? new Error('the thread ended before it took the job'));
  }
}
