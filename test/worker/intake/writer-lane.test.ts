import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { AckSlotReader } from '../../../src/ring/ack-slot.js';
import { createReferenceKernel } from '../../../src/ring/kernel/reference.js';
import { LaneWord } from '../../../src/ring/layout.js';
import { countEntries } from '../../../src/ring/records.js';
import { WriterLane } from '../../../src/worker/intake/writer-lane.js';
import { LaneClient, Level } from '../support/lane-client.js';
import { TestLog } from '../support/test-log.js';

/** Has the producer act at the moment between the writer's load of head and its load of `posted`. */
function actBetweenHeadAndPosted(t: TestContext, lane: LaneClient, act: () => void): void {
  const { load } = Atomics;
  let hasActed = false;
  t.mock.method(Atomics, 'load', (array: Int32Array, index: number) => {
    if (array === lane.views.i32 && index === LaneWord.posted && !hasActed) {
      hasActed = true;
      act();
    }
    return load(array, index);
  });
}

test('a message whose place is behind records that were not seen yet waits for the next look', (t) => {
  const lane = new LaneClient();
  const writerLane = new WriterLane(0, lane.views, createReferenceKernel(lane.views), lane.writerPort);
  actBetweenHeadAndPosted(t, lane, () => {
    lane.append('before the message');
    lane.sync();
  });
  writerLane.look();
  const run = { from: 0, to: 0 };
  assert.equal(writerLane.input.nextRun(run), false);
  assert.equal(writerLane.input.dueRequest(), undefined);
  assert.ok(writerLane.input.isDrained, 'the writer would look for what it cannot see');
  assert.ok(writerLane.hasWork(), 'the writer would sleep on it');
  assert.ok(writerLane.input.nextRun(run));
  writerLane.input.release({ consumedTo: run.to, entries: 0 });
  assert.equal(writerLane.input.dueRequest()?.kind, 'sync');
  lane.dispose();
});

test('the writer comes to rest when a record and a message come in the middle of its look', (t) => {
  const log = new TestLog();
  let id = 0;
  actBetweenHeadAndPosted(t, log.lane, () => {
    log.lane.append('entry');
    id = log.lane.sync();
  });
  log.syncer.isPrompt = true;
  log.step();
  log.run();
  assert.deepEqual(log.texts, ['entry']);
  assert.ok(log.lane.hear().some((message) => message.kind === 'synced' && message.id === id));
  log.close();
});

test('a producer that polls is told of a run without a message, and of all else by one', () => {
  const lane = new LaneClient();
  const writerLane = new WriterLane(0, lane.views, createReferenceKernel(lane.views), lane.writerPort);
  const poller = new AckSlotReader(lane.views);
  const posted = () => lane.hear().map((message) => message.kind === 'durable' && message.runs);
  poller.start();
  writerLane.acknowledge('durable', [1, 2, 1]);
  assert.deepEqual(posted(), []);
  writerLane.acknowledge('durable', [3, 1, 3]);
  assert.deepEqual(posted(), [[3, 1, 3]], 'the first one was not taken yet');
  assert.deepEqual(poller.take(), [1, 2, 1]);
  writerLane.acknowledge('durable', [4, 1, 4, 5, 1, 9]);
  assert.deepEqual(posted(), [[4, 1, 4, 5, 1, 9]], 'there is room for one run');
  assert.equal(poller.stop(), undefined);
  writerLane.acknowledge('durable', [6, 1, 10]);
  assert.deepEqual(posted(), [[6, 1, 10]]);
  lane.dispose();
});

test('a lone durable append of a producer that polls costs no message', () => {
  const log = new TestLog();
  const poller = new AckSlotReader(log.lane.views);
  log.lane.append('first', Level.durable);
  log.run();
  log.finishSync();
  assert.equal(log.lane.acknowledged('durable').get(1), 1);
  poller.start();
  for (let entry = 2; entry <= 4; entry++) {
    log.lane.append(`entry ${entry}`, Level.durable);
    log.run();
    assert.deepEqual(poller.take(), [entry, 1, entry]);
  }
  assert.deepEqual(
    log.lane.hear().filter(({ kind }) => kind === 'durable'),
    [],
  );
  assert.equal(poller.stop(), undefined);
  log.lane.append('posted', Level.durable);
  log.run();
  assert.equal(log.lane.acknowledged('durable').get(5), 5);
  log.close();
});

test('what a producer that polls was told of survives a power cut, and of a failed sync it is told nothing', () => {
  const log = new TestLog();
  const poller = new AckSlotReader(log.lane.views);
  log.lane.append('first', Level.durable);
  log.run();
  log.finishSync();
  poller.start();
  log.lane.append('told', Level.durable);
  log.run();
  assert.deepEqual(poller.take(), [2, 1, 2]);
  log.disk.failNext('datasync', 'EIO');
  log.lane.append('lost', Level.durable);
  log.run();
  assert.equal(poller.take(), undefined);
  assert.ok(log.lane.hear().some(({ kind }) => kind === 'failed'));
  log.disk.powerCut();
  assert.deepEqual(new TestLog({ disk: log.disk }).texts.slice(0, 2), ['first', 'told']);
});

test('whoever waits is told, however many entries nobody waited for came before', () => {
  for (const apart of [2 ** 31 - 1, 2 ** 31 + 100, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 3 * 2 ** 31]) {
    const lane = new LaneClient();
    const writerLane = new WriterLane(0, lane.views, createReferenceKernel(lane.views), lane.writerPort);
    let lsn = 1;
    const take = () => {
      writerLane.look();
      const run = { from: 0, to: 0 };
      assert.ok(writerLane.input.nextRun(run));
      writerLane.noteWritten({ firstLsn: lsn++, entries: 1, wholeEntries: 1, consumedTo: run.to });
    };
    assert.equal(lane.append('waits', Level.durable), 1);
    take();
    assert.deepEqual(writerLane.waiters.startSync(), [1, 1, 1]);
    // As if so many had been pushed and written since, the last of them for real.
    lane.skip(apart - 2);
    writerLane.waiters.noteWritten({ firstLsn: lsn, entries: apart - 2, wholeEntries: apart - 2 });
    lsn += apart - 2;
    lane.append('nobody waits');
    take();
    assert.deepEqual(writerLane.waiters.startSync(), []);
    assert.ok(!writerLane.waiters.wantsCommit);
    lane.append('waits again', Level.durable);
    take();
    assert.ok(writerLane.waiters.wantsCommit, `${apart} entries later`);
    assert.deepEqual(writerLane.waiters.startSync(), [1 + apart, 1, 1 + apart]);
    lane.dispose();
  }
});

test('a flush that was given up and is answered late takes nothing from a newer one', () => {
  const lane = new LaneClient();
  const writerLane = new WriterLane(0, lane.views, createReferenceKernel(lane.views), lane.writerPort);
  const givenUp = lane.requestFlush();
  const newer = lane.requestFlush();
  writerLane.input.finishFlush(newer);
  writerLane.input.finishFlush(givenUp);
  assert.ok(lane.isFlushed(newer));
  lane.dispose();
});

test('what is added to a chunk behind a look waits for the next one, and its wish with it', () => {
  const lane = new LaneClient();
  const writerLane = new WriterLane(0, lane.views, createReferenceKernel(lane.views), lane.writerPort);
  const run = { from: 0, to: 0 };
  let lsn = 1;
  const take = () => {
    assert.ok(writerLane.input.nextRun(run));
    const entries = countEntries(lane.views.i32, run.from, run.to);
    writerLane.noteWritten({ firstLsn: lsn, entries, wholeEntries: entries, consumedTo: run.to });
    lsn += entries;
    return entries;
  };
  lane.appendQueued([Buffer.from('nobody waits')]);
  writerLane.look();
  lane.appendQueued([Buffer.from('waits')], Level.durable);
  assert.equal(take(), 1);
  assert.equal(writerLane.input.dueRequest(), undefined, 'nothing that was seen is left');
  assert.ok(writerLane.input.isDrained);
  assert.deepEqual(writerLane.waiters.startSync(), []);
  assert.ok(writerLane.hasWork(), 'the writer would sleep on it');
  assert.equal(take(), 1);
  assert.deepEqual(writerLane.waiters.startSync(), [2, 1, 2]);
  assert.ok(!writerLane.hasWork());
  // The chunk is taken: what comes now comes in another one.
  lane.appendQueued([Buffer.from('later')]);
  assert.ok(writerLane.hasWork());
  assert.equal(take(), 1);
  lane.dispose();
});

test('what was in a chunk when the lane was frozen counts, and nothing that comes later', () => {
  const lane = new LaneClient();
  const writerLane = new WriterLane(0, lane.views, createReferenceKernel(lane.views), lane.writerPort);
  lane.appendQueued([Buffer.from('a')]);
  writerLane.look();
  lane.appendQueued([Buffer.from('b')], Level.durable);
  writerLane.freeze();
  lane.appendQueued([Buffer.from('c')], Level.durable);
  const run = { from: 0, to: 0 };
  assert.ok(writerLane.input.nextRun(run));
  assert.equal(countEntries(lane.views.i32, run.from, run.to), 2);
  writerLane.noteWritten({ firstLsn: 1, entries: 2, wholeEntries: 2, consumedTo: run.to });
  assert.deepEqual(writerLane.waiters.startSync(), [1, 2, 1]);
  assert.ok(!writerLane.hasWork());
  lane.dispose();
});
