import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isFullDisk, writeFully } from '../../src/files/disk.js';
import {
  Random,
  SECTOR_BYTES,
  SimulatedCrash,
  SimulatedDisk,
} from '../../src/files/simulation/simulated-disk.js';
import { SEED } from '../seed.js';

const ONES = new Uint8Array(SECTOR_BYTES).fill(1);
/** From an independent program, seed 42. */
const GOLDEN_NUMBERS = [1264412219, 1947509147, 3919439299];
const TWOS = new Uint8Array(SECTOR_BYTES).fill(2);

/** A life with a bit of everything, as chance has it. */
function live(seed: number): string {
  const disk = new SimulatedDisk({
    seed,
    nuisance: 0.2,
    syncMs: 3,
    capacityBytes: 40 * SECTOR_BYTES,
    traceMax: 10_000,
  });
  const random = new Random(seed ^ 0x5eed);
  for (let step = 0; step < 300; step += 1) {
    const path = `/f${random.below(4)}`;
    try {
      const dice = random.below(20);
      if (dice === 0) disk.powerCut();
      else if (dice < 3) disk.rename(path, `/f${random.below(4)}`);
      else if (dice < 5) disk.unlink(path);
      else if (dice < 7) disk.syncDirectory('/');
      else {
        const file = disk.open(path, disk.stat(path) === undefined ? 'wx+' : 'r+');
        writeFully(file, ONES, 0, random.below(SECTOR_BYTES), random.below(5000));
        if (random.chance(0.3)) file.sync();
        file.close();
      }
    } catch (error) {
      if (!['ENOENT', 'ENOSPC'].includes((error as { code?: string }).code ?? '')) throw error;
    }
  }
  return `${disk.trace}\n${disk.list('/').map((name) => `${name} ${disk.contents(`/${name}`).join()}`)}`;
}

test(`the same seed and the same calls give the same life, to the last byte (seed ${SEED})`, () => {
  assert.equal(live(SEED), live(SEED));
  assert.notEqual(live(SEED), live(SEED + 1));
});

test('a seed gives the numbers that it has always given, so that old failures replay', () => {
  const random = new Random(42);
  assert.deepEqual([random.next(), random.next(), random.next()], GOLDEN_NUMBERS);
  assert.notDeepEqual(new Random(42 + 2 ** 32).next(), GOLDEN_NUMBERS[0]);
  assert.notDeepEqual(new Random(-42).next(), GOLDEN_NUMBERS[0]);
});

// ------------------------------------------------------------------ faults by plan

test('a fault hits the call, the path and the time that it was planned for, so often as planned', () => {
  const disk = new SimulatedDisk({ seed: 1 });
  disk.failNext('open', 'EMFILE', { path: 'wal-1', after: 1, times: 2 });
  disk.open('/wal-0', 'wx');
  disk.open('/wal-1', 'wx');
  disk.open('/x-wal-1', 'wx');
  assert.throws(() => disk.open('/wal-1', 'r'), { code: 'EMFILE', path: '/wal-1' });
  assert.throws(() => disk.open('/wal-1', 'r'), { code: 'EMFILE' });
  disk.open('/wal-1', 'r');
});

test('every call of the seam can be made to fail', () => {
  const disk = new SimulatedDisk({ seed: 1 });
  disk.plant('/d/a', ONES);
  const file = disk.open('/d/a', 'r+');
  const calls = {
    open: () => disk.open('/d/a', 'r'),
    list: () => disk.list('/d'),
    stat: () => disk.stat('/d/a'),
    mkdir: () => disk.mkdir('/e'),
    rename: () => disk.rename('/d/a', '/d/b'),
    unlink: () => disk.unlink('/d/a'),
    syncDirectory: () => disk.syncDirectory('/d'),
    lock: () => disk.lock('/d/a'),
    lockHolder: () => disk.lockHolder('/d/a'),
    write: () => file.write(ONES, 0, 10, 0),
    read: () => file.read(new Uint8Array(10), 0),
    size: () => file.size(),
    truncate: () => file.truncate(0),
    datasync: () => file.datasync(),
    sync: () => file.sync(),
    identity: () => file.identity(),
    close: () => file.close(),
  };
  for (const [kind, call] of Object.entries(calls)) {
    disk.failNext(kind as keyof typeof calls, 'EIO');
    assert.throws(call, { code: 'EIO' }, kind);
  }
  assert.deepEqual(disk.contents('/d/a'), ONES, 'a call that failed did nothing');
});

test('a hook sees every operation with its place, and decides', () => {
  const disk = new SimulatedDisk({ seed: 1 });
  const seen: string[] = [];
  disk.onOperation(({ kind, path, position, bytes }) => {
    seen.push(`${kind} ${path} ${position} ${bytes}`);
    return position === 7 ? { code: 'EIO', bytes: 2 } : undefined;
  });
  const file = disk.open('/a', 'wx');
  file.write(ONES, 10, 15, 0);
  assert.throws(() => file.write(TWOS, 0, 5, 7), { code: 'EIO' });
  assert.deepEqual(seen, ['open /a undefined undefined', 'write /a 0 5', 'write /a 7 5']);
  assert.deepEqual(
    [...disk.contents('/a')],
    [1, 1, 1, 1, 1, 0, 0, 2, 2],
    'a part was written before it failed',
  );
  disk.clearFaults();
  file.write(TWOS, 0, 5, 7);
});

test('nuisance makes calls short and interrupts them, and loses nothing', () => {
  const disk = new SimulatedDisk({ seed: SEED, nuisance: 0.5 });
  const file = disk.open('/a', 'wx');
  const content = Uint8Array.from({ length: 10_000 }, (_, i) => i);
  for (let at = 0; at < content.length; at += 100) writeFully(file, content, at, at + 100, at);
  assert.deepEqual(disk.contents('/a'), content);
  assert.ok(disk.counts.writes > content.length / 100);
});

test('a call that lies returns and has done nothing', () => {
  const disk = new SimulatedDisk({ seed: 1 });
  disk.plant('/a', ONES);
  const file = disk.open('/a', 'r+');
  file.write(TWOS, 0, SECTOR_BYTES, 0);
  disk.failNext('datasync', { ignored: true });
  file.datasync();
  assert.deepEqual(disk.durableContents('/a'), ONES);
  disk.failNext('unlink', { ignored: true });
  disk.unlink('/a');
  assert.equal(disk.stat('/a')?.kind, 'file');
});

test('a machine that stopped answers nothing until it is booted, not even the clean-up', () => {
  const disk = new SimulatedDisk({ seed: 1 });
  const file = disk.open('/a', 'wx');
  disk.crashAt(disk.counts.operations + 1);
  file.write(ONES, 0, SECTOR_BYTES, 0);
  assert.throws(() => file.write(TWOS, 0, SECTOR_BYTES, SECTOR_BYTES), SimulatedCrash);
  assert.throws(() => file.sync(), SimulatedCrash);
  assert.throws(() => disk.unlink('/a'), SimulatedCrash);
  disk.killProcess();
  const contents = disk.contents('/a');
  assert.deepEqual(contents.subarray(0, SECTOR_BYTES), ONES, 'what came before is whole');
  assert.ok(
    contents.subarray(SECTOR_BYTES).every((byte) => byte === 2),
    'of the last write a part may be there',
  );
  disk.unlink('/a');
});

test('a crash in a write leaves any part of it, in a sync any part of what it was to make durable', () => {
  const lengths = new Set<number>();
  const durable = new Set<number>();
  for (let seed = 0; seed < 100; seed += 1) {
    const disk = new SimulatedDisk({ seed });
    const file = disk.open('/a', 'wx');
    disk.crashAt(1);
    assert.throws(() => file.write(ONES, 0, 4, 0), SimulatedCrash);
    disk.killProcess();
    lengths.add(disk.contents('/a').length);
    const again = disk.open('/a', 'r+');
    again.write(ONES, 0, 4, 0);
    disk.syncDirectory('/');
    disk.failNext('sync', { crash: true });
    assert.throws(() => again.sync(), SimulatedCrash);
    disk.powerCut();
    durable.add(disk.contents('/a').length);
  }
  assert.deepEqual([...lengths].sort(), [0, 1, 2, 3, 4]);
  assert.ok(durable.has(0) && durable.has(4));
});

// ------------------------------------------------------------------ room and descriptors

test('a full disk makes a write short, then ENOSPC; rewriting needs no room; removing makes room at once', () => {
  const disk = new SimulatedDisk({ seed: 1, capacityBytes: 3 * SECTOR_BYTES });
  disk.plant('/old', ONES);
  const file = disk.open('/a', 'wx+');
  const content = new Uint8Array(4 * SECTOR_BYTES).fill(3);
  assert.equal(file.write(content, 0, content.length, 0), 2 * SECTOR_BYTES);
  assert.throws(() => file.write(content, 0, 1, 2 * SECTOR_BYTES), isFullDisk);
  assert.throws(() => file.truncate(3 * SECTOR_BYTES), isFullDisk);
  assert.equal(file.write(TWOS, 0, SECTOR_BYTES, SECTOR_BYTES), SECTOR_BYTES);
  disk.unlink('/old');
  assert.equal(file.write(content, 0, content.length, 2 * SECTOR_BYTES), SECTOR_BYTES);
  disk.capacityBytes = Number.POSITIVE_INFINITY;
  assert.equal(file.write(content, 0, content.length, 3 * SECTOR_BYTES), content.length);
});

test('opening, locking, reading and syncing work on a full disk', () => {
  const disk = new SimulatedDisk({ seed: 1, capacityBytes: SECTOR_BYTES });
  disk.plant('/a', ONES);
  const lock = disk.lock('/lock') ?? assert.fail('nobody holds it');
  assert.equal(disk.lockHolder('/lock')?.pid, undefined);
  const file = disk.open('/a', 'r+');
  assert.equal(file.read(new Uint8Array(SECTOR_BYTES), 0), SECTOR_BYTES);
  file.sync();
  disk.syncDirectory('/');
  lock.release();
});

test('an unlinked file takes its room until its last descriptor is closed', () => {
  const disk = new SimulatedDisk({ seed: 1 });
  disk.plant('/a', ONES);
  const file = disk.open('/a', 'r');
  disk.unlink('/a');
  assert.equal(disk.usedBytes, SECTOR_BYTES);
  file.close();
  assert.equal(disk.usedBytes, 0);
});

test('descriptors run out, and come back by closing', () => {
  const disk = new SimulatedDisk({ seed: 1, descriptorsMax: 2 });
  const first = disk.open('/a', 'wx');
  disk.open('/b', 'wx');
  assert.deepEqual(disk.openPaths, ['/a', '/b']);
  for (const call of [() => disk.open('/c', 'wx'), () => disk.list('/'), () => disk.syncDirectory('/')]) {
    assert.throws(call, { code: 'EMFILE' });
  }
  first.close();
  disk.open('/c', 'wx');
});

// ------------------------------------------------------------------ failed syncs

/** A file of ones; twos written over it and behind it; a sync of that fails, and a second one succeeds. */
function afterFailedSync(failedSync: 'ext4' | 'xfs' | 'btrfs', seed: number): SimulatedDisk {
  const disk = new SimulatedDisk({ seed, failedSync });
  disk.plant('/a', ONES);
  const file = disk.open('/a', 'r+');
  file.write(TWOS, 0, SECTOR_BYTES, 0);
  file.write(TWOS, 0, SECTOR_BYTES, SECTOR_BYTES);
  disk.failNext('datasync', 'EIO');
  assert.throws(() => file.datasync(), { code: 'EIO' });
  file.datasync();
  return disk;
}

/** First byte of each sector, after `act` on the disk of each of many seeds. */
function outcomes(failedSync: 'ext4' | 'xfs' | 'btrfs', act: (disk: SimulatedDisk) => void): string[] {
  const found = new Set<string>();
  for (let seed = 0; seed < 200; seed += 1) {
    const disk = afterFailedSync(failedSync, seed);
    act(disk);
    const contents = disk.contents('/a');
    found.add(`${contents[0]}${contents.length > SECTOR_BYTES ? contents[SECTOR_BYTES] : ''}`);
  }
  return [...found].sort();
}

test('after a failed sync ext4 and XFS show the new bytes, Btrfs the old ones: reading back proves nothing', () => {
  assert.deepEqual(
    outcomes('ext4', () => {}),
    ['22'],
  );
  assert.deepEqual(
    outcomes('xfs', () => {}),
    ['22'],
  );
  const btrfs = outcomes('btrfs', () => {});
  assert.ok(btrfs.includes('1') && !btrfs.some((found) => found.length === 2), btrfs.join());
});

test('a sync that succeeds after a failed one has made nothing durable of what the failed one lost', () => {
  assert.ok(
    outcomes('ext4', (disk) => disk.powerCut()).includes('10'),
    'the new size with zeros behind the old',
  );
  for (const failedSync of ['xfs', 'btrfs'] as const) {
    assert.ok(outcomes(failedSync, (disk) => disk.powerCut()).includes('1'), failedSync);
  }
});

test('what a failed sync lost also goes when the cache is evicted, with no crash at all', () => {
  for (const failedSync of ['ext4', 'xfs'] as const) {
    assert.ok(outcomes(failedSync, (disk) => disk.evictCache()).includes('10'), failedSync);
  }
});

test('of what a failed sync was to write, some may have reached the medium all the same', () => {
  const found = outcomes('ext4', (disk) => disk.powerCut());
  assert.deepEqual(found, ['10', '12', '20', '22']);
});

test('writing the same bytes again in place and syncing makes them durable after a failed sync', () => {
  for (const failedSync of ['ext4', 'xfs'] as const) {
    const found = outcomes(failedSync, (disk) => {
      disk.killProcess();
      const contents = disk.contents('/a');
      const file = disk.open('/a', 'r+');
      file.write(contents, 0, contents.length, 0);
      file.datasync();
      disk.powerCut();
    });
    assert.deepEqual(found, ['22'], failedSync);
  }
});

test('a failed sync of a directory loses names as one of a file loses bytes', () => {
  const found = new Set<string>();
  for (let seed = 0; seed < 100; seed += 1) {
    const disk = new SimulatedDisk({ seed });
    disk.open('/a', 'wx');
    disk.open('/b', 'wx');
    disk.failNext('syncDirectory', 'EIO');
    assert.throws(() => disk.syncDirectory('/'), { code: 'EIO' });
    disk.syncDirectory('/');
    assert.deepEqual(disk.list('/').sort(), ['a', 'b'], 'nothing shows it yet');
    disk.powerCut();
    found.add(disk.list('/').sort().join(''));
  }
  assert.deepEqual([...found].sort(), ['', 'a', 'ab', 'b']);
});

// ------------------------------------------------------------------ time, rot, fixtures, trace

test('the clock stands still but for slow calls and what the test lets pass', () => {
  const disk = new SimulatedDisk({ seed: 1, syncMs: 5, startMs: 1000 });
  const file = disk.open('/a', 'wx');
  file.datasync();
  disk.syncDirectory('/');
  assert.equal(disk.now(), 1010);
  disk.failNext('write', { delayMs: 30_000 });
  assert.equal(file.write(ONES, 0, 5, 0), 5);
  assert.equal(disk.now(), 31_010);
  assert.equal(disk.stat('/a')?.mtimeMs, 31_010);
  disk.advance(-31_000);
  assert.equal(disk.now(), 10);
  assert.equal(disk.counts.syncMs, 10);
  assert.equal(disk.counts.fileSyncs, 1);
  assert.equal(disk.counts.directorySyncs, 1);
  assert.equal(disk.counts.writtenBytes, 5);
});

test('rot flips a bit at rest, which reads show unless newer bytes are still in the cache', () => {
  const disk = new SimulatedDisk({ seed: 1 });
  disk.plant('/a', new Uint8Array([1, 2, 3]));
  disk.rot('/a', 1, 0x80);
  assert.deepEqual([...disk.contents('/a')], [1, 0x82, 3]);
  const file = disk.open('/a', 'r+');
  file.write(new Uint8Array([9]), 0, 1, 0);
  disk.rot('/a', 2);
  assert.deepEqual([...disk.contents('/a')], [9, 0x82, 3]);
  file.sync();
  assert.deepEqual([...disk.durableContents('/a')], [9, 0x82, 3], 'the sector was written over');
  assert.throws(() => disk.rot('/a', 3), RangeError);
});

test('a planted file is durable with its directories, and replaces what was there', () => {
  const disk = new SimulatedDisk({ seed: 1 });
  disk.plant('/d/e/a', ONES);
  disk.plant('/d/e/a', new Uint8Array([7]));
  disk.powerCut();
  assert.deepEqual([...disk.contents('/d/e/a')], [7]);
});

test('paths are taken from the root, with either separator', () => {
  const disk = new SimulatedDisk({ seed: 1 });
  disk.plant('d/a', ONES);
  for (const path of ['/d/a', 'd/a', './d/./a', '\\d\\a', '/x/../d//a', '/d/a/']) {
    assert.equal(disk.stat(path)?.kind, 'file', path);
  }
});

test('the trace tells the last operations with place, length and outcome', () => {
  const disk = new SimulatedDisk({ seed: 1, traceMax: 3 });
  const file = disk.open('/a', 'wx');
  for (let i = 0; i < 10; i += 1) file.write(ONES, 0, 5, i);
  assert.throws(() => disk.open('/b', 'r'));
  file.sync();
  disk.powerCut();
  assert.deepEqual(disk.trace.split('\n'), [
    '… 11 earlier lines',
    '11 open /b → ENOENT',
    '12 sync /a',
    '---- power cut',
  ]);
});
