/** Whatever becomes of a thread that is to do a job, the call that waits for it settles, and the next one gets a thread that works. */
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Wal } from '#ringwal';
import { temporaryDirectory } from '../../cleanup.js';
import { Child, makeLog, runChild, temporaryLog, until, walError } from '../support.js';

/** More than the pool has threads anywhere. */
const MANY = 10;

/** The calls that have a thread for their work, each settled to a word. */
const CALLS = `
const calls = {
  verify: () => Wal.verify(log).then(({ verdict }) => verdict),
  repair: () => Wal.repair(log, { dryRun: true }).then(({ mode }) => mode),
  readOnly: async () => {
    const reader = await Wal.open(log, { readOnly: true });
    await reader.close();
    return reader.lastLsn;
  },
  follow: async () => {
    for await (const { lsn } of Wal.follow(log)) return lsn;
  },
  readSegment: async () => {
    const lsns = [];
    for await (const { lsn } of Wal.readSegment(join(log, 'wal-0'))) lsns.push(lsn);
    return lsns.join();
  },
};
const tell = (call) => call().then(String, ({ code, message }) => code + ': ' + message);
const tellAll = () => Promise.all(Object.values(calls).map(tell));
`;

/** A log of one entry behind which stands what is no frame, so that a single segment takes a job to be read too. */
async function tornLog(t: TestContext): Promise<string> {
  const directory = temporaryLog(t);
  await makeLog(directory, ['only']);
  appendFileSync(join(directory, 'wal-0'), 'no frame');
  return directory;
}

/** A worker file of whose jobs `inspect` and `inspectOrDivide` do this. */
function workerFileThat(t: TestContext, does: string): URL {
  const path = join(temporaryDirectory(t), 'worker.cjs');
  writeFileSync(path, `exports.inspect = exports.inspectOrDivide = () => { ${does} };`);
  return pathToFileURL(path);
}

for (const isAlive of [true, false]) {
  test(`every call that has a thread settles in a process that ${isAlive ? 'something' : 'nothing'} else keeps alive and whose working directory was removed, and works in another one`, async (t) => {
    const ended = await runChild(
      t,
      `import { mkdtempSync, rmdirSync } from 'node:fs';
      import { join } from 'node:path';
      import { Wal } from '#ringwal';
      const [log, elsewhere, alive] = process.argv.slice(1);
      ${CALLS}
      const home = process.cwd();
      const gone = mkdtempSync(join(elsewhere, 'gone-'));
      const timer = alive === 'alive' ? setInterval(() => {}, 1000) : undefined;
      process.chdir(gone);
      rmdirSync(gone);
      // One after the other as well as together.
      for (const call of Object.values(calls)) console.log(await tell(call));
      for (const told of await tellAll()) console.log(told);
      process.chdir(home);
      for (const told of await tellAll()) console.log(told);
      clearInterval(timer);`,
      [await tornLog(t), temporaryDirectory(t), isAlive ? 'alive' : ''],
    );
    const lines = ended.stdout.trimEnd().split('\n');
    assert.deepEqual([ended.code, lines.length], [0, 15], ended.stderr + ended.stdout);
    for (const line of lines.slice(0, 10))
      assert.match(
        line,
        /^ERR_WAL_WORKER_DIED: .*uv_cwd.*The working directory of the process was removed.*process\.chdir/,
      );
    assert.deepEqual(lines.slice(10), ['torn', 'truncate', '1', '1', '1']);
  });
}

test('a call that finds no free descriptor for its thread fails, and the next one that finds some works', async (t) => {
  const program = `
    import { closeSync, openSync } from 'node:fs';
    import { join } from 'node:path';
    import { Wal } from '#ringwal';
    const [log] = process.argv.slice(1);
    ${CALLS}
    const taken = [];
    const takeAll = () => {
      try {
        for (;;) taken.push(openSync('/dev/null'));
      } catch (error) {
        if (error.code !== 'EMFILE') throw error;
      }
    };
    // A few that are left: for the pool to be loaded, and not enough for its thread to start.
    for (let left = 0; left < 15; left += 1) {
      takeAll();
      for (let i = 0; i < left; i += 1) closeSync(taken.pop());
      console.log(left, (await tell(calls.verify)).replace(/^(ERR_\\w+).*(No file descriptor is free).*$/s, '$1 $2'));
      while (taken.length > 0) closeSync(taken.pop());
      console.log((await tellAll()).join(' '));
    }`;
  if (process.platform === 'win32') return t.skip('no limit of descriptors here');
  const few = ['sh', '-c', 'ulimit -n 100 && exec "$0" "$@"', process.execPath] as const;
  const { ended } = new Child(t, program, [await tornLog(t)], {}, few);
  const { code, stdout, stderr } = await ended;
  const lines = stdout.trimEnd().split('\n');
  assert.deepEqual([code, lines.length], [0, 30], stderr + stdout);
  assert.equal(lines[0], '0 ERR_WAL_IO No file descriptor is free', stdout);
  for (const [at, line] of lines.entries()) {
    // With some left it may work.
    if (at % 2 === 0) assert.match(line, /^\d+ (?:torn|ERR_WAL_IO No file descriptor is free)$/);
    else assert.equal(line, 'torn truncate 1 1 1');
  }
});

test('many calls settle whose threads die in their work, or before it, and those among them whose threads do not get their answer', async (t) => {
  const directory = await tornLog(t);
  const files = [
    undefined,
    workerFileThat(t, 'process.exit(3)'),
    undefined,
    workerFileThat(t, "setImmediate(() => { throw new Error('later'); }); return new Promise(() => {});"),
    new URL('file:///nowhere/worker.js'),
  ];
  for (let round = 0; round < 3; round += 1) {
    const calls = Array.from({ length: MANY }, (_, at) => files[at % files.length]);
    const settled = await Promise.allSettled(calls.map((workerUrl) => Wal.verify(directory, { workerUrl })));
    assert.deepEqual(
      settled.map((each) => (each.status === 'fulfilled' ? each.value.verdict : each.reason.code)),
      calls.map((workerUrl) => (workerUrl === undefined ? 'torn' : 'ERR_WAL_WORKER_DIED')),
    );
  }
});

test('jobs that wait for a thread get one when those at work are called off', async (t) => {
  const directory = await tornLog(t);
  const begun = join(temporaryDirectory(t), 'begun');
  const workerUrl = workerFileThat(
    t,
    `require('node:fs').appendFileSync(${JSON.stringify(begun)}, '.');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);`,
  );
  const stop = new AbortController();
  const options = { readOnly: true, workerUrl, signal: stop.signal } as const;
  const blocked = Array.from({ length: MANY }, () => Wal.open(directory, options));
  const waiting = Array.from({ length: MANY }, () => Wal.verify(directory));
  const outcomes = Promise.allSettled(blocked);
  await until(() => existsSync(begun));
  stop.abort(new Error('called off'));
  for (const outcome of await outcomes)
    assert.equal(outcome.status === 'rejected' && outcome.reason.message, 'called off');
  for (const { verdict } of await Promise.all(waiting)) assert.equal(verdict, 'torn');
});

test('a job whose signal was aborted before it began has no thread, and leaves its place to others', async (t) => {
  const directory = await tornLog(t);
  const signal = AbortSignal.abort(new Error('too late'));
  const refused = Array.from({ length: MANY }, () => Wal.open(directory, { readOnly: true, signal }));
  for (const outcome of await Promise.allSettled(refused))
    assert.equal(outcome.status === 'rejected' && outcome.reason.message, 'too late');
  assert.equal((await Wal.verify(directory)).verdict, 'torn');
});

test('a worker file that lacks a module which threads load is told how to make it found', async (t) => {
  const directory = await tornLog(t);
  const path = join(temporaryDirectory(t), 'worker.cjs');
  writeFileSync(path, "require('not-installed-anywhere');");
  const refusal = walError('ERR_WAL_WORKER_DIED', {
    message:
      /Cannot find module 'not-installed-anywhere'.*install it where the worker file finds it.*"Where threads find modules"/s,
  });
  for (const call of [
    () => Wal.verify(directory, { workerUrl: path }),
    () => Wal.open(temporaryLog(t), { workerUrl: path }),
  ]) {
    await assert.rejects(call(), refusal);
    await assert.rejects(call(), (error: Error) => !/bundled/.test(error.message));
  }
});
