import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createReferenceKernel } from '../../src/ring/kernel/reference.js';
import { LaneWord } from '../../src/ring/layout.js';
import { RunPoller } from '../../src/ring/polled-runs.js';
import { countEntries } from '../../src/ring/records.js';
import { LaneIntake } from '../../src/worker/lane-intake.js';
import { LaneClient, Level } from './support/lane-client.js';
import { TestLog } from './support/test-log.js';

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
  const intake = new LaneIntake(0, lane.views, createReferenceKernel(lane.views), lane.writerPort);
  actBetweenHeadAndPosted(t, lane, () => {
    lane.append('before the message');
    lane.sync();
  });
  intake.look();
  const run = { from: 0, to: 0 };
  assert.equal(intake.nextRun(run), false);
  assert.equal(intake.dueMessage(), undefined);
  assert.ok(intake.isDrained, 'the writer would look for what it cannot see');
  assert.ok(intake.hasWork(), 'the writer would sleep on it');
  assert.ok(intake.nextRun(run));
  intake.release(run.to);
  assert.equal(intake.dueMessage()?.kind, 'sync');
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
  const intake = new LaneIntake(0, lane.views, createReferenceKernel(lane.views), lane.writerPort);
  const poller = new RunPoller(lane.views);
  const posted = () => lane.hear().map((message) => message.kind === 'durable' && message.runs);
  poller.start();
  intake.acknowledge([1, 2, 1]);
  assert.deepEqual(posted(), []);
  intake.acknowledge([3, 1, 3]);
  assert.deepEqual(posted(), [[3, 1, 3]], 'the first one was not taken yet');
  assert.deepEqual(poller.take(), [1, 2, 1]);
  intake.acknowledge([4, 1, 4, 5, 1, 9]);
  assert.deepEqual(posted(), [[4, 1, 4, 5, 1, 9]], 'there is room for one run');
  assert.equal(poller.stop(), undefined);
  intake.acknowledge([6, 1, 10]);
  assert.deepEqual(posted(), [[6, 1, 10]]);
  lane.dispose();
});

test('a lone durable append of a producer that polls costs no message', () => {
  const log = new TestLog();
  const poller = new RunPoller(log.lane.views);
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
  const poller = new RunPoller(log.lane.views);
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
    const intake = new LaneIntake(0, lane.views, createReferenceKernel(lane.views), lane.writerPort);
    const take = () => {
      intake.look();
      const run = { from: 0, to: 0 };
      assert.ok(intake.nextRun(run));
      intake.release(run.to);
      intake.noteWritten(1, intake.next, true);
    };
    assert.equal(lane.append('waits', Level.durable), 1);
    take();
    assert.deepEqual(intake.startSync(), [1, 1, 1]);
    // As if so many had been pushed and written since, the last of them for real.
    lane.skip(apart - 2);
    intake.next += apart - 2;
    intake.nextWhole = intake.next;
    lane.append('nobody waits');
    take();
    assert.deepEqual(intake.startSync(), []);
    assert.ok(!intake.wantsCommit);
    lane.append('waits again', Level.durable);
    take();
    assert.ok(intake.wantsCommit, `${apart} entries later`);
    assert.deepEqual(intake.startSync(), [1 + apart, 1, 1 + apart]);
    lane.dispose();
  }
});

test('a flush that was given up and is answered late takes nothing from a newer one', () => {
  const lane = new LaneClient();
  const intake = new LaneIntake(0, lane.views, createReferenceKernel(lane.views), lane.writerPort);
  const givenUp = lane.requestFlush();
  const newer = lane.requestFlush();
  intake.finishFlush(newer);
  intake.finishFlush(givenUp);
  assert.ok(lane.isFlushed(newer));
  lane.dispose();
});

test('what is added to a chunk behind a look waits for the next one, and its wish with it', () => {
  const lane = new LaneClient();
  const intake = new LaneIntake(0, lane.views, createReferenceKernel(lane.views), lane.writerPort);
  const run = { from: 0, to: 0 };
  const take = () => {
    assert.ok(intake.nextRun(run));
    const entries = countEntries(lane.views.i32, run.from, run.to);
    intake.release(run.to);
    intake.noteWritten(entries, intake.next + entries - 1, true);
    return entries;
  };
  lane.appendQueued([Buffer.from('nobody waits')]);
  intake.look();
  lane.appendQueued([Buffer.from('waits')], Level.durable);
  assert.equal(take(), 1);
  assert.equal(intake.dueMessage(), undefined, 'nothing that was seen is left');
  assert.ok(intake.isDrained);
  assert.deepEqual(intake.startSync(), []);
  assert.ok(intake.hasWork(), 'the writer would sleep on it');
  assert.equal(take(), 1);
  assert.deepEqual(intake.startSync(), [2, 1, 2]);
  assert.ok(!intake.hasWork());
  // The chunk is taken: what comes now comes in another one.
  lane.appendQueued([Buffer.from('later')]);
  assert.ok(intake.hasWork());
  assert.equal(take(), 1);
  lane.dispose();
});

test('what was in a chunk when the lane was frozen counts, and nothing that comes later', () => {
  const lane = new LaneClient();
  const intake = new LaneIntake(0, lane.views, createReferenceKernel(lane.views), lane.writerPort);
  lane.appendQueued([Buffer.from('a')]);
  intake.look();
  lane.appendQueued([Buffer.from('b')], Level.durable);
  intake.freeze();
  lane.appendQueued([Buffer.from('c')], Level.durable);
  const run = { from: 0, to: 0 };
  assert.ok(intake.nextRun(run));
  assert.equal(countEntries(lane.views.i32, run.from, run.to), 2);
  intake.release(run.to);
  intake.noteWritten(2, 2, true);
  assert.deepEqual(intake.startSync(), [1, 2, 1]);
  assert.ok(!intake.hasWork());
  lane.dispose();
});
