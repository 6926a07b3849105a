import { Writable } from 'node:stream';
import { byteLengthOf, type EntryData, viewBytes } from '../append/entry-data.js';
import { describeObject } from '../errors/describe-value.js';
import { WalError } from '../errors/wal-error.js';
import { addExitParticipant, type ExitParticipant, removeExitParticipant } from '../log/exit-hook.js';
import type { CheckedLogStreamOptions } from '../options/log-stream-options.js';
import { callNextTurn, callSoon } from './call-soon.js';
import { describeDrops } from './dropped-lines.js';
import { LineFramer } from './line-framer.js';

/** What a log stream needs of a lane. */
export interface LogStreamLane {
  /** See `Wal.tryAppend`. */
  tryAppend(data: EntryData): boolean;
  /** As [tryAppend], but in front of a full ring the entry is queued; false = `maxPending` is used up. */
  tryQueue(data: EntryData): boolean;
  ready(bytes: number, signal: AbortSignal | undefined): Promise<void>;
  sync(signal: AbortSignal | undefined): Promise<number>;
  flushSync(): void;
  /** For the figures of the lane. */
  noteDroppedLine(): void;
  /** The bytes of all entries that are queued in front of the ring, whoever queued them. */
  stats(): { readonly pendingBytes: number };
  /** The log's. */
  readonly directory: string;
  readonly maxEntrySize: number;
  /** So many free bytes make it worth while to go on after the ring was full. */
  readonly roomyBytes: number;
}

/** Errors of one line and not of the log: it is too long, or a callback of `tryEncode` wrote it. */
const ONE_LINE_ONLY: readonly string[] = ['ERR_WAL_TOO_LARGE', 'ERR_WAL_OPTION'];

type WriteCallback = (error?: Error | null) => void;

/**
 * A destination for lines of log, made by `createLogStream`: a `Writable` that also has what pino expects of one. Each
 * line becomes an entry, without its newline; a line may come in pieces, as text or bytes. Text that has no newline yet waits: for
 * its newline, for `end()` or `destroy()`, or for the end of the process, which make it an entry as it is. `flush` does not.
 * The options `stripCarriageReturn` and `emptyLines` say what becomes of CR LF and of empty lines.
 *
 * `write` returns false when the ring is full, and 'drain' follows. `onFull` says what becomes of further lines, since pino writes on
 * regardless:
 *
 * - `'wait'`: they are queued, up to the log's `maxPending` bytes; beyond, `write` blocks until the log has caught up.
 *   No line is lost and memory is bounded.
 * - `'drop'`: they are dropped and counted ({@link LogStream.dropped}), with an event `'drop'` (line) for each that its listeners have
 *   not written themselves. Once there is room again an
 *   entry says how many are missing at that place:
 *   `{"level":40,"time":1767225600000,"msg":"ringwal dropped 17 lines here","dropped":17}`.
 *
 * A line longer than `maxEntrySize` is dropped so in both. When the log is closed or has failed, the next write ends the
 * stream: 'error' with the `WalError`, once.
 *
 * 'ready' comes once, soon after the stream was made. 'drain' also comes after each `flush` that went well. `cork()` holds nothing
 * back: lines in the ring outlive the process, lines in a buffer of the stream would not.
 *
 * Ending the stream makes its lines durable and leaves the log open. What the log promises for the end of the process holds
 * for lines too, also for one that has no newline yet.
 */
export class LogStream extends Writable {
  readonly #lane: LogStreamLane;
  readonly #isDropping: boolean;
  readonly #lines: LineFramer;
  /** Nothing but its newline goes from a line. */
  readonly #keepsLines: boolean;
  #encoding: BufferEncoding | undefined;
  #dropped = 0;
  /** Dropped lines that no entry tells of yet. */
  #untold = 0;
  #needsDrain = false;
  /** Bytes of lines that this stream has queued since it found the ring full; the log may have taken some of them. */
  #queuedBytes = 0;
  /** What ended the log, for this stream. */
  #failure: WalError | undefined;
  /** Nothing stands between a line and the ring: no line under way, no wait for room, nothing to tell, nothing to strip. */
  #isClear: boolean;
  /** There while something would be lost if the process exited now. */
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
    // As sonic-boom and the file streams of Node say it. The log is open: what it waits for is a listener.
    callNextTurn(() => {
      if (!this.destroyed) this.emit('ready');
    });
  }

  /** Lines that were dropped, since the stream was made. */
  get dropped(): number {
    return this.#dropped;
  }

  /**
   * In place of Node's own, which would hold what does not fit in a buffer without bound, out of reach of the log at exit.
   *
   * Takes text or bytes. False = the ring is full: 'drain' follows. `callback` is called once it is taken, with an error if
   * a line was dropped.
   *
   * After `end()` or `destroy()` it takes nothing and returns false. `callback`, and after `end()` the event 'error', then has Node's own
   * `ERR_STREAM_WRITE_AFTER_END` or `ERR_STREAM_DESTROYED`.
   *
   * @param encoding of text; default UTF-8. The callback may stand in its place
   * @throws ERR_WAL_OPTION: neither text nor bytes, or an encoding that is not known; its `cause` is what Node's own streams
   * throw. There is no object mode
   */
  override write(
    chunk: EntryData,
    encoding?: BufferEncoding | ((error?: Error | null) => void) | undefined,
    callback?: ((error?: Error | null) => void) | undefined,
  ): boolean {
    // The short way, for a logger that writes each line at one go.
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
   * Ends the stream: a line that has no newline yet becomes an entry, and 'finish' comes once all lines are durable. The log stays
   * open.
   *
   * @param callback called at 'finish'
   */
  override end(callback?: () => void): this;
  /** The same, once `chunk` is written. */
  override end(chunk: EntryData, callback?: () => void): this;
  /** The same, once `chunk` is written, which is text in this encoding. */
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
   * Calls `callback` once everything that was written is durable, and then emits 'drain', unless the ring is full: then 'drain' comes
   * once there is room. Text that has no newline yet is not flushed.
   *
   * @param callback gets the error if lines were lost or the log has ended; no 'drain' follows then
   * @throws ERR_WAL_OPTION: `callback` is no function
   */
  flush(callback?: ((error?: Error | null) => void) | null | undefined): void {
    if (callback !== undefined && callback !== null && typeof callback !== 'function') {
      throw new WalError('ERR_WAL_OPTION', `callback must be a function, not ${describe(callback)}.`);
    }
    this.#lane.sync(undefined).then(
      () => {
        if (callback) callSoon(callback);
        // Programs that use sonic-boom end the stream at this event.
        callSoon(() => this.#drain());
      },
      // A caller without a callback hears of a failure elsewhere: lost lines go to `onError`, and a log that has ended takes no line.
      (error: Error) => {
        if (callback) callSoon(callback, error);
      },
    );
  }

  /**
   * As {@link LogStream.flush}, blocking.
   *
   * @throws as {@link Wal.flushSync}
   */
  flushSync(): void {
    this.#lane.flushSync();
  }

  /** Does nothing. pino's tools for rotation call it after they have renamed the file; the log rotates by itself. */
  reopen(): void {}

  /**
   * The encoding of text that comes without one; UTF-8 until it is set.
   *
   * @throws ERR_WAL_OPTION: it is not known; `cause` is what Node's own streams throw
   */
  override setDefaultEncoding(encoding: BufferEncoding): this {
    if (!Buffer.isEncoding(encoding)) throw unknownEncoding(encoding);
    super.setDefaultEncoding(encoding);
    this.#encoding = encoding;
    this.#update();
    return this;
  }

  /** @internal Never called by `write`, which does without the buffer of `Writable`. */
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
      // As every stream answers it.
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

  /** `undefined`: the stream has ended, since the memory of a chunk that was piped into it is gone. */
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

  /** Neither text nor bytes. A pipe could not catch what is thrown here: the stream ends with it instead. */
  #misuse(chunk: unknown): false {
    const error = new WalError(
      'ERR_WAL_OPTION',
      `A log stream takes lines, as strings or bytes, not ${describe(chunk)}: it has no object mode.`,
      // Programs that know streams look for Node's own code.
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

  /** Takes a line in front of a full ring. A writer that goes on although `write` returned false is held up here. */
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
      // A full disk: what it cost was told to `onError`, and there is room now. Had the log ended, the next call throws.
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
    // A listener may log that, to this very stream.
    if (this.#isTellingOfDrop || this.listenerCount('drop') === 0) return;
    this.#isTellingOfDrop = true;
    try {
      this.emit('drop', typeof line === 'string' ? line : Buffer.from(line));
    } finally {
      this.#isTellingOfDrop = false;
    }
  }

  /** Has an entry tell of the lines that are missing here. False = there is no room for it. */
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
      // Out of the promise, so that what a listener throws is an exception and no rejection.
      () => callSoon(() => this.#resume()),
      (error: WalError) => {
        // What was queued is in the log. If nobody waits for 'drain', it is early enough to fail the next write.
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
      // A log that was closed before its stream has made everything durable, and told who closed it if it could not.
      if (!(error instanceof WalError) || error.code !== 'ERR_WAL_CLOSED') throw error;
    }
  }

  /** The process, or the thread that has the lane, exits: what the stream still holds goes into the log. */
  #flushAtExit(): void {
    if (this.#needsDrain) this.#makeRoom();
    this.#lines.end();
    this.#sayLastWord();
  }

  /** The report of dropped lines that are not told of yet. */
  #sayLastWord(): void {
    if (this.#failure !== undefined) return;
    try {
      this.#tell();
    } catch (error) {
      // The log has ended just now: its other calls say so. Nobody could catch this here.
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
    // Not as getters of the class, since the types of Node have properties there.
    Object.defineProperties(LogStream.prototype, {
      // What `write` has answered, as pipes and pino's transports ask it.
      writableNeedDrain: {
        configurable: true,
        get(this: LogStream) {
          return this.#needsDrain && !this.destroyed && !this.writableEnded;
        },
      },
      // Bytes that the ring has not taken: of a line without a newline, and of lines of this stream that are queued in front of the ring.
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

function describe(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  return describeObject(value);
}

function unknownEncoding(encoding: unknown): WalError {
  return new WalError('ERR_WAL_OPTION', `encoding must be one that Buffer knows, not "${encoding}".`, {
    cause: thrownBy(() => Buffer.from(' ', String(encoding) as BufferEncoding)),
  });
}

function thrownBy(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return undefined;
}
