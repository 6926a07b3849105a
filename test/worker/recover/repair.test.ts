import assert from 'node:assert/strict';
import { basename } from 'node:path';
import { describe, test } from 'node:test';
import type { SimulatedDisk } from '../../../src/files/simulation/simulated-disk.js';
import type { RepairReport } from '../../../src/protocol/reports.js';
import { LogFailure } from '../../../src/worker/errors/failure.js';
import { recoverLog } from '../../../src/worker/recover/recovery.js';
import { type RepairMode, repairLog } from '../../../src/worker/recover/repair.js';
import { Level } from '../support/lane-client.js';
import { DIRECTORY, OPTIONS, TestLog } from '../support/test-log.js';
import {
  assertHolds,
  assertNothingGone,
  DAMAGES,
  type Damage,
  damagedLog,
  diskOf,
  imageOf,
  intactLog,
  judgeFully,
  lsnsOf,
} from './damaged-logs.js';

const MODES = [
  { mode: 'truncate', recovery: 'point-in-time' },
  { mode: 'salvage', recovery: 'skip-corrupt' },
] as const;

for (const damage of DAMAGES) {
  describe(damage.name, () => {
    test(`is ${damage.escapesOpen ? 'not met' : 'refused'} by open, which changes nothing`, () => {
      const { image, before } = damagedLog(damage);
      const disk = diskOf(image);
      if (damage.escapesOpen) {
        assert.equal(recoverLog(disk, OPTIONS).report.verdict, 'clean');
      } else {
        assert.throws(() => recoverLog(disk, OPTIONS), isFailure('ERR_WAL_CORRUPT'));
      }
      if (image.has('ringwal.state')) assert.deepEqual(imageOf(disk), before);
      const { row, verdict } = judgeFully(diskOf(image));
      assert.deepEqual([row, verdict], [damage.row, 'corrupt']);
    });

    for (const { mode, recovery } of MODES) {
      const { kept, lost } = damage[mode];
      const lsns = lsnsOf(kept);

      test(`${mode} keeps ${say(kept)}, and what it takes out is in side files`, () => {
        const { image, before } = damagedLog(damage);
        const disk = diskOf(image);
        const report = repair(disk, mode);
        assertReport(report, damage, mode);
        assert.equal(report.lostLsns, lost);
        assertHolds(disk, lsns, damage.dataOf);
        const after = imageOf(disk);
        assertNothingGone(before, after);
        const changed = [...before.keys()].filter(
          (name) => name.startsWith('wal-') && after.has(name) && !same(before, after, name),
        );
        const added = [...after.keys()].filter((name) => name.startsWith('wal-') && !before.has(name));
        const removed = [...before.keys()].filter((name) => name.startsWith('wal-') && !after.has(name));
        assert.deepEqual(names(report.changedSegments), [...changed, ...added].sort(byNumber));
        assert.deepEqual(names(report.removedSegments), removed.sort(byNumber));
        const sideFiles = [...after.keys()].filter((name) => name.startsWith('ringwal.cut-'));
        assert.deepEqual(names(report.sideFiles).sort(), sideFiles.sort());
        assert.ok(!after.has('ringwal.salvage'));
        assert.ok(['clean', 'torn'].includes(judgeFully(disk).verdict));
      });

      test(`a dry run of ${mode} says the same and changes nothing`, () => {
        const { image, before } = damagedLog(damage);
        const disk = diskOf(image);
        const dry = repairLog(disk, DIRECTORY, mode, true, 0o600);
        assert.deepEqual(imageOf(disk), before);
        assert.deepEqual(
          { ...dry, sideFiles: [], dryRun: false },
          { ...repair(disk, mode), sideFiles: [], dryRun: false },
        );
      });

      test(`${mode} of what ${mode} has made changes nothing`, () => {
        const disk = diskOf(damagedLog(damage).image);
        repair(disk, mode);
        const before = imageOf(disk);
        const again = repair(disk, mode);
        assert.notEqual(again.verdict, 'corrupt');
        assert.deepEqual([again.changedSegments, again.removedSegments, again.sideFiles], [[], [], []]);
        assert.deepEqual(imageOf(disk), before);
        for (const { mode: other } of MODES) repair(disk, other);
        assert.deepEqual(imageOf(disk), before);
      });

      test(`what ${mode} leaves opens, takes work and is clean`, () => {
        const disk = diskOf(damagedLog(damage).image);
        repair(disk, mode);
        assertGoesOn(disk, lsns);
      });

      test(`open with ${recovery} ${damage.escapesOpen ? 'does not meet it' : 'comes to the same end'}`, () => {
        const { image, before } = damagedLog(damage);
        const disk = diskOf(image);
        const { report } = recoverLog(disk, { ...OPTIONS, recovery });
        if (damage.escapesOpen) {
          assert.equal(report.repair, undefined);
          if (image.has('ringwal.state')) assert.deepEqual(imageOf(disk), before);
          return;
        }
        assertReport(report.repair as RepairReport, damage, mode);
        assert.equal(report.lastLsn, lsns.at(-1) ?? 0);
        assertNothingGone(before, imageOf(disk));
        assertGoesOn(disk, lsns);
      });
    }
  });
}

test('neither repair nor any recovery mode touches a log that is well', () => {
  const disk = diskOf(intactLog());
  for (const mode of ['truncate', 'salvage'] as const) assert.equal(repair(disk, mode).verdict, 'clean');
  for (const recovery of ['strict', 'point-in-time', 'skip-corrupt'] as const) {
    assert.equal(recoverLog(disk, { ...OPTIONS, recovery }).report.repair, undefined);
  }
  assert.deepEqual(imageOf(disk), intactLog());
});

test('repair leaves a torn log to open', () => {
  const image = intactLog();
  image.set('wal-4', Uint8Array.of(...(image.get('wal-4') as Uint8Array), ...Buffer.from('torn')));
  const disk = diskOf(image);
  for (const mode of ['truncate', 'salvage'] as const) assert.equal(repair(disk, mode).verdict, 'torn');
  assert.deepEqual(imageOf(disk), image);
});

function repair(disk: SimulatedDisk, mode: RepairMode): RepairReport {
  return repairLog(disk, DIRECTORY, mode, false, 0o600);
}

function assertReport(report: RepairReport, damage: Damage, mode: RepairMode): void {
  const lsns = lsnsOf(damage[mode].kept);
  const { firstLsn, lastLsn, verdict } = report;
  assert.deepEqual([report.mode, verdict], [mode, 'corrupt']);
  assert.deepEqual([firstLsn, lastLsn], [lsns[0] ?? 0, lsns.at(-1) ?? 0]);
}

/** The repaired log opens in the strictest mode, takes entries, and holds them with the old ones after that. */
function assertGoesOn(disk: SimulatedDisk, lsns: readonly number[]): void {
  const log = new TestLog({ disk, options: { maxFileSize: 400 } });
  log.syncer.isPrompt = true;
  assert.equal(log.recovered.report.lastLsn, lsns.at(-1) ?? 0);
  const sequence = log.lane.append('new', Level.durable);
  for (let i = 0; i < 8; i++) log.lane.append('x'.repeat(100), Level.durable);
  log.run();
  const next = (lsns.at(-1) ?? 0) + 1;
  assert.equal(log.lane.acknowledged('durable').get(sequence), next);
  log.close();
  assert.deepEqual(
    log.frames.map(({ lsn }) => lsn),
    [...lsns, ...Array.from({ length: 9 }, (_, at) => next + at)],
  );
  assert.equal(judgeFully(disk).verdict, 'clean');
  assert.equal(recoverLog(disk, OPTIONS).report.verdict, 'clean');
}

function same(one: Map<string, Uint8Array>, other: Map<string, Uint8Array>, name: string): boolean {
  return Buffer.from(one.get(name) as Uint8Array).equals(other.get(name) as Uint8Array);
}

function names(paths: readonly string[]): string[] {
  return paths.map((path) => basename(path));
}

function byNumber(one: string, other: string): number {
  return Number(one.slice(4)) - Number(other.slice(4));
}

function say(kept: readonly (readonly [number, number])[]): string {
  if (kept.length === 0) return 'nothing';
  return kept.map(([first, last]) => (first === last ? `${first}` : `${first} to ${last}`)).join(', ');
}

function isFailure(code: string): (error: unknown) => boolean {
  return (error) => error instanceof LogFailure && error.failure.code === code;
}
