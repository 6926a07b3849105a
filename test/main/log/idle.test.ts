/**
 * A log at rest: each of its threads sleeps in a wait that has no limit, so that nothing but news can wake it. The kernel
 * says in which call a thread is.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Faults, runChild, temporaryLog } from '../support.js';

/** futex, epoll_wait, epoll_pwait; the fourth argument of each is the limit. */
const WAITS: Partial<Record<NodeJS.Architecture, readonly number[]>> = {
  x64: [202, 232, 281],
  arm64: [98, 22],
};
const waits = WAITS[process.arch];

/** Whether the kernel says in which call a thread is. */
function tellsCalls(): boolean {
  try {
    readFileSync(`/proc/self/task/${process.pid}/syscall`);
    return true;
  } catch {
    return false;
  }
}

const skip =
  (waits === undefined || !tellsCalls()) && 'the calls in which threads are can be seen on Linux only';

/** In a child: `rest()` resolves once every thread that has come since `before` sleeps without a limit, with their number. */
const REST = `
  const tasks = () => readdirSync('/proc/self/task');
  const before = new Set(tasks());
  const restsWithoutLimit = (task) => {
    const [call, , , , limit] = readFileSync('/proc/self/task/' + task + '/syscall', 'utf8').trim().split(' ');
    // A futex has no limit, or epoll has the limit -1.
    return ${JSON.stringify(waits ?? [])}.includes(Number(call)) && ['0x0', '0xffffffff', '0xffffffffffffffff'].includes(limit);
  };
  const rest = async () => {
    for (;;) {
      const all = tasks().filter((task) => !before.has(task));
      if (all.every(restsWithoutLimit)) return all.length;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
`;

test('the threads of an idle log sleep without a limit', { skip }, async (t) => {
  const ended = await runChild(
    t,
    `import { readdirSync, readFileSync } from 'node:fs';
    import { Wal } from '#ringwal';
    ${REST}
    const wal = await Wal.open(process.argv[1], { syncInterval: 20 });
    for (let i = 0; i < 1000; i++) wal.tryAppend('x');
    await wal.append('x', { durable: true });
    wal.tryAppend('left to the interval');
    console.log(await rest(), wal.durableLsn);`,
    [temporaryLog(t)],
  );
  const [threads, durableLsn] = ended.stdout.split(' ').map(Number);
  assert.ok((threads as number) >= 2, ended.stdout + ended.stderr);
  assert.equal(durableLsn, 1002, 'it rests, and an entry waits for its sync');
});

test('a log that met a full disk in the middle of a batch comes to rest', { skip }, async (t) => {
  const faults = new Faults(t);
  const ended = await runChild(
    t,
    `import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
    import { Wal } from '#ringwal';
    const [directory, workerUrl] = process.argv.slice(1);
    ${REST}
    const wal = await Wal.open(directory, { ringSize: 1048576, syncInterval: 20, workerUrl: new URL(workerUrl) });
    await wal.append('x', { durable: true });
    writeFileSync(new URL('fail-write', workerUrl), 'ENOSPC 1');
    const batch = Array.from({ length: 60 }, () => 'x'.repeat(10_000));
    await wal.appendBatch(batch).catch((error) => console.log(error.cause.code));
    rmSync(new URL('fail-write', workerUrl));
    console.log(await rest(), await wal.append('room again', { durable: true }));
    await wal.close();`,
    [temporaryLog(t), faults.workerUrl.href],
  );
  const [code, figures = ''] = ended.stdout.split('\n');
  const [threads, lsn] = figures.split(' ').map(Number);
  assert.deepEqual([code, lsn], ['ENOSPC', 2], ended.stderr);
  assert.ok((threads as number) >= 2, figures);
});
