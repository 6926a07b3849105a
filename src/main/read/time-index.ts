import type { FileIdentity } from '../../files/disk.js';
import { isSameFile } from '../../files/disk.js';
import { type ChainContext, createChain } from '../../format/chain.js';
import type { SegmentTime, TimeQuestion, TimeState } from '../../format/time-walk.js';

/**
 * Bytes between two places. Bet: reading on from a place, at most this far, takes a fraction of a millisecond
 * (bench/workloads/times.ts). A full segment of 64 MiB has 256 places.
 */
const PLACE_SPACING_BYTES = 256 * 1024;

/** Segments with an index. The least recently used index is dropped first. */
const SEGMENTS_MAX = 64;

interface TimePlace {
  readonly offset: number;
  readonly lsn: number;
  readonly state: TimeState;
}

/** Places where a walk through a segment's times can begin. There is no hole before the last one: each walk notes its places. */
export class TimeIndex {
  readonly number: number;
  /** The places do not hold for a file that replaces this one. */
  readonly file: FileIdentity;
  readonly #places: TimePlace[] = [];
  #logId: bigint | undefined;

  constructor(number: number, file: FileIdentity) {
    this.number = number;
    this.file = file;
  }

  /** The next frame starts at `chain`, and `state` is the time state after the frames before it. */
  note(chain: ChainContext, state: TimeState): void {
    const { fileOffset, batchRemaining, expectedLsn } = chain;
    if (fileOffset < (this.#places.at(-1)?.offset ?? 0) + PLACE_SPACING_BYTES) return;
    if (batchRemaining > 0 || expectedLsn === 0 || state.hasDisbelieved) return;
    this.#logId = chain.logId;
    this.#places.push({ offset: fileOffset, lsn: expectedLsn, state });
  }

  /** The last place that has the answer after it; `undefined` = only the segment's first frame is. */
  placeBefore({ kind, ms }: TimeQuestion): { chain: ChainContext; state: TimeState } | undefined {
    const places = this.#places;
    let low = 0;
    let high = places.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const { reachMs, highestMs } = (places[middle] as TimePlace).state;
      if (kind === 'reaches' ? reachMs < ms : highestMs <= ms) low = middle + 1;
      else high = middle;
    }
    const place = places[low - 1];
    if (place === undefined) return undefined;
    const chain = createChain(this.#logId, this.number);
    chain.expectedLsn = place.lsn;
    chain.fileOffset = place.offset;
    return { chain, state: place.state };
  }
}

/** The known times of a log's segments: with them, most questions are answered by reading one segment. */
export class LogTimes {
  readonly #firstFrames = new Map<number, SegmentTime>();
  readonly #indexes = new Map<number, TimeIndex>();

  constructor(known: Iterable<readonly [number, SegmentTime]> = []) {
    for (const [number, time] of known) this.note(number, time);
  }

  /** The times in the first frame of segment `number`; `undefined` = it was not read yet. */
  of(number: number): SegmentTime | undefined {
    return this.#firstFrames.get(number);
  }

  note(number: number, time: SegmentTime): void {
    this.#firstFrames.set(number, time);
  }

  /** Segments up to `number` were removed. */
  dropThrough(number: number): void {
    // The map is in the order in which they were noted, so most of a log's segments are not looked at.
    for (const each of this.#firstFrames.keys()) {
      if (each > number) break;
      this.#firstFrames.delete(each);
    }
  }

  /** The segments from `number` on may hold other frames now, and so may any part of the files that were read. */
  forgetFrom(number: number): void {
    for (const each of [...this.#firstFrames.keys()]) if (each >= number) this.#firstFrames.delete(each);
    this.#indexes.clear();
  }

  /** The index of segment `number`, whose file is `file`; makes one if needed. */
  indexOf(number: number, file: FileIdentity): TimeIndex {
    const found = this.#indexes.get(number);
    const index = found !== undefined && isSameFile(found.file, file) ? found : new TimeIndex(number, file);
    // Inserted again, because a Map then lists the least recently used one first.
    this.#indexes.delete(number);
    this.#indexes.set(number, index);
    if (this.#indexes.size > SEGMENTS_MAX) {
      const [oldest] = this.#indexes.keys();
      this.#indexes.delete(oldest as number);
    }
    return index;
  }

  /** Drops the index of a segment, because it is wrong. */
  forgetIndex(number: number): void {
    this.#indexes.delete(number);
  }
}
