/**
 * A cursor over the frames of a log: it owns the file that is read, the window that frames are parsed in, and the chain
 * that says which frame has to come next. Recovery, `verify`, repair and the command line walk and search frames with it.
 *
 *   next      goes past one more frame that is valid where it stands
 *   check     judges the frame at the cursor and stays
 *   parse     looks at that frame alone, without its predecessor and without its data
 *   find      moves to the next bytes that pass for a frame, after damage
 *   findHead  moves to the next frame that proves itself, after damage
 *   expectAny takes up again: the next frame may have any LSN
 *
 * Memory is one window, whatever the bytes claim, and each offset costs constant time until its data is checked.
 */

import type { ByteSource } from './bytes.js';
import { type ChainContext, createChain, enterSegment, followFrame } from './chain.js';
import { type Frame, type FrameFault, SIZE_WORD_BYTES, TAG } from './frame.js';
import { FrameReader } from './frame-reader.js';

/** What is known before a frame: of its predecessor, and of the log. */
export type Inbound = Readonly<Pick<ChainContext, 'expectedLsn' | 'batchRemaining' | 'logId'>>;

export class FrameCursor {
  readonly #reader: FrameReader;
  #chain: ChainContext = createChain(undefined, -1);

  /** `windowBytes`: a cursor that reads first frames only needs a small window. */
  constructor(windowBytes?: number) {
    this.#reader = new FrameReader(windowBytes);
  }

  // ── Where it is ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** The frame that was parsed last, by any of the methods. One object serves all frames: copy it to keep it. */
  get frame(): Frame {
    return this.#reader.frame;
  }

  /** Where the next frame starts. */
  get offset(): number {
    return this.#chain.fileOffset;
  }

  /** Bytes of the file. */
  get size(): number {
    return this.#reader.size;
  }

  /** n of the segment that is read; -1 = not known, or no segment was entered yet. */
  get number(): number {
    return this.#chain.number;
  }

  /** `undefined` = nothing has named the log yet. */
  get logId(): bigint | undefined {
    return this.#chain.logId;
  }

  /** The LSN that comes next, unless the frame skips some; 0 = any. */
  get expectedLsn(): number {
    return this.#chain.expectedLsn;
  }

  /** Entries of the open batch that are still to come; 0 = no batch is open. */
  get batchRemaining(): number {
    return this.#chain.batchRemaining;
  }

  // ── Where it goes ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** Forgets the log that was read before. `inbound`: what stands before the segment that is entered next. */
  start({ logId, expectedLsn, batchRemaining }: Inbound): this {
    this.#chain = createChain(logId, -1);
    this.expect(expectedLsn, batchRemaining);
    return this;
  }

  /** Goes on at the first frame of `source`, which is segment `number`; -1 = its first Segment says which. */
  enter(source: ByteSource, number: number): this {
    this.#reader.open(source);
    enterSegment(this.#chain, number);
    return this;
  }

  /** Moves to `offset`. The chain stays: the frame there has to follow the one that the cursor went past last. */
  seek(offset: number): this {
    this.#chain.fileOffset = offset;
    return this;
  }

  /** The next frame has to have this LSN, 0 = any, and to go on with a batch of which that many entries were to come. */
  expect(expectedLsn: number, batchRemaining: number): void {
    this.#chain.expectedLsn = expectedLsn;
    this.#chain.batchRemaining = batchRemaining;
  }

  /** The next frame has no predecessor that is known: it may have any LSN, and may be inside a batch. */
  expectAny(): void {
    this.expect(0, 0);
  }

  /** `undefined` = it went past one more valid frame; otherwise it stays: at the end of the file, or at a fault. */
  next(): FrameFault | 'end' | undefined {
    // `check` and `pass` in one piece: a walk comes here for every frame.
    const chain = this.#chain;
    const reader = this.#reader;
    const { fileOffset } = chain;
    if (fileOffset === reader.size) return 'end';
    const fault = reader.parseAt(fileOffset) ?? reader.validate(chain);
    if (fault === undefined) followFrame(chain, reader.frame);
    return fault;
  }

  /** Goes past the frame at the cursor, which was parsed last. Without a check before it, this believes what the frame says. */
  pass(): void {
    followFrame(this.#chain, this.frame);
  }

  // ── The frame at the cursor ───────────────────────────────────────────────────────────────────────────────────────

  /** Rules 1 to 5: is the frame at the cursor valid there? */
  check(): FrameFault | undefined {
    return this.parse() ?? this.validate();
  }

  /** Rules 1 and 2 for the frame at the cursor: the chain is not asked. */
  parse(): FrameFault | undefined {
    return this.#reader.parseAt(this.offset);
  }

  /** Rules 3 to 5 for the frame at the cursor, which was parsed last. */
  validate(): FrameFault | undefined {
    return this.#reader.validate(this.#chain);
  }

  /** Rule 4 for the frame parsed last: costs the length of its data. */
  hasIntactData(): boolean {
    return this.#reader.dataChecksum() === this.frame.crc;
  }

  /**
   * Does the frame at the cursor, which was parsed last, show by its frame_crc that it was written there, in this log and
   * this segment? Says nothing about its data. Without the log's id no frame can show it.
   */
  provesPlace(): boolean {
    const { seed } = this.#chain;
    const { frameCrc } = this.frame;
    return seed !== undefined && frameCrc >= 0 && this.#reader.frameChecksum(seed) === frameCrc;
  }

  /** Is the frame at the cursor, which was parsed last, a head? See frame.ts. */
  isHead(): boolean {
    return this.frame.syncedLsn >= 0 && this.provesPlace();
  }

  /** A copy of the data of the frame parsed last. */
  readData(): Uint8Array {
    return this.#reader.readData();
  }

  // ── After damage ──────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Moves to the first offset from `from` on where a frame passes rules 1 and 2, and parses it; false = there is none, and
   * the cursor stays.
   */
  find(from: number): boolean {
    const reader = this.#reader;
    // The fifth byte of every frame is the tag of its LSN: a native search passes over zeros and most payloads.
    let tagAt = reader.find(TAG.lsn, from + SIZE_WORD_BYTES);
    for (; tagAt >= 0; tagAt = reader.find(TAG.lsn, tagAt + 1)) {
      const offset = tagAt - SIZE_WORD_BYTES;
      if (reader.parseAt(offset) !== undefined) continue;
      this.seek(offset);
      return true;
    }
    return false;
  }

  /** Moves to the first head from `from` on, and parses it; false = there is none. */
  findHead(from: number): boolean {
    const { offset } = this;
    for (let found = this.find(from); found; found = this.find(this.offset + 1)) {
      if (this.isHead()) return true;
    }
    this.seek(offset);
    return false;
  }
}
