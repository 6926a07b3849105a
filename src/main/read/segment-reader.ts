import { Buffer } from 'node:buffer';
import {
  type BlockFault,
  type BlockFrame,
  type DecodedBlock,
  decodeBlock,
  NO_ZSTD,
  NO_ZSTD_WAY_OUT,
} from '../../blocks/decode-block.js';
import { takeEntries } from '../../blocks/frame-entries.js';
import { type AsyncFile, openForReading } from '../../files/async-file.js';
import {
  type ChainContext,
  checkBlockOrigin,
  checkOrder,
  claimsOther,
  createChain,
  followFrame,
  validateFrame,
} from '../../format/chain.js';
import { createFrame, describeFault, type Frame, type FrameFault } from '../../format/frame.js';
import { parseFrame, peekFrameLength } from '../../format/frame-parser.js';
import { PlainFrames } from '../../format/kernel/plain-frames.js';
import { speaksOfTime } from '../../format/time-walk.js';
import { describeEntry, wayOutOf } from '../../format/verdict.js';
import { isWalg, parseWalgFrame, parseWalgHeader, WALG_HEADER_BYTES } from '../../format/walg.js';
import { WalError } from '../errors/wal-error.js';
import type { DecodedBlocks } from './decoded-blocks.js';
import { PLACE_SPACING_BYTES, type SparseIndex } from './sparse-index.js';

/**
 * An entry that was read. `data` is a view of a larger buffer, which is never reused: copy `data` to keep a few
 * entries of many.
 */
export interface WalEntry {
  /** The log sequence number: from 1, one more for each entry, at most 2^53 − 1. */
  readonly lsn: number;
  /** The bytes that were appended; text is UTF-8. */
  readonly data: Uint8Array;
}

/**
 * Bytes of one read, and so about the size of a batch. Bet: at this size the cost of a read through the thread pool
 * is small beside the cost of parsing its bytes (bench/workloads/replay.ts).
 */
const CHUNK_BYTES = 256 * 1024;

/**
 * Room before a chunk that is read ahead, for the beginning of a frame that the previous chunk cuts. If the beginning
 * is longer, the whole frame is read again. Unused room costs only address space, because it is never touched.
 */
const HEADROOM_BYTES = 32 * 1024;

/** Once blocks have become so many bytes, their entries are returned, and the rest of the chunk waits for the next call. */
const DECODED_BYTES_MAX = 1024 * 1024;

/**
 * One kernel serves all readers of the thread, because a chunk is parsed without interruption. The first reader makes
 * it.
 */
let kernel: PlainFrames | undefined;
let isKernelMade = false;

function readingKernel(): PlainFrames | undefined {
  if (!isKernelMade) kernel = PlainFrames.create();
  isKernelMade = true;
  return kernel;
}

/** Where a walk through a file ended. */
export interface SegmentEnd {
  /** `undefined` = the file ends after a whole frame. */
  readonly fault: FrameFault | undefined;
  readonly offset: number;
}

const NOTHING = new Uint8Array(0);

/** Bytes of the file that are to be parsed. */
interface Chunk {
  readonly bytes: Uint8Array;
  /** The file may have more after them. */
  readonly mayGoOn: boolean;
  /** They begin inside what was read, and not where it began. */
  readonly isRest: boolean;
}

/**
 * Walks the frames of one file on the event loop, one chunk at a time. Each chunk has its own buffer, and the entries
 * are views of it.
 */
export class SegmentReader {
  readonly path: string;
  readonly #file: AsyncFile;
  readonly #chain: ChainContext;
  readonly #frame = createFrame();
  /** The file is in wal-go's later format. */
  #isWalg = false;
  #end: SegmentEnd | undefined;
  #isPast = false;
  /** Bytes that the blocks have become whose entries were returned. */
  decodedBytes = 0;
  /** Records the positions of entries. */
  readonly #index: SparseIndex | undefined;
  readonly #chunkBytes: number;
  /** Called with each frame that is not plain, and with the first one of a segment, before the position moves past it. */
  readonly #observer: ((frame: Readonly<Frame>) => void) | undefined;
  /** Keeps the blocks that are decoded. */
  readonly #decoded: DecodedBlocks | undefined;
  /** Bytes of the file to be read, as far as they are known. They bound the memory of a chunk. */
  #size: number;
  /** The next chunk, after [HEADROOM_BYTES] of room. It is read while the last chunk is processed. */
  #ahead: Promise<Uint8Array> | undefined;
  /** The beginning, in the last chunk, of a frame that continues in the next chunk. */
  #carry: Uint8Array = NOTHING;
  /** What is left of a chunk whose blocks became large. */
  #rest: Chunk | undefined;
  /** Frames are too long for the room before a chunk: the next chunk is read from the start of its first frame. */
  #hasLongFrames = false;

  /**
   * `chain` is the start position in `file`, outside any batch; it moves with the reader. `index` records the
   * positions of entries. `size` is the size of the file when it was opened, for a reader that ignores later bytes.
   * `observer` hears of frames that are not plain; those that speak of time are checked as if they were wanted.
   * `decoded` keeps the blocks that are decoded.
   */
  constructor(
    file: AsyncFile,
    chain: ChainContext,
    index: SparseIndex | undefined,
    chunkBytes: number = CHUNK_BYTES,
    size: number = Number.POSITIVE_INFINITY,
    observer?: (frame: Readonly<Frame>) => void,
    decoded?: DecodedBlocks,
  ) {
    this.path = file.path;
    this.#file = file;
    this.#chain = chain;
    this.#index = index;
    this.#chunkBytes = chunkBytes;
    this.#observer = observer;
    this.#decoded = decoded;
    this.#size = size;
  }

  static async open(path: string, chain: ChainContext, index?: SparseIndex): Promise<SegmentReader> {
    const file = await openForReading(path);
    return new SegmentReader(file, chain, index, CHUNK_BYTES, file.sizeAtOpen);
  }

  /** Opens a single segment file. Its first frame identifies the segment and the log. */
  static async openAny(path: string): Promise<SegmentReader> {
    const reader = await SegmentReader.open(path, createChain(undefined, -1));
    try {
      await reader.#detectWalg();
      return reader;
    } catch (error) {
      await reader.close();
      throw error;
    }
  }

  get isWalg(): boolean {
    return this.#isWalg;
  }

  /** The segment number n that the frames read so far show; -1 = unknown. */
  get number(): number {
    return this.#chain.number;
  }

  /** Set once [next] has reached an invalid frame or the end of the file. */
  get end(): SegmentEnd | undefined {
    return this.#end;
  }

  /** [next] has reached `to` or a later entry. */
  get isPast(): boolean {
    return this.#isPast;
  }

  /**
   * The entries of the next chunk with `from` ≤ LSN ≤ `to`. Checksums are verified only for these. Empty if the chunk
   * holds none, or at the end.
   *
   * @throws ERR_WAL_UNSUPPORTED; ERR_WAL_IO for the system's error
   */
  async next(from: number, to: number): Promise<WalEntry[]> {
    const chain = this.#chain;
    const frame = this.#frame;
    const entries: WalEntry[] = [];
    const start = chain.fileOffset;
    const chunk = this.#rest ?? (await this.#fetchChunk(start, from));
    this.#rest = undefined;
    const { bytes, mayGoOn, isRest } = chunk;
    const limitBytes = this.decodedBytes + DECODED_BYTES_MAX;
    const plain = this.#plainFrames(bytes);
    let at = 0;
    for (;;) {
      if (plain !== undefined) at = this.#takePlain(plain, bytes, at, from, to, entries);
      if (this.#isPast) return entries;
      const length = peekFrameLength(bytes, at, bytes.length);
      if (length < 0 || (length > 0 && at + length > bytes.length)) {
        // The rest of the frame is in the next chunk. If this chunk brought no progress, the file ends within the
        // frame.
        if (at === 0 && !isRest)
          this.#end = { fault: bytes.length === 0 ? undefined : 'past-end', offset: start };
        else if (mayGoOn) this.#prepareNext(bytes.subarray(at), start + bytes.length);
        return entries;
      }
      const fault = this.#check(bytes, at, from);
      if (fault !== undefined || frame.unknownCritical !== 0) {
        if (fault === undefined)
          throw this.#unsupported(`field ${frame.unknownCritical} is critical and not known`);
        this.#end = { fault, offset: chain.fileOffset };
        return entries;
      }
      if (frame.lsn > to) {
        this.#isPast = true;
        return entries;
      }
      this.#observer?.(frame);
      const blockFault = takeEntries(bytes, frame, from, to, entries, this.#decode);
      if (blockFault === 'no-zstd') throw this.#unsupported(NO_ZSTD, NO_ZSTD_WAY_OUT);
      if (blockFault !== undefined) {
        this.#end = { fault: 'block', offset: chain.fileOffset };
        return entries;
      }
      at += frame.byteLength;
      followFrame(chain, frame);
      this.#isPast = frame.lastLsn >= to;
      if (frame.block === undefined || frame.lastLsn < from) continue;
      this.decodedBytes += frame.block.rawBytes;
      if (this.decodedBytes < limitBytes || this.#isPast) continue;
      this.#rest = { bytes: bytes.subarray(at), mayGoOn, isRest: true };
      return entries;
    }
  }

  readonly #decode = (data: Uint8Array, frame: BlockFrame): DecodedBlock | BlockFault => {
    const { fileOffset } = this.#chain;
    const { identity } = this.#file;
    return (
      this.#decoded?.decode(identity, fileOffset, this.#frame.lsn, data, frame) ?? decodeBlock(data, frame)
    );
  };

  /** Whether the name still leads to the open file. */
  async isStillNamed(): Promise<boolean> {
    try {
      return await this.#file.isStillNamed();
    } catch (error) {
      throw this.#unreadable(error, this.#chain.expectedLsn);
    }
  }

  async close(): Promise<void> {
    try {
      await this.#file.close();
    } catch (error) {
      throw this.#unreadable(error, this.#chain.expectedLsn);
    }
  }

  /** The reading kernel with `bytes` in it, if it can read them. */
  #plainFrames(bytes: Uint8Array): PlainFrames | undefined {
    if (this.#isWalg) return undefined;
    const plain = readingKernel();
    if (plain === undefined || bytes.length > plain.bytesMax) return undefined;
    plain.load(bytes);
    return plain;
  }

  /** Takes the valid plain frames from `at` on that continue the chain. Returns the start of the first other frame. */
  #takePlain(
    plain: PlainFrames,
    bytes: Uint8Array,
    at: number,
    from: number,
    to: number,
    entries: WalEntry[],
  ): number {
    const chain = this.#chain;
    // The next LSN must be known, and no batch may be open: a plain frame shows neither.
    while (chain.expectedLsn !== 0 && chain.batchRemaining === 0) {
      this.#index?.note(chain);
      const firstLsn = chain.expectedLsn;
      const pause = this.#index === undefined ? bytes.length : at + PLACE_SPACING_BYTES;
      const frames = plain.scan(at, pause, bytes.length, firstLsn, from, to);
      if (frames === 0) break;
      const { buffer, byteOffset } = bytes;
      const { index } = plain;
      let place = 0;
      for (let lsn = Math.max(firstLsn, from); lsn < firstLsn + frames; lsn++, place += 2) {
        const dataStart = index[place] as number;
        const length = (index[place + 1] as number) - dataStart;
        // Takes half the time of `subarray`.
        entries.push({ lsn, data: new Uint8Array(buffer, byteOffset + dataStart, length) });
      }
      chain.expectedLsn = firstLsn + frames;
      chain.fileOffset += plain.stoppedAt - at;
      at = plain.stoppedAt;
      this.#isPast = chain.expectedLsn > to;
    }
    return at;
  }

  /**
   * Checks rules 1 to 5 for the frame at `at`. A frame before `from` is checked only as far as needed to find the
   * next one.
   */
  #check(bytes: Uint8Array, at: number, from: number): FrameFault | undefined {
    const frame: Frame = this.#frame;
    const chain = this.#chain;
    if (this.#isWalg) return parseWalgFrame(bytes, at, bytes.length, frame) ?? checkOrder(frame, chain);
    const fault = parseFrame(bytes, at, bytes.length, frame);
    if (fault !== undefined) return fault;
    const isWanted =
      frame.lastLsn >= from ||
      frame.unknownCritical !== 0 ||
      (this.#observer !== undefined && speaksOfTime(frame));
    if (isWanted) return validateFrame(bytes, at, frame, chain);
    if (!claimsOther(frame, chain))
      return checkOrder(frame, chain) ?? checkBlockOrigin(bytes, at, frame, chain);
    // A reader of a later entry must know to which log the frames belong, but only if the checksum proves it.
    const found = validateFrame(bytes, at, frame, chain);
    return found === 'other-log' || found === 'other-segment' ? found : checkOrder(frame, chain);
  }

  async #detectWalg(): Promise<void> {
    const header = await this.#read(0, WALG_HEADER_BYTES);
    if (!isWalg(header)) return;
    if (parseWalgHeader(header) === undefined)
      throw this.#unsupported("its version of wal-go's format is not known");
    this.#isWalg = true;
    this.#chain.fileOffset = WALG_HEADER_BYTES;
  }

  async #fetchChunk(start: number, from: number): Promise<Chunk> {
    const isFirst = this.#ahead === undefined;
    const bytes = await this.#nextChunk(start).catch((error: unknown) => {
      throw this.#unreadable(error, Math.max(this.#chain.expectedLsn, from));
    });
    const mayGoOn = bytes.length >= this.#chunkBytes;
    // A caller that needs a few entries finds them in the first chunk, so reading ahead begins only with the second
    // one.
    if (mayGoOn && !isFirst && !this.#hasLongFrames) this.#readAhead(start + bytes.length);
    return { bytes, mayGoOn, isRest: false };
  }

  /** At least one whole frame from `start` on, if the file holds it. Uses the chunk that was read ahead if it fits. */
  async #nextChunk(start: number): Promise<Uint8Array> {
    const ahead = this.#ahead;
    const carry = this.#carry;
    this.#ahead = undefined;
    this.#carry = NOTHING;
    if (ahead === undefined) return this.#wholeFrame(start, await this.#read(start, this.#chunkBytes));
    const padded = await ahead;
    const bytes = padded.subarray(HEADROOM_BYTES - carry.length);
    bytes.set(carry);
    return this.#wholeFrame(start, bytes);
  }

  /** Prepares the next chunk. The last one ends at offset `end` of the file, with `rest`, the beginning of a frame. */
  #prepareNext(rest: Uint8Array, end: number): void {
    if (rest.length > HEADROOM_BYTES) {
      this.#hasLongFrames = true;
      this.#readAhead(end - rest.length);
    } else {
      this.#carry = rest;
      if (this.#ahead === undefined) this.#readAhead(end);
    }
  }

  /**
   * Bet: the thread pool reads the next chunk on another core while this thread parses the current one and the
   * consumer works on it. Memory is bounded by three chunks.
   */
  #readAhead(offset: number): void {
    const padded = this.#read(offset, this.#chunkBytes, HEADROOM_BYTES);
    // An error is thrown where the chunk is used; the error of an unused chunk does not matter.
    padded.catch(() => {});
    this.#ahead = padded;
  }

  /** `bytes`, which begin at `start`, or a longer read from there: at least one whole frame, if the file holds it. */
  async #wholeFrame(start: number, bytes: Uint8Array): Promise<Uint8Array> {
    const length = peekFrameLength(bytes, 0, bytes.length);
    if (length <= bytes.length) return bytes;
    // Bytes from disk are untrusted: a size word counts only up to the end of the file.
    const size = await this.#file.size();
    this.#size = Math.max(this.#size, size);
    return start + length <= size ? this.#read(start, length) : bytes;
  }

  /** Bytes of the file, after `headroom` unused bytes. */
  async #read(offset: number, length: number, headroom = 0): Promise<Uint8Array> {
    const expected = Math.min(length, Math.max(0, this.#size - offset));
    // Not zeroed, because only bytes that were read are used.
    const bytes = new Uint8Array(Buffer.allocUnsafeSlow(headroom + expected).buffer);
    let filled = headroom;
    while (filled < bytes.length) {
      const read = await this.#file.read(bytes.subarray(filled), offset + filled - headroom);
      if (read === 0) break;
      filled += read;
    }
    return filled === bytes.length ? bytes : bytes.subarray(0, filled);
  }

  /** Wraps an error of the system. `lsn` is the entry to be read, 0 = not known. */
  #unreadable(error: unknown, lsn: number): WalError {
    const { path } = this;
    const offset = this.#chain.fileOffset;
    const { message } = error as Error;
    return new WalError('ERR_WAL_IO', `Cannot read "${path}" at byte ${offset}: ${message}`, {
      path,
      offset,
      lsn: lsn || undefined,
      cause: error,
    });
  }

  #unsupported(why: string, wayOut = wayOutOf('unsupported')): WalError {
    const { path } = this;
    const offset = this.#chain.fileOffset;
    return new WalError('ERR_WAL_UNSUPPORTED', `Cannot read "${path}" at byte ${offset}: ${why}. ${wayOut}`, {
      path,
      offset,
    });
  }
}

/** The error for an entry that the log should hold and that cannot be read. */
export function corruptError(
  path: string,
  offset: number,
  lsn: number,
  reason: FrameFault | undefined,
): WalError {
  const why = reason === undefined ? 'the file ends there' : describeFault(reason);
  return new WalError(
    'ERR_WAL_CORRUPT',
    `Cannot read ${describeEntry(lsn)} in "${path}" at byte ${offset}: ${why}. ${wayOutOf('corrupt')}`,
    { path, offset, lsn: lsn || undefined },
  );
}
