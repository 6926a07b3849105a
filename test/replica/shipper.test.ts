import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeBatch } from '../../src/replica/payload.js';
import type { ReplicaProgress } from '../../src/replica/shipper.js';
import { FakeReplicaEngine } from '../../src/testing/fake-replica.js';
import { MemorySource } from './support/memory-source.js';
import { LOG_ID, TestShipper, turns, until } from './support/test-shipper.js';

function remoteTexts(engine: FakeReplicaEngine): string[] {
  const { batches = [] } = engine.log(LOG_ID) ?? {};
  return batches.flatMap((batch) => decodeBatch(batch).map(({ data }) => Buffer.from(data).toString()));
}

function filled(...texts: string[]): MemorySource {
  const source = new MemorySource();
  for (const text of texts) source.append(text);
  return source;
}

test('everything durable is shipped, and the newest entry is confirmed once nothing more comes', async (t) => {
  const engine = new FakeReplicaEngine();
  const source = filled('a', 'b');
  const writer = new TestShipper(t, engine.connect(), source);
  await writer.reaches(2);
  source.append('c', 'd');
  await writer.reaches(4);
  assert.deepEqual(remoteTexts(engine), ['a', 'b', 'c', 'd']);
  await until(() => engine.log(LOG_ID)?.confirmed === 4);
});

test('a batch ends where an atomic batch ends, even one that is larger than maxBatch', async (t) => {
  const engine = new FakeReplicaEngine({ maxBatch: 64 });
  const source = new MemorySource();
  source.append('x'.repeat(60), 'y'.repeat(60), 'z'.repeat(60));
  source.append('a');
  const writer = new TestShipper(t, engine.connect(), source);
  await writer.reaches(4);
  assert.deepEqual(
    engine.log(LOG_ID)?.batches.map(({ first, last }) => [first, last]),
    [
      [1, 3],
      [4, 4],
    ],
  );
});

test('the log of an earlier open goes on at its head', async (t) => {
  const engine = new FakeReplicaEngine();
  const source = filled('a', 'b');
  const first = new TestShipper(t, engine.connect(), source);
  await first.reaches(2);
  await first.end();
  source.append('c');
  const second = new TestShipper(t, engine.connect(), source, { known: first.progress });
  await second.reaches(3);
  assert.deepEqual(remoteTexts(engine), ['a', 'b', 'c']);
  assert.equal(second.progress.epoch, first.progress.epoch + 1);
  assert.deepEqual(second.troubles, []);
});

test('a log that does not know how far it is replicated compares, and adopts what is there', async (t) => {
  const engine = new FakeReplicaEngine();
  const source = filled('a', 'b');
  const first = new TestShipper(t, engine.connect(), source);
  await first.reaches(2);
  await first.end();
  const second = new TestShipper(t, engine.connect(), source);
  await second.reaches(2);
  source.append('c');
  await second.reaches(3);
  assert.deepEqual(remoteTexts(engine), ['a', 'b', 'c']);
});

test('a log whose first entries are gone begins the replica where it begins', async (t) => {
  const engine = new FakeReplicaEngine();
  const source = filled('a', 'b', 'c');
  source.purgeUpTo(2);
  const writer = new TestShipper(t, engine.connect(), source);
  await writer.reaches(3);
  assert.deepEqual(remoteTexts(engine), ['c']);
  assert.equal(engine.log(LOG_ID)?.floor, 3);
});

test('the predecessor of a new writer stops, and acknowledges nothing more', async (t) => {
  const engine = new FakeReplicaEngine();
  const source = filled('a');
  const zombie = new TestShipper(t, engine.connect(), source);
  await zombie.reaches(1);
  const copy = source.copy();
  const successor = new TestShipper(t, engine.connect(), copy, { known: zombie.progress });
  await until(() => successor.state === 'shipping');
  const before = zombie.announced.length;
  source.append('of the zombie');
  copy.append('of the successor');
  await Promise.all([zombie.ended, successor.reaches(2)]);
  assert.equal(zombie.announced.length, before);
  assert.equal(zombie.troubles.at(-1)?.error.code, 'ERR_WAL_FENCED');
  assert.deepEqual(remoteTexts(engine), ['a', 'of the successor']);
});

test('an append that lands after its answer was lost is adopted, not doubled', async (t) => {
  const engine = new FakeReplicaEngine();
  const source = filled('a');
  const writer = new TestShipper(t, engine.connect(), source);
  await writer.reaches(1);
  engine.faults = { unanswered: 1 };
  source.append('b');
  await until(() => writer.state === 'retrying');
  engine.faults = {};
  await writer.reaches(2);
  assert.deepEqual(remoteTexts(engine), ['a', 'b']);
});

test('a remote that is put back to yesterday is told of, and gets the entries again', async (t) => {
  const engine = new FakeReplicaEngine();
  const source = filled('a');
  const first = new TestShipper(t, engine.connect(), source);
  await first.reaches(1);
  const restore = engine.backup();
  source.append('b');
  source.append('c');
  await first.reaches(3);
  await first.end();
  restore();
  const second = new TestShipper(t, engine.connect(), source, { known: first.progress });
  await until(() => second.state === 'shipping');
  await until(() => remoteTexts(engine).length === 3);
  assert.deepEqual(remoteTexts(engine), ['a', 'b', 'c']);
  assert.match(second.troubles.map(({ error }) => error.message).join('\n'), /has lost entries 2 to 3/);
  await second.reaches(3);
});

test('a fence that was lost with the remote is raised above every epoch that was given out', async (t) => {
  const engine = new FakeReplicaEngine();
  const source = filled('a');
  const restore = engine.backup();
  let known: ReplicaProgress | undefined;
  for (let each = 0; each < 5; each++) {
    const writer: TestShipper = new TestShipper(t, engine.connect(), source, known && { known });
    await writer.reaches(1);
    await until(() => writer.state === 'shipping');
    await writer.end();
    known = writer.progress;
  }
  restore();
  const writer = new TestShipper(t, engine.connect(), source, known && { known });
  await until(() => writer.state === 'shipping');
  assert.ok(writer.progress.epoch > (known as ReplicaProgress).epoch);
  assert.match(writer.troubles.map(({ error }) => error.message).join('\n'), /lost its fence/);
});

test('a local directory that is put back to yesterday is refused', async (t) => {
  const engine = new FakeReplicaEngine();
  const source = filled('a');
  const yesterday = source.copy();
  const first = new TestShipper(t, engine.connect(), source);
  source.append('b');
  await first.reaches(2);
  await first.end();
  const second = new TestShipper(t, engine.connect(), yesterday);
  await second.ended;
  assert.equal(second.troubles.at(-1)?.error.code, 'ERR_WAL_DIVERGED');
  assert.match(String(second.troubles.at(-1)?.error.message), /older copy/);
});

test('the same LSN with other bytes is ERR_WAL_DIVERGED, and names the last common entry', async (t) => {
  const engine = new FakeReplicaEngine();
  const first = new TestShipper(t, engine.connect(), filled('a', 'b'));
  await first.reaches(2);
  await first.end();
  const other = new TestShipper(t, engine.connect(), filled('a', 'x', 'y'));
  await other.ended;
  assert.equal(other.troubles.at(-1)?.error.code, 'ERR_WAL_DIVERGED');
  assert.match(String(other.troubles.at(-1)?.error.message), /up to entry 1/);
  assert.deepEqual(remoteTexts(engine), ['a', 'b']);
});

test('entries that are missing on both sides stop replication', async (t) => {
  const engine = new FakeReplicaEngine();
  const source = filled('a');
  const first = new TestShipper(t, engine.connect(), source);
  await first.reaches(1);
  await first.end();
  for (const text of ['b', 'c', 'd']) source.append(text);
  source.purgeUpTo(3);
  const second = new TestShipper(t, engine.connect(), source, { known: first.progress });
  await second.ended;
  assert.equal(second.troubles.at(-1)?.error.code, 'ERR_WAL_PURGED');
});

test('a cut of the replica, between batches and inside one, lets other entries follow', async (t) => {
  const engine = new FakeReplicaEngine({ maxBatch: 1000 });
  const source = new MemorySource();
  for (const text of ['a', 'b', 'c', 'd']) source.append(text);
  const writer = new TestShipper(t, engine.connect(), source);
  await writer.reaches(4);
  for (const [lsn, text] of [
    [3, 'x'],
    [1, 'y'],
  ] as const) {
    await writer.shipper.cutAfter(lsn, false);
    assert.equal(engine.log(LOG_ID)?.lsn, lsn);
    source.cutAfter(lsn);
    source.append(text);
    await turns(5);
    assert.equal(engine.log(LOG_ID)?.lsn, lsn, 'nothing is shipped before resume()');
    writer.shipper.resume();
    await until(() => engine.log(LOG_ID)?.lsn === lsn + 1);
  }
  assert.deepEqual(remoteTexts(engine), ['a', 'y']);
});

test('a cut whose answer is lost is found to have been made', async (t) => {
  const engine = new FakeReplicaEngine();
  const source = filled('a', 'b', 'c');
  const writer = new TestShipper(t, engine.connect(), source);
  await writer.reaches(3);
  await until(() => engine.log(LOG_ID)?.confirmed === 3);
  const { batches, cut } = engine;
  // The cut is planned by what is read, and comes next.
  engine.batches = function (this: FakeReplicaEngine, ...args) {
    this.faults = { unanswered: 1 };
    return batches.apply(this, args);
  };
  engine.cut = function (this: FakeReplicaEngine, ...args) {
    this.faults = {};
    return cut.apply(this, args);
  };
  await writer.shipper.cutAfter(1, false);
  assert.deepEqual(remoteTexts(engine), ['a']);
  source.cutAfter(1);
  writer.shipper.resume();
});

test('trim follows what the user has given up', async (t) => {
  const engine = new FakeReplicaEngine({ maxBatch: 10 });
  const source = filled('a', 'b', 'c');
  const writer = new TestShipper(t, engine.connect(), source);
  await writer.reaches(3);
  source.floor = 3;
  source.append('d');
  await until(() => engine.log(LOG_ID)?.floor === 3);
  assert.deepEqual(remoteTexts(engine), ['c', 'd']);
});

test('a replica that contradicts itself is not believed', async (t) => {
  const engine = new FakeReplicaEngine();
  const source = filled('a', 'b');
  const first = new TestShipper(t, engine.connect(), source);
  await first.reaches(2);
  await first.end();
  const log = engine.log(LOG_ID) as { chain: Uint8Array };
  log.chain = new Uint8Array(32).fill(7);
  const second = new TestShipper(t, engine.connect(), source);
  await until(() => second.troubles.length > 0);
  assert.match(String(second.troubles[0]?.error.message), /contradicts itself/);
  assert.deepEqual(second.announced, []);
});
