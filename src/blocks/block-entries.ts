/** What one entry of a block, or the first few, are: for cuts, and for snapshots that name an entry. */

import type { Frame } from '../format/frame.js';
import { type BlockFault, type DecodedBlock, decodeBlock } from './decode-block.js';

/** A frame that was parsed, and its data: a cursor has both. */
export interface ParsedFrame {
  readonly frame: Frame;
  readData(): Uint8Array;
}

/** The entries of a frame with a Block. */
export class BlockEntries {
  readonly #decoded: DecodedBlock;
  readonly #batchRemaining: number;

  private constructor(decoded: DecodedBlock, batchRemaining: number) {
    this.#decoded = decoded;
    this.#batchRemaining = batchRemaining;
  }

  /** @returns why it cannot be read; `undefined`: the frame has no Block */
  static of(parsed: ParsedFrame): BlockEntries | BlockFault | undefined {
    const { block, batchRemaining } = parsed.frame;
    if (block === undefined) return undefined;
    const decoded = decodeBlock(parsed.readData(), { block, batchRemaining });
    return typeof decoded === 'string' ? decoded : new BlockEntries(decoded, batchRemaining);
  }

  get count(): number {
    return this.#decoded.more.length;
  }

  data(index: number): Uint8Array {
    const { run, bounds } = this.#decoded;
    return run.subarray(bounds[2 * index], bounds[2 * index + 1]);
  }

  /** Entries of its batch that follow the entry at `index`, also in later blocks. */
  remainingAfter(index: number): number {
    const { more } = this.#decoded;
    let end = index;
    while (end < more.length && more[end] === 1) end++;
    const inBlock = end - index;
    return end === more.length ? inBlock - 1 + this.#batchRemaining : inBlock;
  }

  /** The same for each entry of the block, in one pass. */
  remaining(): number[] {
    const { more } = this.#decoded;
    const all = new Array<number>(more.length);
    let after = this.#batchRemaining;
    for (let index = more.length - 1; index >= 0; index--) {
      if (index < more.length - 1) after = more[index] === 1 ? after + 1 : 0;
      all[index] = after;
    }
    return all;
  }

  /** How many entries may be kept, at most `count` of them, so that no batch is left without its end. */
  wholeUpTo(count: number): number {
    let kept = count;
    while (kept > 0 && this.#decoded.more[kept - 1] === 1) kept--;
    return kept;
  }
}
