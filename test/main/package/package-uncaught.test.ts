/** What Node prints of an error that nobody catches: the message first of all, and not the package's code. */
import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { temporaryDirectory } from '../../cleanup.js';
import { run, written } from './installed-package.js';

const isPackage = process.env.RINGWAL_TEST_KIND === 'package';
const skip = isPackage ? false : 'of the built package only';
const DIST = fileURLToPath(new URL('../../../dist/', import.meta.url));

/** Where each goes wrong: on the calling thread at once, on it later, on a thread of the log, in a job, in an event. */
const MISTAKES: Record<string, string> = {
  'a wrong argument of a synchronous call': 'wal.tryAppend({});',
  'a wrong argument of an asynchronous call': 'await wal.append({});',
  'a directory that is a file': "await Wal.open('/dev/null');",
  'a job that fails': "await Wal.verify('/dev/null/x');",
  'a stream that has no listener for its error': "wal.createLogStream().destroy(new Error('lost'));",
  'a program that never waited for what failed': 'void wal.get(-1);',
};

for (const kind of ['esm', 'cjs'] as const) {
  for (const [what, mistake] of Object.entries(MISTAKES)) {
    test(`an uncaught error prints a line of code and its message (${kind}, ${what})`, {
      skip,
    }, async (t) => {
      const folder = temporaryDirectory(t);
      const body = `const wal = await Wal.open(${JSON.stringify(join(folder, 'log'))});\n${mistake}\n`;
      const app =
        kind === 'esm'
          ? written(
              folder,
              'app.mjs',
              `import { Wal } from ${JSON.stringify(join(DIST, 'index.mjs'))};\n${body}`,
            )
          : written(
              folder,
              'app.cjs',
              `const { Wal } = require(${JSON.stringify(join(DIST, 'index.js'))});\n(async () => {\n${body}})();\n`,
            );
      const ended = await run([app]);
      assert.notEqual(ended.code, 0);
      assertShort(ended.stderr);
    });
  }
}

test('an uncaught error of the command itself prints a line of code and its message', { skip }, async (t) => {
  const broken = written(
    temporaryDirectory(t),
    'broken.cjs',
    "Object.defineProperty(process, 'stdout', { get() { throw new Error('there is no standard output'); } });",
  );
  const ended = await run(['--require', broken, join(DIST, 'cli.js'), 'stats', '/nowhere']);
  assert.notEqual(ended.code, 0);
  assert.match(ended.stderr, /there is no standard output/);
  assertShort(ended.stderr);
});

function assertShort(stderr: string): void {
  const lines = stderr.split('\n');
  assert.ok(lines.length <= 60, `${lines.length} lines: ${stderr}`);
  for (const line of lines) assert.ok(line.length <= 200, `${line.length} characters: ${line.slice(0, 300)}`);
  const message = lines.findIndex((line) => /^(?:WalError|Error|.*\[?UnhandledPromiseRejection)/.test(line));
  assert.ok(message >= 0 && message <= 6, stderr);
}

test('the lines of the package are short, and its files within what a thread reads for little memory', {
  skip,
}, () => {
  for (const name of ['index.js', 'log-thread.js', 'worker.js', 'cli.js']) {
    const longest = Math.max(
      ...readFileSync(join(DIST, name), 'utf8')
        .split('\n')
        .map((line) => line.length),
    );
    assert.ok(longest <= 600, `${name} has a line of ${longest} characters`);
  }
  // Beyond that each thread of a log takes half a MiB more (src/build.mjs).
  for (const name of ['index.js', 'log-thread.js'])
    assert.ok(
      statSync(join(DIST, name)).size < 256 * 1024,
      `${name}: ${statSync(join(DIST, name)).size} bytes`,
    );
});

test('with --enable-source-maps an error names the line of the source that throws it', {
  skip,
}, async (t) => {
  const folder = temporaryDirectory(t);
  const app = written(
    folder,
    'app.mjs',
    `import { Wal } from ${JSON.stringify(join(DIST, 'index.mjs'))};
    const wal = await Wal.open(${JSON.stringify(join(folder, 'log'))});
    wal.tryAppend({});`,
  );
  const { stderr } = await run(['--enable-source-maps', app]);
  const [, file = '', line] = /at viewBytes \((.*):(\d+):\d+\)/.exec(stderr) ?? [];
  assert.match(file, /src\/main\/append\/entry-data\.ts$/, stderr);
  assert.match(readFileSync(file, 'utf8').split('\n')[Number(line) - 1] ?? '', /throw new WalError/);
});
