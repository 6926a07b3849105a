import { join } from 'node:path';
import type { Disk } from '../../files/disk.js';
import { WindowedSource } from '../../files/windowed-source.js';
import { type ByteSource, contentEnd, type SegmentFile } from '../../format/bytes.js';
import { classifyName, parseSegmentName, SALVAGE_FILE, segmentName } from '../../format/segment-name.js';
import type { LogState, PendingCut, StateFault } from '../../format/state-file.js';
import { surveyLog } from '../../format/survey.js';

export interface LogListing {
  /** Ascending by number. */
  readonly segments: readonly SegmentFile[];
  readonly foreignFiles: readonly string[];
  /** A salvage was interrupted: entries may be in two segments, so the first frames alone do not show where entries are. */
  readonly isBeingSalvaged: boolean;
}

/** Lists the files of a log's directory. */
export function listLog(disk: Disk, directory: string): LogListing {
  const names = disk.list(directory);
  const numbers = names.flatMap((name) => parseSegmentName(name) ?? []).sort((a, b) => a - b);
  return {
    segments: numbers.map((number) => segmentFile(disk, directory, number)),
    foreignFiles: names.filter((name) => classifyName(name) === 'foreign').sort(),
    isBeingSalvaged: names.includes(SALVAGE_FILE),
  };
}

/** The id of a new log. Never 0, which protobuf would not write. */
export function newLogId(disk: Disk): bigint {
  return disk.random64() | 1n;
}

/** The branch of the entries that are written from now on. Never 0, which stands for none. */
export function newBranch(disk: Disk): bigint {
  return disk.random64() | 1n;
}

/** The cut that the state file says was begun; `undefined` if there is none, or the file belongs to another log. */
export function pendingCutOf(
  segments: readonly SegmentFile[],
  state: LogState | StateFault | undefined,
): PendingCut | undefined {
  if (state === undefined || 'fault' in state || state.pendingCut === undefined) return undefined;
  return surveyLog(segments, state).state?.pendingCut;
}

/** The log as it will be once the next writer has finished the cut. */
export function withoutCut(
  segments: readonly SegmentFile[],
  cut: PendingCut | undefined,
): readonly SegmentFile[] {
  if (cut === undefined) return segments;
  return segments
    .filter(({ number }) => number <= cut.segment)
    .map((file) =>
      file.number < cut.segment ? file : { number: file.number, open: () => clip(file, cut.offset) },
    );
}

function clip(file: SegmentFile, size: number): ByteSource {
  const source = file.open();
  return {
    size: Math.min(size, source.size),
    get zeroFrom() {
      return contentEnd(source);
    },
    set onLook(onLook: (bytes: number) => void) {
      source.onLook = onLook;
    },
    read: (offset, length) => source.read(offset, Math.min(length, size - offset)),
    close: () => source.close?.(),
  };
}

/** The scanner has a window of its own, and reads only the first frame of most segments. */
const NO_READ_AHEAD = 0;

/** A file's bytes for the scanner. `window`: see [WindowedSource]. */
export function openSource(disk: Disk, path: string, window?: Uint8Array): ByteSource {
  const file = disk.open(path, 'r');
  try {
    return new WindowedSource(file, NO_READ_AHEAD, window);
  } catch (error) {
    file.close();
    throw error;
  }
}

export function segmentFile(disk: Disk, directory: string, number: number, window?: Uint8Array): SegmentFile {
  return { number, open: () => openSource(disk, join(directory, segmentName(number)), window) };
}
