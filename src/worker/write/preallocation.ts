import { join } from 'node:path';
import { type Disk, isMissing, writeFully } from '../../files/disk.js';
import { NEXT_FILE, SPARE_FILE, segmentName } from '../../format/segment-name.js';
import type { Failure } from '../../protocol/errors.js';
import type { WriterOptions } from '../../protocol/thread-data.js';
import { removeIfThere, syncDirectory } from '../directory/side-files.js';
import { failureOf } from '../errors/failure.js';

/**
 * Allocates blocks before they are needed: a sync of data in allocated blocks writes only that data and does not need the file
 * system's journal.
 *
 *   'ahead'                   allocates after the frames of the live segment (LogTail). The other two do that as well:
 *   'zero'     ringwal.next   prepares the next segment: creates a file and fills it with zeros, step by step
 *   'recycle'  ringwal.spare  reuses a segment that retention removed: zeroes its first 4 KiB and fills it up to full
 *                             size. While there is none, works as 'zero'
 *
 * What is on disk if power goes, and what the next open does:
 *   - while a file is filled: any part of it. Neither name is a segment's: `open` removes both files and starts again, so that it
 *     never uses a file of which it does not know what was synced.
 *   - a segment became the spare, the directory not synced: it has its old name and all its bytes, since no byte is changed
 *     before that sync.
 *   - a prepared file became `wal-<n>`, the directory not synced: it may have its old name, with frames of n in it. None of them
 *     was acknowledged, and `open` removes the file by that name.
 */
export type ReadyName = typeof NEXT_FILE | typeof SPARE_FILE;

/** Zeros to be written and synced: `[from, to)` of a file that is not a segment yet. */
export interface FillStep {
  readonly name: ReadyName;
  readonly from: number;
  readonly to: number;
}

/** A segment that retention removed and that becomes the spare. */
export interface Recycling {
  readonly number: number;
  readonly maxFileSize: number;
}

/**
 * Bytes of one step. Bet: the disk takes them in a few milliseconds. A caller may have to wait that long for a sync that is too
 * large for the writer thread itself.
 */
const STEP_BYTES_MAX = 1024 * 1024;
/** Zeroed at the start of a recycled file, so that it is not taken for its old segment. */
const CLEARED_BYTES = 4096;

let zeroBlock: Uint8Array | undefined;

/** A shared block of zeros. Never written to. */
function zeros(bytes: number): Uint8Array {
  zeroBlock ??= new Uint8Array(STEP_BYTES_MAX);
  return zeroBlock.subarray(0, bytes);
}

/** Writes zeros to `[from, to)`, at most a step's worth. */
export function writeZeros(file: Parameters<typeof writeFully>[0], from: number, to: number): void {
  writeFully(file, zeros(to - from), 0, to - from, from);
}

/**
 * Makes a step. Returns the failures: a full disk above all. A failure costs only the file, which is removed; so does a failed
 * sync, since no frame is in the file and it is never used.
 */
export function fill(disk: Disk, directory: string, step: FillStep, fileMode: number): Failure[] {
  const path = join(directory, step.name);
  return orRemoved(disk, path, () => {
    // The first step of a new file empties a file that has the name already.
    const file = disk.open(path, step.from === 0 ? 'w' : 'r+', fileMode);
    try {
      writeZeros(file, step.from, step.to);
      file.datasync();
    } finally {
      file.close();
    }
  });
}

/** What became of a segment that was to be recycled. Its old name is durably gone in every case. */
export interface RecyclingOutcome {
  /** Size of the spare; 0 = there is none. */
  readonly spareBytes: number;
  readonly troubles: readonly Failure[];
}

/**
 * Renames a segment that retention removed to the spare's name, replacing an older spare.
 *
 * @throws the system's error of the rename: the segment is unchanged; LogFailure ERR_WAL_SYNC_FAILED of the directory's sync
 */
export function recycle(disk: Disk, directory: string, { number, maxFileSize }: Recycling): RecyclingOutcome {
  const path = join(directory, SPARE_FILE);
  let isThere = true;
  try {
    disk.rename(join(directory, segmentName(number)), path);
  } catch (error) {
    // Another process has removed it.
    if (!isMissing(error)) throw error;
    isThere = false;
  }
  // Before any byte is changed: otherwise the segment could come back after a power cut without its beginning.
  syncDirectory(disk, directory);
  if (!isThere) return { spareBytes: 0, troubles: [] };
  // A linked backup has the same file: its bytes must stay.
  if ((disk.stat(path)?.links ?? 1) > 1) return { spareBytes: 0, troubles: removed(disk, path) };
  let spareBytes = 0;
  const troubles = orRemoved(disk, path, () => {
    const file = disk.open(path, 'r+');
    try {
      const size = file.size();
      if (size > maxFileSize) file.truncate(maxFileSize);
      const clearedBytes = Math.min(CLEARED_BYTES, maxFileSize);
      writeZeros(file, 0, clearedBytes);
      file.datasync();
      spareBytes = Math.max(Math.min(size, maxFileSize), clearedBytes);
    } finally {
      file.close();
    }
  });
  return { spareBytes: troubles.length === 0 ? spareBytes : 0, troubles };
}

/**
 * Removes prepared files that an earlier process left. Not synced: a file that comes back is removed by the next open. A failure
 * is not an error: a file with one of these names is overwritten before it is used.
 */
export function removeLeftovers(disk: Disk, directory: string): void {
  for (const name of [NEXT_FILE, SPARE_FILE]) removed(disk, join(directory, name));
}

/** Runs `make`. If it fails, removes the useless file at `path`. Returns what went wrong. */
function orRemoved(disk: Disk, path: string, make: () => void): Failure[] {
  try {
    make();
    return [];
  } catch (error) {
    return [failureOf(error, `make "${path}" ready for use`, path), ...removed(disk, path)];
  }
}

function removed(disk: Disk, path: string): Failure[] {
  try {
    removeIfThere(disk, path);
    return [];
  } catch (error) {
    return [failureOf(error, `remove "${path}"`, path)];
  }
}

/** How full the live segment is. */
export interface LiveProgress {
  /** Bytes of frames in it. */
  readonly bytes: number;
  /** Bytes of frames that it held when this process began to write into it. */
  readonly startBytes: number;
}

/** The state of the next segment's file: whether to prepare it, how far it is, whether it can be used. */
export class Preallocation {
  readonly #mode: WriterOptions['preallocate'];
  readonly #maxFileSize: number;
  /** The file in preparation, or the finished one, which has full size. */
  #made: { readonly name: ReadyName; readonly bytes: number } | undefined;
  /** There was no room for it. The next segment tries again. */
  #isGivenUp = false;
  #hasTold = false;
  #troubles: Failure[] = [];

  constructor(mode: WriterOptions['preallocate'], maxFileSize: number) {
    this.#mode = mode;
    this.#maxFileSize = maxFileSize;
  }

  get isOn(): boolean {
    return this.#mode !== false;
  }

  get #makesNext(): boolean {
    return this.#mode === 'zero' || this.#mode === 'recycle';
  }

  /** Would a segment that retention removes now be useful as a spare? */
  get wantsSpare(): boolean {
    return this.#mode === 'recycle' && this.#made === undefined && !this.#isGivenUp;
  }

  /**
   * The next step to make. The file is finished when the live segment has used half of the room that it had: a faster pace would
   * take the disk away from appends, and would write much for a process that appends little.
   */
  dueStep({ bytes, startBytes }: LiveProgress): FillStep | undefined {
    if (!this.#makesNext || this.#isGivenUp) return undefined;
    const full = this.#maxFileSize;
    const { name, bytes: from } = this.#made ?? { name: NEXT_FILE, bytes: 0 };
    const room = Math.max(0, full - startBytes);
    if (from === full || from * room >= 2 * full * (bytes - startBytes)) return undefined;
    return { name, from, to: Math.min(full, from + STEP_BYTES_MAX) };
  }

  noteFilled({ name, to }: FillStep): void {
    this.#made = { name, bytes: to };
  }

  noteSpare(bytes: number): void {
    if (bytes > 0) this.#made = { name: SPARE_FILE, bytes };
  }

  /** The file could not be made and was removed. */
  giveUp(): void {
    this.#made = undefined;
    this.#isGivenUp = true;
  }

  /** A failure to prepare a file. No entry is affected. */
  noteTrouble(trouble: Failure): void {
    this.#troubles.push(trouble);
  }

  /** Failures noted since the last call. */
  takeTroubles(): readonly Failure[] {
    const troubles = this.#troubles;
    if (troubles.length > 0) this.#troubles = [];
    return troubles;
  }

  /** The failures to report. Only the first one since open is reported: none of them harms the log. */
  toTell(troubles: readonly Failure[]): readonly Failure[] {
    const news = this.#hasTold ? [] : troubles.slice(0, 1);
    this.#hasTold ||= news.length > 0;
    return news;
  }

  /** Returns the finished file, if there is one, and hands it to the caller. A new segment begins in either case. */
  take(): ReadyName | undefined {
    this.#isGivenUp = false;
    if (this.#made?.bytes !== this.#maxFileSize) return undefined;
    const { name } = this.#made;
    this.#made = undefined;
    return name;
  }

  putBack(name: ReadyName): void {
    this.#made = { name, bytes: this.#maxFileSize };
  }

  /** Gives back the disk space that is not used yet. True = there is more free space now. */
  release(
    disk: Disk,
    directory: string,
  ): { readonly isDone: boolean; readonly troubles: readonly Failure[] } {
    if (this.#made === undefined) return { isDone: false, troubles: [] };
    const troubles = removed(disk, join(directory, this.#made.name));
    this.giveUp();
    return { isDone: troubles.length === 0, troubles };
  }
}
