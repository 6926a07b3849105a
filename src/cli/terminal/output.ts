import { once } from 'node:events';
import type { Writable } from 'node:stream';
import picocolors from 'picocolors';
import { wrap } from '../text/text.js';

/** Line width for output that does not go to a terminal. */
const WIDTH = 80;

export type Colors = ReturnType<typeof picocolors.createColors>;

/** Standard output. It writes as fast as the reader reads, and ignores a reader that has gone (`| head`). */
export class Output {
  readonly isTerminal: boolean;
  readonly colors: Colors;
  readonly #stream: Writable & { rows?: number; columns?: number };
  readonly #onGone: (error: NodeJS.ErrnoException) => void;
  #failure: Error | undefined;

  /** `onGone` is called once when output is no longer possible: with `EPIPE`, or another error of the system. */
  constructor(
    stream: Writable & { isTTY?: boolean; columns?: number; rows?: number },
    env: NodeJS.ProcessEnv,
    onGone: (error: NodeJS.ErrnoException) => void,
  ) {
    this.#stream = stream;
    this.isTerminal = stream.isTTY === true;
    this.colors = colorsFor(this.isTerminal, env);
    this.#onGone = onGone;
    stream.on('error', (error: Error) => this.#fail(error));
  }

  /** Current number of lines of the terminal; its window may change. */
  get rows(): number {
    // A terminal that does not know its size reports 0.
    return this.#stream.rows || 24;
  }

  /** Current number of columns of the terminal. */
  get columns(): number {
    return this.#stream.columns || 80;
  }

  /** The width to which lines are wrapped: that of the terminal, or a constant elsewhere. */
  get width(): number {
    return this.isTerminal ? this.columns : WIDTH;
  }

  /** Prints a text, wrapped; the following lines get the indentation of the first one. */
  wrapped(text: string): void {
    const indent = /^ */.exec(text)?.[0] ?? '';
    for (const line of wrap(text.slice(indent.length), this.width - indent.length)) this.line(indent + line);
  }

  /** Prints a text, wrapped on a terminal, and as one line for programs. */
  sentence(text: string): void {
    if (this.isTerminal) this.wrapped(text);
    else this.line(text);
  }

  line(text = ''): void {
    this.write(`${text}\n`);
  }

  json(value: unknown): void {
    this.line(JSON.stringify(value));
  }

  write(chunk: string | Uint8Array): void {
    if (this.#failure === undefined) this.#stream.write(chunk);
  }

  /** Resolves once the stream takes more, or is closed. */
  async room(): Promise<void> {
    while (this.#stream.writableNeedDrain && this.#failure === undefined) {
      await once(this.#stream, 'drain').catch(() => {
        // The listener of 'error' has recorded it.
      });
    }
  }

  /** Resolves once all output is written, or the stream is closed. */
  async flush(): Promise<void> {
    if (this.#failure !== undefined) return;
    await new Promise<void>((resolve) => {
      this.#stream.write('', (error) => {
        // The callback gets the error before the event does.
        if (error) this.#fail(error);
        resolve();
      });
    });
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#onGone(error);
  }
}

/** Colours on a terminal only, unless the user has disabled them (https://no-color.org). */
export function colorsFor(isTerminal: boolean, env: NodeJS.ProcessEnv): Colors {
  return picocolors.createColors(isTerminal && !env.NO_COLOR && env.TERM !== 'dumb');
}
