/**
 * Writes a segment anew, of frames that stand in the segments of the log now.
 *
 *   1. write the frames to a file beside the log, as they will stand in the segment: the first one says which segment of which
 *      log this is, `skipped`, the offsets and every frame_crc are new; LSN, data, and what is left of a batch stay
 *   2. sync that file, rename it over the segment, sync the directory
 *
 * Wherever power goes the segment is the old one or the new one, whole. The segments that frames are taken from are not
 * changed, and each of them may be the one that is replaced.
 */

import { join } from 'node:path';
import { type Disk, type DiskFile, writeFully } from '../../files/disk.js';
import { encodeFrame } from '../../format/encode.js';
import { frameChecksumSeed, type SegmentStamp } from '../../format/frame.js';
import { FrameCursor } from '../../format/frame-cursor.js';
import { segmentName } from '../../format/segment-name.js';
import type { LogDirectory } from '../directory/log-directory.js';
import { openSource } from '../directory/log-listing.js';
import { syncDirectory, syncFile } from '../directory/side-files.js';

/** Frames that stand one after the other in a segment and are kept. */
export interface FrameRun {
  /** n of the segment that they stand in. */
  readonly segment: number;
  readonly offset: number;
  /** Of whole frames. */
  readonly bytes: number;
  /** What the first of them will say: LSNs that are missing right before it. The others say what they say now. */
  readonly skipped: number;
}

/** A segment as it will be. */
export interface NewSegment {
  /** n of `wal-<n>`. */
  readonly number: number;
  /** When the segment was created that its frames come from, not when it is written anew; 0 = not known. */
  readonly createdMs: number;
  /** What its first frame will say: the entries up to this one were durable before it. Below the LSN of that frame. */
  readonly syncedLsn: number;
  /** In the order in which they will stand. */
  readonly runs: readonly FrameRun[];
}

/** How to write it. */
export interface RewriteOptions {
  readonly logId: bigint;
  /** The name of the file beside the log. What it held is gone. */
  readonly asideName: string;
  readonly fileMode: number;
}

/** @throws the system's errors: the segment is as it was then, unless the directory could not be synced */
export function rewriteSegment(
  disk: Disk,
  home: LogDirectory,
  segment: NewSegment,
  { logId, asideName, fileMode }: RewriteOptions,
): void {
  const { directory } = home;
  home.check();
  const aside = join(directory, asideName);
  const file = disk.open(aside, 'w', fileMode);
  try {
    writeFrames(disk, directory, file, logId, segment);
    syncFile(file);
  } finally {
    file.close();
  }
  disk.rename(aside, join(directory, segmentName(segment.number)));
  syncDirectory(disk, directory);
}

function writeFrames(
  disk: Disk,
  directory: string,
  file: DiskFile,
  logId: bigint,
  { number, createdMs, syncedLsn, runs }: NewSegment,
): void {
  const checksumSeed = frameChecksumSeed(logId, number);
  const cursor = new FrameCursor();
  let fileOffset = 0;
  let branch = 0n;
  for (const run of runs) {
    const source = openSource(disk, join(directory, segmentName(run.segment)));
    try {
      cursor.enter(source, run.segment).seek(run.offset);
      for (; cursor.offset < run.offset + run.bytes; cursor.pass()) {
        // The checksum is made anew: it must not make damage valid that came up since the run was found.
        if (cursor.parse() !== undefined || !cursor.hasIntactData()) {
          throw new Error(
            `the frame at ${cursor.offset} of segment ${run.segment} reads otherwise than before`,
          );
        }
        const { lsn, batchRemaining, timeMs, skipped, segment } = cursor.frame;
        const isFirst = fileOffset === 0;
        // Where the log went on after a cut, it goes on after a cut in the new segment.
        const isNewBranch = segment !== undefined && segment.branch !== branch;
        if (isNewBranch) branch = segment.branch;
        const stamp: SegmentStamp = { logId, number, createdMs, recycled: false, branch };
        const frame = encodeFrame({
          lsn,
          data: cursor.readData(),
          batchRemaining,
          skipped: cursor.offset === run.offset ? run.skipped : skipped,
          timeMs,
          syncedLsn: isFirst ? syncedLsn : undefined,
          segment: isFirst || isNewBranch ? stamp : undefined,
          checksumSeed,
          fileOffset,
        });
        writeFully(file, frame, 0, frame.length, fileOffset);
        fileOffset += frame.length;
      }
    } finally {
      source.close?.();
    }
  }
}
