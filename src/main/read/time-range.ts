import type { EntriesOptions } from '../options/read-options.js';
import type { LogView } from './log-view.js';
import { firstLsnAt, lastLsnAt } from './time-search.js';

/** The LSNs of a read. */
export interface LsnBounds {
  /** `undefined`: from `lowest` on, or from the beginning of the log at the time of the read. */
  readonly from: number | undefined;
  /** The first LSN that is wanted, whether it is still there or not; 0 = any. */
  readonly lowest: number;
  readonly to: number;
}

/** The range of `from`, `to`, `since` and `until` together, for a log that ended with `lastLsn` when the read was requested. */
export async function boundsOf(view: LogView, options: EntriesOptions, lastLsn: number): Promise<LsnBounds> {
  const { from, since, until } = options;
  const to = Math.min(options.to ?? Number.POSITIVE_INFINITY, lastLsn);
  if (since === undefined && until === undefined) return { from, lowest: from ?? 0, to };
  const first = since === undefined ? 0 : await firstLsnAt(view, Number(since));
  // Entries before the log's first one may be of that time, too. They are gone, and a `from` below the beginning reports that.
  const isAfterFirst = first > view.firstLsn;
  const last = until === undefined ? to : Math.min(to, await lastLsnAt(view, Number(until)));
  if (from === undefined) return { from, lowest: isAfterFirst ? first : 0, to: last };
  const both = isAfterFirst ? Math.max(from, first) : from;
  return { from: both, lowest: both, to: last };
}
