/** Log streams under fake timers, which replace timers and `process.nextTick` and run nothing until somebody advances their clock. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Faults, runChild, temporaryLog } from '../support.js';

/** In a child: `fake(scope, names)` puts functions that never call back in place of those. `restore()` undoes all. */
const FAKE = `
  const undone = [];
  const fake = (scope, names) => {
    for (const name of names) {
      const real = scope[name];
      undone.push(() => { scope[name] = real; });
      scope[name] = () => 0;
    }
  };
  const restore = () => { for (const undo of undone) undo(); };
`;

/** In a child, `use` prints all that a stream says soon, as it comes. */
const USE = `
  import { once } from 'node:events';
  import { rmSync, writeFileSync } from 'node:fs';
  const [directory, workerUrl] = process.argv.slice(1);
  const order = new URL('hold-write', workerUrl);
  const openLog = (Wal) => Wal.open(directory, { ringSize: 65536, workerUrl: new URL(workerUrl), syncInterval: 60000 });
  async function use(wal) {
    const stream = wal.createLogStream();
    await once(stream, 'ready');
    console.log('ready');
    await new Promise((resolve) => stream.write('line\\n', resolve));
    console.log('written');
    await new Promise((resolve) => stream.flush(resolve));
    console.log('flushed');
    const drainedByFlush = once(stream, 'drain');
    stream.flush();
    await drainedByFlush;
    console.log('drained');
    writeFileSync(order, '');
    while (stream.write('x'.repeat(999) + '\\n'));
    const drained = once(stream, 'drain');
    rmSync(order);
    await drained;
    console.log('drained');
    return stream;
  }
`;
const USED = 'ready\nwritten\nflushed\ndrained\ndrained\n';

function run(t: TestContext, code: string) {
  return runChild(t, USE + FAKE + code, [temporaryLog(t), new Faults(t).workerUrl.href]);
}

test("callbacks, 'ready' and 'drain' of a log stream come though the process's timers, nextTick and queueMicrotask were replaced", async (t) => {
  const ended = await run(
    t,
    `import { Wal } from '#ringwal';
    const wal = await openLog(Wal);
    fake(process, ['nextTick']);
    fake(globalThis, ['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask']);
    await use(wal);
    restore();
    await wal.close();`,
  );
  assert.deepEqual([ended.code, ended.stdout], [0, USED], ended.stderr);
});

test('a log stream ends under fake timers that leave nextTick to Node', async (t) => {
  const ended = await run(
    t,
    `import { Wal } from '#ringwal';
    const wal = await openLog(Wal);
    fake(globalThis, ['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask']);
    const stream = await use(wal);
    stream.write('no newline');
    const closed = once(stream, 'close');
    await new Promise((resolve) => stream.end(resolve));
    await closed;
    console.log('closed', wal.durableLsn === wal.lastLsn);
    restore();
    await wal.close();`,
  );
  assert.deepEqual([ended.code, ended.stdout], [0, `${USED}closed true\n`], ended.stderr);
});

// jest gives each file of tests a `process` and timers of its own, and replaces those. The package is what it loads.
for (const when of ['before', 'after'] as const) {
  test(`a log stream works and ends with fake timers as jest has them, put in place ${when} the log is loaded`, async (t) => {
    const ended = await run(
      t,
      `import { readFileSync } from 'node:fs';
      import { createRequire } from 'node:module';
      import { dirname } from 'node:path';
      import { fileURLToPath } from 'node:url';
      import { compileFunction } from 'node:vm';
      const timers = ['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask'];
      const scope = { process: Object.create(process, { nextTick: { value: process.nextTick, writable: true } }) };
      for (const name of timers) scope[name] = globalThis[name];
      const fakeAll = () => { fake(scope, timers); fake(scope.process, ['nextTick']); };
      const file = fileURLToPath(new URL('index.js', import.meta.resolve('ringwal')));
      const parameters = ['exports', 'require', 'module', '__filename', '__dirname', 'process', ...timers];
      const load = compileFunction(readFileSync(file, 'utf8'), parameters, { filename: file });
      const module = { exports: {} };
      // A replaced timer is another function under the same name: what was not bound at load would find it.
      const late = Object.fromEntries(timers.map((name) => [name, (...args) => scope[name](...args)]));
      if ('${when}' === 'before') fakeAll();
      load(module.exports, createRequire(file), module, file, dirname(file), scope.process, ...timers.map((name) => late[name]));
      const wal = await openLog(module.exports.Wal);
      if ('${when}' === 'after') fakeAll();
      const stream = await use(wal);
      const closed = once(stream, 'close');
      await new Promise((resolve) => stream.end('last', resolve));
      await closed;
      console.log('closed');
      restore();
      await wal.close();`,
    );
    assert.deepEqual([ended.code, ended.stdout], [0, `${USED}closed\n`], ended.stderr);
  });
}

test('what a callback or a listener of a log stream throws is an uncaught exception, with that very error', async (t) => {
  const ended = await run(
    t,
    `import { Wal } from '#ringwal';
    const wal = await openLog(Wal);
    const stream = wal.createLogStream();
    process.on('unhandledRejection', () => console.log('rejection'));
    const thrown = [];
    const all = new Promise((resolve) => {
      process.on('uncaughtException', (error, origin) => {
        thrown.push(origin + ' ' + error.message);
        if (thrown.length === 4) resolve();
      });
    });
    stream.once('ready', () => { throw new Error('of ready'); });
    stream.once('drain', () => { throw new Error('of drain'); });
    stream.write('line\\n', () => { throw new Error('of write'); });
    stream.flush(() => { throw new Error('of flush'); });
    await all;
    console.log(thrown.sort().join('\\n'));
    await wal.close();`,
  );
  const expected = ['drain', 'flush', 'ready', 'write'].map((of) => `uncaughtException of ${of}\n`).join('');
  assert.deepEqual([ended.code, ended.stdout], [0, expected], ended.stderr);
});
