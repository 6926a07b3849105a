import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Wal, WalError } from '#ringwal';
import { cleanUp, temporaryDirectory } from '../../cleanup.js';
import {
  Child,
  Faults,
  freshLog,
  lsns,
  makeLog,
  openLog,
  range,
  runChild,
  snapshot,
  temporaryLog,
  texts,
  walError,
} from '../support.js';

const mode = (path: string) => statSync(path).mode & 0o777;

test('opening creates the directory, missing parents included, for its owner alone', async (t) => {
  const parent = temporaryDirectory(t);
  const directory = join(parent, 'a/b/c');
  const wal = await openLog(t, directory);
  await wal.append('x', { durable: true });
  assert.equal(wal.directory, directory);
  await wal.close();
  for (const name of ['a', 'a/b', 'a/b/c']) assert.equal(mode(join(parent, name)), 0o700);
  for (const name of readdirSync(directory)) assert.equal(mode(join(directory, name)), 0o600, name);
});

test('fileMode and directoryMode set the permissions of what is created', async (t) => {
  const umask = process.umask(0);
  cleanUp(t, () => process.umask(umask));
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory, { fileMode: 0o640, directoryMode: 0o750, maxFileSize: 4096 });
  for (let i = 0; i < 5; i++) await wal.append('x'.repeat(3000), { durable: true });
  await wal.close();
  assert.equal(mode(directory), 0o750);
  assert.ok(readdirSync(directory).length > 5);
  for (const name of readdirSync(directory)) assert.equal(mode(join(directory, name)), 0o640, name);
  // What is there keeps its own.
  chmodSync(join(directory, 'wal-0'), 0o604);
  chmodSync(directory, 0o711);
  await (await openLog(t, directory)).close();
  assert.deepEqual([mode(directory), mode(join(directory, 'wal-0'))], [0o711, 0o604]);
});

test('the directory may be a path, relative or not, a file: URL or a link', async (t) => {
  const parent = temporaryDirectory(t);
  await makeLog(join(parent, 'log'), ['a']);
  symlinkSync(join(parent, 'log'), join(parent, 'link'));
  const byUrl = await openLog(t, pathToFileURL(join(parent, 'log')) as unknown as string);
  assert.equal(byUrl.directory, join(parent, 'log'));
  await assert.rejects(Wal.open(join(parent, 'link')), walError('ERR_WAL_LOCKED'));
  await byUrl.close();
  const before = process.cwd();
  process.chdir(parent);
  cleanUp(t, () => process.chdir(before));
  const relative = await openLog(t, 'log');
  process.chdir(before);
  assert.equal(relative.directory, join(parent, 'log'));
  assert.equal(await relative.append('b'), 2);
  assert.deepEqual(await texts(relative.entries()), ['a', 'b']);
});

test('what is not a directory is refused and left as it is', async (t) => {
  const parent = temporaryDirectory(t);
  const file = join(parent, 'file');
  writeFileSync(file, 'mine');
  for (const path of [file, join(file, 'below')]) {
    await assert.rejects(Wal.open(path), walError('ERR_WAL_IO', { cause: 'ENOTDIR' }));
    await assert.rejects(Wal.open(path, { readOnly: true }), walError('ERR_WAL_IO', { cause: 'ENOTDIR' }));
  }
  assert.equal(readFileSync(file, 'utf8'), 'mine');
  assert.deepEqual(readdirSync(parent), ['file']);
});

test('a second writer of the same process is refused at once, and the first goes on', async (t) => {
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory);
  await assert.rejects(
    Wal.open(directory),
    walError('ERR_WAL_LOCKED', { path: directory, message: /this process/ }),
  );
  assert.equal(await wal.append('x', { durable: true }), 1);
  await wal.close();
  const again = await openLog(t, directory);
  assert.equal(again.lastLsn, 1);
});

test('of many that open a log at the same time one gets it', async (t) => {
  const directory = temporaryLog(t);
  const attempts = await Promise.allSettled(range(1, 6).map(() => openLog(t, directory)));
  const refusals = attempts.filter((attempt) => attempt.status === 'rejected');
  assert.equal(refusals.length, 5);
  for (const { reason } of refusals) walError('ERR_WAL_LOCKED')(reason);
});

test("another process's lock refuses at once and names it; it is gone when that process is killed", async (t) => {
  const directory = temporaryLog(t);
  const holder = new Child(
    t,
    `import { Wal } from '#ringwal';
    const wal = await Wal.open(process.argv[1]);
    await wal.append('a', { durable: true });
    console.log('open');
    setInterval(() => {}, 1000);`,
    [directory],
  );
  await holder.says('open');
  await assert.rejects(
    Wal.open(directory),
    walError('ERR_WAL_LOCKED', { path: directory, message: new RegExp(`process ${holder.process.pid}\\b`) }),
  );
  holder.process.kill('SIGKILL');
  await holder.ended;
  const wal = await openLog(t, directory);
  assert.deepEqual(await texts(wal.entries()), ['a']);
});

test('a log that another container holds is not said to be open here, though the process ids be the same', {
  skip: process.platform !== 'linux',
}, async (t) => {
  const wal = await freshLog(t);
  const path = join(wal.directory, 'ringwal.lock');
  const note = readFileSync(path, 'latin1').replace(/namespace=\S+/, 'namespace=pid:[1]');
  writeFileSync(
    path,
    note.replace(/^host .*$/m, (line) => 'host web-2'.padEnd(line.length)),
    'latin1',
  );
  await assert.rejects(
    Wal.open(wal.directory),
    walError('ERR_WAL_LOCKED', {
      message: new RegExp(
        `: process ${process.pid} of another container or machine \\(host "web-2"\\) has it open`,
      ),
    }),
  );
});

test('reopening goes on with the LSNs', async (t) => {
  const directory = temporaryLog(t);
  for (let round = 0; round < 4; round++) {
    const wal = await openLog(t, directory, { maxFileSize: 4096 });
    assert.deepEqual(
      [wal.firstLsn, wal.lastLsn, wal.durableLsn],
      [round === 0 ? 0 : 1, round * 10, round * 10],
    );
    const { row, verdict, cut, foreignFiles } = wal.recovery;
    assert.deepEqual([row, verdict, cut, foreignFiles], [5, 'clean', undefined, []]);
    for (let i = 1; i <= 10; i++) assert.equal(await wal.append(`${round}-${i}`.padEnd(500)), round * 10 + i);
    assert.deepEqual(await lsns(wal.entries()), range(1, round * 10 + 10));
    await wal.close();
  }
});

test('opening and closing a log without an append changes no entry and no segment', async (t) => {
  const directory = temporaryLog(t);
  await makeLog(directory, ['a', 'b', 'c']);
  const before = snapshot(directory);
  for (let round = 0; round < 3; round++) await (await openLog(t, directory)).close();
  assert.deepEqual(snapshot(directory), before);
});

test('foreign files are left alone and named', async (t) => {
  const directory = temporaryLog(t);
  await makeLog(directory, ['a']);
  const foreign = ['README', 'wal-01', 'wal-', 'wal-1.bak', 'Wal-1', 'wal-1e3', 'wal--1', 'ringwal.cutting'];
  for (const name of foreign) writeFileSync(join(directory, name), `content of ${name}`);
  mkdirSync(join(directory, 'folder'));
  const wal = await openLog(t, directory);
  assert.deepEqual([...wal.recovery.foreignFiles].sort(), [...foreign, 'folder'].sort());
  assert.equal(await wal.append('b'), 2);
  await wal.close();
  for (const name of foreign) assert.equal(readFileSync(join(directory, name), 'utf8'), `content of ${name}`);
  const reader = await Wal.open(directory, { readOnly: true });
  assert.deepEqual([...reader.recovery.foreignFiles].sort(), [...foreign, 'folder'].sort());
});

test('a log whose first segment is still empty takes entries and shows them', async (t) => {
  const directory = temporaryLog(t);
  mkdirSync(directory);
  writeFileSync(join(directory, 'wal-0'), '');
  const wal = await openLog(t, directory);
  assert.deepEqual([wal.firstLsn, wal.lastLsn], [0, 0]);
  assert.equal(await wal.append('a'), 1);
  assert.deepEqual([wal.firstLsn, wal.lastLsn], [1, 1]);
  assert.deepEqual(await texts(wal.entries()), ['a']);
  assert.deepEqual(
    wal.segments().map(({ number, firstLsn, lastLsn }) => [number, firstLsn, lastLsn]),
    [[0, 1, 1]],
  );
});

test('a signal aborts opening with its reason, at any moment, and leaves no lock', async (t) => {
  const directory = temporaryLog(t);
  await makeLog(
    directory,
    range(1, 2000).map((i) => `entry ${i}`),
  );
  const reason = new Error('enough');
  await assert.rejects(Wal.open(directory, { signal: AbortSignal.abort(reason) }), reason);
  await assert.rejects(Wal.open(directory, { signal: AbortSignal.abort(reason), readOnly: true }), reason);
  for (const turns of [0, 1, 5, 20, 50]) {
    const abort = new AbortController();
    const opening = Wal.open(directory, { signal: abort.signal });
    const refused = assert.rejects(
      opening.then((wal) => wal.close().then(() => Promise.reject(reason))),
      reason,
    );
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
    abort.abort(reason);
    await refused;
  }
  for (const turns of [0, 1, 10]) {
    const abort = new AbortController();
    const opening = Wal.open(directory, { signal: abort.signal, readOnly: true });
    const refused = assert.rejects(
      opening.then(() => Promise.reject(reason)),
      reason,
    );
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
    abort.abort(reason);
    await refused;
  }
  const wal = await openLog(t, directory);
  assert.equal(wal.lastLsn, 2000);
});

test('the signal of open() does nothing to an open log', async (t) => {
  const abort = new AbortController();
  const wal = await openLog(t, temporaryLog(t), { signal: abort.signal });
  abort.abort();
  assert.equal(await wal.append('x', { durable: true }), 1);
});

test('a thread that does not start refuses to open, and a later try works', async (t) => {
  const directory = temporaryLog(t);
  const faults = new Faults(t);
  faults.give('throw-at-load');
  await assert.rejects(
    Wal.open(directory, { workerUrl: faults.workerUrl }),
    walError('ERR_WAL_WORKER_DIED', { message: /told not to start/ }),
  );
  faults.recall('throw-at-load');
  const wal = await openLog(t, directory, { workerUrl: faults.workerUrl });
  assert.equal(await wal.append('x'), 1);
});

test("open() that finds no free descriptor is refused with the system's error, and the next one that finds some works", async (t) => {
  if (process.platform === 'win32') return t.skip('no limit of descriptors here');
  const directory = temporaryLog(t);
  await makeLog(directory, ['a']);
  const { ended } = new Child(
    t,
    `
    import { closeSync, openSync } from 'node:fs';
    import { Wal } from '#ringwal';
    const [directory] = process.argv.slice(1);
    const taken = [];
    // With so many left one of the threads does not start, does not find its code, cannot lock, cannot read: or nothing fails.
    for (let left = 0; left < 20; left += 1) {
      try {
        for (;;) taken.push(openSync('/dev/null'));
      } catch (error) {
        if (error.code !== 'EMFILE') throw error;
      }
      for (let i = 0; i < left; i += 1) closeSync(taken.pop());
      const told = await Wal.open(directory).then(
        async (wal) => {
          await wal.close();
          return 'open';
        },
        (error) => error.code + ' ' + error.cause?.code + ' ' + error.message.includes(error.cause?.message),
      );
      for (const fd of taken.splice(0)) closeSync(fd);
      console.log(told);
    }
    const wal = await Wal.open(directory);
    console.log(wal.lastLsn);
    await wal.close();`,
    [directory],
    {},
    ['sh', '-c', 'ulimit -n 100 && exec "$0" "$@"', process.execPath],
  );
  const { code, stdout, stderr } = await ended;
  const lines = stdout.trimEnd().split('\n');
  assert.deepEqual([code, lines.length], [0, 21], stderr + stdout);
  assert.equal(lines[0], 'ERR_WAL_IO EMFILE true', stdout);
  for (const line of lines.slice(0, 20)) assert.match(line, /^(?:open|ERR_WAL_IO EMFILE true)$/, stdout);
  assert.equal(lines[19], 'open', stdout);
  assert.equal(lines[20], '1');
});

test('open() that the system gives no thread says so, with and without a worker file of its own', async (t) => {
  // As Node does where the number of a user's or a container's threads has reached its limit.
  const { code, stdout, stderr } = await runChild(
    t,
    `
    import { syncBuiltinESMExports } from 'node:module';
    import threads from 'node:worker_threads';
    threads.Worker = class {
      constructor() {
        throw Object.assign(new Error('EAGAIN'), { code: 'ERR_WORKER_INIT_FAILED' });
      }
    };
    syncBuiltinESMExports();
    const { Wal } = await import('#ringwal');
    for (const options of [{}, { workerUrl: new URL('file:///nowhere.js') }]) {
      await Wal.open(process.argv[1], options).catch((error) => console.log(error.code, error.cause.code, error.message));
    }`,
    [temporaryLog(t)],
  );
  assert.equal(code, 0, stderr);
  const line =
    /^ERR_WAL_IO EAGAIN Cannot start a thread of the log: EAGAIN: .+, start of a thread\. .*ulimit -u/;
  const lines = stdout.trimEnd().split('\n');
  assert.equal(lines.length, 2);
  for (const each of lines) assert.match(each, line);
});

test('opening a large log reads the first frames of its full segments and no more', async (t) => {
  const directory = temporaryLog(t);
  await makeLog(
    directory,
    range(1, 200).map((i) => String(i).padEnd(1000)),
    { maxFileSize: 4096 },
  );
  // Damage behind the first frame of a full segment: whoever read on would see it.
  const path = join(directory, 'wal-20');
  const bytes = readFileSync(path);
  bytes[2500] ^= 0xff;
  writeFileSync(path, Buffer.concat([bytes, bytes]));
  const wal = await openLog(t, directory);
  assert.deepEqual([wal.firstLsn, wal.lastLsn, wal.recovery.verdict], [1, 200, 'clean']);
  assert.ok(wal.recovery.segments > 40);
});

test('errors of opening are instances of WalError and Error, and print their kind', async (t) => {
  const path = join(temporaryDirectory(t), 'file');
  writeFileSync(path, '');
  const error = await Wal.open(path).catch((thrown: unknown) => thrown);
  assert.ok(error instanceof WalError && error instanceof Error);
  assert.match(String(error), /^WalError: /);
  assert.match(error.stack ?? '', /^WalError: /);
  assert.ok(existsSync(path));
});
