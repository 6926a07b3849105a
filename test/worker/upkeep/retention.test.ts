import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REMOVALS_MAX } from '../../../src/worker/upkeep/housekeeper.js';
import { expiredSegments } from '../../../src/worker/upkeep/retention.js';
import { SegmentCatalog } from '../../../src/worker/write/segment-catalog.js';
import { Level } from '../support/lane-client.js';
import { newDisk, TestLog } from '../support/test-log.js';

const NO_LIMIT = {
  maxFiles: Number.POSITIVE_INFINITY,
  maxTotalSize: Number.POSITIVE_INFINITY,
  maxAge: Number.POSITIVE_INFINITY,
};

/** Four segments of 100 bytes and ten entries each, created at 1000, 2000, 3000, 4000 ms; the last one is live. */
const SEGMENTS = [0, 1, 2, 3].map((number) => ({
  number,
  firstLsn: number * 10 + 1,
  bytes: 100,
  createdMs: (number + 1) * 1000,
}));
const VIEW = {
  segments: new SegmentCatalog(SEGMENTS),
  watermark: 40,
  floor: 0,
  releasedLsn: Number.POSITIVE_INFINITY,
  pinned: -1,
  nowMs: 5000,
  leadMs: () => 0,
};

test('without a limit nothing expires', () => {
  assert.deepEqual(expiredSegments(NO_LIMIT, VIEW), []);
});

test('the oldest segments expire by number, by size and by age', () => {
  assert.deepEqual(expiredSegments({ ...NO_LIMIT, maxFiles: 3 }, VIEW), [0]);
  assert.deepEqual(expiredSegments({ ...NO_LIMIT, maxTotalSize: 250 }, VIEW), [0, 1]);
  assert.deepEqual(expiredSegments({ ...NO_LIMIT, maxAge: 2500 }, VIEW), [0, 1]);
});

test('the live segment never expires', () => {
  const nothing = { maxFiles: 0, maxTotalSize: 0, maxAge: 0 };
  assert.deepEqual(expiredSegments(nothing, VIEW), [0, 1, 2]);
});

test('no segment with an entry above the watermark expires, nor the one with the last durable entry', () => {
  assert.deepEqual(expiredSegments({ ...NO_LIMIT, maxFiles: 1 }, { ...VIEW, watermark: 25 }), [0, 1]);
  assert.deepEqual(expiredSegments({ ...NO_LIMIT, maxFiles: 1 }, { ...VIEW, watermark: 30 }), [0, 1]);
  assert.deepEqual(expiredSegments({ ...NO_LIMIT, maxFiles: 1 }, { ...VIEW, watermark: 31 }), [0, 1, 2]);
});

test('the segment before an empty live one holds the last entry and stays', () => {
  const segments = new SegmentCatalog(
    SEGMENTS.map((segment, at) => (at === 3 ? { ...segment, firstLsn: 0, bytes: 0 } : segment)),
  );
  assert.deepEqual(
    expiredSegments({ ...NO_LIMIT, maxFiles: 1 }, { ...VIEW, segments, watermark: 30 }),
    [0, 1],
  );
});

test('a segment that a reader has open stays, and so do all behind it', () => {
  assert.deepEqual(expiredSegments({ ...NO_LIMIT, maxFiles: 1 }, { ...VIEW, pinned: 1 }), [0]);
});

test('a clock that stands before the newest segment removes nothing by age', () => {
  assert.deepEqual(expiredSegments({ ...NO_LIMIT, maxAge: 500 }, { ...VIEW, nowMs: 3999 }), []);
});

test('what a clock has jumped ahead makes no segment older', () => {
  const policy = { ...NO_LIMIT, maxAge: 2500 };
  const nowMs = VIEW.nowMs + 1_000_000;
  assert.deepEqual(expiredSegments(policy, { ...VIEW, nowMs, leadMs: () => 1_000_000 }), [0, 1]);
});

test('a clock that jumps ahead while a log is open removes nothing early, and age goes on counting', () => {
  const YEAR_MS = 365 * 24 * 3_600_000;
  const log = fill(new TestLog({ options: { maxFileSize: 100, maxAge: 10_000 } }), 3);
  log.advance(4000);
  fill(log, 1);
  log.disk.advance(YEAR_MS);
  fill(log, 1);
  assert.deepEqual(log.segments, [0, 1, 2, 3, 4], 'none is 10 s old');
  log.advance(7000);
  fill(log, 1);
  assert.deepEqual(log.segments, [3, 4, 5], 'the first three are 11 s old, the next one 7 s');
  log.advance(4000);
  fill(log, 1);
  assert.deepEqual(log.segments, [5, 6], 'so are the next two, of which one was begun after the jump');
  log.close();
});

test('of a jump before open() nothing bears witness: what is too old by the clock goes', () => {
  const log = fill(new TestLog({ options: { maxFileSize: 100 } }), 4);
  log.close();
  log.disk.advance(20_000);
  const again = new TestLog({ disk: log.disk, options: { maxFileSize: 100, maxAge: 10_000 } });
  again.syncer.isPrompt = true;
  again.run();
  assert.deepEqual(again.segments, [3]);
  again.close();
});

test('a segment without a stamp has no age', () => {
  const segments = new SegmentCatalog(SEGMENTS.map((segment) => ({ ...segment, createdMs: 0 })));
  assert.deepEqual(expiredSegments({ ...NO_LIMIT, maxAge: 1 }, { ...VIEW, segments }), []);
});

test('segments go lowest first, each made durable before the next', () => {
  const log = fill(new TestLog({ options: { maxFileSize: 100 } }), 5);
  log.close();
  const again = new TestLog({ disk: log.disk, options: { maxFileSize: 100, maxFiles: 2 } });
  const done: string[] = [];
  again.disk.onOperation(({ kind, path }) => {
    if (kind === 'unlink' || kind === 'syncDirectory') done.push(`${kind} ${path.split('/').at(-1)}`);
    return undefined;
  });
  again.syncer.isPrompt = true;
  again.run();
  assert.deepEqual(again.segments, [3, 4]);
  assert.deepEqual(done.slice(-6), [
    'unlink wal-0',
    'syncDirectory data',
    'unlink wal-1',
    'syncDirectory data',
    'unlink wal-2',
    'syncDirectory data',
  ]);
  assert.equal(again.status.get('firstLsn'), 4);
  assert.equal(again.lane.all('segments-removed').at(-1)?.upTo, 2);
  again.disk.onOperation(undefined);
  again.close();
});

test('one job removes a few of many expired segments, so that a durable append does not wait for all of them', () => {
  const log = fill(new TestLog({ options: { maxFileSize: 100 } }), 3 * REMOVALS_MAX + 2);
  log.close();
  const again = new TestLog({ disk: log.disk, options: { maxFileSize: 100, maxFiles: 1 } });
  again.run();
  const sequence = again.lane.append(new Uint8Array(90), Level.durable);
  again.finishSync();
  assert.equal(again.segments[0], REMOVALS_MAX, 'the job that the append waited for');
  while (again.syncer.busy) again.finishSync();
  assert.ok(again.lane.acknowledged('durable').has(sequence));
  const removed = again.syncer.jobs.map(({ removals }) => removals.length);
  assert.deepEqual(removed, [REMOVALS_MAX, REMOVALS_MAX, REMOVALS_MAX, 2]);
  assert.equal(again.segments.length, 1);
  again.syncer.isPrompt = true;
  again.close();
});

test('removals that fail are left for the next reason, and none of them is forgotten', () => {
  const log = fill(new TestLog({ options: { maxFileSize: 100 } }), 2 * REMOVALS_MAX);
  log.close();
  const again = new TestLog({ disk: log.disk, options: { maxFileSize: 100, maxFiles: 2 } });
  again.syncer.isPrompt = true;
  again.disk.failNext('unlink', 'EPERM', { path: 'wal-3' });
  again.run();
  assert.deepEqual(again.segments[0], 3, 'nothing overtakes the one that stays');
  fill(again, 1);
  again.run();
  assert.equal(again.segments.length, 2);
  again.close();
});

test('a power cut between removals leaves a log without a hole', () => {
  for (let after = 0; after < 3; after++) {
    for (let seed = 0; seed < 20; seed++) {
      const disk = newDisk(seed);
      const log = fill(new TestLog({ disk, options: { maxFileSize: 100 } }), 5);
      log.close();
      const again = new TestLog({ disk, options: { maxFileSize: 100, maxFiles: 2 } });
      disk.failNext('syncDirectory', { crash: true }, { after: after + 1 });
      again.syncer.isPrompt = true;
      again.run();
      disk.powerCut();
      const { report } = new TestLog({ disk, options: { maxFileSize: 100 } }).recovered;
      assert.equal(report.verdict, 'clean');
      assert.equal(report.lastLsn, 5);
    }
  }
});

test('with retainFrom: checkpoint a segment stays until its entries are checkpointed', () => {
  const options = { maxFileSize: 100, maxFiles: 1, retainFromCheckpoint: true };
  const log = fill(new TestLog({ options }), 4);
  assert.deepEqual(log.segments, [0, 1, 2, 3]);
  log.lane.command('checkpoint', 2);
  log.run();
  assert.deepEqual(log.segments, [2, 3]);
  log.close();
});

test('a pinned segment is removed at the next rotation after it was let go', () => {
  const log = new TestLog({ options: { maxFileSize: 100, maxFiles: 2 } });
  log.status.pin(0);
  fill(log, 4);
  assert.deepEqual(log.segments, [0, 1, 2, 3]);
  log.status.pin(-1);
  fill(log, 1);
  assert.deepEqual(log.segments, [3, 4]);
  log.close();
});

test('a segment that a reader pins while retention chooses is kept, and what he came too late for is said to be gone', () => {
  const log = new TestLog({ options: { maxFileSize: 100, maxFiles: 2 } });
  const firstLsns: number[] = [];
  const giveUp = log.status.giveUp.bind(log.status);
  log.status.giveUp = (choose) =>
    giveUp((pinned) => {
      const chosen = choose(pinned);
      // Segment 1 holds entry 2.
      if (chosen !== undefined && firstLsns.length === 0) firstLsns.push(log.status.pin(1));
      return chosen;
    });
  fill(log, 5);
  assert.deepEqual(firstLsns, [1]);
  assert.deepEqual(log.segments, [1, 2, 3, 4]);
  assert.equal(log.status.get('firstLsn'), 2);
  assert.equal(log.status.pin(0), 2);
  log.status.pin(-1);
  fill(log, 1);
  assert.deepEqual(log.segments, [4, 5]);
  log.close();
});

/** Appends entries of which each takes a segment. */
function fill(log: TestLog, entries: number): TestLog {
  log.syncer.isPrompt = true;
  for (let at = 0; at < entries; at++) {
    log.lane.append(new Uint8Array(90), Level.durable);
    log.run();
  }
  return log;
}
