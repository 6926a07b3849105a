import { nextChain, sameBytes } from './chain.js';
import type { Meeting } from './healing.js';
import type { LogSource } from './log-source.js';
import { decodeBatch } from './payload.js';
import {
  type Replica,
  type ReplicaBatch,
  ReplicaError,
  type ReplicaHead,
  type ReplicaPosition,
} from './replica.js';

export interface Comparison {
  readonly outcome: Meeting['comparison'];
  /** The last entry up to which the two are known to agree; 0 = none is. */
  readonly lastCommon: number;
}

/**
 * Compares the entries that both the replica and the local log hold. The chain alone would not do: it depends on how the entries were
 * divided into batches, which only the one who shipped them knows. From R on, where the local log knows the chain, older entries need
 * not be read.
 *
 * @throws ReplicaError ERR_WAL_REPLICA: the replica contradicts itself
 */
export async function compareHistories(
  replica: Replica,
  head: ReplicaHead,
  source: LogSource,
  known: ReplicaPosition,
  signal: AbortSignal,
): Promise<Comparison> {
  if (head.lsn === 0) return { outcome: 'none', lastCommon: 0 };
  if (known.lsn > 0 && head.lsn === known.lsn && sameBytes(head.chain, known.chain))
    return { outcome: 'same', lastCommon: head.lsn };
  if (known.lsn > 0 && head.lsn > known.lsn) {
    const newer = await compareFrom(replica, head, source, known, signal);
    if (newer !== undefined) return newer;
  }
  return (await compareFrom(replica, head, source, undefined, signal)) as Comparison;
}

/** `anchor`: compare what follows it only; `undefined` if the remote's batches do not continue it. */
async function compareFrom(
  replica: Replica,
  head: ReplicaHead,
  source: LogSource,
  anchor: ReplicaPosition | undefined,
  signal: AbortSignal,
): Promise<Comparison | undefined> {
  const from = anchor === undefined ? Math.max(head.floor, source.firstLsn, 1) : anchor.lsn + 1;
  if (from > head.lsn) return { outcome: 'none', lastCommon: 0 };
  let end: ReplicaPosition | undefined = anchor;
  let lastCommon = anchor?.lsn ?? 0;
  for await (const batch of replica.read(from, signal)) {
    if (anchor !== undefined && end === anchor && !continues(batch, anchor)) return undefined;
    checkLink(batch, end);
    end = { lsn: batch.last, chain: batch.chain };
    const different = findDifference(batch, source);
    if (different !== undefined)
      return { outcome: 'different', lastCommon: Math.max(lastCommon, different - 1) };
    if (batch.last >= source.firstLsn) lastCommon = Math.min(batch.last, source.lastLsn);
    if (batch.last >= head.lsn || batch.last >= source.lastLsn) break;
  }
  const sawHead = end?.lsn === head.lsn;
  if (sawHead && !sameBytes(end?.chain as Uint8Array, head.chain)) throw contradiction(head);
  if (!sawHead && (end?.lsn ?? 0) < Math.min(head.lsn, source.lastLsn)) throw contradiction(head);
  return { outcome: lastCommon === 0 ? 'none' : 'equal', lastCommon };
}

function continues({ first, prev }: ReplicaBatch, { lsn, chain }: ReplicaPosition): boolean {
  return first === lsn + 1 && sameBytes(prev, chain);
}

/** @throws ReplicaError ERR_WAL_REPLICA: the batch does not follow the one before it, or its bytes are not those of its chain */
export function checkLink(batch: ReplicaBatch, before: ReplicaPosition | undefined): void {
  const isLinked = before === undefined || continues(batch, before);
  if (isLinked && sameBytes(nextChain(batch.prev, batch.data), batch.chain)) return;
  throw new ReplicaError(
    'ERR_WAL_REPLICA',
    `The batch of entries ${batch.first} to ${batch.last} in the replica does not continue the one before it.`,
    { lsn: batch.first },
  );
}

/** LSN of the first entry of `batch` that the local log holds otherwise, or misses; `undefined` = there is none. */
function findDifference(batch: ReplicaBatch, source: LogSource): number | undefined {
  const frames = decodeBatch(batch).filter(({ lsn }) => lsn >= source.firstLsn && lsn <= source.lastLsn);
  if (frames.length === 0) return undefined;
  const local = source.read(frames[0].lsn, frames[frames.length - 1].lsn)[Symbol.iterator]();
  for (const frame of frames) {
    const { value, done } = local.next();
    if (done === true || !sameBytes(value.bytes, frame.bytes)) return frame.lsn;
  }
  return undefined;
}

function contradiction({ lsn }: ReplicaHead): ReplicaError {
  return new ReplicaError(
    'ERR_WAL_REPLICA',
    `The replica contradicts itself: its batches do not lead to its head, entry ${lsn}.`,
    { lsn },
  );
}
