/**
 * When segments were created, as far as their frames still show it. `maxAge` counts from that time, so a rewritten segment
 * keeps it.
 */

import { type SegmentFile, withSource } from './bytes.js';
import { FrameCursor } from './frame-cursor.js';

/** The creation time in the frames of one segment: 0 = it has no stamp; `undefined` = its stamp cannot be read. */
type OwnStamp = number | undefined;

/** Reads a segment at most once, and only when its age is requested. */
export class SegmentAges {
  readonly #files: readonly SegmentFile[];
  readonly #logId: bigint;
  readonly #cursor = new FrameCursor();
  readonly #stamps = new Map<number, OwnStamp>();

  /** `files`: the whole log, ascending. */
  constructor(files: readonly SegmentFile[], logId: bigint) {
    this.#files = files;
    this.#logId = logId;
  }

  /**
   * The best evidence for created_ms of segment `number`. It is never too early, as far as the log shows, since `maxAge` would
   * otherwise remove entries that are not old enough:
   *
   *   1. its own stamp, on any frame of it that proves its place. A segment of wal-go has none: 0
   *   2. the stamp of the next later segment that has one: segments are created in order
   *
   * `undefined` = there is neither.
   */
  createdMs(number: number): number | undefined {
    const own = this.#stampOf(number);
    if (own !== undefined) return own;
    for (const file of this.#files) {
      if (file.number <= number) continue;
      const later = this.#stampOf(file.number);
      if (later !== undefined && later > 0) return later;
    }
    return undefined;
  }

  #stampOf(number: number): OwnStamp {
    if (!this.#stamps.has(number)) {
      const file = this.#files.find((candidate) => candidate.number === number);
      this.#stamps.set(number, file === undefined ? undefined : this.#readStamp(file));
    }
    return this.#stamps.get(number);
  }

  #readStamp(file: SegmentFile): OwnStamp {
    const cursor = this.#cursor.start({ logId: this.#logId, expectedLsn: 0, batchRemaining: 0 });
    return withSource(file, (source) => {
      cursor.enter(source, file.number);
      // Mostly the first frame has it. Its data need not be intact, and the first frame after each open has it, too.
      for (let found = cursor.find(0); found; found = cursor.find(cursor.offset + 1)) {
        const { segment } = cursor.frame;
        if (segment !== undefined && cursor.provesPlace()) return segment.createdMs;
      }
      const isPlain = cursor.seek(0).check() === undefined && !cursor.frame.extended;
      return isPlain ? 0 : undefined;
    });
  }
}
