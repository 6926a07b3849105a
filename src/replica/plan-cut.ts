import { NO_CHAIN, nextChain } from './chain.js';
import { decodeBatch, encodeShipped, joinFrames, type ShippedEntry } from './payload.js';
import type { Replica, ReplicaCut, ReplicaHead } from './replica.js';

/**
 * What a cut after entry `lsn` leaves: the batch that holds it, up to it. A cut inside an atomic batch makes that batch end with it.
 * `head` is confirmed, and ends above `lsn`.
 */
export async function planCut(
  replica: Replica,
  head: ReplicaHead,
  lsn: number,
  empties: boolean,
  signal: AbortSignal,
): Promise<ReplicaCut> {
  const nothing: ReplicaCut = { lsn, chain: NO_CHAIN, empties: true, boundary: undefined };
  if (empties || lsn < head.floor || lsn < 1) return nothing;
  for await (const batch of replica.read(lsn, signal)) {
    if (batch.first > lsn) return nothing;
    if (batch.last === lsn) return { lsn, chain: batch.chain, empties: false, boundary: undefined };
    const kept = decodeBatch(batch).filter((entry) => entry.lsn <= lsn);
    if (kept.length === 0)
      return { lsn: batch.first - 1, chain: batch.prev, empties: false, boundary: undefined };
    const data = joinFrames(endingBatch(kept).map(encodeShipped));
    const chain = nextChain(batch.prev, data);
    const { lsn: last } = kept[kept.length - 1];
    return { lsn: last, chain, empties: false, boundary: { ...batch, last, chain, data } };
  }
  return nothing;
}

/** The entries, of which the last one ends its atomic batch. */
function endingBatch(entries: readonly ShippedEntry[]): ShippedEntry[] {
  const missing = entries[entries.length - 1].batchRemaining;
  let start = entries.length;
  while (missing > 0 && start > 0 && entries[start - 1].batchRemaining >= missing) start--;
  return entries.map((entry, at) =>
    at < start ? entry : { ...entry, batchRemaining: entry.batchRemaining - missing },
  );
}
