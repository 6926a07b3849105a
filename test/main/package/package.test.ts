import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import * as imported from '#ringwal';
import { cleanUp, temporaryDirectory } from '../../cleanup.js';
import { runChild, temporaryLog } from '../support.js';

const isPackage = process.env.RINGWAL_TEST_KIND === 'package';
const skip = isPackage ? false : 'of the built package only';

test('require and import give the same classes', { skip }, async (t) => {
  const required = createRequire(import.meta.url)('ringwal') as typeof imported;
  assert.equal(required.Wal, imported.Wal);
  assert.equal(required.WalError, imported.WalError);
  assert.deepEqual(Object.keys(required).sort(), Object.keys(imported).sort());
  for (const [name, each] of Object.entries(required))
    if (typeof each === 'function') assert.equal(each.name, name);
  const wal = await required.Wal.open(temporaryLog(t));
  cleanUp(t, () => wal.close());
  assert.ok(wal instanceof imported.Wal && wal instanceof imported.WalReader);
});

test('an error of another copy of the package is an instance of this one', { skip }, async (t) => {
  const require = createRequire(import.meta.url);
  const path = require.resolve('ringwal');
  const cached = require.cache[path];
  delete require.cache[path];
  const copy = require('ringwal') as typeof imported;
  require.cache[path] = cached;
  assert.notEqual(copy.WalError, imported.WalError);
  const error = await copy.Wal.open('').catch((thrown: unknown) => thrown);
  assert.ok(error instanceof imported.WalError);
  assert.ok(!(new Error('x') instanceof imported.WalError));
  const wal = await copy.Wal.open(temporaryLog(t));
  assert.equal(await wal.append('x', { durable: true }), 1);
  await wal.close();
});

test('what Node lexes to import the package is short', { skip }, () => {
  const dist = new URL('../../../dist/', import.meta.url);
  const file = /^import implementation from '(.+)';$/m.exec(
    readFileSync(new URL('index.mjs', dist), 'utf8'),
  )?.[1];
  assert.ok(file !== undefined);
  const text = readFileSync(new URL(file, dist), 'utf8');
  assert.ok(text.length < 1000, `${file} has ${text.length} characters`);
  // It follows these into the file that they name.
  assert.doesNotMatch(text, /exports\s*=\s*require/);
});

test('the code of the package is ASCII, of which the engine keeps one byte for a character', { skip }, () => {
  for (const name of ['index.js', 'log-thread.js', 'worker.js'])
    assert.match(
      readFileSync(new URL(`../../../dist/${name}`, import.meta.url), 'utf8'),
      /^\p{ASCII}*$/u,
      name,
    );
});

test('the thread that opens a log loads no node:crypto', { skip }, async (t) => {
  const ended = await runChild(
    t,
    `import { Wal } from '#ringwal';
    const wal = await Wal.open(process.argv[1]);
    await wal.append('x', { durable: true });
    console.log(process.moduleLoadList.includes('NativeModule crypto'));
    await wal.close();`,
    [temporaryLog(t)],
  );
  assert.deepEqual([ended.code, ended.stdout, ended.stderr], [0, 'false\n', '']);
});

test('the package works from CommonJS', { skip }, async (t) => {
  const ended = await runChild(
    t,
    `import { createRequire } from 'node:module';
    const { Wal } = createRequire(process.cwd() + '/')('ringwal');
    Wal.open(process.argv[1]).then(async (wal) => {
      console.log(await wal.append('x', { durable: true }));
      await wal.close();
    });`,
    [temporaryLog(t)],
  );
  assert.deepEqual([ended.code, ended.stdout, ended.stderr], [0, '1\n', '']);
});

test('exports, and the worker file that bundlers need, are where package.json says', { skip }, () => {
  const require = createRequire(import.meta.url);
  assert.ok(existsSync(require.resolve('ringwal/worker')));
  assert.equal(JSON.parse(readFileSync(require.resolve('ringwal/package.json'), 'utf8')).name, 'ringwal');
});

test('no declaration of the package says any', { skip }, () => {
  const dist = new URL('../../../dist/', import.meta.url);
  const files = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\.d\.m?ts$/.test(name),
  );
  assert.ok(files.length > 0);
  const offending = files.filter((name) => {
    const text = readFileSync(new URL(name, dist), 'utf8');
    const withoutComments = text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
    return /\bany\b/.test(withoutComments);
  });
  assert.deepEqual(offending, []);
});

test('threads of a log get neither the flags nor the environment of the process', async (t) => {
  const folder = temporaryDirectory(t);
  const preload = join(folder, 'preload.cjs');
  const seen = join(folder, 'seen');
  writeFileSync(
    preload,
    `require('node:fs').appendFileSync(${JSON.stringify(seen)}, require('node:worker_threads').isMainThread ? 'main ' : 'thread ');`,
  );
  const ended = await runChild(
    t,
    `import { Wal } from '#ringwal';
    const wal = await Wal.open(process.argv[1]);
    await wal.append('x', { durable: true });
    await Wal.verify(process.argv[1]);
    await wal.close();`,
    [temporaryLog(t)],
    { NODE_OPTIONS: `--require ${preload}` },
  );
  assert.equal(ended.code, 0, ended.stderr);
  assert.equal(readFileSync(seen, 'utf8'), 'main ');
});
