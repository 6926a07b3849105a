/** The key-value store of the examples on simulated machines, and stores like it with a mistake. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CrashTestOptions, crashTest, type SimulatedMachine } from '#ringwal/testing';
import { startExample } from './example.js';

interface Change {
  readonly key: string;
  readonly value?: unknown;
}

interface Store {
  putMany(changes: readonly Change[]): Promise<void>;
  entries(): IterableIterator<[string, unknown]>;
  close(): Promise<void>;
}

type Content = Map<string, unknown>;

type Options = CrashTestOptions<Store, Content, readonly Change[]>;

// By URL, since it has no types.
const { openOn, STORE } = (await import(
  new URL('../../examples/key-value-store/crash-test.mjs', import.meta.url).href
)) as { openOn(machine: SimulatedMachine): Promise<Store>; STORE: Options };

test('the store keeps what it has acknowledged and shown, whatever the power and the disk do', async () => {
  const report = await crashTest({ ...STORE, lives: 50 });
  assert.ok(report.crashes > report.lives);
  assert.ok(report.acknowledged > report.operations / 2);
});

test('the example crash-tests the store, and says what it did', async (t) => {
  const { code, output, errors } = await startExample(t, 'key-value-store/crash-test.mjs', ['5']).ended;
  assert.deepEqual({ code, errors }, { code: 0, errors: '' });
  assert.match(
    output,
    /^5 lives, \d+ crashes: of \d+ operations \d+ were acknowledged,\nand none of these was lost\.\n$/,
  );
});

/** Stores with one mistake each. */
const MUTANTS: Readonly<Record<string, Partial<Options>>> = {
  'acknowledges before the sync': {
    boot: (machine) => openOn(withOpen(machine, { durable: false })),
  },
  'says of a snapshot that it holds an entry which it does not hold': {
    boot: (machine) => openOn(withLateSnapshots(machine)),
  },
  'shows a change before it is acknowledged': {
    boot: async (machine) => showingEarly(await openOn(machine)),
  },
  'makes several entries of one change': {
    act: (store, changes) => Promise.all(changes.map((change) => store.putMany([change]))),
  },
};

/** The machine, whose logs are opened with other options than the store asks for. */
function withOpen(machine: SimulatedMachine, other: object): SimulatedMachine {
  return {
    open: (directory, options) => machine.open(directory, { ...options, ...other }),
  } as SimulatedMachine;
}

/** Snapshots are taken for those of the newest entry, which may be one that is not acknowledged and not in them. */
function withLateSnapshots(machine: SimulatedMachine): SimulatedMachine {
  return {
    open: async (directory, options) => {
      const wal = await machine.open(directory, options);
      const write = wal.writeSnapshot.bind(wal);
      wal.writeSnapshot = (_, source, given) => write(wal.lastLsn, source, given);
      return wal;
    },
  } as SimulatedMachine;
}

function showingEarly(store: Store): Store {
  const early: Content = new Map(store.entries());
  return {
    putMany: (changes) => {
      STORE.apply(early, changes);
      return store.putMany(changes);
    },
    entries: () => early.entries(),
    close: () => store.close(),
  };
}

for (const [mistake, mutant] of Object.entries(MUTANTS)) {
  test(`a store is caught that ${mistake}`, async () => {
    await assert.rejects(crashTest({ ...STORE, ...mutant, lives: 500 }), (error: Error) => {
      assert.match(error.message, /the store (holds what no prefix|does not open)/);
      assert.match(error.message, /RINGWAL_SEED=\d+$/);
      return true;
    });
  });
}
