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
 * A log as another thread than the one that opened it appends to it: {@link Wal.attach} makes it. It has a ring of its own, and
 * speaks to the log's threads directly: the opening thread may be busy. `ERR_WAL_CLOSED` is of a closed lane or log.
 *
 * Entries of one lane are in the log in the order of their calls; those of several lanes are merged fairly.
 */
export class WalLane {
  // As of Wal.
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
   * As {@link Wal.tryAppend}. What was taken and then not written is told by `process.emitWarning`, and counted in
   * {@link LaneStats.lost}.
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
   * As {@link Wal.ready}: room in the ring of this lane.
   *
   * @throws as {@link Wal.ready}
   */
  async ready(bytes = 0, options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    return this.#attached.lane.ready(checkBytes(bytes), checkSignalOptions(options));
  }

  /**
   * As {@link Wal.sync}: covers everything that any lane had accepted before the call.
   *
   * @throws as {@link Wal.sync}
   */
  async sync(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<number> {
    return this.#attached.lane.sync(checkSignalOptions(options));
  }

  /**
   * As {@link Wal.flushSync}: covers everything that any lane had accepted before the call.
   *
   * @throws as {@link Wal.flushSync}
   */
  flushSync(timeoutMs?: number): void {
    this.#attached.lane.flushSync(checkTimeout(timeoutMs));
  }

  /**
   * As {@link Wal.createLogStream}: ending it leaves lane and log open. When the thread ends by itself, exits or throws, all its
   * lines are written; when it is terminated, all but one that has no newline yet.
   */
  createLogStream(options: LogStreamOptions = {}): LogStream {
    return new LogStream(this.#attached.lane, checkLogStreamOptions(options));
  }

  /**
   * As {@link Wal.attachment}: for threads that this one starts.
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
   * Takes no new append, completes all accepted ones, until they are durable, and gives the lane back. The log stays open.
   * Idempotent. `await using` calls it.
   *
   * @throws the failure that ended the log, if one did, from the first call
   */
  async close(): Promise<void> {
    await this.#attached.close();
  }

  /** For `await using`: calls `close`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
