import { crc32 } from 'node:zlib';
import { encodeFrameAround, encodeHeadFields } from '../../format/encode.js';
import { createRun, type Run } from '../../ring/kernel/kernel.js';
import { SEGMENT_FIELD_START } from '../../ring/layout.js';
import type { WriterLane } from '../intake/writer-lane.js';
import type { BlockFramer } from './block-framer.js';
import type { FramePlace, Group } from './group.js';

/**
 * Bytes of frames that one write call hands over, unless a single frame is longer. Bet: large enough for the file system to copy
 * in large pieces, small enough that most of staging is still in the L2 cache when the system copies it
 * (bench/workloads/fire-and-forget.ts: a fifth more entries of 4 and 64 KiB a second than with 256 KiB, and slightly more small
 * ones).
 */
const GROUP_BYTES = 1024 * 1024;

/**
 * Makes groups of what a lane holds: assigns the LSNs and frames the entries for the place where they will be written. A frame is
 * valid only at its place, so a group that does not fit into a segment is framed again for the next one.
 *
 * A batch may take several groups and span segments.
 */
export class Framer {
  readonly #run: Run = createRun();
  /** Tried first; `undefined`: every entry has a frame of its own. */
  readonly #blocks: BlockFramer | undefined;
  /** Entries of a batch of parts that are still to be framed. */
  #partsRemaining = 0;
  /** Some entry of the unfinished batch of the run is framed. */
  #hasBegunBatch = false;

  constructor(blocks: BlockFramer | undefined) {
    this.#blocks = blocks;
  }

  /** Has a batch begun that is not finished? Then only its lane may be drained. */
  get insideBatch(): boolean {
    return this.#run.batchRemaining > 0 || this.#partsRemaining > 0;
  }

  /** Gives up the unfinished batch, if there is one. */
  reset(): void {
    this.#run.batchRemaining = 0;
    this.#partsRemaining = 0;
    this.#hasBegunBatch = false;
  }

  /**
   * Returns the next group of `lane`. `syncedLsn`: the watermark, for the first frame. `'segment-full'`: not even one frame fits
   * into the rest of the segment, which holds frames already. `'nothing'`: the lane has no entries up to its loaded head or to
   * the next request.
   */
  frame(lane: WriterLane, place: FramePlace, syncedLsn: number): Group | 'segment-full' | 'nothing' {
    const parts = lane.input.dueParts();
    if (parts !== undefined) {
      const found = this.#partsAsBlocks(lane, parts, place, syncedLsn);
      return found === 'plain' ? this.#frameParts(parts, place, syncedLsn) : found;
    }
    const run = this.#run;
    while (lane.input.nextRun(run)) {
      const found = this.#runAsBlocks(lane, place, syncedLsn);
      if (found !== 'plain') return found;
      const isFull = !this.#frameRun(lane, place, syncedLsn);
      if (isFull) return 'segment-full';
      if (run.entries > 0) return this.#groupOfRun(lane, place);
      // The run held only the word that begins a batch: the batch's entries are at the start of the ring.
      lane.input.release({ consumedTo: run.consumedTo, entries: 0 });
    }
    return 'nothing';
  }

  /** False: the next record's frame does not fit. */
  #frameRun({ views, kernel }: WriterLane, place: FramePlace, syncedLsn: number): boolean {
    const run = this.#run;
    const { batchRemaining } = run;
    const { stagingBytes } = views;
    const attempt = (maxEntries: number, bytes: number): boolean => {
      run.maxEntries = maxEntries;
      run.outEnd = views.stagingStart + bytes;
      kernel.frameRun(run);
      if (run.entries > 0 || run.stop !== 'out-full') return true;
      // No frame was made and nothing is released, so the kernel will meet the same BATCH word again.
      run.batchRemaining = batchRemaining;
      return false;
    };
    run.out = views.stagingStart;
    run.lsn = place.nextLsn;
    run.fileOffset = place.offset;
    run.checksumSeed = place.checksumSeed;
    run.syncedLsn = syncedLsn;
    run.segmentFieldAt = SEGMENT_FIELD_START;
    run.segmentFieldBytes = 0;
    if (place.timeMs > 0 || place.stamp !== undefined) {
      const fields = encodeHeadFields(place.timeMs, place.stamp);
      views.u8.set(fields, SEGMENT_FIELD_START);
      run.segmentFieldBytes = fields.length;
    }
    return (
      attempt(Math.min(ANY_NUMBER, place.lsnsLeft), Math.min(GROUP_BYTES, stagingBytes, place.room)) ||
      // The first frame alone is longer than a group, or than the rest of the segment.
      attempt(1, Math.min(stagingBytes, place.room)) ||
      // It is longer than a segment: it gets a segment of its own.
      (place.offset === 0 && attempt(1, stagingBytes))
    );
  }

  #runAsBlocks(lane: WriterLane, place: FramePlace, syncedLsn: number): Group | 'segment-full' | 'plain' {
    const continues = this.#hasBegunBatch;
    const found = this.#blocks?.frameRun(lane, this.#run, { place, syncedLsn, continues }) ?? 'plain';
    if (typeof found === 'string') return found;
    this.#run.batchRemaining = found.batchRemaining;
    this.#hasBegunBatch = found.batchRemaining > 0;
    return found.group;
  }

  #partsAsBlocks(
    lane: WriterLane,
    parts: readonly Uint8Array[],
    place: FramePlace,
    syncedLsn: number,
  ): Group | 'segment-full' | 'plain' {
    const continues = this.#partsRemaining > 0;
    const found = this.#blocks?.frameParts(lane, parts, { place, syncedLsn, continues }) ?? 'plain';
    if (typeof found === 'string') return found;
    this.#partsRemaining = found.batchRemaining;
    return found.group;
  }

  #groupOfRun({ views }: WriterLane, place: FramePlace): Group {
    const run = this.#run;
    // The word that begins a batch may be all that was taken of it.
    this.#hasBegunBatch = run.batchRemaining > 0 && run.wholeBatchEntries < run.entries;
    const { stagingStart } = views;
    return {
      pieces: [views.u8.subarray(stagingStart, run.outTo)],
      frameBytes: run.outTo - stagingStart,
      firstLsn: place.nextLsn,
      entries: run.entries,
      payloadBytes: run.payloadBytes,
      wholeEntries: run.wholeBatchEntries,
      wholeBytes: run.wholeBatchOutTo - stagingStart,
      consumedTo: run.consumedTo,
    };
  }

  /** Frames as many of `parts` as fit. Their bytes are written from where they are. */
  #frameParts(parts: readonly Uint8Array[], place: FramePlace, syncedLsn: number): Group | 'segment-full' {
    const pieces: Uint8Array[] = [];
    let payloadBytes = 0;
    let frameBytes = 0;
    let entries = 0;
    for (const data of parts) {
      if (entries === place.lsnsLeft) break;
      const isFirst = entries === 0;
      const lsn = place.nextLsn + entries;
      const { before, after } = encodeFrameAround({
        lsn,
        dataBytes: data.length,
        crc: crc32(Uint8Array.of(lsn % 256), crc32(data)),
        syncedLsn: isFirst ? syncedLsn : undefined,
        batchRemaining: parts.length - 1 - entries,
        timeMs: isFirst ? place.timeMs : 0,
        segment: isFirst ? place.stamp : undefined,
        checksumSeed: place.checksumSeed,
        fileOffset: place.offset + frameBytes,
      });
      const bytes = before.length + data.length + after.length;
      const isAlone = isFirst && place.offset === 0;
      if (frameBytes + bytes > place.room && !isAlone) break;
      pieces.push(before, data, after);
      frameBytes += bytes;
      payloadBytes += data.length;
      entries += 1;
    }
    if (entries === 0) return 'segment-full';
    this.#partsRemaining = parts.length - entries;
    const isWhole = this.#partsRemaining === 0;
    return {
      pieces,
      frameBytes,
      firstLsn: place.nextLsn,
      entries,
      payloadBytes,
      wholeEntries: isWhole ? entries : 0,
      wholeBytes: isWhole ? frameBytes : 0,
      consumedTo: 0,
    };
  }
}

const ANY_NUMBER = 0x7fff_ffff;
