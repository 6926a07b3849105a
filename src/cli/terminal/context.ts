import type { Readable, Writable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { ExitCode } from '../errors/exit-code.js';
import { type Colors, colorsFor, Output } from './output.js';
import { StatusLine } from './status-line.js';

const SIGNALS = {
  SIGHUP: ExitCode.hangup,
  SIGINT: ExitCode.interrupted,
  SIGTERM: ExitCode.terminated,
} as const;

const SHOW_MS = 200;

/** The part of the process that a command uses. */
export class Context {
  readonly stdin: Readable & { isTTY?: boolean; setRawMode?(isRaw: boolean): void };
  readonly out: Output;
  readonly env: NodeJS.ProcessEnv;
  /** Colours for standard error. */
  readonly errorColors: Colors;
  readonly #err: Writable & { isTTY?: boolean; columns?: number };
  readonly #interrupt = new AbortController();
  #endsWith: ExitCode | undefined;
  #outputFailure: NodeJS.ErrnoException | undefined;

  constructor(process: NodeJS.Process) {
    const { stdin, stdout, stderr, env } = process;
    this.stdin = stdin;
    this.env = env;
    this.out = new Output(stdout, env, (error) => this.#loseOutput(error));
    this.#err = stderr;
    this.errorColors = colorsFor(stderr.isTTY === true, env);
    // If standard error is closed, the exit code still reports the failure.
    stderr.on('error', () => {});
    for (const [signal, exitCode] of Object.entries(SIGNALS)) {
      process.on(signal, () => {
        // The second signal ends the process at once. The log's exit handler makes accepted entries durable.
        if (this.#interrupt.signal.aborted) process.exit(exitCode);
        this.#stop(exitCode);
      });
    }
  }

  /** Aborted by Ctrl-C and similar signals, and when the reader of standard output is gone. */
  get signal(): AbortSignal {
    return this.#interrupt.signal;
  }

  /** The exit code of an interrupted command. */
  get interruptedWith(): ExitCode | undefined {
    return this.#endsWith;
  }

  /** The error that ended standard output, other than a reader that closed it. */
  get outputFailure(): Error | undefined {
    return this.#outputFailure;
  }

  /** The reader of standard output is gone. */
  get isUnread(): boolean {
    return this.#endsWith === ExitCode.ok;
  }

  error(text: string): void {
    this.#err.write(`${text}\n`);
  }

  /** Prints a problem that does not end the command. */
  warn(text: string): void {
    this.error(`${this.errorColors.yellow('ringwal:')} ${text}`);
  }

  /** Whether standard input and standard error are a terminal, so that the user can be asked. */
  get canAsk(): boolean {
    return this.stdin.isTTY === true && this.#err.isTTY === true;
  }

  get errorStream(): Writable {
    return this.#err;
  }

  /** Whether standard error is a terminal. */
  get isWatched(): boolean {
    return this.#err.isTTY === true;
  }

  statusLine(): StatusLine {
    return new StatusLine(this.#err);
  }

  /** The result of `work`; rejects when interrupted, even if the work continues. */
  async orInterrupted<T>(work: Promise<T>): Promise<T> {
    this.signal.throwIfAborted();
    let stop = () => {};
    const interrupted = new Promise<never>((_, reject) => {
      stop = () => reject(this.signal.reason);
      this.signal.addEventListener('abort', stop);
    });
    try {
      return await Promise.race([work, interrupted]);
    } finally {
      this.signal.removeEventListener('abort', stop);
    }
  }

  /** As [orInterrupted]. If the work takes long, it shows what is being done and since when. */
  async waitFor<T>(what: string, work: Promise<T>): Promise<T> {
    const status = this.statusLine();
    const start = performance.now();
    const show = () => status.update(() => `${what} … ${Math.floor((performance.now() - start) / 1000)} s`);
    const timer = setInterval(show, SHOW_MS);
    try {
      return await this.orInterrupted(work);
    } finally {
      clearInterval(timer);
      status.clear();
    }
  }

  /** Resolves after `ms`; rejects when interrupted. */
  pause(ms: number): Promise<void> {
    return pause(ms, undefined, { signal: this.signal });
  }

  #loseOutput(error: NodeJS.ErrnoException): void {
    if (error.code !== 'EPIPE') this.#outputFailure = error;
    this.#stop(error.code === 'EPIPE' ? ExitCode.ok : ExitCode.io);
  }

  #stop(exitCode: ExitCode): void {
    this.#endsWith ??= exitCode;
    this.#interrupt.abort();
  }
}
