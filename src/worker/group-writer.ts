import { crc32 } from 'node:zlib';
import { type Disk, takeRetries } from '../files/disk.js';
import { encodeFrameAround, encodeSegmentField } from '../format/encode.js';
import { MAX_LSN } from '../format/frame.js';
import type { Board } from '../ring/board.js';
import { createRun, type Run } from '../ring/kernel/kernel.js';
import { SEGMENT_FIELD_START } from '../ring/layout.js';
import { LogFailure } from './failure.js';
import type { Beside, LaneIntake } from './lane-intake.js';
import type { SegmentCatalog } from './segment-catalog.js';
import {
  type OpenSegment,
  type SegmentMark,
  SegmentWriter,
  type SegmentWriterOptions,
} from './segment-writer.js';

/**
 * Bytes of frames that one write call hands over, unless a single frame is longer. Bet: large enough that the file system
 * takes them in large pieces of its cache, small enough that most of staging is still in the L2 cache when the system copies it
 * (bench/workloads/fire-and-forget.ts: than with 256 KiB a fifth more entries of 4 and 64 KiB a second, and some more small ones).
 */
const GROUP_BYTES = 1024 * 1024;

/** What the group writer needs of whoever runs it. */
export interface GroupHost {
  /** Milliseconds of a clock that never goes back. */
  nowMs(): number;
  /** W, for `synced_lsn`. */
  watermark(): number;
  /** A segment is about to be created: none that is sealed may be left without a sync. */
  beforeAdvance(): void;
  /** `sealed` was the live segment, if there was one; `live` is now, and will begin with entry `firstLsn`. */
  advanced(sealed: OpenSegment | undefined, live: OpenSegment, firstLsn: number): void;
}

/**
 * Gives entries their LSNs and writes them: a group is what one write call hands to the system, the frames of one run
 * of one lane, in one segment.
 *
 * A batch may take several groups and span segments. Until its last frame is written nothing of it counts: `wholeLsn`
 * stays before it, and [takeBack] cuts it off again if the disk fills up in the middle.
 */
export class GroupWriter {
  readonly #segments: SegmentWriter;
  readonly #options: SegmentWriterOptions;
  readonly #catalog: SegmentCatalog;
  readonly #host: GroupHost;
  readonly #board: Board;
  readonly #run: Run = createRun();
  #nextLsn: number;
  #wholeLsn: number;
  #wholeMark: SegmentMark;
  /** What the write calls of the group under way took. */
  #writeMs = 0;

  constructor(
    disk: Disk,
    catalog: SegmentCatalog,
    options: SegmentWriterOptions,
    lastLsn: number,
    host: GroupHost,
    board: Board,
  ) {
    this.#segments = new SegmentWriter(disk, catalog, options);
    this.#options = options;
    this.#catalog = catalog;
    this.#host = host;
    this.#board = board;
    this.#nextLsn = lastLsn + 1;
    this.#wholeLsn = lastLsn;
    this.#wholeMark = this.#segments.mark;
  }

  /** The tail of the log in files. */
  get segments(): SegmentWriter {
    return this.#segments;
  }

  /** Last LSN written that is not inside an unfinished batch. */
  get wholeLsn(): number {
    return this.#wholeLsn;
  }

  /** Is a batch begun and not finished? Then only its lane may be drained. */
  get insideBatch(): boolean {
    return this.#run.batchRemaining > 0;
  }

  /**
   * Writes one group of the lane's records, from its ring or from a message that brings some; none if there are none up to its
   * loaded head or the message due next.
   *
   * @throws the system's error of a write or of creating a segment
   */
  writeRun(lane: LaneIntake): void {
    const run = this.#run;
    if (!lane.nextRun(run)) return;
    const { u8, stagingStart, stagingBytes } = lane.views;
    const segment = this.#ensureLive();
    run.maxEntries = Math.min(0x7fff_ffff, this.#lsnsLeft());
    run.outEnd = stagingStart + Math.min(GROUP_BYTES, stagingBytes, this.#segments.room);
    this.#frame(lane, segment);
    if (run.entries === 0 && run.stop === 'out-full') {
      // The first frame alone is longer than what is left of the group, or of the segment.
      run.maxEntries = 1;
      run.outEnd = stagingStart + Math.min(stagingBytes, this.#segments.room);
      this.#frame(lane, segment);
    }
    if (run.entries === 0 && run.stop === 'out-full') {
      const fresh = segment.record.bytes === 0 ? segment : this.#advance();
      run.outEnd = stagingStart + stagingBytes;
      this.#frame(lane, fresh);
      if (run.entries === 0) throw new Error('a record does not fit into staging');
    }
    if (run.entries === 0) {
      // Only the word that begins a batch stood before the end of the ring: its entries are at the start.
      lane.release(run.consumedTo);
      this.writeRun(lane);
      return;
    }
    const frameBytes = run.outTo - stagingStart;
    const startedMs = this.#host.nowMs();
    this.#segments.write(u8, stagingStart, run.outTo, this.#nextLsn);
    this.#writeMs += this.#host.nowMs() - startedMs;
    this.#countGroup(run.entries, run.payloadBytes, frameBytes);
    lane.release(run.consumedTo);
    this.#count(lane, run.wholeBatchEntries, run.outTo - run.wholeBatchOutTo);
    this.#nextLsn += run.entries - run.wholeBatchEntries;
    lane.noteWritten(run.entries - run.wholeBatchEntries, this.#nextLsn - 1, false);
  }

  /**
   * Writes an entry or a batch that came beside the ring.
   *
   * @throws as [writeRun]
   */
  writeBeside(lane: LaneIntake, message: Beside): void {
    const parts = message.kind === 'entry' ? [message.data] : message.parts;
    let payloadBytes = 0;
    let frameBytes = 0;
    parts.forEach((part, at) => {
      frameBytes += this.#writeAlone(part, parts.length - 1 - at, at === 0);
      payloadBytes += part.length;
    });
    this.#countGroup(parts.length, payloadBytes, frameBytes);
    this.#nextLsn -= parts.length;
    this.#count(lane, parts.length, 0);
  }

  /**
   * Takes the log back behind the last finished batch: cuts a half-written group, an unfinished batch and the segments
   * that were created for it. Returns the numbers of segments that are gone.
   *
   * @throws LogFailure if that cannot be done durably; the log must end then
   */
  takeBack(): number[] {
    this.#run.batchRemaining = 0;
    this.#writeMs = 0;
    const withdrawn = this.#segments.takeBack(this.#wholeMark);
    this.#nextLsn = this.#wholeLsn + 1;
    this.#publish();
    return withdrawn;
  }

  #frame(lane: LaneIntake, segment: OpenSegment): void {
    const run = this.#run;
    const stamp = this.#segments.dueStamp();
    run.out = lane.views.stagingStart;
    run.lsn = this.#nextLsn;
    run.fileOffset = segment.record.bytes;
    run.checksumSeed = segment.checksumSeed;
    run.syncedLsn = this.#host.watermark();
    run.segmentFieldAt = SEGMENT_FIELD_START;
    run.segmentFieldBytes = 0;
    if (stamp !== undefined) {
      const field = encodeSegmentField(stamp);
      lane.views.u8.set(field, SEGMENT_FIELD_START);
      run.segmentFieldBytes = field.length;
    }
    const { batchRemaining } = run;
    lane.kernel.frameRun(run);
    // Nothing was made and nothing is released: a BATCH word that was consumed is met again.
    if (run.entries === 0 && run.stop === 'out-full') run.batchRemaining = batchRemaining;
  }

  /** Writes one frame around `data`, straight from where it lies, and answers the frame's bytes. */
  #writeAlone(data: Uint8Array, batchRemaining: number, opensGroup: boolean): number {
    this.#lsnsLeft();
    let segment = this.#ensureLive();
    let frame = this.#encodeAround(segment, data, batchRemaining, opensGroup);
    if (frame.byteLength > this.#segments.room && segment.record.bytes > 0) {
      segment = this.#advance();
      frame = this.#encodeAround(segment, data, batchRemaining, true);
    }
    const startedMs = this.#host.nowMs();
    this.#segments.writeParts([frame.before, data, frame.after], this.#nextLsn);
    this.#writeMs += this.#host.nowMs() - startedMs;
    this.#nextLsn += 1;
    return frame.byteLength;
  }

  #encodeAround(
    segment: OpenSegment,
    data: Uint8Array,
    batchRemaining: number,
    opensGroup: boolean,
  ): { before: Uint8Array; after: Uint8Array; byteLength: number } {
    const stamp = this.#segments.dueStamp();
    const { before, after } = encodeFrameAround({
      lsn: this.#nextLsn,
      dataBytes: data.length,
      crc: crc32(Uint8Array.of(this.#nextLsn % 256), crc32(data)),
      syncedLsn: opensGroup ? this.#host.watermark() : undefined,
      batchRemaining,
      segment: stamp,
      checksumSeed: segment.checksumSeed,
      fileOffset: segment.record.bytes,
    });
    return { before, after, byteLength: before.length + data.length + after.length };
  }

  /**
   * How many LSNs there are, at least one. Only a log whose frames say that LSNs were skipped comes near the end of them.
   *
   * @throws LogFailure: there is none, and a frame with a larger one could not be read
   */
  #lsnsLeft(): number {
    const left = MAX_LSN - this.#nextLsn + 1;
    if (left > 0) return left;
    const { directory } = this.#options;
    throw new LogFailure(
      'ERR_WAL_UNSUPPORTED',
      `Cannot append to "${directory}": its last LSN is ${MAX_LSN}, the largest there is. Append to a new log.`,
      { path: directory, lsn: MAX_LSN },
    );
  }

  #ensureLive(): OpenSegment {
    return this.#segments.live ?? this.#advance();
  }

  #advance(): OpenSegment {
    this.#host.beforeAdvance();
    const sealed = this.#segments.live;
    const live = this.#segments.advance();
    if (sealed !== undefined) this.#board.add('rotations', 1);
    // Nothing of it is written yet: taking back to here leaves an empty segment, which is as good as none.
    if (!this.insideBatch && this.#nextLsn === this.#wholeLsn + 1) this.#wholeMark = this.#segments.mark;
    this.#host.advanced(sealed, live, this.#nextLsn);
    return live;
  }

  /** `entries` whole ones of `lane` are written; `bytesBehind` of an unfinished batch stand behind them. */
  #count(lane: LaneIntake, entries: number, bytesBehind: number): void {
    if (entries === 0) return;
    this.#nextLsn += entries;
    this.#wholeLsn = this.#nextLsn - 1;
    const { number, offset } = this.#segments.mark;
    this.#wholeMark = { number, offset: offset - bytesBehind };
    this.#publish();
    lane.noteWritten(entries, this.#wholeLsn, true);
  }

  /** Before anybody is told: who has its LSN finds an entry in the figures. */
  #countGroup(entries: number, payloadBytes: number, frameBytes: number): void {
    this.#board.add('entries', entries);
    this.#board.add('payloadBytes', payloadBytes);
    this.#board.add('frameBytes', frameBytes);
    this.#board.add('groups', 1);
    this.#board.groupEntries.record(entries);
    this.#board.writeMicros.record(this.#writeMs * 1000);
    this.#writeMs = 0;
    const retries = takeRetries();
    if (retries > 0) this.#board.add('retries', retries);
  }

  /** Before anybody is told of an entry: who has its LSN finds it within the log's bounds. */
  #publish(): void {
    if (this.#board.get('firstLsn') === 0) this.#board.set('firstLsn', this.#catalog.firstLsn);
    this.#board.set('lastLsn', this.#wholeLsn);
    this.#board.set('liveBytes', this.#wholeMark.offset);
  }
}
