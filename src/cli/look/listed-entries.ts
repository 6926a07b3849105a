import type { LsnRange, WalReader } from '../../index.js';

/** How many of the entries that `ranges` name the log holds, how much data is in them, and in how many segments they are. */
export interface ListedEntries {
  readonly entries: number;
  readonly bytes: number;
  readonly segments: number;
}

/** Reads the entries. The ranges may be in any order, and may overlap. */
export async function lookAtListed(
  log: WalReader,
  ranges: readonly LsnRange[],
  signal: AbortSignal,
): Promise<ListedEntries> {
  const segments = new Set<number>();
  const starts = log.segments().map(({ number, firstLsn }) => ({ number, firstLsn }));
  let entries = 0;
  let bytes = 0;
  for (const { first, last } of joined(ranges)) {
    const [from, to] = [Math.max(first, log.firstLsn), Math.min(last, log.lastLsn)];
    if (from > to) continue;
    for await (const batch of log.batches({ from, to, signal })) {
      for (const { lsn, data } of batch) {
        entries += 1;
        bytes += data.length;
        segments.add(starts.findLast(({ firstLsn }) => firstLsn > 0 && firstLsn <= lsn)?.number ?? 0);
      }
    }
  }
  return { entries, bytes, segments: segments.size };
}

/** Ascending, without overlaps. */
function joined(ranges: readonly LsnRange[]): LsnRange[] {
  const result: { first: number; last: number }[] = [];
  for (const { first, last } of [...ranges].sort((one, other) => one.first - other.first)) {
    const before = result.at(-1);
    if (before !== undefined && first <= before.last + 1) before.last = Math.max(before.last, last);
    else result.push({ first, last });
  }
  return result;
}
