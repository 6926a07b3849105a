import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import { type SegmentInfo, Wal, WalError } from '#ringwal';
import { openForReading } from '../../../src/files/async-file.js';
import { systemSnapshotJobs } from '../../../src/main/jobs/snapshot-jobs.js';
import type { LogView } from '../../../src/main/read/log-view.js';
import { readBatches, readEntries } from '../../../src/main/read/read-log.js';
import { Readers } from '../../../src/main/read/readers.js';
import { SegmentList } from '../../../src/main/read/segment-list.js';
import { SnapshotFiles } from '../../../src/main/read/snapshot-files.js';
import { SparseIndexes } from '../../../src/main/read/sparse-index.js';
import { LogTimes } from '../../../src/main/read/time-index.js';
import { makeLog, range, temporaryLog, walError } from '../support.js';

/**
 * A view whose log loses its oldest segment, as retention would take it, right before the `at`-th time somebody asks for
 * `firstLsn`, from then on each time until one segment is left.
 */
async function shrinkingView(directory: string, at: number): Promise<LogView> {
  const { segments: all } = await Wal.verify(directory);
  let segments = all.map(({ number, path, firstLsn, lastLsn, bytes }) => ({
    number,
    path,
    firstLsn,
    lastLsn,
    bytes,
    createdMs: 0,
  }));
  const lastLsn = segments.at(-1)?.lastLsn ?? 0;
  let asked = 0;
  return {
    directory,
    get firstLsn() {
      asked += 1;
      const oldest = segments[0];
      if (asked >= at && oldest !== undefined && segments.length > 1) {
        rmSync(oldest.path);
        segments = segments.slice(1);
      }
      return segments[0]?.firstLsn ?? 0;
    },
    lastLsn,
    durableLsn: lastLsn,
    segments: () => segments,
    checkpoints: () => new Map(),
    truncations: [],
    indexes: new SparseIndexes(),
    times: new LogTimes(),
    wallMs: () => Date.now(),
    openForReading,
    snapshots: () => [],
    snapshotJobs: systemSnapshotJobs(undefined),
    snapshotFiles: new SnapshotFiles(openForReading),
    files: undefined,
    recent: undefined,
    decoded: undefined,
    logId: undefined,
    ...lookups(() => segments),
    bytesFrom: () => undefined,
    async proveOwn() {},
    readers: readersOfFiles(),
    async waitForWatermark() {},
    isClosed: false,
    assertOpen() {},
    async close() {},
  };
}

function lookups(
  segments: () => readonly SegmentInfo[],
): Pick<LogView, 'segmentOf' | 'segmentAfter' | 'segmentBefore'> {
  const list = () => new SegmentList(segments());
  return {
    segmentOf: (lsn) => list().holderOf(lsn),
    segmentAfter: (number) => list().after(number),
    segmentBefore: (number) => list().before(number),
  };
}

/** As of a log that another process may write. */
function readersOfFiles(): Readers {
  return new Readers({
    open: async ({ path }, lsn) => {
      try {
        return await openForReading(path);
      } catch (cause) {
        throw new WalError('ERR_WAL_PURGED', `${path} is gone`, { lsn, cause });
      }
    },
    pin: () => true,
    assertOpen() {},
  });
}

async function readAll(batches: ReturnType<typeof readBatches>): Promise<number[]> {
  const found: number[] = [];
  for await (const batch of batches) found.push(...batch.map(({ lsn }) => lsn));
  return found;
}

for (const at of [1, 2, 3, 4]) {
  test(`who reads from the start is not told of retention that overtook him at look ${at}`, async (t) => {
    const directory = temporaryLog(t);
    await makeLog(
      directory,
      range(1, 400).map((i) => `entry ${i} ${'x'.repeat(50)}`),
      { maxFileSize: 4096 },
    );
    const found = await readAll(readBatches(await shrinkingView(directory, at), {}));
    assert.equal(found.at(-1), 400);
    assert.deepEqual(found, range(found[0] ?? 0, 400));
  });
}

test('who names an entry that retention removes meanwhile is told so', async (t) => {
  const directory = temporaryLog(t);
  await makeLog(
    directory,
    range(1, 400).map((i) => `entry ${i} ${'x'.repeat(50)}`),
    { maxFileSize: 4096 },
  );
  await assert.rejects(
    readAll(readBatches(await shrinkingView(directory, 1), { from: 1 })),
    walError('ERR_WAL_PURGED', { lsn: 1 }),
  );
});

for (const read of [readBatches, (view: LogView) => readEntries(view, { reverse: true })]) {
  test(`a reader ${read === readBatches ? 'forwards' : 'backwards'} that a cut overtakes before word of it comes is told of the cut, not of a missing entry`, async (t) => {
    const directory = temporaryLog(t);
    await makeLog(
      directory,
      range(1, 400).map((i) => `entry ${i} ${'x'.repeat(50)}`),
      { maxFileSize: 4096 },
    );
    let isCut = false;
    const whole = await shrinkingView(directory, Number.POSITIVE_INFINITY);
    const view: LogView = {
      ...whole,
      firstLsn: 1,
      // As of a live log whose writer has lowered its last LSN: the live segment is seen to hold nothing.
      get lastLsn() {
        return isCut ? 1 : whole.lastLsn;
      },
      ...lookups(() =>
        whole.segments().flatMap((segment, at, all) => {
          if (!isCut || at === 0) return [segment];
          return at === all.length - 1 ? [{ ...segment, firstLsn: 0, lastLsn: 0 }] : [];
        }),
      ),
    };
    const reader = read(view, {});
    await reader.next();
    isCut = true;
    await assert.rejects(async () => {
      while (!(await reader.next()).done);
    }, walError('ERR_WAL_TRUNCATED'));
  });
}
