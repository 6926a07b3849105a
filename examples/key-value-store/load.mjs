/**
 * The process that gets killed: several writers at a time, each with a next step once its last one is acknowledged, and a
 * line for each that is, `<writer> <step>`. `node examples/key-value-store/load.mjs DIR` can be tried by hand.
 */
import { stepKey, stepOf, WRITERS } from './steps.mjs';
import { KeyValueStore } from './store.mjs';

// Snapshots several times a second, so that kills meet them at work.
const store = await KeyValueStore.open(process.argv[2], { snapshotBytes: 256 * 1024 });

for (let writer = 0; writer < WRITERS; writer++) write(writer);

async function write(writer) {
  for (let step = (store.get(stepKey(writer)) ?? 0) + 1; ; step++) {
    await store.putMany(stepOf(writer, step));
    process.stdout.write(`${writer} ${step}\n`);
  }
}
