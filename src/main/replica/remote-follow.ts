import { AbortController, clearTimeout, setTimeout } from '../../files/node-globals.js';
import { sameBytes } from '../../replica/chain.js';
import { checkLink } from '../../replica/compare.js';
import { connectReplica } from '../../replica/connect.js';
import { decodeBatch } from '../../replica/payload.js';
import type { Replica, ReplicaBatch } from '../../replica/replica.js';
import { WalError } from '../errors/wal-error.js';
import type { CheckedReplicaFollow } from '../options/remote-options.js';
import { EntryIterator } from '../read/entry-iterator.js';
import type { WalEntry } from '../read/segment-reader.js';
import { errorOfReplica } from './replica-error.js';

/** Between two looks for entries, while there are none. */
const LOOK_MS = 25;

/** The confirmed entries of a replica, as they come. See `Wal.follow`. */
export function followReplica(options: CheckedReplicaFollow): EntryIterator {
  const stop = new AbortController();
  return new EntryIterator(entriesOf(options, stop), () => stop.abort());
}

async function* entriesOf(
  options: CheckedReplicaFollow,
  stop: AbortController,
): AsyncGenerator<WalEntry[], undefined, undefined> {
  const { adapter, logId, timeoutMs, signal } = options;
  const wake = () => stop.abort();
  signal?.addEventListener('abort', wake);
  let replica: Replica | undefined;
  try {
    signal?.throwIfAborted();
    replica = await connectReplica(adapter, { timeoutMs });
    yield* batchesOf(replica, await replica.select(logId), options, stop.signal);
  } catch (error) {
    signal?.throwIfAborted();
    throw errorOfReplica(error, 'Cannot follow the replica');
  } finally {
    signal?.removeEventListener('abort', wake);
    await replica?.close();
  }
}

async function* batchesOf(
  replica: Replica,
  logId: string,
  { from, signal, ref }: CheckedReplicaFollow,
  stop: AbortSignal,
): AsyncGenerator<WalEntry[], undefined, undefined> {
  let last: ReplicaBatch | undefined;
  while (!stop.aborted) {
    const start = last === undefined ? await firstLsn(replica, logId, from) : last.last + 1;
    for await (const batch of replica.read(start, stop)) {
      checkContinues(batch, last);
      last = batch;
      const frames = decodeBatch(batch).filter(({ lsn }) => lsn >= (from ?? 0));
      if (frames.length > 0) yield frames.map(({ lsn, data }) => ({ lsn, data }));
      if (stop.aborted) break;
    }
    if (last !== undefined) await checkNotCut(replica, logId, last);
    await pause(stop, ref);
  }
  signal?.throwIfAborted();
}

async function firstLsn(replica: Replica, logId: string, from: number | undefined): Promise<number> {
  if (from !== undefined) return from;
  return Math.max(1, (await logOf(replica, logId))?.floor ?? 1);
}

/** @throws ERR_WAL_TRUNCATED: the log was cut below what was returned, and other entries follow */
function checkContinues(batch: ReplicaBatch, last: ReplicaBatch | undefined): void {
  if (last !== undefined && (batch.first !== last.last + 1 || !sameBytes(batch.prev, last.chain)))
    throw truncated(last.last);
  checkLink(batch, undefined);
}

async function checkNotCut(replica: Replica, logId: string, { last }: ReplicaBatch): Promise<void> {
  const { lsn = last } = (await logOf(replica, logId)) ?? {};
  if (lsn < last) throw truncated(last);
}

async function logOf(replica: Replica, logId: string) {
  return (await replica.logs()).find((log) => log.logId === logId);
}

function truncated(lsn: number): WalError {
  return new WalError(
    'ERR_WAL_TRUNCATED',
    `Cannot go on after entry ${lsn} of the replica: its log was cut before that. Discard what came after the cut, and follow from there.`,
    { lsn },
  );
}

function pause(stop: AbortSignal, ref: boolean): Promise<void> {
  return new Promise((resolve) => {
    if (stop.aborted) return resolve();
    const end = () => {
      clearTimeout(timer);
      stop.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, LOOK_MS);
    if (!ref) timer.unref();
    stop.addEventListener('abort', end);
  });
}
