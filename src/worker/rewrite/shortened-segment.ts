/**
 * A cut inside a batch or inside a block. The frames of the batch that stay say how many of it are to come, so they are written anew,
 * with fewer to come: the batch ends with the last entry that stays. A block of which only the first entries stay is written anew
 * with these.
 *
 *        wal-3                            wal-4
 *   before:  … │ a | batch: 3 to come │  2 to come | 1 to come | 0 to come │ b …
 *   cut after the one with 2 to come:
 *   after:   … │ a | batch: 1 to come | 0 to come │
 *
 *   1. write the segment in which the batch or the block begins as it will be to `ringwal.shortened`: the bytes before it as they are, then
 *      the frames that stay, also those of later segments; sync it and the directory
 *   2. record the intent in the state file: the cut ends at the end of the new file. From here on the next open finishes it
 *   3. remove what stands after the batch or the block, as any cut does
 *   4. rename the new file over the segment, sync the directory
 *   5. remove the later segments that held parts of the batch, highest first
 *   6. clear the intent
 *
 * Until 2 the file is removed unread, and durably, before anything else is recorded. A crash after 2 leaves the intent, and the file if
 * the rename was not done: so the file belongs to the intent. Without the state file the log ends after the batch or the block, or after
 * the cut.
 */

import { join } from 'node:path';
import { BlockEntries } from '../../blocks/block-entries.js';
import { type Disk, type DiskFile, isMissing, readExactly, writeFully } from '../../files/disk.js';
import { encodeFrame } from '../../format/encode.js';
import { frameChecksumSeed } from '../../format/frame.js';
import { FrameCursor } from '../../format/frame-cursor.js';
import { SHORTENED_FILE, segmentName } from '../../format/segment-name.js';
import { openSource } from '../directory/log-listing.js';
import { removeIfThere, syncDirectory, syncFile } from '../directory/side-files.js';
import { unreadableBlock } from '../errors/unreadable-block.js';
import { encodeShortened, type FrameSite } from './shortened-block.js';

const COPY_BYTES = 1024 * 1024;

/** What stays of a batch, or of a block. */
export interface ShortenedBatch {
  readonly directory: string;
  readonly fileMode: number;
  readonly logId: bigint;
  /** The place of its first frame. */
  readonly start: { readonly segment: number; readonly offset: number };
  /** Numbers of the segments that hold frames of it up to `lsn`, ascending; the first one is that of `start`. */
  readonly segments: readonly number[];
  /** The last entry that stays. */
  readonly lsn: number;
}

/**
 * Step 1. @returns bytes of the new file
 * @throws the system's errors: no such file is left, and nothing has changed; LogFailure ERR_WAL_SYNC_FAILED
 */
export function writeShortened(disk: Disk, batch: ShortenedBatch): number {
  const { directory, fileMode } = batch;
  try {
    const file = disk.open(join(directory, SHORTENED_FILE), 'w', fileMode);
    let bytes: number;
    try {
      bytes = copyStart(disk, batch, file);
      bytes = writeRest(disk, batch, file, bytes);
      syncFile(file);
    } finally {
      file.close();
    }
    syncDirectory(disk, directory);
    return bytes;
  } catch (error) {
    removeShortened(disk, directory);
    throw error;
  }
}

/** No cut is under way that needs the file: it is gone, durably, before a later intent could be taken to need it. */
export function removeShortened(disk: Disk, directory: string): void {
  removeIfThere(disk, join(directory, SHORTENED_FILE));
  syncDirectory(disk, directory);
}

/** Step 4. Does nothing if it was done. @throws the system's errors */
export function useShortened(disk: Disk, directory: string, segment: number): void {
  try {
    disk.rename(join(directory, SHORTENED_FILE), join(directory, segmentName(segment)));
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  syncDirectory(disk, directory);
}

/** Everything before the batch. */
function copyStart(disk: Disk, { directory, start }: ShortenedBatch, target: DiskFile): number {
  const source = disk.open(join(directory, segmentName(start.segment)), 'r');
  try {
    const window = new Uint8Array(Math.min(COPY_BYTES, start.offset));
    for (let at = 0; at < start.offset; ) {
      const piece = window.subarray(0, start.offset - at);
      readExactly(source, piece, at);
      writeFully(target, piece, 0, piece.length, at);
      at += piece.length;
    }
    return start.offset;
  } finally {
    source.close();
  }
}

/** The frames of the batch up to entry `lsn`, from `fileOffset` on. Returns where they end. */
function writeRest(
  disk: Disk,
  { directory, logId, start, segments, lsn: lastLsn }: ShortenedBatch,
  target: DiskFile,
  fileOffset: number,
): number {
  const checksumSeed = frameChecksumSeed(logId, start.segment);
  const cursor = new FrameCursor().start({ logId, expectedLsn: 0, batchRemaining: 0 });
  let end = fileOffset;
  let nextLsn = 0;
  for (const number of segments) {
    const source = openSource(disk, join(directory, segmentName(number)));
    try {
      cursor.enter(source, number).seek(number === start.segment ? start.offset : 0);
      while (nextLsn <= lastLsn) {
        const { offset } = cursor;
        if (cursor.next() !== undefined) break;
        const { segment } = cursor.frame;
        // Of the segment that the frame goes to; one of a later segment would name that.
        const stamp = segment?.number === start.segment ? segment : undefined;
        const site = { checksumSeed, fileOffset: end, segment: stamp };
        const place = { path: join(directory, segmentName(number)), offset };
        const frame = encodeKept(cursor, lastLsn, site, place);
        nextLsn = cursor.expectedLsn;
        writeFully(target, frame, 0, frame.length, end);
        end += frame.length;
      }
    } finally {
      source.close?.();
    }
  }
  if (nextLsn <= lastLsn) throw new Error(`the batch of entry ${lastLsn} reads otherwise than before`);
  return end;
}

/** The frame that `cursor` went past, as far as its entries are at most `lastLsn`. */
function encodeKept(
  cursor: FrameCursor,
  lastLsn: number,
  site: FrameSite,
  place: { readonly path: string; readonly offset: number },
): Uint8Array {
  const { frame } = cursor;
  const { lsn, syncedLsn, timeMs, skipped, block } = frame;
  // Its last entry said that more of the batch follow.
  const endsBatch = frame.lastLsn === lastLsn && frame.batchRemaining > 0;
  if (block !== undefined && (endsBatch || frame.lastLsn > lastLsn)) {
    const entries = BlockEntries.of(cursor);
    if (typeof entries === 'object') return encodeShortened(frame, entries, lastLsn - lsn + 1, site);
    throw unreadableBlock(entries ?? 'damaged', `Cannot cut behind entry ${lastLsn}`, { ...place, lsn });
  }
  return encodeFrame({
    lsn,
    data: cursor.readData(),
    syncedLsn: syncedLsn < 0 ? undefined : syncedLsn,
    batchRemaining: lastLsn - frame.lastLsn,
    timeMs,
    skipped,
    block,
    ...site,
  });
}
