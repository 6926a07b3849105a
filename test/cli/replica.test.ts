import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { Wal } from '#ringwal';
import { postgres } from '#ringwal/postgres';
import { cleanUp, temporaryDirectory } from '../cleanup.js';
import { postgresBinaries, WITHOUT_POSTGRES } from '../replica/support/postgres-binaries.js';
import { PostgresNode } from '../replica/support/postgres-node.js';
import { ringwal, ringwalOk } from './support.js';

const skip = postgresBinaries() === undefined ? WITHOUT_POSTGRES : false;

test('init, replica, restore and takeover, from the environment, without the password', {
  skip,
}, async (t) => {
  const primary = await PostgresNode.primary(t);
  const standby = await PostgresNode.standby(t, primary);
  await primary.makeSynchronous(standby);
  const env = { RINGWAL_REPLICA: primary.url };
  const [directory, copy, other] = ['log', 'copy', 'other'].map((name) =>
    join(temporaryDirectory(t), name),
  ) as [string, string, string];
  assert.match(
    await ringwalOk(t, ['replica', 'init'], { env }),
    /ringwal_log, ringwal_batch and ringwal_cut are there/,
  );
  assert.deepEqual(JSON.parse(await ringwalOk(t, ['replica', 'init', '--json'], { env })), { created: true });

  const wal = await Wal.open(directory, { replica: postgres({ connectionString: primary.url }) });
  cleanUp(t, () => wal.close());
  for (const text of ['a', 'b', 'c']) await wal.append(text, { durable: 'replicated' });
  await wal.close();

  const text = await ringwalOk(t, ['replica', directory], { env });
  assert.match(text, /replicated up to entry 3, under epoch 1/);
  assert.match(text, /belongs to the writer of this directory/);
  assert.doesNotMatch(text, /wonderland/);
  const alone = JSON.parse(await ringwalOk(t, ['replica', directory, '--json']));
  assert.deepEqual([alone.epoch, alone.replicatedLsn, alone.lagEntries, alone.remote], [1, 3, 0, null]);

  const taken = JSON.parse(await ringwalOk(t, ['takeover', other, '--json'], { env }));
  assert.deepEqual([taken.firstLsn, taken.lastLsn], [1, 3]);
  assert.ok(taken.epoch > 1);
  assert.match(await ringwalOk(t, ['replica', directory], { env }), /another writer has taken over/);

  assert.match(await ringwalOk(t, ['restore', copy, '--replica', primary.url]), /Restored entries 1 to 3/);
  assert.equal(await ringwalOk(t, ['cat', copy]), 'a\nb\nc\n');
});

test('a replica that is not named, or not there, is told', async (t) => {
  const directory = join(temporaryDirectory(t), 'log');
  const wal = await Wal.open(directory);
  await wal.close();
  assert.match(await ringwalOk(t, ['replica', directory]), /never replicated/);
  const { code, stderr } = await ringwal(t, ['takeover', directory]);
  assert.equal(code, 2);
  assert.match(stderr, /--replica, or in the environment variable RINGWAL_REPLICA/);
  const wrong = await ringwal(t, ['takeover', directory, '--replica', 'no-such-module.mjs']);
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /--replica takes/);
});
