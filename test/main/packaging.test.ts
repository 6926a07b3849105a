import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type BuildOptions, build } from 'esbuild';
import { temporaryDirectory } from './support.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const isPackage = process.env.RINGWAL_TEST_KIND === 'package';
const skip = isPackage ? false : 'of the built package only';

/** What goes beside the built code; the types are those that are reached from the entries. */
const FILES = [
  'CHANGELOG.md',
  'LICENSE',
  'README.md',
  'dist/cli.js',
  'dist/cli.js.map',
  'dist/index.js',
  'dist/index.js.map',
  'dist/index.mjs',
  'dist/opentelemetry.js',
  'dist/opentelemetry.js.map',
  'dist/opentelemetry.mjs',
  'dist/package.json',
  'dist/pino.js',
  'dist/pino.js.map',
  'dist/pino.mjs',
  'dist/prometheus.js',
  'dist/prometheus.js.map',
  'dist/prometheus.mjs',
  'dist/ringwal.1',
  'dist/worker.js',
  'dist/worker.js.map',
  'dist/worker.mjs',
  'package.json',
  'proto/wal.proto',
];
const TYPE_ENTRIES = [
  'dist/index.d.mts',
  'dist/index.d.ts',
  'dist/opentelemetry.d.mts',
  'dist/opentelemetry.d.ts',
  'dist/pino.d.mts',
  'dist/pino.d.ts',
  'dist/prometheus.d.mts',
  'dist/prometheus.d.ts',
  'dist/worker.d.mts',
  'dist/worker.d.ts',
];

/** Appends, syncs, reads, judges, closes. */
const APP = `
async function main(Wal, directory) {
  const wal = await Wal.open(directory);
  await wal.append('a');
  await wal.append('b', { durable: true });
  const watermark = await wal.sync();
  const found = [];
  for await (const { lsn, data } of wal.entries()) found.push(lsn + Buffer.from(data).toString());
  await wal.close();
  const { verdict } = await Wal.verify(directory);
  console.log(watermark, found.join(' '), verdict);
}
`;
const APP_SAYS = '2 1a 2b clean\n';
const ESM_APP = `import { Wal } from 'ringwal';\n${APP}\nawait main(Wal, process.argv[2]);\n`;
const CJS_APP = `const { Wal } = require('ringwal');\n${APP}\nmain(Wal, process.argv[2]);\n`;

test('the package holds what runs, the types that its exports speak of, and nothing else', { skip }, () => {
  const [{ files }] = JSON.parse(npmPack('--dry-run')) as [{ files: { path: string }[] }];
  const paths = files.map(({ path }) => path);
  const isTypes = (path: string) => /\.d\.m?ts$/.test(path);
  assert.deepEqual(paths.filter((path) => !isTypes(path)).sort(), FILES);
  assert.deepEqual(paths.filter(isTypes).sort(), reachedTypes());
});

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

  test(`a bundle (${format}) finds a worker file elsewhere by workerUrl`, { skip }, async (t) => {
    const project = installed(t);
    const code = ESM_APP.replace(
      'Wal.open(directory)',
      `Wal.open(directory, { workerUrl: require('node:path').resolve(__dirname, '../threads/worker.js') })`,
    ).replace(/const \{ verdict \}.*/, "const verdict = 'clean';");
    await bundle(project, format, { 'main/app': 'app.mjs', 'threads/worker': 'ringwal/worker' }, code);
    await says(project, [join(project, 'out/main/app.js')]);
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

let tarball: string | undefined;
after(() => {
  if (tarball !== undefined) rmSync(dirname(tarball), { recursive: true });
});

/** The package as npm would publish it; made once. */
function packed(): string {
  if (tarball !== undefined) return tarball;
  const folder = mkdtempSync(join(tmpdir(), 'ringwal-pack-'));
  const [{ filename }] = JSON.parse(npmPack(`--pack-destination=${folder}`)) as [{ filename: string }];
  tarball = join(folder, filename);
  return tarball;
}

/** A project with the package in its node_modules as npm would put it there. */
function installed(t: TestContext): string {
  const project = temporaryDirectory(t);
  const modulesFolder = join(project, 'node_modules');
  const folder = join(modulesFolder, 'ringwal');
  mkdirSync(folder, { recursive: true });
  execFileSync('tar', ['-xzf', packed(), '-C', folder, '--strip-components=1']);
  const { dependencies } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  for (const name of Object.keys(dependencies))
    symlinkSync(join(ROOT, 'node_modules', name), join(modulesFolder, name));
  return project;
}

function npmPack(option: string): string {
  return execFileSync('npm', ['pack', '--json', '--ignore-scripts', option], {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}

interface Ended {
  readonly code: number | string | null | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs Node to its end. */
function run(args: readonly string[]): Promise<Ended> {
  const env = { ...process.env, NODE_OPTIONS: '', NODE_TEST_CONTEXT: '' };
  return new Promise((resolve) => {
    execFile(process.execPath, [...args], { env }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : error.code, stdout, stderr });
    });
  });
}

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

function written(project: string, name: string, code: string): string {
  const path = join(project, name);
  writeFileSync(path, code);
  return path;
}

async function says(project: string, args: string[]): Promise<void> {
  const ended = await run(['--no-warnings', ...args, join(project, 'log')]);
  assert.deepEqual([ended.code, ended.stdout], [0, APP_SAYS], ended.stderr);
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
