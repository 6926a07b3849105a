import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { OperationKind, SimulatedDisk } from '../../../src/files/simulation/simulated-disk.js';
import { BACKUP_FILE } from '../../../src/format/segment-name.js';
import { recoverLog } from '../../../src/worker/recover/recovery.js';
import { SEED } from '../../seed.js';
import { dataOf, diskOf, type Image, imageOf, intactLog } from '../recover/damaged-logs.js';
import { DIRECTORY, OPTIONS } from '../support/test-log.js';
import {
  backUp,
  changesOf,
  entriesIn,
  FIRST,
  FULL,
  failureIn,
  openClean,
  RESTORED,
  restoreTo,
  verifyIn,
} from './support.js';

const ROOM_TAKERS: readonly OperationKind[] = [
  'open',
  'mkdir',
  'write',
  'rename',
  'truncate',
  'sync',
  'clone',
  'lock',
];

/** Chance decides what a power cut leaves of the unsynced. */
console.log(`backup-crash: seed ${SEED}`);

const ENTRIES = Array.from({ length: 26 }, (_, at): [number, string] => [
  at + 1,
  Buffer.from(dataOf(at + 1)).toString(),
]);
const SNAPSHOT = Buffer.from('a snapshot of the first nine entries'.repeat(40));

/** A log of 26 entries with a snapshot; a full backup of its first 18; the log has grown since. */
function grownLog(seed: number): SimulatedDisk {
  const early = new Map(intactLog());
  for (const name of ['wal-3', 'wal-4']) early.delete(name);
  early.delete('ringwal.state');
  const disk = diskOf(early, seed);
  disk.plantDirectory('/backups');
  recoverLog(disk, OPTIONS);
  assert.equal(backUp(disk, FULL).lastLsn, 18);
  // Its state file stays: it says of which branch the log is.
  for (const [name, bytes] of intactLog())
    if (name !== 'ringwal.state') disk.plant(join(DIRECTORY, name), bytes);
  recoverLog(disk, OPTIONS);
  return disk;
}

function wholeLog(seed: number): SimulatedDisk {
  const image: Image = intactLog();
  image.set('ringwal.snapshot-9', SNAPSHOT);
  const disk = diskOf(image, seed);
  disk.plantDirectory('/backups');
  return disk;
}

interface Work {
  readonly name: string;
  readonly disk: (seed: number) => SimulatedDisk;
  readonly run: (disk: SimulatedDisk) => unknown;
  /** What is on disk after the machine has stopped, or the call has failed, and after the next try. */
  readonly check: (disk: SimulatedDisk) => void;
}

const WORKS: readonly Work[] = [
  {
    name: 'a full backup',
    disk: wholeLog,
    run: (disk) => backUp(disk, FULL),
    check: (disk) => {
      assertNoHalf(disk, FULL);
      if (disk.stat(join(FULL, BACKUP_FILE)) === undefined) backUp(disk, FULL);
      restoreTo(disk, [FULL]);
      assert.deepEqual(disk.contents(join(RESTORED, 'ringwal.snapshot-9')), new Uint8Array(SNAPSHOT));
    },
  },
  {
    name: 'an incremental backup',
    disk: grownLog,
    run: (disk) => backUp(disk, FIRST, { since: FULL }),
    check: (disk) => {
      assert.equal(verifyIn(disk, FULL).verdict, 'clean');
      assertNoHalf(disk, FIRST);
      if (disk.stat(join(FIRST, BACKUP_FILE)) === undefined) backUp(disk, FIRST, { since: FULL });
      restoreTo(disk, [FULL, FIRST]);
    },
  },
  {
    name: 'a restore',
    disk: (seed) => {
      const disk = grownLog(seed);
      backUp(disk, FIRST, { since: FULL });
      return disk;
    },
    run: (disk) => restoreTo(disk, [FULL, FIRST]),
    check: (disk) => {
      const isThere = disk.stat(RESTORED) !== undefined;
      // The name leads to a whole log, or to nothing.
      if (isThere) assert.deepEqual(entriesIn(disk, RESTORED), ENTRIES);
      else restoreTo(disk, [FULL, FIRST]);
      assert.deepEqual(
        disk.names('/logs').filter((name) => name !== 'data'),
        ['restored'],
      );
      for (const backup of [FULL, FIRST]) assert.equal(verifyIn(disk, backup).verdict, 'clean');
    },
  },
];

/** A directory with a manifest is a whole backup; any other says that it is none. */
function assertNoHalf(disk: SimulatedDisk, target: string): void {
  if (disk.stat(join(target, BACKUP_FILE)) !== undefined) {
    const { verdict, lastLsn, damagedFiles } = verifyIn(disk, target);
    assert.deepEqual([verdict, lastLsn, damagedFiles], ['clean', 26, []]);
    return;
  }
  assert.equal(failureIn(() => verifyIn(disk, target)).code, 'ERR_WAL_OPTION');
  assert.equal(failureIn(() => restoreTo(disk, [target])).code, 'ERR_WAL_OPTION');
}

function assertEnd(disk: SimulatedDisk): void {
  assert.deepEqual(entriesIn(disk, RESTORED), ENTRIES);
  assert.equal(openClean(disk, RESTORED).lastLsn, 26);
}

for (const work of WORKS) {
  const changes = changesIn(work);

  for (const kind of ['power cut', 'killed process'] as const) {
    test(`after a ${kind} at any operation of ${work.name} there is all of it or nothing, and the next one succeeds`, () => {
      for (const { at } of changes) {
        const disk = work.disk(SEED + at);
        const before = imageOf(disk);
        disk.crashAt(disk.counts.operations + at);
        assert.ok(
          failureIn(() => work.run(disk)).message.includes('simulated machine stopped'),
          `operation ${at}`,
        );
        if (kind === 'power cut') disk.powerCut();
        else disk.killProcess();
        assert.deepEqual(imageOf(disk), before, 'the log is as it was');
        work.check(disk);
        assertEnd(disk);
      }
    });
  }

  for (const code of ['ENOSPC', 'EIO'] as const) {
    test(`${code} at any operation of ${work.name} is a coded error and leaves nothing half done`, () => {
      for (const { at, kind } of changes) {
        if (code === 'ENOSPC' && !ROOM_TAKERS.includes(kind)) continue;
        const disk = work.disk(SEED + at);
        const before = imageOf(disk);
        const failing = disk.counts.operations + at;
        disk.onOperation(({ index }) => (index === failing ? { code } : undefined));
        const failure = failedWith(() => work.run(disk));
        disk.clearFaults();
        assert.deepEqual(imageOf(disk), before, 'the log is as it was');
        if (failure !== undefined) {
          assert.match(failure.code, /^ERR_WAL_(IO|CORRUPT)$/, `operation ${at}, ${kind}`);
          assert.equal(failure.cause?.code ?? code, code, `operation ${at}, ${kind}`);
        }
        work.check(disk);
        assertEnd(disk);
      }
    });
  }
}
function changesIn({ disk: make, run }: Work): { at: number; kind: OperationKind }[] {
  const disk = make(SEED);
  return changesOf(disk, () => run(disk));
}

/** What it failed with; `undefined`: it did not, since nothing depended on the operation. */
function failedWith(run: () => unknown): ReturnType<typeof failureIn> | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return failureIn(() => {
      throw error;
    });
  }
}

test('the cut points include every kind of change that a backup and a restore make', () => {
  const kinds = new Set(WORKS.flatMap((work) => changesIn(work).map(({ kind }) => kind)));
  assert.deepEqual([...kinds].sort(), [
    'clone',
    'lock',
    'mkdir',
    'open',
    'rename',
    'sync',
    'syncDirectory',
    'write',
  ]);
});
