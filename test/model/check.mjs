// Checks the Promela models beside this file in every order of steps, and that each known fault makes them fail.
//
//     node test/model/check.mjs          needs `spin` (Debian package of that name) and a C compiler
//
// Exits with status 1 if a model is rejected or a fault is not noticed. If the tools are missing, it says so and exits with 0.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MUTANTS = {
  doorbell: [
    'NO_SECOND_LOOK',
    'PRODUCER_CLEARS',
    'WAIT_WITHOUT_COMPARE',
    'SAME_GENERATION',
    'RING_BEFORE_PUBLISH',
  ],
  lane: [
    'PUBLISH_FIRST',
    'RELEASE_FIRST',
    'NO_ROOM_CHECK',
    'WRAP_UNCOUNTED',
    'NO_TAIL_REREAD',
    'WANT_FIRST',
    'HEAD_BEFORE_TICKET',
  ],
  pin: ['NO_BIT', 'BIT_FIRST', 'LOOK_FIRST', 'NO_COMPARE'],
  poll: ['BLIND_STOP', 'BLIND_FILL', 'FILL_FIRST', 'TAKE_LATE', 'NO_LOOK'],
  'replica-sql': [
    'NO_EPOCH',
    'NO_HEAD',
    'ACK_UNKNOWN',
    'NO_STANDBY',
    'HEAD_BEFORE_ACQUIRE',
    'SETTLE_BY_READ',
  ],
  'replica-objects': ['NO_LOOK', 'LOOK_BEFORE_PUT', 'LIST_BEFORE_CLAIM', 'SEAL_OVERWRITES'],
};

/** The cases: each model as it is, then with each of its faults. */
export const cases = Object.entries(MUTANTS).flatMap(([model, mutants]) => [
  { model, mutant: undefined },
  ...mutants.map((mutant) => ({ model, mutant })),
]);

/** Why nothing can be checked here; undefined = it can. */
export function whySkipped() {
  if (!runs('spin', '-V')) return '`spin` is not installed (Debian: apt-get install spin)';
  if (!runs('cc', '--version')) return 'no C compiler `cc` is installed';
  return undefined;
}

/** Goes through all states of a case, or up to the first that breaks the model's claims. */
export function check({ model, mutant }) {
  const directory = mkdtempSync(join(tmpdir(), 'ringwal-model-'));
  try {
    const source = fileURLToPath(new URL(`./${model}.pml`, import.meta.url));
    const run = (command, ...args) => runTool(directory, command, args);
    run('spin', ...(mutant === undefined ? [] : [`-D${mutant}`]), '-a', source);
    run('cc', '-O2', '-DSAFETY', '-o', 'pan', 'pan.c');
    return readVerdict(run('./pan', '-m100000'));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function readVerdict(report) {
  const errors = Number(/errors: (\d+)/.exec(report)?.[1]);
  const states = Number(/(\d+) states, stored/.exec(report)?.[1]);
  if (Number.isNaN(errors) || Number.isNaN(states))
    throw new Error(`no verdict in spin's report:\n${report}`);
  // An incomplete search proves nothing.
  if (/max search depth too small|out of memory/.test(report))
    throw new Error(`search cut short:\n${report}`);
  return { accepted: errors === 0, states, reason: /^pan:1: (.*)$/m.exec(report)?.[1] ?? '' };
}

function runTool(cwd, command, args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}:\n${stdout}${stderr}`);
  return stdout;
}

function runs(command, argument) {
  return spawnSync(command, [argument]).status === 0;
}

function main() {
  const reason = whySkipped();
  if (reason !== undefined) {
    console.log(`models not checked: ${reason}`);
    return;
  }
  for (const each of cases) {
    const { accepted, states, reason } = check(each);
    const asExpected = accepted === (each.mutant === undefined);
    const verdict = accepted ? 'holds' : `rejected: ${reason}`;
    console.log(
      `${asExpected ? 'ok' : 'NOT OK'}  ${each.model} ${each.mutant ?? ''}  ${verdict} (${states} states)`,
    );
    if (!asExpected) process.exitCode = 1;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
