import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { holdLifeline, LockWatch, lockHolder, tryLock } from '../../src/files/lock.js';
import { nameHolder } from '../../src/files/lock-note.js';
import { nativeLocks } from '../../src/files/native-locks.js';
import { cleanUp, temporaryDirectory } from '../cleanup.js';

const CHILD = fileURLToPath(new URL('./lock-child.ts', import.meta.url));

const THIS_PROCESS = { pid: process.pid, place: 'this process', host: hostname() } as const;
const UNKNOWN = { pid: undefined, place: 'unknown', host: undefined } as const;

/** The byte that a lock is on. */
const LOCK_AT = 2 ** 30;

/** The one death at which a thread runs no code of its own any more. */
const EXHAUST_MEMORY = 'for (const all = []; ; ) all.push(new Array(1000).fill(Math.random()))';

test('a lock keeps out other descriptors of the same process and thread', (t) => {
  const path = join(temporaryDirectory(t), 'lock');
  const lock = tryLock(path) ?? assert.fail('nobody holds it');
  assert.equal(tryLock(path), undefined);
  assert.deepEqual(lockHolder(path), THIS_PROCESS);
  lock.release();
  assert.equal(lockHolder(path), undefined);
});

test('neither a probe nor a refused attempt drops a lock that this process holds', (t) => {
  // As the classic POSIX locks do whenever any descriptor of the file is closed.
  const path = join(temporaryDirectory(t), 'lock');
  const lock = tryLock(path) ?? assert.fail('nobody holds it');
  for (let i = 0; i < 3; i += 1) {
    assert.deepEqual(lockHolder(path), THIS_PROCESS);
    assert.equal(tryLock(path), undefined);
    assert.match(readFileSync(path, 'utf8'), new RegExp(`^${process.pid} *\nhost `));
  }
  lock.release();
});

test('the lock of a process that is killed is free at once, and its file stays', async (t) => {
  const path = join(temporaryDirectory(t), 'lock');
  const child = await lockInProcess(t, path);
  assert.deepEqual(lockHolder(path), { pid: child.pid, place: 'here', host: hostname() });
  assert.equal(tryLock(path), undefined);
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.equal(lockHolder(path), undefined);
  assert.match(readFileSync(path, 'utf8'), new RegExp(`^${child.pid} *\nhost `));
  const lock = tryLock(path) ?? assert.fail('its holder is dead');
  assert.deepEqual(lockHolder(path), THIS_PROCESS);
  lock.release();
});

test('the lock of a worker thread that is terminated is free again in the same process', async (t) => {
  const path = join(temporaryDirectory(t), 'lock');
  for (let round = 0; round < 2; round += 1) {
    const worker = workerThatLocks(path);
    assert.deepEqual(await once(worker, 'message'), ['locked']);
    assert.equal(tryLock(path), undefined);
    await worker.terminate();
    const lock = tryLock(path) ?? assert.fail('its holder was terminated');
    lock.release();
  }
});

test('of two processes the second is refused', async (t) => {
  const path = join(temporaryDirectory(t), 'lock');
  const lock = tryLock(path) ?? assert.fail('nobody holds it');
  await assert.rejects(lockInProcess(t, path), /held by another/);
  lock.release();
  await lockInProcess(t, path);
});

test('an attempt to lock waits for a probe, be it slow, and does not take it for a writer', (t) => {
  const path = join(temporaryDirectory(t), 'lock');
  tryLock(path)?.release();
  const locks = nativeLocks(path);
  const real = locks.tryLock;
  const probeFd = openSync(path, 'r');
  assert.ok(real(probeFd, LOCK_AT, 1, { shared: true }));
  // A probe that is over only once the attempt was refused so often.
  let refusals = 0;
  t.mock.method(locks, 'tryLock', (...args: Parameters<typeof real>) => {
    const isHeld = real(...args);
    if (!isHeld && !args[3].shared && ++refusals === 20) closeSync(probeFd);
    return isHeld;
  });
  const lock = tryLock(path) ?? assert.fail('it took a probe for a writer');
  assert.equal(refusals, 20);
  lock.release();
});

test('a watch sees that the thread with the lifeline dies, whatever of, while its own thread is blocked', async (t) => {
  const directory = temporaryDirectory(t);
  const path = join(directory, 'lock');
  const lock = tryLock(path) ?? assert.fail('nobody holds it');
  for (const [number, fate] of [
    'process.exit(1)',
    'throw new Error("of nothing")',
    EXHAUST_MEMORY,
  ].entries()) {
    const worker = workerThatLocks(path, { lifeline: number + 1, fate });
    worker.on('error', () => {});
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    assert.deepEqual(await once(worker, 'message'), ['locked']);
    const watch = new LockWatch(path, number + 1);
    const other = new LockWatch(path, number + 7);
    assert.equal(watch.bothLive(), true);
    assert.equal(watch.bothLive(), true);
    assert.equal(other.bothLive(), false, 'nobody has that one');
    worker.postMessage('die');
    while (watch.bothLive()) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    watch.close();
    watch.close();
    other.close();
    await ended;
  }
  lock.release();
});

test('a watch goes by the file that it knows, though its name be gone, and sees that the lock is released', (t) => {
  const path = join(temporaryDirectory(t), 'lock');
  const lock = tryLock(path) ?? assert.fail('nobody holds it');
  holdLifeline(path, 1);
  const watch = new LockWatch(path, 1);
  rmSync(path);
  assert.equal(watch.bothLive(), true);
  lock.release();
  assert.equal(watch.bothLive(), false);
  watch.close();
});

test('a watch sees that another process has the lock now, though its id be the same', (t) => {
  const path = join(temporaryDirectory(t), 'lock');
  const lock = tryLock(path) ?? assert.fail('nobody holds it');
  holdLifeline(path, 1);
  const watch = new LockWatch(path, 1);
  assert.equal(watch.bothLive(), true);
  lock.release();
  const next = tryLock(path) ?? assert.fail('it was released');
  writeFileSync(path, readFileSync(path, 'latin1').replace(/started=./, 'started=7777'), 'latin1');
  assert.equal(watch.bothLive(), false);
  next.release();
  watch.close();
});

test('a watch is not misled by what a tool writes into the lock file', (t) => {
  const path = join(temporaryDirectory(t), 'lock');
  const lock = tryLock(path) ?? assert.fail('nobody holds it');
  holdLifeline(path, 1);
  const watch = new LockWatch(path, 1);
  for (const content of ['rubbish', '']) {
    writeFileSync(path, content);
    assert.equal(watch.bothLive(), true);
  }
  lock.release();
  assert.equal(watch.bothLive(), false);
  watch.close();
});

test('probes do not disturb each other', (t) => {
  const path = join(temporaryDirectory(t), 'lock');
  tryLock(path)?.release();
  for (let i = 0; i < 10; i += 1) assert.equal(lockHolder(path), undefined);
});

test('a holder whose id cannot be read is a holder still', (t) => {
  const path = join(temporaryDirectory(t), 'lock');
  const lock = tryLock(path) ?? assert.fail('nobody holds it');
  writeFileSync(path, 'rubbish, as a full disk or a tool may leave it');
  assert.deepEqual(lockHolder(path), UNKNOWN);
  writeFileSync(path, '');
  assert.deepEqual(lockHolder(path), UNKNOWN);
  lock.release();
});

test('a process with the same id is not taken for this one, nor for one of this machine', (t) => {
  const path = join(temporaryDirectory(t), 'lock');
  const lock = tryLock(path) ?? assert.fail('nobody holds it');
  const note = readFileSync(path, 'latin1');
  const seen = (change: (note: string) => string) => {
    writeFileSync(path, change(note), 'latin1');
    const holder = lockHolder(path) ?? assert.fail('it is held');
    return `${holder.place}: ${nameHolder(holder)}`;
  };
  const own = `process ${process.pid}`;
  assert.equal(
    seen((text) => text),
    'this process: this process',
  );
  // What an earlier version left.
  assert.equal(
    seen(() => `${process.pid}\n`),
    'this process: this process',
  );
  assert.equal(
    seen((text) => text.replace(/^\d+/, '77')),
    'here: process 77',
  );
  if (process.platform !== 'linux') {
    assert.equal(
      seen((text) => text.replace(`host ${hostname()}`, 'host web-2')),
      `elsewhere: ${own} of another container or machine (host "web-2")`,
    );
    return;
  }
  // The id was used again since.
  assert.equal(
    seen((text) => text.replace(/started=\d+/, 'started=7')),
    `here: ${own}`,
  );
  for (const [field, other] of [
    [/namespace=\S+/, 'namespace=pid:[7]'],
    [/boot=\S+/, 'boot=7'],
  ] as const) {
    assert.equal(
      seen((text) => text.replace(field, other).replace(`host ${hostname()}`, 'host web-2')),
      `elsewhere: ${own} of another container or machine (host "web-2")`,
    );
  }
  // Containers may share a host's name, and a machine's may change.
  assert.equal(
    seen((text) => text.replace(`host ${hostname()}`, 'host web-2')),
    'this process: this process',
  );
  lock.release();
});

test('a note covers the one before, whatever the length of what they say', (t) => {
  const path = join(temporaryDirectory(t), 'lock');
  tryLock(path)?.release();
  const { size } = statSync(path);
  writeFileSync(path, 'x'.repeat(size));
  tryLock(path)?.release();
  assert.equal(statSync(path).size, size);
  assert.doesNotMatch(readFileSync(path, 'latin1'), /xx/);
});

test('of two containers, whose process ids are both 1, the second is told that the first is elsewhere', async (t) => {
  const unshare = ['unshare', '--pid', '--fork', '--kill-child'];
  if (spawnSync(unshare[0] as string, [...unshare.slice(1), 'true']).status !== 0) {
    t.skip('namespaces of process ids need root on Linux');
    return;
  }
  const path = join(temporaryDirectory(t), 'lock');
  await lockInProcess(t, path, unshare);
  const look = spawnSync(
    unshare[0] as string,
    [...unshare.slice(1), process.execPath, '--import', import.meta.resolve('tsx'), CHILD, path, 'look'],
    { encoding: 'utf8' },
  );
  assert.deepEqual(
    JSON.parse(look.stdout),
    { pid: 1, holder: { pid: 1, place: 'elsewhere', host: hostname() } },
    look.stderr,
  );
});

test('locking below a file or in a missing directory says why', (t) => {
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, 'file'), '');
  assert.throws(() => tryLock(join(directory, 'file', 'lock')), { code: 'ENOTDIR' });
  assert.throws(() => tryLock(join(directory, 'missing', 'lock')), { code: 'ENOENT' });
  assert.equal(lockHolder(join(directory, 'missing', 'lock')), undefined);
});

test('where the native locks do not load, only taking a lock fails, and says so', async (t) => {
  const path = join(temporaryDirectory(t), 'lock');
  const source = `
    const Module = require('node:module');
    const resolve = Module._resolveFilename;
    Module._resolveFilename = (name, ...rest) => {
      if (name === 'fs-native-extensions') throw new Error('no binary');
      return resolve(name, ...rest);
    };
    import(${JSON.stringify(pathToFileURL(fileURLToPath(new URL('../../src/files/lock.ts', import.meta.url))).href)})
      .then(({ tryLock }) => tryLock(${JSON.stringify(path)}))
      .catch((error) => console.log(error.code, error.message, '|', error.cause.message));`;
  const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), '--eval', source]);
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  await once(child, 'close');
  assert.match(
    output,
    /^ENOTSUP ENOTSUP: fs-native-extensions does not load on \S+: no binary, lock '.+' \| no binary/,
  );
});

/** Resolves once the child has the lock. @param through a command that runs it */
async function lockInProcess(
  t: TestContext,
  path: string,
  through: readonly string[] = [],
): Promise<ChildProcess> {
  const [command = '', ...args] = [
    ...through,
    process.execPath,
    '--import',
    import.meta.resolve('tsx'),
    CHILD,
    path,
  ];
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  cleanUp(t, async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const [answer] = await once(child.stdout, 'data');
  if (String(answer) !== 'locked') throw new Error(String(answer));
  return child;
}

/** Through `tsx/esm/api`, since tsx does not reach worker threads by itself on Node 20. */
function workerThatLocks(path: string, more: { lifeline?: number; fate?: string } = {}): Worker {
  const api = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  const file = JSON.stringify(pathToFileURL(CHILD).href);
  const source = `import(${api}).then(({ tsImport }) => tsImport(${file}, ${JSON.stringify(import.meta.url)}));`;
  return new Worker(source, {
    eval: true,
    workerData: { path, ...more },
    resourceLimits: { maxOldGenerationSizeMb: 64 },
  });
}
