import { BlockEntries } from '../../blocks/block-entries.js';
import { type ByteSource, type SegmentFile, withSource } from '../../format/bytes.js';
import { describeFault, frameChecksumSeed } from '../../format/frame.js';
import { FrameCursor } from '../../format/frame-cursor.js';
import { LogFailure } from '../errors/failure.js';
import { unreadableBlock } from '../errors/unreadable-block.js';
import { encodeShortened } from '../rewrite/shortened-block.js';
import { damaged, type StoredSegment } from './chain.js';

/** Where the restored log ends: right after entry `lsn`, at the end of a batch or outside of one. `offset` is where its frame ends. */
export interface CutPlace {
  /** Index of the segment. */
  readonly index: number;
  readonly offset: number;
  /** What stands there instead of a block that has later entries too: the frame with those up to `lsn`. */
  readonly rest: Uint8Array | undefined;
  readonly lsn: number;
  /** The last time stamp up to there; 0 = there is none, or no time was asked for. */
  readonly timeMs: number;
}

/** The entries that the restored log will contain. */
export type Wanted = { readonly lsn: number } | { readonly beforeMs: number };

/**
 * The last place at which the log may end so that it has no entry above `lsn`, and no part of a batch.
 *
 * @returns `undefined`: there is none, since the log begins after it or inside a batch
 */
export function placeOfLsn(
  files: readonly SegmentFile[],
  segments: readonly StoredSegment[],
  logId: bigint,
  lsn: number,
): CutPlace | undefined {
  const holder = segments.findLastIndex(({ firstLsn }) => firstLsn <= lsn);
  // A batch may have begun in an earlier segment.
  for (let index = holder; index >= 0; index -= 1) {
    const walk = new EndsOfBatches(segments, logId);
    walk.through(files, index, ({ frameLsn }) => frameLsn > lsn, lsn);
    if (walk.last !== undefined) return walk.last;
  }
  return undefined;
}

/**
 * The last place at which the log may end so that every entry was written before that time: before the first frame with a time stamp
 * at or after it. A clock that was set back makes the log end earlier, never later.
 *
 * @returns as [placeOfLsn]; `hasStamps`: false = no frame says when it was written
 */
export function placeOfTime(
  files: readonly SegmentFile[],
  segments: readonly StoredSegment[],
  logId: bigint,
  beforeMs: number,
): { readonly place: CutPlace | undefined; readonly hasStamps: boolean } {
  const walk = new EndsOfBatches(segments, logId);
  let hasStamps = false;
  for (const index of files.keys()) {
    const isOver = walk.through(files, index, ({ timeMs }) => {
      hasStamps ||= timeMs > 0;
      return timeMs >= beforeMs;
    });
    if (isOver) break;
  }
  return { place: walk.last, hasStamps };
}

interface SeenFrame {
  /** Of its last entry. */
  readonly frameLsn: number;
  /** 0 = it has no stamp. */
  readonly timeMs: number;
}

/** Walks frames, each of which is checked, and notes the last place where no batch is open. */
class EndsOfBatches {
  last: CutPlace | undefined;
  readonly #segments: readonly StoredSegment[];
  readonly #cursor = new FrameCursor();
  #timeMs = 0;

  constructor(segments: readonly StoredSegment[], logId: bigint) {
    this.#segments = segments;
    this.#cursor.start({ logId: logId === 0n ? undefined : logId, expectedLsn: 0, batchRemaining: 0 });
  }

  /**
   * True: `isBeyond` was true of a frame, and the walk stopped before it. `lsn`: of a block that goes beyond it the entries up to there
   * count.
   */
  through(
    files: readonly SegmentFile[],
    index: number,
    isBeyond: (frame: SeenFrame) => boolean,
    lsn = 0,
  ): boolean {
    const { number } = files[index] as SegmentFile;
    return withSource(files[index] as SegmentFile, (source) => {
      const cursor = this.#cursor.enter(source, number);
      const seen = { frameLsn: 0, timeMs: 0 };
      while (cursor.offset < source.size) {
        this.#check(index, source);
        const { lastLsn, timeMs, batchRemaining } = cursor.frame;
        seen.frameLsn = lastLsn;
        seen.timeMs = timeMs;
        if (isBeyond(seen)) {
          if (cursor.frame.lsn <= lsn) this.#endInside(index, lsn);
          return true;
        }
        cursor.pass();
        if (timeMs > 0) this.#timeMs = timeMs;
        if (batchRemaining > 0) continue;
        this.last = { index, offset: cursor.offset, rest: undefined, lsn: lastLsn, timeMs: this.#timeMs };
      }
      return false;
    });
  }

  /** The block at the cursor holds entries up to `lsn` and later ones. */
  #endInside(index: number, lsn: number): void {
    const { frame, offset } = this.#cursor;
    const entries = BlockEntries.of(this.#cursor);
    if (typeof entries !== 'object') {
      const piece = this.#pieceAt(index, offset);
      const place = { path: piece?.path ?? '', offset: offset - (piece?.offset ?? 0), lsn: frame.lsn };
      throw unreadableBlock(entries ?? 'damaged', `Cannot restore up to entry ${lsn}`, place);
    }
    const count = entries.wholeUpTo(lsn - frame.lsn + 1);
    // The batch may have begun in an earlier block.
    if (count === 0) return;
    const { number } = this.#segments[index] as StoredSegment;
    const site = { checksumSeed: this.#checksumSeed(number), fileOffset: offset, segment: frame.segment };
    const rest = encodeShortened(frame, entries, count, site);
    const timeMs = frame.timeMs > 0 ? frame.timeMs : this.#timeMs;
    this.last = { index, offset, rest, lsn: frame.lsn + count - 1, timeMs };
  }

  #checksumSeed(number: number): number {
    const { logId } = this.#cursor;
    // A frame with a Block is valid only in a log that has an id.
    if (logId === undefined) throw new Error('a block was found valid in a log without an id');
    return frameChecksumSeed(logId, number);
  }

  #pieceAt(index: number, offset: number): StoredSegment['pieces'][number] | undefined {
    const { pieces } = this.#segments[index] as StoredSegment;
    return pieces.findLast((each) => each.offset <= offset) ?? pieces[0];
  }

  #check(index: number, source: ByteSource): void {
    const cursor = this.#cursor;
    const { offset, expectedLsn } = cursor;
    const fault = cursor.check();
    if (fault === undefined && cursor.frame.unknownCritical === 0) return;
    const piece = this.#pieceAt(index, offset);
    const path = piece?.path ?? '';
    if (fault === undefined) {
      throw new LogFailure(
        'ERR_WAL_UNSUPPORTED',
        `Cannot read entry ${cursor.frame.lsn} in "${path}": a later version wrote it. Restore it with that version.`,
        { path, offset: offset - (piece?.offset ?? 0), lsn: cursor.frame.lsn },
      );
    }
    const what = expectedLsn === 0 ? 'an entry' : `entry ${expectedLsn}`;
    throw damaged(
      path,
      `${what} at byte ${offset - (piece?.offset ?? 0)} of ${source.size} cannot be read: ${describeFault(fault)}`,
    );
  }
}
