import { join } from 'node:path';
import { codecTools } from '../../files/codec-tools.js';
import { type Disk, isOutOfDescriptors, systemCode } from '../../files/disk.js';
import { WindowedSource } from '../../files/windowed-source.js';
import { parseSnapshotName, snapshotName } from '../../format/segment-name.js';
import { readOutline } from '../../format/snapshot-file.js';
import { type SnapshotRecord, snapshotRecord } from '../../protocol/snapshots.js';

/** Only the two ends of a file are read. */
const NO_READ_AHEAD = 0;

/**
 * The snapshots among the files `names` of `directory` whose two ends are intact, of log `logId`, newest first. It blocks the calling
 * thread for some small reads. A file that cannot be read is left out: `verifySnapshots` names it.
 *
 * @throws EMFILE, ENFILE
 */
export function readOutlines(
  disk: Disk,
  directory: string,
  names: readonly string[],
  logId: bigint | undefined,
): SnapshotRecord[] {
  const lsns = names.flatMap((name) => parseSnapshotName(name) ?? []).sort((a, b) => b - a);
  return lsns.flatMap((lsn) => recordOf(disk, join(directory, snapshotName(lsn)), lsn, logId) ?? []);
}

function recordOf(
  disk: Disk,
  path: string,
  lsn: number,
  ownId: bigint | undefined,
): SnapshotRecord | undefined {
  try {
    const file = disk.open(path, 'r');
    try {
      const found = readOutline(codecTools(), new WindowedSource(file, NO_READ_AHEAD), lsn);
      if ('fault' in found || found.header.logId !== ownId) return undefined;
      return snapshotRecord(path, found.header, found.footer.bytes);
    } finally {
      file.close();
    }
  } catch (error) {
    if (isOutOfDescriptors(error) || systemCode(error) === '') throw error;
    return undefined;
  }
}
