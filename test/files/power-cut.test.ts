import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Random, SECTOR_BYTES, SimulatedDisk } from '../../src/files/simulation/simulated-disk.js';
import { seededTest } from '../seed.js';
import { FileHistory, NameHistory } from './power-cut-oracle.js';

/** One step of a random life of one file. */
const fileStep = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('write' as const), at: fc.nat(3000), length: fc.nat(1500) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('append' as const), length: fc.nat(1500) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('truncate' as const), at: fc.nat(4000) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('sync' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cut' as const) }) },
);

for (const tearsSectors of [false, true]) {
  const unit = tearsSectors ? 'byte' : 'sector';
  seededTest(`after a power cut each ${unit} and the size are of some moment since the last sync`, (seed) => {
    const property = fc.property(fc.array(fileStep, { maxLength: 40 }), fc.integer(), (steps, diskSeed) => {
      const disk = new SimulatedDisk({ seed: diskSeed, tearsSectors });
      disk.plant('/a', new Uint8Array(0));
      const random = new Random(diskSeed + 1);
      const history = new FileHistory(tearsSectors);
      let file = disk.open('/a', 'r+');
      for (const step of [...steps, { do: 'cut' as const }]) {
        switch (step.do) {
          case 'write':
          case 'append': {
            const bytes = Uint8Array.from({ length: step.length }, () => 1 + random.below(255));
            const at = step.do === 'write' ? step.at : file.size();
            file.write(bytes, 0, bytes.length, at);
            history.changed(disk.contents('/a'));
            break;
          }
          case 'truncate':
            file.truncate(step.at);
            history.changed(disk.contents('/a'));
            break;
          case 'sync':
            if (random.chance(0.5)) file.sync();
            else file.datasync();
            history.synced();
            assert.deepEqual(disk.durableContents('/a'), disk.contents('/a'));
            break;
          case 'cut':
            disk.powerCut();
            history.check(disk.contents('/a'));
            assert.deepEqual(
              disk.durableContents('/a'),
              disk.contents('/a'),
              'nothing is at risk after a boot',
            );
            history.restart(disk.contents('/a'));
            file = disk.open('/a', 'r+');
        }
      }
    });
    fc.assert(property, { seed, numRuns: 400 });
  });
}

const NAMES = ['a', 'b', 'c'];

/** One step of a random life of a directory. */
const nameStep = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('create' as const), name: fc.nat(2) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('rename' as const), name: fc.nat(2), to: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('unlink' as const), name: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('sync' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cut' as const) }) },
);

seededTest(
  'after a power cut each name is of some moment since the last sync, and no file has two or lost its last',
  (seed) => {
    const property = fc.property(fc.array(nameStep, { maxLength: 30 }), fc.integer(), (steps, diskSeed) => {
      const disk = new SimulatedDisk({ seed: diskSeed });
      disk.mkdir('/d');
      disk.syncDirectory('/');
      const look = (): Map<string, bigint> =>
        new Map(disk.list('/d').map((name) => [name, disk.stat(`/d/${name}`)?.ino ?? assert.fail('listed')]));
      const history = new NameHistory();
      for (const step of [...steps, { do: 'cut' as const }]) {
        const path = 'name' in step ? `/d/${NAMES[step.name]}` : '';
        switch (step.do) {
          case 'create':
            if (disk.stat(path) === undefined) disk.open(path, 'wx').close();
            history.changed(look());
            break;
          case 'rename':
            if (disk.stat(path) !== undefined) disk.rename(path, `/d/${NAMES[step.to]}`);
            history.changed(look());
            break;
          case 'unlink':
            if (disk.stat(path) !== undefined) disk.unlink(path);
            history.changed(look());
            break;
          case 'sync':
            disk.syncDirectory('/d');
            history.synced();
            break;
          case 'cut':
            disk.powerCut();
            history.check(look());
            history.restart(look());
        }
      }
    });
    fc.assert(property, { seed, numRuns: 1500 });
  },
);

/** What of `judge`'s answers ever comes out, over many seeds. */
function outcomes(
  judge: (disk: SimulatedDisk) => string,
  options: { tearsSectors?: boolean } = {},
): string[] {
  const found = new Set<string>();
  for (let seed = 0; seed < 400; seed += 1) found.add(judge(new SimulatedDisk({ seed, ...options })));
  return [...found].sort();
}

const sector = (fill: number, length = SECTOR_BYTES): Uint8Array => new Uint8Array(length).fill(fill);

test('of three unsynced sectors every subset survives in some run', () => {
  const found = outcomes((disk) => {
    disk.plant('/a', sector(1, 3 * SECTOR_BYTES));
    disk.open('/a', 'r+').write(sector(2, 3 * SECTOR_BYTES), 0, 3 * SECTOR_BYTES, 0);
    disk.powerCut();
    const contents = disk.contents('/a');
    return [0, 1, 2].map((index) => contents[index * SECTOR_BYTES]).join('');
  });
  assert.deepEqual(found, ['111', '112', '121', '122', '211', '212', '221', '222']);
});

test('an unsynced append leaves the old size, or the new one with data, zeros or stale bytes behind the old end', () => {
  const found = outcomes((disk) => {
    disk.plant('/a', sector(1));
    disk.open('/a', 'r+').write(sector(2), 0, SECTOR_BYTES, SECTOR_BYTES);
    disk.powerCut();
    const contents = disk.contents('/a');
    assert.deepEqual(contents.subarray(0, SECTOR_BYTES), sector(1));
    if (contents.length === SECTOR_BYTES) return 'old size';
    const tail = contents.subarray(SECTOR_BYTES);
    return tail.every((byte) => byte === 2) ? 'data' : tail.every((byte) => byte === 0) ? 'zeros' : 'stale';
  });
  assert.deepEqual(found, ['data', 'old size', 'stale', 'zeros']);
});

test('of a sector that was written three times any version survives', () => {
  const found = outcomes((disk) => {
    disk.plant('/a', sector(0));
    const file = disk.open('/a', 'r+');
    for (const fill of [1, 2, 3]) file.write(sector(fill), 0, SECTOR_BYTES, 0);
    disk.powerCut();
    return String(disk.contents('/a')[0]);
  });
  assert.deepEqual(found, ['0', '1', '2', '3']);
});

test('sectors are atomic, unless the disk tears them: then a write may break off inside one', () => {
  const judge = (disk: SimulatedDisk): string => {
    disk.plant('/a', sector(1));
    disk.open('/a', 'r+').write(sector(2, 300), 0, 300, 100);
    disk.powerCut();
    const contents = disk.contents('/a');
    assert.deepEqual(contents.subarray(0, 100), sector(1, 100), 'what was not written stays');
    assert.deepEqual(contents.subarray(400), sector(1, SECTOR_BYTES - 400), 'what was not written stays');
    const written = contents.subarray(100, 400).filter((byte) => byte === 2).length;
    return written === 0 ? 'old' : written === 300 ? 'new' : 'torn';
  };
  assert.deepEqual(outcomes(judge), ['new', 'old']);
  assert.deepEqual(outcomes(judge, { tearsSectors: true }), ['new', 'old', 'torn']);
});

test('a synced file whose name was not synced may be gone, and one whose name was may be empty', () => {
  const name = (disk: SimulatedDisk): string =>
    disk.stat('/a') === undefined ? 'gone' : String(disk.contents('/a').length);
  const fileOnly = outcomes((disk) => {
    const file = disk.open('/a', 'wx');
    file.write(sector(1), 0, SECTOR_BYTES, 0);
    file.sync();
    disk.powerCut();
    return name(disk);
  });
  assert.deepEqual(fileOnly, ['512', 'gone']);
  const nameOnly = outcomes((disk) => {
    disk.open('/a', 'wx').write(sector(1), 0, SECTOR_BYTES, 0);
    disk.syncDirectory('/');
    disk.powerCut();
    return name(disk);
  });
  assert.deepEqual(nameOnly, ['0', '512']);
});

test('an unsynced rename leaves the file its old name or its new one, and what it replaced goes only with the new one', () => {
  const found = outcomes((disk) => {
    disk.plant('/from', sector(1));
    disk.plant('/to', sector(2));
    disk.rename('/from', '/to');
    disk.powerCut();
    return disk
      .list('/')
      .sort()
      .map((name) => `${name}=${disk.contents(`/${name}`)[0]}`)
      .join(' ');
  });
  assert.deepEqual(found, ['from=1 to=2', 'to=1']);
});

test('of a chain of renames any beginning survives, so that the file has one name at any time', () => {
  const found = outcomes((disk) => {
    disk.plant('/a', sector(1));
    disk.rename('/a', '/b');
    disk.rename('/b', '/c');
    disk.powerCut();
    return disk.list('/').sort().join('');
  });
  assert.deepEqual(found, ['a', 'b', 'c']);
});

test('a new file does not take the name of one whose rename was lost', () => {
  const found = outcomes((disk) => {
    disk.plant('/a', sector(1));
    disk.rename('/a', '/b');
    disk.open('/a', 'wx').close();
    disk.powerCut();
    return disk
      .list('/')
      .sort()
      .map((name) => `${name}=${disk.contents(`/${name}`)[0] ?? 'new'}`)
      .join(' ');
  });
  assert.deepEqual(found, ['a=1', 'a=new b=1', 'b=1']);
});

test('an unsynced unlink may not have happened: the file is back with its durable bytes', () => {
  const found = outcomes((disk) => {
    disk.plant('/a', sector(1));
    disk.unlink('/a');
    disk.powerCut();
    return disk.stat('/a') === undefined ? 'gone' : String(disk.contents('/a')[0]);
  });
  assert.deepEqual(found, ['1', 'gone']);
});

test('of two files that were created the later may be there without the earlier', () => {
  const found = outcomes((disk) => {
    disk.open('/1', 'wx');
    disk.open('/2', 'wx');
    disk.powerCut();
    return disk.list('/').sort().join('');
  });
  assert.deepEqual(found, ['', '1', '12', '2']);
});

test('a directory whose name was lost took everything in it along', () => {
  const found = outcomes((disk) => {
    disk.mkdir('/d');
    const file = disk.open('/d/a', 'wx');
    file.write(sector(1), 0, SECTOR_BYTES, 0);
    file.sync();
    disk.syncDirectory('/d');
    disk.powerCut();
    return disk.stat('/d') === undefined ? 'gone' : disk.list('/d').join();
  });
  assert.deepEqual(found, ['a', 'gone']);
});

test('a rename between two directories is one change: a sync of either makes it durable in both', () => {
  for (const synced of ['/x', '/y']) {
    const found = outcomes((disk) => {
      disk.plant('/x/a', sector(1));
      disk.plant('/y/b', sector(2));
      disk.rename('/x/a', '/y/a');
      disk.syncDirectory(synced);
      disk.powerCut();
      return `${disk.list('/x').join()}|${disk.list('/y').sort().join()}`;
    });
    assert.deepEqual(found, ['|a,b']);
  }
});

test('a killed process loses no byte and no name', () => {
  const disk = new SimulatedDisk({ seed: 1 });
  disk.mkdir('/d');
  const file = disk.open('/d/a', 'wx+');
  file.write(sector(1, 700), 0, 700, 0);
  disk.killProcess();
  assert.deepEqual(disk.contents('/d/a'), sector(1, 700));
  assert.equal(disk.durableContents('/d/a').length, 0, 'and yet it is not durable');
});

test('after either kind of crash descriptors are bad and locks are free', () => {
  for (const crash of ['powerCut', 'killProcess'] as const) {
    const disk = new SimulatedDisk({ seed: 1 });
    disk.plant('/lock', sector(0));
    const file = disk.open('/lock', 'r+');
    const lock = disk.lock('/lock') ?? assert.fail('nobody holds it');
    disk[crash]();
    assert.throws(() => file.write(sector(1), 0, 1, 0), { code: 'EBADF' });
    assert.throws(() => file.sync(), { code: 'EBADF' });
    file.close();
    assert.deepEqual(disk.openPaths, []);
    const next = disk.lock('/lock') ?? assert.fail('its holder is dead');
    lock.release();
    assert.notEqual(disk.lockHolder('/lock'), undefined, 'a late release of the dead one frees nothing');
    next.release();
  }
});
