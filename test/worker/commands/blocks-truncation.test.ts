import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SimulatedDisk } from '../../../src/files/simulation/simulated-disk.js';
import type { WriterOptions } from '../../../src/protocol/thread-data.js';
import { SEED } from '../../seed.js';
import {
  assertHolds,
  assertNothingGone,
  diskOf,
  type Image,
  imageOf,
  judgeFully,
} from '../recover/damaged-logs.js';
import { Level } from '../support/lane-client.js';
import type { FrameOnDisk } from '../support/segments.js';
import { TestLog } from '../support/test-log.js';

const OPTIONS: Partial<WriterOptions> = {
  maxFileSize: 500,
  compression: { codec: 'lz4', sizes: { most: 500, least: 100 } },
};

function data(lsn: number): Uint8Array {
  return Buffer.from(`entry ${lsn} ${'of a log with blocks, '.repeat(2 + (lsn % 3))}`);
}

/**
 * Blocks of single entries, a plain one, a batch inside a block, batches that are split over blocks and over segments. Every entry
 * is durable.
 */
function logWithBlocks(): Image {
  const log = new TestLog({ options: OPTIONS });
  let next = 1;
  const take = (count: number) => Array.from({ length: count }, () => data(next++));
  const finish = () => {
    log.run();
    log.finishSync();
  };
  for (const each of take(6)) log.lane.append(each);
  finish();
  for (const each of take(1)) log.lane.append(each, Level.durable);
  finish();
  for (const each of take(2)) log.lane.append(each);
  log.lane.appendBatch(take(3));
  for (const each of take(2)) log.lane.append(each);
  finish();
  log.lane.appendBatch(take(40));
  finish();
  for (const each of take(5)) log.lane.append(each);
  finish();
  log.lane.appendBatch(take(60));
  for (const each of take(4)) log.lane.append(each);
  finish();
  log.close();
  return imageOf(log.disk);
}

const IMAGE = logWithBlocks();
const FRAMES: readonly FrameOnDisk[] = framesOfImage(IMAGE);
const LAST_LSN = FRAMES.at(-1)?.lsn as number;

function framesOfImage(image: Image): FrameOnDisk[] {
  const log = open(diskOf(image));
  const { frames } = log;
  log.close();
  return frames;
}

function open(disk: SimulatedDisk): TestLog {
  const log = new TestLog({ disk, options: OPTIONS });
  log.syncer.isPrompt = true;
  log.run();
  return log;
}

function range(last: number): number[] {
  return Array.from({ length: last }, (_, at) => at + 1);
}

test('the log has all kinds of blocks', () => {
  const places = new Set(FRAMES.map(({ segment, offset }) => `${segment}:${offset}`));
  assert.ok(places.size > 10 && places.size < LAST_LSN / 3);
  const segments = new Set(FRAMES.map(({ segment }) => segment));
  assert.ok(segments.size > 3, `${segments.size} segments`);
  assert.equal(LAST_LSN, 123);
});

test('truncateAfter any LSN ends the log there, or refuses since it is inside a batch', () => {
  for (const { lsn, batchRemaining } of FRAMES) {
    const log = open(diskOf(IMAGE));
    const before = imageOf(log.disk);
    log.lane.command('truncateAfter', lsn);
    log.run();
    const [rejected] = log.lane.all('command-rejected');
    assert.equal(rejected?.failure.code, batchRemaining > 0 ? 'ERR_WAL_OPTION' : undefined, `${lsn}`);
    if (rejected !== undefined) assert.deepEqual(imageOf(log.disk), before);
    assertGoesOn(log, batchRemaining > 0 ? LAST_LSN : lsn, before);
  }
});

test('with splitBatch truncateAfter any LSN ends the log there', () => {
  for (const { lsn } of FRAMES) {
    const log = open(diskOf(IMAGE));
    const before = imageOf(log.disk);
    log.lane.command('truncateAfter', lsn, true);
    log.run();
    assert.deepEqual(log.lane.all('command-rejected'), []);
    assertGoesOn(log, lsn, before);
  }
});

/** The log ends with entry `lsn`, takes more, and opens with all of it. */
function assertGoesOn(log: TestLog, lsn: number, before: Image): void {
  assertNothingGone(before, imageOf(log.disk));
  const sequence = log.lane.append('again', Level.durable);
  log.run();
  assert.equal(log.lane.acknowledged('durable').get(sequence), lsn + 1, `after ${lsn}`);
  log.close();
  const judgement = judgeFully(log.disk);
  assert.deepEqual([judgement.verdict, judgement.lastLsn], ['clean', lsn + 1]);
  assertHolds(log.disk, range(lsn + 1), (each) => (each === lsn + 1 ? Buffer.from('again') : data(each)));
  assert.equal(open(log.disk).recovered.report.verdict, 'clean');
}

for (const [lsn, where] of [
  [3, 'inside a block'],
  [11, 'inside a batch inside a block'],
  [30, 'inside a batch that is split over blocks'],
  [90, 'inside a batch that is split over segments'],
] as const) {
  for (const kind of ['power cut', 'killed process'] as const) {
    test(`after a ${kind} at any operation of truncateAfter ${where} the next open finishes it or nothing has happened (seed ${SEED})`, () => {
      for (let cut = 0; ; cut++) {
        const disk = diskOf(IMAGE, SEED + cut);
        const log = open(disk);
        const before = imageOf(disk);
        const stopAt = disk.counts.operations + cut;
        let hasStopped = false;
        disk.onOperation(({ index }) => {
          if (index < stopAt) return undefined;
          hasStopped = true;
          return { crash: true };
        });
        try {
          log.lane.command('truncateAfter', lsn, true);
          log.run();
        } catch (error) {
          if (!hasStopped) throw error;
        }
        disk.onOperation(undefined);
        if (!hasStopped) break;
        if (kind === 'power cut') disk.powerCut();
        else disk.killProcess();
        const reopened = open(disk);
        const { lastLsn, verdict } = reopened.recovered.report;
        assert.equal(verdict, 'clean');
        assert.ok(lastLsn === lsn || lastLsn === LAST_LSN, `${lastLsn}`);
        reopened.close();
        assertNothingGone(before, imageOf(disk));
        assertHolds(disk, range(lastLsn), data);
        assert.equal(judgeFully(disk).verdict, 'clean');
      }
    });
  }
}
