import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Level } from '../support/lane-client.js';
import { newDisk, PARKED, TestLog } from '../support/test-log.js';

const KIB = 1024;
const MIB = 1024 * 1024;

/** After a sync that took so long the next ones are the sync thread's. */
const SLOW_SYNC_MS = 2;

test('a durable append is acknowledged only after its sync returned', () => {
  const log = new TestLog();
  const sequence = log.lane.append('a', Level.durable);
  log.run();
  assert.deepEqual(log.texts, ['a']);
  assert.equal(log.lane.acknowledged('durable').size, 0);
  assert.equal(log.status.get('durableLsn'), 0);
  log.syncer.complete();
  assert.deepEqual([...log.lane.acknowledged('durable')], [[sequence, 1]]);
  assert.equal(log.status.get('durableLsn'), 1);
  log.run();
  log.close();
});

test('who comes while a sync is under way forms the next group, and one sync serves all of it', () => {
  const log = new TestLog();
  log.lane.append('first', Level.durable);
  log.run();
  const group = ['b', 'c', 'd'].map((text) => {
    const sequence = log.lane.append(text, Level.durable);
    log.run();
    return sequence;
  });
  assert.equal(log.syncer.jobs.length, 1);
  log.sleep(SLOW_SYNC_MS);
  log.finishSync();
  assert.equal(log.syncer.jobs.length, 2);
  assert.deepEqual([...log.lane.acknowledged('durable').keys()], [1]);
  log.finishSync();
  assert.deepEqual([...log.lane.acknowledged('durable').keys()], [1, ...group]);
  assert.equal(log.syncer.jobs.length, 2);
  log.close();
});

test('what was written while a sync ran is neither durable nor acknowledged when it returns', () => {
  const log = new TestLog();
  log.lane.append('before', Level.durable);
  log.run();
  log.lane.append('during', Level.interval);
  log.run();
  assert.deepEqual(log.texts, ['before', 'during']);
  log.finishSync();
  assert.deepEqual([...log.lane.acknowledged('durable').keys()], [1]);
  assert.equal(log.status.get('durableLsn'), 1);
  log.close();
});

test('what is appended after an acknowledgement says that it was durable, also before the writer has heard of the sync', () => {
  const log = new TestLog();
  log.lane.append('synced', Level.durable);
  log.run();
  log.syncer.work();
  assert.deepEqual([...log.lane.acknowledged('durable').keys()], [1]);
  log.lane.append('after it');
  log.run();
  assert.ok(log.syncer.busy);
  assert.equal(log.frames[1]?.syncedLsn, 1);
  log.close();
});

test('the drain goes on while a sync runs', () => {
  const log = new TestLog();
  log.lane.append('a', Level.durable);
  log.run();
  const sequence = log.lane.append('b', Level.written);
  log.run();
  assert.ok(log.syncer.busy);
  assert.equal(log.lane.acknowledged('written').get(sequence), 2);
  log.finishSync();
  log.close();
});

test('written data is synced at the latest when the interval is over, counted from the first of it', () => {
  const log = new TestLog({ options: { syncInterval: 200 } });
  log.lane.append('a');
  log.run();
  log.sleep(150);
  log.lane.append('b', Level.interval);
  log.run();
  log.sleep(49);
  assert.equal(log.syncer.jobs.length, 0);
  log.sleep(2);
  assert.equal(log.syncer.jobs.length, 1);
  log.finishSync();
  assert.equal(log.lane.acknowledged('durable').get(2), 2);
  log.close();
});

test('16 MiB that nobody waits for are synced without waiting for the interval, and what comes meanwhile makes no new sync', () => {
  const log = new TestLog({ options: { maxFileSize: 64 * MIB } });
  for (let at = 0; at < 15; at++) log.lane.append(new Uint8Array(MIB));
  log.run();
  assert.equal(log.syncer.jobs.length, 0);
  log.lane.append(new Uint8Array(MIB));
  log.run();
  assert.deepEqual(
    log.syncer.jobs.map(({ watermark }) => watermark),
    [16],
  );
  for (const text of ['mean', 'while']) log.lane.append(text);
  log.run();
  log.finishSync();
  assert.equal(log.syncer.jobs.length, 1);
  log.sleep(200);
  assert.equal(log.syncer.jobs.length, 2);
  log.close();
});

test('a durable append that waits for the interval starts no sync of its own', () => {
  const log = new TestLog();
  log.lane.append('a', Level.interval);
  log.run();
  assert.equal(log.syncer.jobs.length, 0);
  log.close();
});

test('with a commit delay a group waits so long for company, and no longer', () => {
  const log = new TestLog({ options: { commitDelay: 5 } });
  log.lane.append('a', Level.durable);
  log.run();
  log.sleep(4);
  log.lane.append('b', Level.durable);
  log.run();
  assert.equal(log.syncer.jobs.length, 0);
  log.sleep(2);
  assert.equal(log.syncer.jobs.length, 1);
  log.finishSync();
  assert.equal(log.lane.acknowledged('durable').size, 2);
  log.close();
});

test('a lone durable append is synced by the writer itself', () => {
  const log = new TestLog();
  log.lane.append('first', Level.durable);
  log.run();
  log.finishSync();
  log.lane.append('lone', Level.durable);
  log.run();
  assert.equal(log.syncer.jobs.length, 1);
  assert.equal(log.lane.acknowledged('durable').get(2), 2);
  log.disk.powerCut();
  assert.deepEqual(new TestLog({ disk: log.disk }).texts, ['first', 'lone']);
});

test('once a sync was quick the writer syncs a small group itself, and a crash leaves all of it', () => {
  const log = new TestLog();
  log.lane.append('first', Level.durable);
  log.run();
  log.finishSync();
  const group = ['b', 'c', 'd'].map((text) => log.lane.append(text, Level.durable));
  log.run();
  assert.equal(log.syncer.jobs.length, 1);
  assert.deepEqual([...log.lane.acknowledged('durable').keys()], [1, ...group]);
  log.disk.powerCut();
  assert.deepEqual(new TestLog({ disk: log.disk }).texts, ['first', 'b', 'c', 'd']);
});

test('one lone durable append after the other is synced by the writer itself, however slow the disk', () => {
  for (const entries of [1, 2]) {
    const log = new TestLog();
    for (let at = 0; at < entries; at++) log.lane.append('before', Level.durable);
    log.run();
    log.sleep(SLOW_SYNC_MS);
    log.finishSync();
    log.lane.append('lone', Level.durable);
    log.run();
    // After company, more may come: the writer goes on writing while the sync thread syncs.
    assert.equal(log.syncer.jobs.length, entries);
    if (entries > 1) log.finishSync();
    assert.equal(log.lane.acknowledged('durable').size, entries + 1);
    log.disk.powerCut();
    assert.equal(new TestLog({ disk: log.disk }).texts.at(-1), 'lone');
  }
});

const reasonsForTheThread = [
  { reason: 'the last sync was slow', firstSyncMs: SLOW_SYNC_MS, more: () => {} },
  {
    reason: 'the group is large',
    firstSyncMs: 0,
    more: ({ lane }: TestLog) => lane.append(new Uint8Array(256 * KIB), Level.durable),
  },
  {
    reason: 'somebody waits until his entry is written',
    firstSyncMs: 0,
    more: ({ lane }: TestLog) => lane.append('w', Level.written),
  },
];
for (const { reason, firstSyncMs, more } of reasonsForTheThread) {
  test(`a group is synced by the sync thread, and the drain goes on meanwhile, when ${reason}`, () => {
    const log = new TestLog();
    log.lane.append('first', Level.durable);
    log.run();
    log.sleep(firstSyncMs);
    log.finishSync();
    more(log);
    for (const text of ['b', 'c']) log.lane.append(text, Level.durable);
    log.run();
    assert.equal(log.syncer.jobs.length, 2);
    log.lane.append('during');
    log.run();
    assert.equal(log.texts.at(-1), 'during');
    log.finishSync();
    log.close();
  });
}

test('a sync covers what was accepted before it, on whichever level', () => {
  const log = new TestLog();
  log.lane.append('a');
  log.lane.append('b', Level.written);
  const id = log.lane.sync();
  log.lane.append('c');
  log.run();
  assert.deepEqual(log.lane.all('synced'), []);
  log.finishSync();
  assert.deepEqual(log.lane.all('synced'), [{ kind: 'synced', id, watermark: 3 }]);
  log.close();
});

test('a sync with nothing to sync is answered at once', () => {
  const log = new TestLog();
  const id = log.lane.sync();
  log.run();
  assert.deepEqual(log.lane.all('synced'), [{ kind: 'synced', id, watermark: 0 }]);
  log.close();
});

test('a flush wakes its producer only when everything before it is durable', () => {
  const log = new TestLog();
  log.lane.append('a');
  const ticket = log.lane.requestFlush();
  log.run();
  assert.ok(!log.lane.isFlushed(ticket));
  log.finishSync();
  assert.ok(log.lane.isFlushed(ticket));
  assert.equal(log.status.get('durableLsn'), 1);
  log.close();
});

test('the first frame of every group says what was durable then, and no other frame does', () => {
  const log = new TestLog();
  log.lane.append('a');
  log.lane.append('b');
  log.run();
  log.sleep(log.options.syncInterval);
  log.finishSync();
  log.lane.append('c');
  log.lane.append('d');
  log.run();
  log.lane.append('e'.repeat(2000));
  log.run();
  assert.deepEqual(
    log.frames.map(({ syncedLsn }) => syncedLsn),
    [0, -1, 2, -1, 2],
  );
  log.close();
});

test('the first frame of every segment and of every open bears the Segment stamp, and no other frame does', () => {
  const disk = newDisk();
  const options = { maxFileSize: 200 };
  const log = new TestLog({ disk, options });
  for (const text of ['a', 'b', 'c', 'd']) log.lane.append(text.repeat(70));
  log.run();
  log.close();
  const again = new TestLog({ disk, options });
  again.lane.append('e');
  again.lane.append('f');
  again.run();
  for (const { lsn, segment, offset, stamp } of again.frames) {
    const isFirst = offset === 0 || lsn === 5;
    assert.equal(stamp?.number, isFirst ? segment : undefined, `entry ${lsn}`);
  }
  assert.equal(new Set(again.frames.flatMap(({ stamp }) => stamp?.logId ?? [])).size, 1);
  again.close();
});

test('close() writes, syncs and acknowledges all that was accepted', () => {
  const log = new TestLog();
  log.lane.append('a');
  log.lane.append('b', Level.durable);
  log.close();
  assert.equal(log.lane.acknowledged('durable').get(2), 2);
  assert.deepEqual(log.disk.openPaths, []);
  log.disk.powerCut();
  const { report } = new TestLog({ disk: log.disk }).recovered;
  assert.equal(report.lastLsn, 2);
  assert.equal(report.watermark, 2);
});

test('the next append is expected once, after a lone durable one that the writer synced itself', () => {
  const log = new TestLog();
  const firstWait = () => {
    for (;;) {
      const next = log.step();
      if (next.kind === 'wait') return next;
    }
  };
  log.syncer.isPrompt = true;
  log.lane.append('the first makes a segment, which takes more than one sync', Level.durable);
  log.run();
  for (const [level, afterLoneCommit] of [
    [Level.durable, true],
    [Level.written, false],
    [Level.durable, true],
  ] as const) {
    log.lane.append('alone', level);
    assert.equal(firstWait().afterLoneCommit, afterLoneCommit);
    assert.equal(firstWait().afterLoneCommit, false);
    // What is not durable yet would keep the next one from being alone.
    log.sleep(log.options.syncInterval);
  }
  log.close();
});

test('an idle log asks to be woken by nothing but a ring', () => {
  const log = new TestLog();
  log.lane.append('a', Level.durable);
  log.syncer.isPrompt = true;
  log.run();
  const next = log.sleep(10 * log.options.syncInterval);
  assert.deepEqual(next, PARKED);
  log.close();
});
