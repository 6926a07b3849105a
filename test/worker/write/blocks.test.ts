import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CompressionSettings } from '../../../src/protocol/thread-data.js';
import { recoverLog } from '../../../src/worker/recover/recovery.js';
import { Level } from '../support/lane-client.js';
import type { FrameOnDisk } from '../support/segments.js';
import { OPTIONS, TestLog, type TestLogSettings } from '../support/test-log.js';

/** Small, for a lane whose ring is small. */
const SIZES = { most: 600, least: 100 };
const LZ4: CompressionSettings = { codec: 'lz4', sizes: SIZES };

function openLog({ options, ...settings }: TestLogSettings = {}): TestLog {
  return new TestLog({ ...settings, options: { compression: LZ4, ...options } });
}

/** Compressible, and no two alike. */
function line(id: number, length = 50): string {
  return `{"id":${id},"text":"${'abcdefgh'.repeat(length)}`.slice(0, length);
}

function noise(length: number, seed: number): Uint8Array {
  let state = seed * 2_654_435_761 + 1;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state >>> 16;
  });
}

/** For each frame the LSNs of its entries, and what remains of the last one's batch. */
function shape(log: TestLog): string[] {
  const byFrame = new Map<string, FrameOnDisk[]>();
  for (const frame of log.frames) {
    const key = `${frame.segment}:${frame.offset}`;
    byFrame.set(key, [...(byFrame.get(key) ?? []), frame]);
  }
  return [...byFrame.values()].map((entries) => {
    const [first, last] = [entries[0] as FrameOnDisk, entries.at(-1) as FrameOnDisk];
    const rest = last.batchRemaining > 0 ? ` +${last.batchRemaining}` : '';
    return `${first.lsn}-${last.lsn}${rest}`;
  });
}

test('entries that are written together become blocks, few bytes stay plain', () => {
  const log = openLog();
  log.lane.append('few');
  log.run();
  for (let id = 2; id <= 21; id++) log.lane.append(line(id));
  log.run();
  assert.deepEqual(shape(log), ['1-1', '2-12', '13-21']);
  assert.deepEqual(log.texts, ['few', ...Array.from({ length: 20 }, (_, at) => line(at + 2))]);
  const { status } = log;
  assert.equal(status.get('blocks'), 2);
  assert.equal(status.get('blockRawBytes'), 20 * 51 + 2 * 4);
  assert.ok(status.get('blockStoredBytes') < 500);
  assert.equal(status.get('blockMisses'), 0);
  assert.equal(status.get('payloadBytes'), 3 + 20 * 50);
  log.close();
});

test('every block has the watermark, the first one of a group the Segment', () => {
  const log = openLog();
  log.lane.append('durable', Level.durable);
  log.run();
  log.finishSync();
  for (let id = 2; id <= 21; id++) log.lane.append(line(id));
  log.run();
  const blocks = log.frames.filter(({ syncedLsn }) => syncedLsn >= 0);
  assert.deepEqual(
    blocks.map(({ lsn, syncedLsn, stamp }) => [lsn, syncedLsn, stamp?.number]),
    [
      [1, 0, 0],
      [2, 1, undefined],
      [13, 1, undefined],
    ],
  );
  log.close();
});

describe('a batch', () => {
  const batch = (from: number, count: number, length = 50) =>
    Array.from({ length: count }, (_, at) => line(from + at, length));

  test('that fits shares a block with what stands around it', () => {
    const log = openLog();
    log.lane.append(line(1));
    log.lane.appendBatch(batch(2, 3));
    log.lane.append(line(5));
    log.run();
    assert.deepEqual(shape(log), ['1-5']);
    assert.deepEqual(
      log.frames.map(({ batchRemaining }) => batchRemaining),
      [0, 2, 1, 0, 0],
    );
    log.close();
  });

  test('that does not fit any more begins the next block', () => {
    const log = openLog();
    for (let id = 1; id <= 9; id++) log.lane.append(line(id));
    log.lane.appendBatch(batch(10, 5));
    log.run();
    assert.deepEqual(shape(log), ['1-9', '10-14']);
    log.close();
  });

  test('that is longer than a block has blocks of its own', () => {
    const log = openLog();
    log.lane.append(line(1, 200));
    log.lane.appendBatch(batch(2, 20));
    log.lane.append(line(22, 200));
    log.run();
    assert.deepEqual(shape(log), ['1-1', '2-12 +9', '13-21', '22-22']);
    assert.deepEqual(
      log.frames.slice(1, -1).map(({ batchRemaining }) => batchRemaining),
      Array.from({ length: 20 }, (_, at) => 19 - at),
    );
    log.close();
  });

  test('that comes by a message beside the ring does so too', () => {
    const log = openLog();
    log.lane.appendBatch(batch(1, 30, 100));
    log.run();
    assert.deepEqual(shape(log), ['1-5 +25', '6-10 +20', '11-15 +15', '16-20 +10', '21-25 +5', '26-30']);
    log.close();
  });

  test('whose beginning was framed plain goes on in blocks, and the other way round', () => {
    const log = openLog();
    const parts = [...batch(1, 12, 100), ...Array.from({ length: 20 }, (_, at) => noise(100, at))];
    log.lane.appendBatch(parts);
    log.run();
    const [first] = shape(log);
    assert.equal(first, '1-5 +27');
    assert.equal(shape(log).at(-1), '32-32');
    assert.ok(log.status.get('blockMisses') > 0);
    log.close();
    const { report } = recoverLog(log.disk, OPTIONS);
    assert.deepEqual([report.verdict, report.lastLsn], ['clean', 32]);
  });

  test('that spans segments is read as a whole', () => {
    const log = openLog({ options: { maxFileSize: 500 } });
    log.lane.appendBatch(
      Array.from({ length: 12 }, (_, at) => `${line(at, 300)}${at}`),
      Level.durable,
    );
    log.run();
    assert.ok(log.segments.length > 1);
    log.close();
    assert.equal(recoverLog(log.disk, OPTIONS).report.lastLsn, 12);
  });

  test('is not in the log before its last block is', () => {
    const log = openLog();
    log.lane.appendBatch(batch(1, 30, 100));
    log.disk.failNext('write', { code: 'ENOSPC', bytes: 40 }, { after: 0, times: 1 });
    log.run();
    assert.equal(log.status.get('lastLsn'), 0);
    assert.deepEqual(log.frames, []);
    log.lane.append('works on', Level.durable);
    log.run();
    assert.deepEqual(log.texts, ['works on']);
    log.close();
  });
});

describe('a large entry', () => {
  test('is a block of its own', () => {
    const log = openLog();
    log.lane.append(line(1, 300));
    log.lane.append(line(2, 3000));
    log.lane.append(line(3, 900));
    log.run();
    assert.deepEqual(shape(log), ['1-1', '2-2', '3-3']);
    assert.equal(log.status.get('blocks'), 3);
    log.close();
  });

  test('stands alone in a segment that it does not fit into', () => {
    const log = openLog({ options: { maxFileSize: 300 } });
    log.lane.append(line(1, 100));
    const large = Uint8Array.from({ length: 3000 }, (_, at) => (at % 7 === 0 ? (noise(1, at)[0] ?? 0) : 65));
    log.lane.append(large);
    log.lane.append(line(3, 100));
    log.run();
    assert.deepEqual(log.segments, [0, 1, 2]);
    log.close();
  });
});

describe('what does not become shorter', () => {
  const appendNoise = (log: TestLog, group: number) => {
    for (let at = 0; at < 4; at++) log.lane.append(noise(100, 10 * group + at));
    log.run();
  };

  test('is written plain, and after each miss twice as many groups are not tried', () => {
    const log = openLog();
    const misses: number[] = [];
    for (let group = 0; group < 9; group++) {
      appendNoise(log, group);
      misses.push(log.status.get('blockMisses'));
    }
    assert.equal(log.status.get('blocks'), 0);
    // A group is tried, 1 is not; one is tried, 2 are not; one is tried.
    const tried = misses.flatMap((count, at) => (count > (misses[at - 1] ?? 0) ? [at] : []));
    assert.deepEqual(tried, [0, 2, 5]);
    log.close();
  });

  test('one success ends that', () => {
    const log = openLog();
    for (let group = 0; group < 3; group++) appendNoise(log, group);
    assert.equal(log.status.get('blockMisses'), 2);
    for (let group = 0; group < 3; group++) {
      for (let id = 0; id < 4; id++) log.lane.append(line(id));
      log.run();
    }
    assert.equal(log.status.get('blocks'), 1);
    appendNoise(log, 3);
    appendNoise(log, 4);
    appendNoise(log, 5);
    assert.equal(log.status.get('blockMisses'), 4);
    log.close();
  });

  test('of one lane puts off nothing of another', () => {
    const log = openLog();
    const other = log.attach();
    assert.ok(!('kind' in other));
    appendNoise(log, 0);
    for (let id = 0; id < 4; id++) other.append(line(id));
    log.run();
    assert.equal(log.status.get('blocks'), 1);
    log.close();
  });
});

test('a block that does not fit into the segment goes to the next one', () => {
  const log = openLog({ options: { maxFileSize: 400 } });
  for (let group = 0; group < 12; group++) {
    for (let id = 0; id < 8; id++) log.lane.append(line(8 * group + id));
    log.run();
  }
  assert.ok(log.segments.length > 1);
  for (const number of log.segments) assert.ok(log.files.contents(`wal-${number}`).length <= 400);
  assert.equal(log.frames.length, 96);
  log.close();
});

test('blocks follow plain frames and plain frames blocks, as the option changes', () => {
  const log = openLog({ options: { compression: undefined } });
  for (let id = 0; id < 8; id++) log.lane.append(line(id));
  log.run();
  log.close();
  const second = openLog({ disk: log.disk });
  for (let id = 8; id < 16; id++) second.lane.append(line(id));
  second.run();
  second.close();
  const third = openLog({ disk: log.disk, options: { compression: undefined } });
  for (let id = 16; id < 18; id++) third.lane.append(line(id));
  third.run();
  assert.equal(third.recovered.report.verdict, 'clean');
  assert.deepEqual(
    third.texts,
    Array.from({ length: 18 }, (_, id) => line(id)),
  );
  assert.deepEqual(shape(third).slice(7), ['8-8', '9-16', '17-17', '18-18']);
  third.close();
});
