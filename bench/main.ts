/**
 * The command line of the suite.
 *
 *   npm run bench                        everything, several rounds; writes results.json, results.md and plots/ here
 *   npm run bench -- --quick             small amounts within two minutes; writes to dist/quick/
 *   npm run bench -- --only NAME         one workload, or several; writes to dist/only/
 *   npm run bench -- --compare OLD.json  flags what became worse than in OLD.json: exit code 1
 *   … --rounds N, --scratch DIR, --output DIR, --list
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { CONTENDERS } from './contenders/all.js';
import { judgeGoals } from './goals.js';
import { describeMachine, formatMachine } from './machine.js';
import { compareResults, describeMismatch, formatChanges } from './report/compare.js';
import { drawPlots } from './report/plots.js';
import { countOf, formatGoals, formatReport } from './report/table.js';
import type { Results } from './results.js';
import { measure, type Progress, type Schedule } from './schedule.js';
import { WORKLOADS } from './workloads/all.js';
import type { Workload } from './workloads/workload.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const BENCH = join(ROOT, 'bench');
const ROUNDS = 5;
const QUICK_BUDGET_MS = 90_000;
/** Beyond what Node and this repository say of themselves, the versions of these are in the report. */
const TOOLS = ['tinybench', 'protobufjs', 'crc-32'];

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true },
    compare: { type: 'string' },
    rounds: { type: 'string' },
    scratch: { type: 'string' },
    output: { type: 'string' },
    list: { type: 'boolean', default: false },
  },
});

if (options.list) for (const { name, title } of WORKLOADS) console.log(`${name.padEnd(20)} ${title}`);
else process.exitCode = await bench();

async function bench(): Promise<number> {
  const scale = options.quick ? 'quick' : 'full';
  const workloads = chosenWorkloads(options.only);
  const before = options.compare === undefined ? undefined : readResults(options.compare);
  const output = resolve(options.output ?? join(BENCH, outputFolder()));
  const schedule: Schedule = {
    root: ROOT,
    childProgram: join(BENCH, 'dist/child.mjs'),
    scratch: resolve(options.scratch ?? join(ROOT, 'node_modules/.cache/ringwal-bench')),
    scale,
    workloads,
    rounds: positiveInteger('--rounds', options.rounds) ?? ROUNDS,
    budgetMs: options.quick ? QUICK_BUDGET_MS : Number.POSITIVE_INFINITY,
  };
  mkdirSync(schedule.scratch, { recursive: true });
  const packages = CONTENDERS.flatMap(({ package: name }) => (name === undefined ? [] : [name]));
  const machine = describeMachine(ROOT, schedule.scratch, [...packages, ...TOOLS]);
  console.log(`${formatMachine(machine)}\n`);
  if (machine.fileSystem === 'tmpfs') {
    console.log(
      'The scratch directory is in memory, where an fsync costs nothing: choose another by --scratch.\n',
    );
  }

  const startedMs = performance.now();
  const measured = await measure(schedule, progressOn(process.stderr));
  const durationS = Math.round((performance.now() - startedMs) / 1e3);
  const results: Results = { version: 1, machine, scale, durationS, ...measured };

  write(output, results, workloads);
  const goals = formatGoals(judgeGoals(results));
  if (goals !== '') console.log(`${goals}\n`);
  console.log(`${countOf(results.rounds, 'round')} in ${durationS} s: ${join(output, 'results.md')}`);

  const isWorse = before !== undefined && reportChanges(before, results, workloads);
  const isBroken = results.skipped.some(({ what, hasFailed }) => hasFailed && what.endsWith(', ringwal'));
  return isWorse || isBroken ? 1 : 0;
}

/** Only a whole run with full amounts takes the place of the one that documents show. */
function outputFolder(): string {
  if (options.only !== undefined) return 'dist/only';
  return options.quick ? 'dist/quick' : '.';
}

function write(output: string, results: Results, workloads: readonly Workload[]): void {
  const plots = join(output, 'plots');
  mkdirSync(plots, { recursive: true });
  writeFileSync(join(output, 'results.json'), `${JSON.stringify(results, undefined, 1)}\n`);
  writeFileSync(join(output, 'results.md'), formatReport(results, workloads));
  for (const [name, svg] of drawPlots(results, workloads)) writeFileSync(join(plots, name), svg);
}

/** True = something of ringwal's became worse. */
function reportChanges(before: Results, now: Results, workloads: readonly Workload[]): boolean {
  const mismatch = describeMismatch(before, now);
  if (mismatch !== undefined) console.log(`\nCompare with care, ${mismatch}.`);
  const changes = compareResults(before, now, workloads);
  console.log(`\n${formatChanges(changes)}`);
  return changes.some(({ verdict }) => verdict === 'worse');
}

/** On a terminal one line that changes, else one for each workload of a round. */
function progressOn(stream: NodeJS.WriteStream): Progress {
  let last = '';
  const clear = () => {
    if (stream.isTTY) stream.write('\r\x1b[K');
  };
  return {
    starting(label, done, total, round) {
      const [workload = ''] = label.split(',');
      if (stream.isTTY) {
        clear();
        stream.write(`round ${round + 1}, ${done + 1}/${total}: ${label}`);
        if (done + 1 === total) stream.write('\n');
      } else if (last !== `${round} ${workload}`) {
        stream.write(`round ${round + 1}, ${done + 1}/${total}: ${workload}\n`);
      }
      last = `${round} ${workload}`;
    },
    skipped({ what, why }) {
      clear();
      stream.write(`skipped ${what}: ${why}\n`);
    },
  };
}

function chosenWorkloads(names: readonly string[] | undefined): readonly Workload[] {
  if (names === undefined) return WORKLOADS;
  const unknown = names.find((name) => WORKLOADS.every((workload) => workload.name !== name));
  if (unknown !== undefined) fail(`No workload is called ${unknown}: see --list.`);
  return WORKLOADS.filter(({ name }) => names.includes(name));
}

function readResults(path: string): Results {
  const results = JSON.parse(readFileSync(path, 'utf8')) as Results;
  if (results.version !== 1) fail(`${path} is not of this version of the suite.`);
  return results;
}

function positiveInteger(option: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const number = Number(value);
  if (!Number.isSafeInteger(number) || number < 1) fail(`${option} must be an integer from 1, not ${value}.`);
  return number;
}

function fail(message: string): never {
  console.error(message);
  process.exit(2);
}
