/** What comes faster than the ring takes it: in order, in few messages and writes, within bounds. */
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
  runChild,
  SMALL_RING,
  temporaryLog,
  text,
  walError,
} from '../support.js';

test('small entries that find the ring full share messages and writes', async (t) => {
  const faults = new Faults(t);
  const wal = await freshLog(t, { ringSize: SMALL_RING, workerUrl: faults.workerUrl });
  faults.give('hold-write');
  const entries = 50_000;
  const lsns = range(1, entries).map((n) => wal.append(`entry ${n}`));
  faults.recall('hold-write');
  assert.deepEqual(await Promise.all(lsns), range(1, entries));
  const { queued, groups } = wal.stats();
  assert.ok(queued > entries / 2, `${queued} found the ring full`);
  assert.ok(groups < entries / 100, `${groups} groups of ${entries} entries`);
  let next = 1;
  for await (const { data } of wal.entries()) assert.equal(text(data), `entry ${next++}`);
  assert.equal(next, entries + 1);
});

test('after it has been full the ring is used again', async (t) => {
  const faults = new Faults(t);
  const wal = await freshLog(t, { ringSize: SMALL_RING, workerUrl: faults.workerUrl });
  faults.give('hold-write');
  const overrun = range(1, 20_000).map((n) => wal.append(`entry ${n}`));
  faults.recall('hold-write');
  await Promise.all(overrun);
  const { queued } = wal.stats();
  for (const n of range(1, 20)) await Promise.all(range(1, 50).map(() => wal.append(`later ${n}`)));
  assert.equal(wal.stats().queued, queued);
});

test('an entry of no bytes counts against maxPending, too', async (t) => {
  const faults = new Faults(t);
  const wal = await freshLog(t, { ringSize: SMALL_RING, maxPending: 1600, workerUrl: faults.workerUrl });
  faults.give('hold-write');
  while (wal.tryAppend(fill(1000, 1)));
  while (wal.tryAppend(''));
  const queued = range(1, 100).map(() => wal.append(''));
  await assert.rejects(wal.append(''), walError('ERR_WAL_FULL'));
  assert.equal(wal.stats().pendingBytes, 1600);
  faults.recall('hold-write');
  await Promise.all(queued);
  assert.equal(wal.stats().pendingBytes, 0);
});

test(`a batch of any number of entries beside the ring is whole, and costs few writes (seed ${SEED})`, async (t) => {
  const random = randomSource(SEED);
  const wal = await freshLog(t, { ringSize: SMALL_RING, maxFileSize: 2 ** 20 });
  let first = 1;
  for (const count of [5000, 20_000, 100_000]) {
    const parts = range(1, count).map((n) => Buffer.from(`${first + n - 1}`.padEnd(random(40), '-')));
    const groups = wal.stats().groups;
    const last = first + count - 1;
    assert.deepEqual(await wal.appendBatch(parts, { durable: true }), { first, last });
    assert.ok(wal.stats().groups - groups < count / 100);
    let lsn = first;
    for await (const { data } of wal.entries({ from: first })) {
      assert.ok(parts[lsn++ - first]?.equals(data));
    }
    assert.equal(lsn, last + 1);
    first = last + 1;
  }
  // One with a part that is not small goes another way.
  const parts = [fill(10, 1), fill(100_000, 2), fill(0, 3)];
  assert.deepEqual(await wal.appendBatch(parts), { first, last: first + 2 });
  for (const [at, part] of parts.entries())
    assert.ok(part.equals((await wal.get(first + at))?.data as Buffer));
});

test('what was accepted in the turn of the exit is in the log, however much of it found the ring full', async (t) => {
  const directory = temporaryLog(t);
  const faults = new Faults(t);
  const { stdout } = await runChild(
    t,
    `import { rmSync, writeFileSync } from 'node:fs';
    import { Wal } from '#ringwal';
    const [directory, workerUrl] = process.argv.slice(1);
    const wal = await Wal.open(directory, { ringSize: 65536, workerUrl: new URL(workerUrl) });
    writeFileSync(new URL('hold-write', workerUrl), '');
    for (let n = 1; n <= 30_000; n++) wal.append('entry ' + n).catch(() => {});
    console.log(wal.stats().queued);
    rmSync(new URL('hold-write', workerUrl));
    process.exit();`,
    [directory, faults.workerUrl.href],
  );
  assert.ok(Number(stdout) > 20_000);
  const again = await openLog(t, directory);
  assert.equal(again.lastLsn, 30_000);
});
