import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimulatedDisk } from '../../../src/files/simulation/simulated-disk.js';
import { LOCK_FILE, STATE_FILE } from '../../../src/format/segment-name.js';
import { emptyState, encodeState } from '../../../src/format/state-file.js';
import { LogFailure } from '../../../src/worker/errors/failure.js';
import { recoverLog } from '../../../src/worker/recover/recovery.js';
import { concat, entries, LOG_ID, LogBuilder } from '../../format/log-builder.js';
import { Level } from '../support/lane-client.js';
import { DIRECTORY, newDisk, OPTIONS, TestLog } from '../support/test-log.js';
import {
  assertHolds,
  assertNothingGone,
  dataOf,
  diskOf,
  foreignSegment,
  type Image,
  imageOf,
  intactLog,
  judgeFully,
  lsnsOf,
} from './damaged-logs.js';

/** What rules of thumb about torn tails get wrong, each on a disk. test/format/verdict.test.ts has them as bytes. */

const FIRST_FATE = Number(process.env.RINGWAL_SEED ?? 1);
const FATES = Array.from({ length: 30 }, (_, at) => FIRST_FATE + at);

test('rot of the last group before an idle period is refused: the state file knew that it was durable', () => {
  const { disk } = idleLog();
  rotLastByte(disk);
  disk.powerCut();
  assertCorrupt(disk);
});

test('the same rot before the state file was written looks like a torn write (not promised), and is kept in a side file', () => {
  const disk = newDisk();
  const log = new TestLog({ disk });
  log.lane.append('first', Level.durable);
  log.run();
  log.lane.append('second', Level.durable);
  log.run();
  log.finishSync();
  rotLastByte(disk);
  disk.powerCut();
  const before = imageOf(disk);
  const { report } = recoverLog(disk, OPTIONS);
  assert.deepEqual([report.row, report.verdict, report.lastLsn], [6, 'torn', 1]);
  assertNothingGone(before, imageOf(disk));
});

test('the last segment cut off at a frame boundary is refused', () => {
  const image = intactLog();
  image.set('wal-4', (image.get('wal-4') as Uint8Array).slice(0, 90));
  assertCorrupt(diskOf(image));
  // Also where only a later group tells: the state file is gone, entry 24 is said to be durable in wal-4.
  image.set('wal-3', (image.get('wal-3') as Uint8Array).slice(0, 329));
  image.delete(STATE_FILE);
  assert.equal(judgeFully(diskOf(image)).row, 2);
});

test('a first group whose watermark is 0 is a torn write and no loss', () => {
  for (const fate of FATES) {
    const disk = newDisk(fate);
    const log = new TestLog({ disk });
    log.lane.append('never synced '.repeat(100));
    log.run();
    disk.powerCut();
    const { report } = recoverLog(disk, OPTIONS);
    assert.ok(['clean', 'torn'].includes(report.verdict), `fate ${fate}`);
    assert.ok(report.lastLsn <= 1);
  }
});

test('two segments unsynced at the cut of power and only the later one kept: the later one goes too', () => {
  const builder = new LogBuilder().group(entries(3), 0).newSegment().group(entries(3), 3).newSegment();
  builder.group(entries(3), 3);
  for (const lost of [new Uint8Array(0), new Uint8Array(120), undefined]) {
    const image = imageFrom(builder, 3);
    const cut = lost ?? (image.get('wal-1') as Uint8Array).slice(0, 70);
    image.set('wal-1', cut);
    const disk = diskOf(image);
    const { report } = recoverLog(disk, OPTIONS);
    assert.equal(report.verdict, 'torn');
    assert.equal(report.watermark, 3);
    assert.ok(report.lastLsn >= 3 && report.lastLsn < 6);
    assertNothingGone(image, imageOf(disk));
    assertTakesWork(disk, report.lastLsn);
  }
});

test('two segments unsynced at the cut of power, whatever is left of them', () => {
  for (const fate of FATES) {
    const disk = newDisk(fate);
    const log = new TestLog({ disk, options: { maxFileSize: 700 } });
    log.syncer.isPrompt = true;
    log.lane.append('a'.repeat(600), Level.durable);
    log.run();
    log.syncer.isPrompt = false;
    log.lane.append('b'.repeat(600));
    log.run();
    log.lane.append('c'.repeat(600));
    log.run();
    disk.powerCut();
    const { report } = recoverLog(disk, OPTIONS);
    assert.ok(report.lastLsn >= 1, `fate ${fate}`);
    assertTakesWork(disk, report.lastLsn);
  }
});

test('a missing segment is refused, first one excepted: that is what retention does', () => {
  for (const name of ['wal-1', 'wal-2', 'wal-3', 'wal-4']) {
    const image = intactLog();
    image.delete(name);
    assertCorrupt(diskOf(image));
  }
  const image = intactLog();
  image.delete('wal-0');
  const { report } = recoverLog(diskOf(image), OPTIONS);
  assert.deepEqual([report.verdict, report.firstLsn, report.lastLsn], ['clean', 7, 26]);
});

test('stale frames on a frame boundary in a recycled segment do not line up behind the new ones', () => {
  // Segment 9 was written over what segment 0 held: same sizes, and the same LSNs would follow.
  const stale = new LogBuilder({ firstSegment: 0 })
    .newSegment()
    .group(entries(6), 0)
    .build()[0] as Uint8Array;
  const fresh = new LogBuilder({ firstSegment: 9 }).newSegment({ recycled: true });
  fresh.group(entries(3), 0);
  const bytes = fresh.build()[0] as Uint8Array;
  for (const tail of [stale.subarray(0), frameTail(stale, 4)]) {
    const image: Image = new Map([['wal-9', concat([bytes, tail])]]);
    image.set(STATE_FILE, encodeState({ ...emptyState(LOG_ID), watermark: 0 }));
    const disk = diskOf(image);
    const { report } = recoverLog(disk, OPTIONS);
    assert.ok(report.lastLsn >= 3);
    const log = new TestLog({ disk });
    log.syncer.isPrompt = true;
    log.lane.append('new', Level.durable);
    log.run();
    assert.equal(log.lane.acknowledged('durable').get(1), report.lastLsn + 1);
    log.close();
    assert.equal(judgeFully(disk).verdict, 'clean');
  }
});

test('plain frames of another use of the file do not follow on, since the file is cut before the first append', () => {
  const disk = newDisk();
  const log = new TestLog({ disk });
  log.lane.append('kept', Level.durable);
  log.run();
  for (let i = 0; i < 3; i++) log.lane.append('lost group');
  log.run();
  // The first frame of the group is lost, the others are not.
  const [, second] = log.frames;
  const image = imageOf(disk);
  (image.get('wal-0') as Uint8Array).fill(
    0,
    second?.offset,
    (second?.offset ?? 0) + (second?.byteLength ?? 0),
  );
  const torn = diskOf(image);
  const next = new TestLog({ disk: torn });
  assert.equal(next.recovered.report.lastLsn, 1);
  next.lane.append('lost group', Level.durable);
  next.run();
  next.finishSync();
  torn.powerCut();
  assert.deepEqual(new TestLog({ disk: torn }).texts, ['kept', 'lost group']);
});

test('a recycled file whose rename was not durable is a missing live segment: nothing in it was acknowledged', () => {
  const image = intactLog();
  const live = image.get('wal-4') as Uint8Array;
  image.delete('wal-4');
  image.set('ringwal.spare', live);
  image.set(STATE_FILE, encodeState({ ...emptyState(logIdOf(intactLog())), watermark: 24 }));
  const disk = diskOf(image);
  const { report } = recoverLog(disk, OPTIONS);
  assert.deepEqual([report.verdict, report.lastLsn], ['clean', 24]);
  assertTakesWork(disk, 24);
});

test('payloads that hold forged frames with high watermarks change nothing', () => {
  const forged = new LogBuilder({ firstLsn: 1_000_000 }).group(entries(3), 999_999).build()[0] as Uint8Array;
  for (const fate of FATES) {
    const disk = newDisk(fate);
    const log = new TestLog({ disk });
    log.lane.append(forged, Level.durable);
    log.run();
    log.lane.append(concat([forged, forged]));
    log.run();
    // Its own bytes at another offset, which is all that an attacker can know.
    log.lane.append(disk.contents(`${DIRECTORY}/wal-0`));
    log.run();
    disk.powerCut();
    const { report } = recoverLog(disk, OPTIONS);
    assert.ok(report.watermark <= 1, `fate ${fate}`);
    assert.ok(['clean', 'torn'].includes(report.verdict), `fate ${fate}`);
    assertTakesWork(disk, report.lastLsn);
  }
});

test('a batch that spans a rotation is there or not, whatever a power cut leaves of its segments', () => {
  for (const fate of FATES) {
    const disk = newDisk(fate);
    const log = new TestLog({ disk, options: { maxFileSize: 1500 } });
    log.lane.append('before', Level.durable);
    log.run();
    log.finishSync();
    log.lane.appendBatch(Array.from({ length: 3 }, (_, at) => `${at}`.repeat(700)));
    log.run();
    assert.ok(log.segments.length > 1);
    disk.powerCut();
    const { report } = recoverLog(disk, OPTIONS);
    assert.ok([1, 4].includes(report.lastLsn), `fate ${fate}: ${report.lastLsn}`);
    assertTakesWork(disk, report.lastLsn);
  }
});

for (const [name, state] of [
  ['a higher watermark', { watermark: 1000, checkpoint: 999 }],
  ['a cut that was begun', { watermark: 2, checkpoint: 1, pendingCut: { segment: 0, offset: 133, lsn: 2 } }],
] as const) {
  test(`a state file of another log with ${name} is not believed`, () => {
    const image = intactLog();
    image.set(STATE_FILE, encodeState({ ...emptyState(99n), ...state }));
    const disk = diskOf(image);
    const { report } = recoverLog(disk, OPTIONS);
    assert.deepEqual([report.verdict, report.watermark, report.lastLsn], ['clean', 25, 26]);
    assertHolds(disk, lsnsOf([[1, 26]]));
    assertTakesWork(disk, 26);
    const { checkpoint } = recoverLog(disk, OPTIONS).start.state;
    assert.equal(checkpoint, 0);
  });
}

test('a log copied without its state file, and without the lock, opens with all that is in it', () => {
  const image = intactLog();
  image.delete(STATE_FILE);
  image.delete(LOCK_FILE);
  const disk = diskOf(image);
  const { report } = recoverLog(disk, OPTIONS);
  assert.deepEqual([report.verdict, report.watermark, report.lastLsn], ['clean', 25, 26]);
  // What no frame says was durable is made so.
  assert.ok(report.rewrittenBytes > 0);
  disk.powerCut();
  assertHolds(disk, lsnsOf([[1, 26]]));
  assertTakesWork(disk, 26);
});

test('a live log copied without its state file, cut anywhere in its last segment, opens', () => {
  const image = intactLog();
  image.delete(STATE_FILE);
  const live = image.get('wal-4') as Uint8Array;
  for (let length = 0; length <= live.length; length++) {
    image.set('wal-4', live.slice(0, length));
    const { report } = recoverLog(diskOf(image), OPTIONS);
    assert.ok(report.lastLsn >= 24 && report.lastLsn <= 26, `${length} bytes`);
  }
});

for (const failedSync of ['ext4', 'xfs', 'btrfs'] as const) {
  test(`what an earlier process could not sync is written anew before it counts as durable (${failedSync})`, () => {
    for (const fate of FATES) {
      const disk = new SimulatedDisk({ seed: fate, failedSync });
      const log = new TestLog({ disk });
      log.lane.append('durable', Level.durable);
      log.run();
      log.finishSync();
      disk.failNext('datasync', 'EIO');
      log.lane.append(dataOf(2), Level.durable);
      log.run();
      log.syncer.complete();
      log.run();
      assert.equal(log.lane.all('failed')[0]?.failure.code, 'ERR_WAL_SYNC_FAILED');
      log.lane.close();
      log.run();
      // The same boot: the page cache still shows what the disk does not have.
      const { report, start } = recoverLog(disk, OPTIONS);
      assert.ok(report.lastLsn >= 1);
      assert.equal(start.watermark, report.lastLsn);
      disk.evictCache();
      disk.powerCut();
      const again = recoverLog(disk, OPTIONS);
      assert.ok(
        again.report.lastLsn >= report.lastLsn,
        `fate ${fate}: an entry that counted as durable is lost`,
      );
      assertTakesWork(disk, again.report.lastLsn);
    }
  });
}

test('a segment of another log behind the live one goes as a torn tail, its bytes stay', () => {
  const image = intactLog();
  image.set('wal-5', foreignSegment(5, 27));
  const disk = diskOf(image);
  const { report } = recoverLog(disk, OPTIONS);
  // It holds nothing of this log: it goes, but its bytes stay.
  assert.equal(report.verdict, 'torn');
  assertNothingGone(image, imageOf(disk));
  assertHolds(disk, lsnsOf([[1, 26]]));
});

/** A log whose last group was durable long before the power went. */
function idleLog(): { disk: SimulatedDisk } {
  const disk = newDisk();
  const log = new TestLog({ disk });
  log.lane.append('first', Level.durable);
  log.run();
  log.finishSync();
  log.lane.append('last before the idle period', Level.durable);
  log.run();
  log.finishSync();
  log.sleep(2 * log.options.syncInterval);
  log.finishSync();
  assert.equal(log.state?.watermark, 2);
  return { disk };
}

function rotLastByte(disk: SimulatedDisk): void {
  disk.rot(`${DIRECTORY}/wal-0`, disk.contents(`${DIRECTORY}/wal-0`).length - 20);
}

function assertCorrupt(disk: SimulatedDisk): void {
  const before = imageOf(disk);
  assert.throws(
    () => recoverLog(disk, OPTIONS),
    (error) => error instanceof LogFailure && error.failure.code === 'ERR_WAL_CORRUPT',
  );
  assert.deepEqual(imageOf(disk), before);
}

function assertTakesWork(disk: SimulatedDisk, lastLsn: number): void {
  const log = new TestLog({ disk });
  log.syncer.isPrompt = true;
  const sequence = log.lane.append('new', Level.durable);
  log.run();
  assert.equal(log.lane.acknowledged('durable').get(sequence), lastLsn + 1);
  log.close();
  assert.equal(judgeFully(disk).verdict, 'clean');
  const reopened = recoverLog(disk, OPTIONS).report;
  assert.deepEqual([reopened.verdict, reopened.lastLsn], ['clean', lastLsn + 1]);
}

function imageFrom(builder: LogBuilder, watermark: number): Image {
  const image: Image = new Map(builder.build().map((bytes, number) => [`wal-${number}`, bytes]));
  return image.set(STATE_FILE, encodeState({ ...emptyState(LOG_ID), watermark }));
}

/** The log's bytes from the frame with index `at` on: all frames but the first are of one size. */
function frameTail(bytes: Uint8Array, at: number): Uint8Array {
  const first = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true) + 4;
  const rest = (bytes.length - first) / 5;
  return bytes.subarray(first + (at - 1) * rest);
}

function logIdOf(image: Image): bigint {
  return judgeFully(diskOf(image)).logId as bigint;
}
