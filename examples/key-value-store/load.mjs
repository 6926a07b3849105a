/**
 * The process that is killed. Several writers work at a time. Each begins its next step once the last one is acknowledged, and
 * prints a line for each acknowledged step, `<writer> <step>`. Try it by hand: `node examples/key-value-store/load.mjs DIR`.
 */
import { stepKey, stepOf, WRITERS } from './steps.mjs';
import { KeyValueStore } from './store.mjs';

// Several snapshots a second, so that kills also come during a snapshot.
const store = await KeyValueStore.open(process.argv[2], { snapshotBytes: 256 * 1024 });

for (let writer = 0; writer < WRITERS; writer++) write(writer);

async function write(writer) {
  for (let step = (store.get(stepKey(writer)) ?? 0) + 1; ; step++) {
    await store.putMany(stepOf(writer, step));
    process.stdout.write(`${writer} ${step}\n`);
  }
}
