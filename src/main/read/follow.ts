import { AbortController } from '../../files/node-globals.js';
import { WalError } from '../errors/wal-error.js';
import {
  checkDirectoryFollowOptions,
  checkFollowOptions,
  type DirectoryFollowOptions,
  type FollowOptions,
} from '../options/follow-options.js';
import { DirectoryView } from './directory-view.js';
import { EntryIterator } from './entry-iterator.js';
import { truncated } from './log-segments.js';
import type { LogView } from './log-view.js';
import { readBatches } from './read-log.js';
import { unwatchAbandoned, watchAbandoned } from './readers.js';
import type { WalEntry } from './segment-reader.js';
import { firstLsnAt } from './time-search.js';

/** The entries of a log as they become durable. See `Wal.follow`. */
export function follow(view: LogView, options: FollowOptions): EntryIterator {
  const stop = new AbortController();
  return new EntryIterator(followBatches(view, options, stop), () => stop.abort());
}

/** As [follow], but opens the log first. See `Wal.follow`. */
export function followDirectory(directory: string, options: DirectoryFollowOptions): EntryIterator {
  const stop = new AbortController();
  return new EntryIterator(openAndFollow(directory, options, stop), () => stop.abort());
}

async function* openAndFollow(
  directory: string,
  options: DirectoryFollowOptions,
  stop: AbortController,
): AsyncGenerator<WalEntry[], undefined, undefined> {
  const { follow, job } = checkDirectoryFollowOptions(options);
  const view = await DirectoryView.open(directory, job);
  const self = {};
  watchAbandoned(self, { end: () => view.close() });
  try {
    yield* followBatches(view, follow, stop);
  } finally {
    unwatchAbandoned(self);
    await view.close();
  }
}

/**
 * Walks all durable entries, then waits until more are durable. It is gapless, because each walk continues where the
 * last one ended. It holds nothing between two walks: if retention is faster, the follower's next entry is gone.
 *
 * `stop` ends the wait: a generator that waits would handle `return` only after the next entry. The caller's signal
 * aborts `stop` too.
 */
async function* followBatches(
  view: LogView,
  options: FollowOptions,
  stop: AbortController,
): AsyncGenerator<WalEntry[], undefined, undefined> {
  checkFollowOptions(options);
  const { from, since, signal, ref = true } = options;
  const wake = () => stop.abort();
  signal?.addEventListener('abort', wake);
  try {
    const wait = { signal, ref, stop: stop.signal };
    const first = since === undefined ? 0 : await waitForTime(view, Number(since), wait);
    // If `from` is below the log's beginning, entries that it asks for are gone; `since` does not ask for these.
    const next = from === undefined || first > view.firstLsn ? Math.max(from ?? 0, first) : from;
    yield* walkOn(view, next, wait);
  } finally {
    signal?.removeEventListener('abort', wake);
  }
}

interface Wait {
  readonly signal: AbortSignal | undefined;
  readonly ref: boolean;
  readonly stop: AbortSignal;
}

/**
 * Waits for the first entry that was made at `ms` or later to be durable: only then is it certain that a future moment has
 * come. 0 = the log begins with this entry, or the wait was ended.
 */
async function waitForTime(view: LogView, ms: number, { signal, ref, stop }: Wait): Promise<number> {
  for (;;) {
    signal?.throwIfAborted();
    if (view.isClosed || stop.aborted) return 0;
    const { durableLsn } = view;
    const first = await firstLsnAt(view, ms);
    if (first <= durableLsn || ms <= view.wallMs()) return first <= view.firstLsn ? 0 : first;
    await view.waitForWatermark(durableLsn, { signal: stop, ref });
  }
}

/** `from`: 0 = the first entry of the log at that time. */
async function* walkOn(
  view: LogView,
  from: number,
  { signal, ref, stop }: Wait,
): AsyncGenerator<WalEntry[], undefined, undefined> {
  let cutsSeen = view.truncations.length;
  /** LSN of the next entry. */
  let next = from;
  /** A cut matters only if it removes an entry that was returned. */
  let seen = 0;
  for (;;) {
    signal?.throwIfAborted();
    if (view.isClosed || stop.aborted) return;
    // One look: a second one could find another cut, which would count as seen.
    const cuts = view.truncations;
    if (cuts.slice(cutsSeen).some((lsn) => lsn < seen)) throw truncated(view, seen);
    cutsSeen = cuts.length;
    const to = view.durableLsn;
    if (to === 0 || to < next) {
      await view.waitForWatermark(Math.max(0, next - 1), { signal: stop, ref });
      continue;
    }
    try {
      for await (const batch of readBatches(view, { from: next > 0 ? next : undefined, to, signal })) {
        seen = batch.at(-1)?.lsn ?? seen;
        next = seen + 1;
        yield batch;
      }
      // The range may end with skipped LSNs.
      next = to + 1;
    } catch (error) {
      // The code above handles a cut after the returned entries, and the end of the log.
      if (!(error instanceof WalError) || !JUDGED_LATER.includes(error.code)) throw error;
    }
  }
}

const JUDGED_LATER: readonly string[] = ['ERR_WAL_TRUNCATED', 'ERR_WAL_CLOSED'];
