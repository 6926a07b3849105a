import { join } from 'node:path';
import { type Disk, isMissing } from '../../files/disk.js';
import { withSource } from '../../format/bytes.js';
import { FrameCursor } from '../../format/frame-cursor.js';
import { segmentName } from '../../format/segment-name.js';
import { segmentFile } from '../directory/log-listing.js';
import { LogFailure } from '../errors/failure.js';
import type { LogPicture } from './log-picture.js';
import { type Backup, hex } from './read-backup.js';

/**
 * Does the log continue where that backup ended? It must be the same log, on the same branch; every later entry must still be
 * there, and the last entry of the backup must be in its old place.
 *
 * @throws LogFailure ERR_WAL_OPTION: another log or branch; ERR_WAL_PURGED: retention has removed entries that are in no backup
 */
export function checkContinues(disk: Disk, directory: string, picture: LogPicture, earlier: Backup): void {
  const { logId, branch, watermark, end } = earlier.manifest;
  const refuse = (why: string) =>
    new LogFailure(
      'ERR_WAL_OPTION',
      `Cannot continue the backup "${earlier.directory}": ${why}. Make a full backup of "${directory}".`,
      { path: earlier.directory },
    );
  // A backup of a log that had no entry may have been made before the log had a name.
  if (watermark > 0 && logId !== picture.logId)
    throw refuse(`it is of another log (${hex(logId)}, not ${hex(picture.logId)})`);
  if (watermark > 0 && branch !== picture.branch)
    throw refuse(
      `the log was cut since (its branch was ${hex(branch)} and is ${hex(picture.branch)}), and entries of one LSN may differ`,
    );
  if (picture.watermark < watermark)
    throw refuse(`it ends with entry ${watermark}, and the log ends with entry ${picture.watermark}`);
  const [first] = picture.segments;
  if (first !== undefined && first.firstLsn - first.skipped > watermark + 1) {
    throw new LogFailure(
      'ERR_WAL_PURGED',
      `Cannot continue the backup "${earlier.directory}": it ends with entry ${watermark}, and "${directory}" begins with entry ` +
        `${first.firstLsn}. The entries between them were removed from the log. Make a full backup.`,
      { path: directory, lsn: watermark + 1 },
    );
  }
  // The segment may be gone: then every later entry is in later segments, and the equal branch proves them.
  if (end.offset === 0 || !picture.segments.some(({ number }) => number === end.segment)) return;
  if (!standsThere(disk, directory, earlier))
    throw refuse(
      `its last entry, ${watermark}, is not in "${join(directory, segmentName(end.segment))}" at byte ${end.frameOffset} any more`,
    );
}

function standsThere(disk: Disk, directory: string, { manifest }: Backup): boolean {
  const { end, logId, watermark } = manifest;
  try {
    return withSource(segmentFile(disk, directory, end.segment), (source) => {
      const inbound = { logId: logId === 0n ? undefined : logId, expectedLsn: 0, batchRemaining: 0 };
      const cursor = new FrameCursor().start(inbound).enter(source, end.segment).seek(end.frameOffset);
      if (cursor.parse() !== undefined || !cursor.hasIntactData()) return false;
      const { lastLsn, crc, byteLength } = cursor.frame;
      return lastLsn === watermark && crc === end.crc && end.frameOffset + byteLength === end.offset;
    });
  } catch (error) {
    if (isMissing(error)) return true;
    throw error;
  }
}
