import type { AsyncFile } from '../files/async-file.js';
import { isMissing } from '../files/disk.js';
import { wayOutOf } from '../format/verdict.js';
import type { SegmentInfo } from '../worker/messages.js';
import type { LogView } from './log-view.js';
import { WalError } from './wal-error.js';

/** Of `segments`, lowest number first, the last one that begins at or before `lsn`. */
export function segmentOf(segments: readonly SegmentInfo[], lsn: number): SegmentInfo | undefined {
  return segments.findLast((segment) => segment.firstLsn !== 0 && segment.firstLsn <= lsn);
}

/** Opens a segment for the sake of entry `lsn`. @throws ERR_WAL_PURGED, ERR_WAL_IO */
export async function openSegmentFile(view: LogView, segment: SegmentInfo, lsn: number): Promise<AsyncFile> {
  try {
    return await view.openForReading(segment.path);
  } catch (error) {
    // Of a log that somebody else may write a file that is gone was removed by him.
    if (view.firstLsn > lsn || (view.files === undefined && isMissing(error))) throw purged(view, lsn);
    throw new WalError('ERR_WAL_IO', `Cannot open "${segment.path}": ${(error as Error).message}`, {
      path: segment.path,
      lsn,
      cause: error,
    });
  }
}

export function truncated(view: LogView, lsn: number): WalError {
  return new WalError(
    'ERR_WAL_TRUNCATED',
    `Entry ${lsn} of "${view.directory}" was cut off by truncateAfter after it was handed out, or while it was being read. ` +
      'Its LSN goes to another entry: drop what was made of it, and read on from lastLsn + 1 as it was after the cut.',
    { path: view.directory, lsn },
  );
}

export function purged(view: LogView, lsn: number): WalError {
  return new WalError(
    'ERR_WAL_PURGED',
    `Entry ${lsn} of "${view.directory}" is gone, its segment was removed; the log begins at ${view.firstLsn}. ` +
      'Begin there, or keep more (options maxFiles, maxTotalSize, maxAge, retainFrom).',
    { path: view.directory, lsn },
  );
}

/**
 * Why entry `lsn` was not found, by a reader who was to read up to `to` when he began. `assertUncut` throws if word of a cut has come
 * that took some of it.
 */
export function notFound(view: LogView, lsn: number, to: number, assertUncut: () => void): WalError {
  // A cut lowers the log's last LSN before word of it comes, and what comes after the cut raises it behind that: looked at in
  // this order one of the two tells.
  const isShorter = view.lastLsn < to;
  assertUncut();
  if (isShorter) return truncated(view, lsn);
  return view.firstLsn > lsn || view.files === undefined ? purged(view, lsn) : missing(view, lsn);
}

/** The log should hold this entry, and no segment does. */
export function missing(view: LogView, lsn: number): WalError {
  return new WalError(
    'ERR_WAL_CORRUPT',
    `Cannot read entry ${lsn} in "${view.directory}": no segment holds it. ${wayOutOf('corrupt')}`,
    { path: view.directory, lsn },
  );
}
