/**
 * `npm run soak -- --minutes N [--seed S]`: the built package under mixed load for as long as is asked.
 *
 *   steady   one process that lives all the time: appends of every kind, rotation, retention, readers, checkpoints,
 *            close and reopen. Its memory, descriptors and event-loop handles must not grow.
 *   crashes  one process after the other that is killed at a random moment; the next one must find a gapless log with
 *            every entry that was acknowledged.
 *
 * Exits with 1 at the first thing that is wrong, and says how to repeat it.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({
  options: { minutes: { type: 'string', default: '1' }, seed: { type: 'string' } },
});
const minutes = Number(options.minutes);
const seed = options.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(options.seed);
const LIFE_MS_MAX = 3_000;
/** Before a sample counts, caches, compiled code and the ring's pages must have come to rest. */
const WARM_UP_SHARE = 0.25;

console.log(`soak: ${minutes} minutes, seed ${seed}`);
const directory = mkdtempSync(join(tmpdir(), 'ringwal-soak-'));
const endMs = Date.now() + minutes * 60_000;
const random = createRandom(seed);
let rounds = 0;
let acknowledged = 0;
const children = new Set();
let hasFailed = false;

try {
  const [samples] = await Promise.all([liveSteadily(), crashAgainAndAgain()]);
  assertFlat(samples);
  console.log(`soak: well. ${rounds} kills survived, ${acknowledged} entries acknowledged by the killed`);
} catch (error) {
  console.error(`soak: FAILED, seed ${seed}: ${error.message}`);
  process.exitCode = 1;
} finally {
  // After a failure the other part is still at work in the directory.
  hasFailed = true;
  for (const child of children) child.kill('SIGKILL');
  await Promise.all([...children].map((child) => once(child, 'exit')));
  rmSync(directory, { recursive: true, force: true });
}

/** Runs the steady process to the end; answers what it measured of itself. */
async function liveSteadily() {
  const samples = [];
  const child = start('steady', { endMs, seed });
  child.on('message', (message) => {
    samples.push(message);
    if (samples.length % 50 === 0) console.log(describe(message));
  });
  await ended(child, 'the steady process');
  return samples;
}

async function crashAgainAndAgain() {
  let acked = 0;
  while (Date.now() < endMs && !hasFailed) {
    const child = start('crashing', { acked, seed: seed + rounds, busyPoll: rounds % 2 === 1 });
    const over = ended(child, 'a crashing process', 'SIGKILL');
    child.on('message', (message) => {
      if (message.acked === undefined) return;
      acknowledged += message.acked - acked;
      acked = message.acked;
    });
    // It is killed at any moment of its life, while it recovers too.
    setTimeout(() => child.kill('SIGKILL'), random() * LIFE_MS_MAX).unref();
    await over;
    rounds += 1;
  }
  if (hasFailed) return;
  const child = start('checking', { acked });
  await ended(child, 'the last check');
}

function start(role, data) {
  const name = role === 'steady' ? 'steady' : 'crashing';
  const file = fileURLToPath(new URL('worker.mjs', import.meta.url));
  const child = fork(file, [role, join(directory, name), JSON.stringify(data)], {
    execArgv: ['--expose-gc'],
  });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

function ended(child, who, expectedSignal = null) {
  return new Promise((resolve, reject) => {
    child.once('exit', (code, signal) => {
      if (signal === expectedSignal && (signal !== null || code === 0)) resolve();
      else reject(new Error(`${who} ended with ${signal ?? `exit code ${code}`}`));
    });
  });
}

function assertFlat(samples) {
  const settled = samples.slice(Math.floor(samples.length * WARM_UP_SHARE));
  const half = settled.length >> 1;
  if (half < 5) throw new Error(`only ${samples.length} samples: too few to tell`);
  for (const [name, slack] of Object.entries({ rssMiB: 48, heapMiB: 16, descriptors: 4, handles: 4 })) {
    const early = median(settled.slice(0, half).map((sample) => sample[name]));
    const late = median(settled.slice(half).map((sample) => sample[name]));
    console.log(`soak: ${name} ${early} in the first half, ${late} in the second`);
    if (late > early + slack) throw new Error(`${name} grew from ${early} to ${late}`);
  }
}

function describe({ entries, rssMiB, heapMiB, descriptors }) {
  return `soak: ${entries} entries, ${rssMiB} MiB resident, ${heapMiB} MiB heap, ${descriptors} descriptors, ${rounds} kills`;
}

function median(values) {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

/** mulberry32: the moments of the kills come from the seed, as far as the machine's clock lets them. */
function createRandom(state) {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
