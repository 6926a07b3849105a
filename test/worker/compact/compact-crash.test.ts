import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SimulatedDisk } from '../../../src/files/simulation/simulated-disk.js';
import { encodeFrame } from '../../../src/format/encode.js';
import { frameChecksumSeed } from '../../../src/format/frame.js';
import type { LsnRange } from '../../../src/format/lsn-set.js';
import { COMPACT_FILE_ASIDE, parseSegmentName, STATE_FILE } from '../../../src/format/segment-name.js';
import { readState } from '../../../src/worker/directory/state-store.js';
import { dataOf, diskOf, imageOf, intactLog, judgeFully } from '../recover/damaged-logs.js';
import { Level } from '../support/lane-client.js';
import { DIRECTORY, TestLog } from '../support/test-log.js';
import { begin, compact, entriesOf, install, lsnsWithout, openLog, write } from './support.js';

const FIRST_FATE = Number(process.env.RINGWAL_SEED ?? 1);
const FATES = [FIRST_FATE, FIRST_FATE + 1, FIRST_FATE + 2];

interface Run {
  readonly where: string;
  readonly segments: readonly number[];
  readonly drop: readonly LsnRange[];
}

const RUNS: readonly Run[] = [
  { where: 'of one segment', segments: [2], drop: [{ first: 14, last: 17 }] },
  {
    where: 'of four segments',
    segments: [0, 1, 2, 3],
    drop: [
      { first: 1, last: 3 },
      { first: 6, last: 20 },
    ],
  },
];

const ALL = lsnsWithout(1, 26, []);

function assertEntries(disk: SimulatedDisk, drop: readonly LsnRange[]): void {
  const { verdict, lastLsn, trouble } = judgeFully(disk);
  assert.equal(verdict, 'clean', JSON.stringify(trouble));
  assert.equal(lastLsn, 26);
  const entries = entriesOf(disk);
  const lsns = [...entries.keys()];
  const kept = lsnsWithout(1, 26, drop);
  assert.ok(lsns.length === ALL.length || lsns.length === kept.length, lsns.join());
  assert.deepEqual(lsns, lsns.length === ALL.length ? ALL : kept);
  for (const [lsn, data] of entries) assert.deepEqual(Buffer.from(data), Buffer.from(dataOf(lsn)));
}

/** Runs `act` on a fresh log once for each of its operations, which is the one that it is stopped before. */
function forEachStop(
  kind: 'power cut' | 'killed process',
  image: ReturnType<typeof intactLog>,
  act: (disk: SimulatedDisk) => void,
  check: (disk: SimulatedDisk) => void,
): void {
  for (const fate of kind === 'power cut' ? FATES : [FIRST_FATE]) {
    for (let operation = 0; ; operation++) {
      const disk = diskOf(image, fate + operation);
      const at = disk.counts.operations + operation;
      disk.crashAt(at);
      try {
        act(disk);
      } catch (error) {
        if (disk.counts.operations <= at) throw error;
      }
      if (disk.counts.operations <= at) break;
      if (kind === 'power cut') disk.powerCut();
      else disk.killProcess();
      check(disk);
    }
  }
}

for (const run of RUNS) {
  for (const kind of ['power cut', 'killed process'] as const) {
    test(`after a ${kind} at any operation of a run ${run.where} the log has all entries or those that are kept, and the next open cleans up`, () => {
      forEachStop(
        kind,
        intactLog(),
        (disk) => compact(openLog(disk), run.segments, run.drop),
        (disk) => {
          assertEntries(disk, run.drop);
          const before = [...entriesOf(disk).keys()];
          openLog(disk).close();
          assert.ok(!disk.names(DIRECTORY).includes(COMPACT_FILE_ASIDE));
          assertEntries(disk, run.drop);
          assert.deepEqual([...entriesOf(disk).keys()], before);
          const numbers = disk.names(DIRECTORY).flatMap((name) => parseSegmentName(name) ?? []);
          assert.deepEqual(judgeFully(disk).covered, []);
          assert.ok(numbers.length === 5 || numbers.length === 5 - run.segments.length + 1, numbers.join());
        },
      );
    });

    test(`the same for a run ${run.where} (${kind}) without the state file`, () => {
      forEachStop(
        kind,
        intactLog(),
        (disk) => compact(openLog(disk), run.segments, run.drop),
        (disk) => {
          if (disk.names(DIRECTORY).includes(STATE_FILE)) disk.unlink(`${DIRECTORY}/${STATE_FILE}`);
          disk.syncDirectory(DIRECTORY);
          assertEntries(disk, run.drop);
        },
      );
    });
  }
}

test('no fate of the names that the swap changes loses an entry: power goes at each of its operations', () => {
  const [, run] = RUNS as [Run, Run];
  let lasts = 0;
  for (let operation = 0; operation < 24; operation++) {
    for (let fate = FIRST_FATE; fate < FIRST_FATE + 40; fate++) {
      const disk = diskOf(intactLog(), 1000 * fate + operation);
      const log = openLog(disk);
      const written = write(log, run.segments, run.drop);
      const at = disk.counts.operations + operation;
      disk.crashAt(at);
      try {
        install(log, written);
      } catch (error) {
        if (disk.counts.operations <= at) throw error;
      }
      lasts += disk.counts.operations <= at ? 1 : 0;
      disk.powerCut();
      log.dispose();
      assertEntries(disk, run.drop);
    }
  }
  assert.ok(lasts > 0, 'the swap has more operations');
});

for (const kind of ['power cut', 'killed process'] as const) {
  test(`after a ${kind} at any operation of an erasure of the newest entries no LSN is given out again`, () => {
    const drop = [{ first: 21, last: 26 }];
    forEachStop(
      kind,
      intactLog(),
      (disk) => {
        const log = openLog(disk);
        const { cuts } = begin(log, true);
        const run = write(log, [3, 4], drop);
        assert.deepEqual(install(log, run, cuts, true), { installed: true });
      },
      (disk) => {
        assertEntries(disk, drop);
        const log = openLog(disk);
        assert.equal(log.status.get('lastLsn'), 26);
        const sequence = log.lane.append('next', Level.durable);
        log.run();
        assert.equal(log.lane.acknowledged('durable').get(sequence), 27);
        log.close();
        assert.equal(judgeFully(disk).verdict, 'clean');
        assert.deepEqual(judgeFully(disk).covered, []);
      },
    );
  });
}

test('a power cut at any operation of the open that removes what a merged segment stands for changes no entry', () => {
  const [, run] = RUNS as [Run, Run];
  const left = leftovers(run);
  forEachStop(
    'power cut',
    left,
    (disk) => openLog(disk),
    (disk) => {
      assertEntries(disk, run.drop);
      openLog(disk).close();
      assertEntries(disk, run.drop);
      assert.deepEqual(judgeFully(disk).covered, []);
    },
  );
});

/** The log after the rename, with all of the files that the new segment stands for. */
function leftovers(run: Run): ReturnType<typeof intactLog> {
  const disk = diskOf(intactLog());
  const log = openLog(disk);
  compact(log, run.segments, run.drop);
  log.close();
  const image = imageOf(disk);
  const before = intactLog();
  for (const number of run.segments.slice(1))
    image.set(`wal-${number}`, before.get(`wal-${number}`) as Uint8Array);
  return image;
}

test('what a merged segment stands for stays, and the log is refused, if the merged segment is damaged', () => {
  const [, run] = RUNS as [Run, Run];
  const image = leftovers(run);
  const merged = image.get('wal-0') as Uint8Array;
  merged[merged.length - 8] = (merged[merged.length - 8] as number) ^ 1;
  const disk = diskOf(image);
  assert.throws(() => new TestLog({ disk }), /ERR_WAL_CORRUPT|cannot open|Cannot open/i);
  for (const name of image.keys()) assert.ok(disk.names(DIRECTORY).includes(name), name);
});

test('a covered segment that begins after the merged one ends is not removed, and the log is refused', () => {
  const [, run] = RUNS as [Run, Run];
  const image = leftovers(run);
  const state = readState(diskOf(image), DIRECTORY);
  assert.ok(state !== undefined && 'logId' in state);
  const { logId } = state;
  const segment = { logId, number: 2, createdMs: 1, recycled: false, branch: 0n };
  const checksumSeed = frameChecksumSeed(logId, 2);
  const data = Buffer.from('not accounted for');
  image.set('wal-2', encodeFrame({ lsn: 25, syncedLsn: 24, data, segment, checksumSeed, fileOffset: 0 }));
  const disk = diskOf(image);
  assert.throws(() => new TestLog({ disk }), /wal-2/);
  assert.ok(disk.names(DIRECTORY).includes('wal-2'));
});

for (const code of ['ENOSPC', 'EIO', 'EACCES']) {
  test(`${code} at any operation of a run leaves all entries or those that are kept, and the log goes on or ends`, () => {
    const [, run] = RUNS as [Run, Run];
    for (let operation = 0; ; operation++) {
      const disk = diskOf(intactLog());
      const log = openLog(disk);
      const at = disk.counts.operations + operation;
      let hasFailed = false;
      disk.onOperation(({ index, kind }) => {
        if (index !== at) return undefined;
        if (code === 'ENOSPC' && !['open', 'write', 'rename', 'truncate'].includes(kind)) return undefined;
        hasFailed = true;
        return { code };
      });
      let error: unknown;
      try {
        const { cuts } = begin(log);
        install(log, write(log, run.segments, run.drop), cuts);
      } catch (thrown) {
        error = thrown;
      }
      const isOver = disk.counts.operations <= at;
      disk.onOperation(undefined);
      log.lane.hear();
      const isFailed = log.lane.all('failed').length > 0;
      log.lane.close();
      log.run();
      log.dispose();
      assertEntries(disk, run.drop);
      openLog(disk).close();
      assertEntries(disk, run.drop);
      assert.deepEqual(judgeFully(disk).covered, []);
      if (error === undefined && !isFailed && !hasFailed && isOver) break;
    }
  });
}
