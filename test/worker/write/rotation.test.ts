import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Operation } from '../../../src/files/simulation/simulated-disk.js';
import { Level } from '../support/lane-client.js';
import { TestLog } from '../support/test-log.js';

const OPTIONS = { maxFileSize: 200 };

test('a frame that would pass maxFileSize goes to the next segment, a larger one stands alone in its own', () => {
  const log = new TestLog({ options: OPTIONS });
  for (const bytes of [100, 60, 20, 500, 3000, 10]) log.lane.append(new Uint8Array(bytes));
  log.run();
  const lengths = log.frames.map(({ segment, data }) => [segment, data.length]);
  assert.deepEqual(lengths, [
    [0, 100],
    [1, 60],
    [1, 20],
    [2, 500],
    [3, 3000],
    [4, 10],
  ]);
  for (const { segment, offset, byteLength } of log.frames) {
    const isAlone = segment === 2 || segment === 3;
    assert.ok(isAlone || offset + byteLength <= OPTIONS.maxFileSize);
  }
  log.close();
});

test('a frame that just fits stays in its segment', () => {
  const log = new TestLog({ options: { maxFileSize: 512 } });
  log.lane.append(new Uint8Array(463));
  log.run();
  assert.equal(log.frames[0]?.byteLength, 512);
  log.lane.append('next');
  log.run();
  assert.deepEqual(log.segments, [0, 1]);
  log.close();
});

test('a segment is synced before the next but one is created', () => {
  const log = new TestLog({ options: OPTIONS });
  const operations = record(log);
  for (let at = 0; at < 4; at++) log.lane.append(new Uint8Array(150));
  log.run();
  const done = operations.map(({ kind, path }) => `${kind} ${path.split('/').at(-1)}`);
  for (const number of [0, 1]) {
    const synced = done.lastIndexOf(`datasync wal-${number}`);
    assert.ok(synced > done.lastIndexOf(`write wal-${number}`));
    assert.ok(synced < done.indexOf(`open wal-${number + 2}`));
  }
  log.close();
});

test('a sealed segment is synced at once beside the drain, so that the next rotation does not wait', () => {
  const log = new TestLog({ options: { maxFileSize: 512 } });
  for (let at = 0; at < 2; at++) log.lane.append(new Uint8Array(350));
  log.run();
  assert.deepEqual(
    log.syncer.jobs.map(({ files }) => files.length),
    // The first segment's name, before the second is created; then both.
    [1, 2],
  );
  log.lane.append('more');
  log.run();
  assert.equal(log.frames.length, 3);
  log.finishSync();
  assert.equal(log.syncer.jobs.length, 2);
  const operations = record(log);
  log.lane.append(new Uint8Array(350));
  log.run();
  const done = operations.map(({ kind, path }) => `${kind} ${path.split('/').at(-1)}`);
  const before = done.slice(0, done.indexOf('open wal-2'));
  assert.ok(!before.some((each) => each.startsWith('datasync')), `${done}`);
  log.finishSync();
  log.close();
});

test('a sealed segment and the directory are synced before anything behind them is acknowledged', () => {
  const log = new TestLog({ options: OPTIONS });
  const operations = record(log);
  log.lane.append(new Uint8Array(150));
  log.lane.append(new Uint8Array(150), Level.durable);
  log.run();
  assert.deepEqual(log.segments, [0, 1]);
  assert.ok(!log.lane.acknowledged('durable').has(2));
  operations.length = 0;
  log.syncer.complete();
  const done = operations.map(({ kind, path }) => `${kind} ${path.split('/').at(-1)}`).slice(0, 3);
  assert.deepEqual(done, ['datasync wal-0', 'syncDirectory data', 'datasync wal-1']);
  assert.equal(log.lane.acknowledged('durable').get(2), 2);
  log.run();
  log.close();
});

test('a sealed segment is synced though a sync of it was under way when it grew', () => {
  const log = new TestLog({ options: OPTIONS });
  log.lane.append(new Uint8Array(20), Level.durable);
  log.run();
  log.lane.append(new Uint8Array(80));
  log.run();
  log.lane.append(new Uint8Array(150), Level.durable);
  log.run();
  log.finishSync();
  assert.equal(log.lane.acknowledged('durable').get(3), 3);
  log.disk.powerCut();
  assert.equal(new TestLog({ disk: log.disk }).frames.length, 3);
});

test('a rotation goes on beside a sync of the live segment alone, and the next sync covers what this one did not', () => {
  const log = new TestLog({ options: OPTIONS });
  log.lane.append(new Uint8Array(20), Level.durable);
  log.run();
  log.finishSync();
  // Two: one alone the writer would sync itself.
  for (const bytes of [10, 10]) log.lane.append(new Uint8Array(bytes));
  log.sleep(250);
  assert.equal(log.syncer.jobs.length, 2);
  log.syncer.work();
  log.lane.append(new Uint8Array(20));
  log.lane.append(new Uint8Array(150), Level.durable);
  log.run();
  assert.deepEqual(
    log.frames.map(({ segment }) => segment),
    [0, 0, 0, 0, 1],
  );
  assert.ok(log.syncer.busy && log.syncer.jobs.length === 2, 'the sync is under way still');
  log.finishSync();
  assert.equal(log.syncer.jobs[2]?.files.length, 2);
  log.finishSync();
  assert.equal(log.lane.acknowledged('durable').get(5), 5);
  log.disk.powerCut();
  assert.equal(new TestLog({ disk: log.disk }).frames.length, 5);
});

test('a rotation waits for a sync that owes the name of the live segment, or a segment before it', () => {
  const log = new TestLog({ options: OPTIONS });
  log.lane.append(new Uint8Array(150));
  log.sleep(250);
  assert.equal(log.syncer.jobs[0]?.directoryChanged, true);
  // The next two segments, each by a rotation.
  for (const number of [1, 2]) {
    const operations = record(log);
    log.lane.append(new Uint8Array(150));
    log.run();
    const done = operations.map(({ kind, path }) => `${kind} ${path.split('/').at(-1)}`);
    const before = done.slice(0, done.indexOf(`open wal-${number}`));
    assert.ok(before.includes(`datasync wal-${number - 1}`), `${done}`);
    assert.ok(before.includes('syncDirectory data'), `${done}`);
    // Of the segment that was sealed and the one that is live.
    assert.equal(log.syncer.jobs.at(-1)?.files.length, 2);
    assert.ok(log.syncer.busy);
  }
  log.close();
});

for (const [way, size] of [
  ['in the ring', 150],
  ['beside it', 600],
] as const) {
  test(`a batch ${way} spans groups and segments, and counts only when it is whole`, () => {
    const log = new TestLog({ options: OPTIONS });
    const parts = Array.from({ length: 5 }, (_, at) => new Uint8Array(size).fill(at));
    log.lane.append('before', Level.written);
    const last = log.lane.appendBatch(parts, Level.durable);
    log.run();
    assert.deepEqual(
      log.frames.map(({ batchRemaining }) => batchRemaining),
      [0, 4, 3, 2, 1, 0],
    );
    assert.ok(log.segments.length > 3);
    log.finishSync();
    log.finishSync();
    assert.deepEqual([...log.lane.acknowledged('durable').keys()].slice(-5), [
      last - 4,
      last - 3,
      last - 2,
      last - 1,
      last,
    ]);
    log.close();
  });
}

test('whoever hears of a new segment hears with which entry it begins, also inside a batch', () => {
  const log = new TestLog({ options: OPTIONS });
  log.lane.appendBatch(Array.from({ length: 4 }, () => new Uint8Array(150)));
  log.run();
  const opened = log.lane.all('segment-opened').map(({ number, firstLsn }) => [number, firstLsn]);
  assert.deepEqual(opened, [
    [0, 1],
    [1, 2],
    [2, 3],
    [3, 4],
  ]);
  log.close();
});

/** Every operation of the disk from now on. */
function record(log: TestLog): Operation[] {
  const operations: Operation[] = [];
  log.disk.onOperation((operation) => {
    operations.push(operation);
    return undefined;
  });
  return operations;
}
