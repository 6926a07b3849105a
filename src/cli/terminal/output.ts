import { once } from 'node:events';
import type { Writable } from 'node:stream';
import picocolors from 'picocolors';
import { wrap } from '../text/text.js';

/** Of what is not printed to a terminal. */
const WIDTH = 80;

export type Colors = ReturnType<typeof picocolors.createColors>;

/** Standard output: as fast as whoever reads it, and quiet about a reader that has gone (`| head`). */
export class Output {
  readonly isTerminal: boolean;
  readonly colors: Colors;
  readonly #stream: Writable & { rows?: number; columns?: number };
  readonly #onGone: (error: NodeJS.ErrnoException) => void;
  #failure: Error | undefined;

  /** `onGone` hears once that nobody takes any more: `EPIPE`, or another error of the system. */
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

  /** Lines of the terminal, now: its window may change. */
  get rows(): number {
    // 0 is what a terminal says that does not know.
    return this.#stream.rows || 24;
  }

  /** Columns of it, now. */
  get columns(): number {
    return this.#stream.columns || 80;
  }

  /** What lines are to fit into: the terminal now, and elsewhere always the same. */
  get width(): number {
    return this.isTerminal ? this.columns : WIDTH;
  }

  /** A line of words, on as many as it takes; those that follow are indented as it is. */
  wrapped(text: string): void {
    const indent = /^ */.exec(text)?.[0] ?? '';
    for (const line of wrap(text.slice(indent.length), this.width - indent.length)) this.line(indent + line);
  }

  /** A line of words that is wrapped for who looks at it, and stays one line for programs. */
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

  /** Resolves once the stream takes more, or never will. */
  async room(): Promise<void> {
    while (this.#stream.writableNeedDrain && this.#failure === undefined) {
      await once(this.#stream, 'drain').catch(() => {
        // The listener of 'error' has taken note.
      });
    }
  }

  /** Resolves once everything is handed on, or never will be. */
  async flush(): Promise<void> {
    if (this.#failure !== undefined) return;
    await new Promise<void>((resolve) => {
      this.#stream.write('', (error) => {
        // Told here first, and then by the event.
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

/** Colours on a terminal only, and not where the user does not want any (https://no-color.org). */
export function colorsFor(isTerminal: boolean, env: NodeJS.ProcessEnv): Colors {
  return picocolors.createColors(isTerminal && !env.NO_COLOR && env.TERM !== 'dumb');
}
