import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogCommand } from '../../../src/protocol/lane-messages.js';
import type { WriterOptions } from '../../../src/protocol/thread-data.js';
import { recoverLog } from '../../../src/worker/recover/recovery.js';
import { repairLog } from '../../../src/worker/recover/repair.js';
import { dataOf, diskOf, framesOf, imageOf, intactLog, judgeFully } from '../recover/damaged-logs.js';
import { Level } from '../support/lane-client.js';
import { DIRECTORY, OPTIONS, TestLog } from '../support/test-log.js';

// ── truncateAfter ───────────────────────────────────────────────────────────────────────────────────────────────

for (const [lsn, why] of [
  [6, 'inside a batch, whose rest is in the next segment'],
  [7, 'inside a batch that began in the segment before'],
  [13, 'inside a batch'],
  [15, 'inside a batch'],
  [27, 'above lastLsn'],
] as const) {
  test(`truncateAfter ${why} is refused (${lsn}), and nothing is changed`, () => {
    const log = openIntact();
    const before = imageOf(log.disk);
    assert.equal(failureOf(log, 'truncateAfter', lsn), 'ERR_WAL_OPTION');
    assert.deepEqual(imageOf(log.disk), before);
    log.lane.append('next', Level.durable);
    log.run();
    assert.equal(log.frames.at(-1)?.lsn, 27);
    log.close();
  });
}

test('truncateAfter below firstLsn - 1 is refused', () => {
  const log = openIntact();
  assert.equal(failureOf(log, 'truncateBefore', 19), undefined);
  assert.deepEqual(log.segments, [3, 4]);
  for (const lsn of [1, 17]) assert.equal(failureOf(log, 'truncateAfter', lsn), 'ERR_WAL_OPTION');
  assert.equal(failureOf(log, 'truncateAfter', 19), undefined);
  assert.deepEqual(lsnsIn(log), [19]);
  log.close();
});

test('truncateAfter the last entry changes nothing', () => {
  const log = openIntact();
  const before = imageOf(log.disk);
  assert.equal(failureOf(log, 'truncateAfter', 26), undefined);
  assert.deepEqual(imageOf(log.disk), before);
  assert.equal(log.lane.all('truncated').length, 0);
  log.close();
});

for (const lsn of [1, 5, 8, 10, 12, 16, 18, 19, 22, 24, 25]) {
  test(`after truncateAfter(${lsn}) the LSNs behind it are given out again`, () => {
    const log = openIntact();
    const before = imageOf(log.disk);
    assert.equal(failureOf(log, 'truncateAfter', lsn), undefined);
    assert.deepEqual(lsnsIn(log), range(1, lsn));
    for (const name of ['lastLsn', 'durableLsn'] as const) assert.equal(log.status.get(name), lsn);
    assert.equal(log.state?.watermark, lsn);
    assert.equal(log.state?.pendingCut, undefined);
    assert.deepEqual(log.disk.openPaths, [`${DIRECTORY}/wal-${log.segments.at(-1)}`]);
    const last = log.lane.all('truncated').at(-1);
    assert.equal(last?.lsn, lsn);
    assert.equal(last?.segments.at(-1)?.lastLsn, lsn);

    const sequence = log.lane.append('again', Level.durable);
    log.run();
    assert.equal(log.lane.acknowledged('durable').get(sequence), lsn + 1);
    for (let i = 0; i < 6; i++) log.lane.append('y'.repeat(80), Level.durable);
    log.run();
    log.close();
    const reopened = new TestLog({ disk: log.disk });
    assert.equal(reopened.recovered.report.verdict, 'clean');
    const { frames } = reopened;
    assert.deepEqual(
      frames.map((frame) => frame.lsn),
      range(1, lsn + 7),
    );
    for (const { data } of frames.slice(0, lsn)) assert.match(Buffer.from(data).toString(), /^entry /);
    assert.equal(Buffer.from(frames[lsn]?.data ?? []).toString(), 'again');
    assert.equal(judgeFully(log.disk).verdict, 'clean');
    // Nothing is gone: what was cut is in side files.
    const kept = [...imageOf(log.disk)].filter(([name]) => name.startsWith('ringwal.cut-'));
    const cutBytes = kept.reduce((sum, [, bytes]) => sum + bytes.length, 0);
    const bytesOf = (image: typeof before) =>
      [...image].reduce((sum, [n, b]) => sum + (n.startsWith('wal-') ? b.length : 0), 0);
    const stayed = framesOf(before)
      .filter((frame) => frame.lsn <= lsn)
      .reduce((sum, { byteLength }) => sum + byteLength, 0);
    assert.equal(cutBytes, bytesOf(before) - stayed);
    reopened.close();
  });
}

test('appends that are pending settle before truncateAfter, and what was cut stays acknowledged', () => {
  const log = openIntact();
  log.syncer.isPrompt = false;
  const durable = log.lane.append('durable', Level.durable);
  const written = log.lane.append('written', Level.written);
  const interval = log.lane.append('interval', Level.interval);
  const sync = log.lane.sync();
  const id = log.lane.command('truncateAfter', 27);
  const behind = log.lane.append('behind', Level.durable);
  log.run();
  log.finishSync();
  log.finishSync();
  log.sleep(1000);
  log.finishSync();
  assert.equal(log.lane.acknowledged('durable').get(durable), 27);
  assert.equal(log.lane.acknowledged('written').get(written), 28);
  assert.equal(log.lane.acknowledged('durable').get(interval), 29);
  assert.equal(log.lane.all('synced')[0]?.id, sync);
  assert.equal(log.lane.all('command-done')[0]?.id, id);
  assert.equal(log.lane.acknowledged('durable').get(behind), 28);
  assert.deepEqual(log.texts.slice(26), ['durable', 'behind']);
  log.close();
});

test('truncateAfter waits for the sync that is under way', () => {
  const log = openIntact();
  log.syncer.isPrompt = false;
  const sequence = log.lane.append('under way', Level.durable);
  log.lane.append('and one more');
  log.run();
  assert.ok(log.syncer.busy);
  assert.equal(failureOf(log, 'truncateAfter', 26), undefined);
  assert.equal(log.lane.acknowledged('durable').get(sequence), 27);
  assert.deepEqual(lsnsIn(log), range(1, 26));
  log.close();
  assert.equal(judgeFully(log.disk).verdict, 'clean');
});

test('truncateAfter lowers the checkpoint with the log, and leaves a lower one', () => {
  const log = openIntact();
  assert.equal(failureOf(log, 'checkpoint', 20), undefined);
  assert.equal(failureOf(log, 'truncateAfter', 25), undefined);
  assert.deepEqual([log.status.get('checkpointLsn'), log.state?.checkpoint], [20, 20]);
  assert.equal(failureOf(log, 'truncateAfter', 12), undefined);
  assert.deepEqual([log.status.get('checkpointLsn'), log.state?.checkpoint], [12, 12]);
  log.close();
  const reopened = new TestLog({ disk: log.disk });
  assert.equal(reopened.recovered.start.state.checkpoint, 12);
  reopened.close();
});

test('truncateAfter an LSN that was lost in a salvage ends the log with the entry before it', () => {
  const image = intactLog();
  image.delete('wal-2');
  const disk = diskOf(image);
  repairLog(disk, DIRECTORY, 'salvage', false, 0o600);
  const log = open(disk);
  assert.equal(failureOf(log, 'truncateAfter', 15), undefined);
  assert.deepEqual(lsnsIn(log), range(1, 12));
  assert.equal(log.status.get('lastLsn'), 12);
  const sequence = log.lane.append('next', Level.durable);
  log.run();
  assert.equal(log.lane.acknowledged('durable').get(sequence), 13);
  log.close();
  assert.deepEqual(lsnsIn(log), range(1, 13));
  assert.equal(judgeFully(disk).verdict, 'clean');
});

test('a segment that was made before truncateAfter and is still empty goes with the rest', () => {
  const log = openIntact();
  assert.equal(failureOf(log, 'truncateAfter', 18), undefined);
  // Nothing fits behind entry 18: the next one is in a segment whose number was used before.
  log.lane.append('z'.repeat(100), Level.durable);
  log.run();
  assert.deepEqual(log.segments, [0, 1, 2, 3]);
  assert.equal(failureOf(log, 'truncateAfter', 18), undefined);
  assert.equal(failureOf(log, 'truncateAfter', 10), undefined);
  assert.deepEqual(lsnsIn(log), range(1, 10));
  log.close();
  assert.equal(judgeFully(log.disk).verdict, 'clean');
});

for (const name of ['checkpoint', 'truncateAfter', 'truncateBefore'] as const) {
  test(`the writer comes to rest after ${name}`, () => {
    const log = openIntact();
    log.lane.append('new', Level.durable);
    log.run();
    assert.equal(failureOf(log, name, 19), undefined);
    const next = log.sleep(10 * log.options.syncInterval);
    assert.ok(next.kind === 'wait' && next.forMs > 0);
    log.close();
  });
}

test('a log that cannot be gone on with after the cut is made ends, and the next open finds it cut', () => {
  const log = openIntact();
  // The second time that the cut segment is opened for writing it is the writer that will append to it.
  log.disk.failNext('open', 'EMFILE', { path: 'wal-2', after: 3 });
  log.lane.command('truncateAfter', 14 + 2);
  log.run();
  const failure = log.lane.all('failed')[0]?.failure;
  assert.equal(failure?.code, 'ERR_WAL_IO');
  log.disk.clearFaults();
  log.lane.close();
  assert.equal(log.run().kind, 'closed');
  const reopened = open(log.disk);
  assert.deepEqual(lsnsIn(reopened), range(1, 16));
  reopened.close();
});

test('a failed sync in the middle of truncateAfter ends the log', () => {
  for (const kind of ['sync', 'syncDirectory', 'datasync'] as const) {
    for (let after = 0; after < 4; after++) {
      const log = openIntact();
      log.disk.failNext(kind, 'EIO', { after });
      const id = log.lane.command('truncateAfter', 10);
      log.run();
      if (log.lane.all('command-done').some((done) => done.id === id)) continue;
      assert.equal(log.lane.all('failed')[0]?.failure.code, 'ERR_WAL_SYNC_FAILED', `${kind} ${after}`);
      log.disk.clearFaults();
      log.lane.close();
      assert.equal(log.run().kind, 'closed');
      const { report } = recoverLog(log.disk, OPTIONS);
      assert.ok(report.lastLsn === 26 || report.lastLsn === 10);
    }
  }
});

// ── truncateBefore, checkpoint, retention ───────────────────────────────────────────────────────────────────────

for (const [lsn, segments] of [
  [1, [0, 1, 2, 3, 4]],
  [6, [0, 1, 2, 3, 4]],
  [7, [1, 2, 3, 4]],
  [12, [1, 2, 3, 4]],
  [13, [2, 3, 4]],
  [25, [4]],
  [27, [4]],
] as const) {
  test(`truncateBefore(${lsn}) leaves the segments ${segments.join(', ')}`, () => {
    const log = openIntact();
    assert.equal(failureOf(log, 'truncateBefore', lsn), undefined);
    assert.deepEqual(log.segments, segments);
    assert.equal(log.status.get('firstLsn'), lsn);
    assert.deepEqual(lsnsIn(log), range(log.frames[0]?.lsn ?? 0, 26));
    log.close();
    const reopened = open(log.disk);
    assert.equal(reopened.recovered.report.verdict, 'clean');
    assert.equal(reopened.recovered.report.firstLsn, lsn);
    reopened.close();
  });
}

test('truncateBefore above lastLsn + 1 is refused', () => {
  const log = openIntact();
  assert.equal(failureOf(log, 'truncateBefore', 28), 'ERR_WAL_OPTION');
  assert.deepEqual(log.segments, [0, 1, 2, 3, 4]);
  log.close();
});

test('truncateBefore leaves a segment that a reader has open, and all behind it', () => {
  const log = openIntact();
  log.status.pin(2);
  assert.equal(failureOf(log, 'truncateBefore', 26), undefined);
  assert.deepEqual(log.segments, [2, 3, 4]);
  log.status.pin(-1);
  assert.equal(failureOf(log, 'truncateBefore', 26), undefined);
  assert.deepEqual(log.segments, [4]);
  log.close();
});

test('truncateBefore syncs what is written first: it removes nothing above the watermark', () => {
  const log = openIntact();
  log.syncer.isPrompt = false;
  for (let i = 0; i < 6; i++) log.lane.append('w'.repeat(150));
  log.lane.command('truncateBefore', 30);
  let removedAt = -1;
  let watermark = -1;
  log.disk.onOperation(({ kind, index, path }) => {
    if (kind === 'unlink' && /wal-\d+$/.test(path) && removedAt < 0) {
      removedAt = index;
      watermark = log.status.get('durableLsn');
    }
    return undefined;
  });
  log.run();
  assert.ok(removedAt >= 0 && watermark === 32, `removed while only ${watermark} was durable`);
  log.close();
});

test('checkpoint above lastLsn is refused; it may be moved back', () => {
  const log = openIntact();
  assert.equal(failureOf(log, 'checkpoint', 27), 'ERR_WAL_OPTION');
  for (const lsn of [26, 3, 0]) {
    assert.equal(failureOf(log, 'checkpoint', lsn), undefined);
    assert.equal(log.status.get('checkpointLsn'), lsn);
    assert.equal(log.state?.checkpoint, lsn);
  }
  log.close();
});

test("with retainFrom: 'checkpoint' retention keeps what is not checkpointed, and gives it up then", () => {
  const log = open(diskOf(intactLog()), { maxFiles: 2, retainFromCheckpoint: true });
  log.lane.append('new', Level.durable);
  log.run();
  log.sleep(1000);
  assert.deepEqual(log.segments, [0, 1, 2, 3, 4]);
  assert.equal(failureOf(log, 'checkpoint', 11), undefined);
  log.sleep(1000);
  assert.deepEqual(log.segments, [1, 2, 3, 4]);
  assert.equal(failureOf(log, 'checkpoint', 26), undefined);
  log.sleep(1000);
  assert.deepEqual(log.segments, [3, 4]);
  log.close();
});

test("with retainFrom: 'checkpoint' a checkpoint that truncateAfter lowered holds back what comes anew", () => {
  const log = open(diskOf(intactLog()), { maxFiles: 2, retainFromCheckpoint: true });
  assert.equal(failureOf(log, 'checkpoint', 12), undefined);
  log.sleep(1000);
  assert.deepEqual(log.segments, [2, 3, 4]);
  assert.equal(failureOf(log, 'checkpoint', 17), undefined);
  assert.equal(failureOf(log, 'truncateAfter', 16), undefined);
  // It fits into the segment of entry 16, and is above the lowered checkpoint.
  log.lane.append('w', Level.durable);
  for (let i = 0; i < 12; i++) log.lane.append('v'.repeat(100), Level.durable);
  log.run();
  log.sleep(1000);
  assert.ok(log.segments.length > 3);
  assert.equal(log.segments[0], 2);
  log.close();
});

test('truncateBefore ignores retainFrom: it is an order', () => {
  const log = open(diskOf(intactLog()), { retainFromCheckpoint: true });
  assert.equal(failureOf(log, 'truncateBefore', 13), undefined);
  assert.deepEqual(log.segments, [2, 3, 4]);
  log.close();
});

test('a clock that goes backwards removes nothing', () => {
  const log = open(diskOf(intactLog()), { maxAge: 60_000 });
  log.advance(-1_000_000_000);
  for (let i = 0; i < 6; i++) log.lane.append('u'.repeat(150), Level.durable);
  log.run();
  log.advance(30_000);
  log.sleep(1000);
  assert.equal(log.segments[0], 0);
  log.close();
});

function openIntact(): TestLog {
  return open(diskOf(intactLog()));
}

function open(disk: ReturnType<typeof diskOf>, options: Partial<WriterOptions> = {}): TestLog {
  const log = new TestLog({ disk, options: { maxFileSize: 400, ...options } });
  log.syncer.isPrompt = true;
  log.run();
  return log;
}

/** Gives the order; answers the code of what it was rejected with, `undefined` = it was done. */
function failureOf(log: TestLog, name: LogCommand['name'], lsn: number): string | undefined {
  const id = log.lane.command(name, lsn);
  log.run();
  const rejected = log.lane.all('command-rejected').find((message) => message.id === id);
  if (rejected === undefined) assert.ok(log.lane.all('command-done').some((message) => message.id === id));
  assert.equal(log.lane.all('failed').length, 0);
  return rejected?.failure.code;
}

function lsnsIn(log: TestLog): number[] {
  const { frames } = log;
  for (const { lsn, data } of frames) {
    const text = Buffer.from(data).toString();
    if (text.startsWith('entry ')) assert.equal(text, Buffer.from(dataOf(lsn)).toString());
  }
  return frames.map(({ lsn }) => lsn);
}

function range(first: number, last: number): number[] {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, at) => first + at);
}
