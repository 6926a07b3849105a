import type { AsyncFile } from '../../files/async-file.js';
import { DiskError, isMissing } from '../../files/disk.js';
import { wayOutOf } from '../../format/verdict.js';
import type { SegmentInfo } from '../../protocol/reports.js';
import { WalError } from '../errors/wal-error.js';
import type { LogView } from './log-view.js';

/**
 * Opens the segment of entry `lsn` and checks that the file belongs to this log: a moved symbolic link or a replaced
 * directory may have changed where the name leads.
 *
 * @throws ERR_WAL_PURGED, ERR_WAL_IO
 */
export async function openSegmentFile(view: LogView, segment: SegmentInfo, lsn: number): Promise<AsyncFile> {
  try {
    return await openOwnFile(view, segment);
  } catch (error) {
    if (error instanceof WalError) throw error;
    // If another process may write the log, that process has removed a missing file.
    if (view.firstLsn > lsn || (view.files === undefined && isMissing(error))) throw purged(view, lsn);
    throw new WalError('ERR_WAL_IO', `Cannot open "${segment.path}": ${(error as Error).message}`, {
      path: segment.path,
      lsn,
      cause: error,
    });
  }
}

/** As [openSegmentFile]. @throws the system's error; ERR_WAL_IO if the file is not this log's */
export async function openOwnFile(view: LogView, segment: SegmentInfo): Promise<AsyncFile> {
  let file: AsyncFile;
  try {
    file = await view.openForReading(segment.path);
  } catch (error) {
    if (isMissing(error)) await view.proveOwn(segment, undefined);
    throw error;
  }
  try {
    // Checked after opening, so that an earlier replacement of the file is noticed.
    await view.proveOwn(segment, file.identity);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** The error when the paths of a log lead to something else. `found` names the replaced file or directory. */
export function replaced(directory: string, path: string, found: string): WalError {
  return new WalError(
    'ERR_WAL_IO',
    `Cannot read "${path}": ${found} was removed, renamed or replaced, or a link that leads there was moved. No file that ` +
      'is there now was read. Close the log and open the right one.',
    {
      path,
      cause: new DiskError(
        'ENOENT',
        'open',
        directory,
        'the directory in which the log was opened is not there',
      ),
    },
  );
}

export function truncated(view: LogView, lsn: number): WalError {
  return new WalError(
    'ERR_WAL_TRUNCATED',
    `Entry ${lsn} of "${view.directory}" was cut off by truncateAfter after a reader got it, or during the read. ` +
      'Another entry will get its LSN. Discard everything derived from it, and continue from the lastLsn + 1 of the time after the cut.',
    { path: view.directory, lsn },
  );
}

export function purged(view: LogView, lsn: number): WalError {
  return new WalError(
    'ERR_WAL_PURGED',
    `Entry ${lsn} of "${view.directory}" is gone: it was removed. The log begins at ${view.firstLsn}. ` +
      'Begin there, or keep more (options maxFiles, maxTotalSize, maxAge, retainFrom).',
    { path: view.directory, lsn },
  );
}

/**
 * The error when a reader does not find entry `lsn`. `to` is the end of its range, taken when it began. `assertUncut`
 * throws if a reported cut has removed a part of the range.
 */
export function notFound(view: LogView, lsn: number, to: number, assertUncut: () => void): WalError {
  // A cut lowers the log's last LSN before it is reported, and appends raise that LSN only after the report. In this
  // order, one of the two checks notices the cut.
  const isShorter = view.lastLsn < to;
  assertUncut();
  if (isShorter) return truncated(view, lsn);
  return view.firstLsn > lsn || view.files === undefined ? purged(view, lsn) : missing(view, lsn);
}

/** The error when no segment holds an entry that the log should hold. */
export function missing(view: LogView, lsn: number): WalError {
  return new WalError(
    'ERR_WAL_CORRUPT',
    `Cannot read entry ${lsn} in "${view.directory}": no segment holds it. ${wayOutOf('corrupt')}`,
    { path: view.directory, lsn },
  );
}
