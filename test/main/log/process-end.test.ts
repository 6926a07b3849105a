import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Child, Faults, left, range, runChild, temporaryLog, until } from '../support.js';

const OPEN = `
  import { Wal, WalError } from '#ringwal';
  const directory = process.argv[1];
  const wal = await Wal.open(directory);
`;

test('a process with an open log and nothing pending ends by itself', async (t) => {
  const directory = temporaryLog(t);
  const ended = await runChild(
    t,
    `${OPEN}
    await wal.append('a', { durable: true });
    await wal.ready();
    await wal.sync();
    for await (const entry of wal.entries()) ;
    await Wal.verify(directory);
    console.log('done');`,
    [directory],
  );
  assert.deepEqual([ended.code, ended.signal, ended.stdout], [0, null, 'done\n'], ended.stderr);
  assert.deepEqual(await left(directory), ['a']);
});

test('a process stays alive while a promise is pending, and no longer', async (t) => {
  const directory = temporaryLog(t);
  const ended = await runChild(
    t,
    `${OPEN}
    const say = (what) => console.log(what);
    wal.append('a').then(() => say('written'));
    wal.append('b', { durable: true }).then(() => say('durable'));
    wal.append('c', { durable: true, commit: 'interval' }).then(() => say('interval'));
    wal.appendBatch(['d', 'e']).then(() => say('batch'));
    wal.sync().then(() => say('synced'));
    wal.ready().then(() => say('ready'));`,
    [directory],
  );
  assert.equal(ended.code, 0, ended.stderr);
  assert.deepEqual(ended.stdout.trim().split('\n').sort(), [
    'batch',
    'durable',
    'interval',
    'ready',
    'synced',
    'written',
  ]);
});

test('a process that closes its log waits for it, though nobody awaits it', async (t) => {
  const directory = temporaryLog(t);
  const ended = await runChild(
    t,
    `${OPEN}
    for (let i = 1; i <= 1000; i++) wal.tryAppend(String(i));
    wal.close().then(() => console.log('closed'));`,
    [directory],
  );
  assert.deepEqual([ended.code, ended.stdout], [0, 'closed\n'], ended.stderr);
  assert.equal((await left(directory)).length, 1000);
});

const COUNT = 5000;
const APPEND = `for (let i = 1; i <= ${COUNT}; i++) while (!wal.tryAppend('entry ' + i)) ;`;
const ALL = range(1, COUNT).map((i) => `entry ${i}`);

for (const { how, code, ends } of [
  { how: 'at the end of its event loop', code: APPEND, ends: 0 },
  { how: 'by process.exit()', code: `${APPEND} process.exit(7);`, ends: 7 },
  { how: 'by an uncaught exception', code: `${APPEND} throw new Error('uncaught');`, ends: 1 },
  {
    how: 'by an exception in a callback',
    code: `setImmediate(() => { ${APPEND} throw new Error('uncaught'); });`,
    ends: 1,
  },
  {
    how: 'by a rejection that nobody handles',
    code: `setImmediate(() => { ${APPEND} Promise.reject(new Error('unhandled')); });`,
    ends: 1,
  },
]) {
  test(`everything accepted is in the log of a process that ends ${how}`, async (t) => {
    const directory = temporaryLog(t);
    const ended = await runChild(t, OPEN + code, [directory]);
    assert.equal(ended.code, ends, ended.stderr);
    assert.deepEqual(await left(directory), ALL);
    if (ends !== 1) assert.equal(ended.stderr, '');
  });
}

test('everything accepted is durable when a process exits while its log is closing', async (t) => {
  for (const exit of ['exit();', 'setImmediate(exit);']) {
    const directory = temporaryLog(t);
    const faults = new Faults(t);
    const child = new Child(
      t,
      `import { writeFileSync } from 'node:fs';
      import { Wal } from '#ringwal';
      const [directory, workerUrl] = process.argv.slice(1);
      const wal = await Wal.open(directory, { workerUrl: new URL(workerUrl) });
      process.on('exit', () => console.log('exits', wal.lastLsn, wal.durableLsn));
      writeFileSync(new URL('hold-write', workerUrl), '');
      ${APPEND}
      wal.close().catch(() => {});
      const exit = () => {
        console.log('about to exit');
        process.exit(7);
      };
      ${exit}`,
      [directory, faults.workerUrl.href],
    );
    await child.says('about to exit');
    faults.recall('hold-write');
    const ended = await child.ended;
    assert.deepEqual([ended.code, ended.stderr], [7, '']);
    assert.equal(ended.stdout, `about to exit\nexits ${COUNT} ${COUNT}\n`);
    assert.deepEqual(await left(directory), ALL);
  }
});

test('a process may exit at any moment between close() and its end', async (t) => {
  for (const busyMs of [0, 2, 5, 400]) {
    const directory = temporaryLog(t);
    const ended = await runChild(
      t,
      `${OPEN}
      wal.tryAppend('a');
      wal.close().catch(() => {});
      for (const end = Date.now() + ${busyMs}; Date.now() < end;) ;
      process.exit(7);`,
      [directory],
    );
    assert.deepEqual([ended.code, ended.stderr], [7, ''], `after ${busyMs} ms`);
    assert.deepEqual(await left(directory), ['a']);
  }
});

test('what is queued or travels beside the ring is in the log after process.exit() too', async (t) => {
  const directory = temporaryLog(t);
  const faults = new Faults(t);
  const ended = await runChild(
    t,
    `import { rmSync, writeFileSync } from 'node:fs';
    import { Wal } from '#ringwal';
    const [directory, workerUrl] = process.argv.slice(1);
    const wal = await Wal.open(directory, { ringSize: 65536, workerUrl: new URL(workerUrl) });
    writeFileSync(new URL('hold-write', workerUrl), '');
    for (let i = 0; i < 300; i++) {
      wal.append(String(i).padEnd(i % 7 === 0 ? 100_000 : 1000)).catch(() => {});
      if (i % 20 === 0) wal.appendBatch([String(i), 'x'.repeat(70_000), String(i)]).catch(() => {});
    }
    console.log(wal.stats().accepted, wal.stats().pendingBytes > 0);
    rmSync(new URL('hold-write', workerUrl));
    process.exit();`,
    [directory, faults.workerUrl.href],
  );
  const [accepted, wasPending] = ended.stdout.trim().split(' ');
  assert.equal(wasPending, 'true');
  assert.equal((await left(directory)).length, Number(accepted));
});

test("what is appended in an 'exit' handler is in the log, whichever handler comes first", async (t) => {
  const directory = temporaryLog(t);
  const ended = await runChild(
    t,
    `import { Wal } from '#ringwal';
    let wal;
    process.on('exit', () => { wal.tryAppend('before'); wal.append('promised before'); });
    wal = await Wal.open(process.argv[1]);
    process.on('exit', () => {
      wal.tryAppend('after');
      wal.append('promised after');
      wal.appendBatch(['batch', 'after']);
      wal.flushSync();
      console.log(wal.durableLsn);
    });`,
    [directory],
  );
  assert.deepEqual([ended.code, ended.stdout], [0, '6\n'], ended.stderr);
  assert.deepEqual(await left(directory), [
    'before',
    'promised before',
    'after',
    'promised after',
    'batch',
    'after',
  ]);
});

test('several logs of a process are all flushed at its end, though the callback of one throws', async (t) => {
  const directories = [temporaryLog(t), temporaryLog(t), temporaryLog(t)];
  const ended = await runChild(
    t,
    `import { Wal } from '#ringwal';
    for (const directory of process.argv.slice(1)) {
      const wal = await Wal.open(directory, { onError() { throw new Error('from onError'); } });
      wal.tryAppend('kept');
    }
    process.exit();`,
    directories,
  );
  assert.equal(ended.code, 0, ended.stderr);
  for (const directory of directories) assert.deepEqual(await left(directory), ['kept']);
});

test('a log that was closed leaves no listener behind', async (t) => {
  const directory = temporaryLog(t);
  const ended = await runChild(
    t,
    `import { Wal } from '#ringwal';
    const before = process.listenerCount('exit');
    for (let i = 0; i < 3; i++) await (await Wal.open(process.argv[1])).close();
    console.log(process.listenerCount('exit') - before);`,
    [directory],
  );
  assert.deepEqual([ended.code, ended.stdout, ended.stderr], [0, '0\n', '']);
});

test('opening that fails because a thread does not start rejects, and does not end the process in silence', async (t) => {
  const directory = temporaryLog(t);
  const ended = await runChild(
    t,
    `import { Wal } from '#ringwal';
    Wal.open(process.argv[1], { workerUrl: new URL('file:///nowhere/worker.js') }).then(
      () => console.log('opened'),
      (error) => console.log(error.code),
    );`,
    [directory],
  );
  assert.deepEqual([ended.code, ended.stdout], [0, 'ERR_WAL_WORKER_DIED\n'], ended.stderr);
});

for (const failing of [1, 2]) {
  test(`opening whose thread ${failing} of 2 cannot be started leaves neither a lock nor a thread behind`, async (t) => {
    const ended = await runChild(
      t,
      `import threads from 'node:worker_threads';
      import { syncBuiltinESMExports } from 'node:module';
      const { Worker } = threads;
      let started = 0;
      threads.Worker = class extends Worker {
        constructor(...args) {
          started += 1;
          if (started === ${failing}) throw Object.assign(new Error('no thread'), { code: 'ERR_WORKER_INIT_FAILED' });
          super(...args);
        }
      };
      syncBuiltinESMExports();
      const { Wal } = await import('#ringwal');
      await Wal.open(process.argv[1]).catch((error) => console.log(error.code));
      const wal = await Wal.open(process.argv[1]);
      console.log(await wal.append('x', { durable: true }));
      await wal.close();`,
      [temporaryLog(t)],
    );
    assert.deepEqual([ended.code, ended.stdout], [0, 'ERR_WAL_IO\n1\n'], ended.stderr);
  });
}

test('a process whose log has died tells whoever waits before it ends', async (t) => {
  for (const order of ['die-at-write', 'die-at-sync'] as const) {
    const faults = new Faults(t);
    const ended = await runChild(
      t,
      `import { writeFileSync } from 'node:fs';
      import { Wal } from '#ringwal';
      const [directory, workerUrl, order] = process.argv.slice(1);
      const wal = await Wal.open(directory, { workerUrl: new URL(workerUrl) });
      writeFileSync(new URL(order, workerUrl), '');
      wal.append('x', { durable: true }).catch((error) => console.log(error.code));
      wal.sync().catch((error) => console.log(error.code));`,
      [temporaryLog(t), faults.workerUrl.href, order],
    );
    assert.deepEqual(
      [ended.code, ended.stdout],
      [0, 'ERR_WAL_WORKER_DIED\nERR_WAL_WORKER_DIED\n'],
      ended.stderr,
    );
  }
});

test('an error that the exit meets is told though the pipe of standard error is full just then', async (t) => {
  const faults = new Faults(t);
  const child = new Child(
    t,
    `import { writeFileSync, writeSync } from 'node:fs';
    import { Wal } from '#ringwal';
    const [directory, workerUrl] = process.argv.slice(1);
    const wal = await Wal.open(directory, { workerUrl: new URL(workerUrl), syncInterval: 60_000 });
    wal.tryAppend('a');
    // Whoever has used it has a pipe that does not block.
    process.stderr;
    try { for (;;) writeSync(2, 'x'.repeat(1024)); } catch (error) { console.log('full: ' + error.code); }
    writeFileSync(new URL('fail-sync', workerUrl), 'EIO');
    process.exit();`,
    [temporaryLog(t), faults.workerUrl.href],
  );
  child.process.stderr.pause();
  await until(() => faults.isMet('fail-sync'));
  child.process.stderr.resume();
  const { stdout, stderr } = await child.ended;
  assert.equal(stdout, 'full: EAGAIN\n');
  assert.match(stderr, /x.*WalError.*EIO/);
});
