/**
 * A small key-value store on a log, killed under load again and again:
 *
 *   node examples/key-value-store.mjs [ROUNDS] [DIR]
 *
 *   ROUNDS   how often it is killed; default 5
 *   DIR      the directory of the store, which is kept; default: a temporary directory, removed at the end
 *
 * In each round a child process opens the store, puts and removes values as fast as it can, and is killed by SIGKILL at a
 * random moment. Then the store is opened here, and its whole content is compared with what the child had acknowledged.
 * The exit code is 0 only if no step was lost, none was there in part, and the store holds nothing else.
 *
 * The store itself is key-value-store/store.mjs.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bad, field, good, integer, ms, plural, say, title } from './crash-demo/terminal.mjs';
import { killUnderLoad } from './key-value-store/kill.mjs';
import { prove, stepsIn } from './key-value-store/prove.mjs';
import { WRITERS } from './key-value-store/steps.mjs';
import { KeyValueStore } from './key-value-store/store.mjs';

const [rounds = '5', ownDirectory] = process.argv.slice(2);
if (!/^[1-9]\d*$/.test(rounds)) {
  console.error('Usage: node examples/key-value-store.mjs [ROUNDS] [DIR]');
  process.exit(2);
}
const directory = ownDirectory ?? mkdtempSync(join(tmpdir(), 'ringwal-store-'));

try {
  title(`A key-value store, killed under load ${plural(Number(rounds), 'time')}`);
  field('store', ownDirectory ?? `${directory}, removed at the end`);
  field('load', `${WRITERS} writers at a time; a step sets two keys and removes one, all or nothing`);

  let steps = await openStore((store) => stepsIn(store));
  const stepsBefore = sum(steps);
  for (let round = 1; round <= Number(rounds); round++) {
    title(`Round ${round}`);
    const { acknowledged, loadMs } = await killUnderLoad(directory, steps);
    const count = sum(acknowledged) - sum(steps);
    field('killed', `after ${ms(loadMs)} of load, with ${plural(count, 'step')} acknowledged`);
    steps = await recover(acknowledged);
  }
  say();
  say(good(`Proven: of ${plural(sum(steps) - stepsBefore, 'step')} none that was acknowledged was lost,`));
  say(good('and none was there in part.'));
  if (ownDirectory === undefined) rmSync(directory, { recursive: true });
} catch (error) {
  say();
  console.error(error);
  console.error(bad(`FAILED: ${error.message}`));
  console.error(`The store is kept in ${directory}.`);
  process.exitCode = 1;
}

/** Returns the steps that are there. */
function recover(acknowledged) {
  return openStore((store) => {
    const { snapshotLsn, replayed, ms: openMs } = store.opened;
    const from = snapshotLsn === 0 ? 'no snapshot' : `the snapshot at entry ${integer(snapshotLsn)}`;
    field('opened', `${from}, ${plural(replayed, 'entry', 'entries')} replayed after it; took ${ms(openMs)}`);
    prove(store, acknowledged);
    field('proof', good(`${plural(store.size, 'key')}, each as its writer has left it`));
    const steps = stepsIn(store);
    const more = sum(steps) - sum(acknowledged);
    if (more > 0) field('', `${plural(more, 'more step')}, whose acknowledgement the kill cut off`);
    return steps;
  });
}

async function openStore(use) {
  const store = await KeyValueStore.open(directory);
  try {
    return use(store);
  } finally {
    await store.close();
  }
}

function sum(numbers) {
  return numbers.reduce((total, each) => total + each, 0);
}
