import type { Transferable } from 'node:worker_threads';
import type { Piscina } from 'piscina';
import { loadModule } from '../../files/package-modules.js';
import { threadOptions } from '../threads/start-thread.js';

/** A task, with the field names of piscina. */
export interface Task {
  readonly name: string;
  readonly filename: string;
  readonly signal: AbortSignal | undefined;
  /** The objects that move to the thread with the request. */
  readonly transferList?: Transferable[] | undefined;
}

/**
 * One thread of the pool. It starts with its first job and runs one job at a time.
 *
 * It is a piscina pool with one thread. A piscina pool with several threads can hang: if the thread that was started
 * for a queued task dies before it is ready, or if the earlier threads are gone, nothing starts another thread, and
 * the task waits for ever. Here no task is ever queued, and the caller of the running task learns of the thread's
 * death.
 */
export class JobThread {
  readonly #pool: Piscina;
  /** Rejects the running task. */
  #onDeath: ((cause: Error) => void) | undefined;
  /** The error that the thread threw. */
  #thrown: Error | undefined;

  /** @throws if piscina cannot be loaded */
  constructor() {
    // The first job loads piscina: most logs never need a job, and loading it would double the cost of importing this
    // package.
    const { Piscina } = loadModule('piscina') as typeof import('piscina');
    this.#pool = new Piscina({
      minThreads: 0,
      maxThreads: 1,
      // piscina would measure this time with the global timer, which jsdom replaces.
      idleTimeout: Number.POSITIVE_INFINITY,
      // The default of piscina blocks the event loop of idle threads.
      atomics: 'disabled',
      ...threadOptions(),
    });
    this.#pool.on('error', (error: Error) => {
      this.#thrown = error;
      // No caller waits for an idle thread, and the next job gets another one.
      if (this.#onDeath === undefined) process.emitWarning(error);
    });
    // piscina emits this event while it removes the thread, and before it emits the thread's error. The delay uses a
    // promise because tests replace `queueMicrotask` with a fake.
    this.#pool.on('workerDestroy', () => void Promise.resolve().then(() => this.#noteEnd()));
  }

  /** Whether the thread is alive, as far as is known. */
  get isAlive(): boolean {
    return this.#pool.threads.length > 0;
  }

  /**
   * Rejects with the error that the job threw, with the error that ended the thread at any time, or, after an abort,
   * with an error of piscina.
   */
  async run(request: unknown, { signal, transferList, ...named }: Task): Promise<unknown> {
    try {
      return await new Promise((resolve, reject) => {
        this.#onDeath = reject;
        const task = transferList === undefined ? named : { ...named, transferList };
        this.#pool.run(request, signal === undefined ? task : { ...task, signal }).then(resolve, reject);
        // The thread is referenced, not its port: the port closes as soon as the thread dies, before the death is
        // reported.
        for (const thread of this.#pool.threads) thread.ref();
      });
    } finally {
      this.#onDeath = undefined;
      for (const thread of this.#pool.threads) thread.unref();
    }
  }

  /** Ends the thread. It must not be used after this call. */
  end(): void {
    // If no thread could be started, the pool still holds the task, and its caller has already got the error.
    if (this.isAlive) void this.#pool.destroy();
  }

  #noteEnd(): void {
    if (!this.isAlive) this.#onDeath?.(this.#thrown ?? new Error('the thread ended before it took the job'));
  }
}
