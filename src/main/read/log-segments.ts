import type { AsyncFile } from '../../files/async-file.js';
import { DiskError, isMissing } from '../../files/disk.js';
import { wayOutOf } from '../../format/verdict.js';
import type { SegmentInfo } from '../../protocol/reports.js';
import { WalError } from '../errors/wal-error.js';
import type { LogView } from './log-view.js';

/**
 * Opens a segment for the sake of entry `lsn`, and makes sure that it is this log's: a name may have come to lead elsewhere, by a
 * symbolic link that was moved or a directory that was replaced.
 *
 * @throws ERR_WAL_PURGED, ERR_WAL_IO
 */
export async function openSegmentFile(view: LogView, segment: SegmentInfo, lsn: number): Promise<AsyncFile> {
  try {
    return await openOwnFile(view, segment);
  } catch (error) {
    if (error instanceof WalError) throw error;
    // Of a log that somebody else may write a file that is gone was removed by him.
    if (view.firstLsn > lsn || (view.files === undefined && isMissing(error))) throw purged(view, lsn);
    throw new WalError('ERR_WAL_IO', `Cannot open "${segment.path}": ${(error as Error).message}`, {
      path: segment.path,
      lsn,
      cause: error,
    });
  }
}

/** As [openSegmentFile]. @throws the system's error; ERR_WAL_IO where the file is not this log's */
export async function openOwnFile(view: LogView, segment: SegmentInfo): Promise<AsyncFile> {
  let file: AsyncFile;
  try {
    file = await view.openForReading(segment.path);
  } catch (error) {
    if (isMissing(error)) await view.proveOwn(segment, undefined);
    throw error;
  }
  try {
    // After the opening: what was put in its place before that is noticed.
    await view.proveOwn(segment, file.identity);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** What is found by a log's names, `found` of them, is not the log that was opened. */
export function replaced(directory: string, path: string, found: string): WalError {
  return new WalError(
    'ERR_WAL_IO',
    `Cannot read "${path}": somebody has removed, renamed or replaced ${found}, or moved a link that leads there. Nothing of ` +
      'what is there now was read. Close the log, and open the one that is meant.',
    { path, cause: new DiskError('ENOENT', 'open', directory, 'what the log was opened in is not there') },
  );
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
