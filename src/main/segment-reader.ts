import { type AsyncFile, openForReading } from '../files/async-file.js';
import { type ChainContext, checkOrder, createChain, followFrame, validateFrame } from '../format/chain.js';
import { createFrame, describeFault, type Frame, type FrameFault } from '../format/frame.js';
import { parseFrame, peekFrameLength } from '../format/frame-parser.js';
import { isWalg, parseWalgFrame, parseWalgHeader, WALG_HEADER_BYTES } from '../format/walg.js';
import { WalError } from './wal-error.js';

/** An entry as it is read. `data` is a view of a buffer that is never used again: copy it to keep a few of many. */
export interface WalEntry {
  readonly lsn: number;
  readonly data: Uint8Array;
}

/**
 * Bytes of one read, hence about what a batch holds. Bet: large enough that the read's way through the thread pool
 * (50 µs) is small beside the parsing of what it brings.
 */
const CHUNK_BYTES = 256 * 1024;

/** Where a walk through a file ended for good. */
export interface SegmentEnd {
  /** `undefined` = the file ends behind a whole frame. */
  readonly fault: FrameFault | undefined;
  readonly offset: number;
}

/**
 * Walks the frames of one file on the event loop, a chunk at a time. Each chunk is read into a buffer of its own, of
 * which the entries are views.
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

  private constructor(path: string, file: AsyncFile, chain: ChainContext) {
    this.path = path;
    this.#file = file;
    this.#chain = chain;
  }

  /** `chain` is the place of the file's first frame; it moves on with the reader. */
  static async open(path: string, chain: ChainContext): Promise<SegmentReader> {
    return new SegmentReader(path, await openForReading(path), chain);
  }

  /** Opens any segment file, alone: its first frame says which segment of which log it is. */
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

  /** n of the segment, as far as frames that were read have told; -1 = unknown. */
  get number(): number {
    return this.#chain.number;
  }

  /** Set once [next] came to something that is not a valid frame, or to the end of the file. */
  get end(): SegmentEnd | undefined {
    return this.#end;
  }

  /** [next] has come to `to`, or to an entry behind it. */
  get isPast(): boolean {
    return this.#isPast;
  }

  /**
   * The entries of the next chunk with `from` ≤ LSN ≤ `to`; checksums are verified for these alone. Empty when the chunk
   * holds none, or at the end.
   */
  async next(from: number, to: number): Promise<WalEntry[]> {
    const chain = this.#chain;
    const frame = this.#frame;
    const entries: WalEntry[] = [];
    const start = chain.fileOffset;
    const bytes = await this.#readChunk(start);
    let at = 0;
    for (;;) {
      const length = peekFrameLength(bytes, at, bytes.length);
      if (length < 0 || (length > 0 && at + length > bytes.length)) {
        // The rest of the frame is in the next chunk; if nothing was gained since this one, in none.
        if (at === 0) this.#end = { fault: bytes.length === 0 ? undefined : 'past-end', offset: start };
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
      if (frame.lsn >= from) {
        entries.push({ lsn: frame.lsn, data: bytes.subarray(frame.dataStart, frame.dataEnd) });
      }
      at += frame.byteLength;
      followFrame(chain, frame);
      if (frame.lsn === to) {
        this.#isPast = true;
        return entries;
      }
    }
  }

  /** Does the name still lead to the file that is open? */
  isStillNamed(): Promise<boolean> {
    return this.#file.isStillNamed();
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /** Rules 1 to 5 of the frame at `at`; of those that nobody wants only what leads to the next one. */
  #check(bytes: Uint8Array, at: number, from: number): FrameFault | undefined {
    const frame: Frame = this.#frame;
    const chain = this.#chain;
    if (this.#isWalg) return parseWalgFrame(bytes, at, bytes.length, frame) ?? checkOrder(frame, chain);
    const fault = parseFrame(bytes, at, bytes.length, frame);
    if (fault !== undefined) return fault;
    return frame.lsn < from ? checkOrder(frame, chain) : validateFrame(bytes, at, frame, chain);
  }

  async #detectWalg(): Promise<void> {
    const header = await this.#read(0, WALG_HEADER_BYTES);
    if (!isWalg(header)) return;
    if (parseWalgHeader(header) === undefined)
      throw this.#unsupported("its version of wal-go's format is not known");
    this.#isWalg = true;
    this.#chain.fileOffset = WALG_HEADER_BYTES;
  }

  /** At least one whole frame from `offset` on, if the file holds it. */
  async #readChunk(offset: number): Promise<Uint8Array> {
    const bytes = await this.#read(offset, CHUNK_BYTES);
    const length = peekFrameLength(bytes, 0, bytes.length);
    if (length <= bytes.length) return bytes;
    // Bytes from disk are hostile: a size word is believed only as far as the file reaches.
    const size = await this.#file.size();
    return offset + length <= size ? this.#read(offset, length) : bytes;
  }

  async #read(offset: number, length: number): Promise<Uint8Array> {
    // Not zeroed first: only what was read is ever looked at.
    const bytes = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
    let filled = 0;
    while (filled < length) {
      const read = await this.#file.read(filled === 0 ? bytes : bytes.subarray(filled), offset + filled);
      if (read === 0) break;
      filled += read;
    }
    return filled === length ? bytes : bytes.subarray(0, filled);
  }

  #unsupported(why: string): WalError {
    const { path } = this;
    const offset = this.#chain.fileOffset;
    return new WalError('ERR_WAL_UNSUPPORTED', `Cannot read "${path}" at byte ${offset}: ${why}.`, {
      path,
      offset,
    });
  }
}

/** What the log should hold there cannot be read. */
export function corruptError(
  path: string,
  offset: number,
  lsn: number,
  reason: FrameFault | undefined,
): WalError {
  const why = reason === undefined ? 'the file ends there' : describeFault(reason);
  return new WalError('ERR_WAL_CORRUPT', `Cannot read entry ${lsn} in "${path}" at byte ${offset}: ${why}.`, {
    path,
    offset,
    lsn,
  });
}
