import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fill, freshLog, openLog, SMALL_RING } from '../support.js';

test('stats() counts what was taken, written, synced and rotated', async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING, maxFileSize: 8192 });
  const NONE = { count: 0, sum: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0, buckets: [] };
  const { uptimeMs, recovered, ...fresh } = wal.stats();
  assert.ok(uptimeMs > 0 && recovered.durationMs > 0);
  assert.deepEqual(fresh, {
    accepted: 0,
    lost: 0,
    ringBytes: SMALL_RING,
    ringUsed: 0,
    pendingBytes: 0,
    unsettled: 0,
    refused: 0,
    queued: 0,
    waits: 0,
    droppedLines: 0,
    failure: undefined,
    entries: 0,
    payloadBytes: 0,
    frameBytes: 0,
    compression: { blocks: 0, rawBytes: 0, storedBytes: 0, misses: 0 },
    groups: 0,
    groupEntries: NONE,
    writeMicros: NONE,
    syncs: 0,
    syncMicros: NONE,
    retries: 0,
    rotations: 0,
    segmentsRemoved: 0,
    rejected: 0,
    firstLsn: 0,
    lastLsn: 0,
    durableLsn: 0,
    checkpointLsn: 0,
    checkpoints: [],
    archive: undefined,
    replica: undefined,
    backups: {
      running: 0,
      completed: 0,
      failed: 0,
      lastLsn: 0,
      lastMs: 0,
      ageMs: 0,
      lastBytes: 0,
      lastDurationMs: 0,
    },
    segments: 0,
    segmentBytes: 0,
    readers: { open: 0, pinnedLsn: 0, pinnedMs: 0 },
    snapshots: {
      count: 0,
      totalBytes: 0,
      newestLsn: 0,
      newestBytes: 0,
      newestMs: 0,
      newestAgeMs: 0,
      written: 0,
      failures: 0,
    },
    lanes: { open: 1, pooled: 0, reused: 0, gone: 0 },
    allLanes: { fullestRingUsed: 0, lost: 0, refused: 0, queued: 0, waits: 0, droppedLines: 0 },
  });
  for (let i = 0; i < 20; i++) await wal.append(fill(1000, i));
  await wal.appendBatch(['a', 'bc']);
  wal.tryAppend('def');
  await wal.append(fill(SMALL_RING, 1));
  await wal.sync();
  const stats = wal.stats();
  assert.deepEqual(
    [stats.accepted, stats.entries, stats.payloadBytes, stats.lastLsn, stats.durableLsn, stats.unsettled],
    [24, 24, 20_006 + SMALL_RING, 24, 24, 0],
  );
  assert.deepEqual([stats.ringUsed, stats.pendingBytes, stats.lost, stats.rejected], [0, 0, 0, 0]);
  assert.equal(stats.rotations, wal.segments().length - 1);
  assert.ok(stats.syncs >= 1 && stats.groups >= 1);
  const bytes = wal.segments().map(({ path }) => readFileSync(path).length);
  assert.equal(
    stats.frameBytes,
    bytes.reduce((sum, each) => sum + each, 0),
  );
  await wal.close();
  const again = await openLog(t, wal.directory);
  assert.deepEqual([again.stats().entries, again.stats().lastLsn], [0, 24]);
});

test('recovery tells what opening found', async (t) => {
  const wal = await freshLog(t);
  const { recovery } = wal;
  assert.ok(recovery.durationMs >= 0);
  assert.deepEqual(
    [recovery.row, recovery.verdict, recovery.cut, recovery.postponed],
    [5, 'clean', undefined, undefined],
  );
  assert.deepEqual([recovery.watermark, recovery.firstLsn, recovery.lastLsn], [0, 0, 0]);
  assert.deepEqual([recovery.segments, recovery.rewrittenBytes, recovery.foreignFiles], [0, 0, []]);
});
