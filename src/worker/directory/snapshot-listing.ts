import { join } from 'node:path';
import { codecTools } from '../../files/codec-tools.js';
import { type Disk, IrregularFile, isOutOfDescriptors, systemCode } from '../../files/disk.js';
import type { ByteSource } from '../../format/bytes.js';
import { isSnapshotAsideName, parseSnapshotName, snapshotName } from '../../format/segment-name.js';
import { readOutline, type SnapshotOutline } from '../../format/snapshot-file.js';
import type { MessageFault } from '../../format/snapshot-messages.js';
import type { PendingCut } from '../../format/state-file.js';
import { type SnapshotRecord, snapshotRecord } from '../../protocol/snapshots.js';
import { openSource } from './log-listing.js';
import { discard } from './side-files.js';

/** LSNs of the files that have the name of a snapshot, newest first. */
export function snapshotLsns(names: readonly string[]): number[] {
  return names.flatMap((name) => parseSnapshotName(name) ?? []).sort((a, b) => b - a);
}

/**
 * The snapshots in a log's directory whose two ends are intact, of any log, newest first. Their chunks are not read. A file that
 * cannot be read is left out: `recover` and `verifySnapshots` name it.
 *
 * @throws EMFILE, ENFILE
 */
export function listSnapshots(disk: Disk, directory: string): SnapshotRecord[] {
  return snapshotLsns(disk.list(directory)).flatMap((lsn) => {
    try {
      const found = outlineOf(disk, directory, lsn);
      return 'fault' in found ? [] : recordOf(directory, found);
    } catch (error) {
      if (isOutOfDescriptors(error) || systemCode(error) === '') throw error;
      return [];
    }
  });
}

/** Without the snapshots of entries that an interrupted cut removes. */
export function snapshotsUpTo(
  snapshots: readonly SnapshotRecord[],
  cut: PendingCut | undefined,
): readonly SnapshotRecord[] {
  return cut === undefined ? snapshots : snapshots.filter(({ lsn }) => lsn <= cut.lsn);
}

/** Removes, unread, the files that interrupted calls of `writeSnapshot` have left. A file that stays only costs room. */
export function removeSnapshotAsides(disk: Disk, directory: string): void {
  const paths = disk
    .list(directory)
    .filter(isSnapshotAsideName)
    .map((name) => join(directory, name));
  discard(
    disk,
    paths.filter((path) => disk.stat(path)?.kind === 'file'),
  );
}

/** The file of a snapshot and the content of its two ends. The caller closes the file. @throws the system's error; ENOENT */
export function openSnapshot(
  disk: Disk,
  directory: string,
  lsn: number,
): { readonly source: ByteSource; readonly outline: SnapshotOutline } | MessageFault {
  let source: ByteSource;
  try {
    source = openSource(disk, join(directory, snapshotName(lsn)));
  } catch (error) {
    if (error instanceof IrregularFile)
      return { fault: `it is ${error.message.split(',')[0]?.split(': ')[1]}` };
    throw error;
  }
  let outline: SnapshotOutline | MessageFault | undefined;
  try {
    outline = readOutline(codecTools(), source, lsn);
    return 'fault' in outline ? outline : { source, outline };
  } finally {
    if (outline === undefined || 'fault' in outline) source.close?.();
  }
}

/** The two ends of a snapshot. @throws as [openSnapshot] */
function outlineOf(disk: Disk, directory: string, lsn: number): SnapshotOutline | MessageFault {
  const opened = openSnapshot(disk, directory, lsn);
  if ('fault' in opened) return opened;
  opened.source.close?.();
  return opened.outline;
}

export function recordOf(directory: string, { header, footer }: SnapshotOutline): SnapshotRecord {
  return snapshotRecord(join(directory, snapshotName(header.lsn)), header, footer.bytes);
}
