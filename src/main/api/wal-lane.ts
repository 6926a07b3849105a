import type { EntryData } from '../append/entry-data.js';
import type { LaneStats } from '../append/lane-tallies.js';
import { AttachedLane } from '../log/attached-lane.js';
import type { WalAttachment } from '../log/attachment.js';
import type { AppendOptions } from '../options/append-options.js';
import { checkBytes, checkSignalOptions, checkTimeout } from '../options/checks.js';
import { checkLogStreamOptions, type LogStreamOptions } from '../options/log-stream-options.js';
import { LogStream } from '../stream/log-stream.js';
import { PRINTED, type PrintArguments, printed } from './printed.js';

/**
 * Appends to a log from a thread that did not open it: {@link Wal.attach} makes it. A lane has its own ring and talks
 * to the log's threads directly, so the opening thread may be busy. `ERR_WAL_CLOSED` means that the lane or the log
 * is closed.
 *
 * The log keeps the entries of one lane in the order of the calls, and merges the entries of several lanes fairly.
 */
export class WalLane {
  // A bundler may rename the class; see Wal.
  static {
    Object.defineProperty(WalLane, 'name', { value: 'WalLane' });
  }

  readonly #attached: AttachedLane;

  /** Use `Wal.attach`. */
  private constructor(attached: AttachedLane) {
    this.#attached = attached;
  }

  /** @internal Use `Wal.attach`. */
  static async attach(attachment: WalAttachment): Promise<WalLane> {
    return new WalLane(await AttachedLane.open(attachment));
  }

  /**
   * As {@link Wal.append}.
   *
   * @throws as {@link Wal.append}
   */
  append(data: EntryData, options?: AppendOptions): Promise<number> {
    return this.#attached.lane.append(data, options);
  }

  /**
   * As {@link Wal.tryAppend}. If an accepted entry cannot be written, the lane reports it with `process.emitWarning`
   * and counts it in {@link LaneStats.lost}.
   *
   * @throws as {@link Wal.tryAppend}
   */
  tryAppend(data: EntryData): boolean {
    return this.#attached.lane.tryAppend(data);
  }

  /**
   * As {@link Wal.tryEncode}.
   *
   * @throws as {@link Wal.tryEncode}
   */
  tryEncode(maxLength: number, encode: (view: Buffer) => number): boolean {
    return this.#attached.lane.tryEncode(maxLength, encode);
  }

  /**
   * As {@link Wal.appendBatch}.
   *
   * @throws as {@link Wal.appendBatch}
   */
  appendBatch(
    entries: readonly EntryData[],
    options?: AppendOptions,
  ): Promise<{
    /** LSN of the first entry. */
    first: number;
    /** LSN of the last one. */
    last: number;
  }> {
    return this.#attached.lane.appendBatch(entries, options);
  }

  /**
   * As {@link Wal.ready}, for the ring of this lane.
   *
   * @throws as {@link Wal.ready}
   */
  async ready(bytes = 0, options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    return this.#attached.lane.ready(checkBytes(bytes), checkSignalOptions(options));
  }

  /**
   * As {@link Wal.sync}. It covers all entries that any lane accepted before the call.
   *
   * @throws as {@link Wal.sync}
   */
  async sync(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<number> {
    return this.#attached.lane.sync(checkSignalOptions(options));
  }

  /**
   * As {@link Wal.flushSync}. It covers all entries that any lane accepted before the call.
   *
   * @throws as {@link Wal.flushSync}
   */
  flushSync(timeoutMs?: number): void {
    this.#attached.lane.flushSync(checkTimeout(timeoutMs));
  }

  /**
   * As {@link Wal.createLogStream}. Ending the stream leaves the lane and the log open. When the thread returns,
   * exits or throws, all its lines are written. When the thread is terminated, an unfinished line (without its
   * newline) is lost.
   */
  createLogStream(options: LogStreamOptions = {}): LogStream {
    return new LogStream(this.#attached.lane, checkLogStreamOptions(options));
  }

  /**
   * As {@link Wal.attachment}, for threads that this thread starts.
   *
   * @throws as {@link Wal.attachment}
   */
  attachment(): WalAttachment {
    return this.#attached.attachment();
  }

  /** Figures of this lane since it was attached. */
  stats(): LaneStats {
    return this.#attached.lane.stats();
  }

  /** @internal How `console.log` prints it. */
  [PRINTED](...args: PrintArguments): string {
    const { lane, state } = this.#attached;
    const { directory } = lane;
    return printed('WalLane', () => ({ directory, state, ...lane.stats() }), args);
  }

  /**
   * Refuses new appends, waits until all accepted entries are durable, and returns the lane to the log. The log stays
   * open. Idempotent. `await using` calls it.
   *
   * @throws if the log has failed: the first call rejects with the error that ended the log
   */
  async close(): Promise<void> {
    await this.#attached.close();
  }

  /** For `await using`: calls `close`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
