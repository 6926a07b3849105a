import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SimulatedDisk } from '../../../src/files/simulation/simulated-disk.js';
import { encodeFrame } from '../../../src/format/encode.js';
import { frameChecksumSeed } from '../../../src/format/frame.js';
import {
  isCutFileName,
  LOCK_FILE,
  parseSegmentName,
  STATE_FILE,
  segmentName,
} from '../../../src/format/segment-name.js';
import { emptyState, encodeState } from '../../../src/format/state-file.js';
import { type Judgement, judgeLog } from '../../../src/format/verdict.js';
import { listLog } from '../../../src/worker/directory/log-listing.js';
import { readState } from '../../../src/worker/directory/state-store.js';
import { checkEvery } from '../../../src/worker/inspect/check-block.js';
import { LOG_ID, LogBuilder } from '../../format/log-builder.js';
import { Level } from '../support/lane-client.js';
import { type FrameOnDisk, readFrames } from '../support/segments.js';
import { DIRECTORY, newDisk, TestLog } from '../support/test-log.js';

/** The files of a log's directory by name, without the lock. */
export type Image = Map<string, Uint8Array>;

/** Segments of the logs that are damaged here are no larger. */
export const MAX_FILE_SIZE = 400;

/** What entry `lsn` of [intactLog] holds. */
export function dataOf(lsn: number): Uint8Array {
  return Buffer.from(`entry ${lsn} `.padEnd(40, String.fromCharCode(65 + (lsn % 26))));
}

let intact: Image | undefined;

/**
 * A closed log of 26 entries. `[ ]` are groups, of which the first frame alone is a head; `( )` are batches: one spans
 * a rotation, one begins a segment. Of a batch every frame but the last proves itself.
 *
 *   wal-0  [1 2] [3 4 5] [(6        wal-1  [7 8)] [9 10] [11 12]        wal-2  [(13 14 15 16)] [17 18]
 *   wal-3  [19] [20] [21 22] [(23 24)]      wal-4  [25] [26]
 */
export function intactLog(): Image {
  intact ??= writeIntactLog();
  return new Map([...intact].map(([name, bytes]) => [name, bytes.slice()]));
}

function writeIntactLog(): Image {
  const disk = newDisk();
  const log = new TestLog({ disk, options: { maxFileSize: MAX_FILE_SIZE } });
  log.syncer.isPrompt = true;
  let lastLsn = 0;
  const next = (count: number) => Array.from({ length: count }, () => dataOf(++lastLsn));
  const group = (count: number) => {
    next(count).forEach((data, at) => {
      log.lane.append(data, at === count - 1 ? Level.durable : Level.none);
    });
    log.run();
  };
  const batch = (count: number) => {
    log.lane.appendBatch(next(count), Level.durable);
    log.run();
  };
  for (const count of [2, 3]) group(count);
  batch(3);
  for (const count of [2, 2]) group(count);
  batch(4);
  for (const count of [3, 1, 2]) group(count);
  batch(2);
  for (const count of [1, 1]) group(count);
  log.close();
  return imageOf(disk);
}

/** wal-go's sample of 400 entries in 12 segments. */
export function walgoLog(): Image {
  const sample = join(import.meta.dirname, '../../fixtures/walgo/05-rotation');
  return new Map(readdirSync(sample).map((name) => [name, new Uint8Array(readFileSync(join(sample, name)))]));
}

/** One segment of a log that has nothing to do with [intactLog]. */
export function foreignSegment(number: number, firstLsn = 1): Uint8Array {
  const logId = 0x5eedn;
  const frames: Uint8Array[] = [];
  let fileOffset = 0;
  for (let lsn = firstLsn; lsn < firstLsn + 4; lsn++) {
    const frame = encodeFrame({
      lsn,
      data: Buffer.from(`foreign ${lsn}`),
      syncedLsn: lsn - 1,
      segment: lsn === firstLsn ? { logId, number, createdMs: 1, recycled: false, branch: 0n } : undefined,
      checksumSeed: frameChecksumSeed(logId, number),
      fileOffset,
    });
    frames.push(frame);
    fileOffset += frame.length;
  }
  return new Uint8Array(Buffer.concat(frames));
}

/** Where an entry stands before anything is damaged. */
export type FrameOf = (lsn: number) => FrameOnDisk;

export interface Outcome {
  /** First and last of each run of LSNs. */
  readonly kept: readonly (readonly [first: number, last: number])[];
  /** As the report has it. */
  readonly lost: number;
}

export interface Damage {
  readonly name: string;
  /** Default [intactLog]. */
  readonly log?: () => Image;
  readonly dataOf?: (lsn: number) => Uint8Array;
  readonly inflict: (image: Image, frameOf: FrameOf) => void;
  /** `open` does not read what is damaged, and takes the log as it is. */
  readonly escapesOpen?: true;
  /** The row that a full reading comes to. */
  readonly row: number;
  readonly truncate: Outcome;
  readonly salvage: Outcome;
}

export const DAMAGES: readonly Damage[] = [
  {
    name: 'a flipped byte in the payload of an entry in the middle of a group',
    inflict: (image, frameOf) => flipData(image, frameOf, 4),
    escapesOpen: true,
    row: 2,
    truncate: { kept: [[1, 3]], lost: 23 },
    // Behind 4 the next head is that of a batch, of which nothing shows that it is whole.
    salvage: {
      kept: [
        [1, 3],
        [9, 26],
      ],
      lost: 5,
    },
  },
  {
    name: 'a flipped byte in the header of the first entry of a group',
    inflict: (image, frameOf) => flipHeader(image, frameOf, 9),
    escapesOpen: true,
    row: 2,
    truncate: { kept: [[1, 8]], lost: 18 },
    salvage: {
      kept: [
        [1, 8],
        [11, 26],
      ],
      lost: 2,
    },
  },
  {
    name: 'a flipped byte in a size word',
    inflict: (image, frameOf) => flip(image, frameOf, 20, 0),
    escapesOpen: true,
    row: 2,
    truncate: { kept: [[1, 19]], lost: 7 },
    salvage: {
      kept: [
        [1, 19],
        [21, 26],
      ],
      lost: 1,
    },
  },
  {
    name: 'a flipped byte in the first frame of a segment',
    inflict: (image, frameOf) => flipData(image, frameOf, 19),
    row: 2,
    truncate: { kept: [[1, 18]], lost: 8 },
    salvage: {
      kept: [
        [1, 18],
        [20, 26],
      ],
      lost: 1,
    },
  },
  {
    name: 'a flipped byte in the first frame of the log',
    inflict: (image, frameOf) => flipHeader(image, frameOf, 1),
    row: 2,
    truncate: { kept: [], lost: 26 },
    // Nothing shows at which entry the log began.
    salvage: { kept: [[3, 26]], lost: 0 },
  },
  {
    name: 'a flipped byte in a batch',
    inflict: (image, frameOf) => flipData(image, frameOf, 15),
    escapesOpen: true,
    row: 2,
    truncate: { kept: [[1, 12]], lost: 14 },
    salvage: {
      kept: [
        [1, 12],
        [17, 26],
      ],
      lost: 4,
    },
  },
  {
    name: 'a flipped byte in the first frame of a batch that begins a segment',
    inflict: (image, frameOf) => flipData(image, frameOf, 13),
    row: 2,
    truncate: { kept: [[1, 12]], lost: 14 },
    salvage: {
      kept: [
        [1, 12],
        [17, 26],
      ],
      lost: 4,
    },
  },
  {
    name: 'a flipped byte in the first frame of a batch that spans a rotation',
    inflict: (image, frameOf) => flipData(image, frameOf, 6),
    escapesOpen: true,
    row: 2,
    truncate: { kept: [[1, 5]], lost: 21 },
    salvage: {
      kept: [
        [1, 5],
        [9, 26],
      ],
      lost: 3,
    },
  },
  {
    name: 'a flipped byte in the middle of a batch that spans a rotation',
    inflict: (image, frameOf) => flipHeader(image, frameOf, 7),
    row: 2,
    truncate: { kept: [[1, 5]], lost: 21 },
    salvage: {
      kept: [
        [1, 5],
        [9, 26],
      ],
      lost: 3,
    },
  },
  {
    name: 'a flipped byte in the last frame of a batch that spans a rotation',
    inflict: (image, frameOf) => flipData(image, frameOf, 8),
    escapesOpen: true,
    row: 2,
    truncate: { kept: [[1, 5]], lost: 21 },
    salvage: {
      kept: [
        [1, 5],
        [9, 26],
      ],
      lost: 3,
    },
  },
  {
    name: 'a flipped byte in the middle of a batch that fills segments, so that all behind it moves down',
    log: logOfLongEntries,
    inflict: (image, frameOf) => flipData(image, frameOf, 3),
    row: 2,
    truncate: { kept: [[1, 1]], lost: 7 },
    salvage: {
      kept: [
        [1, 1],
        [5, 8],
      ],
      lost: 3,
    },
    dataOf: longDataOf,
  },
  {
    name: 'a flipped byte in the last group but one',
    inflict: (image, frameOf) => flipData(image, frameOf, 25),
    row: 2,
    truncate: { kept: [[1, 24]], lost: 2 },
    salvage: {
      kept: [
        [1, 24],
        [26, 26],
      ],
      lost: 1,
    },
  },
  {
    name: 'a flipped byte in the last group',
    inflict: (image, frameOf) => flipData(image, frameOf, 26),
    row: 2,
    truncate: { kept: [[1, 25]], lost: 1 },
    salvage: { kept: [[1, 25]], lost: 1 },
  },
  {
    name: 'a sealed segment cut off inside a frame',
    inflict: (image, frameOf) => cutAt(image, frameOf, 12, 20),
    escapesOpen: true,
    row: 2,
    truncate: { kept: [[1, 11]], lost: 15 },
    // The batch at the start of the next segment may have begun with what is missing.
    salvage: {
      kept: [
        [1, 11],
        [17, 26],
      ],
      lost: 5,
    },
  },
  {
    name: 'a sealed segment cut off at a frame boundary',
    inflict: (image, frameOf) => cutAt(image, frameOf, 24, 0),
    escapesOpen: true,
    row: 2,
    truncate: { kept: [[1, 22]], lost: 4 },
    salvage: {
      kept: [
        [1, 22],
        [25, 26],
      ],
      lost: 2,
    },
  },
  {
    name: 'a sealed segment of which nothing is left',
    inflict: (image) => image.set('wal-3', new Uint8Array(0)),
    row: 2,
    truncate: { kept: [[1, 18]], lost: 8 },
    salvage: {
      kept: [
        [1, 18],
        [25, 26],
      ],
      lost: 6,
    },
  },
  {
    name: 'the live segment cut off inside a frame',
    inflict: (image, frameOf) => cutAt(image, frameOf, 26, 30),
    row: 2,
    truncate: { kept: [[1, 25]], lost: 1 },
    salvage: { kept: [[1, 25]], lost: 1 },
  },
  {
    name: 'the live segment cut off at a frame boundary',
    inflict: (image, frameOf) => cutAt(image, frameOf, 26, 0),
    row: 2,
    truncate: { kept: [[1, 25]], lost: 1 },
    salvage: { kept: [[1, 25]], lost: 1 },
  },
  {
    name: 'the live segment zeroed',
    inflict: (image) => image.get('wal-4')?.fill(0),
    row: 2,
    truncate: { kept: [[1, 24]], lost: 2 },
    salvage: { kept: [[1, 24]], lost: 2 },
  },
  {
    name: 'a missing segment in the middle',
    inflict: (image) => image.delete('wal-2'),
    row: 2,
    truncate: { kept: [[1, 12]], lost: 14 },
    salvage: {
      kept: [
        [1, 12],
        [19, 26],
      ],
      lost: 6,
    },
  },
  {
    name: 'two missing segments in the middle',
    inflict: (image) => {
      image.delete('wal-1');
      image.delete('wal-2');
    },
    row: 2,
    truncate: { kept: [[1, 5]], lost: 21 },
    salvage: {
      kept: [
        [1, 5],
        [19, 26],
      ],
      lost: 13,
    },
  },
  {
    name: 'the live segment missing',
    inflict: (image) => image.delete('wal-4'),
    row: 2,
    truncate: { kept: [[1, 24]], lost: 2 },
    salvage: { kept: [[1, 24]], lost: 2 },
  },
  {
    name: 'all segments missing',
    inflict: (image) => {
      for (const name of [...image.keys()]) if (name !== STATE_FILE) image.delete(name);
    },
    row: 2,
    truncate: { kept: [], lost: 26 },
    salvage: { kept: [], lost: 26 },
  },
  {
    name: 'a zeroed sector',
    inflict: (image) => image.get('wal-2')?.fill(0, 128, 256),
    escapesOpen: true,
    row: 2,
    truncate: { kept: [[1, 12]], lost: 14 },
    salvage: {
      kept: [
        [1, 12],
        [17, 26],
      ],
      lost: 4,
    },
  },
  {
    name: 'two damages',
    inflict: (image, frameOf) => {
      flipData(image, frameOf, 4);
      flipData(image, frameOf, 21);
    },
    escapesOpen: true,
    row: 2,
    truncate: { kept: [[1, 3]], lost: 23 },
    salvage: {
      kept: [
        [1, 3],
        [9, 20],
        [25, 26],
      ],
      lost: 9,
    },
  },
  {
    name: 'a missing segment and a damaged one behind it',
    inflict: (image, frameOf) => {
      image.delete('wal-1');
      flipData(image, frameOf, 25);
    },
    row: 2,
    truncate: { kept: [[1, 5]], lost: 21 },
    // 13 to 16 are a batch.
    salvage: {
      kept: [
        [1, 5],
        [17, 24],
        [26, 26],
      ],
      lost: 12,
    },
  },
  {
    name: 'a missing segment that had been empty and a damaged one behind it',
    log: logWithEmptySegment,
    inflict: (image, frameOf) => {
      image.delete('wal-1');
      flipData(image, frameOf, 7);
    },
    row: 2,
    truncate: { kept: [[1, 3]], lost: 5 },
    salvage: {
      kept: [
        [1, 6],
        [8, 8],
      ],
      lost: 1,
    },
  },
  {
    name: 'a missing segment in front of entries that were never synced',
    log: unsyncedLog,
    inflict: (image) => image.delete('wal-2'),
    row: 4,
    truncate: { kept: [[1, 6]], lost: 6 },
    salvage: {
      kept: [
        [1, 6],
        [10, 12],
      ],
      lost: 3,
    },
  },
  {
    name: 'a flipped byte in a log without state file',
    inflict: (image, frameOf) => {
      image.delete(STATE_FILE);
      flipData(image, frameOf, 11);
    },
    escapesOpen: true,
    row: 2,
    truncate: { kept: [[1, 10]], lost: 16 },
    salvage: {
      kept: [
        [1, 10],
        [17, 26],
      ],
      lost: 6,
    },
  },
  {
    name: 'a flipped byte in the first frame of a segment of a log without state file',
    inflict: (image, frameOf) => {
      image.delete(STATE_FILE);
      flipData(image, frameOf, 19);
    },
    row: 2,
    truncate: { kept: [[1, 18]], lost: 8 },
    salvage: {
      kept: [
        [1, 18],
        [20, 26],
      ],
      lost: 1,
    },
  },
  {
    name: 'a segment of another log in the middle',
    inflict: (image) => image.set('wal-2', foreignSegment(2, 13)),
    row: 2,
    truncate: { kept: [[1, 12]], lost: 14 },
    salvage: {
      kept: [
        [1, 12],
        [19, 26],
      ],
      lost: 6,
    },
  },
  {
    name: 'a segment of another log at the front',
    inflict: (image) => image.set('wal-0', foreignSegment(0)),
    row: 2,
    truncate: { kept: [], lost: 26 },
    salvage: { kept: [[9, 26]], lost: 0 },
  },
  {
    name: 'two segments in each other’s place',
    inflict: (image) => {
      const [two, three] = [image.get('wal-2'), image.get('wal-3')] as [Uint8Array, Uint8Array];
      image.set('wal-2', three).set('wal-3', two);
    },
    row: 2,
    truncate: { kept: [[1, 12]], lost: 14 },
    salvage: {
      kept: [
        [1, 12],
        [25, 26],
      ],
      lost: 12,
    },
  },
  {
    name: 'noise between two segments that are whole',
    inflict: (image) => {
      const bytes = image.get('wal-3') as Uint8Array;
      image.set('wal-3', Uint8Array.of(...bytes, ...Buffer.from('noise')));
    },
    escapesOpen: true,
    row: 2,
    truncate: { kept: [[1, 24]], lost: 2 },
    salvage: { kept: [[1, 26]], lost: 0 },
  },
  {
    name: "a flipped byte in the middle of wal-go's log",
    log: walgoLog,
    dataOf: (lsn) => Uint8Array.from({ length: 100 }, (_, j) => ((lsn - 1) * 31 + j * 7 + 5) & 0xff),
    inflict: (image, frameOf) => flipData(image, frameOf, 200),
    row: 3,
    truncate: { kept: [[1, 199]], lost: 201 },
    // Its frames do not prove themselves: the rest of the segment is lost.
    salvage: {
      kept: [
        [1, 199],
        [217, 400],
      ],
      lost: 17,
    },
  },
];

/** Four segments of three entries each, of which the first two are durable: the process was killed. */
function unsyncedLog(): Image {
  const builder = new LogBuilder();
  const next = (count: number) => Array.from({ length: count }, (_, at) => dataOf(builder.nextLsn + at));
  for (const watermark of [0, 3, 6, 6]) builder.newSegment().group(next(3), watermark);
  const image: Image = new Map(builder.build().map((bytes, number) => [segmentName(number), bytes]));
  return image.set(STATE_FILE, encodeState({ ...emptyState(LOG_ID), watermark: 6 }));
}

/** Entries 1 to 8, each in a segment of its own; 2 to 4 are a batch. */
function logOfLongEntries(): Image {
  const disk = newDisk();
  const log = new TestLog({ disk, options: { maxFileSize: MAX_FILE_SIZE } });
  log.syncer.isPrompt = true;
  log.lane.append(longDataOf(1), Level.durable);
  log.run();
  log.lane.appendBatch([2, 3, 4].map(longDataOf), Level.durable);
  log.run();
  for (const lsn of [5, 6, 7, 8]) {
    log.lane.append(longDataOf(lsn), Level.durable);
    log.run();
  }
  log.close();
  return imageOf(disk);
}

/** Two do not fit into a segment. */
function longDataOf(lsn: number): Uint8Array {
  return new Uint8Array(MAX_FILE_SIZE / 2).fill(lsn);
}

/** Entries 1 to 3, an empty segment, 4 to 6, 7 and 8. */
function logWithEmptySegment(): Image {
  const builder = new LogBuilder();
  const next = (count: number) => Array.from({ length: count }, (_, at) => dataOf(builder.nextLsn + at));
  builder.group(next(3), 0).newSegment().newSegment().group(next(3), 3).newSegment();
  builder.group(next(1), 6).group(next(1), 7);
  const image: Image = new Map(builder.build().map((bytes, number) => [segmentName(number), bytes]));
  return image.set(STATE_FILE, encodeState({ ...emptyState(LOG_ID), watermark: 8 }));
}

/** The damaged log, and what it was. */
export function damagedLog({ log = intactLog, inflict }: Damage): { image: Image; before: Image } {
  const image = log();
  const frames = new Map(framesOf(image).map((frame) => [frame.lsn, frame]));
  inflict(image, (lsn) => frames.get(lsn) as FrameOnDisk);
  return { image, before: new Map([...image].map(([name, bytes]) => [name, bytes.slice()])) };
}

/** Size word, tag and number, tag and length: the data of these entries starts 8 or 9 bytes behind the frame. */
export function flipData(image: Image, frameOf: FrameOf, lsn: number): void {
  flip(image, frameOf, lsn, 20);
}

/** The data's length. */
export function flipHeader(image: Image, frameOf: FrameOf, lsn: number): void {
  flip(image, frameOf, lsn, 7);
}

/** Flips a bit of the byte `at` behind the start of the frame of entry `lsn`. */
export function flip(image: Image, frameOf: FrameOf, lsn: number, at: number): void {
  const { segment, offset } = frameOf(lsn);
  const bytes = image.get(segmentName(segment)) as Uint8Array;
  bytes[offset + at] = (bytes[offset + at] as number) ^ 0x10;
}

/** Ends the segment of entry `lsn` `at` bytes behind the start of its frame. */
export function cutAt(image: Image, frameOf: FrameOf, lsn: number, at: number): void {
  const { segment, offset } = frameOf(lsn);
  const name = segmentName(segment);
  image.set(name, (image.get(name) as Uint8Array).slice(0, offset + at));
}

// ── Images and disks ────────────────────────────────────────────────────────────────────────────────────────────

export function imageOf(disk: SimulatedDisk): Image {
  const names = disk.names(DIRECTORY).filter((name) => name !== LOCK_FILE);
  return new Map(names.map((name) => [name, new Uint8Array(disk.contents(join(DIRECTORY, name)))]));
}

/** A disk on which these files are durable. */
export function diskOf(image: Image, seed = 1): SimulatedDisk {
  const disk = newDisk(seed);
  disk.mkdir('/logs');
  disk.mkdir(DIRECTORY);
  for (const [name, bytes] of image) disk.plant(join(DIRECTORY, name), bytes);
  disk.syncDirectory('/');
  disk.syncDirectory('/logs');
  return disk;
}

export function framesOf(image: Image): FrameOnDisk[] {
  return readFrames({
    names: () => [...image.keys()],
    contents: (name) => image.get(name) as Uint8Array,
  });
}

/** Reads every frame, as `verify` does. */
export function judgeFully(disk: SimulatedDisk): Judgement {
  const state = readState(disk, DIRECTORY);
  return judgeLog({
    segments: listLog(disk, DIRECTORY).segments,
    state,
    full: true,
    check: checkEvery(DIRECTORY),
  });
}

/** Every LSN of the runs. */
export function lsnsOf(runs: Outcome['kept']): number[] {
  return runs.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, at) => first + at));
}

/** The log holds exactly these entries, each with its data, and nothing but whole frames. */
export function assertHolds(
  disk: SimulatedDisk,
  lsns: readonly number[],
  data: Damage['dataOf'] = dataOf,
): void {
  const frames = framesOf(imageOf(disk));
  assert.deepEqual(
    frames.map(({ lsn }) => lsn),
    lsns,
  );
  for (const frame of frames)
    assert.ok(Buffer.from(data(frame.lsn)).equals(frame.data), `entry ${frame.lsn}`);
}

/** Whatever `before` had is still there: in its place, or in a side file. */
export function assertNothingGone(before: Image, after: Image): void {
  for (const [name, bytes] of before) {
    const number = parseSegmentName(name);
    if (number === undefined) continue;
    const now = after.get(name);
    const old = Buffer.from(bytes);
    if (withoutZeros(old).length === 0) continue;
    if (now !== undefined && withoutZeros(old).equals(withoutZeros(now))) continue;
    const sides = [...after].filter(([side]) => isCutFileName(side) && side.split('-')[1] === String(number));
    const pairs = sides.flatMap(([, one]) => sides.map(([, two]) => Buffer.concat([one, two])));
    const isKept = [...sides.map(([, side]) => side), ...pairs].some((side) => {
      if (withoutZeros(side).equals(withoutZeros(old))) return true;
      const stays = old.length - side.length;
      if (now === undefined || stays < 0 || now.length < stays) return false;
      return old.equals(Buffer.concat([now.subarray(0, stays), side]));
    });
    assert.ok(isKept, `bytes of ${name} are gone`);
  }
}

function withoutZeros(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.subarray(0, bytes.findLastIndex((byte) => byte !== 0) + 1));
}
