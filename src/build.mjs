/**
 * `npm run build`: sources to dist/.
 *
 *   dist/index.js    the implementation, CommonJS, one file        ← src/index.ts
 *   dist/index.mjs   the same exports for `import`, so that ESM and CommonJS share one implementation
 *   dist/for-import.js   the way from there to index.js that Node does not lex
 *   dist/log-thread.js   what the threads of a log start from      ← src/worker/log-thread.ts
 *   dist/worker.js   what every thread can start from, and jobs do ← src/worker/worker.ts
 *   dist/worker.mjs  the same for bundlers that make ES modules
 *   dist/pino.js     the target for pino's transports, with dist/index.js beside it   ← src/pino.ts
 *   dist/pino.mjs    its default export for `import`
 *   dist/prometheus.js, dist/opentelemetry.js   exporters of figures; .mjs for `import`   ← src/prometheus.ts, src/opentelemetry.ts
 *   dist/postgres.js the adapter for PostgreSQL, which threads of a log import; .mjs for `import`   ← src/postgres.ts
 *   dist/testing.js  the simulated machine, with dist/index.js beside it; .mjs for `import`   ← src/testing.ts
 *   dist/cli.js      the command `ringwal`, with dist/index.js beside it              ← src/cli/cli.ts
 *   dist/ringwal.1   its manual page, as it prints it itself
 *   dist/**.d.ts     types; *.d.mts for `import`
 *
 * Dependencies stay outside the bundles. The package as a whole is "type": "module"; dist/package.json says that the
 * files here are CommonJS.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { buildKernels } from './build-kernels.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = `${root}dist`;
/** What is imported by name. */
const ENTRIES = ['index', 'pino', 'prometheus', 'opentelemetry', 'postgres', 'testing'];
/** Nobody imports these. */
const WORKER_TYPES = ['worker.d.ts', 'worker.d.mts'];

await buildKernels();
rmSync(dist, { recursive: true, force: true });
mkdirSync(dist);
writeFileSync(`${dist}/package.json`, '{ "type": "commonjs" }\n');

const options = {
  outdir: dist,
  bundle: true,
  platform: 'node',
  target: 'node20.15',
  format: 'cjs',
  packages: 'external',
  sourcemap: true,
  sourcesContent: false,
  legalComments: 'none',
  // `import.meta.url` is what bundlers look for in the sources; CommonJS has only __filename.
  define: { 'import.meta.url': 'moduleUrl' },
  banner: { js: "const moduleUrl = require('node:url').pathToFileURL(__filename).href;" },
};
await build({
  ...options,
  // Bet: each thread of a log reads its file as a whole, and beyond 256 KiB that takes half a MiB more of resident memory
  // (bench/workloads/memory.ts). The source map has names and lines.
  minifyWhitespace: true,
  minifyIdentifiers: true,
  // Node prints the line that an uncaught error comes from, in front of its message. Lines end where the next statement or
  // bracket allows it: of a limit of 20 the longest, the fields of a class, have some 400 characters, of 120 near 600.
  lineLimit: 20,
  entryPoints: {
    index: `${root}src/index.ts`,
    'log-thread': `${root}src/worker/log-thread.ts`,
    worker: `${root}src/worker/worker.ts`,
  },
});
const { version } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'));
await build({
  ...options,
  entryPoints: {
    pino: `${root}src/pino.ts`,
    prometheus: `${root}src/prometheus.ts`,
    opentelemetry: `${root}src/opentelemetry.ts`,
    postgres: `${root}src/postgres.ts`,
    testing: `${root}src/testing.ts`,
    cli: `${root}src/cli/cli.ts`,
  },
  define: { ...options.define, RINGWAL_VERSION: JSON.stringify(version) },
  plugins: [
    {
      name: 'one implementation',
      setup: ({ onResolve }) =>
        onResolve({ filter: /^(\.|(\.\.\/)+)\/?index\.js$/ }, () => ({ path: './index.js', external: true })),
    },
  ],
});
for (const name of ['index', 'log-thread', 'worker']) keepAscii(`${dist}/${name}.js`);
chmodSync(`${dist}/cli.js`, 0o755);
writeFileSync(`${dist}/ringwal.1`, execFileSync(process.execPath, [`${dist}/cli.js`, 'man']));

execFileSync(
  process.execPath,
  [`${root}node_modules/typescript/bin/tsc`, '-p', `${root}src/tsconfig.types.json`],
  { stdio: 'inherit' },
);

// The exports, by name: a re-export of a CommonJS module finds them at run time only where its lexer can.
const { default: implementation } = await import(`${dist}/index.js`);
const names = Object.keys(implementation).sort().join(', ');
// Of a CommonJS file that is imported, and of what it hands on by name, Node reads the whole text for names of exports: of
// index.js that takes longer than running it, and leaves behind memory that was needed to compile the lexer for so long
// a text. Of this file it reads three lines, and the variable is no handing on.
writeFileSync(
  `${dist}/for-import.js`,
  "'use strict';\nconst implementation = require('./index.js');\nmodule.exports = implementation;\n",
);
writeFileSync(
  `${dist}/index.mjs`,
  `import implementation from './for-import.js';\n\nexport const { ${names} } = implementation;\n`,
);
writeFileSync(`${dist}/index.d.mts`, "export * from './index.js';\n");
writeFileSync(`${dist}/pino.mjs`, "import target from './pino.js';\n\nexport default target.default;\n");
writeFileSync(
  `${dist}/pino.d.mts`,
  "import target = require('./pino.js');\n\nexport type { PinoTargetOptions } from './pino.js';\nexport default target.default;\n",
);
for (const [name, exported] of [
  ['prometheus', 'registerWal'],
  ['opentelemetry', 'observeWal'],
  ['postgres', 'connect, createTables, postgres, schema'],
  [
    'testing',
    'CrashTestFailure, crashTest, FakeReplicaEngine, ReplicaError, replicaConformance, SimulatedMachine',
  ],
]) {
  writeFileSync(
    `${dist}/${name}.mjs`,
    `import exporter from './${name}.js';\n\nexport const { ${exported} } = exporter;\n`,
  );
  writeFileSync(`${dist}/${name}.d.mts`, `export * from './${name}.js';\n`);
}
// Started by `new Worker`; the names are for the job pool, where a bundler has made an ES module of it.
const jobs = Object.keys((await import(`${dist}/worker.js`)).default)
  .sort()
  .join(', ');
writeFileSync(
  `${dist}/worker.mjs`,
  `import worker from './worker.js';\n\nexport const { ${jobs} } = worker;\n`,
);
for (const name of WORKER_TYPES) writeFileSync(`${dist}/${name}`, 'export {};\n');
removeInnerTypes();
useOlderTypes();

/**
 * The engine keeps the text of what it runs, in each thread, and takes two bytes for every character of it as soon as one is
 * beyond Latin-1. In code the bundler writes such a one as an escape; what is left stands in comments, behind which no code
 * stands on the line: so the source map holds.
 */
function keepAscii(file) {
  writeFileSync(file, readFileSync(file, 'utf8').replaceAll(/\P{ASCII}/gu, '?'));
}

/** The compiler writes the types of every source file: only those that the public ones speak of are of use to anybody. */
function removeInnerTypes() {
  const used = new Set(WORKER_TYPES.map((name) => `${dist}/${name}`));
  const pending = ENTRIES.flatMap((name) => [`${dist}/${name}.d.ts`, `${dist}/${name}.d.mts`]);
  for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
    if (used.has(file)) continue;
    used.add(file);
    for (const [, path] of readFileSync(file, 'utf8').matchAll(
      /(?:from|import|import\(|require\()\s*'(\.[^']+)\.js'/g,
    ))
      pending.push(join(dirname(file), `${path}.d.ts`));
  }
  for (const name of readdirSync(dist, { recursive: true })) {
    const file = join(dist, name);
    if (/\.d\.m?ts$/.test(name) && !used.has(file)) rmSync(file);
  }
  for (const name of readdirSync(dist, { recursive: true }).reverse()) {
    const folder = join(dist, name);
    if (existsSync(folder) && statSync(folder).isDirectory() && readdirSync(folder).length === 0)
      rmdirSync(folder);
  }
}

/**
 * TypeScript has typed arrays with a parameter, the kind of memory under them, since 5.7. The public types do not need it, and only
 * inner ones that they are declared beside have it; without it the declarations are those of older compilers too (test/types/compile.mjs).
 */
function useOlderTypes() {
  for (const name of readdirSync(dist, { recursive: true })) {
    const file = join(dist, name);
    if (!/\.d\.m?ts$/.test(name)) continue;
    const text = readFileSync(file, 'utf8');
    const older = text.replaceAll(/\b(\w+Array)<(?:Shared)?ArrayBuffer(?:Like)?>/g, '$1');
    if (older !== text) writeFileSync(file, older);
  }
}
