/** Paths that lead nowhere, or are none, are refused with a code before anything is made. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Wal, type WalIterator } from '#ringwal';
import { temporaryDirectory } from '../../cleanup.js';
import { collect, makeLog, runChild, temporaryLog, texts, walError } from '../support.js';

const CALLS: Record<string, (path: string | URL) => Promise<unknown>> = {
  'Wal.open': async (path) => Wal.open(path),
  'Wal.open, read only': async (path) => Wal.open(path, { readOnly: true }),
  'Wal.follow': async (path) => collect(Wal.follow(path) as WalIterator<unknown>),
  'Wal.readSegment': async (path) => collect(Wal.readSegment(path) as WalIterator<unknown>),
  'Wal.verify': async (path) => Wal.verify(path),
  'Wal.repair': async (path) => Wal.repair(path),
  'Wal.repair, dry': async (path) => Wal.repair(path, { dryRun: true }),
};

const revoked = Proxy.revocable(new URL('file:///x'), {});
revoked.revoke();

const NO_PATHS: Record<string, unknown> = {
  'an empty text': '',
  'a text with a zero': 'a\0b',
  'a number': 5,
  'an object': {},
  'a Buffer': Buffer.from('/x'),
  'a String object': Object('/x'),
  'an https: URL': new URL('https://example.org/x'),
  'a file: URL with a host': new URL('file://host/x'),
  'a file: URL with an encoded slash': new URL('file:///a%2Fb'),
  'a file: URL with a zero': new URL('file:///a%00b'),
  'what inherits from URL': Object.create(URL.prototype),
  'a Proxy around a URL': new Proxy(new URL('file:///x'), {}),
  'a revoked Proxy': revoked.proxy,
};

for (const [what, path] of Object.entries(NO_PATHS)) {
  test(`${what} is no path: ERR_WAL_OPTION of every call`, async () => {
    for (const [name, call] of Object.entries(CALLS)) {
      await assert.rejects(call(path as string), walError('ERR_WAL_OPTION'), name);
    }
    const options = { workerUrl: path as string };
    if (what !== 'a text with a zero')
      await assert.rejects(Wal.verify('/x', options), walError('ERR_WAL_OPTION'));
  });
}

test('a file: URL of another class than that of Node names its file', async (t) => {
  const directory = temporaryLog(t);
  await makeLog(directory, ['a']);
  const { href, protocol } = new URL(`file://${directory}`);
  const wal = await Wal.open({ href, protocol } as URL);
  assert.deepEqual(await texts(wal.entries()), ['a']);
  await wal.close();
});

test('a relative path in a working directory that was removed is ERR_WAL_IO of every call', async (t) => {
  const ended = await runChild(
    t,
    `import { mkdirSync, rmdirSync } from 'node:fs';
    import { Wal } from '#ringwal';
    const [directory] = process.argv.slice(1);
    mkdirSync(directory);
    process.chdir(directory);
    rmdirSync(directory);
    const calls = [
      () => Wal.open('log'),
      () => Wal.open('log', { readOnly: true }),
      () => Wal.follow('log').next(),
      () => Wal.readSegment('wal-0').next(),
      () => Wal.verify('log'),
      () => Wal.repair('log'),
      () => Wal.verify(directory, { workerUrl: './worker.js' }),
    ];
    for (const call of calls) {
      const error = await (async () => call())().catch((thrown) => thrown);
      console.log(error.code, error.cause?.code, error.path);
    }`,
    [`${temporaryDirectory(t)}/gone`],
  );
  const [log, segment, worker] = ['log', 'wal-0', './worker.js'].map((path) => `ERR_WAL_IO ENOENT ${path}\n`);
  assert.equal(ended.stdout, [log, log, log, segment, log, log, worker].join(''), ended.stderr);
});
