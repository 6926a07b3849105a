import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Wal, type WalError, type WalOptions } from '#ringwal';
import { cleanUp, temporaryDirectory } from '../../cleanup.js';
import { Producer } from '../append/producers.js';
import { HostedEngine } from './hosted-engine.js';

type Test = Parameters<typeof cleanUp>[0];

async function openLog(
  t: Test,
  { adapter }: HostedEngine,
  options: WalOptions = {},
  directory = temporaryDirectory(t),
): Promise<{ wal: Wal; errors: WalError[]; directory: string }> {
  const errors: WalError[] = [];
  const wal = await Wal.open(directory, {
    replica: adapter,
    replicaTimeout: 300,
    onError: (error) => errors.push(error),
    ...options,
  });
  cleanUp(t, () => wal.close().catch(() => {}));
  return { wal, errors, directory };
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await sleep(5);
}

test("an append with durable: 'replicated' resolves once the replica has the entry", async (t) => {
  const remote = new HostedEngine(t);
  const { wal } = await openLog(t, remote);
  assert.equal(await wal.append('a', { durable: 'replicated' }), 1);
  assert.deepEqual(remote.texts, ['a']);
  assert.equal(wal.replicatedLsn, 1);
  assert.deepEqual(await wal.appendBatch(['b', 'c'], { durable: 'replicated' }), { first: 2, last: 3 });
  assert.deepEqual(remote.texts, ['a', 'b', 'c']);
  await Promise.all(Array.from({ length: 500 }, (_, at) => wal.append(`${at}`, { durable: 'replicated' })));
  assert.equal(wal.replicatedLsn, 503);
  assert.equal(wal.replica?.state, 'shipping');
  assert.equal(wal.stats().replica?.lagEntries, 0);
});

test('it can be the default, and entries without a promise are shipped too', async (t) => {
  const remote = new HostedEngine(t);
  const { wal } = await openLog(t, remote, { durable: 'replicated', syncInterval: 5 });
  await wal.append('a');
  assert.equal(wal.replicatedLsn, 1);
  wal.tryAppend('b');
  await until(() => wal.replicatedLsn === 2);
  assert.deepEqual(remote.texts, ['a', 'b']);
});

test('the entries of a compressed log are replicated one by one, whole batches and large entries among them', async (t) => {
  const remote = new HostedEngine(t);
  const { wal } = await openLog(t, remote, { compression: 'lz4', maxFileSize: 65_536 });
  const texts: string[] = [];
  const append = async (count: number, length: number) => {
    const batch = Array.from({ length: count }, (_, at) => `${texts.length + at} `.padEnd(length, 'ab'));
    texts.push(...batch);
    await wal.appendBatch(batch, { durable: 'replicated' });
  };
  await append(100, 100);
  // One entry that is a block, a batch of several blocks, and entries of which each is a batch of its own.
  await append(1, 20_000);
  await append(3000, 50);
  for (let round = 0; round < 300; round++)
    wal.tryAppend(`${texts.push(`${texts.length} `.padEnd(40, 'x'))}`);
  for (let at = texts.length - 300; at < texts.length; at++) texts[at] = String(at + 1);
  await append(2, 2000);
  assert.ok(wal.stats().compression.blocks > 3);
  assert.deepEqual(remote.texts, texts);
});

test('local appends do not wait while the link is cut, replicated ones do, and are counted', async (t) => {
  const remote = new HostedEngine(t);
  const { wal } = await openLog(t, remote);
  await wal.append('a', { durable: 'replicated' });
  remote.isCut = true;
  let isSettled = false;
  const append = wal.append('b', { durable: 'replicated' }).finally(() => {
    isSettled = true;
  });
  append.catch(() => {});
  await wal.append('c', { durable: true });
  assert.equal(isSettled, false);
  assert.equal(wal.stats().unsettled, 1);
  assert.equal(wal.replica?.lagEntries, 2);
  await wal.close();
  await assert.rejects(append, { code: 'ERR_WAL_REPLICA' });
});

test('the next open ships what was left, under a higher epoch', async (t) => {
  const remote = new HostedEngine(t);
  const { wal, directory } = await openLog(t, remote);
  await wal.append('a', { durable: 'replicated' });
  const { epoch } = wal.replica as { epoch: number };
  remote.isCut = true;
  await wal.append('b', { durable: true });
  await wal.close();
  remote.isCut = false;
  const { wal: again, errors } = await openLog(t, remote, {}, directory);
  await again.append('c', { durable: 'replicated' });
  assert.deepEqual(remote.texts, ['a', 'b', 'c']);
  assert.ok((again.replica?.epoch as number) > epoch);
  assert.deepEqual(errors, []);
});

test('another writer fences the log: replicated appends fail, local ones go on', async (t) => {
  const remote = new HostedEngine(t);
  const { wal, errors } = await openLog(t, remote);
  await wal.append('a', { durable: 'replicated' });
  const [log] = remote.engine.logs();
  await remote.engine.connect().acquire(String(log?.logId), 'successor');
  await assert.rejects(wal.append('b', { durable: 'replicated' }), { code: 'ERR_WAL_FENCED' });
  await assert.rejects(wal.append('c', { durable: 'replicated' }), { code: 'ERR_WAL_FENCED' });
  assert.equal(await wal.append('d', { durable: true }), 3);
  assert.deepEqual(remote.texts, ['a']);
  await until(() => wal.replica?.state === 'stopped');
  assert.deepEqual(
    errors.map(({ code }) => code),
    ['ERR_WAL_FENCED'],
  );
  await wal.truncateAfter(2);
  assert.equal(wal.lastLsn, 2);
});

test('truncateAfter and reset cut the replica first, and other entries follow', async (t) => {
  const remote = new HostedEngine(t);
  const { wal, errors } = await openLog(t, remote);
  for (const text of ['a', 'b', 'c']) await wal.append(text, { durable: 'replicated' });
  await wal.truncateAfter(1);
  assert.deepEqual(remote.texts, ['a']);
  assert.equal(wal.replicatedLsn, 1);
  assert.equal(await wal.append('x', { durable: 'replicated' }), 2);
  assert.deepEqual(remote.texts, ['a', 'x']);
  await wal.reset(41);
  assert.deepEqual(remote.texts, []);
  assert.equal(await wal.append('y', { durable: 'replicated' }), 41);
  assert.deepEqual(remote.texts, ['y']);
  assert.deepEqual(errors, []);
});

test('a cut inside a batch leaves the same entries on both sides', async (t) => {
  const remote = new HostedEngine(t);
  const { wal, directory, errors } = await openLog(t, remote);
  await wal.appendBatch(['a', 'b', 'c'], { durable: 'replicated' });
  await assert.rejects(wal.truncateAfter(2), { code: 'ERR_WAL_OPTION' });
  assert.deepEqual(remote.texts, ['a', 'b', 'c']);
  await wal.truncateAfter(2, { splitBatch: true });
  assert.deepEqual(remote.texts, ['a', 'b']);
  await wal.append('d', { durable: 'replicated' });
  await wal.close();
  const { wal: again } = await openLog(t, remote, {}, directory);
  await again.append('e', { durable: 'replicated' });
  assert.deepEqual(remote.texts, ['a', 'b', 'd', 'e']);
  assert.deepEqual(errors, []);
});

test('retention and truncateBefore keep what is not replicated', async (t) => {
  const remote = new HostedEngine(t);
  remote.isCut = true;
  const { wal } = await openLog(t, remote, { maxFileSize: 4096, maxFiles: 1 });
  const text = 'x'.repeat(120);
  for (let each = 0; each < 200; each++) await wal.append(text, { durable: true });
  await wal.truncateBefore(150);
  const segments = wal.segments().length;
  assert.ok(segments > 4, `${segments} segments`);
  remote.isCut = false;
  await until(() => wal.replicatedLsn === 200);
  assert.equal(remote.texts.length, 200 - ((remote.engine.logs()[0]?.floor ?? 1) || 1) + 1);
  // The record of it releases the segments, at the latest with the next progress.
  for (let each = 0; wal.segments().length > 3; each++) {
    await wal.append(text, { durable: 'replicated' });
    await sleep(20);
    assert.ok(each < 500, 'segments are released');
  }
});

test('beyond maxLag appends are refused, and taken again once the replica has caught up', async (t) => {
  const remote = new HostedEngine(t);
  remote.isCut = true;
  const { wal } = await openLog(t, remote, { maxLag: 2000 });
  const refused = async () => {
    try {
      await wal.append('x'.repeat(100), { durable: true });
      return false;
    } catch (error) {
      assert.equal((error as WalError).code, 'ERR_WAL_FULL');
      return true;
    }
  };
  while (!(await refused())) await sleep(5);
  assert.throws(() => wal.tryAppend('a'), { code: 'ERR_WAL_FULL' });
  remote.isCut = false;
  while (await refused()) await sleep(5);
});

test("with onLag: 'detach' the replica is given up instead, and its segments are released", async (t) => {
  const remote = new HostedEngine(t);
  remote.isCut = true;
  const { wal, errors } = await openLog(t, remote, {
    maxLag: 20_000,
    onLag: 'detach',
    maxFileSize: 4096,
    maxFiles: 2,
  });
  const text = 'x'.repeat(120);
  while (wal.replica?.state !== 'stopped') {
    await wal.append(text, { durable: true });
    await sleep(1);
  }
  assert.match(String(errors.at(-1)?.message), /given up/);
  await assert.rejects(wal.append(text, { durable: 'replicated' }), { code: 'ERR_WAL_PURGED' });
  for (let each = 0; wal.segments().length > 3; each++) {
    await wal.append(text, { durable: true });
    assert.ok(each < 1000, 'segments are released');
  }
});

test('a lane of another thread has the level too', async (t) => {
  const remote = new HostedEngine(t);
  const { wal } = await openLog(t, remote);
  const code = "say(await lane.append('of a worker', { durable: 'replicated' })); await lane.close();";
  const producer = new Producer(t, wal.attachment(), code);
  assert.equal(await producer.says(), 1);
  assert.deepEqual(remote.texts, ['of a worker']);
});

test('options that do not fit are refused', async (t) => {
  const directory = temporaryDirectory(t);
  const remote = new HostedEngine(t);
  const code = { code: 'ERR_WAL_OPTION' };
  await assert.rejects(Wal.open(directory, { durable: 'replicated' }), code);
  await assert.rejects(Wal.open(directory, { maxLag: 1 }), code);
  await assert.rejects(Wal.open(directory, { retainFrom: 'replicated' }), code);
  await assert.rejects(Wal.open(directory, { replica: {} as never }), code);
  const wal = await Wal.open(directory);
  cleanUp(t, () => wal.close());
  await assert.rejects(wal.append('a', { durable: 'replicated' }), code);
  assert.equal(wal.replica, undefined);
  assert.equal(remote.calls.length, 0);
});

test('an adapter that cannot be loaded stops replication, and nothing else', async (t) => {
  const remote = new HostedEngine(t);
  const adapter = { module: new URL('./no-such-adapter.mjs', import.meta.url).href, options: {} };
  const { wal, errors } = await openLog(t, remote, { replica: adapter });
  await assert.rejects(wal.append('a', { durable: 'replicated' }), { code: 'ERR_WAL_OPTION' });
  assert.equal(await wal.append('b', { durable: true }), 2);
  await until(() => errors.length > 0);
  assert.match(String(errors[0]?.message), /Cannot load the adapter/);
});
