/**
 * What can still be read of a damaged log: whole batches and single entries, in order, whatever stands between them.
 *
 *   … | entry | entry | damage … | head, entry | entry | 2 to come | damage … | head, …
 *     └── kept ──────┘           └── kept ──────────┘└── dropped ─┘
 *
 * Behind damage the scan takes up again only at a head, or at the start of a segment: these prove themselves, other
 * bytes that look like a frame may be a payload. A head inside a batch cannot show that the batch is whole, so the
 * rest of that batch is dropped. Its last frame alone looks like an entry of its own; the ones before it tell, which
 * all have a frame_crc and say how many are to come, even where their data is damaged.
 *
 * LSNs only grow: what comes again is passed over. An interrupted salvage leaves frames where they were and once more
 * further down, which may begin and end inside a batch; the batch goes on behind them.
 *
 *   … | 6 to come | 5 to come | 4 to come | 5 to come | 4 to come | 3 to come | …
 *       └── moved down already ─────────┘ └── again ──────────┘ └── goes on
 */

import { type ByteSource, type SegmentFile, withSource } from './bytes.js';
import { type ChainContext, createChain, enterSegment, followFrame } from './chain.js';
import { SIZE_WORD_BYTES, TAG } from './frame.js';
import { FrameReader } from './frame-reader.js';
import type { WholeSegments } from './log-walk.js';

/** A frame that is kept, where it stands now. */
export interface KeptFrame {
  /** n of the segment it stands in. */
  readonly segment: number;
  readonly offset: number;
  readonly byteLength: number;
  readonly lsn: number;
  readonly skipped: number;
  readonly batchRemaining: number;
}

/** A valid frame with a critical field that is not known. */
export interface UnsupportedFrame {
  readonly segment: number;
  readonly offset: number;
  readonly lsn: number;
}

/**
 * Calls `keep` with the frames of each entry or whole batch that can be read, oldest first. Ends at the first frame that
 * must be neither cut nor written anew, and answers it. What stands in `whole` segments is neither read nor handed out: all
 * of it is kept.
 */
export function salvageFrames(
  files: readonly SegmentFile[],
  logId: bigint | undefined,
  keep: (frames: readonly KeptFrame[]) => void,
  whole: WholeSegments = { count: 0, lastLsn: 0 },
): UnsupportedFrame | undefined {
  const scan = new SalvageScan(logId, keep);
  if (whole.count > 0) scan.takeUpBehind(files[whole.count - 1].number, whole.lastLsn);
  for (const file of files.slice(whole.count)) {
    withSource(file, (source) => scan.readSegment(file.number, source));
    if (scan.unsupported !== undefined) break;
  }
  return scan.unsupported;
}

class SalvageScan {
  readonly #keep: (frames: readonly KeptFrame[]) => void;
  readonly #reader = new FrameReader();
  readonly #chain: ChainContext;
  /** The next frame has no predecessor that could be read. */
  #isLost = false;
  /** The frames of a batch whose end is still to come. */
  #batch: KeptFrame[] = [];
  #lastLsn = 0;
  /** The last entry of a batch of which something cannot be read. */
  #brokenBatchEnd = 0;
  unsupported: UnsupportedFrame | undefined;

  constructor(logId: bigint | undefined, keep: (frames: readonly KeptFrame[]) => void) {
    this.#keep = keep;
    this.#chain = createChain(logId, -1);
  }

  /** Goes on as behind a segment that ended with entry `lastLsn`, outside any batch. */
  takeUpBehind(number: number, lastLsn: number): void {
    this.#chain.number = number;
    this.#chain.expectedLsn = lastLsn + 1;
    this.#lastLsn = lastLsn;
  }

  readSegment(number: number, source: ByteSource): void {
    const chain = this.#chain;
    const isFirst = chain.number < 0;
    const follows = isFirst || number === chain.number + 1;
    enterSegment(chain, number);
    this.#reader.open(source);
    // The log itself may begin inside a batch, where retention ended; behind a segment that is empty nothing tells.
    if (!follows || (!isFirst && chain.expectedLsn === 0)) this.#loseTrack();
    while (chain.fileOffset < source.size && this.unsupported === undefined) {
      if (this.#takeFrame() || this.#takeUpAgain()) continue;
      this.#loseTrack();
      return;
    }
  }

  #loseTrack(): void {
    this.#dropBatch();
    this.#isLost = true;
    this.#chain.expectedLsn = 0;
    this.#chain.batchRemaining = 0;
  }

  #dropBatch(): void {
    const last = this.#batch.at(-1);
    if (last !== undefined) this.#noteBrokenBatch(last);
    this.#batch = [];
  }

  #noteBrokenBatch({ lsn, batchRemaining }: Pick<KeptFrame, 'lsn' | 'batchRemaining'>): void {
    this.#brokenBatchEnd = Math.max(this.#brokenBatchEnd, lsn + batchRemaining);
  }

  /** Goes past the frame at the place of the chain; false = it does not belong there. */
  #takeFrame(): boolean {
    const chain = this.#chain;
    const { frame } = this.#reader;
    const offset = chain.fileOffset;
    if (this.#reader.parseAt(offset) !== undefined || this.#reader.validate(chain) !== undefined)
      return false;
    const { byteLength, lsn, skipped, batchRemaining } = frame;
    if (frame.unknownCritical !== 0) {
      this.unsupported = { segment: chain.number, offset, lsn };
      return true;
    }
    if (lsn <= this.#lastTakenLsn) {
      this.#isLost = false;
      followFrame(chain, frame);
      return true;
    }
    // It may be in the middle of its batch, or the end of one.
    if (this.#isLost && (batchRemaining > 0 || lsn <= this.#brokenBatchEnd)) return false;
    const isInBatch = chain.batchRemaining > 0;
    if (isInBatch && !this.#continuesBatch(lsn, batchRemaining)) return false;
    if (!isInBatch) this.#dropBatch();
    this.#isLost = false;
    followFrame(chain, frame);
    this.#batch.push({ segment: chain.number, offset, byteLength, lsn, skipped, batchRemaining });
    if (batchRemaining > 0) return true;
    this.#keep(this.#batch);
    this.#lastLsn = lsn;
    this.#batch = [];
    return true;
  }

  /** Of the open batch, or of what was kept. */
  get #lastTakenLsn(): number {
    return this.#batch.at(-1)?.lsn ?? this.#lastLsn;
  }

  /** What stands right before it may have come again, and the batch that it is of need not be the open one. */
  #continuesBatch(lsn: number, batchRemaining: number): boolean {
    const last = this.#batch.at(-1);
    return last !== undefined && lsn === last.lsn + 1 && batchRemaining === last.batchRemaining - 1;
  }

  /** Goes past the next frame that proves itself; false = there is none in this segment. */
  #takeUpAgain(): boolean {
    const chain = this.#chain;
    const from = chain.fileOffset;
    if (from === 0 && this.#takeWhatComesAgain()) return true;
    this.#loseTrack();
    // The start of a segment may be tried without a predecessor.
    if (from === 0 && this.#takeFrame()) return true;
    for (let at = this.#findHead(from); at >= 0; at = this.#findHead(at + 1)) {
      chain.fileOffset = at;
      if (this.#takeFrame()) return true;
    }
    return false;
  }

  /** Goes past the first frame of a segment that an interrupted salvage has moved down already; the open batch stays open. */
  #takeWhatComesAgain(): boolean {
    const chain = this.#chain;
    chain.expectedLsn = 0;
    chain.batchRemaining = 0;
    if (this.#reader.parseAt(0) !== undefined || this.#reader.frame.lsn > this.#lastTakenLsn) return false;
    return this.#takeFrame();
  }

  /** The next head of this segment at `from` or behind it; -1 = there is none. Notes the batches that it passes. */
  #findHead(from: number): number {
    const reader = this.#reader;
    const { frame } = reader;
    const { seed } = this.#chain;
    // Without the log's id nothing can prove itself (wal-go's files).
    if (seed === undefined) return -1;
    let tagAt = reader.find(TAG.lsn, from + SIZE_WORD_BYTES);
    for (; tagAt >= 0; tagAt = reader.find(TAG.lsn, tagAt + 1)) {
      const offset = tagAt - SIZE_WORD_BYTES;
      if (reader.parseAt(offset) !== undefined) continue;
      const isHead = frame.syncedLsn >= 0;
      if (!isHead && frame.batchRemaining === 0) continue;
      if (reader.frameChecksum(seed) !== frame.frameCrc) continue;
      if (frame.batchRemaining > 0) this.#noteBrokenBatch(frame);
      if (isHead) return offset;
    }
    return -1;
  }
}
