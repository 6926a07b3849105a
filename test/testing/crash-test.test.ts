/** The crash test itself: what it lets pass, and what it catches. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Wal } from '#ringwal';
import {
  type CrashTestFailure,
  type CrashTestOptions,
  crashTest,
  type SimulatedMachine,
} from '#ringwal/testing';
import { cleanUp } from '../cleanup.js';
import { SEED, seededTest } from '../seed.js';

const OPENING = { ringSize: 64 * 1024, maxFileSize: 4096 };

/** The smallest store: a list, which is the log. */
class List {
  readonly items: number[] = [];
  readonly wal: Wal;

  constructor(wal: Wal) {
    this.wal = wal;
  }

  static async open(machine: SimulatedMachine): Promise<List> {
    const list = new List(await machine.open('./list', OPENING));
    for await (const { data } of list.wal.entries()) list.items.push(Number(Buffer.from(data)));
    return list;
  }

  async add(item: number): Promise<void> {
    await this.wal.append(String(item), { durable: true });
    this.items.push(item);
  }
}

const LIST: CrashTestOptions<List, number[], number> = {
  boot: List.open,
  close: (list) => list.wal.close(),
  empty: [],
  draw: (_random, number) => number,
  act: (list, item) => list.add(item),
  apply: (items, item) => [...items, item],
  observe: (list) => [...list.items],
  lives: 40,
};

seededTest('a store that keeps its promises passes, with every fault that there is', async (seed) => {
  const report = await crashTest({
    ...LIST,
    seed,
    faults: ['power-cut', 'kill', 'failed-sync', 'full-disk'],
  });
  assert.equal(report.seed, process.env.RINGWAL_SEED === undefined ? seed : Number(process.env.RINGWAL_SEED));
  assert.equal(report.lives, 40);
  assert.ok(report.operations >= report.acknowledged + report.rejected);
  assert.ok(report.crashes >= 40 && report.rejected > 0 && report.acknowledged > report.rejected);
  const gentle = await crashTest({ ...LIST, close: undefined, seed, lives: 10, faults: [], concurrency: 1 });
  assert.equal(gentle.acknowledged, gentle.operations);
});

interface NumberFile {
  read(): number;
  write(value: number): void;
}

/**
 * A number in a file, replaced by calls that block the thread. `syncsAtOpen`: what a killed process had renamed and not made durable
 * is made durable before anybody reads it.
 */
function openNumber({ fs }: SimulatedMachine, syncsAtOpen: boolean): NumberFile {
  const sync = (path: string) => {
    const descriptor = fs.openSync(path);
    fs.fsyncSync(descriptor);
    fs.closeSync(descriptor);
  };
  if (syncsAtOpen) sync('.');
  return {
    read: () => (fs.existsSync('number') ? Number(fs.readFileSync('number', 'utf8')) : 0),
    write(value) {
      const file = fs.openSync('number.aside', 'w');
      fs.writeSync(file, String(value));
      fs.fsyncSync(file);
      fs.closeSync(file);
      fs.renameSync('number.aside', 'number');
      sync('.');
    },
  };
}

const NUMBER: CrashTestOptions<NumberFile, number, number> = {
  boot: async (machine) => openNumber(machine, true),
  empty: 0,
  draw: (_random, number) => number,
  act: async (file, value) => file.write(value),
  apply: (_before, value) => value,
  observe: (file) => file.read(),
};

seededTest('a machine that stops in a call that blocks is no fault of the store', async (seed) => {
  const report = await crashTest({ ...NUMBER, seed });
  assert.equal(report.rejected, 0);
  assert.ok(report.crashes > 100);
});

test('a store is caught that shows, after a kill, what the next power cut takes back', async () => {
  const boot = async (machine: SimulatedMachine) => openNumber(machine, false);
  await assert.rejects(crashTest({ ...NUMBER, boot, lives: 500, seed: SEED }), {
    code: 'ERR_CRASH_TEST',
    message: /the process is killed[\s\S]*the power goes/,
  });
});

/** How a store may break its promise, and what is said of it. */
const MISTAKES: readonly (readonly [string, Partial<CrashTestOptions<List, number[], number>>, RegExp])[] = [
  [
    'acknowledges what is not synced',
    { act: (list, item) => list.wal.append(String(item)), dirtyReads: true },
    /prefix/,
  ],
  [
    'acknowledges what is not even written',
    { act: async (list, item) => list.wal.tryAppend(String(item)), dirtyReads: true },
    /prefix/,
  ],
  [
    'shows what is not durable',
    {
      act: (list, item) => {
        list.items.push(item);
        return list.wal.append(String(item), { durable: true });
      },
    },
    /prefix/,
  ],
  [
    'writes in another order than it is asked to',
    {
      act: async (list, item) => {
        if (item % 3 === 0) await list.wal.sync();
        return list.add(item);
      },
    },
    /prefix/,
  ],
  [
    'does not open after a crash',
    {
      boot: async (machine) => {
        if (machine.boots > 1) throw new Error('the lock file is there');
        return List.open(machine);
      },
    },
    /does not open: the lock file is there/,
  ],
  [
    'never answers',
    { act: (list, item) => (item > 2 ? new Promise(() => {}) : list.add(item)) },
    /nothing happens any more, and the operations under way would still have to come/,
  ],
  [
    'cannot be read',
    {
      observe: (list) => {
        if (list.items.length > 2) throw new Error('too much');
        return [...list.items];
      },
    },
    /cannot be read: too much/,
  ],
];

for (const [mistake, mutant, message] of MISTAKES) {
  test(`a store is caught that ${mistake}`, async () => {
    const error = await crashTest({ ...LIST, ...mutant, lives: 400, seed: SEED }).catch(
      (thrown: unknown) => thrown,
    );
    const failure = error as CrashTestFailure;
    assert.equal(failure.code, 'ERR_CRASH_TEST', String(error));
    assert.match(failure.message, message);
    assert.match(failure.message, new RegExp(`RINGWAL_SEED=${failure.seed}$`));
  });
}

test('a failure shows the shortest history that was found, and its seed shows the same one again', async (t) => {
  const options = { ...LIST, ...MISTAKES[0]?.[1], lives: 400 };
  const first = (await crashTest({ ...options, seed: SEED }).catch((thrown) => thrown)) as CrashTestFailure;
  const operations = first.history.filter((line) => /^operation \d+:/.test(line));
  assert.ok(operations.length <= 3, first.message);
  const before = process.env.RINGWAL_SEED;
  cleanUp(t, () => {
    if (before === undefined) delete process.env.RINGWAL_SEED;
    else process.env.RINGWAL_SEED = before;
  });
  process.env.RINGWAL_SEED = String(first.seed);
  const again = await crashTest({ ...options, seed: SEED + 1 }).catch((thrown) => thrown);
  assert.equal((again as Error).message, first.message);
});

test('dirtyReads allows a store to show what a crash may take back', async () => {
  await crashTest({ ...LIST, ...MISTAKES[2]?.[1], dirtyReads: true, seed: SEED });
});

test('options out of their range are refused', async () => {
  for (const wrong of [{ lives: 0 }, { operations: 0.5 }, { concurrency: 0 }])
    await assert.rejects(crashTest({ ...LIST, ...wrong, seed: SEED }), { code: 'ERR_WAL_OPTION' });
});
