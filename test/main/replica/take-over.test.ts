import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Wal, type WalEntry } from '#ringwal';
import { cleanUp, temporaryDirectory } from '../../cleanup.js';
import { HostedEngine } from './hosted-engine.js';

type Test = Parameters<typeof cleanUp>[0];

const REPLICATED = { durable: 'replicated' } as const;

function optionsFor({ adapter }: HostedEngine) {
  return { replica: adapter, replicaTimeout: 500, onError: () => {} };
}

async function openLog(t: Test, remote: HostedEngine, directory = newDirectory(t)): Promise<Wal> {
  const wal = await Wal.open(directory, optionsFor(remote));
  cleanUp(t, () => wal.close().catch(() => {}));
  return wal;
}

async function takeOver(t: Test, remote: HostedEngine, directory = newDirectory(t)): Promise<Wal> {
  const wal = await Wal.takeOver(directory, optionsFor(remote));
  cleanUp(t, () => wal.close().catch(() => {}));
  return wal;
}

function newDirectory(t: Test): string {
  return join(temporaryDirectory(t), 'log');
}

async function texts(entries: AsyncIterable<WalEntry>): Promise<string[]> {
  const found: string[] = [];
  for await (const { lsn, data } of entries) found.push(`${lsn} ${Buffer.from(data).toString()}`);
  return found;
}

test('takeOver in a new directory restores the log, and fences the writer before it', async (t) => {
  const remote = new HostedEngine(t);
  const leader = await openLog(t, remote);
  for (const text of ['a', 'b']) await leader.append(text, REPLICATED);
  await leader.appendBatch(['c', 'd'], REPLICATED);
  const successor = await takeOver(t, remote);
  assert.deepEqual(await texts(successor.entries()), ['1 a', '2 b', '3 c', '4 d']);
  assert.equal(await successor.append('e', REPLICATED), 5);
  await assert.rejects(leader.append('of a zombie', REPLICATED), { code: 'ERR_WAL_FENCED' });
  assert.deepEqual(remote.texts, ['a', 'b', 'c', 'd', 'e']);
});

test('takeOver fetches what the directory lacks, and sets aside what the replica does not hold', async (t) => {
  const remote = new HostedEngine(t);
  const directory = newDirectory(t);
  const leader = await openLog(t, remote, directory);
  await leader.append('a', REPLICATED);
  remote.isCut = true;
  await leader.append('never replicated', { durable: true });
  await leader.close();
  remote.isCut = false;
  const second = await takeOver(t, remote);
  await second.append('b', REPLICATED);
  await second.appendBatch(['c', 'd'], REPLICATED);
  await second.close();
  const third = await takeOver(t, remote, directory);
  assert.deepEqual(await texts(third.entries()), ['1 a', '2 b', '3 c', '4 d']);
  assert.ok(readdirSync(directory).some((name) => name.startsWith('ringwal.cut-')));
  assert.equal(await third.append('e', REPLICATED), 5);
  assert.deepEqual(remote.texts, ['a', 'b', 'c', 'd', 'e']);
});

test('of two takeovers at once one is fenced, and nothing is lost', async (t) => {
  const remote = new HostedEngine(t);
  const leader = await openLog(t, remote);
  await leader.append('a', REPLICATED);
  const outcomes = await Promise.allSettled([takeOver(t, remote), takeOver(t, remote)]);
  const winners = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  const appends = await Promise.allSettled(winners.map((wal, at) => wal.append(`of ${at}`, REPLICATED)));
  assert.equal(appends.filter(({ status }) => status === 'fulfilled').length, 1);
  for (const outcome of [...outcomes, ...appends])
    if (outcome.status === 'rejected')
      assert.equal(outcome.reason.code, 'ERR_WAL_FENCED', String(outcome.reason));
  assert.deepEqual(remote.texts.length, 2);
});

test('restore makes a copy, up to an entry too, and the writer goes on', async (t) => {
  const remote = new HostedEngine(t);
  const leader = await openLog(t, remote);
  await leader.append('a', REPLICATED);
  await leader.appendBatch(['b', 'c'], REPLICATED);
  await leader.append('d', REPLICATED);
  while (remote.engine.logs()[0]?.confirmed !== 4) await sleep(5);
  const [whole, cut, before] = [newDirectory(t), newDirectory(t), newDirectory(t)];
  const report = await Wal.restore(whole, { replica: remote.adapter });
  assert.deepEqual([report.firstLsn, report.lastLsn, report.replicaLastLsn], [1, 4, 4]);
  await Wal.restore(cut, { replica: remote.adapter, to: 3 });
  // Entry 2 is inside a batch.
  assert.equal((await Wal.restore(before, { replica: remote.adapter, to: 2 })).lastLsn, 1);
  const contents = [];
  for (const directory of [whole, cut, before]) {
    assert.equal((await Wal.verify(directory)).verdict, 'clean');
    const reader = await Wal.open(directory, { readOnly: true });
    contents.push(await texts(reader.entries()));
    await reader.close();
  }
  assert.deepEqual(contents, [['1 a', '2 b', '3 c', '4 d'], ['1 a', '2 b', '3 c'], ['1 a']]);
  await assert.rejects(Wal.restore(newDirectory(t), { replica: remote.adapter, to: 9 }), {
    code: 'ERR_WAL_OPTION',
  });
  await assert.rejects(Wal.restore(whole, { replica: remote.adapter }), { code: 'ERR_WAL_OPTION' });
  await leader.append('e', REPLICATED);
});

test('a log that begins later is restored as it is', async (t) => {
  const remote = new HostedEngine(t);
  const leader = await openLog(t, remote);
  await leader.append('a', REPLICATED);
  await leader.reset(41);
  await leader.append('b', REPLICATED);
  const successor = await takeOver(t, remote);
  assert.deepEqual([successor.firstLsn, successor.lastLsn], [41, 41]);
  assert.equal(await successor.append('c', REPLICATED), 42);
});

test('a follower of the replica sees confirmed entries only, and learns of a cut', async (t) => {
  const remote = new HostedEngine(t);
  const leader = await openLog(t, remote);
  await leader.append('a', REPLICATED);
  const seen: string[] = [];
  const followed = (async () => {
    for await (const { data } of Wal.follow(remote.adapter)) seen.push(Buffer.from(data).toString());
  })();
  followed.catch(() => {});
  while (seen.length < 1) await sleep(5);
  await leader.append('b', REPLICATED);
  await leader.append('c', REPLICATED);
  while (seen.length < 3) await sleep(5);
  assert.deepEqual(seen, ['a', 'b', 'c']);
  await leader.truncateAfter(1);
  await assert.rejects(followed, { code: 'ERR_WAL_TRUNCATED' });
});

test('a follower ends by its signal, and by break', async (t) => {
  const remote = new HostedEngine(t);
  const leader = await openLog(t, remote);
  await leader.append('a', REPLICATED);
  while (remote.engine.logs()[0]?.confirmed !== 1) await sleep(5);
  const controller = new AbortController();
  await assert.rejects(async () => {
    for await (const _ of Wal.follow(remote.adapter, { signal: controller.signal }))
      controller.abort(new Error('enough'));
  }, /enough/);
  for await (const { lsn } of Wal.follow(remote.adapter, { from: 1 })) {
    assert.equal(lsn, 1);
    break;
  }
  await assert.rejects(
    async () => {
      for await (const _ of Wal.follow(remote.adapter, { logId: '00000000000000ff' }));
    },
    { code: 'ERR_WAL_OPTION' },
  );
});

test('a takeover needs a replica that holds a log', async (t) => {
  const remote = new HostedEngine(t);
  const directory = newDirectory(t);
  await assert.rejects(Wal.takeOver(directory, { replica: remote.adapter }), { code: 'ERR_WAL_OPTION' });
  await assert.rejects(Wal.takeOver(directory, {} as never), { code: 'ERR_WAL_OPTION' });
});
