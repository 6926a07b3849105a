/** The threads of a log find the modules that the thread which opens it finds, in whatever way that is. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, realpathSync, renameSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { temporaryDirectory } from '../../cleanup.js';
import { CJS_APP, type Ended, ESM_APP, installed, written } from './installed-package.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const isPackage = process.env.RINGWAL_TEST_KIND === 'package';
const skip = isPackage ? false : 'of the built package only';
const SAYS = '2 1a 2b clean\n';

/** A project, and apart from it the package and what it depends on: nothing finds anything by itself. */
interface Apart {
  readonly project: string;
  readonly package: string;
  /** A `node_modules` with the dependencies, and nothing above it. */
  readonly dependencies: string;
}

function apart(t: TestContext): Apart {
  const whole = installed(t);
  const project = temporaryDirectory(t);
  const home = temporaryDirectory(t);
  const elsewhere = temporaryDirectory(t);
  const dependencies = join(elsewhere, 'node_modules');
  renameSync(join(whole, 'node_modules', 'ringwal'), join(home, 'ringwal'));
  renameSync(join(whole, 'node_modules'), dependencies);
  mkdirSync(join(project, 'node_modules'));
  return { project, package: join(home, 'ringwal'), dependencies };
}

/** What these packages depend on, however far, as it is installed here. */
function closureOf(names: readonly string[], found = new Set<string>()): Set<string> {
  for (const name of names) {
    if (found.has(name)) continue;
    found.add(name);
    const { dependencies = {} } = JSON.parse(
      readFileSync(join(ROOT, 'node_modules', name, 'package.json'), 'utf8'),
    ) as { dependencies?: Record<string, string> };
    closureOf(Object.keys(dependencies), found);
  }
  return found;
}

function runNode(
  project: string,
  args: readonly string[],
  env: Record<string, string | undefined> = {},
): Promise<Ended> {
  const clean = {
    ...process.env,
    NODE_OPTIONS: '',
    NODE_TEST_CONTEXT: undefined,
    NODE_PATH: undefined,
    ...env,
  };
  return new Promise((resolve) => {
    execFile(process.execPath, [...args], { env: clean, cwd: project }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : error.code, stdout, stderr });
    });
  });
}

function assertWorks(ended: Ended): void {
  assert.deepEqual([ended.code, ended.stdout], [0, SAYS], ended.stderr);
}

test('by NODE_PATH', { skip }, async (t) => {
  const { project, package: home, dependencies } = apart(t);
  const app = written(project, 'app.cjs', CJS_APP);
  const path = [dirname(home), dependencies].join(process.platform === 'win32' ? ';' : ':');
  assertWorks(await runNode(project, [app, join(project, 'log')], { NODE_PATH: path }));
});

for (const [how, args, env] of [
  ['as a flag', ['--preserve-symlinks'], {}],
  ['in NODE_OPTIONS', [], { NODE_OPTIONS: '--preserve-symlinks' }],
  ['by NODE_PRESERVE_SYMLINKS', [], { NODE_PRESERVE_SYMLINKS: '1' }],
] as const) {
  for (const [kind, name, code] of [
    ['import', 'app.mjs', ESM_APP],
    ['require', 'app.cjs', CJS_APP],
  ] as const) {
    test(`by --preserve-symlinks, ${how}, by ${kind}`, { skip }, async (t) => {
      const { project, package: home, dependencies } = apart(t);
      symlinkSync(home, join(project, 'node_modules', 'ringwal'));
      for (const each of closureOf(readdirSync(dependencies)))
        symlinkSync(realpathSync(join(ROOT, 'node_modules', each)), join(project, 'node_modules', each));
      const app = written(project, name, code);
      assertWorks(await runNode(project, [...args, app, join(project, 'log')], env));
    });
  }
}

const HOOK = (home: string, dependencies: string) => `
const Module = require('node:module');
const { existsSync } = require('node:fs');
const resolve = Module._resolveFilename;
Module._resolveFilename = function (request, ...rest) {
  if (request === 'ringwal') return resolve.call(this, ${JSON.stringify(join(home, 'dist/index.js'))}, ...rest);
  const found = ${JSON.stringify(dependencies)} + '/' + request;
  return resolve.call(this, !/^[./]/.test(request) && existsSync(found) ? found : request, ...rest);
};
`;

for (const how of ['--require', 'NODE_OPTIONS'] as const) {
  test(`by a hook that ${how} loads`, { skip }, async (t) => {
    const { project, package: home, dependencies } = apart(t);
    const hook = written(project, 'hook.cjs', HOOK(home, dependencies));
    const app = written(project, 'app.cjs', CJS_APP);
    const args = how === '--require' ? ['--require', hook] : [];
    const env = how === '--require' ? {} : { NODE_OPTIONS: `--require ${hook}` };
    assertWorks(await runNode(project, [...args, app, join(project, 'log')], env));
  });
}

test('a hook that finds them in no node_modules works by a worker file that loads it too, and each call says so without', {
  skip,
}, async (t) => {
  const { project, package: home, dependencies } = apart(t);
  const vendor = join(project, 'vendor');
  // As they are, and not links to where they would be found: those that the package asks for, and what they ask for in turn.
  const direct = readdirSync(dependencies);
  for (const name of closureOf(direct)) {
    const place = direct.includes(name) ? join(vendor, name) : join(vendor, 'node_modules', name);
    cpSync(realpathSync(join(ROOT, 'node_modules', name)), place, { recursive: true });
  }
  const hook = written(project, 'hook.cjs', HOOK(home, vendor));
  written(
    project,
    'worker.cjs',
    `require('./hook.cjs');\nmodule.exports = require(${JSON.stringify(join(home, 'dist/worker.js'))});`,
  );
  const app = written(
    project,
    'app.cjs',
    `const { Wal } = require('ringwal');
    const [log, workerUrl] = process.argv.slice(2);
    const told = ({ code, message }) => code + ' ' + message.replaceAll(/\\s+/g, ' ');
    (async () => {
      console.log(await Wal.open(log, { workerUrl }).then(async (wal) => {
        await wal.append('a', { durable: true });
        await wal.close();
        return 'opened';
      }, told));
      console.log(await Wal.verify(log, { workerUrl }).then(({ verdict }) => verdict, told));
    })();`,
  );
  const log = join(project, 'log');
  mkdirSync(log);
  const without = await runNode(project, ['--require', hook, app, log]);
  const [open, verify] = without.stdout.split('\n');
  for (const told of [open, verify])
    assert.match(
      told ?? '',
      /^ERR_WAL_WORKER_DIED .*Cannot find module 'crc-32'.*Threads look for "crc-32" as Node does by itself.*workerUrl.*docs\/packaging\.md/,
      without.stderr,
    );
  const withIt = await runNode(project, ['--require', hook, app, log, join(project, 'worker.cjs')]);
  assert.deepEqual([withIt.code, withIt.stdout], [0, 'opened\nclean\n'], withIt.stderr);
  const document = readFileSync(join(ROOT, 'docs/packaging.md'), 'utf8');
  assert.match(document, /^## Where threads find modules$/m);
});

for (const [kind, name, code] of [
  ['import', 'app.mjs', ESM_APP],
  ['require', 'app.cjs', CJS_APP],
] as const) {
  test(`by Yarn's Plug'n'Play, by ${kind}`, { skip }, async (t) => {
    const { project, package: home } = apart(t);
    const loader = pnp(project, home);
    const app = written(project, name, code);
    const hooks = kind === 'import' ? ['--experimental-loader', `file://${loader.esm}`] : [];
    const ended = await runNode(project, [
      '--no-warnings',
      '--require',
      loader.cjs,
      ...hooks,
      app,
      join(project, 'log'),
    ]);
    assertWorks(ended);
  });
}

interface PackageInformation {
  readonly packageLocation: string;
  readonly packageDependencies: ReadonlyMap<string, string>;
  readonly linkType: 'HARD' | 'SOFT';
  readonly discardFromLookup: boolean;
}

/** `.pnp.cjs` of the project as Yarn would write it, with each package where it is now. */
function pnp(project: string, home: string): { cjs: string; esm: string } {
  const { generateInlinedScript, getESMLoaderTemplate } = createRequire(import.meta.url)('@yarnpkg/pnp');
  const registry = new Map<string, Map<string, PackageInformation>>();
  const dependenciesOf = (folder: string, name: string): Map<string, string> => {
    const { dependencies = {} } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
      dependencies?: Record<string, string>;
    };
    const names = Object.keys(dependencies);
    for (const each of names) add(realpathSync(join(ROOT, 'node_modules', each)), each);
    return new Map([[name, '1'], ...names.map((each) => [each, '1'] as const)] as [string, string][]);
  };
  const add = (folder: string, name: string): void => {
    if (registry.has(name)) return;
    const versions = new Map<string, PackageInformation>();
    registry.set(name, versions);
    const packageLocation = `${relative(project, folder)}/`;
    versions.set('1', {
      packageLocation,
      packageDependencies: dependenciesOf(folder, name),
      linkType: 'HARD',
      discardFromLookup: false,
    });
  };
  add(home, 'ringwal');
  const app = new Map([
    ['app', '1'],
    ['ringwal', '1'],
  ]);
  registry.set(
    'app',
    new Map([
      ['1', { packageLocation: './', packageDependencies: app, linkType: 'SOFT', discardFromLookup: false }],
    ]),
  );
  const settings = {
    packageRegistry: registry,
    blacklistedLocations: [],
    dependencyTreeRoots: [{ name: 'app', reference: '1' }],
    enableTopLevelFallback: false,
    fallbackExclusionList: [],
    fallbackPool: new Map(),
    ignorePattern: null,
    shebang: null,
  };
  return {
    cjs: written(project, '.pnp.cjs', generateInlinedScript(settings)),
    esm: written(project, '.pnp.loader.mjs', getESMLoaderTemplate()),
  };
}
