/**
 * Writes a run of segments anew as one segment, without the entries to drop, beside the log.
 *
 *   source frames   wal-3: a b c d    wal-4: e f g        without c, e and g
 *   new frames      wal-3: a b d f                        d: skipped 1; f: skipped 1, last_lsn = g's; a: last_number 4
 *
 *   - Every LSN of the sources is accounted for: `skipped` stands for those before a frame, `last_lsn` of the last frame for those
 *     after it.
 *   - A plain frame that follows its predecessor is copied. All others are made anew, since frame_crc binds a frame to its place.
 *   - The time stamp of a frame that goes, and its Segment (branch, resolution of the stamps), move to the next frame that stays.
 *   - At least every 256 KiB stands a head, by which a repair finds its way after damage.
 *
 * Every frame of the sources is checked whole, blocks too. A source that is damaged, or that changes meanwhile, is an error.
 */

import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { BlockEntries } from '../../blocks/block-entries.js';
import type { Disk } from '../../files/disk.js';
import type { ByteSource } from '../../format/bytes.js';
import { closeDataChecksum, describeFault, type Frame, type SegmentStamp } from '../../format/frame.js';
import { FrameCursor } from '../../format/frame-cursor.js';
import type { LsnSet } from '../../format/lsn-set.js';
import { segmentName } from '../../format/segment-name.js';
import { LatestTime } from '../../format/time-walk.js';
import type { JobControl } from '../../protocol/job-control.js';
import { checkStop } from '../backup/copy-file.js';
import { openSource } from '../directory/log-listing.js';
import { unreadableBlock } from '../errors/unreadable-block.js';
import type { AsideWriter } from './aside-writer.js';
import { EntryDigest } from './digest.js';
import { type KeptPiece, keptOf, piecesOf } from './kept-entries.js';
import { damaged } from './survey-garbage.js';

/** Bytes between two heads at most, unless a frame is larger. */
const HEAD_SPACING_BYTES = 256 * 1024;

/** Bytes of the sources after which the job looks whether it is to stop, where nothing is written. */
const CHECK_BYTES = 4 * 1024 * 1024;

export interface RunToWrite {
  readonly directory: string;
  readonly logId: bigint;
  /** Ascending; the new segment has the number of the first one. */
  readonly segments: readonly number[];
  readonly lastNumber: number;
  readonly drop: LsnSet;
  /** Of the new segment. */
  readonly createdMs: number;
}

export interface WrittenRun {
  /** 0 = no entry is left. */
  readonly firstLsn: number;
  readonly skipped: number;
  /** Where the log goes on: the LSN after the last one that the sources account for. */
  readonly nextLsn: number;
  readonly latestMs: number | undefined;
  readonly bytesRead: number;
  readonly droppedEntries: number;
  readonly digest: EntryDigest;
}

/** What the next frame that is kept must say besides what it says itself. */
interface Due {
  /** The time stamp of the last frame with one that went; 0 = there was none. */
  timeMs: number;
  /** A Segment went. */
  segment: boolean;
}

/** @throws LogFailure ERR_WAL_CORRUPT, ERR_WAL_UNSUPPORTED; the system's error; StopRequest */
export function writeRun(disk: Disk, run: RunToWrite, target: AsideWriter, control: JobControl): WrittenRun {
  const writer = new RunWriter(run, target);
  const cursor = new FrameCursor().start({ logId: run.logId, expectedLsn: 0, batchRemaining: 0 });
  let bytesRead = 0;
  for (const number of run.segments) {
    const path = join(run.directory, segmentName(number));
    const source = openSource(disk, path);
    try {
      cursor.enter(source, number);
      let nextCheck = 0;
      for (;;) {
        const { offset, expectedLsn } = cursor;
        if (offset >= nextCheck) {
          checkStop(control);
          nextCheck = offset + CHECK_BYTES;
        }
        const outcome = cursor.next();
        if (outcome === 'end') break;
        if (outcome !== undefined)
          throw damaged(run.directory, number, offset, expectedLsn, describeFault(outcome));
        writer.take(cursor, source, offset, path);
      }
      bytesRead += source.size;
    } finally {
      source.close?.();
    }
  }
  return { ...writer.finish(disk, cursor.expectedLsn), bytesRead };
}

class RunWriter {
  readonly #run: RunToWrite;
  readonly #target: AsideWriter;
  readonly #digest = new EntryDigest();
  readonly #latest = new LatestTime();
  /** The LSN that follows those that the new frames account for; 0 = no source frame was taken yet. */
  #nextLsn = 0;
  #firstLsn = 0;
  #skipped = 0;
  #dropped = 0;
  #lastHeadAt = 0;
  /** Of the frames of the sources, from the last Segment on. */
  #branch = 0n;
  #timeResolutionMs: number | undefined;
  #previousLatestMs: number | undefined;
  readonly #due: Due = { timeMs: 0, segment: false };
  /** The last entry of the batch that was met last, of those that go over several frames. */
  #batchEnd = 0;
  #isBatchBroken = false;

  constructor(run: RunToWrite, target: AsideWriter) {
    this.#run = run;
    this.#target = target;
  }

  /** The frame that `cursor` went past, which begins at `offset` of `source`. */
  take(cursor: FrameCursor, source: ByteSource, offset: number, path: string): void {
    const { frame } = cursor;
    const { lsn, lastLsn, segment, skipped } = frame;
    const isFirstOfAll = this.#nextLsn === 0;
    if (isFirstOfAll) this.#nextLsn = lsn - skipped;
    if (segment !== undefined) {
      this.#branch = segment.branch;
      this.#timeResolutionMs = segment.timeResolutionMs;
      if (isFirstOfAll) this.#previousLatestMs = segment.previousLatestMs;
    }
    const dropped = this.#run.drop.countIn(lsn, lastLsn);
    this.#dropped += dropped;
    if (dropped === lastLsn - lsn + 1) {
      this.#noteGone(frame);
      return;
    }
    const { block } = frame;
    if (block !== undefined) this.#takeBlock(cursor, { offset, path }, dropped);
    else this.#takePlain(cursor, source, offset);
    this.#settleDue();
  }

  #settleDue(): void {
    this.#due.segment = false;
    this.#due.timeMs = 0;
  }

  #noteGone({ timeMs, segment }: Frame): void {
    if (timeMs > 0) this.#due.timeMs = timeMs;
    if (segment === undefined) return;
    // From here on the times are not known, unless the Segment has a stamp beside it.
    if (segment.lastLsn === undefined) this.#due.timeMs = timeMs;
    this.#due.segment = true;
  }

  #takePlain(cursor: FrameCursor, source: ByteSource, offset: number): void {
    const { frame } = cursor;
    const { lsn, byteLength, crc, extended } = frame;
    this.#digest.add(lsn, crc);
    const isCopied =
      !extended &&
      this.#firstLsn !== 0 &&
      lsn === this.#nextLsn &&
      this.#due.timeMs === 0 &&
      !this.#due.segment &&
      !this.#isHeadDue;
    if (isCopied) {
      this.#target.addPlain(source.read(offset, byteLength));
      this.#nextLsn = lsn + 1;
      return;
    }
    const isBroken = this.#isBroken(lsn, frame.lastLsn, frame.batchRemaining);
    const batchRemaining = isBroken ? 0 : frame.batchRemaining;
    const data = cursor.readData();
    this.#add(frame, { lsn, lastLsn: lsn, data, batchRemaining, block: undefined }, crc);
  }

  #takeBlock(
    cursor: FrameCursor,
    { offset, path }: { readonly offset: number; readonly path: string },
    dropped: number,
  ): void {
    const { frame } = cursor;
    const { lsn, lastLsn, batchRemaining, block } = frame;
    const entries = BlockEntries.of(cursor);
    if (block === undefined || entries === undefined || typeof entries === 'string')
      throw unreadableBlock(typeof entries === 'string' ? entries : 'damaged', 'Cannot compact', {
        path,
        offset,
        lsn,
      });
    const isBroken = this.#isBroken(lsn, lastLsn, batchRemaining);
    if (dropped === 0 && !isBroken) {
      for (let index = 0; index < entries.count; index++)
        this.#digest.add(lsn + index, checksumOf(entries.data(index), lsn + index));
      this.#add(frame, { lsn, lastLsn, data: cursor.readData(), batchRemaining, block });
      return;
    }
    const kept = keptOf(entries, lsn, this.#run.drop, isBroken);
    for (const entry of kept) this.#digest.add(entry.lsn, checksumOf(entry.data, entry.lsn));
    for (const [at, piece] of piecesOf(kept, block).entries()) {
      this.#add(at === 0 ? frame : undefined, piece);
      this.#settleDue();
    }
  }

  /** An entry of the batch that the frame is part of goes: one of those before it, in it or after it. */
  #isBroken(lsn: number, lastLsn: number, batchRemaining: number): boolean {
    const { drop } = this.#run;
    if (this.#batchEnd < lsn) {
      // Outside a batch: the frame begins one, or is no part of any that goes over several frames.
      this.#batchEnd = batchRemaining === 0 ? 0 : lastLsn + batchRemaining;
      this.#isBatchBroken = batchRemaining > 0 && drop.meets(lsn, this.#batchEnd);
    }
    return this.#batchEnd >= lsn && this.#isBatchBroken;
  }

  get #isHeadDue(): boolean {
    return this.#target.offset - this.#lastHeadAt >= HEAD_SPACING_BYTES;
  }

  /** `frame`: the one that the piece comes from, if it is the first piece of it. */
  #add(
    frame: Frame | undefined,
    { lsn, lastLsn, data, batchRemaining, block }: KeptPiece,
    crc?: number,
  ): void {
    const isFirst = this.#firstLsn === 0;
    const skipped = lsn - this.#nextLsn;
    // One that is there for its last_lsn says nothing of time, nor of a branch.
    const ownSegment = frame?.segment !== undefined && frame.segment.lastLsn === undefined;
    const ownMs = frame?.timeMs ?? 0;
    const timeMs = ownMs === 0 && !ownSegment ? this.#due.timeMs : ownMs;
    const hasSegment = isFirst || ownSegment || this.#due.segment;
    const isHead = isFirst || block !== undefined || this.#isHeadDue;
    if (isHead) this.#lastHeadAt = this.#target.offset;
    const segment = hasSegment ? this.#stamp(isFirst) : undefined;
    this.#target.addFrame({
      lsn,
      data,
      crc,
      batchRemaining,
      skipped,
      timeMs,
      // Everything that is written anew was durable before.
      syncedLsn: isHead ? lsn - 1 : undefined,
      segment,
      block,
    });
    this.#latest.see({ timeMs, segment });
    if (isFirst) {
      this.#firstLsn = lsn;
      this.#skipped = skipped;
    }
    this.#nextLsn = lastLsn + 1;
  }

  #stamp(isFirst: boolean): SegmentStamp {
    const { logId, segments, lastNumber, createdMs } = this.#run;
    const number = segments[0] as number;
    return {
      logId,
      number,
      createdMs,
      recycled: false,
      branch: this.#branch,
      timeResolutionMs: this.#timeResolutionMs,
      previousLatestMs: isFirst ? this.#previousLatestMs : undefined,
      lastNumber: isFirst && lastNumber > number ? lastNumber : undefined,
    };
  }

  /** `nextLsn`: after the last LSN that the sources account for. */
  finish(disk: Disk, nextLsn: number): Omit<WrittenRun, 'bytesRead'> {
    // The segments of such a batch are written anew together, or not at all.
    if (this.#isBatchBroken && this.#batchEnd >= nextLsn)
      throw new Error(`the batch that ends with entry ${this.#batchEnd} goes on in a segment that stays`);
    if (this.#firstLsn !== 0 && this.#nextLsn < nextLsn) this.#accountTo(disk, nextLsn - 1);
    return {
      firstLsn: this.#firstLsn,
      skipped: this.#skipped,
      nextLsn,
      latestMs: this.#latest.ms,
      droppedEntries: this.#dropped,
      digest: this.#digest,
    };
  }

  /** Writes the last frame once more: it stands for the LSNs up to `lastLsn`. */
  #accountTo(disk: Disk, lastLsn: number): void {
    const target = this.#target;
    const { logId, segments } = this.#run;
    const number = segments[0] as number;
    target.flush();
    const source = openSource(disk, target.path);
    try {
      const cursor = new FrameCursor().start({ logId, expectedLsn: 0, batchRemaining: 0 });
      const fault = cursor.enter(source, number).seek(target.lastFrameAt).check();
      if (fault !== undefined) throw new Error(`the frame that was written last is not valid: ${fault}`);
      const { lsn, syncedLsn, timeMs, skipped, segment, block } = cursor.frame;
      const data = cursor.readData();
      target.dropLast();
      target.addFrame({
        lsn,
        data,
        skipped,
        timeMs,
        syncedLsn: syncedLsn < 0 ? undefined : syncedLsn,
        segment: { ...(segment ?? this.#stamp(false)), lastLsn },
        block,
      });
    } finally {
      source.close?.();
    }
  }
}

function checksumOf(data: Uint8Array, lsn: number): number {
  return closeDataChecksum(crc32(data), lsn);
}
