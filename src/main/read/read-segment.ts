import { describeEntry, describeReason, type Trouble, wayOutOf } from '../../format/verdict.js';
import { WalError } from '../errors/wal-error.js';
import { type JobOptions, runJob } from '../jobs/job-pool.js';
import { checkReadSegmentOptions, type ReadSegmentOptions } from '../options/job-options.js';
import { checkPath } from '../options/paths.js';
import { outcomeOf } from './outcome.js';
import { unwatchAbandoned, watchAbandoned } from './readers.js';
import { corruptError, SegmentReader, type WalEntry } from './segment-reader.js';

/** A size word of 0, and a frame that passes the end of the file, always mean an interrupted write. */
const TORN_FAULTS: readonly string[] = ['size', 'past-end'];

/** See `Wal.readSegment`. */
export function readSegment(
  file: string | URL,
  options: ReadSegmentOptions,
): AsyncGenerator<WalEntry, undefined, undefined> {
  return read(outcomeOf(() => ({ path: checkPath('path', file), job: checkReadSegmentOptions(options) })));
}

/** `take` returns the requested range, as it was at the call. */
async function* read(
  take: () => { readonly path: string; readonly job: JobOptions },
): AsyncGenerator<WalEntry, undefined, undefined> {
  const { path, job } = take();
  const reader = await open(path);
  let next = 0;
  const self = {};
  watchAbandoned(self, { end: () => reader.close() });
  try {
    while (reader.end === undefined) {
      for (const entry of await reader.next(0, Number.POSITIVE_INFINITY)) {
        next = entry.lsn + 1;
        yield entry;
      }
    }
    const { fault, offset } = reader.end;
    if (fault === undefined) return;
    if (reader.isWalg) {
      if (!TORN_FAULTS.includes(fault)) throw corruptError(path, offset, next, fault);
      return;
    }
    // Its frame is valid, so no write was interrupted here.
    if (fault === 'block') throw corruptError(path, offset, next, fault);
    // An invalid frame may be a torn tail. But acknowledged entries after it, or frames of a later version, must not
    // be skipped silently.
    const request = { path, number: Math.max(0, reader.number) };
    const { verdict, trouble } = await runJob('inspectFile', request, job);
    if (verdict === 'unsupported' && trouble !== undefined) throw unsupportedError(path, trouble);
    if (verdict === 'corrupt') throw corruptError(path, offset, next, fault);
  } finally {
    unwatchAbandoned(self);
    await reader.close();
  }
}

function unsupportedError(path: string, { offset, lsn, reason }: Trouble): WalError {
  const why = `${describeEntry(lsn)} at byte ${offset}: ${describeReason(reason)}`;
  return new WalError(
    'ERR_WAL_UNSUPPORTED',
    `Cannot read "${path}" to its end: ${why}. ${wayOutOf('unsupported', reason)}`,
    {
      path,
      offset,
      lsn: lsn || undefined,
    },
  );
}

async function open(path: string): Promise<SegmentReader> {
  try {
    return await SegmentReader.openAny(path);
  } catch (error) {
    if (error instanceof WalError) throw error;
    throw new WalError('ERR_WAL_IO', `Cannot open "${path}": ${(error as Error).message}`, {
      path,
      cause: error,
    });
  }
}
