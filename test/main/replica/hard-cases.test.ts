import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Wal, type WalError, type WalOptions } from '#ringwal';
import { createTables, postgres } from '#ringwal/postgres';
import { cleanUp, temporaryDirectory } from '../../cleanup.js';
import { postgresBinaries, WITHOUT_POSTGRES } from '../../replica/support/postgres-binaries.js';
import { PostgresNode } from '../../replica/support/postgres-node.js';
import { moduleForThreads } from '../append/producers.js';
import { HostedEngine } from './hosted-engine.js';

type Test = Parameters<typeof cleanUp>[0];

const skip = postgresBinaries() === undefined ? WITHOUT_POSTGRES : false;
const REPLICATED = { durable: 'replicated' } as const;

async function openLog(
  t: Test,
  directory: string,
  options: WalOptions,
): Promise<{ wal: Wal; errors: WalError[] }> {
  const errors: WalError[] = [];
  const wal = await Wal.open(directory, {
    ...(options.replica === undefined ? {} : { replicaTimeout: 1000 }),
    onError: (error) => errors.push(error),
    ...options,
  });
  cleanUp(t, () => wal.close().catch(() => {}));
  return { wal, errors };
}

async function texts(wal: Wal): Promise<string[]> {
  const found: string[] = [];
  for await (const { data } of wal.entries()) found.push(Buffer.from(data).toString());
  return found;
}

test('a process that dies after the replica is cut, and before its own log is, ships the entries again', async (t) => {
  const remote = new HostedEngine(t);
  const directory = join(temporaryDirectory(t), 'log');
  const { wal } = await openLog(t, directory, { replica: remote.adapter });
  for (const text of ['a', 'b', 'c']) await wal.append(text, REPLICATED);
  await wal.close();
  const [log] = remote.engine.logs();
  const chain = remote.engine.log(String(log?.logId))?.batches[0]?.chain as Uint8Array;
  const writer = remote.engine.connect();
  const { epoch } = await writer.acquire(String(log?.logId), 'the process that died');
  await writer.cut(epoch, { lsn: 1, chain, empties: false, boundary: undefined });
  assert.deepEqual(remote.texts, ['a']);
  const { wal: again } = await openLog(t, directory, { replica: remote.adapter });
  await again.append('d', REPLICATED);
  assert.deepEqual(remote.texts, ['a', 'b', 'c', 'd']);
  assert.deepEqual(await texts(again), ['a', 'b', 'c', 'd']);
});

test('a process that dies after both are cut, and before that is recorded, goes on after the cut', async (t) => {
  const remote = new HostedEngine(t);
  const directory = join(temporaryDirectory(t), 'log');
  const { wal } = await openLog(t, directory, { replica: remote.adapter });
  for (const text of ['a', 'b', 'c']) await wal.append(text, REPLICATED);
  await wal.truncateAfter(2);
  await wal.close();
  // Without its replica, a log that is cut forgets how far it was replicated.
  const { wal: alone } = await openLog(t, directory, {});
  await alone.append('x', { durable: true });
  await alone.truncateAfter(2);
  await alone.close();
  const { wal: again, errors } = await openLog(t, directory, { replica: remote.adapter });
  await again.append('d', REPLICATED);
  assert.deepEqual(remote.texts, ['a', 'b', 'd']);
  assert.deepEqual(errors, []);
});

test('a restore begins again if its first entries are removed from the replica meanwhile', async (t) => {
  const remote = new HostedEngine(t);
  const directory = temporaryDirectory(t);
  const { wal } = await openLog(t, join(directory, 'log'), { replica: remote.adapter });
  for (const text of ['a', 'b', 'c']) await wal.append(text, REPLICATED);
  while (remote.engine.logs()[0]?.confirmed !== 3) await sleep(5);
  const { batches } = remote.engine;
  let reads = 0;
  remote.engine.batches = function (logId, from) {
    reads += 1;
    const log = this.log(logId);
    if (reads === 1 && log !== undefined) this.trim(logId, log.epoch, log.writer, 3);
    return batches.call(this, logId, from);
  };
  const report = await Wal.restore(join(directory, 'copy'), { replica: remote.adapter });
  assert.equal(reads, 2);
  assert.deepEqual([report.firstLsn, report.lastLsn], [3, 3]);
});

test('a log with entries that only its replica knows to be gone is opened by truncateBefore on both sides', async (t) => {
  const remote = new HostedEngine(t);
  const { wal } = await openLog(t, join(temporaryDirectory(t), 'log'), { replica: remote.adapter });
  for (const text of ['a', 'b', 'c', 'd']) await wal.append(text, REPLICATED);
  await wal.truncateBefore(3);
  await wal.append('e', REPLICATED);
  while (remote.engine.logs()[0]?.floor !== 3) await sleep(5);
  assert.deepEqual(remote.texts, ['c', 'd', 'e']);
});

test('a writer with the documented rights only goes on when its password is rotated', { skip }, async (t) => {
  const primary = await PostgresNode.primary(t);
  await createTables({ connectionString: primary.url }, { timeoutMs: 10_000 });
  await primary.query("CREATE ROLE writer LOGIN PASSWORD 'one'");
  await primary.query(
    'GRANT SELECT, INSERT, UPDATE, DELETE ON ringwal_log, ringwal_batch, ringwal_cut TO writer',
  );
  const directory = temporaryDirectory(t);
  const password = join(directory, 'password');
  const module = join(directory, 'credentials.mjs');
  writeFileSync(password, 'one');
  writeFileSync(
    module,
    `import { readFileSync } from 'node:fs';
    export default async () => ({ host: '127.0.0.1', port: ${primary.port}, user: 'writer', database: 'postgres',
      password: readFileSync(${JSON.stringify(password)}, 'utf8') });`,
  );
  const replica = postgres({ module, durability: 'storage' });
  const { wal, errors } = await openLog(t, join(directory, 'log'), { replica });
  await wal.append('a', REPLICATED);
  await wal.append('b', REPLICATED);
  await wal.truncateAfter(1);
  await primary.query("ALTER ROLE writer PASSWORD 'two'");
  await primary.query(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ringwal'",
  );
  const append = wal.append('c', REPLICATED);
  while (!errors.some(({ message }) => message.includes('28P01'))) await sleep(10);
  writeFileSync(password, 'two');
  assert.equal(await append, 2);
  await wal.truncateBefore(2);
  for (const { message } of errors) assert.doesNotMatch(message, /\bone\b|\btwo\b/);
});

test('a process that was frozen finds itself fenced, and has acknowledged nothing since', {
  skip,
}, async (t) => {
  const primary = await PostgresNode.primary(t);
  await createTables({ connectionString: primary.url }, { timeoutMs: 10_000 });
  const replica = postgres({ connectionString: primary.url, durability: 'storage' });
  const directory = temporaryDirectory(t);
  const program = `
    import { Wal } from ${JSON.stringify(moduleForThreads())};
    const wal = await Wal.open(${JSON.stringify(join(directory, 'zombie'))}, { replica: ${JSON.stringify(replica)}, onError() {} });
    for (let each = 1; ; each++) {
      try { console.log('acknowledged ' + await wal.append('zombie ' + each, { durable: 'replicated' })); }
      catch (error) { console.log(error.code); process.exit(); }
    }`;
  const args =
    process.env.RINGWAL_TEST_KIND === 'package' ? [] : ['--import', 'tsx', '--conditions=ringwal-source'];
  const zombie = spawn(process.execPath, [...args, '--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  cleanUp(t, () => zombie.kill('SIGKILL'));
  let output = '';
  zombie.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  while (output.split('\n').length < 20) await sleep(5);
  zombie.kill('SIGSTOP');
  const successor = await Wal.takeOver(join(directory, 'successor'), { replica, onError: () => {} });
  cleanUp(t, () => successor.close().catch(() => {}));
  const taken = successor.lastLsn;
  for (let each = 1; each <= 10; each++) await successor.append(`successor ${each}`, REPLICATED);
  zombie.kill('SIGCONT');
  await once(zombie, 'close');
  const lines = output.trim().split('\n');
  assert.equal(lines.at(-1), 'ERR_WAL_FENCED');
  const last = Number(/\d+/.exec(lines.at(-2) ?? '')?.[0]);
  assert.ok(last <= taken, `entry ${last} was acknowledged, and the log was taken over at entry ${taken}`);
  assert.equal((await texts(successor)).length, taken + 10);
});
