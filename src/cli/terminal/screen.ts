import { setTimeout as pause } from 'node:timers/promises';
import type { Context } from './context.js';

const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';

/** Uses the whole terminal, and restores it at the end. `q` ends it; in raw mode Ctrl-C is an ordinary key. */
export class Screen {
  readonly #context: Context;
  readonly #left = new AbortController();
  readonly #onKey: (key: Buffer) => void;

  constructor(context: Context) {
    this.#context = context;
    this.#onKey = (key) => {
      if (key.includes('\x03')) process.kill(process.pid, 'SIGINT');
      else if (key.includes('q')) this.#left.abort();
    };
    context.out.write(ENTER);
    const { stdin } = context;
    if (stdin.isTTY !== true) return;
    stdin.setRawMode?.(true);
    stdin.on('data', this.#onKey);
  }

  /** The current size; the window may change. */
  get size(): { readonly rows: number; readonly columns: number } {
    const { rows, columns } = this.#context.out;
    return { rows, columns };
  }

  get isLeft(): boolean {
    return this.#left.signal.aborted;
  }

  show(lines: readonly string[]): void {
    // Overwrites the old screen line by line, which avoids flicker.
    this.#context.out.write(`\x1b[H${lines.map((line) => `${line}\x1b[K`).join('\r\n')}\x1b[J`);
  }

  /** Resolves after `ms`, or when the user ends the screen; rejects when interrupted. */
  async pause(ms: number): Promise<void> {
    const { signal } = this.#context;
    try {
      await pause(ms, undefined, { signal: AbortSignal.any([signal, this.#left.signal]) });
    } catch (error) {
      signal.throwIfAborted();
      if (!this.isLeft) throw error;
    }
  }

  leave(): void {
    const { stdin, out } = this.#context;
    out.write(LEAVE);
    if (stdin.isTTY !== true) return;
    stdin.off('data', this.#onKey);
    stdin.setRawMode?.(false);
    stdin.pause();
  }
}
