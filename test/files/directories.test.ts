import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDirectory } from '../../src/files/directories.js';
import { SimulatedCrash, SimulatedDisk } from '../../src/files/simulation/simulated-disk.js';

const PATH = '/srv/app/log';

/** What is durable of the path, found by cutting the power with every seed. */
function survivesEveryPowerCut(prepare: (disk: SimulatedDisk) => void): boolean {
  for (let seed = 0; seed < 50; seed += 1) {
    const disk = new SimulatedDisk({ seed });
    prepare(disk);
    disk.powerCut();
    if (disk.stat(PATH)?.kind !== 'directory') return false;
  }
  return true;
}

test('a directory that createDirectory made is there after any power cut, with all its parents', () => {
  assert.ok(survivesEveryPowerCut((disk) => createDirectory(disk, PATH, 0o700)));
});

test('without the syncs it would not be: the check above bites', () => {
  const forgetful = (disk: SimulatedDisk): void => {
    disk.onOperation(({ kind }) => (kind === 'syncDirectory' ? { ignored: true } : undefined));
    createDirectory(disk, PATH);
  };
  assert.ok(!survivesEveryPowerCut(forgetful));
});

test('a call that a killed process left at any point is completed durably by the next', () => {
  const whole = new SimulatedDisk({ seed: 0 });
  createDirectory(whole, PATH);
  for (let at = 0; at < whole.counts.operations; at += 1) {
    const resumed = (disk: SimulatedDisk): void => {
      disk.crashAt(at);
      assert.throws(() => createDirectory(disk, PATH), SimulatedCrash);
      disk.killProcess();
      createDirectory(disk, PATH);
    };
    assert.ok(survivesEveryPowerCut(resumed), `interrupted at operation ${at}`);
  }
});

test('a directory that somebody else creates in between is fine, a file is not', () => {
  for (const rival of ['mkdir', 'open'] as const) {
    const disk = new SimulatedDisk({ seed: 0 });
    disk.onOperation(({ kind, path }) => {
      if (kind !== 'mkdir' || path !== PATH) return undefined;
      disk.onOperation(undefined);
      if (rival === 'mkdir') disk.mkdir(PATH);
      else disk.open(PATH, 'wx');
      return undefined;
    });
    if (rival === 'mkdir') createDirectory(disk, PATH);
    else assert.throws(() => createDirectory(disk, PATH), { code: 'EEXIST' });
  }
});

test('a failed sync of a parent is an error, but not of one that was there and may not be opened', () => {
  const disk = new SimulatedDisk({ seed: 0 });
  disk.failNext('syncDirectory', 'EIO', { path: '/srv' });
  assert.throws(() => createDirectory(disk, PATH), { code: 'EIO' });
  createDirectory(disk, PATH);
  disk.failNext('syncDirectory', 'EACCES', { path: '/srv/app' });
  createDirectory(disk, PATH);
});
