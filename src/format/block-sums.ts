import { type Codec, TAG_BYTES } from './block.js';
import type { Frame } from './frame.js';

/** The blocks of a segment together. Plain data: it crosses threads. */
export interface BlockSums {
  /** At least 1. */
  readonly count: number;
  /** Bytes of their runs. */
  readonly rawBytes: number;
  /** Bytes that these are stored as. */
  readonly storedBytes: number;
  /** Each once, in the order of their first use. */
  readonly codecs: readonly Codec[];
}

/** Adds blocks up. */
export class BlockAdder {
  #count = 0;
  #rawBytes = 0;
  #storedBytes = 0;
  readonly #codecs: Codec[] = [];

  /** Does nothing if the frame has no Block. */
  add({ block, dataStart, dataEnd }: Pick<Frame, 'block' | 'dataStart' | 'dataEnd'>): void {
    if (block === undefined) return;
    this.#count += 1;
    this.#rawBytes += block.rawBytes;
    this.#storedBytes += dataEnd - dataStart - block.keyHeaderBytes - (block.epoch > 0 ? TAG_BYTES : 0);
    if (!this.#codecs.includes(block.codec)) this.#codecs.push(block.codec);
  }

  /** A copy; empty if there was no block. */
  get sums(): { readonly blocks?: BlockSums } {
    if (this.#count === 0) return {};
    return {
      blocks: {
        count: this.#count,
        rawBytes: this.#rawBytes,
        storedBytes: this.#storedBytes,
        codecs: [...this.#codecs],
      },
    };
  }
}
