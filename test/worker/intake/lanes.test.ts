import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { cleanUp } from '../../cleanup.js';
import { LaneClient, Level } from '../support/lane-client.js';
import { TestLog, type TestLogSettings } from '../support/test-log.js';

/** More than a quarter of the ring: it travels beside it, and is a group of its own. */
const LARGE = Buffer.alloc(1500, 'x');

function newLog(t: TestContext, settings?: TestLogSettings): TestLog {
  const log = new TestLog(settings);
  cleanUp(t, () => log.dispose());
  return log;
}

function attach(t: TestContext, log: TestLog, asker?: LaneClient): LaneClient {
  const lane = log.attach(asker);
  assert.ok(lane instanceof LaneClient, `no lane: ${JSON.stringify(lane)}`);
  cleanUp(t, () => lane.dispose());
  return lane;
}

function figures(log: TestLog): Record<string, number> {
  const { status } = log;
  return {
    open: status.get('lanes'),
    pooled: status.get('lanesPooled'),
    reused: status.get('lanesReused'),
    gone: status.get('lanesGone'),
  };
}

test('entries of several lanes get LSNs of one log, each lane in its own order, and each lane hears of its own', (t) => {
  const log = newLog(t);
  const lanes = [log.lane, attach(t, log), attach(t, log)];
  for (let i = 1; i <= 3; i++) {
    for (const [at, lane] of lanes.entries()) lane.append(`${at}-${i}`, Level.durable);
  }
  log.syncer.isPrompt = true;
  log.run();
  assert.deepEqual(
    [...log.texts].sort(),
    lanes.flatMap((_, at) => [1, 2, 3].map((i) => `${at}-${i}`)).sort(),
  );
  for (const [at, lane] of lanes.entries()) {
    const lsns = lane.acknowledged('durable');
    assert.deepEqual([...lsns.keys()], [1, 2, 3]);
    for (const [sequence, lsn] of lsns) assert.equal(log.texts[lsn - 1], `${at}-${sequence}`);
  }
  log.close();
});

test('a lane that floods the log does not hold up another: at most four groups of it come first', (t) => {
  const log = newLog(t);
  const flooding = attach(t, log);
  const other = attach(t, log);
  for (let i = 0; i < 200; i++) flooding.append(LARGE);
  other.append('other', Level.written);
  log.lane.append('opener', Level.written);
  log.step();
  const place = (what: string) => log.texts.indexOf(what);
  assert.equal(place('opener'), 0);
  assert.ok(place('other') >= 0 && place('other') <= 5, `it came after ${place('other')} others`);
  // And again: the flood goes on, the others come in between.
  for (let round = 0; round < 10; round++) {
    flooding.append(LARGE);
    const before = log.frames.length;
    other.append(`other ${round}`);
    log.step();
    assert.ok(place(`other ${round}`) <= before + 4);
  }
  log.run();
  assert.equal(log.frames.length, 222);
  log.close();
});

test('a batch is not interrupted by another lane, however long it is', (t) => {
  const log = newLog(t);
  const lane = attach(t, log);
  // Many groups of one lane's ring.
  for (let i = 0; i < 6; i++) log.lane.append(LARGE);
  log.lane.appendBatch(Array.from({ length: 40 }, (_, i) => `batch ${i}`));
  lane.append('other');
  log.run();
  const first = log.texts.indexOf('batch 0');
  assert.deepEqual(
    log.texts.slice(first, first + 40),
    Array.from({ length: 40 }, (_, i) => `batch ${i}`),
  );
  log.close();
});

test('a sync waits for what every lane had accepted before it, though a lane has more than one turn takes', (t) => {
  const log = newLog(t);
  const flooding = attach(t, log);
  for (let i = 0; i < 50; i++) flooding.append(LARGE, Level.durable);
  const id = log.lane.sync();
  log.syncer.isPrompt = true;
  for (let round = 0; round < 100; round++) {
    log.step();
    // The flood never ends; what came later holds the answer up for a few rounds at most.
    for (let i = 0; i < 4; i++) flooding.append(LARGE);
    if (log.lane.all('synced').some((synced) => synced.id === id)) break;
  }
  const [synced] = log.lane.all('synced');
  assert.equal(synced?.id, id);
  const acknowledged = flooding.acknowledged('durable');
  assert.equal(acknowledged.size, 50);
  for (const lsn of acknowledged.values()) assert.ok(lsn <= (synced?.watermark ?? 0));
  log.close();
});

test('a lane is freed once everything on it is durable, and its memory is used again', (t) => {
  const log = newLog(t);
  const lane = attach(t, log);
  assert.deepEqual(figures(log), { open: 2, pooled: 0, reused: 0, gone: 0 });
  lane.append('last words');
  lane.detach();
  log.run();
  assert.deepEqual(lane.all('detached'), [], 'it is written, but not durable');
  log.finishSync();
  assert.equal(lane.all('detached').length, 1);
  assert.deepEqual(figures(log), { open: 1, pooled: 1, reused: 0, gone: 0 });
  const next = attach(t, log);
  lane.views.u8.set([42], lane.views.u8.length - 1);
  assert.equal(next.views.u8.at(-1), 42, 'it is other memory');
  assert.deepEqual(figures(log), { open: 2, pooled: 0, reused: 1, gone: 0 });
  assert.equal(next.append('first words', Level.written), 1);
  log.run();
  assert.deepEqual([...next.acknowledged('written')], [[1, 2]]);
  assert.deepEqual(log.texts, ['last words', 'first words']);
  log.close();
});

test('what a thread that ended had published is written, then its lane is freed', (t) => {
  const log = newLog(t);
  const lane = attach(t, log);
  lane.append('in the ring', Level.durable);
  lane.append(LARGE);
  lane.append('behind it');
  log.lane.gone(1);
  log.syncer.isPrompt = true;
  log.run();
  assert.deepEqual(log.texts, ['in the ring', LARGE.toString(), 'behind it']);
  assert.deepEqual(figures(log), { open: 1, pooled: 1, reused: 0, gone: 1 });
  log.close();
});

test('word of an end that was dealt with does not reach the lane that came after', (t) => {
  const log = newLog(t);
  log.syncer.isPrompt = true;
  const lane = attach(t, log);
  lane.detach();
  log.run();
  const next = attach(t, log);
  log.lane.gone(1);
  next.append('unharmed');
  log.run();
  assert.deepEqual(log.texts, ['unharmed']);
  assert.deepEqual(figures(log), { open: 2, pooled: 0, reused: 1, gone: 0 });
  log.close();
});

test('a lane is refused where as many are in use as may be, and when one is free again it is not', (t) => {
  const log = newLog(t, { maxLanes: 2 });
  log.syncer.isPrompt = true;
  const lane = attach(t, log);
  const refused = log.attach();
  assert.ok(!(refused instanceof LaneClient) && refused.kind === 'refused');
  assert.equal(refused.failure.code, 'ERR_WAL_FULL');
  lane.detach();
  log.run();
  attach(t, log);
  log.close();
});

test('an attached lane can ask for another', (t) => {
  const log = newLog(t);
  const child = attach(t, log, attach(t, log));
  child.append('nested');
  log.run();
  assert.deepEqual(log.texts, ['nested']);
  log.close();
});

test('while the log is being closed a lane learns exactly what was taken', (t) => {
  const log = newLog(t);
  const lane = attach(t, log);
  for (let i = 0; i < 3; i++) lane.append(`taken ${i}`);
  log.lane.close();
  log.step();
  // Nobody has asked its thread to stop.
  for (let i = 0; i < 3; i++) lane.append(`late ${i}`);
  lane.append(LARGE);
  lane.sync();
  log.syncer.isPrompt = true;
  log.syncer.complete();
  assert.equal(log.run().kind, 'closed');
  assert.deepEqual(lane.all('closed'), [{ kind: 'closed', taken: 4 }]);
  assert.deepEqual(log.texts, ['taken 0', 'taken 1', 'taken 2']);
});

test('a lane that never stops publishing does not keep the log from closing', (t) => {
  const log = newLog(t);
  const lane = attach(t, log);
  log.syncer.isPrompt = true;
  log.lane.close();
  let kind = '';
  for (let round = 0; round < 50 && kind !== 'closed'; round++) {
    lane.append(`entry ${round}`);
    kind = log.step().kind;
  }
  assert.equal(kind, 'closed');
  const taken = lane.all('closed')[0]?.taken ?? 0;
  assert.deepEqual(
    log.texts,
    Array.from({ length: taken - 1 }, (_, i) => `entry ${i}`),
  );
});

test('a lane that leaves while the disk is full hears what was lost, and is freed', (t) => {
  const log = newLog(t);
  const lane = attach(t, log);
  log.syncer.isPrompt = true;
  lane.append('kept', Level.durable);
  log.run();
  log.disk.capacityBytes = log.disk.usedBytes;
  lane.append(Buffer.alloc(10_000), Level.written);
  lane.detach();
  log.run();
  assert.deepEqual(lane.rejected, [2]);
  assert.equal(lane.all('detached').length, 1);
  assert.deepEqual(figures(log), { open: 1, pooled: 1, reused: 0, gone: 0 });
});

test('after a failure a lane can leave, and whoever asks for one is told of the failure', (t) => {
  const log = newLog(t);
  const lane = attach(t, log);
  lane.append('doomed', Level.durable);
  log.run();
  log.disk.failNext('datasync', 'EIO', { path: 'wal-0' });
  log.finishSync();
  lane.detach();
  log.run();
  assert.equal(lane.all('failed').length, 1);
  assert.equal(lane.all('detached').length, 1);
  const refused = log.attach();
  assert.ok(!(refused instanceof LaneClient) && refused.kind === 'failed');
});
