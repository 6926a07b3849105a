import assert from 'node:assert/strict';
import { createFrame, dataChecksum, type SegmentStamp } from '../../../src/format/frame.js';
import { parseFrame } from '../../../src/format/frame-parser.js';
import { parseSegmentName, STATE_FILE } from '../../../src/format/segment-name.js';
import { decodeState, type LogState } from '../../../src/format/state-file.js';

export interface FrameOnDisk {
  readonly segment: number;
  readonly offset: number;
  readonly byteLength: number;
  readonly lsn: number;
  readonly data: Uint8Array;
  /** -1 = absent. */
  readonly syncedLsn: number;
  readonly batchRemaining: number;
  readonly stamp: SegmentStamp | undefined;
}

/** Where the bytes come from: what a read would show, or what is durable. */
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
 * Every frame of the log, in order, or those up to `lastLsn`. Fails unless the segments are numbered without a gap and
 * hold whole frames only, as far as they are read.
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

export function readState(files: LogBytes): LogState | undefined {
  if (!files.names().includes(STATE_FILE)) return undefined;
  const state = decodeState(files.contents(STATE_FILE));
  assert.ok('logId' in state, 'the state file is broken');
  return state;
}

function addFrames(frames: FrameOnDisk[], segment: number, bytes: Uint8Array, lastLsn: number): void {
  const frame = createFrame();
  for (let offset = 0; offset < bytes.length; offset += frame.byteLength) {
    if ((frames.at(-1)?.lsn ?? 0) >= lastLsn) break;
    const place = `wal-${segment} at byte ${offset}`;
    assert.equal(parseFrame(bytes, offset, bytes.length, frame), undefined, `no frame in ${place}`);
    const { dataStart, dataEnd, byteLength, lsn, crc, syncedLsn, batchRemaining } = frame;
    assert.equal(dataChecksum(bytes, dataStart, dataEnd, lsn), crc, `bad checksum in ${place}`);
    const data = bytes.slice(dataStart, dataEnd);
    frames.push({
      segment,
      offset,
      byteLength,
      lsn,
      data,
      syncedLsn,
      batchRemaining,
      stamp: frame.segment,
    });
  }
}
