import type { ByteSource } from './bytes.js';
import { type ChainContext, followFrame } from './chain.js';
import type { Frame, FrameFault } from './frame.js';
import { FrameReader } from './frame-reader.js';

/** Walks the valid frames of one file, as far as they go. */
export class SegmentScanner {
  readonly #reader: FrameReader;
  readonly #source: ByteSource;
  readonly #chain: ChainContext;

  /**
   * `chain`: the place of the file's first frame (see `enterSegment`); it moves on with the scan. `reader`: pass the same one to
   * scan many files.
   */
  constructor(source: ByteSource, chain: ChainContext, reader: FrameReader = new FrameReader()) {
    this.#source = source;
    this.#chain = chain;
    this.#reader = reader;
    this.#reader.open(source);
  }

  /** The frame that [next] moved past. */
  get frame(): Frame {
    return this.#reader.frame;
  }

  /** Where the next frame starts. */
  get offset(): number {
    return this.#chain.fileOffset;
  }

  /** `undefined` = moved past one more valid frame; otherwise it stays where it is: at the file's end, or at a fault. */
  next(): FrameFault | 'end' | undefined {
    const { fileOffset } = this.#chain;
    if (fileOffset === this.#source.size) return 'end';
    const fault = this.#reader.parseAt(fileOffset) ?? this.#reader.validate(this.#chain);
    if (fault === undefined) followFrame(this.#chain, this.#reader.frame);
    return fault;
  }
}
