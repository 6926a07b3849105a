import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { BusyPoll } from '../../src/main/busy-poll.js';
import { freshLog, turn } from './support.js';

/** Turns of the event loop that are asked for while `work` is under way. */
async function turnsAskedFor(t: TestContext, work: () => Promise<unknown>): Promise<number> {
  const { mock } = t.mock.method(globalThis, 'setImmediate');
  await work();
  mock.restore();
  return mock.callCount();
}

test('with busyPoll the event loop does not sleep while a durable append waits for its sync, and without it does', async (t) => {
  const quick = await freshLog(t, { busyPoll: true });
  assert.ok((await turnsAskedFor(t, () => quick.append('durable', { durable: true }))) > 0);
  assert.ok((await turnsAskedFor(t, () => quick.appendBatch(['a', 'b'], { durable: true }))) > 0);
  const other = await freshLog(t);
  assert.equal(await turnsAskedFor(t, () => other.append('durable', { durable: true })), 0);
});

test('with busyPoll a log is closed, also while durable appends are on their way', async (t) => {
  for (let round = 0; round < 20; round++) {
    const wal = await freshLog(t, { busyPoll: true });
    const appended = [wal.append('a', { durable: true }), wal.append('b', { durable: true })];
    await wal.close();
    assert.deepEqual(await Promise.all(appended), [1, 2]);
  }
});

test('busyPoll is for those alone who wait for a sync of their own', async (t) => {
  const wal = await freshLog(t, { busyPoll: true, syncInterval: 1 });
  const waiting = async () => {
    wal.tryAppend('fire and forget');
    await wal.append('written');
    await wal.append('at the next tick', { durable: true, commit: 'interval' });
  };
  assert.equal(await turnsAskedFor(t, waiting), 0);
});

test('a busy poll looks once a turn until all is settled, however many begin to wait meanwhile', async () => {
  let looks = 0;
  const poll = new BusyPoll(() => ++looks >= 3);
  for (let turns = 0; turns < 3; turns++) {
    // Again each time: on a busy machine a turn may take longer than a poll goes on.
    for (let waiters = 0; waiters < 5; waiters++) poll.start();
    assert.equal(looks, turns);
    await turn();
  }
  for (let turns = 0; turns < 3; turns++) await turn();
  assert.equal(looks, 3);
  poll.start();
  for (let turns = 0; turns < 3; turns++) await turn();
  assert.equal(looks, 4, 'it begins anew for whoever comes later');
});

test('a busy poll that meets a slow disk gives up', async () => {
  let looks = 0;
  const poll = new BusyPoll(() => {
    looks += 1;
    return false;
  });
  poll.start();
  for (let before = -1; before < looks; await turn()) before = looks;
  const given = looks;
  for (let turns = 0; turns < 10; turns++) await turn();
  assert.equal(looks, given);
});
