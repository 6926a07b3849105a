import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type BuildOptions, build } from 'esbuild';
import { parse } from 'yaml';
import { APP, CJS_APP, ESM_APP, installed, npmPack, run, says, written } from './installed-package.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const isPackage = process.env.RINGWAL_TEST_KIND === 'package';
const skip = isPackage ? false : 'of the built package only';

/** What goes beside the built code; the types are those that are reached from the entries. */
const FILES = [
  'CHANGELOG.md',
  'LICENSE',
  'README.md',
  'dist/cli.js',
  'dist/cli.js.map',
  'dist/for-import.js',
  'dist/index.js',
  'dist/index.js.map',
  'dist/index.mjs',
  'dist/log-thread.js',
  'dist/log-thread.js.map',
  'dist/opentelemetry.js',
  'dist/opentelemetry.js.map',
  'dist/opentelemetry.mjs',
  'dist/package.json',
  'dist/pino.js',
  'dist/pino.js.map',
  'dist/pino.mjs',
  'dist/postgres.js',
  'dist/postgres.js.map',
  'dist/postgres.mjs',
  'dist/prometheus.js',
  'dist/prometheus.js.map',
  'dist/prometheus.mjs',
  'dist/ringwal.1',
  'dist/testing.js',
  'dist/testing.js.map',
  'dist/testing.mjs',
  'dist/worker.js',
  'dist/worker.js.map',
  'dist/worker.mjs',
  'package.json',
  'proto/backup.proto',
  'proto/snapshot.proto',
  'proto/wal.proto',
  'sql/ringwal-replica.sql',
];
const TYPE_ENTRIES = [
  'dist/index.d.mts',
  'dist/index.d.ts',
  'dist/opentelemetry.d.mts',
  'dist/opentelemetry.d.ts',
  'dist/pino.d.mts',
  'dist/pino.d.ts',
  'dist/postgres.d.mts',
  'dist/postgres.d.ts',
  'dist/prometheus.d.mts',
  'dist/prometheus.d.ts',
  'dist/testing.d.mts',
  'dist/testing.d.ts',
  'dist/worker.d.mts',
  'dist/worker.d.ts',
];

test('the package holds what runs, the types that its exports speak of, and nothing else', { skip }, () => {
  const [{ files }] = JSON.parse(npmPack('--dry-run')) as [{ files: { path: string }[] }];
  const paths = files.map(({ path }) => path);
  const isTypes = (path: string) => /\.d\.m?ts$/.test(path);
  assert.deepEqual(paths.filter((path) => !isTypes(path)).sort(), FILES);
  assert.deepEqual(paths.filter(isTypes).sort(), reachedTypes());
});

/** Programs of the README that stand for themselves. */
const PROGRAMS = [
  ...readFileSync(join(ROOT, 'README.md'), 'utf8').matchAll(/^```js\n(import [\s\S]*?)^```$/gm),
].map(([, program = '']) => program);

test('there are programs in the README', { skip }, () => {
  assert.ok(PROGRAMS.length > 0);
});

for (const [at, program] of PROGRAMS.entries()) {
  test(`program ${at + 1} of the README works as printed in an empty project, and by require`, {
    skip,
  }, async (t) => {
    const required = program.replace(/^import (\{.*\}) from ('.*');$/gm, 'const $1 = require($2);');
    for (const [name, code] of [
      ['app.mjs', program],
      ['app.cjs', `(async () => {\n${required}\n})();`],
    ] as const) {
      const project = installed(t);
      const ended = await run([written(project, name, code)], project);
      assert.deepEqual([ended.code, ended.stderr], [0, '']);
      assert.match(ended.stdout, /^1 paid 30 to Ann\n2 somebody looked\n3 debit A\n4 credit B\n$/);
    }
  });
}

test('the exporters are found by import and by require', { skip }, async (t) => {
  const project = installed(t, ['prom-client', '@opentelemetry/api']);
  const checks = `[typeof registerWal, typeof observeWal].join()`;
  for (const [name, code] of [
    [
      'app.mjs',
      `import { registerWal } from 'ringwal/prometheus'; import { observeWal } from 'ringwal/opentelemetry'; console.log(${checks});`,
    ],
    [
      'app.cjs',
      `const { registerWal } = require('ringwal/prometheus'); const { observeWal } = require('ringwal/opentelemetry'); console.log(${checks});`,
    ],
  ] as const) {
    const ended = await run([written(project, name, code)]);
    assert.deepEqual([ended.code, ended.stdout], [0, 'function,function\n'], ended.stderr);
  }
});

test('the workflows run what there is, and publish with provenance', () => {
  const read = (name: string) =>
    parse(readFileSync(join(ROOT, '.github/workflows', name), 'utf8')) as Workflow;
  const ci = read('ci.yml');
  const release = read('release.yml');
  for (const workflow of [ci, release]) {
    assert.deepEqual(workflow.permissions, { contents: 'read' });
    const runs = Object.values(workflow.jobs).flatMap(({ steps }) => steps.map((step) => step.run));
    assert.ok(runs.includes('bash .ci/run'));
  }
  assert.ok(existsSync(join(ROOT, '.ci/run')));
  const { permissions, steps } = release.jobs.publish as Workflow['jobs'][string];
  assert.equal(permissions?.['id-token'], 'write');
  assert.equal(steps.at(-1)?.run, 'npm publish --provenance --access public');
});

interface Workflow {
  readonly permissions: Readonly<Record<string, string>>;
  readonly jobs: Readonly<
    Record<
      string,
      {
        readonly permissions?: Readonly<Record<string, string>>;
        readonly steps: readonly { readonly run?: string }[];
      }
    >
  >;
}

for (const flag of ['--disable-proto=delete', '--disable-proto=throw', '--frozen-intrinsics']) {
  for (const [kind, name, code] of [
    ['import', 'app.mjs', ESM_APP],
    ['require', 'app.cjs', CJS_APP],
  ] as const) {
    test(`the package works under ${flag}, by ${kind}`, { skip }, async (t) => {
      const project = installed(t);
      await says(project, [flag, written(project, name, code)]);
    });
  }
}

test('the package works under the permission model with the grants of docs/packaging.md', {
  skip,
}, async (t) => {
  const project = installed(t);
  const log = join(project, 'log');
  mkdirSync(log);
  const app = written(project, 'app.mjs', ESM_APP);
  await says(project, [...permissions(), ...grants(project, log), app]);
  const document = readFileSync(join(ROOT, 'docs/packaging.md'), 'utf8');
  for (const grant of grants('app', 'app/log'))
    assert.ok(document.includes(grant.split('=')[0] as string), grant);
});

for (const [missing, code, cause] of [
  ['--allow-worker', 'ERR_WAL_IO', 'ERR_ACCESS_DENIED'],
  ['--allow-addons', 'ERR_WAL_IO', 'ENOTSUP'],
  ['--allow-fs-read', 'ERR_WAL_IO', 'ERR_ACCESS_DENIED'],
] as const) {
  test(`without the grant ${missing} opening is refused with ${code} and the reason`, { skip }, async (t) => {
    const project = installed(t);
    const log = join(project, 'log');
    mkdirSync(log);
    const app = written(
      project,
      'app.mjs',
      `import { Wal } from 'ringwal';
      await Wal.open(process.argv[2]).catch(({ name, code, cause }) => console.log(name, code, cause?.code));`,
    );
    const given = grants(project, log).filter((grant) => grant.split('=')[0] !== missing);
    // What the program is made of it may read in any case.
    const own = missing === '--allow-fs-read' ? [`--allow-fs-read=${app}`, ...modules(project)] : [];
    const ended = await run(['--no-warnings', ...permissions(), ...given, ...own, app, log]);
    assert.equal(ended.stdout, `WalError ${code} ${cause}\n`, ended.stderr);
  });
}

for (const format of ['esm', 'cjs'] as const) {
  test(`an application that esbuild has bundled as ${format} works, its worker file beside it`, {
    skip,
  }, async (t) => {
    const project = installed(t);
    await bundle(project, format, { app: 'app.mjs', worker: 'ringwal/worker' });
    await says(project, [join(project, 'out/app.js')]);
  });

  test(`a bundle (${format}) finds a worker file elsewhere by workerUrl, in every call that has threads`, {
    skip,
  }, async (t) => {
    const project = await bundledElsewhere(t, format);
    const ended = await run([join(project, 'out/main/app.js'), join(project, 'log'), '../threads/worker.js']);
    assert.deepEqual([ended.code, ended.stdout], [0, 'ab torn torn ab ab ab\n'], ended.stderr);
  });

  test(`a bundle (${format}) that looks for its worker file where it is not is told so by each of these calls`, {
    skip,
  }, async (t) => {
    const project = await bundledElsewhere(t, format);
    const app = join(project, 'out/main/app.js');
    const log = join(project, 'log');
    await run([app, log, '../threads/worker.js']);
    const ended = await run([app, log, './worker.js']);
    assert.equal(ended.stdout, `${Array(6).fill('ERR_WAL_WORKER_DIED true').join(' ')}\n`, ended.stderr);
  });

  test(`a bundle (${format}) without its worker file is told what is missing`, { skip }, async (t) => {
    const project = installed(t);
    const code = `import { Wal } from 'ringwal';
    const tell = ({ name, code, message }) => console.log(name, code, /worker\\.js.*docs\\/packaging\\.md/s.test(message));
    Wal.open(process.argv[2]).catch(tell).then(() => Wal.verify('.')).catch(tell);`;
    await bundle(project, format, { app: 'app.mjs' }, code);
    const ended = await run([join(project, 'out/app.js'), join(project, 'log')]);
    assert.equal(ended.stdout, 'WalError ERR_WAL_WORKER_DIED true\n'.repeat(2), ended.stderr);
  });
}

/**
 * Says what each call that has threads comes to: two entries in a log of which each segment ends in what is no frame, or the
 * error, and whether it names what to look after.
 */
const APP_ELSEWHERE = `
import { Wal } from 'ringwal';
const { appendFileSync } = require('node:fs');
const { join, resolve } = require('node:path');
const directory = process.argv[2];
const options = { workerUrl: resolve(__dirname, process.argv[3]) };
const textsOf = async (entries, count) => {
  let texts = '';
  for await (const { data } of entries) {
    texts += Buffer.from(data);
    if (texts.length === count) break;
  }
  return texts;
};
const calls = [
  async () => {
    const wal = await Wal.open(directory, options);
    if (wal.lastLsn === 0) await wal.appendBatch(['a', 'b']);
    const texts = await textsOf(wal.entries());
    await wal.close();
    appendFileSync(join(directory, 'wal-0'), 'no frame');
    return texts;
  },
  async () => (await Wal.verify(directory, options)).verdict,
  async () => (await Wal.repair(directory, { ...options, dryRun: true })).verdict,
  () => textsOf(Wal.readSegment(join(directory, 'wal-0'), options)),
  () => textsOf(Wal.follow(directory, options), 2),
  async () => {
    const reader = await Wal.open(directory, { ...options, readOnly: true });
    const texts = await textsOf(reader.entries());
    await reader.close();
    return texts;
  },
];
async function say() {
  const said = [];
  for (const call of calls)
    said.push(
      await call().catch(({ code, message }) => code + ' ' + /worker\\.js.*workerUrl, docs\\/packaging\\.md/s.test(message)),
    );
  console.log(said.join(' '));
}
say();
`;

/** A project with the bundle of the application in one folder, and that of the worker file in another. */
async function bundledElsewhere(t: TestContext, format: 'esm' | 'cjs'): Promise<string> {
  const project = installed(t);
  const entryPoints = { 'main/app': 'app.mjs', 'threads/worker': 'ringwal/worker' };
  await bundle(project, format, entryPoints, APP_ELSEWHERE);
  return project;
}

/** As docs/packaging.md has it. */
async function bundle(
  project: string,
  format: 'esm' | 'cjs',
  entryPoints: Record<string, string>,
  code = `${APP}\nimport { Wal } from 'ringwal';\nmain(Wal, process.argv[2]);\n`,
): Promise<void> {
  written(project, 'app.mjs', code.replace('await main(', 'main('));
  written(project, 'package.json', JSON.stringify({ type: format === 'esm' ? 'module' : 'commonjs' }));
  const options: BuildOptions = {
    absWorkingDir: project,
    entryPoints,
    outdir: 'out',
    bundle: true,
    platform: 'node',
    format,
    external: ['fs-native-extensions', 'piscina'],
    logLevel: 'error',
  };
  if (format === 'esm') options.banner = { js: ESM_BANNER };
  await build(options);
}

const ESM_BANNER = /js: `([^`]+)`/.exec(readFileSync(join(ROOT, 'docs/packaging.md'), 'utf8'))?.[1] as string;

function reachedTypes(): string[] {
  const reached = new Set<string>();
  const pending = [...TYPE_ENTRIES];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    if (reached.has(path)) continue;
    reached.add(path);
    for (const [, specifier] of readFileSync(join(ROOT, path), 'utf8').matchAll(/'(\.{1,2}\/[^']+)\.js'/g))
      pending.push(join(dirname(path), `${specifier}.d.ts`));
  }
  return [...reached].sort();
}

/** The flag that turns the permission model on. */
function permissions(): string[] {
  return [
    process.allowedNodeEnvironmentFlags.has('--permission') ? '--permission' : '--experimental-permission',
  ];
}

function grants(project: string, log: string): string[] {
  return [
    `--allow-fs-read=${project}/*`,
    ...modules(project),
    `--allow-fs-read=${log}/*`,
    `--allow-fs-write=${log}/*`,
    '--allow-worker',
    '--allow-addons',
  ];
}

/** Where the package and what it depends on may be read; the links of [installed] lead out of the project. */
function modules(project: string): string[] {
  return [
    `--allow-fs-read=${project}/node_modules/*`,
    `--allow-fs-read=${ROOT}node_modules/*`,
    `--allow-fs-read=${project}/package.json`,
  ];
}
