import { join } from 'node:path';
import { type LsnRange, LsnSet } from '../../format/lsn-set.js';
import type { SegmentInfo } from '../../protocol/reports.js';
import type { CheckedCompaction } from '../options/compact-options.js';
import type { LiveView } from '../read/live-view.js';
import { readBatches } from '../read/read-log.js';
import type { Compactions, CompactReport } from './compactions.js';

/**
 * The result of {@link Wal.erase}: what was erased from the segments, and which copies of the entries there may still be. The log knows
 * of no backup, and of nothing that its readers have kept.
 */
export interface EraseReceipt extends CompactReport {
  /** The entries that were to be erased, ascending. */
  readonly ranges: readonly LsnRange[];
  /**
   * Of these, the entries that are still in the log; empty: none is. An entry stays if nothing else is left that could stand for its
   * LSN, if its segment is still to be archived, or if a cut, retention or a full disk came first. Call `erase` again later.
   */
  readonly remaining: readonly LsnRange[];
  /** Side files of the log's directory that hold what cuts and repairs removed: paths. Any of them may hold the entries. */
  readonly sideFiles: readonly string[];
  /** Snapshots of a state at or after the first of the entries: paths. The application knows what is in them. */
  readonly snapshots: readonly string[];
  /** Numbers of segments that held the entries and were handed to the archive before: its copies may still hold them. */
  readonly archivedSegments: readonly number[];
}

export interface EraseParts {
  readonly view: LiveView;
  readonly compactions: Compactions;
  /** Names of side files in the log's directory. */
  readonly listSideFiles: () => Promise<readonly string[]>;
  /** The log has an archive. */
  readonly hasArchive: boolean;
}

/** See `Wal.erase`. */
export async function eraseEntries(parts: EraseParts, checked: CheckedCompaction): Promise<EraseReceipt> {
  const { view, compactions, listSideFiles, hasArchive } = parts;
  const wanted = LsnSet.of(checked.drop);
  const held = view.segments().filter((segment) => holds(segment, wanted));
  const report = await compactions.run(checked, true);
  // Those that began later read the new files. These have the old ones open.
  await view.readers.untilMovedOn(checked.signal);
  const { ranges } = wanted;
  const first = ranges[0]?.first ?? 0;
  const { directory } = view;
  return {
    ...report,
    ranges,
    remaining: await remainingOf(view, wanted, checked.signal),
    sideFiles: (await listSideFiles()).map((name) => join(directory, name)),
    snapshots: view
      .snapshots()
      .filter(({ lsn }) => lsn >= first)
      .map(({ path }) => path),
    archivedSegments: hasArchive ? held.map(({ number }) => number) : [],
  };
}

function holds({ firstLsn, lastLsn }: SegmentInfo, wanted: LsnSet): boolean {
  return firstLsn > 0 && wanted.meets(firstLsn, lastLsn);
}

/** Reads the segments that may still hold some of them. */
async function remainingOf(
  view: LiveView,
  wanted: LsnSet,
  signal: AbortSignal | undefined,
): Promise<LsnRange[]> {
  const found: { first: number; last: number }[] = [];
  for (const segment of view.segments().filter((each) => holds(each, wanted))) {
    const from = Math.max(segment.firstLsn, view.firstLsn);
    if (from > segment.lastLsn) continue;
    for await (const batch of readBatches(view, { from, to: segment.lastLsn, signal })) {
      for (const { lsn } of batch) {
        if (!wanted.has(lsn)) continue;
        const range = found.at(-1);
        if (range?.last === lsn - 1) range.last = lsn;
        else found.push({ first: lsn, last: lsn });
      }
    }
  }
  return found;
}
