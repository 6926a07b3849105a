import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OperationKind } from '../../src/files/simulation/simulated-disk.js';
import { MAX_LSN } from '../../src/format/frame.js';
import type { LogFailure } from '../../src/worker/errors/failure.js';
import { entries, LogBuilder } from '../format/log-builder.js';
import { Level } from './support/lane-client.js';
import { DIRECTORY, newDisk, PARKED, TestLog } from './support/test-log.js';

for (const failedSync of ['ext4', 'xfs', 'btrfs'] as const) {
  test(`a failed fdatasync (${failedSync}) ends the log and acknowledges nothing`, () => {
    const log = new TestLog();
    appendTwo(log);
    log.disk.failNext('datasync', 'EIO', { path: 'wal-0' });
    log.finishSync();
    assertEnded(log, 'ERR_WAL_SYNC_FAILED');
  });
}

test('a failed sync of the directory ends the log and acknowledges nothing', () => {
  const log = new TestLog();
  appendTwo(log);
  log.disk.failNext('syncDirectory', 'EIO');
  log.finishSync();
  assertEnded(log, 'ERR_WAL_SYNC_FAILED');
});

test('a directory that is gone when it is to be synced ends the log, and is no failed sync', () => {
  const log = new TestLog();
  appendTwo(log);
  log.disk.failNext('syncDirectory', 'ENOENT');
  log.finishSync();
  assertEnded(log, 'ERR_WAL_IO');
  const { message, cause } = log.lane.all('failed')[0]?.failure ?? assert.fail();
  assert.match(message, /it was removed or renamed/);
  assert.equal(cause?.code, 'ENOENT');
});

test('a sync that fails for lack of room ends the log like any other', () => {
  const log = new TestLog();
  appendTwo(log);
  log.disk.failNext('datasync', 'ENOSPC', { path: 'wal-0' });
  log.finishSync();
  assertEnded(log, 'ERR_WAL_SYNC_FAILED');
});

test('a failed sync of a lone append, made by the writer itself, ends the log', () => {
  const log = new TestLog();
  log.lane.append('first', Level.durable);
  log.run();
  log.finishSync();
  log.lane.hear();
  log.disk.failNext('datasync', 'EIO', { path: 'wal-0' });
  log.lane.append('second', Level.durable);
  log.run();
  assert.deepEqual([...log.lane.acknowledged('durable').keys()], [1]);
  assert.equal(log.lane.all('failed')[0]?.failure.code, 'ERR_WAL_SYNC_FAILED');
});

for (const code of ['EIO', 'EFBIG', 'EROFS']) {
  test(`${code} from a write ends the log`, () => {
    const log = new TestLog();
    log.disk.failNext('write', code, { path: 'wal-0' });
    appendTwo(log);
    assert.deepEqual([...log.lane.acknowledged('written')], []);
    assertEnded(log, 'ERR_WAL_IO');
    assert.equal(log.lane.all('failed')[0]?.failure.cause?.code, code);
  });
}

const APPENDS: Readonly<Record<string, (log: TestLog) => unknown>> = {
  'an append': (log) => log.lane.append('beyond', Level.durable),
  'a batch': (log) => log.lane.appendBatch(['beyond', 'and more'], Level.durable),
  'a large entry': (log) => log.lane.append(new Uint8Array(1_000_000), Level.durable),
};

for (const [what, append] of Object.entries(APPENDS)) {
  test(`behind the largest LSN ${what} ends the log, and nothing is written that could not be read`, () => {
    const disk = newDisk();
    const builder = new LogBuilder({ firstLsn: MAX_LSN - 1 }).group(entries(1), 0);
    disk.plant(`${DIRECTORY}/wal-0`, builder.build()[0] as Uint8Array);
    const log = new TestLog({ disk });
    log.syncer.isPrompt = true;
    const last = log.lane.append('the last one', Level.durable);
    log.run();
    assert.equal(log.lane.acknowledged('durable').get(last), MAX_LSN);
    log.lane.hear();
    const { length } = disk.contents(`${DIRECTORY}/wal-0`);
    append(log);
    log.run();
    const { failure } = log.lane.all('failed')[0] ?? assert.fail();
    assert.deepEqual([failure.code, failure.lsn], ['ERR_WAL_UNSUPPORTED', MAX_LSN]);
    log.close();
    assert.equal(disk.contents(`${DIRECTORY}/wal-0`).length, length);
    const { report } = new TestLog({ disk }).recovered;
    assert.deepEqual([report.verdict, report.lastLsn], ['clean', MAX_LSN]);
  });
}

test('short writes, EINTR and EAGAIN are carried on', () => {
  const log = new TestLog();
  const { disk } = log;
  for (const fault of [{ bytes: 1 }, { code: 'EINTR' }, { code: 'EAGAIN', bytes: 0 }, { bytes: 7 }]) {
    disk.failNext('write', fault, { path: 'wal-0' });
  }
  log.lane.append('whole', Level.durable);
  log.run();
  log.finishSync();
  assert.deepEqual(log.texts, ['whole']);
  log.close();
});

test('an append that waits in the ring while the log ends is never written', () => {
  const log = new TestLog();
  appendTwo(log);
  log.lane.append('too late');
  log.disk.failNext('datasync', 'EIO', { path: 'wal-0' });
  log.finishSync();
  log.lane.append('later still');
  log.run();
  assert.deepEqual(log.texts, ['one', 'two']);
  log.close();
});

test('a blocked flush wakes up when the sync under way fails', () => {
  const log = new TestLog();
  appendTwo(log);
  const ticket = log.lane.requestFlush();
  log.step();
  log.disk.failNext('datasync', 'EIO', { path: 'wal-0' });
  log.finishSync();
  assert.ok(log.lane.isFlushed(ticket));
  assert.equal(log.lane.all('failed').length, 1);
  log.close();
});

test('a flush that is asked of a log that has ended wakes up at once', () => {
  const log = endedLog();
  const ticket = log.lane.requestFlush();
  log.run();
  assert.ok(log.lane.isFlushed(ticket));
  log.close();
});

test('a sync that waits when a sync fails is rejected', () => {
  const log = new TestLog();
  appendTwo(log);
  const id = log.lane.sync();
  log.step();
  log.disk.failNext('datasync', 'EIO', { path: 'wal-0' });
  log.finishSync();
  assert.deepEqual(
    log.lane.all('sync-rejected').map((message) => message.id),
    [id],
  );
  log.close();
});

test('a log that has ended costs no time until it is closed', () => {
  const log = endedLog();
  const next = log.run();
  assert.deepEqual(next, PARKED);
  log.close();
});

for (const alsoFails of [false, true]) {
  test(`a log that ends while a sync is under way sleeps once that ${alsoFails ? 'fails too, which is reported' : 'returns'}`, () => {
    const log = new TestLog();
    log.lane.append('a', Level.durable);
    log.lane.append('b', Level.durable);
    log.run();
    log.disk.failNext('write', 'EIO', { path: 'wal-0' });
    log.lane.append('c');
    log.run();
    assert.equal(log.lane.all('failed')[0]?.failure.code, 'ERR_WAL_IO');
    if (alsoFails) log.disk.failNext('datasync', 'EIO', { path: 'wal-0' });
    log.finishSync();
    assert.equal(log.hasWork, false);
    const troubles = log.lane.all('trouble').map(({ failure }) => failure.code);
    assert.deepEqual(troubles, alsoFails ? ['ERR_WAL_SYNC_FAILED'] : []);
    log.close();
  });
}

test('close() after a failure waits for the sync under way and releases everything', () => {
  const log = new TestLog();
  appendTwo(log);
  log.disk.failNext('write', 'EIO', { path: 'wal-0' });
  log.lane.append('three');
  log.run();
  assert.ok(log.syncer.busy);
  log.close();
  assert.deepEqual(log.disk.openPaths, []);
  assert.ok(log.syncer.isStopped);
});

test('close() releases everything though a file cannot be closed in good order', () => {
  const log = new TestLog({ options: { maxFileSize: 100 } });
  log.lane.append('a'.repeat(60));
  log.lane.append('b'.repeat(60));
  log.run();
  log.disk.failNext('close', 'EIO', { path: 'wal-1' });
  log.close();
  assert.ok(log.syncer.isStopped);
});

test('a removal that fails is reported, and is made up for before any later one', () => {
  const disk = newDisk();
  const log = new TestLog({ disk, options: { maxFileSize: 100, maxFiles: 2 } });
  log.syncer.isPrompt = true;
  disk.failNext('unlink', 'EPERM', { path: 'wal-0' });
  for (let at = 0; at < 4; at++) fillSegment(log);
  assert.equal(log.lane.all('trouble')[0]?.failure.cause?.code, 'EPERM');
  assert.equal(log.lane.all('failed').length, 0);
  assert.deepEqual(log.segments, [2, 3]);
  log.close();
});

test('while a segment cannot be removed, none behind it is', () => {
  const disk = newDisk();
  const log = new TestLog({ disk, options: { maxFileSize: 100, maxFiles: 2 } });
  log.syncer.isPrompt = true;
  disk.failNext('unlink', 'EPERM', { path: 'wal-0', times: 1000 });
  for (let at = 0; at < 5; at++) fillSegment(log);
  assert.deepEqual(log.segments, [0, 1, 2, 3, 4]);
  log.close();
  assert.equal(new TestLog({ disk }).recovered.report.verdict, 'clean');
});

test('a lack of descriptors for the state file is reported and harms nothing', () => {
  const log = new TestLog();
  appendTwo(log);
  log.finishSync();
  log.disk.failNext('open', 'EMFILE', { path: 'ringwal.state.aside' });
  log.syncer.isPrompt = true;
  log.sleep(2 * log.options.syncInterval);
  assert.equal(log.lane.all('failed').length, 0);
  assert.equal(log.lane.all('trouble')[0]?.failure.cause?.code, 'EMFILE');
  log.close();
});

test('what a failed sync left in the page cache is written anew before it counts as durable', () => {
  for (let seed = 0; seed < 50; seed++) {
    const disk = newDisk(seed);
    const log = new TestLog({ disk });
    log.lane.append('first', Level.durable);
    log.run();
    log.finishSync();
    log.lane.append('second', Level.durable);
    log.lane.append('third', Level.durable);
    disk.failNext('datasync', 'EIO', { path: 'wal-0' });
    log.run();
    log.finishSync();
    log.close();

    const next = new TestLog({ disk });
    const durable = next.texts;
    assert.equal(next.status.get('durableLsn'), durable.length);
    disk.evictCache();
    disk.powerCut();
    assert.deepEqual(new TestLog({ disk }).texts, durable, `seed ${seed}`);
  }
});

for (const kind of ['sync', 'syncDirectory'] satisfies OperationKind[]) {
  test(`a failed ${kind} during recovery refuses the log and reports nothing as durable`, () => {
    const disk = newDisk();
    const log = new TestLog({ disk });
    appendTwo(log);
    disk.killProcess();
    const scope = kind === 'sync' ? { path: 'wal-0' } : { path: DIRECTORY };
    disk.failNext(kind, 'EIO', scope);
    assert.throws(
      () => new TestLog({ disk }),
      (error: LogFailure) => error.failure.code === 'ERR_WAL_SYNC_FAILED',
    );
    assert.deepEqual(new TestLog({ disk }).texts, ['one', 'two']);
  });
}

/** Written, with the sync under way. */
function appendTwo(log: TestLog): void {
  log.lane.append('one', Level.durable);
  log.lane.append('two', Level.durable);
  log.run();
}

function endedLog(): TestLog {
  const log = new TestLog();
  appendTwo(log);
  log.disk.failNext('datasync', 'EIO', { path: 'wal-0' });
  log.finishSync();
  return log;
}

function fillSegment(log: TestLog): void {
  log.lane.append('x'.repeat(90), Level.durable);
  log.run();
  log.run();
}

function assertEnded(log: TestLog, code: string): void {
  assert.deepEqual([...log.lane.acknowledged('durable')], []);
  assert.equal(log.lane.all('failed')[0]?.failure.code, code);
  assert.ok(log.doorbell.failed);
  const frames = log.texts.length;
  log.lane.append('after the end', Level.durable);
  log.syncer.isPrompt = true;
  log.run();
  assert.equal(log.texts.length, frames);
  log.close();
  assert.deepEqual(log.disk.openPaths, []);
}
