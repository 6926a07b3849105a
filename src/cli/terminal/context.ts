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

/** What a command has of the process. */
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
    // Who does not listen to what went wrong is told by the exit code.
    stderr.on('error', () => {});
    for (const [signal, exitCode] of Object.entries(SIGNALS)) {
      process.on(signal, () => {
        // A second time: at once. What a log has accepted it makes durable on the way out.
        if (this.#interrupt.signal.aborted) process.exit(exitCode);
        this.#stop(exitCode);
      });
    }
  }

  /** Aborted by Ctrl-C and its like, and once nobody reads standard output. */
  get signal(): AbortSignal {
    return this.#interrupt.signal;
  }

  /** What a command that was interrupted ends with. */
  get interruptedWith(): ExitCode | undefined {
    return this.#endsWith;
  }

  /** Why standard output takes nothing more: not because its reader had enough. */
  get outputFailure(): Error | undefined {
    return this.#outputFailure;
  }

  /** Nobody reads standard output any more. */
  get isUnread(): boolean {
    return this.#endsWith === ExitCode.ok;
  }

  error(text: string): void {
    this.#err.write(`${text}\n`);
  }

  /** Of what does not keep the command from going on. */
  warn(text: string): void {
    this.error(`${this.errorColors.yellow('ringwal:')} ${text}`);
  }

  /** A terminal is there to ask and to answer. */
  get canAsk(): boolean {
    return this.stdin.isTTY === true && this.#err.isTTY === true;
  }

  get errorStream(): Writable {
    return this.#err;
  }

  /** Someone looks at standard error. */
  get isWatched(): boolean {
    return this.#err.isTTY === true;
  }

  statusLine(): StatusLine {
    return new StatusLine(this.#err);
  }

  /** What `work` comes to; rejects when interrupted, whatever the work goes on with. */
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

  /** As [orInterrupted]; where it takes long it is said what is being done, and for how long already. */
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
