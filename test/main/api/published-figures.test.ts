import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { test } from 'node:test';
import { Wal, type WalError } from '#ringwal';
import { decodeStats, type PublishedStats } from '../../../src/format/stats-file.js';
import { temporaryDirectory } from '../../cleanup.js';
import {
  fill,
  lsns,
  makeLog,
  openLog,
  publishingChild,
  range,
  SMALL_RING,
  temporaryLog,
  until,
  workerAfter,
} from '../support.js';

/** What the log publishes, once it does, `undefined` before. */
function published(directory: string): PublishedStats | undefined {
  const path = join(directory, 'ringwal.stats');
  if (!existsSync(path)) return undefined;
  const stats = decodeStats(readFileSync(path));
  // It is being written over.
  return 'fault' in stats ? undefined : stats;
}

/** Durable appends, one after the other, until the log has published figures that `suffice`. */
async function appendUntil(
  wal: Wal,
  directory: string,
  suffice: (stats: PublishedStats) => boolean,
): Promise<PublishedStats> {
  for (;;) {
    await wal.append('x', { durable: true });
    const stats = published(directory);
    if (stats !== undefined && suffice(stats)) return stats;
  }
}

test('a log that works publishes what stats() says, with the ring of each lane, and nothing once it is closed', async (t) => {
  const log = temporaryLog(t);
  const wal = await openLog(t, log);
  const attachment = wal.attachment();
  const lane = await Wal.attach(attachment);
  await lane.append('from another lane', { durable: true });
  const openedMs = Date.now();
  const stats = await appendUntil(wal, log, () => true);
  assert.ok(stats.uptimeMs >= 1000);
  assert.ok(Math.abs(stats.publishedMs - openedMs) < 60_000);
  assert.equal(stats.pid, process.pid);
  assert.ok(stats.counters.entries <= wal.stats().entries);
  assert.deepEqual(
    stats.lanes.map(({ index, ringBytes }) => [index, ringBytes]),
    [
      [0, 16 * 2 ** 20],
      [1, 16 * 2 ** 20],
    ],
  );
  await lane.close();
  // At rest it publishes once more: all of it, at one point in time.
  await until(() => published(log)?.counters.lanes === 1);
  const last = published(log);
  const { entries, groups, syncs, groupEntries, writeMicros, syncMicros } = wal.stats();
  assert.deepEqual(
    [last?.counters.entries, last?.counters.groups, last?.counters.syncs, last?.lanes[0]?.entries],
    [entries, groups, syncs, entries - 1],
  );
  assert.deepEqual(
    [last?.groupEntries, last?.writeMicros, last?.syncMicros],
    [groupEntries, writeMicros, syncMicros],
  );
  await wal.close();
  assert.deepEqual(readdirSync(log).sort(), ['ringwal.lock', 'ringwal.state', 'wal-0']);
});

test('what found no room in a ring is published as stats() of its lane has it', async (t) => {
  const log = temporaryLog(t);
  const wal = await openLog(t, log, { ringSize: SMALL_RING });
  const entry = fill(10_000, 1);
  const stream = wal.createLogStream({ onFull: 'drop' });
  while (wal.stats().refused === 0) wal.tryAppend(entry);
  await wal.ready(entry.length);
  while (wal.stats().queued === 0) wal.append(entry).catch(() => {});
  while (wal.stats().droppedLines === 0) stream.write(`${'x'.repeat(9_000)}\n`);
  stream.end();
  await finished(stream);
  await appendUntil(wal, log, () => true);
  // At rest it publishes once more.
  await until(() => published(log)?.counters.entries === wal.stats().entries);
  const { refused, queued, waits, droppedLines } = wal.stats();
  const lane = published(log)?.lanes[0];
  assert.deepEqual(
    [lane?.refused, lane?.queued, lane?.waits, lane?.dropped],
    [refused, queued, waits, droppedLines],
  );
  await wal.close();
});

test('what a killed process has published goes at the next open, and nobody takes it for anything else', async (t) => {
  const log = temporaryLog(t);
  const child = await publishingChild(t, log);
  child.process.kill('SIGKILL');
  const lastLsn = Number(/published (\d+)/.exec((await child.ended).stdout)?.[1]);
  assert.equal(published(log)?.pid, child.process.pid);
  const { verdict, foreignFiles } = await Wal.verify(log);
  assert.deepEqual([verdict, foreignFiles], ['clean', []]);
  const reader = await Wal.open(log, { readOnly: true });
  assert.equal(reader.lastLsn, lastLsn);
  await reader.close();
  assert.ok(published(log), 'readers leave it alone');
  const wal = await openLog(t, log);
  assert.equal(published(log), undefined);
  assert.deepEqual(wal.recovery.foreignFiles, []);
  assert.deepEqual(await lsns(wal.entries()), range(1, lastLsn));
});

test('a stats file of nonsense keeps nobody from opening, repairing or reading a log', async (t) => {
  for (const bytes of [Buffer.alloc(0), Buffer.alloc(1 << 20, 0xff), Buffer.from('WALG')]) {
    const log = temporaryLog(t);
    await makeLog(log, ['a', 'b']);
    writeFileSync(join(log, 'ringwal.stats'), bytes);
    assert.equal((await Wal.verify(log)).verdict, 'clean');
    assert.deepEqual((await Wal.repair(log, { mode: 'salvage' })).changedSegments, []);
    const wal = await openLog(t, log);
    assert.deepEqual(await lsns(wal.entries()), [1, 2]);
    assert.deepEqual(wal.recovery.foreignFiles, []);
    await wal.close();
    assert.ok(!existsSync(join(log, 'ringwal.stats')));
  }
});

test('where it cannot publish, onError hears of it once, and the log goes on', async (t) => {
  const log = temporaryLog(t);
  await makeLog(log, ['a']);
  mkdirSync(join(log, 'ringwal.stats'));
  const folder = temporaryDirectory(t);
  const attempts = join(folder, 'attempts');
  writeFileSync(attempts, '');
  const workerUrl = workerAfter(
    folder,
    `import fs from 'node:fs';
    import { syncBuiltinESMExports } from 'node:module';
    const { openSync } = fs;
    fs.openSync = (path, ...rest) => {
      if (String(path).endsWith('ringwal.stats')) fs.appendFileSync(${JSON.stringify(attempts)}, '.');
      return openSync(path, ...rest);
    };
    syncBuiltinESMExports();`,
  );
  const errors: WalError[] = [];
  const wal = await openLog(t, log, { workerUrl, onError: (error) => errors.push(error) });
  // It tries again, and close() brings word of every attempt.
  while (statSync(attempts).size < 2) await wal.append('x', { durable: true });
  await wal.close();
  assert.deepEqual(
    errors.map(({ code, path, message }) => [code, path, /^Cannot publish the figures/.test(message)]),
    [['ERR_WAL_IO', join(log, 'ringwal.stats'), true]],
  );
});
