import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connect, createTables } from '../../src/postgres.js';
import { NO_CHAIN, nextChain } from '../../src/replica/chain.js';
import { encodeShipped } from '../../src/replica/payload.js';
import type { Replica, ReplicaBatch, ReplicaHead } from '../../src/replica/replica.js';
import { replicaConformance } from '../../src/testing/replica-conformance.js';
import { postgresBinaries, WITHOUT_POSTGRES } from './support/postgres-binaries.js';
import { PostgresNode } from './support/postgres-node.js';

const skip = postgresBinaries() === undefined ? WITHOUT_POSTGRES : false;
const TIMEOUT_MS = 10_000;
const never = new AbortController().signal;

let primary: PostgresNode;
let standby: PostgresNode;

const undos: (() => unknown)[] = [];
/** What a hook sets up for all tests of the file. */
const file = { after: (undo: () => unknown) => void undos.push(undo) };

if (skip === false) {
  after(async () => {
    for (const undo of undos) await undo();
  });
  before(async () => {
    primary = await PostgresNode.primary(file);
    await createTables({ connectionString: primary.url }, { timeoutMs: TIMEOUT_MS });
    standby = await PostgresNode.standby(file, primary);
    await primary.makeSynchronous(standby);
  });
}

function connectTo(node: PostgresNode, options: object = {}, timeoutMs = TIMEOUT_MS): Replica {
  return connect({ connectionString: node.url, ...options }, { timeoutMs });
}

for (const { title, run } of replicaConformance({ connect: () => connectTo(primary) }))
  test(`PostgreSQL: ${title}`, { skip }, run);

let logs = 0;

/** A writer of a log of its own, with one batch of entry 1 to append. */
async function newWriter(
  replica = connectTo(primary),
): Promise<{ replica: Replica; head: ReplicaHead; batch: ReplicaBatch }> {
  logs += 1;
  const head = await replica.acquire(logs.toString(16).padStart(16, 'f'), `writer ${logs}`);
  const data = encodeShipped({ lsn: 1, data: Buffer.from('a'), batchRemaining: 0, skipped: 0 });
  const chain = nextChain(NO_CHAIN, data);
  return { replica, head, batch: { epoch: head.epoch, first: 1, last: 1, prev: NO_CHAIN, chain, data } };
}

/** Waits until a commit waits for the standby. */
async function untilWaiting(): Promise<number> {
  for (;;) {
    const [row] = await primary.query(
      `SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name = 'ringwal'`,
    );
    if (row !== undefined) return Number(row.pid);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

for (const [what, action] of [
  ['cancelled', 'pg_cancel_backend'],
  ['terminated', 'pg_terminate_backend'],
] as const) {
  test(`a wait for the standby that is ${what} is no acknowledgement`, { skip }, async () => {
    const { replica, head, batch } = await newWriter();
    standby.signalAll('SIGSTOP');
    try {
      const append = replica.append(batch, never);
      append.catch(() => {});
      await primary.query(`SELECT ${action}(${await untilWaiting()})`);
      await assert.rejects(append, { code: 'ERR_WAL_REPLICA' });
    } finally {
      standby.signalAll('SIGCONT');
    }
    // It had landed, and is durable by now.
    assert.equal((await replica.settle(head.epoch)).lsn, 1);
    await replica.close();
  });
}

test('a wait that ends because the standbys were taken off the list is no acknowledgement', {
  skip,
}, async () => {
  const { replica, head, batch } = await newWriter();
  standby.signalAll('SIGSTOP');
  try {
    const append = replica.append(batch, never);
    append.catch(() => {});
    await untilWaiting();
    await primary.set({ synchronous_standby_names: '' });
    await assert.rejects(append, /synchronous_standby_names is empty|loaded its settings anew/);
    await assert.rejects(replica.settle(head.epoch), /synchronous_standby_names is empty/);
  } finally {
    standby.signalAll('SIGCONT');
    await primary.makeSynchronous(standby);
  }
  assert.equal((await replica.settle(head.epoch)).lsn, 1);
  await replica.close();
});

test('a list that was emptied and filled again during a wait is noticed', { skip }, async () => {
  const { replica, head, batch } = await newWriter();
  standby.signalAll('SIGSTOP');
  try {
    const append = replica.append(batch, never);
    append.catch(() => {});
    await untilWaiting();
    await primary.set({ synchronous_standby_names: '' });
    await primary.set({ synchronous_standby_names: standby.name });
    await assert.rejects(append, { code: 'ERR_WAL_REPLICA' });
  } finally {
    standby.signalAll('SIGCONT');
    await primary.makeSynchronous(standby);
  }
  assert.equal((await replica.settle(head.epoch)).lsn, 1);
  await replica.close();
});

test('a server that does not answer fails at the deadline, and the next call gets a new connection', {
  skip,
}, async () => {
  const { replica, head, batch } = await newWriter(connectTo(primary, {}, 500));
  standby.signalAll('SIGSTOP');
  try {
    await assert.rejects(replica.append(batch, never), /no answer within 500 ms/);
  } finally {
    standby.signalAll('SIGCONT');
  }
  await primary.makeSynchronous(standby);
  assert.equal((await replica.settle(head.epoch)).lsn, 1);
  await replica.close();
});

test('an append to a server without a synchronous standby fails, unless its storage is attested', {
  skip,
}, async () => {
  await primary.set({ synchronous_standby_names: '' });
  try {
    await assert.rejects(newWriter(), /synchronous_standby_names is empty/);
    const { replica, batch } = await newWriter(connectTo(primary, { durability: 'storage' }));
    await replica.append(batch, never);
    await replica.close();
  } finally {
    await primary.makeSynchronous(standby);
  }
});

test('a standby is read only, and says so', { skip }, async () => {
  await assert.rejects(newWriter(connectTo(standby)), /read only/);
});

test('a missing table is told with the way out', { skip }, async () => {
  const replica = connect(
    { connectionString: primary.url.replace('/postgres', '/template1') },
    { timeoutMs: TIMEOUT_MS },
  );
  await assert.rejects(newWriter(replica), /ringwal replica init/);
});

test('a wrong password fails without showing it', { skip }, async () => {
  const replica = connect(
    { connectionString: primary.url.replace('wonderland', 'looking-glass') },
    { timeoutMs: TIMEOUT_MS },
  );
  await assert.rejects(newWriter(replica), (error: Error) => {
    assert.match(error.message, /28P01/);
    assert.doesNotMatch(JSON.stringify(error, Object.getOwnPropertyNames(error)), /looking-glass/);
    return true;
  });
});
