/**
 * README and docs: every piece of JavaScript runs, against the built package. Whole recipes have tests of their own
 * (guide.test.ts, migration.test.ts, testing-your-store.test.ts), and so have settings of bundlers; here are the pieces that their text speaks about, each in
 * the surroundings that the text supposes.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { temporaryDirectory } from '../cleanup.js';
import { runNode } from './recipe.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PACKAGES = ['ringwal', 'pino', 'prom-client', '@opentelemetry/api'];

interface Surroundings {
  /** Where the piece is put. Default: 'app.mjs'. */
  readonly file?: string;
  /** What stands before it; imports of its own come first. */
  readonly before: string;
  /** What stands behind it. Without errors it prints what `prints` says. */
  readonly after: string;
  readonly prints: string;
  /** Other files. */
  readonly beside?: Readonly<Record<string, string>>;
}

const OPENED = "import { Wal } from 'ringwal';\nconst wal = await Wal.open('./data');\n";
const LISTED =
  '\nawait wal.sync();\nfor await (const { data } of wal.entries()) console.log(Buffer.from(data).toString());\nawait wal.close();\n';
const RESPONSE =
  '\nconst response = { end: (text) => console.log(/ringwal_[a-z_]*\\{log="orders"\\}/.test(text)) };\n';

/** By the first line of the piece. */
const PIECES: Readonly<Record<string, Surroundings>> = {
  'for (const { title, run } of replicaConformance({ connect: () => connectToMyEngine() })) test(title, run);':
    {
      before:
        "import { FakeReplicaEngine } from 'ringwal/testing';\nconst engine = new FakeReplicaEngine();\n" +
        'const connectToMyEngine = () => engine.connect();\nconst runs = [];\nconst test = (title, run) => runs.push(run);\n',
      after: '\nfor (const run of runs) await run();\nconsole.log(runs.length > 10);\n',
      prints: 'true\n',
    },
  'if (!wal.tryAppend(line)) {': {
    before: `${OPENED}const line = 'a line';\n`,
    after: LISTED,
    prints: 'a line\n',
  },
  'const logger = pino(wal.createLogStream());': {
    before: `import pino from 'pino';\n${OPENED}`,
    after: `logger.info('hello');${LISTED.replace('console.log(', 'console.log(JSON.parse(').replace('toString()', 'toString()).msg')}`,
    prints: 'hello\n',
  },
  "const logger = pino(wal.createLogStream({ onFull: 'drop', emptyLines: 'skip' }));": {
    before: `import pino from 'pino';\n${OPENED}`,
    after: `logger.info('hello');${LISTED.replace('console.log(', 'console.log(JSON.parse(').replace('toString()', 'toString()).msg')}`,
    prints: 'hello\n',
  },
  "const wal = await Wal.open('./data');": {
    before: "import { Wal } from 'ringwal';\n",
    after: '',
    prints: '1 paid 30 to Ann\n',
  },
  'try {': {
    before:
      "import { Wal } from 'ringwal';\nconst wal = await Wal.open('./data');\nasync function append(data) {\n",
    after: `}\nawait append('kept');${LISTED}`,
    prints: 'kept\n',
  },
  "const stop = registerWal(wal, { log: 'orders' });": {
    before: `import { register } from 'prom-client';\nimport { registerWal } from 'ringwal/prometheus';\n${OPENED}${RESPONSE}`,
    after: '\nstop();\nawait wal.close();\n',
    prints: 'true\n',
  },
  "const stop = observeWal(wal, { attributes: { 'ringwal.log': 'orders' } });": {
    before: `import { observeWal } from 'ringwal/opentelemetry';\n${OPENED}`,
    after: '\nstop();\nawait wal.close();\nconsole.log(typeof stop);\n',
    prints: 'function\n',
  },
  "const logger = pino(pino.transport({ target: 'ringwal/pino', options: { directory: './log', maxFiles: 10 } }));":
    {
      before:
        "import pino from 'pino';\nimport { once } from 'node:events';\nimport { Wal } from 'ringwal';\n",
      after: `
logger.info('hello');
logger.flush();
const transport = logger[pino.symbols.streamSym];
transport.end();
await once(transport, 'close');
const wal = await Wal.open('./log');${LISTED.replace('console.log(', 'console.log(JSON.parse(').replace('toString()', 'toString()).msg')}`,
      prints: 'hello\n',
    },
  "const workerUrl = new URL('../threads/worker.js', import.meta.url);": {
    file: 'app/main.mjs',
    before: "import { Wal } from 'ringwal';\nawait (await Wal.open('./archive')).close();\n",
    after: '\nconsole.log(verdict);\nawait wal.close();\n',
    prints: 'clean\n',
    beside: { 'threads/worker.js': "export * from 'ringwal/worker';\n" },
  },
  'await crashTest({': {
    before: "import { crashTest } from 'ringwal/testing';\n",
    after: "\nconsole.log('kept');\n",
    prints: 'kept\n',
  },
  'const machine = new SimulatedMachine({ seed: 1 });': {
    before: "import { SimulatedMachine } from 'ringwal/testing';\n",
    after: 'await again.close();\n',
    prints: '1\n',
  },
  // The threads of the log start from the very file that opens it.
  '// log-worker.cjs': {
    file: 'log-worker.cjs',
    before: '',
    after: `
const { isMainThread } = require('node:worker_threads');
if (isMainThread) {
  const { Wal } = require('ringwal');
  const workerUrl = require('node:url').pathToFileURL(__filename);
  Wal.open('./data', { workerUrl }).then(async (wal) => {
    console.log(await wal.append('entry', { durable: true }));
    await wal.close();
  });
}
`,
    prints: '1\n',
    beside: { 'hook.cjs': '' },
  },
  "const full = await wal.backup('./backups/monday');": {
    before: `import { mkdirSync } from 'node:fs';
import { Wal } from 'ringwal';
mkdirSync('backups');
const wal = await Wal.open('./data', { durable: true });
await wal.reset(41200);
for (let at = 0; at < 20; at++) await wal.append('entry');
`,
    after: `await wal.close();
const restored = await Wal.open('./at-an-entry');
console.log(restored.firstLsn, restored.lastLsn);
await restored.close();
`,
    prints: '41200 41207\n',
  },
  '// main.js': {
    before: '',
    after: '',
    prints: 'from another thread\n',
  },
};

/** Pieces that other tests run as they stand: programs, settings of bundlers. */
const ELSEWHERE = [
  "import { Wal } from 'ringwal';",
  'await build({',
  'banner: {',
  '// log-worker.cjs',
  '// webpack.config.js',
  '// vite.config.js',
  'const common = {',
];

/** Of the documents that are not recipes through and through. */
function pieces(): { readonly document: string; readonly text: string }[] {
  const documents = ['README.md', ...markdownIn('docs'), ...markdownIn('docs/api')];
  return documents
    .filter(
      (name) =>
        !['docs/guide.md', 'docs/migrating-from-wal-go.md', 'docs/testing-your-store.md'].includes(name),
    )
    .flatMap((document) =>
      [...readFileSync(join(ROOT, document), 'utf8').matchAll(/^```js\n([\s\S]*?)^```$/gm)].map(
        ([, text = '']) => ({ document, text }),
      ),
    );
}

function markdownIn(folder: string): string[] {
  return readdirSync(join(ROOT, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `${folder}/${name}`);
}

/** Imports of a piece, which come before what it stands in. */
function splitImports(text: string): { imports: string; rest: string } {
  const lines = text.split('\n');
  const isImport = (line: string) => line.startsWith('import ');
  return {
    imports: lines.filter(isImport).join('\n'),
    rest: lines
      .filter((line) => !isImport(line))
      .join('\n')
      .trimStart(),
  };
}

function isRunElsewhere(text: string): boolean {
  return ELSEWHERE.some((first) => text.trimStart().startsWith(first));
}

function surroundingsOf(rest: string): readonly [first: string, Surroundings] | undefined {
  return Object.entries(PIECES).find(([first]) => rest.startsWith(first));
}

for (const { document, text } of pieces()) {
  const { imports, rest } = splitImports(text);
  const found = surroundingsOf(rest);
  if (isRunElsewhere(text) || found === undefined) continue;
  const [first, surroundings] = found;
  test(`${document}: ${first}`, async (t) => {
    const directory = project(t);
    const { file = 'app.mjs', before, after, prints, beside = {} } = surroundings;
    const files = text.startsWith('// main.js')
      ? threads(text)
      : { ...beside, [file]: moduleOf(`${imports}\n${before}${rest}${after}`) };
    for (const [name, code] of Object.entries(files)) write(directory, name, code);
    assert.equal(await runNode(directory, [text.startsWith('// main.js') ? 'main.js' : file]), prints);
  });
}

test('no piece of code in README and docs is left out', () => {
  const all = pieces();
  assert.ok(all.length > 0);
  for (const { document, text } of all) {
    const { rest } = splitImports(text);
    assert.ok(
      isRunElsewhere(text) || surroundingsOf(rest) !== undefined,
      `${document}: nothing runs\n${text}`,
    );
  }
});

test('what the README lists as the API is there', async () => {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
  const [, listed = ''] = /^```ts\n([\s\S]*?)^```$/m.exec(readme) ?? [];
  const { Wal, WalReader } = (await import(join(ROOT, 'dist/index.mjs'))) as {
    Wal: { prototype: object };
    WalReader: { prototype: object };
  };
  const names = [...listed.matchAll(/\b(wal|Wal)\.(\w+)/g)];
  assert.ok(names.length > 20);
  for (const [, object, name = ''] of names) {
    const holders = object === 'Wal' ? [Wal] : [Wal.prototype, WalReader.prototype];
    assert.ok(
      holders.some((holder) => name in holder),
      `${object}.${name}`,
    );
  }
});

test("what the README and docs/cli.md call the command with is in the command's help", async () => {
  const lines = ['README.md', 'docs/cli.md']
    .flatMap((name) => [...readFileSync(join(ROOT, name), 'utf8').matchAll(/^```\n([\s\S]*?)^```$/gm)])
    .flatMap(([, text = '']) => text.split('\n'))
    .map((line) => line.replace(/ {2,}#.*$/, ''));
  const calls = lines.flatMap((line) => [...line.matchAll(/\bringwal ([a-z]+)([^|<>;)]*)/g)]);
  assert.ok(calls.length > 8);
  for (const [call, command = '', rest = ''] of calls) {
    const help = await runNode(ROOT, ['dist/cli.js', 'help', command]);
    for (const [option] of rest.matchAll(/(?<= )--?[a-z][a-z-]*/g)) {
      assert.match(help, new RegExp(`(^|[ ,])${option}\\b`, 'm'), call);
    }
  }
});

/** The code with its imports in front, each name once. */
function moduleOf(code: string): string {
  const { imports, rest } = splitImports(code);
  const bindings = new Set<string>();
  for (const [, names = '', from] of imports.matchAll(/^import (.*) from '(.*)';$/gm)) {
    const named = /^\{ (.*) \}$/
      .exec(names)?.[1]
      ?.split(', ')
      .map((name) => `{ ${name} }`);
    for (const name of named ?? [names]) bindings.add(`import ${name} from '${from}';`);
  }
  return [...bindings, rest].join('\n');
}

/** `// main.js` and `// worker.js`, each with what it needs. */
function threads(text: string): Record<string, string> {
  const [, main = '', worker = ''] =
    /^\/\/ main\.js\n([\s\S]*)^\/\/ worker\.js\n([\s\S]*)$/m.exec(text) ?? [];
  return {
    'main.js': `import { Worker } from 'node:worker_threads';
${OPENED}${main}
for await (const { data } of wal.follow()) {
  console.log(Buffer.from(data).toString());
  break;
}
await wal.close();`,
    'worker.js': `import { workerData } from 'node:worker_threads';\nimport { Wal } from 'ringwal';\n${worker}`,
  };
}

function project(t: TestContext): string {
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, 'package.json'), '{ "type": "module" }');
  for (const name of PACKAGES) {
    const link = join(directory, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(name === 'ringwal' ? ROOT : join(ROOT, 'node_modules', name), link, 'junction');
  }
  return directory;
}

function write(directory: string, name: string, code: string): void {
  mkdirSync(dirname(join(directory, name)), { recursive: true });
  writeFileSync(join(directory, name), code);
}
