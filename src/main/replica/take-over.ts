import { AbortController } from '../../files/node-globals.js';
import { sameBytes } from '../../replica/chain.js';
import { checkLink } from '../../replica/compare.js';
import { connectReplica } from '../../replica/connect.js';
import { decodeBatch, type ShippedFrame } from '../../replica/payload.js';
import type { Replica, ReplicaHead, ReplicaPosition } from '../../replica/replica.js';
import { WalError } from '../errors/wal-error.js';
import type { CheckedRemote } from '../options/remote-options.js';
import type { WalEntry } from '../read/segment-reader.js';
import { errorOfReplica } from './replica-error.js';

/** A log that is open without a replica, as far as a takeover changes it. */
export interface LocalLog {
  readonly logId: string;
  readonly firstLsn: number;
  readonly lastLsn: number;
  batches(options: { readonly from: number; readonly to: number }): AsyncIterable<readonly WalEntry[]>;
  appendBatch(entries: readonly Uint8Array[]): Promise<unknown>;
  truncateAfter(lsn: number, options: { readonly splitBatch: true }): Promise<void>;
  reset(nextLsn: number): Promise<void>;
  close(): Promise<void>;
}

export interface TakeOverSteps {
  readonly directory: string;
  readonly remote: CheckedRemote;
  /** For people. */
  readonly writer: string;
  /** Opens the log in the directory; `undefined`: there is none. */
  readonly openLocal: () => Promise<LocalLog | undefined>;
  /** Makes the log in the directory from the replica. */
  readonly restore: (logId: string) => Promise<unknown>;
}

/**
 * Makes the log in a directory that of the replica, under a new epoch.
 *
 *   1. acquire   fences every earlier writer. The head is that of its answer, never one that was read before
 *   2. catch up  what the replica holds and the directory does not is appended; what differs, and what the replica does not hold, is cut off
 *                into side files. A directory without a log is restored
 *   3. open      at head + 1, by the caller. It expects exactly the epoch of step 1: a rival that took over in between fences it
 *
 * Returns that epoch.
 */
export async function takeOver(steps: TakeOverSteps): Promise<number> {
  const { directory, remote, writer } = steps;
  let replica: Replica | undefined;
  let local: LocalLog | undefined;
  try {
    local = await steps.openLocal();
    replica = await connectReplica(remote.adapter, { timeoutMs: remote.timeoutMs });
    const logId = local?.logId ?? (await replica.select(remote.logId));
    const head = await replica.acquire(logId, writer);
    if (local === undefined) await steps.restore(logId);
    else await catchUp(local, replica, head, directory);
    return head.epoch;
  } catch (error) {
    throw errorOfReplica(error, `Cannot take over "${directory}"`, directory);
  } finally {
    await replica?.close();
    await local?.close();
  }
}

async function catchUp(
  local: LocalLog,
  replica: Replica,
  head: ReplicaHead,
  directory: string,
): Promise<void> {
  const floor = Math.max(1, head.floor);
  // Nothing of the local log continues in the replica, or there is nothing: it begins where the replica does.
  if (local.lastLsn + 1 < floor || (local.lastLsn < local.firstLsn && local.lastLsn + 1 > head.lsn + 1))
    await local.reset(floor);
  const from = Math.max(floor, local.firstLsn);
  if (head.lsn > 0 && from > head.lsn + 1)
    throw new WalError(
      'ERR_WAL_PURGED',
      `Cannot take over "${directory}": its log begins with entry ${from}, after the end of the replica, entry ${head.lsn}. Move the directory ` +
        'away, and take over with a new one.',
      { path: directory, lsn: from },
    );
  let end: ReplicaPosition | undefined;
  if (from <= head.lsn) {
    for await (const batch of replica.read(from, new AbortController().signal)) {
      checkLink(batch, end);
      end = { lsn: batch.last, chain: batch.chain };
      for (const group of groupsOf(decodeBatch(batch))) await adopt(local, group, directory);
    }
    if (end?.lsn !== head.lsn || !sameBytes(end.chain, head.chain))
      throw new WalError(
        'ERR_WAL_REPLICA',
        `Cannot take over "${directory}": the batches of the replica do not lead to its head.`,
        {
          path: directory,
        },
      );
  }
  if (local.lastLsn > head.lsn)
    await local.truncateAfter(Math.max(head.lsn, local.firstLsn - 1), { splitBatch: true });
}

/** Makes the entries of one atomic batch, or one entry, the same in the local log. */
async function adopt(local: LocalLog, group: readonly ShippedFrame[], directory: string): Promise<void> {
  const [first] = group as readonly [ShippedFrame];
  const last = group[group.length - 1] as ShippedFrame;
  if (last.lsn < local.firstLsn) return;
  if (last.lsn <= local.lastLsn && (await isSame(local, group))) return;
  const start = first.lsn - first.skipped;
  if (local.lastLsn >= start)
    await local.truncateAfter(Math.max(start - 1, local.firstLsn - 1), { splitBatch: true });
  if (local.lastLsn !== first.lsn - 1)
    throw new WalError(
      'ERR_WAL_UNSUPPORTED',
      `Cannot take over "${directory}": entries before entry ${first.lsn} are missing in the replica, and cannot be left out in a log that exists. ` +
        'Move the directory away, and take over with a new one.',
      { path: directory, lsn: first.lsn },
    );
  await local.appendBatch(group.map(({ data }) => data));
}

async function isSame(local: LocalLog, group: readonly ShippedFrame[]): Promise<boolean> {
  const inLog = group.filter(({ lsn }) => lsn >= local.firstLsn);
  const [first] = inLog;
  if (first === undefined) return true;
  let at = 0;
  for await (const batch of local.batches({
    from: first.lsn,
    to: (inLog[inLog.length - 1] as ShippedFrame).lsn,
  })) {
    for (const { lsn, data } of batch) {
      const frame = inLog[at++];
      if (frame === undefined || frame.lsn !== lsn || !sameBytes(frame.data, data)) return false;
    }
  }
  return at === inLog.length;
}

function* groupsOf(frames: readonly ShippedFrame[]): Generator<readonly ShippedFrame[]> {
  let start = 0;
  for (const [at, { batchRemaining }] of frames.entries()) {
    if (batchRemaining > 0) continue;
    yield frames.slice(start, at + 1);
    start = at + 1;
  }
}
