/**
 * `ringwal/pino`: a target for `pino.transport`, which runs it in its own thread.
 *
 * ```js
 * const logger = pino(pino.transport({ target: 'ringwal/pino', options: { directory: './log', maxFiles: 10 } }));
 * ```
 *
 * @module ringwal/pino
 */
import { Buffer } from 'node:buffer';
import { Writable } from 'node:stream';
import { type LogStreamOptions, Wal, WalError, type WalOptions } from './index.js';
import type { EntryData } from './main/append/entry-data.js';
import { type CheckedLogStreamOptions, checkLogStreamOptions } from './main/options/log-stream-options.js';
import { callSoon } from './main/stream/call-soon.js';
import { describeDrops } from './main/stream/dropped-lines.js';
import { LineFramer } from './main/stream/line-framer.js';

/**
 * The directory of the log, how lines become entries, and those options of {@link Wal.open} that can be sent to a
 * thread. A logger with pino's option `crlf` writes CR LF; `stripCarriageReturn` removes the carriage returns.
 */
export interface PinoTargetOptions
  extends Omit<WalOptions, 'durable' | 'readOnly' | 'signal' | 'onError' | 'archive' | 'archiveTimeout'>,
    LogStreamOptions {
  /** Path of the log's directory. */
  directory: string;
  /**
   * What happens to lines while the log's ring is full. `'wait'`: the transport takes no further lines until there is room.
   * `'drop'`: lines are dropped, and an entry says how many.
   *
   * @defaultValue `'wait'`
   */
  onFull?: 'wait' | 'drop' | undefined;
}

/**
 * Opens the log, and closes it when the transport ends. pino waits until each chunk of lines is written. So the flush
 * at the end of the process loses no line, although the log's own threads die with the transport's thread.
 *
 * Each line becomes an entry. An unfinished line waits for its newline or for the end of the transport (`end()`,
 * which pino also calls at the end of the process); a flush does not write it. A logger ends each of its lines, so
 * this concerns only programs that write to the transport directly.
 *
 * Resolves to the stream that pino writes to. pino calls this function in its thread, by the name of the target, with
 * the `options` of `pino.transport`.
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

/** Fields that pino and its thread add to the options of every target. */
const ADDED_BY_PINO: readonly string[] = ['pinoWillSendConfig', '$context'];

/** At each of these events, all earlier chunks have been taken. */
const TAKEN = ['drain', 'finish', 'close'] as const;

/** The default of the log. */
const MAX_ENTRY_SIZE = 64 * 2 ** 20;

/** Takes one chunk of lines at a time: with a high-water mark of 1, 'drain' comes once all earlier chunks are written. */
class PinoTarget extends Writable {
  readonly #wal: Wal;
  readonly #isDropping: boolean;
  readonly #framer: LineFramer;
  #lines: EntryData[] = [];
  /** Dropped lines that no entry reports yet. */
  #untold = 0;
  /** Lines lost to a full disk that `#untold` already counts. */
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

  /** Calls `callback` once all written lines are durable. An unfinished line is not flushed. */
  flush(callback: (error?: Error | null) => void): void {
    if (this.writableLength === 0 || this.closed) {
      this.#sync(callback);
      return;
    }
    // One of these events always comes; after `end()` it is not 'drain'.
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

  /** pino does not wait if it has several targets, so all chunks that have arrived are taken at once. */
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

  /** Resolves once the lines taken so far are written. */
  async #store(): Promise<void> {
    const lines = this.#lines;
    this.#lines = [];
    const told = this.#untold;
    if (told > 0) lines.unshift(describeDrops(told));
    this.#untold = 0;
    const last = lines.length - 1;
    for (const [at, line] of lines.entries()) {
      // Entries are written in order, so once the last one is written, all of them are.
      while (!(await this.#take(line, at === last))) {
        if (this.#isDropping) {
          this.#untold += at === 0 && told > 0 ? told : 1;
          break;
        }
        await this.#wal.ready(Buffer.byteLength(line));
      }
    }
  }

  /** False = there is no room. With `isLast` it resolves once the line is written. */
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
      // The log continues. This line is lost, and so are earlier lines that were taken and not written.
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
