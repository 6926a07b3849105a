import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Operation } from '../../../src/files/simulation/simulated-disk.js';
import { decodeStats, type PublishedStats } from '../../../src/format/stats-file.js';
import { STATS_PERIOD_MS as PERIOD_MS } from '../../../src/worker/upkeep/stats-publisher.js';
import { Level } from '../support/lane-client.js';
import { DIRECTORY, newDisk, PARKED, PID, TestLog, type TestLogSettings } from '../support/test-log.js';

const HAD_ROOM = { refused: 0, queued: 0, waits: 0, dropped: 0 };
const STATS_FILE = `${DIRECTORY}/ringwal.stats`;

/** What the file says now; `undefined` where there is none. */
function published(log: TestLog): PublishedStats | undefined {
  if (!log.disk.names(DIRECTORY).includes('ringwal.stats')) return undefined;
  const stats = decodeStats(log.disk.contents(STATS_FILE));
  if ('fault' in stats) assert.fail(stats.fault);
  return stats;
}

/** A log whose syncs return at once, and the operations on its stats file as they come. */
function watchedLog(settings: TestLogSettings = {}): { log: TestLog; operations: Operation[] } {
  const log = new TestLog(settings);
  log.syncer.isPrompt = true;
  const operations: Operation[] = [];
  log.disk.onOperation((operation) => {
    if (operation.path === STATS_FILE) operations.push(operation);
    return undefined;
  });
  return { log, operations };
}

function appendDurably(log: TestLog, data: string | Uint8Array = 'x'): void {
  log.lane.append(data, Level.durable);
  log.run();
}

/** Durable appends, `count` of them, `everyMs` apart. */
function live(log: TestLog, count: number, everyMs: number): void {
  for (let at = 0; at < count; at++) {
    appendDurably(log);
    log.sleep(everyMs);
  }
}

const kinds = (operations: readonly Operation[]) => operations.map(({ kind }) => kind);
const writes = (operations: readonly Operation[]) => operations.filter(({ kind }) => kind === 'write').length;

test('a log publishes nothing in its first second, and then its figures with the next sync', () => {
  const { log, operations } = watchedLog();
  live(log, 10, 99);
  log.sleep(9);
  assert.deepEqual(operations, []);
  log.sleep(1);
  appendDurably(log, 'the eleventh');
  const stats = published(log);
  assert.ok(stats);
  const { counters, ...rest } = stats;
  assert.deepEqual([counters.entries, counters.groups, counters.syncs], [11, 11, 11]);
  assert.deepEqual([counters.lastLsn, counters.durableLsn, counters.lanes], [11, 11, 1]);
  assert.deepEqual([stats.groupEntries.count, stats.groupEntries.max], [11, 1]);
  assert.deepEqual([stats.pid, stats.uptimeMs, stats.publishedMs], [PID, PERIOD_MS, log.disk.now()]);
  assert.equal(rest.logId, log.recovered.start.logId);
  assert.deepEqual(stats.lanes, [
    { index: 0, ringBytes: 4096, ringUsed: 0, waiting: 0, entries: 11, ...HAD_ROOM },
  ]);
  log.close();
});

test('it publishes at most once a second, however often it syncs', () => {
  const { log, operations } = watchedLog();
  live(log, 1_000, 10);
  // Ten seconds, and one at the end of each.
  assert.equal(writes(operations), 10);
  log.close();
});

test('a publication is one write and one look at the name; only the first one makes the file, and none syncs', () => {
  const { log, operations } = watchedLog();
  log.sleep(PERIOD_MS);
  appendDurably(log);
  const first = operations.splice(0);
  log.sleep(PERIOD_MS);
  const { directorySyncs } = log.disk.counts;
  appendDurably(log);
  assert.deepEqual(kinds(first), ['open', 'identity', 'write']);
  assert.deepEqual(kinds(operations), ['stat', 'write']);
  assert.equal(log.disk.counts.directorySyncs, directorySyncs);
  log.close();
});

test('a log that comes to rest publishes once more, so that what stands there is what is, and then nothing', () => {
  const { log, operations } = watchedLog();
  log.sleep(PERIOD_MS);
  live(log, 3, 100);
  assert.equal(published(log)?.counters.entries, 1);
  log.sleep(PERIOD_MS);
  assert.equal(published(log)?.counters.entries, 3);
  const before = log.disk.counts.operations;
  operations.length = 0;
  const next = log.sleep(100 * PERIOD_MS);
  assert.equal(log.disk.counts.operations, before);
  assert.deepEqual(next, PARKED);
  log.close();
});

test('a log that rests before its first publication is not woken for one', () => {
  const { log, operations } = watchedLog();
  live(log, 3, 100);
  log.sleep(100 * PERIOD_MS);
  assert.deepEqual(operations, []);
  log.close();
});

test('the writer does not wake for a publication while what is written waits for its sync', () => {
  const { log, operations } = watchedLog({ options: { syncInterval: 30_000 } });
  log.sleep(PERIOD_MS);
  live(log, 2, 100);
  log.lane.append('left to the interval');
  log.run();
  const { operations: before } = log.disk.counts;
  log.sleep(20_000);
  assert.equal(log.disk.counts.operations, before);
  log.sleep(10_100);
  assert.equal(published(log)?.counters.durableLsn, 3);
  assert.equal(writes(operations), 2);
  log.close();
});

test('lone durable appends, which the writer syncs itself, are published too', () => {
  const { log } = watchedLog();
  live(log, 29, 100);
  // The first sync, of the directory too, and the one that began to publish; later on the log rests when it is time.
  assert.equal(log.syncer.jobs.filter(({ files }) => files.length > 0).length, 2);
  assert.equal(published(log)?.counters.syncs, 20);
  log.close();
});

test('how full each lane is, is what its producer has published and the writer has not taken', () => {
  const { log } = watchedLog();
  const other = log.attach();
  assert.ok('append' in other);
  log.sleep(PERIOD_MS);
  log.syncer.isPrompt = false;
  log.lane.append('one', Level.durable);
  // The first round writes it and starts the sync, and with it the publication is made up.
  let seen: readonly unknown[] = [];
  const { start } = log.syncer;
  log.syncer.start = (job) => {
    seen = job.statsSnapshot?.lanes ?? [];
    start.call(log.syncer, job);
  };
  const filler = new Uint8Array(92);
  log.disk.onOperation((operation) => {
    // While the writer writes.
    if (operation.kind === 'write' && seen.length === 0 && other.sequence === 0) {
      for (let at = 0; at < 3; at++) other.append(filler);
      other.append(new Uint8Array(2_000));
    }
    return undefined;
  });
  log.run();
  assert.deepEqual(seen, [
    { index: 0, ringBytes: 4096, ringUsed: 0, waiting: 0, entries: 1, ...HAD_ROOM },
    { index: 1, ringBytes: 4096, ringUsed: 3 * 96, waiting: 1, entries: 0, ...HAD_ROOM },
  ]);
  log.disk.onOperation(undefined);
  log.finishSync();
  log.close();
});

test('closing a log removes what it had published', () => {
  const { log } = watchedLog();
  live(log, 15, 100);
  assert.ok(published(log));
  log.close();
  assert.ok(!log.disk.names(DIRECTORY).includes('ringwal.stats'));
  assert.deepEqual(log.disk.openPaths, []);
});

test('what a killed process has left stays until the next open, which removes it', () => {
  const { log } = watchedLog();
  live(log, 15, 100);
  log.disk.killProcess();
  assert.equal(published(log)?.pid, PID);
  const again = new TestLog({ disk: log.disk });
  assert.equal(published(again), undefined);
  assert.equal(again.texts.length, 15);
  again.close();
});

test('whatever bears the name at open, a log opens, and its entries are what they were', () => {
  for (const bytes of [new Uint8Array(0), new Uint8Array(100_000).fill(0xff), Buffer.from('not figures')]) {
    const { log } = watchedLog();
    live(log, 3, 100);
    log.close();
    log.disk.plant(STATS_FILE, bytes);
    const { log: again } = watchedLog({ disk: log.disk });
    assert.deepEqual([again.recovered.report.row, again.recovered.report.foreignFiles], [5, []]);
    assert.equal(again.texts.length, 3);
    again.sleep(PERIOD_MS);
    appendDurably(again);
    assert.equal(published(again)?.counters.entries, 1);
    again.close();
  }
});

test('a log that is refused keeps the file like any other', () => {
  const { log } = watchedLog();
  live(log, 3, 100);
  log.sleep(500);
  log.close();
  log.disk.rot(`${DIRECTORY}/wal-0`, 10);
  log.disk.plant(STATS_FILE, Buffer.from('evidence'));
  assert.throws(() => new TestLog({ disk: log.disk }), /acknowledged as durable/);
  assert.equal(Buffer.from(log.disk.contents(STATS_FILE)).toString(), 'evidence');
});

test('a name that cannot be had is left as it is, told of once, and costs no entry', () => {
  const { log, operations } = watchedLog();
  log.disk.mkdir(STATS_FILE);
  live(log, 50, 100);
  const troubles = log.lane.all('trouble');
  assert.equal(troubles.length, 1);
  assert.equal(troubles[0]?.failure.code, 'ERR_WAL_IO');
  assert.match(
    troubles[0]?.failure.message ?? '',
    /^Cannot publish the figures of the log in ".*ringwal\.stats": EEXIST/,
  );
  assert.ok(operations.length > 3, 'it tries again each time');
  assert.equal(log.lane.acknowledged('durable').size, 50);
  log.close();
});

for (const code of ['ENOSPC', 'EIO', 'EACCES']) {
  test(`${code} when figures are written ends nothing, is told once, and is made good with the next publication`, () => {
    const { log } = watchedLog();
    log.disk.onOperation(undefined);
    log.sleep(PERIOD_MS);
    for (let at = 0; at < 2; at++) {
      log.disk.failNext(at === 0 && code === 'EACCES' ? 'open' : 'write', code, { path: 'ringwal.stats' });
      appendDurably(log);
      log.sleep(PERIOD_MS);
    }
    assert.equal(log.lane.all('trouble').length, 1);
    assert.equal(log.lane.all('failed').length, 0);
    appendDurably(log);
    assert.equal(published(log)?.counters.entries, 3);
    assert.deepEqual(log.lane.all('rejected'), []);
    log.close();
  });
}

test('a file that somebody removes is there again a second after that was noticed; another in its place is not touched', () => {
  const { log } = watchedLog();
  log.sleep(PERIOD_MS);
  live(log, 1, PERIOD_MS);
  log.disk.unlink(STATS_FILE);
  live(log, 1, PERIOD_MS);
  // Nothing more is appended meanwhile.
  assert.equal(published(log)?.counters.entries, 2);
  log.disk.unlink(STATS_FILE);
  log.disk.plant(STATS_FILE, Buffer.from('somebody else'));
  live(log, 3, PERIOD_MS);
  assert.equal(Buffer.from(log.disk.contents(STATS_FILE)).toString(), 'somebody else');
  assert.equal(log.lane.all('trouble').length, 1);
  log.close();
});

test('what a full disk cost is published without a sync', () => {
  const { log } = watchedLog();
  log.sleep(PERIOD_MS);
  live(log, 1, PERIOD_MS);
  log.disk.failNext('write', 'ENOSPC', { path: 'wal-0' });
  appendDurably(log);
  log.sleep(PERIOD_MS);
  assert.equal(published(log)?.counters.rejected, 1);
  log.close();
});

for (const end of ['powerCut', 'killProcess'] as const) {
  test(`a machine that stops at any operation of a publication keeps every acknowledged entry (${end})`, () => {
    let stops = 0;
    for (let ahead = 0; ; ahead++) {
      const disk = newDisk(ahead);
      const { log } = watchedLog({ disk });
      log.sleep(PERIOD_MS - 1);
      appendDurably(log, 'a');
      log.sleep(1);
      // The first publication is made with 'b', one more when the log has rested, and another with 'c'.
      const stopAt = disk.counts.operations + ahead;
      disk.crashAt(stopAt);
      appendDurably(log, 'b');
      log.sleep(3 * PERIOD_MS);
      appendDurably(log, 'c');
      const acknowledged = log.lane.acknowledged('durable').size;
      if (disk.counts.operations <= stopAt) {
        assert.equal(acknowledged, 3);
        assert.ok(published(log));
        disk.clearFaults();
        log.close();
        break;
      }
      stops += 1;
      disk[end]();
      const again = new TestLog({ disk });
      assert.equal(again.recovered.report.repair, undefined, `stopped at ${ahead}`);
      assert.deepEqual(again.recovered.report.foreignFiles, []);
      assert.ok(again.texts.length >= acknowledged, `stopped at ${ahead}: ${again.texts} of ${acknowledged}`);
      assert.equal(published(again), undefined);
      again.close();
    }
    assert.ok(stops > 10, `${stops} places to stop at`);
  });
}
