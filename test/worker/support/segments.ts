import assert from 'node:assert/strict';
import { BlockEntries } from '../../../src/blocks/block-entries.js';
import { createFrame, dataChecksum, type SegmentStamp } from '../../../src/format/frame.js';
import { parseFrame } from '../../../src/format/frame-parser.js';
import { parseSegmentName, STATE_FILE } from '../../../src/format/segment-name.js';
import { decodeState, type LogState } from '../../../src/format/state-file.js';

/** An entry on disk, and its frame. */
export interface FrameOnDisk {
  readonly segment: number;
  readonly offset: number;
  readonly byteLength: number;
  readonly lsn: number;
  readonly data: Uint8Array;
  /** -1 = absent. */
  readonly syncedLsn: number;
  readonly batchRemaining: number;
  /** LSNs that are missing on purpose right before it. */
  readonly skipped: number;
  /** 0 = absent. */
  readonly timeMs: number;
  readonly stamp: SegmentStamp | undefined;
}

/** A source of the log's bytes: those that a read would return, or those that are durable. */
export interface LogBytes {
  names(): string[];
  contents(name: string): Uint8Array;
}

export function segmentNumbers(files: LogBytes): number[] {
  return files
    .names()
    .flatMap((name) => parseSegmentName(name) ?? [])
    .sort((a, b) => a - b);
}

/**
 * Every frame of the log, in order, or those up to `lastLsn`. Fails unless the segments are numbered without a gap and hold only
 * whole frames, as far as they are read.
 */
export function readFrames(files: LogBytes, lastLsn = Number.POSITIVE_INFINITY): FrameOnDisk[] {
  const numbers = segmentNumbers(files);
  numbers.forEach((number, at) => {
    assert.equal(number, (numbers[0] as number) + at, 'the segments have a gap');
  });
  const frames: FrameOnDisk[] = [];
  for (const number of numbers) addFrames(frames, number, files.contents(`wal-${number}`), lastLsn);
  return frames;
}

/** Every frame up to the first place without a valid one: the log's content before recovery. */
export function readFramesBeforeFault(files: LogBytes): FrameOnDisk[] {
  const frames: FrameOnDisk[] = [];
  let expectedNumber: number | undefined;
  for (const number of segmentNumbers(files)) {
    if (number !== (expectedNumber ?? number)) return frames;
    expectedNumber = number + 1;
    const bytes = files.contents(`wal-${number}`);
    for (let offset = 0; offset < bytes.length; ) {
      const found = entriesAt(bytes, offset, number);
      const previous = frames.at(-1);
      if (typeof found === 'string') return frames;
      const [frame] = found as [FrameOnDisk];
      if (previous !== undefined && frame.lsn !== previous.lsn + 1 + frame.skipped) return frames;
      frames.push(...found);
      offset += frame.byteLength;
    }
  }
  return frames;
}

export function readState(files: LogBytes): LogState | undefined {
  if (!files.names().includes(STATE_FILE)) return undefined;
  const state = decodeState(files.contents(STATE_FILE));
  assert.ok('logId' in state, 'the state file is broken');
  return state;
}

function addFrames(frames: FrameOnDisk[], segment: number, bytes: Uint8Array, lastLsn: number): void {
  for (let offset = 0; offset < bytes.length; ) {
    if ((frames.at(-1)?.lsn ?? 0) >= lastLsn) break;
    const found = entriesAt(bytes, offset, segment);
    if (typeof found === 'string') assert.fail(found);
    frames.push(...found);
    offset += (found[0] as FrameOnDisk).byteLength;
  }
}

/** The entries of the frame at that place, or why it is invalid. Those of a block are told apart by their LSNs only. */
function entriesAt(bytes: Uint8Array, offset: number, segment: number): FrameOnDisk[] | string {
  const frame = createFrame();
  const place = `wal-${segment} at byte ${offset}`;
  if (parseFrame(bytes, offset, bytes.length, frame) !== undefined) return `no frame in ${place}`;
  const { dataStart, dataEnd, byteLength, lsn, crc, syncedLsn, batchRemaining, skipped, timeMs } = frame;
  if (dataChecksum(bytes, dataStart, dataEnd, lsn) !== crc) return `bad checksum in ${place}`;
  const readData = () => bytes.slice(dataStart, dataEnd);
  const stamp = frame.segment;
  const common = { segment, offset, byteLength };
  const first = { ...common, lsn, syncedLsn, skipped, timeMs, stamp };
  const entries = BlockEntries.of({ frame, readData });
  if (entries === undefined) return [{ ...first, data: readData(), batchRemaining }];
  if (typeof entries === 'string') return `a block that is ${entries} in ${place}`;
  return Array.from({ length: entries.count }, (_, index) => ({
    ...(index === 0
      ? first
      : { ...common, lsn: lsn + index, syncedLsn: -1, skipped: 0, timeMs: 0, stamp: undefined }),
    data: entries.data(index),
    batchRemaining: entries.remainingAfter(index),
  }));
}
