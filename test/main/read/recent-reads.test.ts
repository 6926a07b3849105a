import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AsyncFile } from '../../../src/files/async-file.js';
import { CheckpointList } from '../../../src/main/checkpoints/checkpoint-list.js';
import { systemEngine } from '../../../src/main/log/log-engine.js';
import { LiveView } from '../../../src/main/read/live-view.js';
import { RecentReads } from '../../../src/main/read/recent-reads.js';
import type { SegmentInfo } from '../../../src/protocol/reports.js';
import { createLogStatus, LogStatus } from '../../../src/ring/log-status.js';
import { fill, freshLog, openLog } from '../support.js';

const MIB = 1024 * 1024;

function segment(number: number, firstLsn: number, bytes: number): SegmentInfo {
  return { number, path: `wal-${number}`, firstLsn, lastLsn: firstLsn + 9, bytes, createdMs: 0 };
}

/** Whether the event loop has gone on while `work` was under way. */
async function takesTurns(work: () => Promise<unknown>): Promise<boolean> {
  let hasTurned = false;
  const immediate = setImmediate(() => {
    hasTurned = true;
  });
  await work();
  clearImmediate(immediate);
  return hasTurned;
}

test('get() of what this process wrote needs no turn of the event loop, once the way there is known and the file open', async (t) => {
  const wal = await freshLog(t);
  for (let i = 0; i < 1000; i++) await wal.append(fill(100, i));
  const get = async () => assert.deepEqual(Buffer.from((await wal.get(700))?.data ?? []), fill(100, 699));
  // On a busy machine a read may be slow, and the next ones go through the pool.
  let rounds = 0;
  while (await takesTurns(get)) assert.ok(rounds++ < 10_000);
});

test('get() of what was there before this process never blocks the event loop', async (t) => {
  const wal = await freshLog(t);
  for (let i = 0; i < 1000; i++) await wal.append(fill(100, i));
  await wal.close();
  const again = await openLog(t, wal.directory);
  await again.append('new');
  for (let round = 0; round < 3; round++) assert.equal(await takesTurns(() => again.get(700)), true);
});

test('what was there before this process is old also where the last segment was found empty', () => {
  const status = new LogStatus(createLogStatus());
  status.set('oldestLsn', 1);
  status.set('lastLsn', 10);
  const found = [segment(0, 1, MIB), { ...segment(1, 0, 0), lastLsn: 0 }];
  const { recent } = new LiveView(
    'log',
    status,
    found,
    new Map(),
    { logId: 1n, place: { dev: 0n, ino: 0n }, unnamed: new Map() },
    new CheckpointList(new Map()),
    [],
    () => {},
    () => {},
    systemEngine(undefined),
  );
  assert.equal(recent.include(10, MIB), false);
  assert.equal(recent.include(11, 100), true);
});

test('an entry is recent that this process wrote, with no more than 256 MiB from its segment to the end', () => {
  const recent = new RecentReads(10);
  assert.equal(recent.include(10, MIB), false, 'it was there before');
  assert.equal(recent.include(11, 256 * MIB), true);
  assert.equal(recent.include(11, 256 * MIB + 1), false);
  assert.equal(recent.include(21, undefined), false, 'it is gone');
});

test('after a read that was slow the next few go through the pool, and ever more as long as each one that is tried is slow', async () => {
  const { read, counts, setSlow } = stubbedReads();
  setSlow(true);
  for (const pooled of [8, 16, 32, 64, 128, 256, 512, 1024, 1024]) {
    await read();
    const before = counts.pooled;
    setSlow(false);
    for (let i = 0; i < pooled; i++) await read();
    assert.equal(counts.pooled - before, pooled);
    setSlow(true);
  }
  assert.equal(counts.now, 9);
});

test('reads that are quick again make up for those that were slow', async () => {
  const { read, counts, setSlow } = stubbedReads();
  setSlow(true);
  await read();
  for (let i = 0; i < 8; i++) await read();
  await read();
  setSlow(false);
  for (let i = 0; i < 16 + 24; i++) await read();
  setSlow(true);
  await read();
  setSlow(false);
  const before = counts.now;
  for (let i = 0; i < 8 + 1; i++) await read();
  assert.equal(counts.now - before, 1, 'eight of them went through the pool');
});

/** Reads of a file that is in memory, or is not: then each on this thread takes long. */
function stubbedReads() {
  const counts = { now: 0, pooled: 0 };
  let isSlow = false;
  const file: AsyncFile = {
    path: 'wal-0',
    identity: { dev: 0n, ino: 0n },
    sizeAtOpen: 0,
    async read() {
      counts.pooled += 1;
      return 1;
    },
    readNow() {
      counts.now += 1;
      if (isSlow) clock.ms += 2;
      return 1;
    },
    size: async () => 1,
    isStillNamed: async () => true,
    async close() {},
  };
  const clock = { ms: 0 };
  const recent = new RecentReads(0, () => clock.ms).of(file);
  const target = new Uint8Array(1);
  return {
    counts,
    read: async () => assert.equal(await recent.read(target, 0), 1),
    setSlow: (slow: boolean) => {
      isSlow = slow;
    },
  };
}
