import { join } from 'node:path';
import { BlockEntries } from '../../blocks/block-entries.js';
import { type Disk, isMissing } from '../../files/disk.js';
import { FileShrank } from '../../files/windowed-source.js';
import type { ByteSource } from '../../format/bytes.js';
import { dataChecksum } from '../../format/frame.js';
import { FrameCursor } from '../../format/frame-cursor.js';
import { segmentName } from '../../format/segment-name.js';
import { openSource } from '../directory/log-listing.js';
import { unreadableBlock } from '../errors/unreadable-block.js';

/** Distinguishes an entry from every other entry that had, or will have, its LSN in this log. */
export interface EntryIdentity {
  /** Of the last Segment at or before it in its segment; 0 = none. */
  readonly branch: bigint;
  /** Field 3 as it is, or would be, in a frame of its own. */
  readonly crc: number;
  /** How many entries of its batch follow. */
  readonly batchRemaining: number;
}

/**
 * Finds entry `lsn` in segment `number`, which may be the live one: it is read again if the writer has cut off bytes that hold no
 * entry, as it does when it seals a segment. Reads the segment from its start up to the entry; work for a job thread.
 *
 * @returns `undefined`: there is no such entry in it, or no such file
 * @throws the system's error
 */
export function identifyEntry(
  disk: Disk,
  directory: string,
  logId: bigint,
  number: number,
  lsn: number,
): EntryIdentity | undefined {
  for (;;) {
    try {
      return findEntry(disk, directory, logId, number, lsn);
    } catch (error) {
      if (!(error instanceof FileShrank)) throw error;
    }
  }
}

/** @throws FileShrank; as [identifyEntry] */
function findEntry(
  disk: Disk,
  directory: string,
  logId: bigint,
  number: number,
  lsn: number,
): EntryIdentity | undefined {
  let source: ByteSource;
  try {
    source = openSource(disk, join(directory, segmentName(number)));
  } catch (error) {
    // Retention has removed it.
    if (isMissing(error)) return undefined;
    throw error;
  }
  try {
    const cursor = new FrameCursor().start({ logId, expectedLsn: 0, batchRemaining: 0 });
    const { frame } = cursor.enter(source, number);
    let branch = 0n;
    while (cursor.next() === undefined && frame.lsn <= lsn) {
      branch = frame.segment?.branch ?? branch;
      if (frame.lastLsn < lsn) continue;
      const entries = BlockEntries.of(cursor);
      if (entries === undefined) return { branch, crc: frame.crc, batchRemaining: frame.batchRemaining };
      if (typeof entries === 'string') {
        const place = {
          path: join(directory, segmentName(number)),
          offset: cursor.offset - frame.byteLength,
          lsn: frame.lsn,
        };
        throw unreadableBlock(entries, `Cannot read entry ${lsn}`, place);
      }
      const index = lsn - frame.lsn;
      const data = entries.data(index);
      const crc = dataChecksum(data, 0, data.length, lsn);
      return { branch, crc, batchRemaining: entries.remainingAfter(index) };
    }
    return undefined;
  } finally {
    source.close?.();
  }
}
