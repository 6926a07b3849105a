import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SimulatedDisk } from '../../../src/files/simulation/simulated-disk.js';
import { STATE_FILE, segmentName } from '../../../src/format/segment-name.js';
import { emptyState, encodeState } from '../../../src/format/state-file.js';
import { recoverLog } from '../../../src/worker/recover/recovery.js';
import { repairLog } from '../../../src/worker/recover/repair.js';
import { LOG_ID, LogBuilder } from '../../format/log-builder.js';
import { DIRECTORY, OPTIONS } from '../support/test-log.js';
import {
  dataOf,
  diskOf,
  type FrameOf,
  flipData,
  flipHeader,
  framesOf,
  type Image,
  judgeFully,
  walgoLog,
} from './damaged-logs.js';

/** Long before any clock of these tests. */
const createdMsOf = (segment: number) => 1_000_000 * (segment + 1);

/** Segments 0 to 3 of four entries each, every entry a group of its own: wal-0 has entries 1 to 4, wal-3 has 13 to 16. */
function log({ stampedAgain = 0 } = {}): Image {
  const builder = new LogBuilder();
  for (let segment = 0; segment < 4; segment++) {
    builder.newSegment();
    for (let at = 0; at < 4; at++) {
      const stamp = {
        logId: LOG_ID,
        number: segment,
        createdMs: createdMsOf(segment),
        recycled: false,
        branch: 0n,
      };
      const lsn = builder.nextLsn;
      const isStamped = at === 0 || lsn === stampedAgain;
      builder.frame({ data: dataOf(lsn), syncedLsn: lsn - 1, segment: isStamped ? stamp : undefined });
    }
  }
  const image: Image = new Map(builder.build().map((bytes, number) => [segmentName(number), bytes]));
  return image.set(STATE_FILE, encodeState({ ...emptyState(LOG_ID), watermark: 16 }));
}

function damaged(image: Image, inflict: (image: Image, frameOf: FrameOf) => void): SimulatedDisk {
  const frames = new Map(framesOf(image).map((frame) => [frame.lsn, frame]));
  inflict(image, (lsn) => frames.get(lsn) as ReturnType<FrameOf>);
  return diskOf(image);
}

function salvage(disk: SimulatedDisk): void {
  const { changedSegments } = repairLog(disk, DIRECTORY, 'salvage', false, 0o600);
  assert.notDeepEqual(changedSegments, [], 'no segment was written anew');
}

/** What `maxAge` counts from, by segment, once the log is open. */
function agesOf(disk: SimulatedDisk): number[] {
  assert.equal(judgeFully(disk).verdict, 'clean');
  return recoverLog(disk, OPTIONS)
    .start.catalog.toArray()
    .map(({ createdMs }) => createdMs);
}

const AGES = [0, 1, 2, 3].map(createdMsOf);

test('a salvage keeps the creation time of a segment that it writes anew', () => {
  const disk = damaged(log(), (image, frameOf) => flipData(image, frameOf, 6));
  salvage(disk);
  assert.deepEqual(agesOf(disk), AGES);
});

test('the creation time is read from a first frame of which only the data is damaged', () => {
  const disk = damaged(log(), (image, frameOf) => flipData(image, frameOf, 5));
  salvage(disk);
  assert.deepEqual(agesOf(disk), AGES);
});

test('the creation time is read from a later stamp where the first frame is damaged', () => {
  const disk = damaged(log({ stampedAgain: 7 }), (image, frameOf) => flipHeader(image, frameOf, 5));
  salvage(disk);
  assert.deepEqual(agesOf(disk), AGES);
});

test('a segment whose stamp cannot be read is as old as the next one that has a stamp', () => {
  const disk = damaged(log(), (image, frameOf) => {
    flipHeader(image, frameOf, 5);
    flipHeader(image, frameOf, 9);
  });
  salvage(disk);
  assert.deepEqual(agesOf(disk), [createdMsOf(0), createdMsOf(3), createdMsOf(3), createdMsOf(3)]);
});

test('the last segment is as old as the repair where its stamp cannot be read', () => {
  const disk = damaged(log(), (image, frameOf) => flipHeader(image, frameOf, 13));
  const repairedMs = disk.now();
  salvage(disk);
  const [lastMs] = agesOf(disk).slice(-1) as [number];
  assert.ok(lastMs >= repairedMs && lastMs <= disk.now(), `${lastMs}`);
});

test('a segment that takes the place of a missing one is as old as the one that its entries come from', () => {
  const disk = damaged(log(), (image) => image.delete('wal-1'));
  salvage(disk);
  assert.deepEqual(agesOf(disk), [createdMsOf(0), createdMsOf(2), createdMsOf(2), createdMsOf(3)]);
});

test('a segment of wal-go, which has no creation time, gets none when it is written anew', () => {
  const disk = damaged(walgoLog(), (image, frameOf) => flipData(image, frameOf, 200));
  const before = judgeFully(disk).segments.length;
  salvage(disk);
  assert.deepEqual(agesOf(disk), new Array(before).fill(0));
});

test('a salvage that is interrupted anywhere and finished later comes to the same creation times', () => {
  const make = () =>
    damaged(log(), (image, frameOf) => {
      image.delete('wal-1');
      flipHeader(image, frameOf, 9);
      flipData(image, frameOf, 14);
    });
  const whole = make();
  const start = whole.counts.operations;
  salvage(whole);
  const operations = whole.counts.operations - start;
  const expected = agesOf(whole);
  assert.deepEqual(expected, [createdMsOf(0), createdMsOf(3), createdMsOf(3), createdMsOf(3)]);
  for (let operation = 0; operation < operations; operation++) {
    const disk = make();
    disk.crashAt(disk.counts.operations + operation);
    assert.throws(() => salvage(disk));
    disk.powerCut();
    repairLog(disk, DIRECTORY, 'salvage', false, 0o600);
    assert.deepEqual(agesOf(disk), expected, `stopped at operation ${operation} of ${operations}`);
  }
});
