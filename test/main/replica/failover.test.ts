import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Wal, type WalError } from '#ringwal';
import { createTables, postgres } from '#ringwal/postgres';
import { cleanUp, temporaryDirectory } from '../../cleanup.js';
import { postgresBinaries, WITHOUT_POSTGRES } from '../../replica/support/postgres-binaries.js';
import { PostgresNode } from '../../replica/support/postgres-node.js';
import { TcpProxy } from '../../replica/support/tcp-proxy.js';

const skip = postgresBinaries() === undefined ? WITHOUT_POSTGRES : false;

interface Cluster {
  readonly primary: PostgresNode;
  readonly standby: PostgresNode;
  /** From the log to the primary. */
  readonly client: TcpProxy;
  /** From the standby to the primary. */
  readonly replication: TcpProxy;
  readonly url: string;
}

async function startCluster(t: TestContext, isSynchronous: boolean): Promise<Cluster> {
  const primary = await PostgresNode.primary(t);
  await createTables({ connectionString: primary.url }, { timeoutMs: 10_000 });
  const replication = await TcpProxy.open(t, primary.port);
  const standby = await PostgresNode.standby(t, primary, { through: replication.port });
  if (isSynchronous) await primary.makeSynchronous(standby);
  else await primary.untilStreaming(standby);
  const client = await TcpProxy.open(t, primary.port);
  return {
    primary,
    standby,
    client,
    replication,
    url: primary.url.replace(`:${primary.port}/`, `:${client.port}/`),
  };
}

async function openLog(t: TestContext, url: string, durability: 'standby' | 'storage') {
  const directory = join(temporaryDirectory(t), 'log');
  const errors: WalError[] = [];
  const wal = await Wal.open(directory, {
    replica: postgres({ connectionString: url, durability }),
    replicaTimeout: 1000,
    onError: (error) => errors.push(error),
  });
  cleanUp(t, () => wal.close().catch(() => {}));
  return { wal, errors };
}

async function remoteTexts(url: string): Promise<string[]> {
  const texts: string[] = [];
  const controller = new AbortController();
  const [log] = await Wal.replicatedLogs(postgres({ connectionString: url }));
  if (log === undefined || log.confirmed === 0) return texts;
  for await (const { lsn, data } of Wal.follow(postgres({ connectionString: url }), {
    signal: controller.signal,
  })) {
    texts.push(Buffer.from(data).toString());
    if (lsn === log.confirmed) break;
  }
  return texts;
}

async function failOver({ primary, standby, client }: Cluster): Promise<void> {
  client.cut();
  await primary.kill();
  await standby.promote();
}

test('after the death of the primary, with the link to its standby cut first, every acknowledged entry is there', {
  skip,
}, async (t) => {
  const cluster = await startCluster(t, true);
  const { standby, client, replication } = cluster;
  const { wal, errors } = await openLog(t, cluster.url, 'standby');
  for (let each = 1; each <= 20; each++) await wal.append(`entry ${each}`, { durable: 'replicated' });
  replication.cut();
  let isAcknowledged = false;
  const waiting = wal.append('while the link is cut', { durable: 'replicated' }).finally(() => {
    isAcknowledged = true;
  });
  await wal.append('local', { durable: true });
  await failOver(cluster);
  assert.equal(isAcknowledged, false);
  const before = await remoteTexts(standby.url);
  assert.deepEqual(
    before.slice(0, 19),
    Array.from({ length: 19 }, (_, at) => `entry ${at + 1}`),
  );
  client.restore(standby.port);
  // The new primary has no standby of its own yet: nothing may be acknowledged.
  while (!errors.some(({ message }) => /synchronous_standby_names is empty/.test(message))) await sleep(20);
  assert.equal(isAcknowledged, false);
  const third = await PostgresNode.standby(t, standby, { name: 'third' });
  client.restore(standby.port);
  await standby.makeSynchronous(third);
  assert.equal(await waiting, 21);
  assert.equal(await wal.append('after', { durable: 'replicated' }), 23);
  assert.ok(errors.every(({ code }) => code === 'ERR_WAL_REPLICA'));
  assert.ok(
    errors.every(({ message }) => !/has lost entries/.test(message)),
    String(errors),
  );
});

test('the asynchronous control loses what it acknowledged, and says so', { skip }, async (t) => {
  const cluster = await startCluster(t, false);
  const { standby, client, replication } = cluster;
  const { wal, errors } = await openLog(t, cluster.url, 'storage');
  await wal.append('before', { durable: 'replicated' });
  await cluster.primary.untilCaughtUp(standby);
  replication.cut();
  for (let each = 1; each <= 5; each++) await wal.append(`lost ${each}`, { durable: 'replicated' });
  await failOver(cluster);
  client.restore(standby.port);
  await wal.append('after', { durable: 'replicated' });
  assert.ok(
    errors.some(({ message }) => /has lost entries \d+ to 6/.test(message)),
    String(errors),
  );
  assert.deepEqual(wal.replicatedLsn, 7);
});

test('a link that is frozen, as a half-open socket is, is given up at the deadline', { skip }, async (t) => {
  const cluster = await startCluster(t, true);
  const { wal } = await openLog(t, cluster.url, 'standby');
  await wal.append('a', { durable: 'replicated' });
  cluster.client.freeze();
  const waiting = wal.append('b', { durable: 'replicated' });
  while (wal.replica?.lastError === undefined) await sleep(10);
  cluster.client.restore();
  assert.equal(await waiting, 2);
});

test('a process that calls process.exit() with replicated appends pending loses none of them', {
  skip,
}, async (t) => {
  const { execFile } = await import('node:child_process');
  const { promisify } = await import('node:util');
  const { moduleForThreads } = await import('../append/producers.js');
  const cluster = await startCluster(t, true);
  const directory = join(temporaryDirectory(t), 'log');
  const adapter = postgres({ connectionString: cluster.url });
  const program = `
    import { Wal } from ${JSON.stringify(moduleForThreads())};
    const wal = await Wal.open(${JSON.stringify(directory)}, { replica: ${JSON.stringify(adapter)}, onError() {} });
    await wal.append('a', { durable: 'replicated' });
    for (let each = 0; each < 100; each++) wal.append('pending', { durable: 'replicated' }).catch(() => {});
    process.exit();`;
  const args =
    process.env.RINGWAL_TEST_KIND === 'package' ? [] : ['--import', 'tsx', '--conditions=ringwal-source'];
  await promisify(execFile)(process.execPath, [...args, '--input-type=module', '--eval', program]);
  const wal = await Wal.open(directory, { replica: adapter, onError: () => {} });
  cleanUp(t, () => wal.close().catch(() => {}));
  assert.equal(wal.lastLsn, 101);
  await wal.append('after', { durable: 'replicated' });
  const [log] = await Wal.replicatedLogs(postgres({ connectionString: cluster.primary.url }));
  assert.equal(log?.lsn, 102);
});

test('a promoted server without the tables is told, with the way out, and tried again', {
  skip,
}, async (t) => {
  const primary = await PostgresNode.primary(t);
  const { wal, errors } = await openLog(t, primary.url, 'storage');
  while (errors.length === 0) await sleep(10);
  assert.match(String(errors[0]?.message), /ringwal replica init/);
  await createTables({ connectionString: primary.url }, { timeoutMs: 10_000 });
  assert.equal(await wal.append('a', { durable: 'replicated' }), 1);
});
