import { join } from 'node:path';
import { snapshotName } from '../../format/segment-name.js';
import type { SnapshotContext } from '../../protocol/snapshot-jobs.js';
import type { RejectedSnapshot, SnapshotInfo, SnapshotRecord } from '../../protocol/snapshots.js';
import { WalError } from '../errors/wal-error.js';
import { hasField } from '../jobs/own-field.js';
import type { LogView } from '../read/log-view.js';
import { readBatches } from '../read/read-log.js';
import { readSnapshot } from './read-snapshot.js';
import type { RecoverOptions } from './recover-options.js';

/** The result of {@link WalReader.recover}. */
export interface RecoveredState {
  /** The snapshot that `load` got; 0 = none, everything was replayed. */
  readonly snapshotLsn: number;
  /** Entries that `apply` got. */
  readonly replayed: number;
  /** Newer snapshots that could not be used, newest first. Their files are left alone. */
  readonly rejected: readonly RejectedSnapshot[];
}

/** A verified snapshot, or the reason why it cannot be used. */
export type VerifiedSnapshot =
  | { readonly snapshot: SnapshotRecord }
  | { readonly rejected: RejectedSnapshot };

/**
 * Brings the application's state up to the end of the log: from the newest snapshot that can be used, and every entry after it. Any
 * snapshot, with the entries after it, leads to the same state. So a snapshot that cannot be used only costs time, as long as the
 * log still has the entries that an older one needs.
 *
 * @throws WalError ERR_WAL_PURGED: no snapshot can be used, and the log no longer has its first entries; errors of `load` and
 *   `apply`
 */
export async function recoverState(
  view: LogView,
  { load, apply, signal }: RecoverOptions,
): Promise<RecoveredState & { readonly used: SnapshotRecord | undefined }> {
  view.assertOpen();
  signal?.throwIfAborted();
  const { used, rejected } = await newestUsable(view, signal);
  if (used === undefined && view.firstLsn > 1) throw gap(view, rejected);
  const snapshotLsn = used?.lsn ?? 0;
  const batches = readBatches(view, { from: snapshotLsn + 1, signal });
  try {
    // Done before `load`, which may take long: from now on retention keeps the entries that will be replayed.
    let next = view.lastLsn > snapshotLsn ? await batches.next() : undefined;
    if (used !== undefined) await loadFrom(view, used, load, signal);
    let replayed = 0;
    while (next !== undefined && next.done !== true) {
      signal?.throwIfAborted();
      replayed += next.value.length;
      await apply(next.value);
      next = await batches.next();
    }
    return { snapshotLsn, replayed, rejected, used };
  } finally {
    await batches.return(undefined);
  }
}

async function newestUsable(
  view: LogView,
  signal: AbortSignal | undefined,
): Promise<{ readonly used: SnapshotRecord | undefined; readonly rejected: readonly RejectedSnapshot[] }> {
  const rejected: RejectedSnapshot[] = [];
  for (const lsn of await view.snapshotJobs.find(view.directory)) {
    const verified = await verifyOne(view, lsn, signal);
    if (hasField(verified, 'snapshot')) return { used: verified.snapshot, rejected };
    rejected.push(verified.rejected);
  }
  return { used: undefined, rejected };
}

/** Reads the whole file. A file that cannot be read counts as rejected, with the system's reason. */
export async function verifyOne(
  view: LogView,
  lsn: number,
  signal: AbortSignal | undefined,
  progress?: SharedArrayBuffer,
): Promise<VerifiedSnapshot> {
  const { directory } = view;
  const path = join(directory, snapshotName(lsn));
  const rejected = (reason: string) => ({ rejected: { lsn, path, reason } });
  try {
    const request = { directory, lsn, log: contextOf(view, lsn), progress };
    const check = await view.snapshotJobs.verify(request, signal);
    return hasField(check, 'reason') ? rejected(check.reason) : { snapshot: check.snapshot };
  } catch (error) {
    if (!(error instanceof WalError) || error.code !== 'ERR_WAL_IO') throw error;
    return rejected(error.message);
  }
}

function contextOf(view: LogView, lsn: number): SnapshotContext {
  const { logId, firstLsn, lastLsn } = view;
  const segment = lsn >= firstLsn && lsn <= lastLsn ? view.segmentOf(lsn)?.number : undefined;
  return { logId, firstLsn, lastLsn, segment };
}

async function loadFrom(
  view: LogView,
  snapshot: SnapshotRecord,
  load: RecoverOptions['load'],
  signal: AbortSignal | undefined,
): Promise<void> {
  const stream = readSnapshot(view, snapshot.lsn, signal);
  try {
    await load(stream, infoOf(snapshot));
  } finally {
    await stream.return(undefined);
  }
}

/** The public description of a snapshot. */
export function infoOf({ lsn, format, bytes, createdMs, path }: SnapshotRecord): SnapshotInfo {
  return { lsn, format, bytes, createdMs, path };
}

function gap(view: LogView, rejected: readonly RejectedSnapshot[]): WalError {
  const { directory, firstLsn } = view;
  const why =
    rejected.length === 0
      ? 'there is no snapshot'
      : `no snapshot can be used (${rejected.map(({ lsn, reason }) => `at ${lsn}: ${reason}`).join('; ')})`;
  return new WalError(
    'ERR_WAL_PURGED',
    `Cannot recover from "${directory}": entries 1 to ${firstLsn - 1} were removed, and ${why}. Restore a backup of the snapshots, or read what is left with entries().`,
    { path: directory, lsn: 1 },
  );
}
