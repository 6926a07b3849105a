/**
 * `ringwal/pino`: a target for `pino.transport`, which runs it in a thread of its own.
 *
 * ```js
 * const logger = pino(pino.transport({ target: 'ringwal/pino', options: { directory: './log', maxFiles: 10 } }));
 * ```
 *
 * @module ringwal/pino
 */
import { Writable } from 'node:stream';
import { type LogStreamOptions, Wal, WalError, type WalOptions } from './index.js';
import type { EntryData } from './main/append/entry-data.js';
import { type CheckedLogStreamOptions, checkLogStreamOptions } from './main/options/log-stream-options.js';
import { callSoon } from './main/stream/call-soon.js';
import { describeDrops } from './main/stream/dropped-lines.js';
import { LineFramer } from './main/stream/line-framer.js';

/**
 * Where the log is, how lines become entries, and whatever {@link Wal.open} takes that a thread can be sent. A logger with pino's
 * option `crlf` writes CR LF: `stripCarriageReturn` removes the carriage returns.
 */
export interface PinoTargetOptions
  extends Omit<WalOptions, 'durable' | 'readOnly' | 'signal' | 'onError'>,
    LogStreamOptions {
  /** The log's directory: a path. */
  directory: string;
  /**
   * Lines that come while the log's ring is full wait in front of the transport (`'wait'`) or are dropped (`'drop'`), and an entry says how
   * many.
   *
   * @defaultValue `'wait'`
   */
  onFull?: 'wait' | 'drop' | undefined;
}

/**
 * Opens the log; closes it when the transport ends. pino waits for each chunk of lines until it is written. So the flush at
 * the end of the process loses none, though the log's own threads die with the transport's.
 *
 * Each line becomes an entry. Text that has no newline yet waits for its newline or until the transport ends (`end()`, which pino calls at the
 * end of the process too); a flush does not write it. A logger ends each of its lines itself: this concerns
 * programs that write to the transport themselves.
 *
 * Resolves to the stream that pino writes to; pino calls this in its thread, by the name of the target. The options are those of
 * `pino.transport`'s `options`.
 *
 * @throws as {@link Wal.open}
 */
export default async function openPinoTarget(options: PinoTargetOptions): Promise<Writable> {
  const { onFull, stripCarriageReturn, emptyLines, directory, ...rest } = options;
  const lineOptions = checkLogStreamOptions({ onFull, stripCarriageReturn, emptyLines });
  const own = Object.entries(rest).filter(([name]) => !ADDED_BY_PINO.includes(name));
  const wal = await Wal.open(directory, { ...Object.fromEntries(own), readOnly: false });
  return new PinoTarget(wal, lineOptions, options.maxEntrySize ?? MAX_ENTRY_SIZE);
}

/** To the options of every target, by pino and its thread. */
const ADDED_BY_PINO: readonly string[] = ['pinoWillSendConfig', '$context'];

/** Nothing that was written before waits to be taken when one of these comes. */
const TAKEN = ['drain', 'finish', 'close'] as const;

/** As the log's own. */
const MAX_ENTRY_SIZE = 64 * 2 ** 20;

/** Takes one chunk of lines at a time: with a high-water mark of 1, 'drain' comes when all before it is written. */
class PinoTarget extends Writable {
  readonly #wal: Wal;
  readonly #isDropping: boolean;
  readonly #framer: LineFramer;
  #lines: EntryData[] = [];
  /** Dropped lines that no entry tells of yet. */
  #untold = 0;
  /** Lines that a full disk has cost, as far as they are counted in `#untold`. */
  #lost = 0;

  constructor(wal: Wal, options: CheckedLogStreamOptions, maxEntrySize: number) {
    super({ decodeStrings: false, highWaterMark: 1 });
    this.#wal = wal;
    this.#isDropping = options.onFull === 'drop';
    this.#framer = new LineFramer(maxEntrySize, options, {
      onLine: (line) => this.#lines.push(typeof line === 'string' ? line : Buffer.from(line)),
      onTooLong: () => {
        this.#untold += 1;
      },
    });
  }

  /** Calls `callback` once everything that was written is durable. Text that has no newline yet is not flushed. */
  flush(callback: (error?: Error | null) => void): void {
    if (this.writableLength === 0 || this.closed) {
      this.#sync(callback);
      return;
    }
    // One of these comes in any case; after `end()` it is not 'drain'.
    const onTaken = () => {
      for (const event of TAKEN) this.off(event, onTaken);
      this.#sync(callback);
    };
    for (const event of TAKEN) this.on(event, onTaken);
  }

  #sync(callback: (error?: Error | null) => void): void {
    this.#wal.sync().then(
      () => callSoon(callback),
      (error: Error) => callSoon(callback, this.errored ?? error),
    );
  }

  override _write(chunk: EntryData, _encoding: string, callback: (error?: Error | null) => void): void {
    this.#framer.write(chunk);
    this.#store().then(() => callback(), callback);
  }

  /** Of several targets pino waits for none: what has come meanwhile is taken at one go. */
  override _writev(
    chunks: readonly { readonly chunk: EntryData }[],
    callback: (error?: Error | null) => void,
  ): void {
    for (const { chunk } of chunks) this.#framer.write(chunk);
    this.#store().then(() => callback(), callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#framer.end();
    this.#store().then(() => callback(), callback);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#wal.close().then(
      () => callback(error),
      (failure: Error) => callback(error ?? failure),
    );
  }

  /** Resolves once the lines that have come are written. */
  async #store(): Promise<void> {
    const lines = this.#lines;
    this.#lines = [];
    const told = this.#untold;
    if (told > 0) lines.unshift(describeDrops(told));
    this.#untold = 0;
    const last = lines.length - 1;
    for (const [at, line] of lines.entries()) {
      // In order: once the last one is written all of them are.
      while (!(await this.#take(line, at === last))) {
        if (this.#isDropping) {
          this.#untold += at === 0 && told > 0 ? told : 1;
          break;
        }
        await this.#wal.ready(Buffer.byteLength(line));
      }
    }
  }

  /** False = there is no room. With `isLast` resolves once it is written. */
  async #take(line: EntryData, isLast: boolean): Promise<boolean> {
    try {
      if (!isLast) return this.#wal.tryAppend(line);
      await this.#wal.append(line, { durable: false });
      return true;
    } catch (error) {
      if (!(error instanceof WalError)) throw error;
      if (error.code === 'ERR_WAL_FULL') return false;
      if (error.code === 'ERR_WAL_TOO_LARGE') {
        this.#untold += 1;
        return true;
      }
      if (!isDiskFull(error)) throw error;
      // The log works on. This line is lost, and what was taken before it and not written.
      const { lost } = this.#wal.stats();
      this.#untold += 1 + lost - this.#lost;
      this.#lost = lost;
      return true;
    }
  }
}

function isDiskFull(error: WalError): boolean {
  const { code } = (error.cause ?? {}) as { code?: unknown };
  return code === 'ENOSPC' || code === 'EDQUOT';
}
