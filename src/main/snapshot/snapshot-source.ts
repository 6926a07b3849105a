import timers from 'node:timers';
import { isUint8Array } from 'node:util/types';
import { setImmediate } from '../../files/node-globals.js';
import { CHUNK_BYTES_MAX, CHUNK_HEAD_BYTES, CHUNK_TAIL_BYTES } from '../../format/snapshot-file.js';
import { describeValue } from '../errors/describe-value.js';
import { WalError } from '../errors/wal-error.js';
import type { SnapshotSink } from '../jobs/snapshot-jobs.js';

/** Yields the data of a snapshot, in pieces of any size: an iterable, an async iterable, or a stream of bytes (`Readable`). */
export type SnapshotSource = BytesIterable | AsyncBytesIterable;

/** `Iterable<Uint8Array>`, without the `any` that TypeScript's own has. */
export interface BytesIterable {
  /** Begins with the first piece. */
  [Symbol.iterator](): BytesIterator<BytesResult>;
}

/** `AsyncIterable<Uint8Array>`, without the `any` that TypeScript's own has. */
export interface AsyncBytesIterable {
  /** Begins with the first piece. */
  [Symbol.asyncIterator](): BytesIterator<PromiseLike<BytesResult>>;
}

/**
 * The methods of an iterator that are used.
 *
 * @typeParam Result a piece, or a promise of one
 */
export interface BytesIterator<Result> {
  /** The next piece, or the end. */
  next(): Result;
  /** Called if the call of `writeSnapshot` ends early. */
  return?(value: never): unknown;
}

/** A piece of the data, or the end. */
export type BytesResult = BytesPiece | BytesEnd;

/** A piece of the data. */
export interface BytesPiece {
  /** It is not the end. */
  readonly done?: false | undefined;
  /** Of any length. */
  readonly value: Uint8Array;
}

/** There are no more pieces. */
export interface BytesEnd {
  /** It is the end. */
  readonly done: true;
  /** Not looked at. */
  readonly value?: unknown;
}

/**
 * Chunks that are filled, or on their way to the job thread and back, 8 MiB in all. Bet: with these, each of the two threads has
 * work while the other is busy with something else; more chunks gain nothing for their memory (bench/workloads/snapshot.ts).
 */
const BUFFERS = 8;
const BUFFER_BYTES = CHUNK_HEAD_BYTES + CHUNK_BYTES_MAX + CHUNK_TAIL_BYTES;

/** A source that never waits gives the event loop its turn after this long. */
const TURN_MS = 0.5;

/** Node's own timer: see node-globals.ts. */
const { setTimeout: startTimer, clearTimeout: stopTimer } = timers;

/** @throws WalError ERR_WAL_OPTION: nothing can be read from `source` */
export function checkSource(source: unknown): SnapshotSource {
  const isText = typeof source === 'string';
  if (!isText && !isUint8Array(source) && typeof source === 'object' && source !== null) {
    const { [Symbol.asyncIterator]: asynchronous, [Symbol.iterator]: synchronous } = source as Partial<
      AsyncBytesIterable & BytesIterable
    >;
    if (typeof asynchronous === 'function' || typeof synchronous === 'function')
      return source as SnapshotSource;
  }
  const hint =
    isText || isUint8Array(source) ? ' If you have the bytes already, put them into an array: [bytes].' : '';
  throw new WalError(
    'ERR_WAL_OPTION',
    `source must be an iterable or a stream of Uint8Array, not ${describeValue(source)}.${hint}`,
  );
}

export interface PumpOptions {
  /** Bytes a second at most; Infinity = as fast as they are written. */
  readonly bytesPerSecond: number;
  /** Milliseconds of a clock that never goes back. */
  readonly nowMs: () => number;
}

/**
 * Moves the bytes of a source into a sink. Memory is BUFFERS chunks, however much the source yields: nothing is taken from the
 * source while all chunks are on their way.
 */
export class SnapshotPump {
  readonly #sink: SnapshotSink;
  readonly #options: PumpOptions;
  /** Buffers that are not on their way. */
  readonly #free: ArrayBuffer[] = [];
  #made = 0;
  #inFlight = 0;
  /** Rejects the promise for which the pump waits now. */
  #reject: ((error: unknown) => void) | undefined;
  /** Resolves the wait for a buffer. */
  #onReturn: (() => void) | undefined;
  #failure: { readonly error: unknown } | undefined;
  #chunk: Uint8Array | undefined;
  #filled = 0;
  #sentBytes = 0;
  #startMs = 0;
  #turnMs = 0;

  constructor(sink: SnapshotSink, options: PumpOptions) {
    this.#sink = sink;
    this.#options = options;
  }

  /** Ends `run` with this error, even while it waits. */
  interrupt(error: unknown): void {
    this.#failure ??= { error };
    this.#reject?.(this.#failure.error);
  }

  /** @throws the source's error; WalError of the sink, or ERR_WAL_OPTION for a value that is not bytes; the error of [interrupt] */
  async run(source: SnapshotSource): Promise<void> {
    this.#startMs = this.#options.nowMs();
    this.#turnMs = this.#startMs;
    const iterator = iteratorOf(source);
    let isDone = false;
    try {
      for (;;) {
        this.#assertSound();
        const result = await this.#wait(iterator.next());
        if (result.done === true) break;
        await this.#add(bytesOf(result.value));
      }
      isDone = true;
    } finally {
      if (!isDone) leave(iterator);
    }
    if (this.#filled > 0) this.#send();
    while (this.#inFlight > 0) await this.#wait(this.#nextReturn());
    this.#assertSound();
  }

  async #add(bytes: Uint8Array): Promise<void> {
    for (let from = 0; from < bytes.length; ) {
      this.#chunk ??= await this.#takeBuffer();
      const piece = bytes.subarray(from, from + CHUNK_BYTES_MAX - this.#filled);
      this.#chunk.set(piece, CHUNK_HEAD_BYTES + this.#filled);
      this.#filled += piece.length;
      from += piece.length;
      if (this.#filled === CHUNK_BYTES_MAX) {
        this.#send();
        await this.#keepPace();
      }
    }
    if (this.#options.nowMs() - this.#turnMs > TURN_MS) await this.#yieldTurn();
  }

  #send(): void {
    const chunk = this.#chunk as Uint8Array<ArrayBuffer>;
    const dataBytes = this.#filled;
    this.#chunk = undefined;
    this.#filled = 0;
    this.#sentBytes += dataBytes;
    this.#inFlight += 1;
    this.#sink.write(chunk.buffer, dataBytes).then(
      (buffer) => {
        this.#free.push(buffer);
        this.#noteReturn();
      },
      (error: unknown) => {
        this.#noteReturn();
        this.interrupt(error);
      },
    );
  }

  async #takeBuffer(): Promise<Uint8Array> {
    for (;;) {
      this.#assertSound();
      const free = this.#free.pop();
      if (free !== undefined) return new Uint8Array(free);
      if (this.#made < BUFFERS) {
        this.#made += 1;
        return new Uint8Array(BUFFER_BYTES);
      }
      await this.#wait(this.#nextReturn());
      this.#turnMs = this.#options.nowMs();
    }
  }

  async #keepPace(): Promise<void> {
    const { bytesPerSecond, nowMs } = this.#options;
    const dueMs = this.#startMs + (this.#sentBytes / bytesPerSecond) * 1000;
    const restMs = dueMs - nowMs();
    if (restMs <= 0) {
      if (nowMs() - this.#turnMs > TURN_MS) await this.#yieldTurn();
      return;
    }
    let timer: NodeJS.Timeout | undefined;
    try {
      await this.#wait(
        new Promise<void>((resolve) => {
          timer = startTimer(resolve, restMs);
        }),
      );
    } finally {
      stopTimer(timer);
    }
    this.#turnMs = nowMs();
  }

  async #yieldTurn(): Promise<void> {
    await new Promise<void>((resolve) => {
      setImmediate(() => resolve());
    });
    this.#turnMs = this.#options.nowMs();
  }

  #nextReturn(): Promise<void> {
    return new Promise((resolve) => {
      this.#onReturn = resolve;
    });
  }

  #noteReturn(): void {
    this.#inFlight -= 1;
    this.#onReturn?.();
    this.#onReturn = undefined;
  }

  /** As `await`, but [interrupt] ends it. There is one wait at a time, so that a long run gathers no reactions on one promise. */
  #wait<T>(promise: PromiseLike<T> | T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#reject = reject;
      Promise.resolve(promise).then(resolve, reject);
    });
  }

  #assertSound(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

type AnyIterator = BytesIterator<BytesResult | PromiseLike<BytesResult>>;

function iteratorOf(source: SnapshotSource): AnyIterator {
  const { [Symbol.asyncIterator]: open } = source as Partial<AsyncBytesIterable>;
  return open === undefined ? (source as BytesIterable)[Symbol.iterator]() : open.call(source);
}

/**
 * Ends the iterator, as a loop does that is left early. The pump does not wait for the source, which may hang, perhaps the very
 * reason for leaving it. An error of the source now would hide the one that the caller gets.
 */
function leave(iterator: AnyIterator): void {
  try {
    const left: unknown = iterator.return?.(undefined as never);
    Promise.resolve(left).catch(() => {});
  } catch {
    // See above.
  }
}

/** @throws WalError ERR_WAL_OPTION */
function bytesOf(value: unknown): Uint8Array {
  if (isUint8Array(value)) return value;
  throw new WalError(
    'ERR_WAL_OPTION',
    `The source of a snapshot must yield Uint8Array, not ${describeValue(value)}. The snapshot was not written.`,
  );
}
