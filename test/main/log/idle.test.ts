import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Faults, runChild, temporaryLog } from '../support.js';

test('an idle log makes no thread run', { skip: process.platform !== 'linux' }, async (t) => {
  const ended = await runChild(
    t,
    `import { readdirSync, readFileSync } from 'node:fs';
    import { Wal } from '#ringwal';
    const wal = await Wal.open(process.argv[1], { syncInterval: 20 });
    for (let i = 0; i < 1000; i++) wal.tryAppend('x');
    await wal.append('x', { durable: true });
    wal.tryAppend('left to the interval');
    const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    while (wal.durableLsn < wal.lastLsn || wal.lastLsn < 1002) await sleep(5);
    const switches = () => {
      let sum = 0;
      for (const task of readdirSync('/proc/self/task')) {
        if (task === String(process.pid)) continue;
        const status = readFileSync('/proc/self/task/' + task + '/status', 'utf8');
        for (const [, count] of status.matchAll(/ctxt_switches:\\s+(\\d+)/g)) sum += Number(count);
      }
      return sum;
    };
    // The state file is still to be written, and V8's own threads to come to rest.
    let least = Infinity;
    for (let look = 0; look < 5 && least > 0; look++) {
      await sleep(300);
      const before = switches();
      await sleep(1000);
      least = Math.min(least, switches() - before);
    }
    console.log(least);`,
    [temporaryLog(t)],
  );
  // One timed wait in 2 ms would be 500 a second.
  assert.ok(Number(ended.stdout) <= 5, `${ended.stdout} context switches in a second; ${ended.stderr}`);
});

test('a log that met a full disk in the middle of a batch comes to rest', {
  skip: process.platform !== 'linux',
}, async (t) => {
  const faults = new Faults(t);
  const ended = await runChild(
    t,
    `import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
    import { Wal } from '#ringwal';
    const [directory, workerUrl] = process.argv.slice(1);
    const wal = await Wal.open(directory, { ringSize: 1048576, syncInterval: 20, workerUrl: new URL(workerUrl) });
    await wal.append('x', { durable: true });
    writeFileSync(new URL('fail-write', workerUrl), 'ENOSPC 1');
    const batch = Array.from({ length: 60 }, () => 'x'.repeat(10_000));
    await wal.appendBatch(batch).catch((error) => console.log(error.cause.code));
    rmSync(new URL('fail-write', workerUrl));
    const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    const ticks = () => {
      let sum = 0;
      for (const task of readdirSync('/proc/self/task')) {
        if (task === String(process.pid)) continue;
        const fields = readFileSync('/proc/self/task/' + task + '/stat', 'utf8').split(') ')[1].split(' ');
        sum += Number(fields[11]) + Number(fields[12]);
      }
      return sum;
    };
    let least = Infinity;
    for (let look = 0; look < 3 && least > 0; look++) {
      await sleep(200);
      const before = ticks();
      await sleep(500);
      least = Math.min(least, ticks() - before);
    }
    console.log(least, await wal.append('room again', { durable: true }));
    await wal.close();`,
    [temporaryLog(t), faults.workerUrl.href],
  );
  const [code, figures = ''] = ended.stdout.split('\n');
  const [ticks, lsn] = figures.split(' ').map(Number);
  assert.deepEqual([code, lsn], ['ENOSPC', 2], ended.stderr);
  // Hundredths of a second of the processor, in half a second.
  assert.ok((ticks as number) <= 3, `${ticks} ticks`);
});
