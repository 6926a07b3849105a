/**
 * `npm run simulate -- [--seeds N] [--seed S]`: runs lives of a log on the simulated disk, with crashes, power cuts and faults,
 * each against the model of what was promised. Without `--seed` the first seed is random. A life that breaks a promise is shrunk
 * to the fewest actions that still break it, and its seed is printed last: `--seed S --seeds 1` repeats it.
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { liveByChance } from './random-life.js';

/** More than any life has. */
const ACTIONS_MAX = 1024;
const BAR_WIDTH = 40;
const REPORT_EVERY_MS = 200;
/** Without a terminal for a progress bar, a line is printed now and then. */
const LINE_EVERY_MS = 10_000;

const { values } = parseArgs({
  options: { seeds: { type: 'string', default: '1000' }, seed: { type: 'string' } },
});
const seeds = Number(values.seeds);
const first = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed);
if (!Number.isSafeInteger(seeds) || seeds < 1 || !Number.isSafeInteger(first)) {
  console.error('usage: npm run simulate -- [--seeds N] [--seed S]');
  process.exit(2);
}

console.log(`simulate: ${seeds} lives, seeds ${first} to ${first + seeds - 1}`);
const startedMs = performance.now();
let reportedMs = startedMs;
for (let at = 0; at < seeds; at++) {
  const complaint = complaintAbout(first + at, ACTIONS_MAX);
  if (complaint !== undefined) fail(first + at, complaint);
  report(at + 1);
  // Ports that a life has closed are freed only between two turns of the event loop.
  await new Promise((resolve) => setImmediate(resolve));
}
const seconds = (performance.now() - startedMs) / 1000;
console.log(`simulate: ${seeds} lives, no promise broken, ${Math.round(seeds / seconds)} lives/s`);

function complaintAbout(seed: number, actionsMax: number): string | undefined {
  try {
    liveByChance(seed, { actionsMax });
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

function fail(seed: number, complaint: string): never {
  let shortest = complaint;
  let actions = ACTIONS_MAX;
  // A life with fewer actions is a beginning of the same life.
  for (let fewer = 1; fewer < ACTIONS_MAX; fewer++) {
    const found = complaintAbout(seed, fewer);
    if (found === undefined) continue;
    shortest = found;
    actions = fewer;
    break;
  }
  console.log(`\n${shortest}\n`);
  console.log(
    `simulate: seed ${seed} breaks a promise, after ${actions} actions. Again: npm run simulate -- --seed ${seed} --seeds 1`,
  );
  process.exit(1);
}

function report(done: number): void {
  const nowMs = performance.now();
  const { isTTY } = process.stdout;
  if (nowMs - reportedMs < (isTTY ? REPORT_EVERY_MS : LINE_EVERY_MS) && !(isTTY && done === seeds)) return;
  reportedMs = nowMs;
  const filled = Math.round((BAR_WIDTH * done) / seeds);
  const bar = '█'.repeat(filled) + '░'.repeat(BAR_WIDTH - filled);
  if (isTTY) process.stdout.write(`\r${bar} ${done} of ${seeds}${done === seeds ? '\n' : ''}`);
  else console.log(`simulate: ${done} of ${seeds}`);
}
