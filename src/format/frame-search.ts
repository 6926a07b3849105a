/**
 * Frames that no predecessor vouches for: what is left of a log behind an invalid frame. Every byte is looked at once
 * and every offset costs constant time.
 */

import { type ByteSource, contentEnd, type SegmentFile, withSource } from './bytes.js';
import { frameChecksumSeed, SIZE_WORD_BYTES, TAG } from './frame.js';
import { FrameReader } from './frame-reader.js';

/** A place in a log. `index` counts the files handed in; it is not n of `wal-<n>`. */
export interface Place {
  readonly index: number;
  readonly offset: number;
}

/** What the heads behind a place prove. */
export interface Heads {
  /** The largest synced_lsn; -1 = there is no head. */
  readonly syncedLsn: number;
  /** The first head with a critical field that is not known. */
  readonly unsupported: (Place & { readonly lsn: number }) | undefined;
}

/** All heads at `from` and behind it, in that segment and all later ones. */
export function findHeads(files: readonly SegmentFile[], from: Place, logId: bigint): Heads {
  let syncedLsn = -1;
  let unsupported: Heads['unsupported'];
  for (const { index, offset, reader } of candidates(files, from)) {
    const { frame } = reader;
    if (frame.syncedLsn < 0) continue;
    const seed = frameChecksumSeed(logId, files[index].number);
    if (reader.frameChecksum(seed) !== frame.frameCrc) continue;
    if (frame.syncedLsn > syncedLsn) syncedLsn = frame.syncedLsn;
    if (frame.unknownCritical !== 0) unsupported ??= { index, offset, lsn: frame.lsn };
  }
  return { syncedLsn, unsupported };
}

/** Bytes of data that may be checksummed for each byte that is searched. */
const CHECKSUM_BUDGET = 16;

/**
 * Whether any frame that passes rules 1, 2 and 4 stands at `from` or behind it. It is all that can be asked of wal-go's
 * files, whose frames do not say where they belong. Bytes can be made so that every offset claims much data: once the
 * budget is spent the answer is yes, which gives nothing away.
 */
export function frameFollows(files: readonly SegmentFile[], from: Place): boolean {
  let budgetBytes = CHECKSUM_BUDGET * bytesBehind(files, from);
  for (const { reader } of candidates(files, from)) {
    const { frame } = reader;
    budgetBytes -= frame.dataEnd - frame.dataStart;
    if (budgetBytes < 0 || reader.dataChecksum() === frame.crc) return true;
  }
  return false;
}

function bytesBehind(files: readonly SegmentFile[], from: Place): number {
  let bytes = -from.offset;
  for (const file of files.slice(from.index)) bytes += withSource(file, contentEnd);
  return Math.max(0, bytes);
}

interface Candidate extends Place {
  /** Has just parsed the frame. */
  readonly reader: FrameReader;
}

/** The frames that pass rules 1 and 2, at whatever offset. */
function* candidates(files: readonly SegmentFile[], from: Place): Generator<Candidate> {
  const reader = new FrameReader();
  for (let index = from.index; index < files.length; index++) {
    const source: ByteSource = files[index].open();
    try {
      reader.open(source);
      // Every frame's fifth byte is the tag of its LSN: a native search passes over zeros and most payloads.
      let tagAt = (index === from.index ? from.offset : 0) + SIZE_WORD_BYTES;
      for (tagAt = reader.find(TAG.lsn, tagAt); tagAt >= 0; tagAt = reader.find(TAG.lsn, tagAt + 1)) {
        const offset = tagAt - SIZE_WORD_BYTES;
        if (reader.parseAt(offset) === undefined) yield { index, offset, reader };
      }
    } finally {
      source.close?.();
    }
  }
}
