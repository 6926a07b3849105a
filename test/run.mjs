/**
 * Runs the suite: `node test/run.mjs source|internals|package [--brief] [FILE…]`.
 *
 *   source    all but the examples, against the sources
 *   internals of the sources only what no package test goes through
 *   package   what goes through the public API again, and the examples, against the built package (`npm run build` first)
 *
 * Without FILEs every `*.test.ts` under the folders below; `--brief` leaves out those of OLDEST_ONLY. node:test prints the
 * closing lines, and `summary.mjs` what was skipped and what took longest.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';

const INTERNALS = ['format', 'blocks', 'ring', 'model', 'files', 'replica', 'worker', 'simulation', 'tidy'];
const FOLDERS = {
  source: [...INTERNALS, 'testing', 'main', 'cli', 'bench'],
  internals: INTERNALS,
  package: ['main', 'testing', 'cli', 'examples', 'bench'],
};

/**
 * What `.ci/run` has only the oldest Node show: the package in other people's tools, which takes long, and what no Node has a part in
 * but by running it: models, the simulation, the reports of benchmarks, the sources' order.
 */
const OLDEST_ONLY = /^test\/(?:main\/package|model|simulation|bench|tidy)\//;

const [kind, ...rest] = process.argv.slice(2);
const isBrief = rest[0] === '--brief';
const named = isBrief ? rest.slice(1) : rest;
const folders = FOLDERS[kind];
if (folders === undefined || named.some((name) => name.startsWith('-'))) {
  console.error('usage: node test/run.mjs source|internals|package [--brief] [FILE…]');
  process.exit(2);
}

const root = fileURLToPath(new URL('..', import.meta.url));
const all = named.length > 0 ? named : folders.flatMap(testFiles);
const files = isBrief ? all.filter((name) => !OLDEST_ONLY.test(name)) : all;
const conditions = kind !== 'package' ? ['--conditions=ringwal-source'] : [];
console.log(
  `ringwal suite against the ${kind === 'package' ? kind : 'source'}, Node ${process.versions.node}: ${files.length} files`,
);
if (isBrief) {
  console.log(
    `# ${all.length - files.length} files are left to the oldest Node (--brief): ${OLDEST_ONLY.source}`,
  );
}
// node:test leaves one core alone by default, which of two is half of the machine.
const concurrency = `--test-concurrency=${availableParallelism()}`;
// Whoever names files may have a long run in mind, with many rounds.
const watchdog = named.length > 0 ? [] : ['--import', './test/watchdog.mjs'];
const imports = ['--import', 'tsx', ...watchdog];
// The same on every Node: their defaults for a pipe differ.
const results = process.stdout.isTTY ? 'spec' : 'tap';
const reporters = [results, './test/summary.mjs'].flatMap((reporter) => [
  `--test-reporter=${reporter}`,
  '--test-reporter-destination=stdout',
]);
const runner = ['--test', concurrency, ...reporters];
const run = spawnSync(process.execPath, [...imports, ...conditions, ...runner, ...files], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, RINGWAL_TEST_KIND: kind === 'package' ? kind : 'source' },
});
removeBundles(new URL('../node_modules/.cache/ringwal/', import.meta.url));
process.exit(run.status ?? 1);

function testFiles(folder) {
  let names;
  try {
    names = readdirSync(`${root}test/${folder}`, { recursive: true });
  } catch (error) {
    if (error.code === 'ENOENT') return [];
    throw error;
  }
  return names.filter((name) => name.endsWith('.test.ts')).map((name) => `test/${folder}/${name}`);
}

/** What `test/source.ts` made for processes that are gone: another suite may be running. */
function removeBundles(folder) {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) {
    const pid = Number(/-(\d+)\./.exec(name)?.[1]);
    if (!isAlive(pid)) rmSync(new URL(name, folder), { force: true });
  }
}

function isAlive(pid) {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error.code === 'EPERM';
  }
}
