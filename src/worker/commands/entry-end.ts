import { join } from 'node:path';
import type { Disk } from '../../files/disk.js';
import { FrameCursor } from '../../format/frame-cursor.js';
import { segmentName } from '../../format/segment-name.js';
import { openSource } from '../directory/log-listing.js';
import type { CutPlace } from '../directory/tail-cut.js';
import { LogFailure } from '../errors/failure.js';
import type { SegmentCatalog } from '../write/segment-catalog.js';

/** Where a log is cut, and the last entry that stays. */
export interface EntryEnd extends CutPlace {
  readonly lsn: number;
}

/**
 * Where entry `lsn` ends: the place at which a log is cut that shall end with it. An LSN that was skipped ends with the
 * entry before it.
 *
 * @throws LogFailure ERR_WAL_OPTION if more entries of its batch follow; ERR_WAL_CORRUPT if it cannot be read
 */
export function findEntryEnd(
  disk: Disk,
  directory: string,
  catalog: SegmentCatalog,
  logId: bigint,
  lsn: number,
): EntryEnd {
  const record = catalog.holderOf(lsn);
  if (record === undefined) throw missing(directory, lsn);
  const path = join(directory, segmentName(record.number));
  const source = openSource(disk, path);
  try {
    const cursor = new FrameCursor().start({ logId, expectedLsn: 0, batchRemaining: 0 });
    const { frame } = cursor.enter(source, record.number);
    let foundLsn = 0;
    let offset = 0;
    while (cursor.next() === undefined && frame.lsn <= lsn) {
      foundLsn = frame.lsn;
      offset = cursor.offset;
      if (frame.lsn < lsn) continue;
      if (frame.batchRemaining === 0) break;
      throw new LogFailure(
        'ERR_WAL_OPTION',
        `Cannot cut "${directory}" behind entry ${lsn}: ${frame.batchRemaining} more of its batch follow, and a batch is all or nothing.`,
        { path: directory, lsn },
      );
    }
    if (foundLsn === 0) throw missing(path, lsn);
    return { segment: record.number, offset, lsn: foundLsn };
  } finally {
    source.close?.();
  }
}

function missing(path: string, lsn: number): LogFailure {
  return new LogFailure(
    'ERR_WAL_CORRUPT',
    `Cannot cut behind entry ${lsn}: it cannot be found in "${path}". Wal.verify says what is wrong there.`,
    { path, lsn },
  );
}
