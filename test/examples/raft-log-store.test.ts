/** The Raft log store of the examples: what Raft libraries expect of one, restarts, and crashes on simulated machines. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type CrashTestOptions, crashTest } from '#ringwal/testing';
import { cleanUp, temporaryDirectory } from '../cleanup.js';
import { startExample } from './example.js';

interface Entry {
  readonly index: number;
  readonly term: number;
  readonly type: number;
  readonly data: string | Buffer;
}

interface LogStore {
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly isMonotonic: boolean;
  getLog(index: number): Promise<Entry>;
  readFrom(index?: number): AsyncIterable<readonly Entry[]>;
  storeLog(entry: Entry): Promise<void>;
  storeLogs(entries: readonly Entry[]): Promise<void>;
  deleteRange(min: number, max: number): Promise<void>;
  close(): Promise<void>;
}

interface StableStore {
  readonly values: object;
  get(key: string): unknown;
  set(key: string, value: unknown): Promise<void>;
  setMany(changes: object): Promise<void>;
  close(): Promise<void>;
}

// By URL, since they have no types.
const load = (name: string) => import(new URL(`../../examples/raft-log-store/${name}`, import.meta.url).href);
const { RaftLogStore } = (await load('log-store.mjs')) as {
  RaftLogStore: { open(directory: string): Promise<LogStore> };
};
const { RaftStableStore } = (await load('stable-store.mjs')) as {
  RaftStableStore: { open(directory: string): Promise<StableStore> };
};
const { SERVER } = (await load('crash-test.mjs')) as {
  SERVER: CrashTestOptions<unknown, object, object>;
};

function entries(first: number, last: number, term = 1): Entry[] {
  return Array.from({ length: last - first + 1 }, (_, at) => ({
    index: first + at,
    term,
    type: at % 3,
    data: `entry ${first + at} of term ${term}`,
  }));
}

/** A store of entries `first` to `last`, and a way to close it and open it again. */
async function openStore(t: TestContext, first: number, last: number) {
  const directory = join(temporaryDirectory(t), 'log');
  let store = await RaftLogStore.open(directory);
  cleanUp(t, () => store.close());
  if (last > 0) await store.storeLogs(entries(first, last));
  const reopen = async () => {
    await store.close();
    store = await RaftLogStore.open(directory);
    return store;
  };
  return { store, reopen };
}

function bounds({ firstIndex, lastIndex }: LogStore): number[] {
  return [firstIndex, lastIndex];
}

async function assertHolds(store: LogStore, first: number, last: number, term = 1): Promise<void> {
  assert.deepEqual(bounds(store), [first, last]);
  for (const { data, ...expected } of entries(first, last, term)) {
    const found = await store.getLog(expected.index);
    assert.deepEqual({ ...found, data: found.data.toString() }, { ...expected, type: found.type, data });
  }
}

const code = (expected: string) => ({ name: 'RaftLogError', code: expected });

test('an empty store has first and last index 0, and no entry', async (t) => {
  const { store, reopen } = await openStore(t, 0, 0);
  for (const each of [store, await reopen()]) {
    assert.deepEqual(bounds(each), [0, 0]);
    await assert.rejects(each.getLog(0), code('NOT_FOUND'));
    await assert.rejects(each.getLog(1), code('NOT_FOUND'));
    await each.deleteRange(1, 10);
    await each.storeLogs([]);
    assert.deepEqual(bounds(each), [0, 0]);
  }
});

test('entries come back with their index, term, type and data, also after a restart', async (t) => {
  const { store, reopen } = await openStore(t, 1, 0);
  assert.ok(store.isMonotonic);
  for (const entry of entries(1, 3)) await store.storeLog(entry);
  await store.storeLogs(entries(4, 500));
  await assertHolds(store, 1, 500);
  assert.deepEqual((await store.getLog(2)).type, 1);
  await assert.rejects(store.getLog(501), code('NOT_FOUND'));
  const again = await reopen();
  await assertHolds(again, 1, 500);
  const found: number[] = [];
  for await (const batch of again.readFrom(490)) found.push(...batch.map(({ index }) => index));
  assert.deepEqual(
    found,
    entries(490, 500).map(({ index }) => index),
  );
});

test('the first index of an empty store may be any', async (t) => {
  const { store, reopen } = await openStore(t, 1000, 1010);
  await assertHolds(store, 1000, 1010);
  await assertHolds(await reopen(), 1000, 1010);
});

test('entries that do not go on after the last index are refused, and nothing of them is stored', async (t) => {
  const { store } = await openStore(t, 5, 10);
  for (const first of [1, 5, 10, 12]) {
    await assert.rejects(store.storeLogs(entries(first, first + 2, 2)), code('NOT_NEXT'));
  }
  const [one, two, three] = entries(11, 13) as [Entry, Entry, Entry];
  for (const wrong of [
    [one, three],
    [two, one],
    [one, one],
  ]) {
    await assert.rejects(store.storeLogs(wrong), code('NOT_NEXT'));
  }
  for (const index of [0, -1, 1.5]) {
    await assert.rejects(store.storeLog({ ...one, index }), code('NOT_NEXT'));
  }
  await assertHolds(store, 5, 10);
  await store.storeLogs([one, two, three]);
  assert.deepEqual(bounds(store), [5, 13]);
});

test('a range at the front is deleted exactly', async (t) => {
  const { store, reopen } = await openStore(t, 1, 100);
  await store.deleteRange(1, 40);
  await assertHolds(store, 41, 100);
  await assert.rejects(store.getLog(40), code('NOT_FOUND'));
  // Raft deletes from the beginning, whether that is there or not.
  await store.deleteRange(1, 50);
  await assertHolds(store, 51, 100);
  await store.deleteRange(1, 50);
  await assertHolds(await reopen(), 51, 100);
});

test('a range at the end is deleted, inside of what was stored at once too, and its indexes are stored again', async (t) => {
  const { store, reopen } = await openStore(t, 1, 100);
  await store.deleteRange(61, 100);
  await assertHolds(store, 1, 60);
  await assert.rejects(store.getLog(61), code('NOT_FOUND'));
  await store.storeLogs(entries(61, 70, 2));
  assert.equal((await store.getLog(61)).term, 2);
  const again = await reopen();
  assert.deepEqual(bounds(again), [1, 70]);
  assert.equal((await again.getLog(70)).term, 2);
  assert.equal((await again.getLog(60)).term, 1);
});

test('a range in the middle is refused, and nothing is deleted', async (t) => {
  const { store } = await openStore(t, 10, 20);
  await assert.rejects(store.deleteRange(12, 15), code('MIDDLE'));
  await store.deleteRange(1, 9);
  await store.deleteRange(21, 30);
  await store.deleteRange(15, 12);
  await assertHolds(store, 10, 20);
});

for (const next of [21, 1000, 3]) {
  test(`a store of which everything was deleted is empty, and goes on with index ${next}`, async (t) => {
    const { store, reopen } = await openStore(t, 10, 20);
    await store.deleteRange(1, 20);
    assert.deepEqual(bounds(store), [0, 0]);
    await assert.rejects(store.getLog(20), code('NOT_FOUND'));
    const again = await reopen();
    assert.deepEqual(bounds(again), [0, 0]);
    await again.storeLogs(entries(next, next + 4, 2));
    await assertHolds(again, next, next + 4, 2);
    await assertHolds(await reopen(), next, next + 4, 2);
  });
}

test('the hard state is what was set last, all of it or nothing, also after a restart', async (t) => {
  const directory = join(temporaryDirectory(t), 'stable');
  let store = await RaftStableStore.open(directory);
  cleanUp(t, () => store.close());
  assert.equal(store.get('term'), undefined);
  await store.setMany({ term: 7, votedFor: 'b' });
  await store.set('term', 8);
  await store.close();
  store = await RaftStableStore.open(directory);
  assert.deepEqual(store.values, { term: 8, votedFor: 'b' });
});

test('a stable store that changes for long stays small', async (t) => {
  const directory = join(temporaryDirectory(t), 'stable');
  let store = await RaftStableStore.open(directory);
  cleanUp(t, () => store.close());
  for (let term = 1; term <= 2500; term++) await store.set('term', term);
  await store.close();
  store = await RaftStableStore.open(directory);
  assert.equal(store.get('term'), 2500);
  await store.close();
  const { Wal } = await import('#ringwal');
  const report = await Wal.verify(directory);
  assert.ok(report.segments.length <= 2 && report.lastLsn - report.firstLsn <= 1000);
});

test('the stores keep what they have acknowledged and shown, whatever the power and the disk do', async () => {
  const report = await crashTest({ ...SERVER, lives: 60 });
  assert.ok(report.crashes > report.lives);
  assert.ok(report.acknowledged > report.operations / 3);
});

test('the example crash-tests the stores, and says what it did', async (t) => {
  const {
    code: exitCode,
    output,
    errors,
  } = await startExample(t, 'raft-log-store/crash-test.mjs', ['5']).ended;
  assert.deepEqual({ exitCode, errors }, { exitCode: 0, errors: '' });
  assert.match(
    output,
    /^5 lives, \d+ crashes: of \d+ operations \d+ were acknowledged,\nand none of these was lost\.\n$/,
  );
});
