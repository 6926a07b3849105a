import {
  type BlockFault,
  type BlockFrame,
  type DecodedBlock,
  decodeBlock,
} from '../../blocks/decode-block.js';
import { type FileIdentity, isSameFile } from '../../files/disk.js';
import type { WalEntry } from './segment-reader.js';

/** Bytes of runs that are kept. */
const KEPT_BYTES_MAX = 8 * 1024 * 1024;

/** A block that was decoded. */
interface Kept {
  readonly file: FileIdentity;
  /** Of its first and its last entry. */
  readonly lsn: number;
  readonly lastLsn: number;
  readonly block: DecodedBlock;
}

/**
 * The blocks that `get` has decoded last. Bet: reads at random come back to the same places more often than not; a decoded block
 * saves the read and the decoding of its 128 KiB (bench/workloads/compression.ts).
 *
 * Entries are copied out of it, since a caller may write to what it is given.
 */
export class DecodedBlocks {
  /** By file and offset; the one that was used last comes last. */
  readonly #kept = new Map<string, Kept>();
  #bytes = 0;

  /** The entry, if its block is kept, and begins at that offset of the file. */
  find(file: FileIdentity, offset: number, lsn: number): WalEntry | undefined {
    const key = keyOf(file, offset);
    const found = this.#kept.get(key);
    if (found === undefined || !isSameFile(found.file, file) || lsn < found.lsn || lsn > found.lastLsn)
      return undefined;
    // Inserted again, because a Map lists what was inserted last at its end.
    this.#kept.delete(key);
    this.#kept.set(key, found);
    const { run, bounds } = found.block;
    const index = 2 * (lsn - found.lsn);
    return { lsn, data: new Uint8Array(run.subarray(bounds[index], bounds[index + 1])) };
  }

  /** Decodes a block, which is kept if it holds several entries. `lsn`: of the first one. */
  decode(
    file: FileIdentity,
    offset: number,
    lsn: number,
    data: Uint8Array,
    frame: BlockFrame,
  ): DecodedBlock | BlockFault {
    const block = decodeBlock(data, frame);
    const { entries } = frame.block;
    if (typeof block === 'string' || entries === 1) return block;
    // A view of what was read would keep all of that.
    const run = new Uint8Array(block.run);
    this.#drop(keyOf(file, offset));
    const kept = { file, lsn, lastLsn: lsn + entries - 1, block: { ...block, run } };
    this.#kept.set(keyOf(file, offset), kept);
    this.#bytes += run.length;
    for (const key of this.#kept.keys()) {
      if (this.#bytes <= KEPT_BYTES_MAX) break;
      this.#drop(key);
    }
    return block;
  }

  /** After a cut other blocks may take the places. */
  clear(): void {
    this.#kept.clear();
    this.#bytes = 0;
  }

  #drop(key: string): void {
    this.#bytes -= this.#kept.get(key)?.block.run.length ?? 0;
    this.#kept.delete(key);
  }
}

function keyOf({ ino }: FileIdentity, offset: number): string {
  return `${ino}:${offset}`;
}
