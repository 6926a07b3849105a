import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Level } from '../support/lane-client.js';
import { DIRECTORY, newDisk, TestLog } from '../support/test-log.js';

const BATCH = Array.from({ length: 12 }, (_, at) => `${at} `.repeat(100));

for (const code of ['ENOSPC', 'EDQUOT', 'EMFILE']) {
  test(`${code} rejects what is accepted and unwritten, spends no LSN, and the log works on`, () => {
    const log = new TestLog();
    log.lane.append('kept', Level.written);
    log.run();
    const kind = code === 'EMFILE' ? 'open' : 'write';
    if (code === 'EMFILE') log.lane.append(new Uint8Array(log.options.maxFileSize));
    log.disk.failNext(kind, code, { path: kind === 'open' ? 'wal-1' : 'wal-0' });
    log.lane.append('lost', Level.written);
    log.lane.append('lost too', Level.durable);
    log.run();
    const [rejection] = log.lane.all('rejected');
    assert.equal(rejection?.failure.code, 'ERR_WAL_IO');
    assert.equal(rejection?.failure.cause?.code, code);
    assert.deepEqual(log.lane.rejected, code === 'EMFILE' ? [2, 3, 4] : [2, 3]);
    assert.equal(log.status.get('rejected'), log.lane.rejected.length);

    const next = log.lane.append('next', Level.durable);
    log.run();
    log.finishSync();
    assert.deepEqual(log.texts, ['kept', 'next']);
    assert.equal(log.lane.acknowledged('durable').get(next), 2);
    log.close();
  });
}

test('a write that ends halfway leaves whole frames only, durably', () => {
  for (let seed = 0; seed < 20; seed++) {
    const log = new TestLog({ disk: newDisk(seed) });
    log.lane.append('kept', Level.durable);
    log.run();
    log.finishSync();
    log.disk.failNext('write', { bytes: 30 }, { path: 'wal-0' });
    log.disk.failNext('write', 'ENOSPC', { path: 'wal-0', after: 0 });
    log.lane.append('a'.repeat(20));
    log.lane.append('b'.repeat(20));
    log.run();
    assert.deepEqual(log.lane.rejected, [2, 3]);
    assert.deepEqual(log.texts, ['kept']);
    log.disk.powerCut();
    assert.deepEqual(new TestLog({ disk: log.disk }).texts, ['kept']);
  }
});

test('a segment that cannot be created rejects what should go there and harms nothing', () => {
  const log = new TestLog({ options: { maxFileSize: 100 } });
  log.lane.append('a'.repeat(50));
  log.run();
  log.disk.failNext('open', 'ENOSPC', { path: 'wal-1' });
  log.lane.append('b'.repeat(50));
  log.run();
  assert.deepEqual(log.lane.rejected, [2]);
  assert.deepEqual(log.segments, [0]);
  log.lane.append('c'.repeat(50));
  log.run();
  assert.deepEqual(log.texts, ['a'.repeat(50), 'c'.repeat(50)]);
  log.close();
});

test('what finds the disk full while segments are being removed waits for their room', () => {
  const before = new TestLog({ options: { maxFileSize: 100 } });
  for (const letter of ['a', 'b', 'c']) before.lane.append(letter.repeat(50));
  before.run();
  before.close();
  const log = new TestLog({ disk: before.disk, options: { maxFileSize: 100, maxFiles: 2 } });
  log.run();
  assert.deepEqual(log.syncer.jobs.at(-1)?.removals, [0]);
  assert.ok(log.syncer.busy && log.segments.includes(0), 'the removal is under way');
  log.disk.capacityBytes = log.disk.usedBytes;
  log.lane.append('d'.repeat(50));
  log.run();
  assert.deepEqual(log.lane.rejected, []);
  assert.deepEqual(
    log.texts,
    ['b', 'c', 'd'].map((letter) => letter.repeat(50)),
  );
  log.disk.capacityBytes = Number.POSITIVE_INFINITY;
  log.close();
});

for (const way of ['in the ring', 'beside it'] as const) {
  test(`a batch ${way} that spans segments is taken back whole, with the segments that were made for it`, () => {
    const log = new TestLog({ options: { maxFileSize: 700 } });
    log.lane.append('kept', Level.written);
    log.run();
    log.disk.failNext('write', 'ENOSPC', { path: 'wal-2' });
    const parts = way === 'in the ring' ? BATCH.slice(0, 8) : BATCH;
    const last = log.lane.appendBatch(parts, Level.durable);
    log.run();
    assert.equal(log.lane.rejected.length, parts.length);
    assert.equal(log.lane.rejected.at(-1), last);
    assert.deepEqual(log.texts, ['kept']);
    assert.deepEqual(log.segments, [0]);
    assert.deepEqual(
      log.lane.all('segment-withdrawn').map(({ number }) => number),
      [2, 1],
    );
    assert.equal(log.status.get('lastLsn'), 1);

    log.lane.appendBatch(parts, Level.durable);
    log.run();
    log.finishSync();
    assert.deepEqual(log.texts, ['kept', ...parts]);
    assert.deepEqual(
      log.frames.map(({ lsn }) => lsn),
      Array.from({ length: parts.length + 1 }, (_, at) => at + 1),
    );
    log.close();
  });
}

test('after the first batch of all was taken back the log is empty and says so', () => {
  const log = new TestLog({ options: { maxFileSize: 700 } });
  log.disk.failNext('write', 'ENOSPC', { path: 'wal-1' });
  log.lane.appendBatch(BATCH.slice(0, 8));
  log.run();
  assert.deepEqual(log.texts, []);
  assert.equal(log.status.get('firstLsn'), 0);
  assert.equal(log.status.get('lastLsn'), 0);
  log.close();
});

test('a writer that took a batch back sleeps afterwards', () => {
  const log = new TestLog({ options: { maxFileSize: 700 } });
  log.disk.failNext('write', 'ENOSPC', { path: 'wal-1' });
  log.lane.appendBatch(BATCH.slice(0, 8));
  log.syncer.isPrompt = true;
  log.run();
  log.sleep(10 * log.options.syncInterval);
  log.close();
});

test('a rejected entry does not come back after a power cut', () => {
  for (let seed = 0; seed < 50; seed++) {
    const log = new TestLog({ disk: newDisk(seed), options: { maxFileSize: 700 } });
    log.lane.append('kept', Level.written);
    log.run();
    log.disk.failNext('write', 'ENOSPC', { path: 'wal-2' });
    log.lane.appendBatch(BATCH.slice(0, 8));
    log.run();
    log.disk.powerCut();
    const { texts } = new TestLog({ disk: log.disk });
    assert.ok(texts.length === 0 || (texts.length === 1 && texts[0] === 'kept'), `seed ${seed}: ${texts}`);
  }
});

test('a sync that would have covered a rejected entry rejects', () => {
  const log = new TestLog();
  log.disk.failNext('write', 'ENOSPC', { path: 'wal-0' });
  log.lane.append('lost');
  const id = log.lane.sync();
  log.run();
  log.finishSync();
  assert.deepEqual(log.lane.all('synced'), []);
  const [answer] = log.lane.all('sync-rejected');
  assert.equal(answer?.id, id);
  assert.equal(answer?.failure.cause?.code, 'ENOSPC');
  log.close();
});

test('a sync that was asked before the rejected entry came is answered', () => {
  const log = new TestLog();
  log.lane.append('kept');
  const id = log.lane.sync();
  log.run();
  log.disk.failNext('write', 'ENOSPC', { path: 'wal-0' });
  log.lane.append('lost');
  log.run();
  log.finishSync();
  assert.deepEqual(
    log.lane.all('synced').map((message) => message.id),
    [id],
  );
  log.close();
});

test('everything that was accepted is rejected, also behind a sync; what comes later is written', () => {
  const log = new TestLog();
  log.disk.failNext('write', 'ENOSPC', { path: 'wal-0' });
  log.lane.append('lost');
  const id = log.lane.sync();
  log.lane.append('lost too');
  log.lane.append(new Uint8Array(2000));
  log.run();
  assert.deepEqual(log.lane.rejected, [1, 2, 3]);
  assert.equal(log.lane.all('sync-rejected')[0]?.id, id);
  log.lane.append('next', Level.written);
  log.run();
  assert.deepEqual(log.texts, ['next']);
  assert.deepEqual([...log.lane.acknowledged('written')], [[4, 1]]);
  log.close();
});

test('a flush that would have covered a rejected entry wakes up and learns of it', () => {
  const log = new TestLog();
  log.disk.failNext('write', 'ENOSPC', { path: 'wal-0' });
  log.lane.append('lost');
  const ticket = log.lane.requestFlush();
  log.run();
  assert.ok(log.lane.isFlushed(ticket));
  assert.deepEqual(
    log.lane.all('sync-rejected').map(({ id }) => id),
    [0],
  );
  log.close();
});

test('close is heard though it stands behind rejected entries', () => {
  const log = new TestLog();
  log.disk.failNext('write', 'ENOSPC', { path: 'wal-0' });
  log.lane.append('lost');
  log.close();
  assert.deepEqual(log.lane.rejected, [1]);
});

test('a full disk that cannot be taken back ends the log', () => {
  const log = new TestLog();
  log.lane.append('kept', Level.written);
  log.run();
  log.disk.failNext('write', 'ENOSPC', { path: 'wal-0' });
  log.disk.failNext('truncate', 'EIO', { path: 'wal-0' });
  log.lane.append('lost', Level.written);
  log.run();
  assert.equal(log.lane.all('failed')[0]?.failure.code, 'ERR_WAL_IO');
  assert.ok(log.doorbell.failed);
  log.close();
});

test('a state file that finds no room is reported, harms no entry, and does not keep the writer busy', () => {
  const log = new TestLog();
  log.lane.append('kept', Level.durable);
  log.run();
  log.finishSync();
  log.disk.failNext('write', 'ENOSPC', { path: 'ringwal.state.aside', times: 1000 });
  log.syncer.isPrompt = true;
  log.sleep(20 * log.options.syncInterval);
  assert.equal(log.lane.all('trouble').length, 1);
  log.lane.append('next', Level.durable);
  log.run();
  assert.equal(log.lane.acknowledged('durable').size, 2);
  log.close();
});

test('a log opens on a full disk, rejects appends until there is room, and works then', () => {
  const disk = newDisk();
  const before = new TestLog({ disk });
  before.lane.append('durable', Level.durable);
  before.run();
  before.finishSync();
  before.lane.append('written', Level.written);
  before.run();
  disk.killProcess();

  disk.capacityBytes = disk.usedBytes;
  const log = new TestLog({ disk });
  assert.equal(log.recovered.report.postponed, 'ENOSPC');
  assert.equal(log.status.get('durableLsn'), 1);
  assert.equal(log.status.get('lastLsn'), 2);
  const lost = log.lane.append('lost', Level.written);
  const id = log.lane.sync();
  log.run();
  assert.deepEqual(log.lane.rejected, [lost]);
  assert.equal(log.lane.all('sync-rejected')[0]?.id, id);

  disk.capacityBytes = Number.POSITIVE_INFINITY;
  log.lane.append('next', Level.durable);
  log.run();
  log.finishSync();
  assert.deepEqual(log.texts, ['durable', 'written', 'next']);
  assert.equal(log.status.get('durableLsn'), 3);
  log.close();
});

test('a torn tail that cannot be kept for lack of room is left alone until there is some', () => {
  const disk = newDisk();
  const before = new TestLog({ disk });
  before.lane.append('durable', Level.durable);
  before.run();
  before.finishSync();
  before.lane.append('torn', Level.durable);
  before.run();
  before.close();
  disk.killProcess();
  disk.plant(`${DIRECTORY}/wal-0`, Buffer.concat([disk.contents(`${DIRECTORY}/wal-0`), Buffer.from('torn')]));

  disk.capacityBytes = disk.usedBytes;
  const log = new TestLog({ disk });
  assert.equal(log.recovered.report.verdict, 'torn');
  assert.equal(log.recovered.report.postponed, 'ENOSPC');
  log.lane.append('lost');
  log.run();
  assert.deepEqual(log.lane.rejected, [1]);
  disk.capacityBytes = Number.POSITIVE_INFINITY;
  log.lane.append('next');
  log.run();
  assert.deepEqual(log.texts, ['durable', 'torn', 'next']);
  log.close();
});
