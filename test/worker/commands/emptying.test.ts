import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimulatedDisk } from '../../../src/files/simulation/simulated-disk.js';
import { STATE_FILE } from '../../../src/format/segment-name.js';
import { judgeLog } from '../../../src/format/verdict.js';
import type { WriterOptions } from '../../../src/protocol/thread-data.js';
import { listLog, pendingCutOf, withoutCut } from '../../../src/worker/directory/log-listing.js';
import { readState } from '../../../src/worker/directory/state-store.js';
import { LogFailure } from '../../../src/worker/errors/failure.js';
import { repairLog } from '../../../src/worker/recover/repair.js';
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
import { readFrames } from '../support/segments.js';
import { DIRECTORY, OPTIONS, TestLog } from '../support/test-log.js';

const FIRST_FATE = Number(process.env.RINGWAL_SEED ?? 1);
const FATES = [FIRST_FATE, FIRST_FATE + 1, FIRST_FATE + 2];
const LAST_LSN = 26;

/** Orders that empty the log of 26 entries in 5 segments, or what `truncateBefore` leaves of it. */
const ORDERS = [
  { what: 'truncateAfter(0)', name: 'truncateAfter', lsn: 0, next: 1, floor: 0 },
  { what: 'truncateAfter below a floor', name: 'truncateAfter', lsn: 19, next: 20, floor: 20 },
  { what: 'reset to a higher LSN', name: 'reset', lsn: 1000, next: 1000, floor: 0 },
  { what: 'reset to a lower LSN', name: 'reset', lsn: 3, next: 3, floor: 0 },
  { what: 'reset of a log that begins later', name: 'reset', lsn: 27, next: 27, floor: 20 },
] as const;
type Order = (typeof ORDERS)[number];

for (const order of ORDERS) {
  test(`after ${order.what} the log is empty, the next append gets LSN ${order.next}, and a restart does not change that`, () => {
    const { log, disk, before } = start(order);
    log.lane.command(order.name, order.lsn);
    log.run();
    assert.equal(log.lane.all('command-done').length, order.floor > 0 ? 2 : 1);
    const firstLsn = order.next === 1 ? 0 : order.next;
    const bounds = () => [
      log.status.get('firstLsn'),
      log.status.get('lastLsn'),
      log.status.get('durableLsn'),
    ];
    assert.deepEqual(bounds(), [firstLsn, order.next - 1, order.next - 1]);
    assert.deepEqual(log.frames, []);
    assert.deepEqual(log.segments, [5]);
    assertNothingGone(before, imageOf(disk));
    log.close();
    const again = open(disk);
    const { verdict, firstLsn: first, lastLsn } = again.recovered.report;
    assert.deepEqual([verdict, first, lastLsn], ['clean', firstLsn, order.next - 1]);
    const sequence = again.lane.append('new', Level.durable);
    again.run();
    assert.equal(again.lane.acknowledged('durable').get(sequence), order.next);
    assert.deepEqual([again.status.get('firstLsn'), again.status.get('lastLsn')], [order.next, order.next]);
    again.close();
    assert.equal(judgeFully(disk).verdict, 'clean');
  });

  test(`entries after ${order.what} are of another branch`, () => {
    const { log, disk } = start(order);
    const branch = log.state?.branch;
    log.lane.command(order.name, order.lsn);
    log.lane.append('new', Level.durable);
    log.run();
    const stamp = log.frames[0]?.stamp;
    assert.ok(stamp !== undefined && stamp.branch !== branch && stamp.branch === log.state?.branch);
    log.close();
    disk.unlink(`${DIRECTORY}/${STATE_FILE}`);
    const again = open(disk);
    assert.equal(again.recovered.start.lastLsn, order.next);
    assert.notEqual(again.state?.branch, stamp.branch, 'the lost state file may have told of a cut');
    again.close();
  });

  for (const kind of ['power cut', 'killed process'] as const) {
    test(`after a ${kind} at any operation of ${order.what} the next open finishes it or nothing has happened`, () => {
      forEachCut(order, kind, (disk, before) => {
        const seen = lookAt(disk);
        assert.ok(seen.verdict === 'clean' || seen.verdict === 'torn', seen.verdict);
        const isEmptied = seen.lastLsn !== LAST_LSN || seen.segments.every(({ frames }) => frames === 0);
        assert.equal(seen.lastLsn, isEmptied ? order.next - 1 : LAST_LSN);
        assertNothingGone(before, imageOf(disk));
        // What a reader saw stays so.
        assertGoesOn(disk, isEmptied ? order.next : LAST_LSN + 1, isEmptied);
      });
    });

    test(`after a ${kind} at any operation of ${order.what}, without the state file, the log is whole or a later part, or refused`, () => {
      let refused = 0;
      forEachCut(order, kind, (disk, before) => {
        if (disk.names(DIRECTORY).includes(STATE_FILE)) disk.unlink(`${DIRECTORY}/${STATE_FILE}`);
        disk.syncDirectory(DIRECTORY);
        assertNothingGone(before, imageOf(disk));
        const { verdict, row, lastLsn, trouble } = judgeFully(disk);
        if (verdict === 'corrupt') {
          refused += 1;
          assert.deepEqual([row, lastLsn, trouble?.reason], [4, 0, 'missing-segment']);
          assert.throws(() => open(disk), LogFailure, 'LSN 1 must not be given out again silently');
          repairLog(disk, DIRECTORY, 'truncate', false, OPTIONS.fileMode);
          assertGoesOn(disk, 1, true);
          return;
        }
        assert.equal(lastLsn, LAST_LSN);
        assertGoesOn(disk, LAST_LSN + 1, false);
      });
      assert.ok(refused > 0);
    });
  }

  test(`a power cut at any operation of the open that finishes ${order.what} changes nothing of its end`, () => {
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
          assert.equal(lookAt(disk).lastLsn, order.next - 1);
          assertGoesOn(disk, order.next, true);
          if (!stopped) break;
        }
      },
      4,
    );
  });

  for (const code of ['ENOSPC', 'EIO']) {
    test(`${code} at any operation of ${order.what} changes nothing, or ends the log and the next open finishes it`, () => {
      forEachChange(order, (cut) => {
        const { log, disk } = start(order);
        const at = disk.counts.operations + cut;
        disk.onOperation(({ index, kind }) => {
          if (index !== at) return undefined;
          if (code === 'ENOSPC' && !['open', 'write', 'rename', 'truncate'].includes(kind)) return undefined;
          return { code };
        });
        log.lane.command(order.name, order.lsn);
        log.run();
        disk.onOperation(undefined);
        const isFailed = log.lane.all('failed').length > 0;
        const isRejected = log.lane.all('command-rejected').length > 0;
        if (isRejected) {
          assert.equal(lookAt(disk).lastLsn, LAST_LSN);
          log.lane.append('y'.repeat(300), Level.durable);
          log.lane.append('in the next segment', Level.durable);
          log.run();
          assert.equal(log.lane.acknowledged('durable').size, 2);
        }
        log.lane.close();
        assert.equal(log.run().kind, 'closed');
        assert.deepEqual(disk.openPaths, []);
        if (isRejected) return;
        const { lastLsn, segments } = lookAt(disk);
        const isEmptied = segments.every(({ frames }) => frames === 0);
        assert.ok(isEmptied || isFailed);
        assert.equal(lastLsn, isEmptied ? order.next - 1 : LAST_LSN);
        assertGoesOn(disk, isEmptied ? order.next : LAST_LSN + 1, isEmptied);
      });
    });
  }

  test(`an entry that was acknowledged after ${order.what} survives a power cut, and nothing comes back`, () => {
    for (let fate = FIRST_FATE; fate < FIRST_FATE + 10; fate++) {
      const { log, disk } = start(order, fate);
      log.lane.command(order.name, order.lsn);
      const sequence = log.lane.append('again', Level.durable);
      log.lane.append('not durable');
      log.run();
      assert.equal(log.lane.acknowledged('durable').get(sequence), order.next);
      disk.powerCut();
      const reopened = open(disk);
      assert.deepEqual([reopened.texts[0], reopened.frames[0]?.lsn], ['again', order.next]);
      assert.ok(reopened.frames.length <= 2);
      reopened.close();
    }
  });
}

test('a new log that is reset begins there, and a reset to where a log stands empty changes nothing', () => {
  const log = new TestLog();
  log.syncer.isPrompt = true;
  log.lane.command('reset', 1);
  log.run();
  assert.deepEqual(log.segments, []);
  log.lane.command('reset', 1000);
  log.run();
  assert.deepEqual([log.status.get('firstLsn'), log.status.get('lastLsn')], [1000, 999]);
  const { writes } = { writes: log.disk.counts.operations };
  const state = log.state;
  log.lane.command('reset', 1000);
  log.lane.command('truncateAfter', 999);
  log.run();
  assert.equal(log.lane.all('command-done').length, 4);
  assert.ok(log.disk.counts.operations - writes < 20);
  assert.deepEqual(log.state, state);
  log.lane.append('a', Level.durable);
  log.run();
  assert.equal(log.frames[0]?.lsn, 1000);
  log.close();
});

test('a log is emptied again and again, and its segments have numbers of their own', () => {
  const log = new TestLog({ options: { maxFileSize: 200, preallocate: 'recycle' } });
  log.syncer.isPrompt = true;
  for (let round = 1; round <= 5; round++) {
    log.lane.command('reset', 100 - 10 * round);
    for (let at = 0; at < 6; at++) log.lane.append('x'.repeat(90), Level.durable);
    log.run();
    const next = 100 - 10 * round;
    assert.deepEqual(
      readFrames(log.files, next + 5).map(({ lsn }) => lsn),
      [0, 1, 2, 3, 4, 5].map((at) => next + at),
    );
  }
  log.close();
  assert.equal(judgeFully(log.disk).verdict, 'clean');
});

test('a log whose live segment has no entry yet opens again, wherever power goes while it is emptied', () => {
  for (let fate = FIRST_FATE; fate < FIRST_FATE + 20; fate++) {
    const disk = new SimulatedDisk({ seed: fate });
    const log = new TestLog({ disk, options: { maxFileSize: 400, preallocate: false } });
    const { lane, syncer } = log;
    syncer.isPrompt = true;
    const kept = lane.append('x'.repeat(300), Level.durable);
    log.run();
    // The disk is full, so that the directory is not synced either. Then the last sync before the state file is changed fails.
    disk.onOperation(({ kind, path }) => {
      if (kind === 'write') return { code: 'ENOSPC' };
      return kind === 'syncDirectory' && path === DIRECTORY && disk.names(DIRECTORY).includes('wal-2')
        ? { code: 'EIO' }
        : undefined;
    });
    lane.append('y'.repeat(300), Level.durable);
    log.run();
    assert.deepEqual([lane.acknowledged('durable').get(kept), log.segments], [1, [0, 1]]);
    lane.command('reset', 9);
    log.run();
    disk.onOperation(undefined);
    assert.equal(lane.all('failed').length, 1);
    disk.powerCut();
    const again = open(disk);
    assert.deepEqual(again.texts, ['x'.repeat(300)]);
    again.close();
  }
});

test('a checkpoint never points above the end of a log that was emptied', () => {
  const { log, disk } = start(ORDERS[3]);
  log.lane.command('checkpoint', 20);
  log.lane.command('reset', 3);
  log.run();
  assert.equal(log.status.get('checkpointLsn'), 2);
  log.close();
  assert.equal(open(disk).recovered.start.state.checkpoint, 2);
});

function start({ floor }: Order, fate = FIRST_FATE) {
  const disk = diskOf(intactLog(), fate);
  const log = open(disk);
  if (floor > 0) {
    log.lane.command('truncateBefore', floor);
    log.run();
  }
  return { log, disk, before: imageOf(disk) };
}

function open(disk: SimulatedDisk, options: Partial<WriterOptions> = {}): TestLog {
  const log = new TestLog({ disk, options: { maxFileSize: 400, ...options } });
  log.syncer.isPrompt = true;
  log.run();
  return log;
}

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

/** The log opens, gives out `next`, and is clean after that. */
function assertGoesOn(disk: SimulatedDisk, next: number, isEmpty: boolean): void {
  const log = open(disk);
  const oldest = log.frames[0]?.lsn ?? 0;
  assertHolds(disk, isEmpty ? [] : lsnsOf([[oldest, next - 1]]));
  assert.equal(log.state?.pendingCut, undefined);
  const sequence = log.lane.append('next', Level.durable);
  log.run();
  assert.equal(log.lane.acknowledged('durable').get(sequence), next);
  log.close();
  assert.equal(judgeFully(disk).verdict, 'clean');
}

function forEachCut(
  order: Order,
  kind: 'power cut' | 'killed process',
  check: (disk: SimulatedDisk, before: Map<string, Uint8Array>) => void,
  every = 1,
): void {
  for (const fate of kind === 'power cut' && every === 1 ? FATES : FATES.slice(0, 1)) {
    forEachChange(order, (cut, at) => {
      if (at % every !== 0) return;
      const { log, disk, before } = start(order, fate);
      disk.crashAt(disk.counts.operations + cut);
      log.lane.command(order.name, order.lsn);
      log.run();
      if (kind === 'power cut') disk.powerCut();
      else disk.killProcess();
      try {
        check(disk, before);
      } catch (error) {
        const { stack } = error as Error;
        throw new Error(`stopped at operation ${cut}, fate ${fate}: ${stack}\n${disk.trace}`);
      }
    });
  }
}

/** Calls `visit` with each operation of the order at which what is on the disk may change, and with one after all of them. */
function forEachChange(order: Order, visit: (cut: number, at: number) => void): void {
  const { log, disk } = start(order);
  const first = disk.counts.operations;
  const done = log.lane.all('command-done').length;
  const changes: number[] = [];
  disk.onOperation(({ index, kind }) => {
    if (!['read', 'size', 'list', 'stat', 'close'].includes(kind)) changes.push(index - first);
    return undefined;
  });
  log.lane.command(order.name, order.lsn);
  log.run();
  assert.equal(log.lane.all('command-done').length, done + 1);
  assert.ok(changes.length > 4);
  [...changes, disk.counts.operations - first].forEach(visit);
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
