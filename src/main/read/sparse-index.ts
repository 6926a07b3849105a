import { type FileIdentity, isSameFile } from '../../files/disk.js';
import { type ChainContext, createChain } from '../../format/chain.js';

/**
 * Bytes between two indexed positions. Bet: parsing the bytes before the wanted entry, at most 8 KiB, costs less than
 * the read that brings them (bench/workloads/replay.ts). A full segment of 64 MiB has 8,192 positions, 128 KiB.
 */
export const PLACE_SPACING_BYTES = 8 * 1024;

/** Number of segments with an index. The least recently used index is dropped first. */
const SEGMENTS_MAX = 64;

/**
 * The positions of some entries of one segment. Readers learn them as they walk from the first frame on, so there are
 * no holes up to the last position. The index is only a hint: a reader that begins at a position checks the frame and
 * its LSN there, as it does during a walk.
 */
export class SparseIndex {
  readonly number: number;
  /** The file whose positions these are. They do not hold for a file that replaces it. */
  readonly file: FileIdentity;
  /** `undefined` for files of wal-go, which have no log id. */
  #logId: bigint | undefined;
  readonly #lsns: number[] = [];
  readonly #offsets: number[] = [];

  constructor(number: number, file: FileIdentity) {
    this.number = number;
    this.file = file;
  }

  /**
   * Notes that the next frame starts at the position of `chain`, outside any batch. The position is kept if it is far
   * enough after the last one.
   */
  note(chain: ChainContext): void {
    const { fileOffset } = chain;
    if (fileOffset < (this.#offsets.at(-1) ?? 0) + PLACE_SPACING_BYTES) return;
    this.#logId = chain.logId;
    this.#lsns.push(chain.expectedLsn);
    this.#offsets.push(fileOffset);
  }

  /** The last position at or before entry `lsn`; `undefined` = only the segment's first frame is. */
  placeBefore(lsn: number): ChainContext | undefined {
    return this.#chainAt(countUpTo(this.#lsns, lsn) - 1);
  }

  /**
   * The start for a reader that ends with entry `lsn` and reads about `bytes`: the first position that is at most
   * `bytes` before the last one. `undefined` = the segment's first frame.
   */
  placeFarBefore(lsn: number, bytes: number): ChainContext | undefined {
    const last = this.#offsets[countUpTo(this.#lsns, lsn) - 1];
    if (last === undefined || last <= bytes) return undefined;
    return this.#chainAt(countUpTo(this.#offsets, last - bytes - 1));
  }

  #chainAt(at: number): ChainContext | undefined {
    if (at < 0) return undefined;
    const chain = createChain(this.#logId, this.number);
    chain.expectedLsn = this.#lsns[at] as number;
    chain.fileOffset = this.#offsets[at] as number;
    return chain;
  }
}

/** Number of elements of `ascending` that are at most `limit`. */
function countUpTo(ascending: readonly number[], limit: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ascending[middle] as number) <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The indexes of a log's segments. */
export class SparseIndexes {
  readonly #bySegment = new Map<number, SparseIndex>();

  /** The index of segment `number`, if there is one. */
  find(number: number): SparseIndex | undefined {
    return this.#bySegment.get(number);
  }

  /** The index of segment `number`, whose file is `file`; makes one if needed. */
  of(number: number, file: FileIdentity): SparseIndex {
    const found = this.#bySegment.get(number);
    const index = found !== undefined && isSameFile(found.file, file) ? found : new SparseIndex(number, file);
    // Inserted again, because a Map then lists the least recently used one first.
    this.#bySegment.delete(number);
    this.#bySegment.set(number, index);
    if (this.#bySegment.size > SEGMENTS_MAX) {
      const [oldest] = this.#bySegment.keys();
      this.#bySegment.delete(oldest as number);
    }
    return index;
  }

  /** Drops the index of a segment, because it is wrong. */
  forget(number: number): void {
    this.#bySegment.delete(number);
  }

  /** Drops all indexes after a cut, because other entries may take the cut positions. */
  clear(): void {
    this.#bySegment.clear();
  }
}
