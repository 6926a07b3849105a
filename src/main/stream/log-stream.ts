import { Buffer } from 'node:buffer';
import { Writable } from 'node:stream';
import { byteLengthOf, type EntryData, viewBytes } from '../append/entry-data.js';
import { describeValue } from '../errors/describe-value.js';
import { WalError } from '../errors/wal-error.js';
import { addExitParticipant, type ExitParticipant, removeExitParticipant } from '../log/exit-hook.js';
import type { CheckedLogStreamOptions } from '../options/log-stream-options.js';
import { callNextTurn, callSoon } from './call-soon.js';
import { describeDrops } from './dropped-lines.js';
import { LineFramer } from './line-framer.js';

/** The part of a lane that a log stream uses. */
export interface LogStreamLane {
  /** See `Wal.tryAppend`. */
  tryAppend(data: EntryData): boolean;
  /** As [tryAppend], but if the ring is full, the entry is queued; false = `maxPending` is used up. */
  tryQueue(data: EntryData): boolean;
  ready(bytes: number, signal: AbortSignal | undefined): Promise<void>;
  sync(signal: AbortSignal | undefined): Promise<number>;
  flushSync(): void;
  /** Counts a dropped line in the figures of the lane. */
  noteDroppedLine(): void;
  /** The bytes of all entries of the lane that wait for room in the ring, including those of other callers. */
  stats(): { readonly pendingBytes: number };
  /** The log's directory. */
  readonly directory: string;
  readonly maxEntrySize: number;
  /** Free bytes in the ring that the stream waits for after the ring was full. */
  readonly roomyBytes: number;
}

/** Errors that concern one line, not the log: the line is too long, or a callback of `tryEncode` wrote it. */
const ONE_LINE_ONLY: readonly string[] = ['ERR_WAL_TOO_LARGE', 'ERR_WAL_OPTION'];

type WriteCallback = (error?: Error | null) => void;

/**
 * Appends lines to a log; `createLogStream` makes it. It is a `Writable` with the methods that pino expects. Each
 * line becomes an entry, without its newline. A line may arrive in pieces, as text or bytes. An unfinished line waits
 * for its newline; `end()`, `destroy()` and the end of the process make it an entry as it is, `flush` does not. The
 * options `stripCarriageReturn` and `emptyLines` control CR LF and empty lines.
 *
 * `write` returns false when the ring is full, and 'drain' follows. If the producer keeps writing, as pino does,
 * `onFull` decides what happens to further lines:
 *
 * - `'wait'`: lines queue up to the log's `maxPending` bytes; then `write` blocks until the log has caught up. No
 *   line is lost, and memory is bounded.
 * - `'drop'`: lines are dropped and counted ({@link LogStream.dropped}). Each dropped line emits an event `'drop'`
 *   (line), except lines that a listener of this event writes itself. Once there is room again, an entry says how
 *   many lines are missing at that place:
 *   `{"level":40,"time":1767225600000,"msg":"ringwal dropped 17 lines here","dropped":17}`.
 *
 * With either setting, a line longer than `maxEntrySize` is dropped in this way. After the log was closed or has
 * failed, the next write ends the stream: it emits 'error' with the `WalError`, once.
 *
 * The stream emits 'ready' once, soon after it was made, and 'drain' also after each successful `flush`. `cork()` has
 * no effect: lines in the ring survive the end of the process, and lines in a buffer of the stream would not.
 *
 * Ending the stream makes its lines durable and leaves the log open. The log's guarantees for the end of the process
 * cover lines too, including an unfinished one.
 */
export class LogStream extends Writable {
  readonly #lane: LogStreamLane;
  readonly #isDropping: boolean;
  readonly #lines: LineFramer;
  /** Only its newline is removed from a line. */
  readonly #keepsLines: boolean;
  #encoding: BufferEncoding | undefined;
  #dropped = 0;
  /** Dropped lines that no entry reports yet. */
  #untold = 0;
  #needsDrain = false;
  /** Bytes of lines that this stream has queued since it found the ring full; the log may have taken some of them. */
  #queuedBytes = 0;
  /** The error that ended the log for this stream. */
  #failure: WalError | undefined;
  /** A line can go directly into the ring: no unfinished line, no wait for room, no drop to report, nothing to strip. */
  #isClear: boolean;
  /** Registered while the stream holds data that an exit of the process would lose. */
  readonly #exit: ExitParticipant = { flushAtExit: () => this.#flushAtExit() };
  #isInExit = false;
  #isTellingOfDrop = false;

  /** @internal */
  constructor(lane: LogStreamLane, options: CheckedLogStreamOptions) {
    super({ decodeStrings: false });
    this.#lane = lane;
    this.#isDropping = options.onFull === 'drop';
    this.#lines = new LineFramer(lane.maxEntrySize, options, {
      onLine: (line) => this.#take(line),
      onTooLong: () => this.#drop(''),
    });
    this.#keepsLines = !options.stripCarriageReturn && options.emptyLines === 'keep';
    this.#isClear = this.#keepsLines;
    // sonic-boom and Node's file streams emit 'ready' too. The log is open already; the delay lets the caller add a
    // listener.
    callNextTurn(() => {
      if (!this.destroyed) this.emit('ready');
    });
  }

  /** Number of lines dropped since the stream was made. */
  get dropped(): number {
    return this.#dropped;
  }

  /**
   * Replaces Node's `write`, which would hold excess data in an unbounded buffer that the log cannot save at exit.
   *
   * Takes text or bytes. False = the ring is full; 'drain' follows. `callback` is called once the chunk is taken,
   * with an error if a line was dropped.
   *
   * After `end()` or `destroy()` it takes nothing and returns false. `callback`, and after `end()` also the event
   * 'error', then get Node's `ERR_STREAM_WRITE_AFTER_END` or `ERR_STREAM_DESTROYED`.
   *
   * @param encoding of text; default UTF-8. The callback may be passed in its place
   * @throws ERR_WAL_OPTION: `chunk` is neither text nor bytes, or the encoding is unknown; `cause` is the error that
   *   Node's streams throw. There is no object mode
   */
  override write(
    chunk: EntryData,
    encoding?: BufferEncoding | ((error?: Error | null) => void) | undefined,
    callback?: ((error?: Error | null) => void) | undefined,
  ): boolean {
    // The fast path, for a logger that writes one whole line per call.
    if (this.#isClear && typeof chunk === 'string' && encoding === undefined && callback === undefined) {
      const end = chunk.length - 1;
      if (end >= 0 && chunk.indexOf('\n') === end) {
        const line = chunk.slice(0, end);
        try {
          if (this.#lane.tryAppend(line)) return true;
        } catch (error) {
          this.#refuse(line, error);
          return false;
        }
      }
    }
    return typeof encoding === 'function'
      ? this.#write(chunk, undefined, encoding)
      : this.#write(chunk, encoding, callback);
  }

  /**
   * Ends the stream. An unfinished line becomes an entry, and the stream emits 'finish' once all lines are durable.
   * The log stays open.
   *
   * @param callback called at 'finish'
   */
  override end(callback?: () => void): this;
  /** The same, once `chunk` is written. */
  override end(chunk: EntryData, callback?: () => void): this;
  /** The same, once `chunk`, which is text in this encoding, is written. */
  override end(chunk: EntryData, encoding: BufferEncoding, callback?: () => void): this;
  override end(
    chunk?: EntryData | (() => void),
    encoding?: BufferEncoding | (() => void),
    callback?: () => void,
  ): this {
    const onFinish = [chunk, encoding, callback].find((each) => typeof each === 'function') as
      | (() => void)
      | undefined;
    if (chunk !== undefined && chunk !== null && typeof chunk !== 'function') {
      this.write(chunk, typeof encoding === 'string' ? encoding : undefined);
    }
    super.end(onFinish);
    this.#update();
    return this;
  }

  /**
   * Calls `callback` once all written lines are durable, and then emits 'drain'. If the ring is full, 'drain' follows
   * once there is room. An unfinished line is not flushed.
   *
   * @param callback gets the error if lines were lost or the log has ended; then no 'drain' follows
   * @throws ERR_WAL_OPTION: `callback` is not a function
   */
  flush(callback?: ((error?: Error | null) => void) | null | undefined): void {
    if (callback !== undefined && callback !== null && typeof callback !== 'function') {
      throw new WalError('ERR_WAL_OPTION', `callback must be a function, not ${describeValue(callback)}.`);
    }
    this.#lane.sync(undefined).then(
      () => {
        if (callback) callSoon(callback);
        // Programs written for sonic-boom end the stream at this event.
        callSoon(() => this.#drain());
      },
      // A caller without a callback learns of a failure elsewhere: `onError` gets the lost lines, and a log that has
      // ended takes no line.
      (error: Error) => {
        if (callback) callSoon(callback, error);
      },
    );
  }

  /**
   * As {@link LogStream.flush}, but blocks the calling thread.
   *
   * @throws as {@link Wal.flushSync}
   */
  flushSync(): void {
    this.#lane.flushSync();
  }

  /** Does nothing. pino's rotation tools call it after they rename the file; the log rotates by itself. */
  reopen(): void {}

  /**
   * Sets the encoding of text that is written without one; initially UTF-8.
   *
   * @throws ERR_WAL_OPTION: the encoding is unknown; `cause` is the error that Node's streams throw
   */
  override setDefaultEncoding(encoding: BufferEncoding): this {
    if (!Buffer.isEncoding(encoding)) throw unknownEncoding(encoding);
    super.setDefaultEncoding(encoding);
    this.#encoding = encoding;
    this.#update();
    return this;
  }

  /** @internal `write` never calls it: it bypasses the buffer of `Writable`. */
  override _write(chunk: EntryData, encoding: BufferEncoding, callback: WriteCallback): void {
    this.#write(chunk, encoding, callback);
  }

  /** @internal */
  override _final(callback: WriteCallback): void {
    this.#finish().then(() => callback(), callback);
  }

  /** @internal */
  override _destroy(error: Error | null, callback: WriteCallback): void {
    // Half a line is better than none.
    this.#lines.end();
    this.#sayLastWord();
    this.#update();
    callback(error);
  }

  #write(
    chunk: EntryData,
    encoding: BufferEncoding | undefined,
    callback: WriteCallback | undefined,
  ): boolean {
    if (typeof chunk !== 'string' && !ArrayBuffer.isView(chunk)) return this.#misuse(chunk);
    if (this.writableEnded || this.destroyed) {
      this.#dropped += 1;
      this.#lane.noteDroppedLine();
      // The answer of every stream.
      return callback === undefined ? super.write('') : super.write('', callback);
    }
    const lines = this.#bytesOrText(chunk, encoding ?? this.#encoding);
    if (lines === undefined) return false;
    const droppedBefore = this.#dropped;
    this.#lines.write(lines);
    this.#update();
    if (typeof callback === 'function') {
      const isWhole = this.#dropped === droppedBefore;
      callSoon(callback, isWhole ? null : (this.#failure ?? noRoom(this.#lane.directory)));
    }
    return !this.#needsDrain && !this.destroyed;
  }

  /** `undefined`: the memory of a piped chunk is gone, and the stream has ended. */
  #bytesOrText(chunk: EntryData, encoding: BufferEncoding | undefined): EntryData | undefined {
    if (typeof chunk !== 'string') return this.#bytes(chunk);
    if (!encoding || encoding === 'utf8' || encoding === 'utf-8') return chunk;
    if (Buffer.isEncoding(encoding)) return Buffer.from(chunk, encoding);
    throw unknownEncoding(encoding);
  }

  #bytes(chunk: Uint8Array): Uint8Array | undefined {
    try {
      return viewBytes(chunk);
    } catch (error) {
      if (!(error instanceof WalError) || this.listenerCount('unpipe') === 0) throw error;
      this.destroy(error);
      return undefined;
    }
  }

  /**
   * The chunk is neither text nor bytes. A pipe cannot catch an error that is thrown here, so the stream ends with it
   * instead.
   */
  #misuse(chunk: unknown): false {
    const error = new WalError(
      'ERR_WAL_OPTION',
      `A log stream takes lines, as strings or bytes, not ${describeValue(chunk)}: it has no object mode.`,
      // Programs that handle stream errors look for Node's own code.
      { cause: thrownBy(() => super.write(chunk)) },
    );
    if (this.listenerCount('unpipe') === 0) throw error;
    this.destroy(error);
    return false;
  }

  #take(line: EntryData): void {
    if (this.#failure !== undefined) {
      this.#drop(line);
      return;
    }
    try {
      if (this.#tell() && this.#lane.tryAppend(line)) return;
      this.#waitForRoom();
      if (this.#isDropping) this.#drop(line);
      else this.#queue(line);
    } catch (error) {
      this.#refuse(line, error);
    }
  }

  /** Queues a line because the ring is full. A producer that ignores the false of `write` blocks here. */
  #queue(line: EntryData): void {
    if (!this.#lane.tryQueue(line)) {
      this.#makeRoom();
      if (!this.#lane.tryQueue(line)) {
        this.#drop(line);
        return;
      }
    }
    this.#queuedBytes += byteLengthOf(line);
  }

  /** Blocks until the log has caught up. */
  #makeRoom(): void {
    try {
      this.#lane.flushSync();
    } catch (error) {
      // On a full disk, `onError` has got the lost entries, and there is room now. If the log has ended, the next
      // call throws.
      if (!(error instanceof WalError)) throw error;
    }
  }

  #refuse(line: EntryData, error: unknown): void {
    if (!(error instanceof WalError)) throw error;
    if (!ONE_LINE_ONLY.includes(error.code)) this.#failure = error;
    this.#drop(line);
    this.#update();
    if (this.#failure !== undefined) this.destroy(this.#failure);
  }

  #drop(line: EntryData): void {
    this.#dropped += 1;
    this.#lane.noteDroppedLine();
    this.#untold += 1;
    // A listener may log the drop, even to this stream.
    if (this.#isTellingOfDrop || this.listenerCount('drop') === 0) return;
    this.#isTellingOfDrop = true;
    try {
      this.emit('drop', typeof line === 'string' ? line : Buffer.from(line));
    } finally {
      this.#isTellingOfDrop = false;
    }
  }

  /** Appends an entry that reports the lines dropped here. False = there is no room for it. */
  #tell(): boolean {
    if (this.#untold === 0) return true;
    if (!this.#lane.tryAppend(describeDrops(this.#untold))) return false;
    this.#untold = 0;
    return true;
  }

  #waitForRoom(): void {
    if (this.#needsDrain) return;
    this.#needsDrain = true;
    this.#lane.ready(this.#lane.roomyBytes, undefined).then(
      // Called outside of the promise, so that an error of a listener is an exception and not a rejection.
      () => callSoon(() => this.#resume()),
      (error: WalError) => {
        // The queued lines are in the log. If no listener waits for 'drain', failing the next write is early enough.
        if (error.code === 'ERR_WAL_CLOSED' && this.listenerCount('drain') === 0) return;
        this.#end(error);
      },
    );
  }

  #resume(): void {
    this.#needsDrain = false;
    this.#queuedBytes = 0;
    if (this.destroyed) return;
    try {
      this.#tell();
    } catch (error) {
      if (!(error instanceof WalError)) throw error;
      this.#end(error);
      return;
    }
    this.#update();
    this.#drain();
  }

  #drain(): void {
    if (!this.#needsDrain && !this.destroyed && !this.writableEnded) this.emit('drain');
  }

  #end(error: WalError): void {
    if (this.destroyed) return;
    this.#failure = error;
    this.destroy(error);
  }

  async #finish(): Promise<void> {
    this.#lines.end();
    if (this.#failure !== undefined) throw this.#failure;
    while (!this.#tell()) await this.#lane.ready(this.#lane.roomyBytes, undefined);
    this.#update();
    try {
      await this.#lane.sync(undefined);
    } catch (error) {
      // A log that was closed before its stream has made all lines durable, or its `close` has failed.
      if (!(error instanceof WalError) || error.code !== 'ERR_WAL_CLOSED') throw error;
    }
  }

  /** The process, or the thread of the lane, exits: the lines that the stream still holds go into the log. */
  #flushAtExit(): void {
    if (this.#needsDrain) this.#makeRoom();
    this.#lines.end();
    this.#sayLastWord();
  }

  /** Reports the dropped lines that no entry reports yet. */
  #sayLastWord(): void {
    if (this.#failure !== undefined) return;
    try {
      this.#tell();
    } catch (error) {
      // The log has just ended, and its other calls report that. No caller could catch the error here.
      if (!(error instanceof WalError)) throw error;
    }
  }

  #update(): void {
    const isAtEnd = this.writableEnded || this.destroyed;
    const isEmpty = this.#lines.isBetweenLines && this.#untold === 0;
    const isPlain = this.#keepsLines && this.#encoding === undefined;
    this.#isClear = isEmpty && isPlain && !this.#needsDrain && !isAtEnd;
    const isInExit = !isEmpty && !this.destroyed;
    if (isInExit === this.#isInExit) return;
    this.#isInExit = isInExit;
    if (isInExit) addExitParticipant(this.#exit);
    else removeExitParticipant(this.#exit);
  }

  static {
    // Not getters of the class, because Node's types declare properties here.
    Object.defineProperties(LogStream.prototype, {
      // The last answer of `write`. Pipes and pino's transports read it.
      writableNeedDrain: {
        configurable: true,
        get(this: LogStream) {
          return this.#needsDrain && !this.destroyed && !this.writableEnded;
        },
      },
      // Bytes that the ring has not taken: the unfinished line, and the lines of this stream that wait for room in
      // the ring.
      writableLength: {
        configurable: true,
        get(this: LogStream) {
          const queued = Math.min(this.#queuedBytes, this.#lane.stats().pendingBytes);
          return this.#lines.heldBytes + queued;
        },
      },
    });
  }
}

function noRoom(directory: string): WalError {
  return new WalError(
    'ERR_WAL_FULL',
    `Cannot write a line to "${directory}", it was dropped: the log had no room for it, or it was longer than maxEntrySize. ` +
      "Stop writing while write() returns false, or let lines wait (onFull: 'wait').",
    { path: directory },
  );
}

function unknownEncoding(encoding: unknown): WalError {
  return new WalError(
    'ERR_WAL_OPTION',
    `encoding must be one that Buffer knows, not ${describeValue(encoding)}.`,
    {
      cause: thrownBy(() => Buffer.from(' ', String(encoding) as BufferEncoding)),
    },
  );
}

function thrownBy(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return undefined;
}
