import { type ByteSource, contentEnd } from './bytes.js';
import { type ChainContext, checkOrder, checkOrigin, validateFrame } from './chain.js';
import { crc32 } from './crc32.js';
import {
  closeDataChecksum,
  createFrame,
  FRAME_CRC_BYTES,
  type FrameFault,
  frameChecksum,
  MAX_OVERHEAD,
  SIZE_WORD_BYTES,
} from './frame.js';
import { parsePrefix, parseSuffix } from './frame-parser.js';

export const DEFAULT_WINDOW_BYTES = 256 * 1024;

/** What must be at hand of a frame before it is parsed: all of it, unless it has data. */
const NEAR_BYTES = SIZE_WORD_BYTES + MAX_OVERHEAD;

/**
 * Frames at any offset of a file, through one window of fixed size: memory does not grow with what the bytes claim.
 *
 *   file     ……………┌─────── window ───────┐…………………………
 *   frame           | prefix | data …………………………………| suffix |
 *
 * Of a frame that passes the window's end the suffix is read by itself, and the data, if it is asked for, piece by
 * piece. So each offset costs constant time until its data is checked.
 */
export class FrameReader {
  /** The frame parsed last; its data's indexes are of no use outside. */
  readonly frame = createFrame();
  readonly #window: Uint8Array;
  readonly #apart = new Uint8Array(MAX_OVERHEAD);
  #source: ByteSource | undefined;
  #contentEnd: number | undefined;
  #windowOffset = 0;
  #windowLength = 0;
  /** Where the frame starts, in the window; where the bytes after its data start, in #suffixBytes. */
  #start = 0;
  #suffixBytes: Uint8Array;
  #suffixStart = 0;

  constructor(windowBytes: number = DEFAULT_WINDOW_BYTES) {
    this.#window = new Uint8Array(Math.max(windowBytes, NEAR_BYTES));
    this.#suffixBytes = this.#window;
  }

  /** Reads `source` from now on. */
  open(source: ByteSource): void {
    this.#source = source;
    this.#contentEnd = undefined;
    this.#windowLength = 0;
  }

  get size(): number {
    return this.#source?.size ?? 0;
  }

  /** Rules 1 and 2 for the frame at `offset`. */
  parseAt(offset: number): FrameFault | undefined {
    const available = this.size - offset;
    this.#bringNear(offset, Math.min(available, NEAR_BYTES));
    const start = offset - this.#windowOffset;
    const { frame } = this;
    const fault = parsePrefix(this.#window, start, available, frame);
    if (fault !== undefined) return fault;
    const end = start + frame.byteLength;
    this.#start = start;
    if (end <= this.#windowLength) {
      this.#suffixBytes = this.#window;
      this.#suffixStart = frame.dataEnd;
      return parseSuffix(this.#window, frame.dataEnd, end, frame);
    }
    const suffixLength = end - frame.dataEnd;
    this.#apart.set(this.#read(this.#windowOffset + frame.dataEnd, suffixLength));
    this.#suffixBytes = this.#apart;
    this.#suffixStart = 0;
    return parseSuffix(this.#apart, 0, suffixLength, frame);
  }

  /** Rules 3 to 5 for the frame parsed last, which stands at `chain.fileOffset`. */
  validate(chain: ChainContext): FrameFault | undefined {
    const { frame } = this;
    if (this.#suffixBytes === this.#window) return validateFrame(this.#window, this.#start, frame, chain);
    const fault = checkOrder(frame, chain);
    if (fault !== undefined) return fault;
    if (this.dataChecksum() !== frame.crc) return 'data-checksum';
    return frame.extended ? checkOrigin(frame, this.#beforeData(), this.#afterData(), chain) : undefined;
  }

  /** What field 3 of the frame parsed last must be. Costs the data's length. */
  dataChecksum(): number {
    const { dataStart, dataEnd, lsn } = this.frame;
    const near = Math.min(dataEnd, this.#windowLength);
    let crc = crc32(this.#window.subarray(dataStart, near));
    for (let at = near; at < dataEnd; ) {
      const piece = this.#read(this.#windowOffset + at, Math.min(dataEnd - at, this.#window.length));
      crc = crc32(piece, crc);
      at += piece.length;
    }
    return closeDataChecksum(crc, lsn);
  }

  /** A copy of the data of the frame parsed last. */
  readData(): Uint8Array {
    const { dataStart, dataEnd } = this.frame;
    if (dataEnd <= this.#windowLength) return this.#window.slice(dataStart, dataEnd);
    return this.#read(this.#windowOffset + dataStart, dataEnd - dataStart).slice();
  }

  /** What field 15 of the frame parsed last must be. */
  frameChecksum(seed: number): number {
    return frameChecksum(this.#beforeData(), this.#afterData(), seed, this.#windowOffset + this.#start);
  }

  /** Where `byte`, which is not 0, stands next, at `offset` or after it; -1 = nowhere. */
  find(byte: number, offset: number): number {
    for (let from = offset; from < this.#searchEnd; from = this.#windowOffset + this.#windowLength) {
      this.#bringNear(from, 1);
      const at = this.#window.indexOf(byte, from - this.#windowOffset);
      if (at >= 0 && at < this.#windowLength) return this.#windowOffset + at;
    }
    return -1;
  }

  /** Asked for once for each file: it may take a look at all of it. */
  get #searchEnd(): number {
    this.#contentEnd ??= this.#source === undefined ? 0 : contentEnd(this.#source);
    return this.#contentEnd;
  }

  #beforeData(): Uint8Array {
    return this.#window.subarray(this.#start, this.frame.dataStart);
  }

  #afterData(): Uint8Array {
    const { byteLength, dataEnd } = this.frame;
    const length = this.#start + byteLength - dataEnd - FRAME_CRC_BYTES;
    return this.#suffixBytes.subarray(this.#suffixStart, this.#suffixStart + length);
  }

  /** Moves the window so that it holds `[offset, offset + length)`, which lies within the file. */
  #bringNear(offset: number, length: number): void {
    const isNear = offset >= this.#windowOffset && offset + length <= this.#windowOffset + this.#windowLength;
    if (isNear) return;
    const bytes = this.#read(offset, this.#window.length);
    this.#window.set(bytes);
    this.#windowOffset = offset;
    this.#windowLength = bytes.length;
  }

  /** @throws a file that became shorter under the reader: what it said before can no longer be relied on */
  #read(offset: number, length: number): Uint8Array {
    const bytes = this.#source?.read(offset, length);
    const expected = Math.min(length, this.size - offset);
    if (bytes?.length !== expected)
      throw new Error(`${expected} bytes expected at ${offset}, ${bytes?.length} read`);
    return bytes;
  }
}
