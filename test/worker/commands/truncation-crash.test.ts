import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SimulatedDisk } from '../../../src/files/simulation/simulated-disk.js';
import { STATE_FILE } from '../../../src/format/segment-name.js';
import { judgeLog } from '../../../src/format/verdict.js';
import type { LogCommand } from '../../../src/protocol/lane-messages.js';
import type { WriterOptions } from '../../../src/protocol/thread-data.js';
import { listLog, pendingCutOf, withoutCut } from '../../../src/worker/directory/log-listing.js';
import { readState } from '../../../src/worker/directory/state-store.js';
import {
  assertHolds,
  assertNothingGone,
  diskOf,
  imageOf,
  intactLog,
  judgeFully,
  lsnsOf,
} from '../recover/damaged-logs.js';
import { Level } from '../support/lane-client.js';
import { DIRECTORY, TestLog } from '../support/test-log.js';

const FIRST_FATE = Number(process.env.RINGWAL_SEED ?? 1);
const FATES = [FIRST_FATE, FIRST_FATE + 1, FIRST_FATE + 2];
const LAST_LSN = 26;

interface Order {
  readonly name: LogCommand['name'];
  readonly lsn: number;
  readonly where: string;
  readonly splitBatch?: boolean;
}

const CUTS: readonly Order[] = [
  { name: 'truncateAfter', lsn: 25, where: 'inside the live segment' },
  { name: 'truncateAfter', lsn: 10, where: 'across many segments' },
  { name: 'truncateAfter', lsn: 18, where: 'at the end of a sealed segment' },
  { name: 'truncateAfter', lsn: 24, where: 'right before the live segment' },
  { name: 'truncateAfter', lsn: 15, where: 'inside a batch', splitBatch: true },
  {
    name: 'truncateAfter',
    lsn: 6,
    where: 'inside a batch whose rest is in the next segment',
    splitBatch: true,
  },
  {
    name: 'truncateAfter',
    lsn: 7,
    where: 'inside a batch that began in the segment before',
    splitBatch: true,
  },
];
const REMOVALS: readonly Order[] = [
  { name: 'truncateBefore', lsn: 19, where: 'three segments' },
  { name: 'truncateBefore', lsn: 27, where: 'all but the live segment' },
];
const CHECKPOINT: Order = { name: 'checkpoint', lsn: 12, where: '' };

for (const order of CUTS) {
  for (const kind of ['power cut', 'killed process'] as const) {
    test(`after a ${kind} at any operation of truncateAfter ${order.where} the next open finishes it or nothing has happened`, () => {
      forEachCut(order, kind, (disk, before) => {
        const seen = lookAt(disk);
        assert.ok(seen.lastLsn === LAST_LSN || seen.lastLsn === order.lsn);
        assertNothingGone(before, imageOf(disk));
        // What a reader saw stays so.
        assertOpensWith(disk, lsnsOf([[1, seen.lastLsn]]));
      });
    });

    test(`after a ${kind} at any operation of truncateAfter ${order.where} the log is a prefix that holds what stays, without the state file too`, () => {
      forEachCut(order, kind, (disk, before) => {
        if (disk.names(DIRECTORY).includes(STATE_FILE)) disk.unlink(`${DIRECTORY}/${STATE_FILE}`);
        disk.syncDirectory(DIRECTORY);
        assertNothingGone(before, imageOf(disk));
        const { verdict, lastLsn } = judgeFully(disk);
        assert.ok(verdict === 'clean' || verdict === 'torn', verdict);
        assert.ok(lastLsn >= order.lsn && lastLsn <= LAST_LSN);
        assertOpensWith(disk, lsnsOf([[1, lastLsn]]));
      });
    });
  }

  test(`a power cut at any operation of the open that finishes truncateAfter ${order.where} changes nothing of its end`, () => {
    forEachCut(
      order,
      'power cut',
      (interrupted) => {
        if (readStateOf(interrupted)?.pendingCut === undefined) return;
        const image = imageOf(interrupted);
        for (let cut = 0; ; cut++) {
          const disk = diskOf(image, FIRST_FATE + cut);
          const stopped = stops(disk, cut, () => open(disk));
          disk.powerCut();
          assert.equal(lookAt(disk).lastLsn, order.lsn);
          assertOpensWith(disk, lsnsOf([[1, order.lsn]]));
          if (!stopped) break;
        }
      },
      4,
    );
  });

  for (const code of ['ENOSPC', 'EIO']) {
    test(`${code} at any operation of truncateAfter ${order.where} changes nothing, or ends the log and the next open finishes it`, () => {
      forEachChange(order, (cut) => {
        const { log, disk, before } = startLog();
        const at = disk.counts.operations + cut;
        disk.onOperation(({ index, kind }) => {
          if (index !== at) return undefined;
          if (code === 'ENOSPC' && !['open', 'write', 'rename', 'truncate'].includes(kind)) return undefined;
          return { code };
        });
        log.lane.command(order.name, order.lsn, order.splitBatch);
        log.run();
        disk.onOperation(undefined);
        const isFailed = log.lane.all('failed').length > 0;
        const isRejected = log.lane.all('command-rejected').length > 0;
        if (isRejected) {
          assert.equal(lookAt(disk).lastLsn, LAST_LSN);
          log.lane.append('goes on', Level.durable);
          log.run();
          assert.equal(log.lane.acknowledged('durable').size, 1);
          assert.equal(log.frames.at(-1)?.lsn, LAST_LSN + 1);
        }
        log.lane.close();
        assert.equal(log.run().kind, 'closed');
        assert.deepEqual(disk.openPaths, []);
        assertNothingGone(isRejected ? new Map() : before, imageOf(disk));
        if (isRejected) return;
        const { lastLsn } = lookAt(disk);
        assert.ok(lastLsn === order.lsn || (isFailed && lastLsn === LAST_LSN));
        assertOpensWith(disk, lsnsOf([[1, lastLsn]]));
      });
    });
  }
}

for (const order of REMOVALS) {
  for (const kind of ['power cut', 'killed process'] as const) {
    test(`after a ${kind} at any operation of truncateBefore (${order.where}) the log has no hole and all that stays`, () => {
      forEachCut(order, kind, (disk) => {
        const { verdict, firstLsn, lastLsn, segments } = judgeFully(disk);
        assert.equal(verdict, 'clean');
        assert.ok((firstLsn === 1 || firstLsn === order.lsn) && lastLsn === LAST_LSN);
        const oldest = segments[0]?.firstLsn ?? 0;
        assert.ok(
          oldest <= order.lsn && (oldest === 1 || firstLsn === order.lsn),
          'removed before it was given up',
        );
        // The open removes what the crash kept from being removed.
        open(disk).close();
        const { firstLsn: now, segments: left } = judgeFully(disk);
        assert.equal(now, firstLsn);
        const kept = left[0]?.firstLsn ?? 0;
        assert.ok(kept >= oldest && kept <= firstLsn);
        assertOpensWith(disk, lsnsOf([[kept, lastLsn]]));
      });
    });
  }
}

for (const kind of ['power cut', 'killed process'] as const) {
  test(`after a ${kind} at any operation of checkpoint it is the old one or the new one`, () => {
    forEachCut(CHECKPOINT, kind, (disk) => {
      const log = open(disk);
      assert.ok([0, CHECKPOINT.lsn].includes(log.recovered.start.state.checkpoint));
      log.close();
      assertHolds(disk, lsnsOf([[1, LAST_LSN]]));
    });
  });
}

test('a checkpoint that was acknowledged survives a power cut', () => {
  for (const fate of FATES) {
    const { log, disk } = startLog(fate);
    log.lane.command('checkpoint', 12);
    log.run();
    assert.equal(log.lane.all('command-done').length, 1);
    disk.powerCut();
    assert.equal(open(disk).recovered.start.state.checkpoint, 12);
  }
});

test('an entry that was acknowledged after truncateAfter survives a power cut, and what was cut does not come back', () => {
  for (const { lsn, splitBatch } of CUTS) {
    for (let fate = FIRST_FATE; fate < FIRST_FATE + 10; fate++) {
      const { log, disk } = startLog(fate);
      log.lane.command('truncateAfter', lsn, splitBatch);
      const sequence = log.lane.append('again', Level.durable);
      log.lane.append('not durable');
      log.run();
      assert.equal(log.lane.acknowledged('durable').get(sequence), lsn + 1);
      disk.powerCut();
      const reopened = open(disk);
      assert.equal(reopened.texts[lsn], 'again');
      assert.ok(reopened.frames.length <= lsn + 2);
      reopened.close();
      assert.equal(judgeFully(disk).verdict, 'clean');
    }
  }
});

function forEachCut(
  order: Order,
  kind: 'power cut' | 'killed process',
  check: (disk: SimulatedDisk, before: Map<string, Uint8Array>) => void,
  every = 1,
): void {
  for (const fate of kind === 'power cut' && every === 1 ? FATES : FATES.slice(0, 1)) {
    forEachChange(order, (cut, at) => {
      if (at % every !== 0) return;
      const { log, disk, before } = startLog(fate);
      disk.crashAt(disk.counts.operations + cut);
      log.lane.command(order.name, order.lsn, order.splitBatch);
      log.run();
      assert.ok(
        log.lane.all('failed').length > 0 ||
          log.lane.all('command-rejected').length > 0 ||
          log.lane.all('command-done').length > 0,
      );
      if (kind === 'power cut') disk.powerCut();
      else disk.killProcess();
      try {
        check(disk, before);
      } catch (error) {
        throw new Error(
          `stopped at operation ${cut}, fate ${fate}: ${(error as Error).stack}\n${disk.trace}`,
        );
      }
    });
  }
}

/** Calls `visit` with each operation of the order at which what is on the disk may change. */
function forEachChange(order: Order, visit: (cut: number, at: number) => void): void {
  const { log, disk } = startLog();
  const first = disk.counts.operations;
  const changes: number[] = [];
  disk.onOperation(({ index, kind }) => {
    if (!['read', 'size', 'list', 'stat', 'close'].includes(kind)) changes.push(index - first);
    return undefined;
  });
  log.lane.command(order.name, order.lsn, order.splitBatch);
  log.run();
  assert.equal(log.lane.all('command-done').length, 1);
  assert.ok(changes.length > 4);
  changes.forEach(visit);
}

function startLog(fate = FIRST_FATE) {
  const disk = diskOf(intactLog(), fate);
  const before = imageOf(disk);
  return { log: open(disk), disk, before };
}

function open(disk: SimulatedDisk, options: Partial<WriterOptions> = {}): TestLog {
  const log = new TestLog({ disk, options: { maxFileSize: 400, ...options } });
  log.syncer.isPrompt = true;
  log.run();
  return log;
}

/** As src/worker/inspect/inspect.ts does. */
function lookAt(disk: SimulatedDisk) {
  const state = readStateOf(disk);
  const listing = listLog(disk, DIRECTORY);
  return judgeLog({
    segments: withoutCut(listing.segments, pendingCutOf(listing, state)),
    state,
    full: true,
  });
}

function readStateOf(disk: SimulatedDisk) {
  const state = readState(disk, DIRECTORY);
  return state !== undefined && 'logId' in state ? state : undefined;
}

/** The log holds these entries, takes one more, and is clean after that. */
function assertOpensWith(disk: SimulatedDisk, lsns: readonly number[]): void {
  const log = open(disk);
  assertHolds(disk, lsns);
  assert.equal(log.state?.pendingCut, undefined);
  const sequence = log.lane.append('next', Level.durable);
  log.run();
  assert.equal(log.lane.acknowledged('durable').get(sequence), (lsns.at(-1) ?? 0) + 1);
  log.close();
  assert.equal(judgeFully(disk).verdict, 'clean');
}

function stops(disk: SimulatedDisk, cut: number, work: () => void): boolean {
  const at = disk.counts.operations + cut;
  disk.crashAt(at);
  try {
    work();
  } catch (error) {
    if (disk.counts.operations <= at) throw error;
    return true;
  }
  return disk.counts.operations > at;
}
