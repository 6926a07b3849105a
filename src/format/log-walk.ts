/**
 * The chain of valid frames through the segments of a log, up to the first invalid frame or the end.
 *
 *   … | entry k | batch: 2 to come | 1 to come | invalid …
 *               ├ kept up to here              └ the fault
 *               └ the batch is not finished: it never happened, though its frames are valid
 */

import { type ByteSource, type SegmentFile, withSource } from './bytes.js';
import { type ChainContext, createChain, enterSegment } from './chain.js';
import type { Frame, FrameFault, SegmentStamp } from './frame.js';
import { FrameReader } from './frame-reader.js';
import type { Place } from './frame-search.js';
import { SegmentScanner } from './scan.js';

/** A frame's start is noted this often, so that an entry is found again without walking its whole segment. */
const MARK_BYTES = 1024 * 1024;

/** What is kept of one segment. */
export interface Extent {
  /** The first valid one. */
  stamp: SegmentStamp | undefined;
  /** 0 = no entry is kept. */
  firstLsn: number;
  lastLsn: number;
  frames: number;
  bytes: number;
}

interface Mark extends Place {
  readonly lsn: number;
}

interface BatchStart extends Place {
  readonly lastLsn: number;
  readonly extent: Extent;
}

/** Walks `files` from index `from` on. `logId`: `undefined` = the first Segment decides. */
export function walkLog(files: readonly SegmentFile[], from: number, logId: bigint | undefined): LogWalk {
  const walk = new LogWalk(files, from, logId);
  walk.run();
  return walk;
}

export class LogWalk {
  /** The index of the first segment that was walked. */
  readonly from: number;
  /** k: the last entry that is kept; 0 = none. */
  lastLsn = 0;
  /** What is kept, from segment `from` on. A segment that the walk did not come to has no extent. */
  readonly extents: Extent[] = [];
  /** The largest synced_lsn of a valid frame; -1 = there is none. */
  syncedLsn = -1;
  /** The first invalid frame, and the LSN it should have had; 0 = not known. */
  fault: (Place & { readonly reason: FrameFault; readonly lsn: number }) | undefined;
  /** Where the batch starts that was not finished. */
  batchStart: Place | undefined;
  /** The first valid frame with a critical field that is not known. Nothing behind it was looked at. */
  unsupported: (Place & { readonly lsn: number }) | undefined;

  readonly #files: readonly SegmentFile[];
  readonly #chain: ChainContext;
  readonly #marks: Mark[] = [];
  #openBatch: BatchStart | undefined;

  constructor(files: readonly SegmentFile[], from: number, logId: bigint | undefined) {
    this.#files = files;
    this.#chain = createChain(logId, -1);
    this.from = from;
  }

  /** Right behind entry k. */
  get end(): Place {
    const last = this.extents.findLastIndex((extent) => extent.frames > 0);
    return last < 0
      ? { index: this.from, offset: 0 }
      : { index: this.from + last, offset: this.extents[last].bytes };
  }

  /** The log's id, if anything names it. */
  get logId(): bigint | undefined {
    return this.#chain.logId;
  }

  run(): void {
    for (let index = this.from; index < this.#files.length; index++) {
      const goesOn = withSource(this.#files[index], (source) => this.#walkSegment(index, source));
      if (!goesOn) break;
      // The first frame of all may have any LSN, but not behind an empty segment, which has lost what stood before it.
      if (this.#chain.expectedLsn === 0) this.#chain.expectedLsn = 1;
    }
    this.#dropOpenBatch();
  }

  /** Where the first kept entry above `lsn` starts, of those that were walked. */
  firstAbove(lsn: number): Place | undefined {
    if (lsn >= this.lastLsn) return undefined;
    const index = this.from + this.extents.findIndex((extent) => extent.lastLsn > lsn);
    const mark = this.#marks.findLast((candidate) => candidate.index === index && candidate.lsn <= lsn);
    return withSource(this.#files[index], (source) => {
      const reader = new FrameReader();
      reader.open(source);
      let offset = mark?.offset ?? 0;
      while (reader.parseAt(offset) === undefined && reader.frame.lsn <= lsn)
        offset += reader.frame.byteLength;
      return { index, offset };
    });
  }

  /** Whether the segment ended with its last frame. */
  #walkSegment(index: number, source: ByteSource): boolean {
    const chain = this.#chain;
    const extent = createExtent();
    this.extents.push(extent);
    enterSegment(chain, this.#files[index].number);
    const scanner = new SegmentScanner(source, chain);
    let nextMark = 0;
    for (;;) {
      const offset = chain.fileOffset;
      const expectedLsn = chain.expectedLsn;
      const outcome = scanner.next();
      if (outcome === 'end') return true;
      if (outcome !== undefined) {
        this.fault = { index, offset, reason: outcome, lsn: expectedLsn };
        return false;
      }
      const { frame } = scanner;
      if (frame.unknownCritical !== 0) {
        this.unsupported = { index, offset, lsn: frame.lsn };
        return false;
      }
      if (offset >= nextMark) {
        this.#marks.push({ index, offset, lsn: frame.lsn });
        nextMark = offset + MARK_BYTES;
      }
      this.#keep(index, offset, frame, extent);
    }
  }

  #keep(index: number, offset: number, frame: Frame, extent: Extent): void {
    if (frame.syncedLsn > this.syncedLsn) this.syncedLsn = frame.syncedLsn;
    if (frame.batchRemaining > 0 && this.#openBatch === undefined) {
      this.#openBatch = { index, offset, lastLsn: this.lastLsn, extent: { ...extent } };
    }
    if (frame.segment !== undefined) extent.stamp ??= frame.segment;
    if (extent.frames === 0) extent.firstLsn = frame.lsn;
    extent.frames++;
    extent.lastLsn = frame.lsn;
    extent.bytes = offset + frame.byteLength;
    this.lastLsn = frame.lsn;
    if (frame.batchRemaining === 0) this.#openBatch = undefined;
  }

  #dropOpenBatch(): void {
    const batch = this.#openBatch;
    if (batch === undefined) return;
    this.batchStart = { index: batch.index, offset: batch.offset };
    this.lastLsn = batch.lastLsn;
    const kept = batch.index - this.from;
    this.extents[kept] = batch.extent;
    for (let at = kept + 1; at < this.extents.length; at++) this.extents[at] = createExtent();
  }
}

function createExtent(): Extent {
  return { stamp: undefined, firstLsn: 0, lastLsn: 0, frames: 0, bytes: 0 };
}
