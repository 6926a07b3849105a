import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { SimulatedDisk } from '../../../src/files/simulation/simulated-disk.js';
import { decodeSalvageMark } from '../../../src/format/salvage-mark.js';
import { decodeState } from '../../../src/format/state-file.js';
import { LogFailure, systemCause } from '../../../src/worker/errors/failure.js';
import { recoverLog } from '../../../src/worker/recover/recovery.js';
import { repairLog } from '../../../src/worker/recover/repair.js';
import { SEED } from '../../seed.js';
import { Level } from '../support/lane-client.js';
import { DIRECTORY, OPTIONS, TestLog } from '../support/test-log.js';
import {
  assertHolds,
  assertNothingGone,
  DAMAGES,
  type Damage,
  damagedLog,
  diskOf,
  type Image,
  imageOf,
  judgeFully,
  lsnsOf,
} from './damaged-logs.js';

/** To try every operation takes a minute. One in so many is tried, and the seed says which. */
const STRIDE = process.env.RINGWAL_CUTS === 'all' ? 1 : 3;
console.log(`repair-crash: every ${STRIDE}. operation, seed ${SEED}`);
/** Chance decides what a power cut leaves of the unsynced. */
const FIRST_FATE = SEED;

const CUT_EVERYWHERE =
  /in the middle of a group|first frame of (a segment|the log)$|middle of a batch that|of which nothing|missing|two damages|live segment zeroed|at the front|moves down/;

const WORKS = [
  { mode: 'truncate', name: 'repair truncate', run: (disk: SimulatedDisk) => repair(disk, 'truncate') },
  { mode: 'salvage', name: 'repair salvage', run: (disk: SimulatedDisk) => repair(disk, 'salvage') },
  { mode: 'truncate', name: 'open point-in-time', run: (disk: SimulatedDisk) => open(disk, 'point-in-time') },
  { mode: 'salvage', name: 'open skip-corrupt', run: (disk: SimulatedDisk) => open(disk, 'skip-corrupt') },
] as const;

type Work = (typeof WORKS)[number];

/** Each kind of repair once: the other damages differ only in where they are. */
const CUT_DAMAGES = DAMAGES.filter(({ name }) => CUT_EVERYWHERE.test(name));

/** What reads changes nothing: a machine that stops there stops before the next change. */
const READS: readonly string[] = ['read', 'size', 'list', 'stat', 'close', 'identity'];
/** Where a failure leaves it open what the next run will find. */
const TURNING_POINTS: readonly string[] = [
  'rename',
  'unlink',
  'truncate',
  'datasync',
  'sync',
  'syncDirectory',
];
const ROOM_TAKERS: readonly string[] = ['open', 'write', 'rename', 'truncate'];

for (const work of WORKS) {
  for (const kind of ['power cut', 'killed process'] as const) {
    test(`after a ${kind} at any operation of ${work.name} the next run comes to the same end`, () => {
      forEachCut(work, 1, (disk, damage, before) => {
        if (kind === 'power cut') disk.powerCut();
        else disk.killProcess();
        assertNothingGone(before, imageOf(disk));
        work.run(disk);
        assertNothingGone(before, imageOf(disk));
        assertEnd(disk, damage, work);
      });
    });
  }

  test(`ENOSPC at any operation of ${work.name} changes nothing that the next run does not bring to its end`, () => {
    forEachChange(work, ROOM_TAKERS, (damage, change) => {
      const { image, before } = damagedLog(damage);
      const disk = diskOf(image);
      const at = disk.counts.operations + change;
      disk.onOperation(({ index }) => (index === at ? { code: 'ENOSPC' } : undefined));
      try {
        work.run(disk);
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'ENOSPC');
      }
      disk.onOperation(undefined);
      assertNothingGone(before, imageOf(disk));
      assert.deepEqual(disk.openPaths, []);
      work.run(disk);
      assertEnd(disk, damage, work);
    });
  });
}

for (const work of WORKS.slice(0, 2)) {
  test(`after EIO at any turning point of ${work.name} and a power cut the next run comes to the same end, and no byte is gone`, () => {
    forEachChange(work, TURNING_POINTS, (damage, change, at) => {
      const { image, before } = damagedLog(damage);
      const disk = diskOf(image, FIRST_FATE + at);
      const failing = disk.counts.operations + change;
      disk.onOperation(({ index }) => (index === failing ? { code: 'EIO' } : undefined));
      try {
        work.run(disk);
      } catch (error) {
        assert.equal(systemCause(error).code ?? (error as LogFailure).failure.cause?.code, 'EIO');
      }
      disk.onOperation(undefined);
      assertNothingGone(before, imageOf(disk));
      disk.powerCut();
      try {
        work.run(disk);
        assertNothingGone(before, imageOf(disk));
        assertEnd(disk, damage, work);
      } catch (error) {
        throw new Error(`${damage.name}: EIO at ${change}: ${(error as Error).stack}\n${disk.trace}`);
      }
    });
  });

  test(`after power cuts at an operation of ${work.name} and at one of the next run the third comes to the same end`, () => {
    forEachCut(work, 1, (disk, damage, before, at) => {
      disk.powerCut();
      // Another place for each of the first.
      stops(disk, (at * 17) % 120, () => work.run(disk));
      disk.powerCut();
      work.run(disk);
      assertNothingGone(before, imageOf(disk));
      assertEnd(disk, damage, work);
    });
  });

  test(`after a power cut at any operation of ${work.name} a strict open refuses the log as before, or it is at its end`, () => {
    forEachCut(work, 2, (disk, damage) => {
      disk.powerCut();
      try {
        recoverLog(disk, OPTIONS);
      } catch (error) {
        assert.ok(error instanceof LogFailure && error.failure.code === 'ERR_WAL_CORRUPT', String(error));
        assert.ok(!damage.escapesOpen);
        return;
      }
      // What open does not read may be as damaged as it was.
      if (damage.escapesOpen && judgeFully(disk).verdict === 'corrupt') return;
      assertEnd(disk, damage, work);
    });
  });
}

test('a salvage whose intent may be on the disk is finished by the next run, whatever a power cut leaves', () => {
  const damage = DAMAGES.find(({ name }) => name === 'the live segment zeroed') as Damage;
  const [, salvage] = WORKS;
  for (const failing of changesOf(damage, salvage, ['syncDirectory'])) {
    for (let fate = 0; fate < 16; fate++) {
      const disk = diskOf(damagedLog(damage).image, fate);
      const at = disk.counts.operations + failing;
      disk.onOperation(({ index }) => (index === at ? { code: 'EIO' } : undefined));
      assert.throws(() => salvage.run(disk), LogFailure);
      disk.onOperation(undefined);
      disk.powerCut();
      salvage.run(disk);
      assertEnd(disk, damage, salvage);
    }
  }
});

test('the mark is of the log that is salvaged, though a log without a name was given one only then', () => {
  const damage = DAMAGES.find(({ row }) => row === 3) as Damage;
  const [, salvage] = WORKS;
  let replacements = 0;
  for (const change of changesOf(damage, salvage)) {
    const disk = diskOf(damagedLog(damage).image);
    stops(disk, change, () => salvage.run(disk));
    disk.killProcess();
    disk.onOperation(({ kind, path }) => {
      if (kind !== 'rename' || !path.endsWith('/ringwal.salvage.aside')) return undefined;
      replacements += 1;
      const mark = decodeSalvageMark(disk.contents(join(DIRECTORY, 'ringwal.salvage')));
      const state = decodeState(disk.contents(join(DIRECTORY, 'ringwal.state')));
      assert.equal(mark?.logId, 'logId' in state && state.logId);
      return undefined;
    });
    salvage.run(disk);
    disk.onOperation(undefined);
    assertEnd(disk, damage, salvage);
  }
  assert.ok(replacements > 0);
});

test('the mark of a salvage that is not finished lets nobody take the log for a good one', () => {
  const damage = DAMAGES.find(({ name }) => name === 'two missing segments in the middle') as Damage;
  const [, salvage] = WORKS;
  const seen = new Set<string>();
  for (const change of changesOf(damage, salvage)) {
    const disk = diskOf(damagedLog(damage).image);
    stops(disk, change, () => salvage.run(disk));
    disk.killProcess();
    const isMarked = imageOf(disk).has('ringwal.salvage');
    const { report } = recoverLog(disk, { ...OPTIONS, recovery: isMarked ? 'strict' : 'skip-corrupt' });
    seen.add(`${isMarked} ${report.repair === undefined}`);
    assertHolds(disk, lsnsOf(damage.salvage.kept));
    assert.equal(judgeFully(disk).verdict, 'clean');
  }
  assert.ok(seen.has('true false') && seen.has('false false'));
});

/** Stops the machine at every change, or every second one, of every damage's repair. */
function forEachCut(
  work: Work,
  every: number,
  check: (disk: SimulatedDisk, damage: Damage, before: Image, at: number) => void,
): void {
  forEachChange(work, undefined, (damage, change, at) => {
    if (at % every > 0) return;
    const { image, before } = damagedLog(damage);
    const fate = FIRST_FATE + at;
    const disk = diskOf(image, fate);
    try {
      assert.ok(stops(disk, change, () => work.run(disk)));
      check(disk, damage, before, at);
    } catch (error) {
      const { stack } = error as Error;
      throw new Error(
        `${damage.name}: stopped at operation ${change}, fate ${fate}: ${stack}\n${disk.trace}`,
      );
    }
  });
}

function forEachChange(
  work: Work,
  kinds: readonly string[] | undefined,
  visit: (damage: Damage, change: number, at: number) => void,
): void {
  for (const damage of CUT_DAMAGES) {
    // `open` has nothing to do there.
    if (damage.escapesOpen && work.name.startsWith('open')) continue;
    changesOf(damage, work, kinds).forEach((change, at) => {
      if ((at + Math.abs(SEED)) % STRIDE === 0) visit(damage, change, at);
    });
  }
}

/** The operations of `work`, from 0, at which what is on the disk may become another, or those of some kinds. */
function changesOf(damage: Damage, work: Work, kinds?: readonly string[]): number[] {
  const disk = diskOf(damagedLog(damage).image);
  const first = disk.counts.operations;
  const changes: number[] = [];
  disk.onOperation(({ index, kind }) => {
    if (kinds === undefined ? !READS.includes(kind) : kinds.includes(kind)) changes.push(index - first);
    return undefined;
  });
  work.run(disk);
  return changes;
}

function assertEnd(disk: SimulatedDisk, damage: Damage, work: Work): void {
  const isMet = !damage.escapesOpen || work.name.startsWith('repair');
  if (!isMet) return;
  assertHolds(disk, lsnsOf(damage[work.mode].kept), damage.dataOf);
  const open = new TestLog({ disk });
  open.syncer.isPrompt = true;
  open.lane.append('new', Level.durable);
  open.run();
  open.close();
  const { verdict, lastLsn } = judgeFully(disk);
  assert.equal(verdict, 'clean');
  assert.equal(lastLsn, (lsnsOf(damage[work.mode].kept).at(-1) ?? 0) + 1);
  assert.ok(!imageOf(disk).has('ringwal.salvage'));
}

function repair(disk: SimulatedDisk, mode: 'truncate' | 'salvage'): void {
  repairLog(disk, DIRECTORY, mode, false, 0o600);
}

function open(disk: SimulatedDisk, recovery: 'point-in-time' | 'skip-corrupt'): void {
  recoverLog(disk, { ...OPTIONS, recovery });
}

/** Runs `work` on a machine that stops at the operation which is `cut` away; false = it did not come so far. */
function stops(disk: SimulatedDisk, cut: number, work: () => void): boolean {
  const at = disk.counts.operations + cut;
  disk.crashAt(at);
  try {
    work();
  } catch (error) {
    // What the dying code makes of it is of no interest.
    if (disk.counts.operations <= at) throw error;
    return true;
  }
  return false;
}
