import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Wal } from '#ringwal';
import { BusyPoll } from '../../src/main/busy-poll.js';
import { freshLog, range, SMALL_RING, turn } from './support.js';

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

/** A poll that is settled at its look number `settledAt`; a millisecond takes `msTurns` looks. */
function countedPoll({ settledAt = Number.POSITIVE_INFINITY, msTurns = 100 } = {}) {
  const counts = { begins: 0, looks: 0, ends: 0 };
  const host = {
    begin: () => {
      counts.begins += 1;
    },
    take: () => {
      counts.looks += 1;
    },
    isSettled: () => counts.looks >= settledAt,
    end: () => {
      counts.ends += 1;
    },
  };
  return { poll: new BusyPoll(host, () => counts.looks / msTurns), counts };
}

test('a busy poll looks once a turn until all is settled, however many begin to wait meanwhile', async () => {
  const { poll, counts } = countedPoll({ settledAt: 3 });
  for (let turns = 0; turns < 3; turns++) {
    for (let waiters = 0; waiters < 5; waiters++) poll.start();
    assert.equal(counts.looks, turns);
    await turn();
  }
  for (let turns = 0; turns < 3; turns++) await turn();
  assert.deepEqual(counts, { begins: 1, looks: 3, ends: 1 });
  poll.start();
  for (let turns = 0; turns < 3; turns++) await turn();
  assert.deepEqual(counts, { begins: 2, looks: 4, ends: 2 }, 'it begins anew for whoever comes later');
});

test('a busy poll that meets a slow disk gives up after a millisecond without anybody new', async () => {
  const { poll, counts } = countedPoll({ msTurns: 10 });
  poll.start();
  for (let turns = 0; turns < 5; turns++) await turn();
  poll.start();
  for (let turns = 0; turns < 30; turns++) await turn();
  assert.deepEqual(counts, { begins: 1, looks: 5 + 11, ends: 1 });
});

test('a busy poll that was stopped never looks again', async () => {
  const { poll, counts } = countedPoll();
  poll.start();
  poll.take();
  poll.stop();
  poll.stop();
  poll.take();
  for (let turns = 0; turns < 3; turns++) await turn();
  assert.deepEqual(counts, { begins: 1, looks: 1, ends: 1 });
});

test('with busyPoll appends of all kinds settle in order, to their LSNs', async (t) => {
  const wal = await freshLog(t, { busyPoll: true });
  const settled: number[] = [];
  const note = (lsn: number) => settled.push(lsn);
  for (let round = 0; round < 50; round++) {
    const all = [wal.append('durable', { durable: true }).then(note)];
    if (round % 2 === 0) all.push(wal.append('written').then(note));
    if (round % 3 === 0) wal.tryAppend('fire and forget');
    if (round % 5 === 0) all.push(wal.append('x'.repeat(100_000), { durable: true }).then(note));
    if (round % 7 === 0)
      all.push(wal.appendBatch(['a', 'b'], { durable: true }).then(({ last }) => note(last)));
    if (round % 11 === 0) wal.flushSync();
    if (round % 4 !== 0) await Promise.all(all);
  }
  await wal.sync();
  assert.equal(settled.length, new Set(settled).size);
  const entries = [];
  for await (const { lsn } of wal.entries()) entries.push(lsn);
  assert.deepEqual(
    entries,
    Array.from({ length: wal.lastLsn }, (_, at) => at + 1),
  );
  assert.ok(settled.every((lsn) => lsn <= wal.durableLsn));
});

test('with busyPoll the memory of lanes goes from one to the next while durable appends are on their way', async (t) => {
  const wal = await freshLog(t, { busyPoll: true, ringSize: SMALL_RING });
  const lsns: number[] = [];
  for (let round = 0; round < 100; round++) {
    const lane = await Wal.attach(wal.attachment());
    const appended = range(1, 1 + (round % 4)).map(() => lane.append('durable', { durable: true }));
    if (round % 3 === 0) await appended[0];
    await lane.close();
    lsns.push(...(await Promise.all(appended)));
  }
  assert.deepEqual(lsns, range(1, lsns.length));
  assert.equal(wal.stats().lanes.reused, 99);
});
