import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { appendFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Wal, type WalDiagnostics, WalError } from '#ringwal';
import { cleanUp } from '../../cleanup.js';
import {
  Faults,
  fill,
  freshLog,
  makeLog,
  openLog,
  range,
  SMALL_RING,
  segmentNames,
  temporaryLog,
  turn,
  until,
  walError,
} from '../support.js';

test('each write call of a group is in the histogram of writes, each sync in that of syncs', async (t) => {
  const wal = await freshLog(t);
  for (let i = 0; i < 5; i++) await wal.append('x', { durable: true });
  await wal.appendBatch(['a', 'b', 'c'], { durable: true });
  await wal.append(fill(9 * 2 ** 20, 1), { durable: true });
  const stats = wal.stats();
  assert.ok(stats.groups > 0);
  assert.equal(stats.writeMicros.count, stats.groups);
  assert.equal(stats.groupEntries.count, stats.groups);
  assert.equal(stats.groupEntries.sum, 9);
  assert.equal(stats.groupEntries.max, 3);
  assert.equal(stats.syncMicros.count, stats.syncs);
  for (const histogram of [stats.writeMicros, stats.syncMicros]) {
    const { p50, p90, p99, p999, max } = histogram;
    assert.ok(histogram.sum > 0);
    assert.deepEqual(
      [p50, p90, p99, p999, max].toSorted((a, b) => a - b),
      [p50, p90, p99, p999, max],
    );
  }
});

test('a sync that is held up shows in the latency of syncs, a write in that of writes', async (t) => {
  const faults = new Faults(t);
  // The figures count from here on: the longest call may be one that nobody held up.
  const startedMs = performance.now();
  const wal = await openLog(t, temporaryLog(t), { workerUrl: faults.workerUrl });
  for (const [order, name] of [
    ['hold-sync', 'syncMicros'],
    ['hold-write', 'writeMicros'],
  ] as const) {
    faults.give(order);
    const append = wal.append('x', { durable: true });
    await until(() => faults.isMet(order));
    const metMs = performance.now();
    // What this thread sees pass while the call is held lies within what the other one measures.
    await turn();
    const heldMs = performance.now() - metMs;
    faults.recall(order);
    await append;
    const { max } = wal.stats()[name];
    assert.ok(max >= Math.floor(heldMs * 1000), `${max} µs, held for ${heldMs} ms`);
    assert.ok(max <= (performance.now() - startedMs) * 1000 * (9 / 8) + 1);
  }
});

test('figures can be sent to another thread and printed as JSON', async (t) => {
  const wal = await freshLog(t);
  await wal.append('x', { durable: true });
  const stats = wal.stats();
  assert.deepEqual(structuredClone(stats), stats);
  // JSON has no `undefined`.
  const absent = { failure: null, archive: null, replica: null };
  assert.deepEqual(JSON.parse(JSON.stringify({ ...stats, ...absent })), { ...stats, ...absent });
});

test('segments and their bytes are those of the files, once the log is closed', async (t) => {
  const wal = await freshLog(t, { maxFileSize: 4096 });
  for (let i = 0; i < 10; i++) await wal.append(fill(1000, i), { durable: true });
  const { segments, segmentBytes, rotations, frameBytes } = wal.stats();
  await wal.close();
  const names = segmentNames(wal.directory);
  assert.equal(segments, names.length);
  assert.equal(rotations, names.length - 1);
  assert.equal(segmentBytes, frameBytes);
  assert.equal(
    segmentBytes,
    names.reduce((sum, name) => sum + statSync(join(wal.directory, name)).size, 0),
  );
});

test('what found no room is counted: refused, queued, waited for', async (t) => {
  const faults = new Faults(t);
  const wal = await openLog(t, temporaryLog(t), { workerUrl: faults.workerUrl, ringSize: SMALL_RING });
  faults.give('hold-write');
  while (wal.tryAppend(fill(10_000, 1)));
  const queued = [wal.append(fill(10_000, 2)), wal.appendBatch([fill(10_000, 3), fill(10_000, 4)])];
  const ready = wal.ready(10_000);
  const { refused, queued: queuedAppends, waits } = wal.stats();
  assert.deepEqual([refused, queuedAppends, waits], [1, 2, 1]);
  faults.recall('hold-write');
  await Promise.all([...queued, ready]);
});

test('lines that a log stream drops are counted', async (t) => {
  const faults = new Faults(t);
  const wal = await openLog(t, temporaryLog(t), { workerUrl: faults.workerUrl, ringSize: SMALL_RING });
  const stream = wal.createLogStream({ onFull: 'drop' });
  faults.give('hold-write');
  while (stream.write(`${'x'.repeat(10_000)}\n`));
  stream.write('one more\n');
  assert.ok(stream.dropped > 0);
  assert.equal(wal.stats().droppedLines, stream.dropped);
  faults.recall('hold-write');
});

test('calls that were interrupted and made again are counted', async (t) => {
  const faults = new Faults(t);
  const wal = await openLog(t, temporaryLog(t), { workerUrl: faults.workerUrl });
  assert.equal(wal.stats().retries, 0);
  faults.give('fail-write', 'EINTR');
  const append = wal.append('x');
  await until(() => faults.isMet('fail-write'));
  faults.recall('fail-write');
  await append;
  await until(() => wal.stats().retries > 0);
});

test('what recovery cut is among the figures', async (t) => {
  const directory = temporaryLog(t);
  await makeLog(directory, ['a', 'b']);
  appendFileSync(join(directory, 'wal-0'), Buffer.alloc(7, 1));
  const wal = await openLog(t, directory);
  const { recovered } = wal.stats();
  assert.equal(recovered.cutBytes, 7);
  assert.equal(recovered.lostLsns, 0);
  assert.equal(recovered.durationMs, wal.recovery.durationMs);
});

test('the code of the failure that ended a log is among the figures', async (t) => {
  const faults = new Faults(t);
  const wal = await openLog(t, temporaryLog(t), { workerUrl: faults.workerUrl });
  assert.equal(wal.stats().failure, undefined);
  faults.give('fail-sync', 'EIO');
  await assert.rejects(wal.append('x', { durable: true }));
  faults.recall('fail-sync');
  assert.equal(wal.stats().failure, 'ERR_WAL_SYNC_FAILED');
  await assert.rejects(wal.close());
});

test('channels tell of opening, rotating and syncing, with the directory', async (t) => {
  const opened = listen(t, 'open');
  const rotated = listen(t, 'rotate');
  const synced = listen(t, 'sync');
  const recovered = listen(t, 'recover');
  const wal = await freshLog(t, { maxFileSize: 4096 });
  const { directory } = wal;
  assert.deepEqual(opened, [{ directory, recovery: wal.recovery }]);
  await wal.append(fill(3000, 1), { durable: true });
  await wal.append(fill(3000, 2), { durable: true });
  await until(() => rotated.length === 1 && synced.at(-1)?.durableLsn === 2);
  assert.equal(rotated[0]?.directory, directory);
  assert.equal(rotated[0]?.path, join(directory, 'wal-1'));
  assert.equal(rotated[0]?.firstLsn, 2);
  assert.equal(rotated[0]?.sealedBytes, wal.segments()[0]?.bytes);
  for (const { directory: of, durationMs } of synced) {
    assert.equal(of, directory);
    assert.ok(durationMs >= 0);
  }
  assert.deepEqual(recovered, []);
});

test('a torn tail that was cut is told by ringwal:recover', async (t) => {
  const recovered = listen(t, 'recover');
  const directory = temporaryLog(t);
  await makeLog(directory, ['a']);
  appendFileSync(join(directory, 'wal-0'), Buffer.alloc(7, 1));
  const wal = await openLog(t, directory);
  assert.deepEqual(recovered, [{ directory, recovery: wal.recovery }]);
});

test('ringwal:error tells what refused a log, what ended it, and what onError hears of', async (t) => {
  const errors = listen(t, 'error');
  const file = join(temporaryLog(t));
  await makeLog(file, ['a']);
  const refused = join(file, readdirSync(file).find((name) => name === 'wal-0') as string);
  await assert.rejects(Wal.open(refused), walError('ERR_WAL_IO'));
  assert.deepEqual(
    errors.map(({ directory, error }) => [directory, error.code]),
    [[refused, 'ERR_WAL_IO']],
  );

  const faults = new Faults(t);
  const wal = await openLog(t, temporaryLog(t), { workerUrl: faults.workerUrl, onError: () => {} });
  faults.give('fail-write', 'ENOSPC');
  wal.tryAppend('lost');
  await until(() => errors.length === 2);
  faults.recall('fail-write');
  assert.match(errors[1]?.error.message ?? '', /1 entry without a promise/);
  faults.give('fail-sync', 'EIO');
  await assert.rejects(wal.append('x', { durable: true }));
  faults.recall('fail-sync');
  assert.equal(errors.length, 3);
  assert.ok(errors[2]?.error instanceof WalError);
  assert.equal(errors[2]?.error.code, 'ERR_WAL_SYNC_FAILED');
  assert.equal(errors[2]?.directory, wal.directory);
  await assert.rejects(wal.close());
});

test('who subscribes to syncs later hears of them, and who leaves no longer', async (t) => {
  const wal = await freshLog(t);
  await wal.append('a', { durable: true });
  const synced: WalDiagnostics['sync'][] = [];
  const listener = (message: unknown) => synced.push(message as WalDiagnostics['sync']);
  subscribe('ringwal:sync', listener);
  cleanUp(t, () => unsubscribe('ringwal:sync', listener));
  wal.stats();
  for (const i of range(2, 3)) await wal.append(String(i), { durable: true });
  await until(() => synced.at(-1)?.durableLsn === 3);
  unsubscribe('ringwal:sync', listener);
  const heard = synced.length;
  await wal.append('d', { durable: true });
  await wal.sync();
  assert.equal(synced.length, heard);
});

/** What a channel tells from here on. */
function listen<Name extends keyof WalDiagnostics>(t: TestContext, name: Name): WalDiagnostics[Name][] {
  const told: WalDiagnostics[Name][] = [];
  const listener = (message: unknown) => told.push(message as WalDiagnostics[Name]);
  subscribe(`ringwal:${name}`, listener);
  cleanUp(t, () => unsubscribe(`ringwal:${name}`, listener));
  return told;
}
