import { createChain, enterSegment } from '../format/chain.js';
import type { SegmentInfo } from '../worker/messages.js';
import type { LogView } from './log-view.js';
import { checkReadOptions, type ReadOptions } from './options.js';
import { corruptError, SegmentReader, type WalEntry } from './segment-reader.js';
import { WalError } from './wal-error.js';

/** The entries of a log, a chunk of a segment at a time, up to what is written when the walk begins. */
export async function* readBatches(
  view: LogView,
  options: ReadOptions,
): AsyncGenerator<WalEntry[], void, undefined> {
  checkReadOptions(options);
  const { signal } = options;
  signal?.throwIfAborted();
  view.assertOpen();
  const to = Math.min(options.to ?? Number.POSITIVE_INFINITY, view.lastLsn);
  const from = options.from ?? view.firstLsn;
  if (from < view.firstLsn) throw purged(view, from);
  if (to === 0 || from > to) return;

  const reader = {};
  const chain = createChain(undefined, -1);
  let next = from;
  let segment = segmentOf(view, from);
  try {
    while (segment !== undefined && next <= to) {
      view.pin(reader, segment.number);
      enterSegment(chain, segment.number);
      const file = await openSegment(view, segment, next, chain);
      try {
        while (next <= to && file.end === undefined) {
          const batch = await file.next(from, to);
          signal?.throwIfAborted();
          view.assertOpen();
          const last = batch.at(-1);
          if (last !== undefined) next = last.lsn + 1;
          // LSNs that were skipped on purpose may end the range.
          if (file.isPast) next = to + 1;
          if (last !== undefined) yield batch;
        }
        if (next <= to && file.end?.fault !== undefined) {
          // A segment that somebody removed or replaced under the reader is not corrupt.
          if (!(await file.isStillNamed())) throw purged(view, next);
          throw corruptError(file.path, file.end.offset, next, file.end.fault);
        }
      } finally {
        await file.close();
      }
      const { number } = segment;
      segment = view.segments().find((each) => each.number > number && each.firstLsn !== 0);
    }
    if (next <= to) {
      if (view.firstLsn > next) throw purged(view, next);
      throw new WalError('ERR_WAL_CORRUPT', `Entry ${next} is missing in "${view.directory}".`, {
        path: view.directory,
        lsn: next,
      });
    }
  } finally {
    view.pin(reader, undefined);
  }
}

/** The same, one entry at a time. */
export async function* readEntries(
  view: LogView,
  options: ReadOptions,
): AsyncGenerator<WalEntry, void, undefined> {
  for await (const batch of readBatches(view, options)) yield* batch;
}

/** The entry with this LSN; `undefined` above `lastLsn` or where it was skipped. */
export async function readEntry(view: LogView, lsn: number): Promise<WalEntry | undefined> {
  for await (const batch of readBatches(view, { from: lsn, to: lsn })) return batch[0];
  return undefined;
}

/** The last segment that begins at or before `lsn`. */
function segmentOf(view: LogView, lsn: number): SegmentInfo | undefined {
  return view.segments().findLast((segment) => segment.firstLsn !== 0 && segment.firstLsn <= lsn);
}

async function openSegment(
  view: LogView,
  segment: SegmentInfo,
  lsn: number,
  chain: ReturnType<typeof createChain>,
): Promise<SegmentReader> {
  try {
    return await SegmentReader.open(segment.path, chain);
  } catch (error) {
    if (view.firstLsn > lsn) throw purged(view, lsn);
    throw new WalError('ERR_WAL_IO', `Cannot open "${segment.path}": ${(error as Error).message}`, {
      path: segment.path,
      lsn,
      cause: error,
    });
  }
}

function purged(view: LogView, lsn: number): WalError {
  return new WalError(
    'ERR_WAL_PURGED',
    `Entry ${lsn} of "${view.directory}" was removed by retention: the log begins at ${view.firstLsn}.`,
    { path: view.directory, lsn },
  );
}
