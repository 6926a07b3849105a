import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { WalAttachment } from '#ringwal';
import { cleanUp } from '../../cleanup.js';
import { moduleForChildren } from '../support.js';

/** What '#ringwal' leads to in a thread, wherever its program lies. */
export function moduleForThreads(): string {
  const module = moduleForChildren();
  return module.startsWith('#') ? import.meta.resolve(module) : module;
}

/**
 * A thread with a lane of its own: runs `code`, the body of an async function that knows `lane`, `Wal`, `attachment`, `data`,
 * `say(what)` and `hear()`, which resolves to the next word from [tell].
 */
export class Producer {
  readonly worker: Worker;
  readonly exited: Promise<number>;
  /** What ended it, if it threw. */
  error: unknown;
  readonly #heard: unknown[] = [];
  #onHeard = () => {};

  constructor(t: Pick<TestContext, 'after'>, attachment: WalAttachment, code: string, data: object = {}) {
    this.worker = new Worker(programOf(code), {
      eval: true,
      execArgv: [],
      workerData: { module: moduleForThreads(), attachment, data },
      transferList: attachment.transferList,
    });
    this.exited = new Promise((resolve) => this.worker.once('exit', resolve));
    this.worker.on('error', (error) => {
      this.error = error;
    });
    this.worker.on('message', (message) => {
      this.#heard.push(message);
      this.#onHeard();
    });
    cleanUp(t, () => this.worker.terminate());
  }

  /** The next thing that it says. */
  async says(): Promise<unknown> {
    while (this.#heard.length === 0) {
      const news = new Promise<boolean>((resolve) => {
        this.#onHeard = () => resolve(true);
      });
      const isNews = await Promise.race([news, this.exited.then(() => false)]);
      if (!isNews && this.#heard.length === 0) assert.fail(`the thread ended without a word: ${this.error}`);
    }
    return this.#heard.shift();
  }

  tell(what: unknown): void {
    this.worker.postMessage(what);
  }

  /** Waits for it to end by itself. */
  async ends(): Promise<void> {
    const exitCode = await this.exited;
    assert.equal(exitCode, 0, `the thread failed: ${(this.error as Error | undefined)?.stack}`);
  }
}

/** The text of a worker, CommonJS. */
export function programOf(code: string): string {
  return `
    const { once } = require('node:events');
    const { Worker, parentPort, threadId, workerData } = require('node:worker_threads');
    const { attachment, data } = workerData;
    const say = (what) => parentPort.postMessage(what);
    const hear = async () => (await once(parentPort, 'message'))[0];
    import(workerData.module)
      .then(async ({ Wal, WalError }) => {
        const lane = await Wal.attach(attachment);
        ${code}
      })
      .catch((error) => setImmediate(() => { throw error; }));`;
}
