/**
 * Rewrites a segment, from frames that stand in the segments of the log now.
 *
 *   1. write the frames to a file beside the log, as they will stand in the segment: the first one says which segment of which
 *      log this is, `skipped`, the offsets and every frame_crc are new; LSN, data, time stamp and `batch_remaining` stay.
 *      A Segment in the middle of a segment stays as well: it records a new branch, or a new resolution of the stamps. Where
 *      frames are missing, a stamp may be missing with them: a Segment without time_ms says so there
 *   2. sync that file, rename it over the segment, sync the directory
 *
 * If power goes at any point, the segment is the old one or the new one, whole. The segments from which frames are taken are not
 * changed, but the segment that is replaced may be one of them.
 */

import { join } from 'node:path';
import { type Disk, type DiskFile, writeFully } from '../../files/disk.js';
import { encodeFrame } from '../../format/encode.js';
import { frameChecksumSeed, type SegmentStamp } from '../../format/frame.js';
import { FrameCursor } from '../../format/frame-cursor.js';
import { segmentName } from '../../format/segment-name.js';
import { DEFAULT_RESOLUTION_MS, RESOLUTION_MS_MAX } from '../../format/time-walk.js';
import type { LogDirectory } from '../directory/log-directory.js';
import { openSource } from '../directory/log-listing.js';
import { syncDirectory, syncFile } from '../directory/side-files.js';

/** Frames that stand one after the other in a segment and are kept. */
export interface FrameRun {
  /** n of the segment in which they stand. */
  readonly segment: number;
  readonly offset: number;
  /** Of whole frames. */
  readonly bytes: number;
  /** The `skipped` of the first frame: LSNs that are missing right before it. The other frames keep theirs. */
  readonly skipped: number;
}

/** A segment as it will be. */
export interface NewSegment {
  /** n of `wal-<n>`. */
  readonly number: number;
  /** When the segment from which its frames come was created, not when it is rewritten; 0 = not known. */
  readonly createdMs: number;
  /** The `synced_lsn` of its first frame: entries up to this one were durable before. Below the LSN of that frame. */
  readonly syncedLsn: number;
  /** In the order in which they will stand. */
  readonly runs: readonly FrameRun[];
}

/** How to write it. */
export interface RewriteOptions {
  readonly logId: bigint;
  /** The name of the file beside the log. An existing file is overwritten. */
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
  const resolutions = new Resolutions(cursor);
  let fileOffset = 0;
  let branch = 0n;
  /** The times of the entries from here on are known. */
  let hasTimes = false;
  for (const run of runs) {
    const source = openSource(disk, join(directory, segmentName(run.segment)));
    try {
      cursor.enter(source, run.segment);
      let timeResolutionMs = resolutions.before(run.segment);
      cursor.seek(run.offset);
      for (; cursor.offset < run.offset + run.bytes; cursor.pass()) {
        // The checksum is computed anew, so the old one is checked first: damage since the run was found must not become valid.
        if (cursor.parse() !== undefined || !cursor.hasIntactData()) {
          throw new Error(
            `the frame at ${cursor.offset} of segment ${run.segment} reads otherwise than before`,
          );
        }
        const {
          lsn,
          syncedLsn: ownSyncedLsn,
          batchRemaining,
          timeMs,
          skipped,
          segment,
          block,
        } = cursor.frame;
        const isFirst = fileOffset === 0;
        if (segment !== undefined) {
          branch = segment.branch;
          timeResolutionMs = segment.timeResolutionMs ?? DEFAULT_RESOLUTION_MS;
          resolutions.note(run.segment, timeResolutionMs);
        }
        const isRunStart = cursor.offset === run.offset;
        const lostTime: boolean = hasTimes && isRunStart && run.skipped !== skipped && timeMs === 0;
        const hasSegment: boolean = isFirst || segment !== undefined || lostTime;
        hasTimes = timeMs > 0 || (hasTimes && !hasSegment);
        const stamp: SegmentStamp = {
          logId,
          number,
          createdMs,
          recycled: false,
          branch,
          timeResolutionMs: timeResolutionMs === DEFAULT_RESOLUTION_MS ? undefined : timeResolutionMs,
        };
        const frame = encodeFrame({
          lsn,
          data: cursor.readData(),
          batchRemaining,
          skipped: isRunStart ? run.skipped : skipped,
          timeMs,
          // Every frame of a block has one. What was durable then is durable now, or lost for good.
          syncedLsn: isFirst
            ? syncedLsn
            : block === undefined
              ? undefined
              : Math.min(syncedLsn, ownSyncedLsn),
          segment: hasSegment ? stamp : undefined,
          block,
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

/** The resolution of the time stamps at a place in a segment whose frames are read from there on. */
class Resolutions {
  readonly #cursor: FrameCursor;
  readonly #bySegment = new Map<number, number>();

  constructor(cursor: FrameCursor) {
    this.#cursor = cursor;
  }

  /** `cursor` has entered the segment, and no frame of it was noted yet: only its first frame can give the resolution. */
  before(segment: number): number {
    const known = this.#bySegment.get(segment);
    if (known !== undefined) return known;
    const cursor = this.#cursor;
    const stamp = cursor.parse() === undefined ? cursor.frame.segment : undefined;
    const resolutionMs =
      stamp?.number === segment ? (stamp.timeResolutionMs ?? DEFAULT_RESOLUTION_MS) : RESOLUTION_MS_MAX;
    this.note(segment, resolutionMs);
    return resolutionMs;
  }

  note(segment: number, resolutionMs: number): void {
    this.#bySegment.set(segment, resolutionMs);
  }
}
