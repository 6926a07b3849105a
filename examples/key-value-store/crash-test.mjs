/**
 * The store on simulated machines: power cuts, kills, failed fsyncs and full disks at every moment of its life.
 *
 *   node examples/key-value-store/crash-test.mjs [LIVES]
 *
 * The exit code is 0 only if the store has kept everything that it acknowledged or showed. A failure prints the seed and the
 * shortest history that was found; RINGWAL_SEED=<seed> repeats it.
 */
import { pathToFileURL } from 'node:url';
import { crashTest } from 'ringwal/testing';
import { KeyValueStore } from './store.mjs';

/** So small that a life makes several snapshots. */
const SNAPSHOT_BYTES = 16 * 1024;

/** Opens the store on a machine. */
export function openOn(machine) {
  return KeyValueStore.open('./store', {
    openLog: machine.open,
    snapshotBytes: SNAPSHOT_BYTES,
    // A failed snapshot loses nothing.
    onError: () => {},
  });
}

/** What `crashTest` needs to know. An operation is an array of changes as `putMany` takes it. */
export const STORE = {
  boot: (machine) => openOn(machine),
  close: (store) => store.close(),
  faults: ['power-cut', 'kill', 'failed-sync', 'full-disk'],
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
  observe: (store) => new Map(store.entries()),
};

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { lives, operations, acknowledged, crashes } = await crashTest({
    ...STORE,
    lives: Number(process.argv[2] ?? 100),
  });
  console.log(
    `${lives} lives, ${crashes} crashes: of ${operations} operations ${acknowledged} were acknowledged,`,
  );
  console.log('and none of these was lost.');
}
