/**
 * The command line of the suite.
 *
 * Exit codes: 1, a figure of ringwal is worse, is missing or could not be measured; 2, the command line is wrong.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { CONTENDERS } from './contenders/all.js';
import { judgeGoals } from './goals.js';
import { describeMachine, describeSource, formatMachine } from './machine.js';
import { compareResults, describeMismatch, formatChanges } from './report/compare.js';
import { drawPlots } from './report/plots.js';
import { countOf, formatGoals, formatReport } from './report/table.js';
import { kindOf, type Results } from './results.js';
import { measure, type Progress, removeRuns, type Schedule } from './schedule.js';
import { WORKLOADS } from './workloads/all.js';
import type { Workload } from './workloads/workload.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const BENCH = join(ROOT, 'bench');
const ROUNDS = 5;
const QUICK_BUDGET_MS = 90_000;
/** Packages whose versions are in the report, besides Node and this repository. */
const TOOLS = ['tinybench', 'protobufjs', 'crc-32'];

const HELP = `npm run bench                        everything, five rounds; writes results.json, results.md and plots/ to bench/
npm run bench -- --quick             small amounts within two minutes; writes to bench/dist/quick/
npm run bench -- --only NAME         one workload, or several; writes to bench/dist/only/
npm run bench -- --compare OLD.json  flags what became worse than in OLD.json: exit code 1
… --rounds N, --scratch DIR, --output DIR, --list, --help`;

const options = parseOptions();

if (options.help) console.log(HELP);
else if (options.list) for (const { name, title } of WORKLOADS) console.log(`${name.padEnd(20)} ${title}`);
else process.exitCode = await bench();

function parseOptions() {
  try {
    return parseArgs({
      options: {
        quick: { type: 'boolean', default: false },
        only: { type: 'string', multiple: true },
        compare: { type: 'string' },
        rounds: { type: 'string' },
        scratch: { type: 'string' },
        output: { type: 'string' },
        list: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values;
  } catch (error) {
    fail(`${(error as Error).message}\n\n${HELP}`);
  }
}

async function bench(): Promise<number> {
  const scale = options.quick ? 'quick' : 'full';
  const workloads = chosenWorkloads(options.only);
  const before = options.compare === undefined ? undefined : readResults(options.compare);
  const rounds = positiveInteger('--rounds', options.rounds) ?? ROUNDS;
  const output = resolve(options.output ?? join(BENCH, outputFolder(rounds)));
  // Created now, so that an error does not come after hours of measurements.
  makeDirectory('--output', join(output, 'plots'));
  const schedule: Schedule = {
    root: ROOT,
    childProgram: join(BENCH, 'dist/child.mjs'),
    scratch: resolve(options.scratch ?? join(ROOT, 'node_modules/.cache/ringwal-bench')),
    scale,
    workloads,
    rounds,
    budgetMs: options.quick ? QUICK_BUDGET_MS : Number.POSITIVE_INFINITY,
  };
  makeDirectory('--scratch', schedule.scratch);
  removeAtSignals(schedule.scratch);
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
  const source = describeSource(ROOT);
  const results: Results = { version: 1, source, machine, scale, durationS, ...measured };

  write(output, results, workloads);
  const goals = formatGoals(judgeGoals(results));
  if (goals !== '') console.log(`${goals}\n`);
  if (options.quick) console.log('Quick: so little is measured that these figures decide nothing.\n');
  console.log(`${countOf(results.rounds, 'round')} in ${durationS} s: ${join(output, 'results.md')}`);

  const isWorse = before !== undefined && reportChanges(before, results, workloads);
  const isBroken = reportBroken(results);
  return isWorse || isBroken ? 1 : 0;
}

/** Only a whole run with full amounts replaces the results that the documents show. */
function outputFolder(rounds: number): string {
  if (options.only !== undefined) return 'dist/only';
  if (options.quick) return 'dist/quick';
  return rounds < ROUNDS ? 'dist/short' : '.';
}

/** True = a figure of ringwal could not be measured. */
function reportBroken({ skipped }: Results): boolean {
  const broken = skipped.filter(
    ({ contender }) => contender !== undefined && kindOf(contender) === 'ringwal',
  );
  for (const { what, why } of broken) console.log(`FAILED  ${what}: ${why}`);
  return broken.length > 0;
}

function write(output: string, results: Results, workloads: readonly Workload[]): void {
  const plots = join(output, 'plots');
  writeFileSync(join(output, 'results.json'), `${JSON.stringify(results, undefined, 1)}\n`);
  writeFileSync(join(output, 'results.md'), formatReport(results, workloads));
  for (const [name, svg] of drawPlots(results, workloads)) writeFileSync(join(plots, name), svg);
}

/** True = a figure of ringwal is worse. */
function reportChanges(before: Results, now: Results, workloads: readonly Workload[]): boolean {
  const mismatch = describeMismatch(before, now);
  const changes = compareResults(before, now, workloads);
  console.log(`\n${formatChanges(changes)}`);
  if (mismatch !== undefined) console.log(`\nThis decides nothing: ${mismatch}.`);
  return (
    mismatch === undefined && changes.some(({ verdict }) => verdict === 'worse' || verdict === 'missing')
  );
}

/** On a terminal it updates one line; otherwise it prints one line for each workload of a round. */
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
  let results: Results;
  try {
    results = JSON.parse(readFileSync(path, 'utf8')) as Results;
  } catch (error) {
    fail(`--compare: ${path} cannot be read as results.json: ${(error as Error).message}`);
  }
  if (results?.version !== 1 || !Array.isArray(results.cases) || results.machine === undefined)
    fail(`--compare: ${path} is no results.json of this version of the suite.`);
  return results;
}

function makeDirectory(option: string, path: string): void {
  try {
    mkdirSync(path, { recursive: true });
  } catch (error) {
    fail(`${option}: ${(error as Error).message}`);
  }
}

/** Removes the measured files, which may be gigabytes, when a signal interrupts the run. */
function removeAtSignals(scratch: string): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      removeRuns(scratch);
      process.exit(signal === 'SIGINT' ? 130 : 143);
    });
  }
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
