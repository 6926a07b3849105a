import type { Random, SimulatedDisk } from '../../src/files/simulation/simulated-disk.js';
import { parseSegmentName, STATE_FILE } from '../../src/format/segment-name.js';
import { type FrameOnDisk, type LogBytes, readFramesBeforeFault } from '../worker/support/segments.js';
import { DIRECTORY } from '../worker/support/test-log.js';
import type { Damage } from './model.js';

const SIZE_WORD_BYTES = 4;

const NO_ENTRY = Number.POSITIVE_INFINITY;
const HARMLESS: Damage = {
  keptLsn: NO_ENTRY,
  from: NO_ENTRY,
  to: NO_ENTRY,
  resumesAt: NO_ENTRY,
  isOfState: false,
};

/**
 * Flips a bit of a log that no process has open, or cuts one of its files short; `undefined`: there is nothing to damage.
 * Everything that happened before must be durable on the disk.
 */
export function inflictDamage(disk: SimulatedDisk, random: Random): Damage | undefined {
  if (disk.stat(DIRECTORY) === undefined) return undefined;
  const names = disk
    .names(DIRECTORY)
    .filter((name) => parseSegmentName(name) !== undefined || name === STATE_FILE)
    .filter((name) => disk.contents(path(name)).length > 0);
  if (names.length === 0) return undefined;
  const name = random.pick(names);
  const bytes = disk.contents(path(name));
  const offset = random.below(bytes.length);
  if (name === STATE_FILE) {
    disk.rot(path(name), offset, 1 << random.below(8));
    return { ...HARMLESS, isOfState: true };
  }
  const segment = parseSegmentName(name) as number;
  const frames = readFramesBeforeFault(filesOf(disk));
  const at = frames.findIndex(
    (frame) => frame.segment === segment && offset < frame.offset + frame.byteLength,
  );
  if (random.chance(0.3)) {
    disk.plant(path(name), bytes.slice(0, offset));
    const last = frames.findLastIndex((frame) => frame.segment === segment);
    return at < 0 ? HARMLESS : describe(frames, at, last);
  }
  disk.rot(
    path(name),
    at < 0 ? offset : besideSizeWord(frames[at] as FrameOnDisk, offset),
    1 << random.below(8),
  );
  return at < 0 ? HARMLESS : describe(frames, at, endOfFrame(frames, at));
}

/** A flipped bit of the size word can hide a frame's optional fields: docs/durability.md does not promise to notice it. */
function besideSizeWord({ offset }: FrameOnDisk, at: number): number {
  return at - offset < SIZE_WORD_BYTES ? at + SIZE_WORD_BYTES : at;
}

/** The index of the last entry of a frame, of which that at `at` is the first. */
function endOfFrame(frames: readonly FrameOnDisk[], at: number): number {
  const { segment, offset } = frames[at] as FrameOnDisk;
  return frames.findLastIndex((frame) => frame.segment === segment && frame.offset === offset);
}

/** The frames from index `first` to `last` are damaged. */
function describe(frames: readonly FrameOnDisk[], first: number, last: number): Damage {
  let start = first;
  while (start > 0 && isContinued(frames[start - 1])) start -= 1;
  let end = last;
  while (end + 1 < frames.length && isContinued(frames[end])) end += 1;
  const resumes = frames.findIndex(
    (frame, at) => at > last && provesItself(frames, at) && isAlone(frames, at, frame),
  );
  return {
    keptLsn: frames[start - 1]?.lsn ?? 0,
    from: (frames[start] as FrameOnDisk).lsn,
    to: (frames[end] as FrameOnDisk).lsn,
    resumesAt: frames[resumes]?.lsn ?? NO_ENTRY,
    isOfState: false,
  };
}

/** Are there more entries of its batch to come? */
function isContinued(frame: FrameOnDisk | undefined): boolean {
  return frame !== undefined && frame.batchRemaining > 0;
}

/** A group begins there, so that a scan that has lost its place can resume. */
function provesItself(frames: readonly FrameOnDisk[], at: number): boolean {
  const frame = frames[at] as FrameOnDisk;
  return frame.syncedLsn >= 0 || frames[at - 1]?.segment !== frame.segment;
}

/** A batch after damage proves its start only if an entry before it can be read. */
function isAlone(frames: readonly FrameOnDisk[], at: number, frame: FrameOnDisk): boolean {
  return !isContinued(frame) && !isContinued(frames[at - 1]);
}

function filesOf(disk: SimulatedDisk): LogBytes {
  return { names: () => disk.names(DIRECTORY), contents: (name) => disk.contents(path(name)) };
}

function path(name: string): string {
  return `${DIRECTORY}/${name}`;
}
