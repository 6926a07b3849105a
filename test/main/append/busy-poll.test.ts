import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Wal } from '#ringwal';
import { BusyPoll } from '../../../src/main/append/busy-poll.js';
import { freshLog, range, SMALL_RING, text, turn } from '../support.js';

/** Has what `call` began asked for a turn of the event loop, so that this does not sleep? */
async function asksForTurns(call: () => Promise<unknown>): Promise<boolean> {
  const count = () => process.getActiveResourcesInfo().filter((name) => name === 'Immediate').length;
  // The last look of a poll may be still to come, if a message was faster.
  await turn();
  const before = count();
  const called = call();
  const isAsked = count() > before;
  await called;
  return isAsked;
}

test('with busyPoll the event loop does not sleep while a durable append waits for its sync, and without it does', async (t) => {
  const quick = await freshLog(t, { busyPoll: true });
  assert.equal(await asksForTurns(() => quick.append('durable', { durable: true })), true);
  assert.equal(await asksForTurns(() => quick.appendBatch(['a', 'b'], { durable: true })), true);
  const other = await freshLog(t);
  assert.equal(await asksForTurns(() => other.append('durable', { durable: true })), false);
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
  const ways = [
    async () => wal.tryAppend('fire and forget'),
    () => wal.append('written'),
    () => wal.append('at the next tick', { durable: true, commit: 'interval' }),
  ];
  for (const way of ways) assert.equal(await asksForTurns(way), false, String(way));
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

test('a busy poll that is stopped and started in one turn looks once a turn', async () => {
  const { poll, counts } = countedPoll();
  poll.start();
  poll.stop();
  poll.start();
  for (let turns = 0; turns < 3; turns++) await turn();
  assert.deepEqual(counts, { begins: 2, looks: 3, ends: 1 });
  poll.stop();
});

test('with busyPoll appends settle in the order of their level, to the LSNs of their entries', async (t) => {
  const wal = await freshLog(t, { busyPoll: true });
  const settled = { durable: [] as number[], written: [] as number[] };
  const contents = new Map<number, string>();
  const note = (level: keyof typeof settled, lsn: number, content: string) => {
    settled[level].push(lsn);
    contents.set(lsn, content);
  };
  const append = (level: keyof typeof settled, content: string) =>
    wal.append(content, { durable: level === 'durable' }).then((lsn) => note(level, lsn, content));
  for (let round = 0; round < 50; round++) {
    const all = [append('durable', `durable ${round}`)];
    if (round % 2 === 0) all.push(append('written', `written ${round}`));
    if (round % 3 === 0) wal.tryAppend('fire and forget');
    if (round % 5 === 0) all.push(append('durable', `large ${round} `.repeat(10_000)));
    if (round % 7 === 0) {
      const batch = [`first ${round}`, `last ${round}`] as const;
      const noted = wal.appendBatch(batch, { durable: true }).then(({ first, last }) => {
        note('durable', first, batch[0]);
        note('durable', last, batch[1]);
      });
      all.push(noted);
    }
    if (round % 11 === 0) wal.flushSync();
    if (round % 4 !== 0) await Promise.all(all);
  }
  await wal.sync();
  for (const lsns of Object.values(settled)) {
    assert.deepEqual(
      lsns,
      [...lsns].sort((a, b) => a - b),
    );
  }
  assert.equal(settled.durable.length, 50 + 10 + 2 * 8);
  for (const [lsn, content] of contents)
    assert.equal(text((await wal.get(lsn))?.data ?? new Uint8Array()), content);
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
