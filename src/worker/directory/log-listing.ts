import { join } from 'node:path';
import type { Disk } from '../../files/disk.js';
import { WindowedSource } from '../../files/windowed-source.js';
import { type ByteSource, contentEnd, type SegmentFile } from '../../format/bytes.js';
import {
  classifyName,
  parseSegmentName,
  SALVAGE_FILE,
  SHORTENED_FILE,
  segmentName,
} from '../../format/segment-name.js';
import { emptiesLog, type LogState, type PendingCut, type StateFault } from '../../format/state-file.js';
import { surveyLog } from '../../format/survey.js';

export interface LogListing {
  /** Ascending by number. */
  readonly segments: readonly SegmentFile[];
  readonly foreignFiles: readonly string[];
  /** A salvage was interrupted: entries may be in two segments, so the first frames alone do not show where entries are. */
  readonly isBeingSalvaged: boolean;
  /** The file that a cut inside a batch has prepared, if such a cut was begun, as the segment with the given number. */
  readonly shortenedFile: ((number: number) => SegmentFile) | undefined;
}

/** Lists the files of a log's directory. */
export function listLog(disk: Disk, directory: string): LogListing {
  const names = disk.list(directory);
  const numbers = names.flatMap((name) => parseSegmentName(name) ?? []).sort((a, b) => a - b);
  return {
    segments: numbers.map((number) => segmentFile(disk, directory, number)),
    foreignFiles: names.filter((name) => classifyName(name) === 'foreign').sort(),
    isBeingSalvaged: names.includes(SALVAGE_FILE),
    shortenedFile: names.includes(SHORTENED_FILE)
      ? (number) => ({ number, open: () => openSource(disk, join(directory, SHORTENED_FILE)) })
      : undefined,
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

/** A cut that was begun and must be finished. */
export interface DueCut extends PendingCut {
  /**
   * No entry stays: the segments before the one of the cut go too, and this one is empty. The state file says so by its floor: the
   * last entry that stays is below it, and no byte of the segment stays.
   */
  readonly empties: boolean;
  /** The segment's file must be replaced first: see src/worker/rewrite/shortened-segment.ts. */
  readonly shortened: SegmentFile | undefined;
}

/** The cut that the state file says was begun; `undefined` if there is none, or the file belongs to another log. */
export function pendingCutOf(
  { segments, shortenedFile }: Pick<LogListing, 'segments' | 'shortenedFile'>,
  state: LogState | StateFault | undefined,
): DueCut | undefined {
  if (state === undefined || 'fault' in state || state.pendingCut === undefined) return undefined;
  const ours = surveyLog(segments, state).state;
  if (ours?.pendingCut === undefined) return undefined;
  const { pendingCut, floor } = ours;
  const empties = emptiesLog(pendingCut, floor);
  return { ...pendingCut, empties, shortened: shortenedFile?.(pendingCut.segment) };
}

/** The log as it will be once the next writer has finished the cut. */
export function withoutCut(
  segments: readonly SegmentFile[],
  cut: DueCut | undefined,
): readonly SegmentFile[] {
  if (cut === undefined) return segments;
  if (cut.shortened !== undefined) {
    return [...segments.filter(({ number }) => number < cut.segment), cut.shortened];
  }
  return segments
    .filter(({ number }) => number === cut.segment || !cut.empties)
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
