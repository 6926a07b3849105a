/** The package under the runners that its users have their tests and programs run by. Each loads code in a way of its own. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { cleanUp } from '../cleanup.js';
import { installed, run, written } from './installed-package.js';
import { jestProject, runTool, TOOL_TIMEOUT_MS, toolOf } from './runners.js';

const isPackage = process.env.RINGWAL_TEST_KIND === 'package';
const skip = isPackage ? false : 'of the built package only';

/** Every kind of call: the log's threads, those of jobs, a follower, a stream, a lane's attachment, what is synchronous. */
const USE = `
async function use(Wal, directory) {
  const told = [];
  const wal = await Wal.open(directory);
  told.push(await wal.append('a', { durable: true }));
  told.push((await wal.appendBatch(['b', new Uint8Array([99])])).last);
  told.push(wal.tryAppend('d'), wal.flushSync() ?? 'flushed');
  await new Promise((resolve, reject) => {
    wal.createLogStream().on('error', reject).on('finish', resolve).end('e\\n');
  });
  for await (const { lsn, data } of wal.entries()) told.push(lsn + Buffer.from(data).toString());
  await wal.close();
  const reader = await Wal.open(directory, { readOnly: true });
  told.push(reader.lastLsn, Buffer.from((await reader.get(3)).data).toString());
  await reader.close();
  for await (const { lsn } of Wal.follow(directory, { from: 2 })) {
    told.push(lsn);
    break;
  }
  told.push((await Wal.verify(directory)).verdict, (await Wal.repair(directory, { dryRun: true })).mode);
  told.push(await Wal.open(directory, { maxFiles: -1 }).catch(({ name, code }) => name + ' ' + code));
  return told.join(' ');
}
`;
const TOLD = '1 3 true flushed 1a 2b 3c 4d 5e 5 c 2 clean truncate WalError ERR_WAL_OPTION';

const JEST_TEST = `
const { join } = require('node:path');
const { Wal } = require('ringwal');
${USE}
test('the log works', async () => {
  expect(await use(Wal, join(__dirname, 'log'))).toBe(${JSON.stringify(TOLD)});
});
`;

for (const environment of ['node', 'jsdom']) {
  test(`the package works under Jest, environment ${environment}, and lets it end`, { skip }, async (t) => {
    const project = jestProject(t, environment, JEST_TEST);
    const ended = await runTool(t, project, 'jest', ['--ci', '--no-cache']);
    if (ended === undefined) return;
    assert.equal(ended.code, 0, ended.stderr);
    assert.match(ended.stderr, /Tests: +1 passed, 1 total/);
    assert.doesNotMatch(ended.stderr, /did not exit|open handle|failed to exit/i);
  });
}

for (const pool of ['threads', 'forks', 'vmThreads', 'vmForks']) {
  test(`the package works under Vitest, pool ${pool}`, { skip }, async (t) => {
    const project = installed(t, ['vitest']);
    written(project, 'package.json', JSON.stringify({ name: 'app', type: 'module' }));
    written(
      project,
      'app.test.js',
      `import { join } from 'node:path';
      import { Wal } from 'ringwal';
      import { expect, test } from 'vitest';
      ${USE}
      test('the log works', async () => {
        expect(await use(Wal, join(import.meta.dirname ?? process.cwd(), 'log'))).toBe(${JSON.stringify(TOLD)});
      });`,
    );
    const args = [
      'run',
      '--root',
      project,
      `--pool=${pool}`,
      `--testTimeout=${TOOL_TIMEOUT_MS}`,
      '--no-color',
      '--reporter=json',
    ];
    const ended = await runTool(t, project, 'vitest', args);
    if (ended === undefined) return;
    assert.equal(ended.code, 0, ended.stdout + ended.stderr);
    assert.equal(JSON.parse(ended.stdout.slice(ended.stdout.indexOf('{'))).numPassedTests, 1);
  });
}

for (const [kind, name, head] of [
  ['import', 'app.test.mjs', "import { test } from 'node:test';\nimport { Wal } from 'ringwal';"],
  ['require', 'app.test.cjs', "const { test } = require('node:test');\nconst { Wal } = require('ringwal');"],
] as const) {
  test(`the package works under node --test, by ${kind}`, { skip }, async (t) => {
    const project = installed(t);
    const log = JSON.stringify(join(project, 'log'));
    const body = `test('the log works', async (t) => {
      const told = await use(Wal, ${log});
      if (told !== ${JSON.stringify(TOLD)}) throw new Error(told);
    });`;
    const app = written(project, name, `${head}\n${USE}\n${body}`);
    const ended = await run(['--test', '--test-reporter=tap', app], project);
    assert.equal(ended.code, 0, ended.stdout);
    assert.match(ended.stdout, /^# pass 1$/m);
  });
}

test('the package works under tsx, and again each time that tsx watch starts the program anew', {
  skip,
}, async (t) => {
  const project = installed(t);
  const program = (run: number) => `import { Wal } from 'ringwal';
  ${USE.replace('use(Wal, directory)', 'use(Wal: any, directory: string)').replace('told = []', 'told: unknown[] = []')}
  use(Wal, ${JSON.stringify(join(project, 'log-'))} + ${run}).then((told: string) => console.log('run ${run}: ' + told));
  `;
  written(project, 'package.json', JSON.stringify({ name: 'app', type: 'module' }));
  const app = written(project, 'app.ts', program(1));
  const tool = toolOf('tsx');
  if ('reason' in tool) return t.skip(tool.reason);
  const child = spawn(process.execPath, [tool.file, 'watch', '--clear-screen=false', app], {
    cwd: project,
    env: { ...process.env, NODE_OPTIONS: '', NODE_TEST_CONTEXT: undefined },
  });
  const closed = once(child, 'close');
  cleanUp(t, async () => {
    child.kill('SIGKILL');
    await closed;
  });
  let printed = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    printed += chunk;
  });
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    printed += chunk;
  });
  const says = async (expected: string) => {
    while (!printed.includes(expected)) {
      const event = await Promise.race([once(child.stdout, 'data'), once(child.stderr, 'data'), closed]);
      assert.notEqual(event.length, 2, printed);
    }
  };
  await says(`run 1: ${TOLD}\n`);
  writeFileSync(app, program(2));
  await says(`run 2: ${TOLD}\n`);
});
