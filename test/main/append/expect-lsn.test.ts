import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WalError } from '#ringwal';
import { fill, freshLog, openLog, range, SMALL_RING, temporaryLog, texts, walError } from '../support.js';
import { Producer } from './producers.js';

const conflict = (lsn: number) => walError('ERR_WAL_CONFLICT', { lsn });

test('an append that expects the next LSN becomes that entry, and one that expects another is not taken', async (t) => {
  const wal = await freshLog(t);
  assert.equal(await wal.append('one', { expectLsn: 1 }), 1);
  assert.equal(await wal.append('two', { expectLsn: 2, durable: true }), 2);
  await assert.rejects(wal.append('late', { expectLsn: 2 }), conflict(2));
  await assert.rejects(wal.append('early', { expectLsn: 4, durable: true }), conflict(4));
  assert.deepEqual(await wal.appendBatch(['three', 'four'], { expectLsn: 3 }), { first: 3, last: 4 });
  await assert.rejects(wal.appendBatch(['x', 'y'], { expectLsn: 4 }), conflict(4));
  assert.deepEqual(await texts(wal.entries()), ['one', 'two', 'three', 'four']);
  assert.equal(wal.lastLsn, 4);
});

test('what an append expects is decided after everything that its lane appended before, and before everything after', async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING });
  const outcomes = await Promise.allSettled([
    wal.append('a'),
    wal.append('b', { expectLsn: 2 }),
    wal.append('c', { expectLsn: 2 }),
    wal.append('c'),
    wal.append('d', { expectLsn: 4, durable: true }),
    wal.append(fill(60_000, 5), { expectLsn: 5 }),
    wal.append(fill(60_000, 6), { expectLsn: 5, durable: true }),
    wal.appendBatch([fill(40_000, 6), fill(40_000, 7)], { expectLsn: 6 }),
    wal.append('e'),
  ]);
  const values = outcomes.map((each) => (each.status === 'fulfilled' ? each.value : each.reason.code));
  const refused = 'ERR_WAL_CONFLICT';
  assert.deepEqual(values, [1, 2, refused, 3, 4, 5, refused, { first: 6, last: 7 }, 8]);
});

test('an expectation that comes behind a full ring still stands in its place', async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING });
  const data = fill(1000, 1);
  const plain = range(1, 500).map(() => wal.append(data));
  const expecting = wal.append('exact', { expectLsn: 501 });
  const after = wal.append('after');
  assert.deepEqual(await Promise.all(plain), range(1, 500));
  assert.deepEqual([await expecting, await after], [501, 502]);
});

test('a sync does not fail for an append that was refused', async (t) => {
  const wal = await freshLog(t);
  const refused = assert.rejects(wal.append('x', { expectLsn: 7, durable: true }), conflict(7));
  wal.tryAppend('y');
  const [watermark] = await Promise.all([wal.sync(), refused]);
  assert.equal(watermark, 1);
  assert.equal(wal.stats().entries, 1);
});

test('thousands of refused appends at once settle in time that grows with their number', async (t) => {
  const wal = await freshLog(t);
  await wal.append('a');
  const durable = wal.append('b', { durable: true });
  const refused = range(1, 20_000).map(() => wal.append('x', { expectLsn: 1, durable: true }));
  const outcomes = await Promise.allSettled(refused);
  assert.ok(outcomes.every((each) => each.status === 'rejected' && each.reason instanceof WalError));
  assert.equal(await durable, 2);
  assert.equal(wal.lastLsn, 2);
});

test('a batch of no entries tells which LSN comes next, in the order of the lane', async (t) => {
  const wal = await freshLog(t);
  assert.deepEqual(await wal.appendBatch([]), { first: 1, last: 0 });
  const [one, none, two] = await Promise.all([
    wal.append('one'),
    wal.appendBatch([], { durable: true }),
    wal.append('two'),
  ]);
  assert.deepEqual([one, none, two], [1, { first: 2, last: 1 }, 2]);
  assert.deepEqual(await wal.appendBatch([], { expectLsn: 3 }), { first: 3, last: 2 });
  await assert.rejects(wal.appendBatch([], { expectLsn: 2 }), conflict(2));
  assert.equal(wal.lastLsn, 2);
});

test('what is no LSN is no expectation', async (t) => {
  const wal = await freshLog(t);
  for (const expectLsn of [0, -1, 1.5, Number.NaN, 2 ** 53, '1', null]) {
    const options = { expectLsn } as never;
    await assert.rejects(wal.append('x', options), walError('ERR_WAL_OPTION'));
    await assert.rejects(wal.appendBatch(['x'], options), walError('ERR_WAL_OPTION'));
    await assert.rejects(wal.appendBatch([], options), walError('ERR_WAL_OPTION'));
  }
  assert.equal(await wal.append('x', { expectLsn: undefined }), 1);
});

test('an append that expects an LSN obeys the limits of every append', async (t) => {
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory, { maxEntrySize: 1000, maxPending: 2000 });
  await assert.rejects(wal.append(fill(1001, 1), { expectLsn: 1 }), walError('ERR_WAL_TOO_LARGE'));
  await assert.rejects(
    wal.appendBatch([fill(600, 1), fill(600, 1)], { expectLsn: 1 }),
    walError('ERR_WAL_TOO_LARGE'),
  );
  const taken = [wal.append(fill(900, 1), { expectLsn: 1 }), wal.append(fill(900, 2), { expectLsn: 2 })];
  await assert.rejects(wal.append(fill(900, 3), { expectLsn: 3 }), walError('ERR_WAL_FULL'));
  assert.deepEqual(await Promise.all(taken), [1, 2]);
  await wal.close();
  await assert.rejects(wal.append('x', { expectLsn: 3 }), walError('ERR_WAL_CLOSED'));
  await assert.rejects(wal.appendBatch([]), walError('ERR_WAL_CLOSED'));
});

test('of lanes that race for every LSN exactly one gets each, whatever other lanes append without a look', async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING });
  const wins = 300;
  const racing = (name: string) => `
    let next = 1;
    let won = 0;
    while (won < ${wins}) {
      try {
        next = (await lane.append('${name} ' + next, { expectLsn: next })) + 1;
        won += 1;
      } catch (error) {
        if (error.code !== 'ERR_WAL_CONFLICT') throw error;
        next = Number(/the next entry is (\\d+)/.exec(error.message)[1]);
      }
    }
    await lane.close();`;
  const racers = ['a', 'b'].map((name) => new Producer(t, wal.attachment(), racing(name)));
  const plain = new Producer(
    t,
    wal.attachment(),
    `for (let n = 0; n < 300; n++) await lane.append('plain');
     await lane.close();`,
  );
  await Promise.all([...racers, plain].map((producer) => producer.ends()));
  const found = await texts(wal.entries());
  assert.equal(found.length, 2 * wins + 300);
  found.forEach((entry, at) => {
    if (entry !== 'plain') assert.equal(Number(entry.split(' ')[1]), at + 1, entry);
  });
});
