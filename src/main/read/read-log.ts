import { isSameFile } from '../../files/disk.js';
import { createChain, enterSegment } from '../../format/chain.js';
import type { SegmentInfo } from '../../protocol/reports.js';
import { WalError } from '../errors/wal-error.js';
import { checkReadOptions, type EntriesOptions, type ReadOptions } from '../options/read-options.js';
import { EntryIterator } from './entry-iterator.js';
import { notFound, purged, truncated } from './log-segments.js';
import { type LogView, type Look, lookAt } from './log-view.js';
import { outcomeOf } from './outcome.js';
import { walkBackwards } from './read-backwards.js';
import { unwatchAbandoned, watchAbandoned } from './readers.js';
import { corruptError, type SegmentEnd, SegmentReader, type WalEntry } from './segment-reader.js';
import { PLACE_SPACING_BYTES } from './sparse-index.js';
import { boundsOf } from './time-range.js';

/** The entries of a log, one chunk of a segment at a time, up to the last entry written at the time of this call. */
export function readBatches(
  view: LogView,
  options: ReadOptions,
): AsyncGenerator<WalEntry[], undefined, undefined> {
  return walk(
    view,
    options,
    outcomeOf(() => lookAt(view)),
  );
}

/** The same, one entry at a time, forward or backwards. */
export function readEntries(
  view: LogView,
  options: EntriesOptions,
): AsyncGenerator<WalEntry, undefined, undefined> {
  const isReverse = options?.reverse === true;
  const look = outcomeOf(() => lookAt(view));
  return new EntryIterator(isReverse ? walkBackwards(view, options, look) : walk(view, options, look));
}

async function* walk(
  view: LogView,
  options: ReadOptions,
  look: () => Look,
): AsyncGenerator<WalEntry[], undefined, undefined> {
  checkReadOptions(options);
  const { signal } = options;
  signal?.throwIfAborted();
  view.assertOpen();
  const { cutsSeen, lastLsn } = look();
  const { from, lowest, to } = await boundsOf(view, options, lastLsn);
  const range = { to, cutsSeen, signal };
  if (from !== undefined) {
    yield* walkRange(view, { from, ...range });
    return;
  }
  // A walk without `from` begins where the log begins, even if retention moves the beginning several times before the
  // first read.
  for (;;) {
    const first = Math.max(view.firstLsn, lowest);
    let hasBegun = false;
    try {
      for await (const batch of walkRange(view, { from: first, ...range })) {
        hasBegun = true;
        yield batch;
      }
      return;
    } catch (error) {
      const isOvertaken = error instanceof WalError && error.code === 'ERR_WAL_PURGED';
      if (hasBegun || !isOvertaken || view.firstLsn <= first) throw error;
    }
  }
}

interface Range {
  readonly from: number;
  readonly to: number;
  /** Number of cuts when `to` was taken. */
  readonly cutsSeen: number;
  readonly signal: AbortSignal | undefined;
}

async function* walkRange(view: LogView, range: Range): AsyncGenerator<WalEntry[], undefined, undefined> {
  const { from, to, cutsSeen, signal } = range;
  if (from < view.firstLsn) throw purged(view, from);
  if (to === 0 || from > to) return;

  const reader = view.readers.start();
  const self = {};
  const assertUncut = () => {
    if (view.truncations.slice(cutsSeen).some((lsn) => lsn < to)) throw truncated(view, next);
  };
  const assertReadable = () => {
    signal?.throwIfAborted();
    view.assertOpen();
    assertUncut();
  };
  let next = from;
  // Before the first entry there may be LSNs that were skipped.
  let segment = view.segmentOf(from) ?? view.segmentAfter(-1);
  /** Number of the segment that the walk has read last; -1 = none. */
  let readNumber = -1;
  /** In the first segment, the walk may begin at a position near `from` that an earlier reader has learned. */
  let mayJump = true;
  let chain = createChain(view.logId, -1);
  watchAbandoned(self, reader);
  try {
    while (segment !== undefined && next <= to) {
      if (!reader.pin(segment)) throw purged(view, next);
      const opened = await reader.open(segment, next).catch((error: unknown) => {
        assertReadable();
        throw error;
      });
      const index = view.indexes.of(segment.number, opened.identity);
      const hint = mayJump ? index.placeBefore(from) : undefined;
      if (hint === undefined) enterSegment(chain, segment.number);
      else chain = hint;
      mayJump = false;
      const file = new SegmentReader(opened, chain, index, undefined, opened.sizeAtOpen);
      try {
        while (next <= to && file.end === undefined) {
          const batch = await file.next(from, to).catch((error: unknown) => {
            // `close` of the log has closed the file.
            assertReadable();
            throw error;
          });
          assertReadable();
          const last = batch.at(-1);
          if (last !== undefined) next = last.lsn + 1;
          // The range may end with LSNs that were skipped on purpose.
          if (file.isPast) next = to + 1;
          if (last !== undefined) yield batch;
        }
        if (hint !== undefined && next === from && file.end !== undefined) {
          // Only a walk over the frames, from the first one on, can show the cause.
          view.indexes.forget(segment.number);
          chain = createChain(view.logId, -1);
          continue;
        }
        if (next <= to && file.end?.fault !== undefined) {
          await view.proveOwn(segment, undefined);
          if (isAfterGap(readNumber, segment, file.end)) throw purged(view, next);
          // A segment that was removed or replaced during the read is not corrupt.
          if (!(await file.isStillNamed())) throw purged(view, next);
          throw corruptError(file.path, file.end.offset, next, file.end.fault);
        }
      } finally {
        await reader.closeFiles();
      }
      readNumber = segment.number;
      segment = view.segmentAfter(readNumber);
    }
    if (next <= to) throw notFound(view, next, to, assertUncut);
  } finally {
    unwatchAbandoned(self);
    await reader.end();
  }
}

/**
 * Another process does not know of this reader, and may have removed the segments between the one that was read last and this one:
 * then the first entry here does not continue the chain. Numbers alone show nothing: those of a merged run of segments stay
 * missing.
 */
function isAfterGap(readNumber: number, segment: SegmentInfo, { fault, offset }: SegmentEnd): boolean {
  return readNumber >= 0 && segment.number > readNumber + 1 && offset === 0 && fault === 'lsn';
}

/** The entry with this LSN; `undefined` if the LSN is above `lastLsn` or was skipped. */
export async function readEntry(view: LogView, lsn: number): Promise<WalEntry | undefined> {
  const entry = await readAtPlace(view, lsn);
  if (entry !== undefined) return entry;
  for await (const batch of readBatches(view, { from: lsn, to: lsn })) return batch[0];
  return undefined;
}

/** Covers a position and the bytes up to the next one, so that one small read finds an entry. */
const POINT_BYTES = 2 * PLACE_SPACING_BYTES;

/** A second read is needed for an entry that the first one does not hold whole. */
const POINT_READS = 2;

/**
 * The fast path to an entry: from a position that a reader has learned, in a file that is open already. `undefined` =
 * it did not find the entry; the slow path finds the reason and learns the missing positions.
 */
async function readAtPlace(view: LogView, lsn: number): Promise<WalEntry | undefined> {
  view.assertOpen();
  if (view.files === undefined || lsn < view.firstLsn || lsn > view.lastLsn) return undefined;
  const segment = view.segmentOf(lsn);
  const index = segment && view.indexes.find(segment.number);
  const place = index?.placeBefore(lsn);
  if (segment === undefined || place === undefined) return undefined;
  const truncationsBefore = view.truncations.length;
  try {
    const opened = await view.files.open(segment);
    // Another file has this name now, and nothing is known about it.
    if (index === undefined || !isSameFile(index.file, opened.identity)) return undefined;
    const kept = view.decoded?.find(opened.identity, place.fileOffset, lsn);
    if (kept !== undefined) return kept;
    const file = view.recent?.include(lsn, view.bytesFrom(segment)) ? view.recent.of(opened) : opened;
    const reader = new SegmentReader(file, place, undefined, POINT_BYTES, undefined, undefined, view.decoded);
    for (let reads = 0; reads < POINT_READS && !reader.isPast && reader.end === undefined; reads++) {
      const [entry] = await reader.next(lsn, lsn);
      // If a cut came in between, the LSN may now belong to another entry.
      if (entry !== undefined && view.truncations.length === truncationsBefore) {
        view.assertOpen();
        return entry;
      }
    }
  } catch (error) {
    // The file was removed or closed during the read.
    if (error instanceof WalError && error.code !== 'ERR_WAL_IO') throw error;
  }
  return undefined;
}
