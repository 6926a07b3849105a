import { type FileIdentity, isSameFile } from '../../files/disk.js';
import { type ChainContext, createChain } from '../../format/chain.js';

/**
 * Bytes from one place to the next. Bet: what a reader then goes over before it meets its entry, 8 KiB at most, costs it
 * less than the read that brings them (bench/workloads/replay.ts); a full segment of 64 MiB has 8,192 places, 128 KiB.
 */
export const PLACE_SPACING_BYTES = 8 * 1024;

/** Segments whose places are kept. The least recently used go first. */
const SEGMENTS_MAX = 64;

/**
 * Where some entries of one segment start: learned by readers on their way from the segment's first frame on, hence
 * without holes up to the last place. A hint only: whoever begins at a place checks the frame there, and its LSN, as he
 * would have on his way.
 */
export class SparseIndex {
  readonly number: number;
  /** Which file it was learned of: of one that takes its place nothing is known. */
  readonly file: FileIdentity;
  /** `undefined` for files of wal-go, which do not tell. */
  #logId: bigint | undefined;
  readonly #lsns: number[] = [];
  readonly #offsets: number[] = [];

  constructor(number: number, file: FileIdentity) {
    this.number = number;
    this.file = file;
  }

  /** The next frame is at `chain`'s place, and outside any batch. Kept if it is far enough behind the last one. */
  note(chain: ChainContext): void {
    const { fileOffset } = chain;
    if (fileOffset < (this.#offsets.at(-1) ?? 0) + PLACE_SPACING_BYTES) return;
    this.#logId = chain.logId;
    this.#lsns.push(chain.expectedLsn);
    this.#offsets.push(fileOffset);
  }

  /** The last place at or before entry `lsn`; `undefined` = the segment's first frame is. */
  placeBefore(lsn: number): ChainContext | undefined {
    return this.#chainAt(countUpTo(this.#lsns, lsn) - 1);
  }

  /**
   * Where a reader that ends with entry `lsn` begins so that he goes over about `bytes`: at the first place that is no
   * further than that from the last one. `undefined` = at the segment's first frame.
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

/** How many of `ascending` are at most `limit`. */
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

  /** What has been learned of segment `number`, if anything. */
  find(number: number): SparseIndex | undefined {
    return this.#bySegment.get(number);
  }

  /** What is learned of segment `number`, which is `file`. */
  of(number: number, file: FileIdentity): SparseIndex {
    const found = this.#bySegment.get(number);
    const index = found !== undefined && isSameFile(found.file, file) ? found : new SparseIndex(number, file);
    // Put in anew: a Map lists the least recently used first.
    this.#bySegment.delete(number);
    this.#bySegment.set(number, index);
    if (this.#bySegment.size > SEGMENTS_MAX) {
      const [oldest] = this.#bySegment.keys();
      this.#bySegment.delete(oldest as number);
    }
    return index;
  }

  /** What was learned of this segment does not hold. */
  forget(number: number): void {
    this.#bySegment.delete(number);
  }

  /** The log was cut: other entries may come to stand there. */
  clear(): void {
    this.#bySegment.clear();
  }
}
