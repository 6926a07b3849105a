/**
 * The chain of valid frames through the segments of a log, up to the first invalid frame or the end.
 *
 *   … | entry k | batch: 2 to come | 1 to come | invalid …
 *               ├ kept up to here              └ the fault
 *               └ the batch is not finished: it does not count, though its frames are valid
 */

import type { BlockCheck } from './block-check.js';
import { type SegmentFile, withSource } from './bytes.js';
import type { FrameFault } from './frame.js';
import { FrameCursor, type Inbound } from './frame-cursor.js';
import type { FilePlace } from './place.js';
import { type Extent, followsOn, NO_EXTENT, type SegmentWalk, walkSegment } from './segment-walk.js';

/** Segments that were walked by themselves, by their numbers. */
export type KnownWalks = ReadonlyMap<number, SegmentWalk>;

/**
 * The oldest segments, as far as they hold only whole batches and entries in one unbroken chain. A salvage keeps all of their
 * entries, and needs nothing else from them for the other segments.
 */
export interface WholeSegments {
  readonly count: number;
  /** The last entry in them; 0 = there is none. */
  readonly lastLsn: number;
}

interface Mark extends FilePlace {
  readonly lsn: number;
}

interface BatchStart extends FilePlace {
  readonly lastLsn: number;
  readonly extent: Extent;
}

/**
 * Walks `files` from index `from` on. `logId`: `undefined` = the first Segment decides. A `known` walk of a segment is used
 * instead of reading it again if it holds: the file has the same size, and its first frame continues the chain before it.
 */
export function walkLog(
  files: readonly SegmentFile[],
  from: number,
  logId: bigint | undefined,
  known?: KnownWalks,
  check?: BlockCheck,
): LogWalk {
  const walk = new LogWalk(files, from, logId, check);
  walk.run(known);
  return walk;
}

export class LogWalk {
  /** The index of the first segment that was walked. */
  readonly from: number;
  /** k: the last entry that is kept; 0 = none. */
  lastLsn = 0;
  /** The kept parts, from segment `from` on. A segment that the walk did not reach has no extent. */
  readonly extents: Extent[] = [];
  /** The largest synced_lsn of a valid frame; -1 = there is none. */
  syncedLsn = -1;
  /** The first invalid frame, and the LSN that it should have; 0 = not known. */
  fault: (FilePlace & { readonly reason: FrameFault; readonly lsn: number }) | undefined;
  /** Where the batch starts that was not finished. */
  batchStart: FilePlace | undefined;
  /** None if the walk did not begin with the oldest segment. */
  whole: WholeSegments = { count: 0, lastLsn: 0 };
  /** The first valid frame with a critical field that is not known. Nothing after it was looked at. */
  unsupported: (FilePlace & { readonly lsn: number }) | undefined;

  readonly #files: readonly SegmentFile[];
  readonly #check: BlockCheck | undefined;
  readonly #cursor = new FrameCursor();
  /** The chain at the start of the next segment. */
  readonly #chain: { -readonly [name in keyof Inbound]: Inbound[name] };
  readonly #marks: Mark[] = [];
  /** All segments so far are whole, or end inside a batch that the next one may complete. */
  #isWhole: boolean;
  #openBatch: BatchStart | undefined;

  constructor(
    files: readonly SegmentFile[],
    from: number,
    logId: bigint | undefined,
    check: BlockCheck | undefined,
  ) {
    this.#files = files;
    this.#check = check;
    this.#chain = { expectedLsn: 0, batchRemaining: 0, logId };
    this.from = from;
    this.#isWhole = from === 0;
  }

  /** Right after entry k. */
  get end(): FilePlace {
    const last = this.extents.findLastIndex((extent) => extent.frames > 0);
    return last < 0
      ? { index: this.from, offset: 0 }
      : { index: this.from + last, offset: this.extents[last].bytes };
  }

  /** The log's id, if anything names it. */
  get logId(): bigint | undefined {
    return this.#chain.logId;
  }

  run(known: KnownWalks | undefined): void {
    for (let index = this.from; index < this.#files.length; index++) {
      if (!this.#goThrough(index, this.#walk(this.#files[index], known))) break;
      // The very first frame may have any LSN, but not after an empty segment, whose entries are lost.
      if (this.#chain.expectedLsn === 0) this.#chain.expectedLsn = 1;
    }
    this.#dropOpenBatch();
  }

  /** Where the frame of the first kept entry above `lsn` starts, of those that were walked. */
  firstAbove(lsn: number): FilePlace | undefined {
    if (lsn >= this.lastLsn) return undefined;
    const index = this.from + this.extents.findIndex((extent) => extent.lastLsn > lsn);
    const mark = this.#marks.findLast((candidate) => candidate.index === index && candidate.lsn <= lsn);
    return withSource(this.#files[index], (source) => {
      const cursor = new FrameCursor().enter(source, this.#files[index].number).seek(mark?.offset ?? 0);
      while (cursor.parse() === undefined && cursor.frame.lastLsn <= lsn) cursor.pass();
      return { index, offset: cursor.offset };
    });
  }

  #walk(file: SegmentFile, known: KnownWalks | undefined): SegmentWalk {
    const { number } = file;
    const alone = known?.get(number);
    return withSource(file, (source) =>
      alone !== undefined && alone.size === source.size && followsOn(alone, this.#chain)
        ? alone
        : walkSegment(source, number, this.#chain, this.#cursor, this.#check),
    );
  }

  /** Takes in the walk of a segment; true = the segment ended with its last frame. */
  #goThrough(index: number, walk: SegmentWalk): boolean {
    const { extent, openBatch, stop } = walk;
    this.extents.push(extent);
    this.#isWhole &&= this.#goesOnWhole(index, walk);
    this.#chain.logId = walk.logId;
    if (extent.frames > 0) {
      if (openBatch === undefined) this.#openBatch = undefined;
      // A batch with which the segment begins may have begun in an earlier one.
      else if (openBatch.offset > 0) this.#openBatch = { index, ...openBatch };
      else this.#openBatch ??= { index, ...openBatch, lastLsn: this.lastLsn };
      for (const { offset, lsn } of walk.marks) this.#marks.push({ index, offset, lsn });
      this.syncedLsn = Math.max(this.syncedLsn, walk.syncedLsn);
      this.lastLsn = extent.lastLsn;
      this.#chain.expectedLsn = extent.lastLsn + 1;
      this.#chain.batchRemaining = walk.batchRemaining;
    }
    if (this.#isWhole && openBatch === undefined) this.whole = { count: index + 1, lastLsn: this.lastLsn };
    if (stop === undefined) return true;
    const { offset, lsn, reason } = stop;
    if (reason === 'unknown-critical') this.unsupported = { index, offset, lsn };
    else this.fault = { index, offset, reason, lsn };
    return false;
  }

  #goesOnWhole(index: number, { first, stop, skipsInBatch }: SegmentWalk): boolean {
    if (first === undefined || stop !== undefined || skipsInBatch) return false;
    if (this.#chain.batchRemaining > 0 && first.skipped > 0) return false;
    return index === 0 || this.#files[index].number === this.#files[index - 1].number + 1;
  }

  #dropOpenBatch(): void {
    const batch = this.#openBatch;
    if (batch === undefined) return;
    this.batchStart = { index: batch.index, offset: batch.offset };
    this.lastLsn = batch.lastLsn;
    const kept = batch.index - this.from;
    this.extents[kept] = batch.extent;
    for (let at = kept + 1; at < this.extents.length; at++) this.extents[at] = NO_EXTENT;
  }
}
