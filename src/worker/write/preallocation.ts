import { join } from 'node:path';
import { type Disk, isMissing, writeFully } from '../../files/disk.js';
import { NEXT_FILE, SPARE_FILE, segmentName } from '../../format/segment-name.js';
import type { Failure } from '../../protocol/errors.js';
import type { WriterOptions } from '../../protocol/thread-data.js';
import { removeIfThere, syncDirectory } from '../directory/side-files.js';
import { failureOf } from '../errors/failure.js';

/**
 * Blocks that are allocated before they are needed: a sync of what is written into them is a sync of its bytes alone,
 * without the file system's journal.
 *
 *   'ahead'                   of the live segment alone, see SegmentWriter. The others do that too, and make the next one:
 *   'zero'     ringwal.next   created and filled with zeros, step by step
 *   'recycle'  ringwal.spare  a segment that retention gave up: its first 4 KiB are zeroed, and it is filled up to its
 *                             full size; as long as there is none, as 'zero'
 *
 * What is on disk if power goes here, and what the next open makes of it:
 *   - while a file is filled: any part of it. Neither name is a segment's: `open` removes both and begins anew, so that
 *     no file is ever used of which this process does not know what it synced.
 *   - a segment became the spare, the directory not synced: it has its old name and all its bytes still, since not one
 *     is changed before that sync.
 *   - a ready file became `wal-<n>`, the directory not synced: it may have its old name, with frames of n in it. None was
 *     acknowledged, and the file goes with the name.
 */
export type ReadyName = typeof NEXT_FILE | typeof SPARE_FILE;

/** Zeros to be written and synced: `[from, to)` of a file that is not a segment yet. */
export interface FillStep {
  readonly name: ReadyName;
  readonly from: number;
  readonly to: number;
}

/** A segment that retention gave up, to become the spare. */
export interface Recycling {
  readonly number: number;
  readonly maxFileSize: number;
}

/**
 * Bytes of one step. Bet: the disk has them in a few milliseconds, which is how long whoever wants to sync more than a
 * lone writer would do itself may have to wait.
 */
const STEP_BYTES_MAX = 1024 * 1024;
/** No segment is taken for what it was before by its beginning. */
const CLEARED_BYTES = 4096;

let zeroBlock: Uint8Array | undefined;

/** Never written to. */
function zeros(bytes: number): Uint8Array {
  zeroBlock ??= new Uint8Array(STEP_BYTES_MAX);
  return zeroBlock.subarray(0, bytes);
}

/** Writes zeros to `[from, to)`, at most a step's worth. */
export function writeZeros(file: Parameters<typeof writeFully>[0], from: number, to: number): void {
  writeFully(file, zeros(to - from), 0, to - from, from);
}

/**
 * Makes a step. What keeps it from being made, a full disk above all, costs nothing but the file, which is removed again;
 * it is answered. A failed sync too: no frame is in the file, and it is never used.
 */
export function fill(disk: Disk, directory: string, step: FillStep, fileMode: number): Failure[] {
  const path = join(directory, step.name);
  return orRemoved(disk, path, () => {
    // The first step of a new file empties what may lie there by its name.
    const file = disk.open(path, step.from === 0 ? 'w' : 'r+', fileMode);
    try {
      writeZeros(file, step.from, step.to);
      file.datasync();
    } finally {
      file.close();
    }
  });
}

/** What became of a segment that was to be recycled. Its name is gone, durably, whatever else went wrong. */
export interface RecyclingOutcome {
  /** Size of the spare; 0 = there is none. */
  readonly spareBytes: number;
  readonly troubles: readonly Failure[];
}

/**
 * Gives a segment that retention removed the spare's name, in place of one that bore it.
 *
 * @throws the system's error of the rename: the segment is where it was; LogFailure ERR_WAL_SYNC_FAILED of the directory's sync
 */
export function recycle(disk: Disk, directory: string, { number, maxFileSize }: Recycling): RecyclingOutcome {
  const path = join(directory, SPARE_FILE);
  let isThere = true;
  try {
    disk.rename(join(directory, segmentName(number)), path);
  } catch (error) {
    // Somebody was faster.
    if (!isMissing(error)) throw error;
    isThere = false;
  }
  // Before a byte of it is changed: else the segment could come back without its beginning.
  syncDirectory(disk, directory);
  if (!isThere) return { spareBytes: 0, troubles: [] };
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
 * Removes what a process before has left; not synced, since whatever comes back is removed by the next open. Nor is it an
 * error if that fails: a file of these names is written over before it is used.
 */
export function removeLeftovers(disk: Disk, directory: string): void {
  for (const name of [NEXT_FILE, SPARE_FILE]) removed(disk, join(directory, name));
}

/** Runs `make`; if that fails the file at `path` is good for nothing and goes. Answers what went wrong. */
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

/** How far the live segment is. */
export interface LiveProgress {
  /** Bytes of frames in it. */
  readonly bytes: number;
  /** Those that it had when this process began to write into it. */
  readonly startBytes: number;
}

/** What the writer knows of the next segment: whether it is to be made, how far it is, whether it can be used. */
export class Preallocation {
  readonly #mode: WriterOptions['preallocate'];
  readonly #maxFileSize: number;
  /** In the making, or ready: then it has the full size. */
  #made: { readonly name: ReadyName; readonly bytes: number } | undefined;
  /** There was no room. The next segment is another try. */
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

  /** A segment that retention gives up now would be of use. */
  get wantsSpare(): boolean {
    return this.#mode === 'recycle' && this.#made === undefined && !this.#isGivenUp;
  }

  /**
   * The step to be made now. The file is ready when the live segment has half of the room used that it had: faster would
   * take the disk away from whoever appends, and write much for a process that appends little.
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

  /** It could not be made, and is gone. */
  giveUp(): void {
    this.#made = undefined;
    this.#isGivenUp = true;
  }

  /** Something kept room from being made ready, which costs no entry. */
  noteTrouble(trouble: Failure): void {
    this.#troubles.push(trouble);
  }

  /** What was noted since the last call. */
  takeTroubles(): readonly Failure[] {
    const troubles = this.#troubles;
    if (troubles.length > 0) this.#troubles = [];
    return troubles;
  }

  /** Of all that keeps files from being made ready one trouble is told: the log suffers from none. */
  toTell(troubles: readonly Failure[]): readonly Failure[] {
    const news = this.#hasTold ? [] : troubles.slice(0, 1);
    this.#hasTold ||= news.length > 0;
    return news;
  }

  /** The file that is ready, if one is: it is the caller's then. A new segment begins either way. */
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

  /** Gives back the room that is not used yet. True = there is more of it now. */
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
