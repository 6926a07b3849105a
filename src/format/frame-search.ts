/**
 * Frames that no predecessor vouches for: what is left of a log after an invalid frame. The search looks at each byte
 * once, and each offset costs constant time.
 */

import { contentEnd, type SegmentFile, withSource } from './bytes.js';
import { FrameCursor } from './frame-cursor.js';
import type { FilePlace } from './place.js';

/** What the heads after a place prove. */
export interface Heads {
  /** The largest synced_lsn; -1 = there is no head. */
  readonly syncedLsn: number;
  /** The first head with a critical field that is not known. */
  readonly unsupported: (FilePlace & { readonly lsn: number }) | undefined;
}

/** All heads from `from` on, in that segment and all later ones. */
export function findHeads(files: readonly SegmentFile[], from: FilePlace, logId: bigint): Heads {
  const cursor = new FrameCursor().start({ logId, expectedLsn: 0, batchRemaining: 0 });
  const { frame } = cursor;
  let syncedLsn = -1;
  let unsupported: Heads['unsupported'];
  searchFiles(files, from, cursor, (index, start) => {
    for (let found = cursor.findHead(start); found; found = cursor.findHead(cursor.offset + 1)) {
      if (frame.syncedLsn > syncedLsn) syncedLsn = frame.syncedLsn;
      if (frame.unknownCritical !== 0) unsupported ??= { index, offset: cursor.offset, lsn: frame.lsn };
    }
    return false;
  });
  return { syncedLsn, unsupported };
}

/** Bytes of data that may be checksummed for each byte that is searched. */
const CHECKSUM_BUDGET = 16;

/**
 * Whether any frame that passes rules 1, 2 and 4 stands at `from` or after it. Nothing more can be asked of wal-go's
 * files, whose frames do not say where they belong. Bytes can be made so that every offset claims much data: once the
 * budget is spent the answer is yes, which gives nothing away.
 */
export function frameFollows(files: readonly SegmentFile[], from: FilePlace): boolean {
  let budgetBytes = CHECKSUM_BUDGET * bytesAfter(files, from);
  const cursor = new FrameCursor();
  const { frame } = cursor;
  return searchFiles(files, from, cursor, (_, start) => {
    for (let found = cursor.find(start); found; found = cursor.find(cursor.offset + 1)) {
      budgetBytes -= frame.dataEnd - frame.dataStart;
      if (budgetBytes < 0 || cursor.hasIntactData()) return true;
    }
    return false;
  });
}

function bytesAfter(files: readonly SegmentFile[], from: FilePlace): number {
  let bytes = -from.offset;
  for (const file of files.slice(from.index)) bytes += withSource(file, contentEnd);
  return Math.max(0, bytes);
}

/** Calls `search` for each file from `from` on, with the cursor in it and the offset to begin at, until it answers true. */
function searchFiles(
  files: readonly SegmentFile[],
  from: FilePlace,
  cursor: FrameCursor,
  search: (index: number, start: number) => boolean,
): boolean {
  return files.slice(from.index).some((file, at) =>
    withSource(file, (source) => {
      cursor.enter(source, file.number);
      return search(from.index + at, at === 0 ? from.offset : 0);
    }),
  );
}
