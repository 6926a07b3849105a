import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SEED } from '../../seed.js';
import {
  Faults,
  fill,
  freshLog,
  openLog,
  randomSource,
  range,
  SMALL_RING,
  temporaryLog,
  text,
  texts,
} from '../support.js';

test('a durable append resolves to LSN 1 in a fresh log', async (t) => {
  const wal = await freshLog(t);
  assert.equal(await wal.append('x', { durable: true }), 1);
  assert.deepEqual([wal.firstLsn, wal.lastLsn, wal.durableLsn], [1, 1, 1]);
});

test('appends resolve to consecutive LSNs, at both levels, in the order of the calls', async (t) => {
  const wal = await freshLog(t);
  const settled: number[] = [];
  const durable: number[] = [];
  const promises: Promise<unknown>[] = [];
  for (let i = 1; i <= 500; i++) {
    const isDurable = i % 3 === 0;
    const promise = wal.append(`entry ${i}`, { durable: isDurable });
    promises.push(
      promise.then((lsn) => {
        assert.equal(lsn, i);
        (isDurable ? durable : settled).push(lsn);
        assert.ok(wal.lastLsn >= lsn && wal.firstLsn === 1);
        if (isDurable) assert.ok(wal.durableLsn >= lsn);
      }),
    );
  }
  await Promise.all(promises);
  assert.deepEqual(
    durable,
    range(1, 166).map((i) => i * 3),
  );
  assert.deepEqual(
    settled,
    range(1, 500).filter((i) => i % 3 !== 0),
  );
});

test('the level of an append that does not say is that of the option durable', async (t) => {
  const faults = new Faults(t);
  for (const durable of [true, false]) {
    const wal = await freshLog(t, { durable, workerUrl: faults.workerUrl });
    faults.give('hold-sync');
    const byDefault = wal.append('x');
    const durably = wal.append('y', { durable: true });
    const written = wal.append('z', { durable: false });
    if (!durable) assert.equal(await byDefault, 1);
    // The writer itself may be in a sync; nobody else waits for it.
    faults.recall('hold-sync');
    assert.deepEqual(await Promise.all([byDefault, durably, written]), [1, 2, 3]);
    await wal.close();
  }
});

test('an append is written, and read, while a sync is under way', async (t) => {
  const faults = new Faults(t);
  const wal = await freshLog(t, { workerUrl: faults.workerUrl });
  await wal.appendBatch(['a', 'b']);
  faults.give('hold-sync');
  const synced = wal.sync();
  while (!faults.isMet('hold-sync')) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(await wal.append('c'), 3);
  assert.deepEqual(await texts(wal.entries()), ['a', 'b', 'c']);
  assert.equal(wal.durableLsn, 0);
  const durable = wal.append('d', { durable: true });
  faults.recall('hold-sync');
  assert.ok((await synced) >= 2);
  assert.equal(await durable, 4);
  assert.equal(wal.durableLsn, 4);
});

test('of two durable appends none resolves before the sync that covers it', async (t) => {
  const faults = new Faults(t);
  const wal = await freshLog(t, { workerUrl: faults.workerUrl });
  await wal.append('first', { durable: true });
  faults.give('hold-sync');
  let resolved = 0;
  const both = [wal.append('a', { durable: true }), wal.append('b', { durable: true })];
  for (const each of both) each.then(() => resolved++);
  while (wal.lastLsn < 3 && !faults.isMet('hold-sync')) await new Promise((resolve) => setImmediate(resolve));
  for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([resolved, wal.durableLsn], [0, 1]);
  faults.recall('hold-sync');
  assert.deepEqual(await Promise.all(both), [2, 3]);
});

test(`a mix of all methods keeps its order through full ring, queue and beside (seed ${SEED})`, async (t) => {
  const random = randomSource(SEED);
  const directory = temporaryLog(t);
  const faults = new Faults(t);
  const wal = await openLog(t, directory, {
    ringSize: SMALL_RING,
    maxFileSize: 150_000,
    maxPending: 4 * 1024 * 1024,
    workerUrl: faults.workerUrl,
  });
  /** Head of each entry, in call order. */
  const expected: string[] = [];
  const promised: Promise<void>[] = [];
  const isLsn = (promise: Promise<number>, lsn: number) => {
    promised.push(promise.then((found) => assert.equal(found, lsn)));
  };
  const sizes = [0, 10, 100, 1000, 5000, 16_376, 16_377, 17_000, 70_000];
  const entry = (number: number) => {
    const head = `<${number}>`;
    const size = sizes[random(sizes.length)] as number;
    const data =
      random(2) === 0 ? head.padEnd(size, 'ä') : Buffer.concat([Buffer.from(head), fill(size, number)]);
    return { head, data };
  };
  for (let step = 0; step < 1500; step++) {
    if (step % 100 === 50) faults.give('hold-write');
    if (step % 100 === 60) {
      faults.recall('hold-write');
      // However slow the disk is, most entries find room.
      await wal.sync();
    }
    const kind = random(10);
    if (kind < 4) {
      const { head, data } = entry(expected.length + 1);
      if (wal.tryAppend(data)) expected.push(head);
    } else if (kind < 8) {
      const { head, data } = entry(expected.length + 1);
      try {
        const before = wal.stats().accepted;
        const promise = wal.append(data, {
          durable: kind === 7,
          commit: random(2) === 0 ? 'group' : 'interval',
        });
        if (wal.stats().accepted === before) await assert.rejects(promise, { code: 'ERR_WAL_FULL' });
        else {
          expected.push(head);
          isLsn(promise, expected.length);
        }
      } catch (error) {
        assert.fail(error as Error);
      }
    } else {
      const first = expected.length + 1;
      const parts = range(1, 1 + random(8)).map((at) => entry(expected.length + at));
      const before = wal.stats().accepted;
      const promise = wal.appendBatch(
        parts.map(({ data }) => data),
        { durable: random(2) === 0 },
      );
      if (wal.stats().accepted === before) await assert.rejects(promise, { code: 'ERR_WAL_FULL' });
      else {
        expected.push(...parts.map(({ head }) => head));
        const last = expected.length;
        promised.push(promise.then((found) => assert.deepEqual(found, { first, last })));
      }
    }
    if (random(20) === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  faults.recallAll();
  await Promise.all(promised);
  assert.equal(await wal.sync(), expected.length);
  await wal.close();
  const again = await openLog(t, directory);
  let at = 0;
  for await (const { lsn, data } of again.entries()) {
    const head = expected[at++] as string;
    assert.equal(lsn, at);
    assert.equal(text(data.subarray(0, head.length)), head);
  }
  assert.equal(at, expected.length);
  assert.ok(at > 500);
});

test('a long run of small appends laps the ring many times and loses nothing', async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING });
  const count = 60_000;
  for (let i = 1; i <= count; i++) while (!wal.tryAppend(`${i}`)) await wal.ready(8);
  assert.equal(await wal.sync(), count);
  let next = 1;
  for await (const batch of wal.batches()) {
    for (const { lsn, data } of batch) {
      if (lsn !== next || text(data) !== String(next)) assert.fail(`entry ${lsn} in place of ${next}`);
      next += 1;
    }
  }
  assert.equal(next, count + 1);
});
