import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { SimulatedDisk } from '../../../src/files/simulation/simulated-disk.js';
import { newDisk, TestLog } from '../support/test-log.js';

const HOUR = 3_600_000;

/** A log whose stamps are shown as milliseconds since the test began. */
function stampedLog(disk: SimulatedDisk = newDisk(), options: TestLog['options'] | object = {}): TestLog {
  return new TestLog({ disk, options: { timeResolution: 100, ...options } });
}

/** LSN and time of the frames that carry one. */
function stampsOf(log: TestLog, sinceMs: number): [lsn: number, ms: number][] {
  return log.frames.flatMap(({ lsn, timeMs }) => (timeMs === 0 ? [] : [[lsn, timeMs - sinceMs]]));
}

function appendOne(log: TestLog, data: string | Uint8Array = 'entry'): void {
  log.lane.append(data);
  log.run();
}

describe('a time stamp', () => {
  test('stands on the first frame of a group once the resolution has passed since the last one', () => {
    const log = stampedLog();
    const sinceMs = log.disk.now();
    for (const ms of [0, 60, 39, 1, 99, 1, 5000, 0]) {
      log.advance(ms);
      appendOne(log);
    }
    assert.deepEqual(stampsOf(log, sinceMs), [
      [1, 0],
      [4, 100],
      [6, 200],
      [7, 5200],
    ]);
    log.close();
  });

  test('is the raw clock, also where that goes back', () => {
    const log = stampedLog();
    const sinceMs = log.disk.now();
    for (const errorMs of [0, -1, -HOUR, -HOUR, HOUR, 0]) {
      log.disk.clockErrorMs = errorMs;
      appendOne(log);
    }
    assert.deepEqual(stampsOf(log, sinceMs), [
      [1, 0],
      [2, -1],
      [3, -HOUR],
      [5, HOUR],
      [6, 0],
    ]);
    log.close();
  });

  test('stands once in a group, of however many entries', () => {
    const log = stampedLog();
    const sinceMs = log.disk.now();
    for (const count of [5, 5]) {
      for (let at = 0; at < count; at++) log.lane.append('entry');
      log.advance(100);
      log.run();
    }
    log.lane.appendBatch(['a', 'b', 'c']);
    log.advance(100);
    log.run();
    assert.deepEqual(stampsOf(log, sinceMs), [
      [1, 100],
      [6, 200],
      [11, 300],
    ]);
    log.close();
  });

  test('stands on an entry that came beside the ring, too', () => {
    const log = stampedLog();
    const sinceMs = log.disk.now();
    appendOne(log, new Uint8Array(100_000));
    log.advance(150);
    appendOne(log, new Uint8Array(100_000));
    appendOne(log, new Uint8Array(100_000));
    assert.deepEqual(stampsOf(log, sinceMs), [
      [1, 0],
      [2, 150],
    ]);
    log.close();
  });

  test('stands on the first frame of every segment, which says what the segment before it reaches', () => {
    const log = stampedLog(newDisk(), { maxFileSize: 400 });
    const sinceMs = log.disk.now();
    for (let at = 0; at < 4; at++) {
      log.advance(10);
      appendOne(log, 'x'.repeat(120));
    }
    const firsts = log.frames.filter(({ offset }) => offset === 0);
    assert.deepEqual(
      firsts.map(({ lsn, timeMs, stamp }) => [
        lsn,
        timeMs - sinceMs,
        (stamp?.previousLatestMs ?? sinceMs) - sinceMs,
      ]),
      [
        [1, 10, 0],
        [3, 30, 20],
      ],
    );
    log.close();
  });

  test('what a segment reaches is its latest clock, not the last one', () => {
    const log = stampedLog(newDisk(), { maxFileSize: 300 });
    const sinceMs = log.disk.now();
    for (const errorMs of [0, HOUR, 0]) {
      log.disk.clockErrorMs = errorMs;
      appendOne(log, 'x'.repeat(90));
    }
    const { segment, stamp } = log.frames.at(-1) ?? {};
    assert.equal(segment, 1);
    assert.equal(stamp?.previousLatestMs, sinceMs + HOUR);
    log.close();
  });

  test('stands on the first frame after each open', () => {
    const disk = newDisk();
    const sinceMs = disk.now();
    for (let boot = 0; boot < 2; boot++) {
      const log = stampedLog(disk);
      appendOne(log);
      appendOne(log);
      log.close();
    }
    const log = stampedLog(disk);
    assert.deepEqual(stampsOf(log, sinceMs), [
      [1, 0],
      [3, 0],
    ]);
    log.close();
  });

  test('after an open the next segment says what the one before reaches, a resolution after its stamps', () => {
    const disk = newDisk();
    const first = stampedLog(disk, { timeResolution: 250 });
    const sinceMs = disk.now();
    appendOne(first, 'x'.repeat(100));
    first.advance(200);
    appendOne(first);
    first.close();
    disk.clockErrorMs = -HOUR;
    const log = stampedLog(disk, { maxFileSize: 300 });
    appendOne(log, 'x'.repeat(200));
    const { segment, stamp } = log.frames.at(-1) ?? {};
    assert.equal(segment, 1);
    assert.equal(stamp?.previousLatestMs, sinceMs + 249);
    log.close();
  });

  test('a Segment says the resolution where it is not 100 ms', () => {
    const disk = newDisk();
    for (const timeResolution of [100, 1, 3_600_000]) {
      const log = stampedLog(disk, { timeResolution });
      appendOne(log);
      log.close();
    }
    const log = stampedLog(disk);
    assert.deepEqual(
      log.frames.map(({ stamp }) => stamp?.timeResolutionMs),
      [undefined, 1, 3_600_000],
    );
    log.close();
  });

  test('there is none with timeResolution 0, and nothing is said of what a segment reaches', () => {
    const log = stampedLog(newDisk(), { timeResolution: 0, maxFileSize: 300 });
    for (let at = 0; at < 4; at++) {
      log.advance(1000);
      appendOne(log, 'x'.repeat(120));
    }
    assert.ok(log.segments.length > 1);
    assert.ok(log.frames.every(({ timeMs }) => timeMs === 0));
    assert.ok(log.frames.every(({ stamp }) => stamp?.previousLatestMs === undefined));
    log.close();
  });

  test('a clock at or before 1970 counts as 1', () => {
    const log = stampedLog();
    log.disk.clockErrorMs = -log.disk.now() - 5;
    appendOne(log);
    assert.equal(log.frames[0]?.timeMs, 1);
    log.close();
  });

  test('is made again when the group that carried it found no room', () => {
    const log = stampedLog();
    const sinceMs = log.disk.now();
    appendOne(log);
    log.advance(150);
    log.disk.capacityBytes = log.disk.usedBytes;
    appendOne(log, new Uint8Array(600));
    log.disk.capacityBytes = Number.POSITIVE_INFINITY;
    log.advance(10);
    appendOne(log);
    assert.deepEqual(stampsOf(log, sinceMs), [
      [1, 0],
      [2, 160],
    ]);
    log.close();
  });

  test('costs nothing for each entry: a thousand entries of a group are as many bytes longer as one stamp', () => {
    const bytesWith = (timeResolution: number) => {
      const log = stampedLog(newDisk(), { timeResolution });
      for (let group = 0; group < 3; group++) {
        for (let at = 0; at < 1000; at++) log.lane.append('entry');
        log.run();
      }
      const bytes = log.frames.reduce((sum, { byteLength }) => sum + byteLength, 0);
      log.close();
      return bytes;
    };
    assert.equal(bytesWith(100) - bytesWith(0), 7);
  });
});
