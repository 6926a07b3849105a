/** A log on a simulated machine: it is the same log, and it loses what a log may lose. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Wal, type WalOptions } from '#ringwal';
import { SimulatedMachine } from '#ringwal/testing';
import { SEED, seededTest } from '../seed.js';

const isPackage = process.env.RINGWAL_TEST_KIND === 'package';

const text = (data: Uint8Array) => Buffer.from(data).toString();

async function textsIn(wal: Wal, options = {}): Promise<string[]> {
  const texts: string[] = [];
  for await (const { data } of wal.entries(options)) texts.push(text(data));
  return texts;
}

/** Turns of the event loop: whatever was to be settled is. */
async function settled(): Promise<void> {
  for (let at = 0; at < 200; at++) await new Promise((resolve) => setImmediate(resolve));
}

async function stateOf(promise: Promise<unknown>): Promise<'pending' | 'resolved' | 'rejected'> {
  let state: 'pending' | 'resolved' | 'rejected' = 'pending';
  promise.then(
    () => {
      state = 'resolved';
    },
    () => {
      state = 'rejected';
    },
  );
  await settled();
  return state;
}

test('a log on a simulated machine is a Wal: it appends, reads, follows, and is there when it is opened again', async () => {
  const machine = new SimulatedMachine({ seed: SEED });
  const wal = await machine.open('./log');
  assert.ok(wal instanceof Wal);
  assert.equal(await wal.append('one', { durable: true }), 1);
  assert.equal(wal.durableLsn, 1);
  assert.deepEqual(await wal.appendBatch(['two', Buffer.from('three')]), { first: 2, last: 3 });
  assert.equal(wal.tryAppend('four'), true);
  assert.equal(
    wal.tryEncode(10, (view) => view.write('five')),
    true,
  );
  assert.equal(await wal.sync(), 5);
  assert.deepEqual(await textsIn(wal), ['one', 'two', 'three', 'four', 'five']);
  assert.deepEqual(await textsIn(wal, { reverse: true, to: 3 }), ['three', 'two', 'one']);
  assert.equal(text((await wal.get(2))?.data ?? Buffer.of()), 'two');
  const followed: string[] = [];
  setImmediate(() => void wal.append('six', { durable: true }));
  for await (const { data } of wal.follow({ from: 4 })) if (followed.push(text(data)) === 3) break;
  assert.deepEqual(followed, ['four', 'five', 'six']);
  await wal.truncateAfter(4);
  await wal.checkpoint(2);
  assert.equal(await wal.append('x'.repeat(1_000_000)), 5);
  assert.equal(wal.stats().accepted, 7);
  await wal.close();
  const again = await machine.open('./log', { readOnly: false });
  assert.deepEqual([again.lastLsn, again.checkpointLsn, again.recovery.verdict], [5, 2, 'clean']);
  await again.close();
});

test('segments rotate, and retention and truncateBefore remove them', async () => {
  const machine = new SimulatedMachine({ seed: SEED });
  const wal = await machine.open('./log', { maxFileSize: 4096, maxFiles: 3 });
  for (let n = 1; n <= 40; n++) await wal.append(String(n).padEnd(500));
  await wal.sync();
  await machine.sleep(1000);
  assert.ok(wal.firstLsn > 1);
  assert.equal(wal.segments().length, 3);
  await wal.truncateBefore(35);
  assert.ok(wal.firstLsn > 28 && wal.firstLsn <= 35);
  assert.deepEqual(
    machine.fs.readdirSync('./log').filter((name) => /^wal-\d+$/.test(name)).length,
    wal.segments().length,
  );
  await assert.rejects(textsIn(wal, { from: 1 }), { code: 'ERR_WAL_PURGED' });
  await wal.close();
});

seededTest(
  'a power cut loses only what was not acknowledged as durable, and what is left is a beginning',
  async (seed) => {
    let lost = 0;
    for (let life = 0; life < 40; life++) {
      const machine = new SimulatedMachine({ seed: seed + life, tearsSectors: life % 2 === 0 });
      const wal = await machine.open('./log', { maxFileSize: 4096 });
      let acknowledged = 0;
      void machine.crashAfter(10 + (life % 30));
      for (let n = 1; n <= 30; n++) {
        const promise = wal.append(`${n} `.padEnd(20 + ((n * 97) % 400), '.'), { durable: n % 3 === 0 });
        void promise.then(
          (lsn) => {
            if (n % 3 === 0) acknowledged = lsn;
          },
          () => {},
        );
      }
      await settled();
      if (machine.boots === 1) machine.powerCut();
      const again = await machine.open('./log');
      assert.ok(again.lastLsn >= acknowledged, `life ${life}: ${acknowledged} were acknowledged`);
      const texts = await textsIn(again);
      assert.deepEqual(
        texts.map((each) => Number.parseInt(each, 10)),
        Array.from({ length: again.lastLsn }, (_, at) => at + 1),
      );
      lost += 30 - again.lastLsn;
      await again.close();
    }
    assert.ok(lost > 0, 'no power cut took anything');
  },
);

test('a process that is killed loses nothing that was written', async () => {
  const machine = new SimulatedMachine({ seed: SEED });
  const wal = await machine.open('./log');
  await wal.append('written');
  machine.kill();
  const again = await machine.open('./log');
  assert.deepEqual(await textsIn(again), ['written']);
  await again.close();
});

/** What happens on a machine, to the last operation of its disk. */
async function lifeOf(seed: number): Promise<string> {
  const machine = new SimulatedMachine({ seed, nuisance: 0.05 });
  for (let boot = 0; boot < 3; boot++) {
    const options: WalOptions = { maxFileSize: 4096, syncInterval: 5 };
    const wal = await machine.open('./log', options);
    const stopped = machine.crashAfter(60);
    for (let n = 1; machine.boots === boot + 1 && n < 200; n++) {
      void wal.append('x'.repeat(n * 7), { durable: n % 2 === 0 }).catch(() => {});
      if (n % 5 === 0) await Promise.race([machine.sleep(0.4), stopped]);
      if (n % 20 === 0) void wal.get(n / 2).catch(() => {});
    }
    assert.equal(await stopped, 'power-cut');
  }
  return `${machine.trace}\n${machine.nowMs}`;
}

seededTest('a seed stands for the same life twice, and another seed for another one', async (seed) => {
  const life = await lifeOf(seed);
  assert.equal(await lifeOf(seed), life);
  assert.notEqual(await lifeOf(seed + 1), life);
});

test('after a power cut what was pending stays pending, new calls say that the log is closed, and nothing is left behind', async () => {
  const listeners = process.listenerCount('exit');
  const machine = new SimulatedMachine({ seed: SEED });
  const wal = await machine.open('./log');
  const pending = [
    wal.append('x', { durable: true }),
    wal.sync(),
    wal.checkpoint(0),
    wal.follow().next(),
    machine.fs.promises.writeFile('a', 'b'),
    machine.open('./other'),
    machine.sleep(1),
  ];
  const { fs } = machine;
  machine.powerCut();
  for (const promise of pending) assert.equal(await stateOf(promise), 'pending');
  await assert.rejects(wal.append('y'), { code: 'ERR_WAL_CLOSED' });
  assert.throws(() => wal.tryAppend('y'), { code: 'ERR_WAL_CLOSED' });
  assert.throws(() => wal.flushSync(), { code: 'ERR_WAL_CLOSED' });
  assert.throws(() => fs.readFileSync('a'), { code: 'ERR_SIMULATED_CRASH' });
  assert.equal(await stateOf(fs.promises.readFile('a')), 'pending');
  await wal.close();
  assert.equal(process.listenerCount('exit'), listeners);
  const again = await machine.open('./log');
  assert.equal(await again.append('z', { durable: true }), again.lastLsn);
  await again.close();
  await settled();
  assert.ok(machine.isIdle);
});

test('a log has one writer on a machine, and a killed one holds no lock', async () => {
  const machine = new SimulatedMachine({ seed: SEED });
  await machine.open('./log');
  await assert.rejects(machine.open('./log'), { code: 'ERR_WAL_LOCKED' });
  machine.kill();
  await (await machine.open('./log')).close();
});

test('a failed fsync ends the log, and what was not acknowledged may be lost', async () => {
  const machine = new SimulatedMachine({ seed: SEED });
  const wal = await machine.open('./log');
  await wal.append('kept', { durable: true });
  machine.failNext('sync', 'EIO', { path: 'wal-0' });
  await assert.rejects(wal.append('lost or not', { durable: true }), { code: 'ERR_WAL_SYNC_FAILED' });
  await assert.rejects(wal.append('later'), { code: 'ERR_WAL_SYNC_FAILED' });
  await assert.rejects(wal.close(), { code: 'ERR_WAL_SYNC_FAILED' });
  const again = await machine.open('./log');
  assert.equal((await textsIn(again))[0], 'kept');
  await again.close();
});

test('a full disk rejects what it has no room for, and the log works on once there is room', async () => {
  const machine = new SimulatedMachine({ seed: SEED });
  const wal = await machine.open('./log', { preallocate: false });
  await wal.append('kept', { durable: true });
  machine.fillDisk();
  const error = await wal.append('x'.repeat(5000)).catch((thrown: unknown) => thrown);
  assert.deepEqual(
    [(error as { code: string }).code, (error as { cause: { code: string } }).cause.code],
    ['ERR_WAL_IO', 'ENOSPC'],
  );
  machine.freeDisk();
  assert.equal(await wal.append('again', { durable: true }), 2);
  await wal.close();
});

test('damage at rest is found', async () => {
  const machine = new SimulatedMachine({ seed: SEED });
  const wal = await machine.open('./log');
  for (const each of ['a', 'b', 'c']) await wal.append(each.repeat(100), { durable: true });
  await wal.close();
  const { path, offset, mask } = machine.damage({ path: './log/wal-0', offset: 60 }) ?? {};
  assert.ok(path?.endsWith('wal-0') && offset === 60 && mask !== undefined);
  await assert.rejects(machine.open('./log'), { code: 'ERR_WAL_CORRUPT' });
  const again = await machine.open('./log', { recovery: 'skip-corrupt' });
  assert.deepEqual([again.recovery.repair?.mode, again.lastLsn], ['salvage', 3]);
  await again.close();
  assert.throws(() => machine.damage({ path: './log/wal-0', offset: 1e6 }), { code: 'ERR_WAL_OPTION' });
  assert.equal(new SimulatedMachine({ seed: SEED }).damage(), undefined);
});

test('flushSync makes everything durable before it returns, and no time passes but the machine’s', async () => {
  const machine = new SimulatedMachine({ seed: SEED });
  const wal = await machine.open('./log');
  for (let n = 0; n < 10; n++) wal.tryAppend(`${n}`);
  wal.flushSync();
  assert.equal(wal.durableLsn, 10);
  void machine.crashAfter(0);
  wal.tryAppend('x');
  assert.throws(() => wal.flushSync(), { code: 'ERR_SIMULATED_CRASH' });
  await machine.untilCrash();
  await (await machine.open('./log')).close();
});

test('what a simulated machine does not have is refused', async () => {
  assert.throws(() => new SimulatedMachine({ seed: 0.5 }), { code: 'ERR_WAL_OPTION' });
  const machine = new SimulatedMachine({ seed: SEED });
  assert.throws(() => machine.failNext('fsync' as 'sync', 'EIO'), { code: 'ERR_WAL_OPTION' });
  assert.throws(() => machine.crashAfter(-1), { code: 'ERR_WAL_OPTION' });
  const wal = await machine.open('./log');
  assert.throws(() => wal.attachment(), { code: 'ERR_WAL_OPTION', message: /one thread/ });
  await assert.rejects(machine.open('./log', { readOnly: true } as never), { code: 'ERR_WAL_OPTION' });
  await assert.rejects(machine.open('./log', { unknown: 1 } as WalOptions), { code: 'ERR_WAL_OPTION' });
  await wal.close();
});

test('the log itself knows nothing of the simulated disk', {
  skip: !isPackage && 'of the built package only',
}, () => {
  const dist = new URL('../../dist/', import.meta.url);
  const has = (name: string) =>
    readFileSync(new URL(name, dist), 'utf8').includes('simulated machine stopped');
  assert.deepEqual(['index.js', 'worker.js', 'testing.js'].map(has), [false, false, true]);
});
