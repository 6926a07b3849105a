/**
 * Finds the readable part of a damaged log: whole batches and single entries, in order, whatever stands between them.
 *
 *   … | entry | entry | damage … | head, entry | entry | 2 to come | damage … | head, …
 *     └── kept ──────┘           └── kept ──────────┘└── dropped ─┘
 *
 * After damage the scan continues only at a head, or at the start of a segment: these prove themselves, and other bytes that
 * look like a frame may be a payload. A head inside a batch cannot show that the batch is whole, so the rest of that batch is
 * dropped. The last frame of a batch alone looks like an entry of its own. The frames before it show that it is not: each has
 * a frame_crc and says how many are to come, even if its data is damaged.
 *
 * LSNs only grow: frames that come again are passed over. An interrupted salvage leaves frames in their old place and once
 * more further down. Such a run may begin and end inside a batch; the batch continues after it.
 *
 *   … | 6 to come | 5 to come | 4 to come | 5 to come | 4 to come | 3 to come | …
 *       └── moved down already ─────────┘ └── again ──────────┘ └── goes on
 */

import { type BlockCheck, passesCheck } from './block-check.js';
import { type ByteSource, type SegmentFile, withSource } from './bytes.js';
import { FrameCursor } from './frame-cursor.js';
import type { WholeSegments } from './log-walk.js';

/** A frame that is kept, and its present place. */
export interface KeptFrame {
  /** n of the segment it stands in. */
  readonly segment: number;
  readonly offset: number;
  readonly byteLength: number;
  /** Of its first entry. */
  readonly lsn: number;
  /** Of its last entry. */
  readonly lastLsn: number;
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
 * of it is kept. A block that does not pass the `check` counts as damaged.
 */
export function salvageFrames(
  files: readonly SegmentFile[],
  logId: bigint | undefined,
  keep: (frames: readonly KeptFrame[]) => void,
  whole: WholeSegments = { count: 0, lastLsn: 0 },
  check?: BlockCheck,
): UnsupportedFrame | undefined {
  const scan = new SalvageScan(logId, keep, check);
  if (whole.count > 0) scan.takeUpAfter(files[whole.count - 1].number, whole.lastLsn);
  for (const file of files.slice(whole.count)) {
    withSource(file, (source) => scan.readSegment(file.number, source));
    if (scan.unsupported !== undefined) break;
  }
  return scan.unsupported;
}

class SalvageScan {
  readonly #keep: (frames: readonly KeptFrame[]) => void;
  readonly #check: BlockCheck | undefined;
  readonly #cursor = new FrameCursor();
  /** The next frame has no readable predecessor. */
  #isLost = false;
  /** The frames of a batch whose end is still to come. */
  #batch: KeptFrame[] = [];
  #lastLsn = 0;
  /** n of the segment that is read, or was read last; -1 = none yet. */
  #lastNumber = -1;
  /** The last entry of a batch of which a part cannot be read. */
  #brokenBatchEnd = 0;
  unsupported: UnsupportedFrame | undefined;

  constructor(
    logId: bigint | undefined,
    keep: (frames: readonly KeptFrame[]) => void,
    check: BlockCheck | undefined,
  ) {
    this.#keep = keep;
    this.#check = check;
    this.#cursor.start({ logId, expectedLsn: 0, batchRemaining: 0 });
  }

  /** Continues as after segment `number`, which ended with entry `lastLsn`, outside any batch. */
  takeUpAfter(number: number, lastLsn: number): void {
    this.#lastNumber = number;
    this.#cursor.expect(lastLsn + 1, 0);
    this.#lastLsn = lastLsn;
  }

  readSegment(number: number, source: ByteSource): void {
    const cursor = this.#cursor.enter(source, number);
    const isFirst = this.#lastNumber < 0;
    const follows = isFirst || number === this.#lastNumber + 1;
    this.#lastNumber = number;
    // The log itself may begin inside a batch, where retention stopped; after an empty segment nothing shows this.
    if (!follows || (!isFirst && cursor.expectedLsn === 0)) this.#loseTrack();
    while (cursor.offset < cursor.size && this.unsupported === undefined) {
      if (this.#takeFrame() || this.#takeUpAgain()) continue;
      this.#loseTrack();
      return;
    }
  }

  #loseTrack(): void {
    this.#dropBatch();
    this.#isLost = true;
    this.#cursor.expectAny();
  }

  #dropBatch(): void {
    const last = this.#batch.at(-1);
    if (last !== undefined) this.#noteBrokenBatch(last);
    this.#batch = [];
  }

  #noteBrokenBatch({ lastLsn, batchRemaining }: Pick<KeptFrame, 'lastLsn' | 'batchRemaining'>): void {
    this.#brokenBatchEnd = Math.max(this.#brokenBatchEnd, lastLsn + batchRemaining);
  }

  /** Moves past the frame at the cursor; false = it does not belong there. */
  #takeFrame(): boolean {
    const cursor = this.#cursor;
    if (cursor.check() !== undefined) return false;
    const { offset } = cursor;
    const segment = this.#lastNumber;
    const { byteLength, lsn, lastLsn, skipped, batchRemaining, block, unknownCritical } = cursor.frame;
    if (unknownCritical !== 0) {
      this.unsupported = { segment, offset, lsn };
      return true;
    }
    if (lastLsn <= this.#lastTakenLsn) {
      this.#isLost = false;
      cursor.pass();
      return true;
    }
    // Blocks are moved whole, so no writer repeats a part of one.
    if (lsn <= this.#lastTakenLsn) return false;
    // It may be in the middle of its batch, or the end of one.
    const isPartOfBatch = batchRemaining > 0 || block?.continues === true || lsn <= this.#brokenBatchEnd;
    if (this.#isLost && isPartOfBatch) return false;
    if (!passesCheck(this.#check, cursor)) {
      if (isPartOfBatch) this.#noteBrokenBatch(cursor.frame);
      return false;
    }
    const isInBatch = cursor.batchRemaining > 0;
    if (isInBatch && !this.#continuesBatch(lsn, lastLsn + batchRemaining)) return false;
    if (!isInBatch) this.#dropBatch();
    this.#isLost = false;
    cursor.pass();
    this.#batch.push({ segment, offset, byteLength, lsn, lastLsn, skipped, batchRemaining });
    if (batchRemaining > 0) return true;
    this.#keep(this.#batch);
    this.#lastLsn = lastLsn;
    this.#batch = [];
    return true;
  }

  /** The last LSN of the open batch, or of the kept frames. */
  get #lastTakenLsn(): number {
    return this.#batch.at(-1)?.lastLsn ?? this.#lastLsn;
  }

  /** What stands right before it may have come again, and the batch that it is of need not be the open one. */
  #continuesBatch(lsn: number, batchEnd: number): boolean {
    const last = this.#batch.at(-1);
    return last !== undefined && lsn === last.lastLsn + 1 && batchEnd === last.lastLsn + last.batchRemaining;
  }

  /** Moves past the next frame that proves itself; false = there is none in this segment. */
  #takeUpAgain(): boolean {
    const cursor = this.#cursor;
    const from = cursor.offset;
    if (from === 0 && this.#takeWhatComesAgain()) return true;
    this.#loseTrack();
    // The start of a segment may be tried without a predecessor.
    if (from === 0 && this.#takeFrame()) return true;
    for (let found = this.#findHead(from); found; found = this.#findHead(cursor.offset + 1)) {
      if (this.#takeFrame()) return true;
    }
    return false;
  }

  /** Moves past the first frame of a segment if an interrupted salvage has moved it down already; the open batch stays open. */
  #takeWhatComesAgain(): boolean {
    const cursor = this.#cursor;
    cursor.expectAny();
    if (cursor.parse() !== undefined || cursor.frame.lastLsn > this.#lastTakenLsn) return false;
    return this.#takeFrame();
  }

  /** Moves to the next head of this segment from `from` on; false = there is none. Notes the batches that it passes. */
  #findHead(from: number): boolean {
    const cursor = this.#cursor;
    const { frame } = cursor;
    // Without the log's id no frame can prove itself (wal-go's files).
    if (cursor.logId === undefined) return false;
    for (let found = cursor.find(from); found; found = cursor.find(cursor.offset + 1)) {
      const isHead = frame.syncedLsn >= 0;
      if ((!isHead && frame.batchRemaining === 0) || !cursor.provesPlace()) continue;
      if (frame.batchRemaining > 0) this.#noteBrokenBatch(frame);
      if (isHead) return true;
    }
    return false;
  }
}
