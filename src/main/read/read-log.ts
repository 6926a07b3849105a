import { isSameFile } from '../../files/disk.js';
import { createChain, enterSegment } from '../../format/chain.js';
import { WalError } from '../errors/wal-error.js';
import { checkReadOptions, type EntriesOptions, type ReadOptions } from '../options/read-options.js';
import { EntryIterator } from './entry-iterator.js';
import { notFound, purged, truncated } from './log-segments.js';
import type { LogView } from './log-view.js';
import { outcomeOf } from './outcome.js';
import { walkBackwards } from './read-backwards.js';
import { unwatchAbandoned, watchAbandoned } from './readers.js';
import { corruptError, SegmentReader, type WalEntry } from './segment-reader.js';
import { PLACE_SPACING_BYTES } from './sparse-index.js';

/** The entries of a log, a chunk of a segment at a time, up to what is written at this call. */
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

/** The same, one entry at a time, and perhaps backwards. */
export function readEntries(
  view: LogView,
  options: EntriesOptions,
): AsyncGenerator<WalEntry, undefined, undefined> {
  const isReverse = options?.reverse === true;
  return new EntryIterator(isReverse ? readBackwards(view, options) : readBatches(view, options));
}

/** The entries of a log from the last one down, a run of a segment at a time. */
function readBackwards(
  view: LogView,
  options: EntriesOptions,
): AsyncGenerator<WalEntry[], undefined, undefined> {
  return walkBackwards(
    view,
    options,
    outcomeOf(() => view.lastLsn),
  );
}

async function* walk(
  view: LogView,
  options: ReadOptions,
  look: () => Look,
): AsyncGenerator<WalEntry[], undefined, undefined> {
  checkReadOptions(options);
  const { from, signal } = options;
  signal?.throwIfAborted();
  view.assertOpen();
  const { cutsSeen, lastLsn } = look();
  const range = { to: Math.min(options.to ?? Number.POSITIVE_INFINITY, lastLsn), cutsSeen, signal };
  if (from !== undefined) {
    yield* walkRange(view, { from, ...range });
    return;
  }
  // Who does not say where to begin begins where the log does, however often retention moves that before he gets there.
  for (;;) {
    const first = view.firstLsn;
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

/** The log at the call that begins a walk. */
interface Look {
  readonly cutsSeen: number;
  readonly lastLsn: number;
}

/** In this order: a cut that comes between the two is one that the walk has yet to notice. */
function lookAt(view: LogView): Look {
  const cutsSeen = view.truncations.length;
  return { cutsSeen, lastLsn: view.lastLsn };
}

interface Range {
  readonly from: number;
  readonly to: number;
  /** How many cuts there were when `to` was taken. */
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
  let segment = view.segmentOf(from);
  /** It may begin at a place near `from` that an earlier reader has learned: in the first segment. */
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
            // Whoever closes the log closes the file.
            assertReadable();
            throw error;
          });
          assertReadable();
          const last = batch.at(-1);
          if (last !== undefined) next = last.lsn + 1;
          // LSNs that were skipped on purpose may end the range.
          if (file.isPast) next = to + 1;
          if (last !== undefined) yield batch;
        }
        if (hint !== undefined && next === from && file.end !== undefined) {
          // Whatever it is: only the frames themselves, from the first one on, can tell.
          view.indexes.forget(segment.number);
          chain = createChain(view.logId, -1);
          continue;
        }
        if (next <= to && file.end?.fault !== undefined) {
          await view.proveOwn(segment, undefined);
          // A segment that somebody removed or replaced under the reader is not corrupt.
          if (!(await file.isStillNamed())) throw purged(view, next);
          throw corruptError(file.path, file.end.offset, next, file.end.fault);
        }
      } finally {
        await reader.closeFiles();
      }
      const { number } = segment;
      segment = view.segmentAfter(number);
      // Somebody else's log, which knows of no reader here, may have lost the next one.
      if (next <= to && segment !== undefined && segment.number > number + 1) throw purged(view, next);
    }
    if (next <= to) throw notFound(view, next, to, assertUncut);
  } finally {
    unwatchAbandoned(self);
    await reader.end();
  }
}

/** The entry with this LSN; `undefined` above `lastLsn` or where it was skipped. */
export async function readEntry(view: LogView, lsn: number): Promise<WalEntry | undefined> {
  const entry = await readAtPlace(view, lsn);
  if (entry !== undefined) return entry;
  for await (const batch of readBatches(view, { from: lsn, to: lsn })) return batch[0];
  return undefined;
}

/** A place and what lies before the next one, so that an entry is found with one small read. */
const POINT_BYTES = 2 * PLACE_SPACING_BYTES;

/** The second one is for an entry that is not whole in the first. */
const POINT_READS = 2;

/**
 * The short way to an entry: from a place that a reader has learned, in a file that is open already. `undefined` = it does
 * not lead there, for whatever reason; the long way tells the reason, and learns the places that are missing.
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
    // Another file bears the name now, of which nothing is known.
    if (index === undefined || !isSameFile(index.file, opened.identity)) return undefined;
    const file = view.recent?.include(lsn, view.bytesFrom(segment)) ? view.recent.of(opened) : opened;
    const reader = new SegmentReader(file, place, undefined, POINT_BYTES);
    for (let reads = 0; reads < POINT_READS && !reader.isPast && reader.end === undefined; reads++) {
      const [entry] = await reader.next(lsn, lsn);
      // What was cut meanwhile, or is given out again, is not the entry that was asked for.
      if (entry !== undefined && view.truncations.length === truncationsBefore) {
        view.assertOpen();
        return entry;
      }
    }
  } catch (error) {
    // The file went, or was closed, under the read.
    if (error instanceof WalError && error.code !== 'ERR_WAL_IO') throw error;
  }
  return undefined;
}
