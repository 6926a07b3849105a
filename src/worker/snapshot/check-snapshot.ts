import { codecTools } from '../../files/codec-tools.js';
import { type Disk, isMissing } from '../../files/disk.js';
import type { ByteSource } from '../../format/bytes.js';
import { ChunkWalk, type SnapshotOutline } from '../../format/snapshot-file.js';
import type { SnapshotHeader } from '../../format/snapshot-messages.js';
import type { SnapshotCheck, SnapshotContext, VerifySnapshotRequest } from '../../protocol/snapshot-jobs.js';
import { openSnapshot, recordOf } from '../directory/snapshot-listing.js';
import { identifyEntry } from './entry-identity.js';

/**
 * Reads a whole snapshot: is it intact, and is it the state of this log after its entry? Memory is one chunk.
 *
 * @throws the system's error of reading the file, or the segment of its entry
 */
export function checkSnapshot(disk: Disk, request: VerifySnapshotRequest): SnapshotCheck {
  const { directory, lsn, log, progress } = request;
  let opened: ReturnType<typeof openSnapshot>;
  try {
    opened = openSnapshot(disk, directory, lsn);
  } catch (error) {
    if (isMissing(error)) return { reason: 'it was removed' };
    throw error;
  }
  if ('fault' in opened) return { reason: opened.fault };
  const { source, outline } = opened;
  try {
    const reason =
      strangerReason(outline.header, log) ??
      staleReason(disk, directory, outline.header, log) ??
      damageReason(source, outline, progress);
    return reason === undefined ? { snapshot: recordOf(directory, outline) } : { reason };
  } finally {
    source.close?.();
  }
}

/** Why the snapshot cannot be of this log, or is of no use to it. */
function strangerReason(
  { logId, lsn }: SnapshotHeader,
  { logId: ownId, firstLsn, lastLsn }: SnapshotContext,
): string | undefined {
  if (ownId === undefined) return 'the log has no id, so nothing shows whose snapshot it is';
  if (logId !== ownId) return 'it is of another log';
  if (lsn > lastLsn) return `the log ends before it, ${lastLsn === 0 ? 'empty' : `at entry ${lastLsn}`}`;
  if (firstLsn > lsn + 1)
    return `the entries ${lsn + 1} to ${firstLsn - 1} after it are gone: the log begins at ${firstLsn}`;
  return undefined;
}

/** Why the snapshot is stale: its LSN names another entry now. (log_id, branch, LSN) names one entry for ever. */
function staleReason(
  disk: Disk,
  directory: string,
  { logId, lsn, branch, entryCrc }: SnapshotHeader,
  { segment }: SnapshotContext,
): string | undefined {
  if (segment === undefined) return undefined;
  const entry = identifyEntry(disk, directory, logId, segment, lsn);
  // A repair has skipped the entry, or retention has removed it since.
  if (entry === undefined) return undefined;
  if (entry.branch === branch && entry.crc === entryCrc) return undefined;
  return `entry ${lsn} is another one now: the log was cut before it and has grown again`;
}

function damageReason(
  source: ByteSource,
  outline: SnapshotOutline,
  progress: SharedArrayBuffer | undefined,
): string | undefined {
  const words = progress && new BigInt64Array(progress);
  if (words !== undefined) Atomics.add(words, 1, BigInt(source.size));
  const walk = new ChunkWalk(outline, codecTools().crc32);
  while (!walk.isAtEnd) {
    const { reach } = walk;
    const taken = walk.take(source.read(walk.offset, reach));
    if ('fault' in taken) return taken.fault;
    if (words !== undefined) Atomics.add(words, 0, BigInt(taken.length));
  }
  return undefined;
}
