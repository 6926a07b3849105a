/** The key-value store of the examples on simulated machines: power cuts in the middle of every kind of operation. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type CrashTestOptions,
  crashTest,
  type SimulatedMachine,
  type SimulatedPromises,
} from '#ringwal/testing';

// By URL, since it has no types.
const { KeyValueStore } = await import(
  new URL('../../examples/key-value-store/store.mjs', import.meta.url).href
);

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

/** So small that a life makes several snapshots. */
const SNAPSHOT_BYTES = 16 * 1024;

const ALL = ['power-cut', 'kill', 'failed-sync', 'full-disk'] as const;

const STORE: CrashTestOptions<Store, Content, readonly Change[]> = {
  boot: (machine) => open(machine, machine.fs.promises),
  close: (store) => store.close(),
  empty: new Map(),
  draw: (random, number) =>
    Array.from({ length: 1 + random.below(3) }, () => ({
      key: `key ${random.below(6)}`,
      ...(random.chance(0.8) && { value: `${number} `.padEnd(random.pick([10, 500, 4000]), '.') }),
    })),
  act: (store, changes) => store.putMany(changes),
  apply: (content, changes) => {
    for (const { key, value } of changes) {
      if (value === undefined) content.delete(key);
      else content.set(key, value);
    }
    return content;
  },
  observe: (store) => new Map([...store.entries()].sort()),
};

function open(machine: SimulatedMachine, fs: SimulatedPromises): Promise<Store> {
  return KeyValueStore.open('./store', {
    openLog: machine.open,
    fs,
    snapshotBytes: SNAPSHOT_BYTES,
    // Whatever befalls a snapshot: nothing is lost by it.
    onError: () => {},
  });
}

test('the store keeps what it has acknowledged and shown, whatever the power and the disk do', async () => {
  const report = await crashTest({ ...STORE, faults: ALL, lives: 50 });
  assert.ok(report.crashes > report.lives);
  assert.ok(report.acknowledged > report.operations / 2);
});

type Mutant = Partial<CrashTestOptions<Store, Content, readonly Change[]>>;

/** Stores with one mistake each, as they are made. */
const MUTANTS: Readonly<Record<string, Mutant>> = {
  'acknowledges before the sync': {
    boot: (machine) =>
      KeyValueStore.open('./store', {
        openLog: (directory: string, options: object) =>
          machine.open(directory, { ...options, durable: false }),
        fs: machine.fs.promises,
      }),
  },
  'does not sync the snapshot': {
    boot: (machine) => open(machine, withoutSync(machine.fs.promises)),
  },
  'shows a change before it is acknowledged': {
    boot: async (machine) => showingEarly(await open(machine, machine.fs.promises)),
  },
  'makes several entries of one change': {
    act: (store, changes) => Promise.all(changes.map((change) => store.putMany([change]))),
  },
};

/**
 * No file is ever synced. (Without the sync of the directory nothing would be lost: the log lies in the same one, and syncs it for the
 * checkpoint before it removes anything.)
 */
function withoutSync(fs: SimulatedPromises): SimulatedPromises {
  return {
    ...fs,
    open: async (path, given, mode) => {
      const handle = await fs.open(path, given, mode);
      return given === 'r' ? handle : { ...handle, sync: async () => {} };
    },
  };
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
