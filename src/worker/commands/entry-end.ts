import { join } from 'node:path';
import { BlockEntries } from '../../blocks/block-entries.js';
import type { Disk } from '../../files/disk.js';
import { FrameCursor } from '../../format/frame-cursor.js';
import { segmentName } from '../../format/segment-name.js';
import { openSource } from '../directory/log-listing.js';
import type { CutPlace } from '../directory/tail-cut.js';
import { LogFailure } from '../errors/failure.js';
import { unreadableBlock } from '../errors/unreadable-block.js';
import type { SegmentCatalog } from '../write/segment-catalog.js';

/** The files of a log, and the log id that its frames are checked against. */
export interface LogOnDisk {
  readonly disk: Disk;
  readonly directory: string;
  readonly catalog: SegmentCatalog;
  readonly logId: bigint;
}

/** Where an entry ends: `offset` is the end of its frame. */
export interface EntryEnd extends CutPlace {
  readonly lsn: number;
  /** Where its frame begins, if the frame is a block that has later entries too. */
  readonly blockOffset: number | undefined;
  /** Entries of its batch that follow it. */
  readonly batchRemaining: number;
  /** Where its batch begins in this segment; at offset 0 it may have begun in an earlier one. */
  readonly batchOffset: number;
}

/**
 * Where entry `lsn` ends: the place of a cut that makes `lsn` the last entry. For an LSN that was skipped, the entry before
 * it counts; `undefined`: there is none.
 *
 * @throws LogFailure ERR_WAL_CORRUPT if it cannot be read
 */
export function findEntryEnd(log: LogOnDisk, lsn: number): EntryEnd | undefined {
  const record = log.catalog.holderOf(lsn);
  if (record === undefined) return undefined;
  const end = walkTo(log, record.number, lsn);
  if (end === undefined) throw missing(pathOf(log, record.number), lsn);
  return end;
}

/** Where the batch that continues at `end` begins, and the segments from there to `end`. */
export function findBatchStart(
  log: LogOnDisk,
  end: EntryEnd,
): { readonly start: CutPlace; readonly segments: readonly number[] } {
  const numbers = log.catalog.toArray().map(({ number }) => number);
  const segments = [end.segment];
  let start: CutPlace = { segment: end.segment, offset: end.batchOffset };
  for (let at = numbers.indexOf(end.segment) - 1; at >= 0 && start.offset === 0; at--) {
    const number = numbers[at] as number;
    const last = walkTo(log, number, Number.POSITIVE_INFINITY);
    // The batch begins with the segment after this one. A segment without an entry is only at the end of a log.
    if (last === undefined || last.batchRemaining === 0) break;
    segments.unshift(number);
    start = { segment: number, offset: last.batchOffset };
  }
  return { start, segments };
}

/** The last entry up to `lsn` in a segment; `undefined` if there is none. */
function walkTo({ disk, directory, logId }: LogOnDisk, segment: number, lsn: number): EntryEnd | undefined {
  const path = join(directory, segmentName(segment));
  const source = openSource(disk, path);
  try {
    const cursor = new FrameCursor().start({ logId, expectedLsn: 0, batchRemaining: 0 });
    const { frame } = cursor.enter(source, segment);
    let found: EntryEnd | undefined;
    for (;;) {
      const start = cursor.offset;
      const batchOffset = cursor.batchRemaining > 0 ? (found?.batchOffset ?? start) : start;
      if (cursor.next() !== undefined || frame.lsn > lsn) return found;
      const { batchRemaining, lastLsn } = frame;
      const { offset } = cursor;
      found = { segment, offset, lsn: lastLsn, blockOffset: undefined, batchRemaining, batchOffset };
      if (lastLsn === lsn) return found;
      if (lastLsn > lsn) return insideBlock({ ...found, lsn, blockOffset: start }, cursor, path);
    }
  } finally {
    source.close?.();
  }
}

/** The same with the entries of its batch that follow, as the block has them. */
function insideBlock(end: EntryEnd, cursor: FrameCursor, path: string): EntryEnd {
  const { lsn, blockOffset = 0 } = end;
  const entries = BlockEntries.of(cursor);
  if (typeof entries === 'object')
    return { ...end, batchRemaining: entries.remainingAfter(lsn - cursor.frame.lsn) };
  const place = { path, offset: blockOffset, lsn: cursor.frame.lsn };
  throw unreadableBlock(entries ?? 'damaged', `Cannot cut behind entry ${lsn}`, place);
}

function pathOf({ directory }: LogOnDisk, number: number): string {
  return join(directory, segmentName(number));
}

function missing(path: string, lsn: number): LogFailure {
  return new LogFailure(
    'ERR_WAL_CORRUPT',
    `Cannot cut after entry ${lsn}: it cannot be found in "${path}". Wal.verify says what is wrong there.`,
    { path, lsn },
  );
}
