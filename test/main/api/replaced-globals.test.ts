/** Programs that replace what Node gives to all: fake timers, a DOM. Every call works as ever. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runChild, temporaryLog } from '../support.js';

const REPLACE = `
  // As fake timers do it: what is asked for is noted, and never run; a timer is a number.
  let timers = 0;
  const never = () => ++timers;
  const TIMERS = ['setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearInterval', 'clearImmediate'];
  for (const name of TIMERS) globalThis[name] = timersModule[name] = never;
  globalThis.queueMicrotask = never;
  process.nextTick = never;
  syncBuiltinESMExports();
  globalThis.Date = class extends Date {
    static now() { return 0; }
  };
  performance.now = () => 0;
  for (const name of ['performance', 'TextEncoder', 'TextDecoder', 'MessageChannel', 'MessagePort', 'AbortController', 'AbortSignal',
    'structuredClone', 'URL', 'Buffer', 'Event', 'EventTarget']) {
    Object.defineProperty(globalThis, name, { configurable: true, get() { throw new Error('the global ' + name); } });
  }`;

const USE_EVERYTHING = `
  import { Buffer } from 'node:buffer';
  import { syncBuiltinESMExports } from 'node:module';
  import timersModule from 'node:timers';
  import { Wal } from '#ringwal';
  const [directory] = process.argv.slice(1);
  const { AbortController } = globalThis;
  const collect = async (items) => {
    const found = [];
    for await (const item of items) found.push(item);
    return found;
  };
  ${REPLACE}
  const wal = await Wal.open(directory, { ringSize: 65536, syncInterval: 1 });
  const lsns = [
    await wal.append('a'),
    await wal.append('b', { durable: true }),
    await wal.append('c', { durable: true, commit: 'interval' }),
    await wal.append('d'.repeat(100_000)),
    (await wal.appendBatch(['e', Buffer.from('f'), 'g'.repeat(100_000)])).last,
  ];
  const overrun = await Promise.all(Array.from({ length: 2000 }, () => wal.append('h'.repeat(100))));
  wal.tryAppend('i');
  wal.tryEncode(5, (view) => view.write('j'));
  while (wal.tryAppend('k'.repeat(1000))) ;
  await wal.ready(16_000, { signal: new AbortController().signal });
  await wal.sync();
  wal.flushSync();
  wal.flushSync(10_000);
  const last = wal.lastLsn;
  const count = async (items) => (await collect(items)).length;
  const counts = [
    await count(wal.entries()),
    await count(wal.entries({ reverse: true })),
    (await collect(wal.batches())).flat().length,
  ];
  await wal.get(last);
  const follower = wal.follow({ from: last + 1, signal: new AbortController().signal });
  const followed = follower.next();
  await wal.append('followed', { durable: true });
  const { value } = await followed;
  await follower.return();
  const outside = Wal.follow(directory, { from: last + 1 });
  const first = (await outside.next()).value;
  const second = outside.next();
  await wal.append('followed from outside', { durable: true });
  const next = (await second).value;
  await outside.return();
  const lane = await Wal.attach(wal.attachment());
  await lane.append('from a lane', { durable: true });
  lane.flushSync(10_000);
  await lane.close();
  await wal.checkpoint(1);
  await wal.truncateAfter(last);
  const reader = await Wal.open(directory, { readOnly: true });
  counts.push(await count(reader.entries()));
  await reader.close();
  counts.push(await count(Wal.readSegment(directory + '/wal-0')));
  let progress = 0;
  const { verdict } = await Wal.verify(directory, { onProgress: () => { progress += 1; } });
  wal.stats();
  await wal.close();
  await Wal.repair(directory, { dryRun: true });
  const polling = await Wal.open(directory, { busyPoll: true });
  await polling.append('polled', { durable: true });
  polling.tryAppend('at exit');
  console.log(JSON.stringify({
    lsns,
    isOverrunWhole: overrun.length === 2000,
    areCountsRight: counts.every((each) => each === last),
    followed: value.lsn === last + 1 && first.lsn === last + 1 && next.lsn === last + 2,
    verdict,
    hasProgress: progress > 0,
  }));
  process.exit();`;

test('every call works though the globals of Node, its timers and process.nextTick were replaced after loading', async (t) => {
  const ended = await runChild(t, USE_EVERYTHING, [temporaryLog(t)]);
  assert.equal(ended.code, 0, ended.stderr);
  assert.deepEqual(JSON.parse(ended.stdout || 'null'), {
    lsns: [1, 2, 3, 4, 7],
    isOverrunWhole: true,
    areCountsRight: true,
    followed: true,
    verdict: 'clean',
    hasProgress: true,
  });
});

test('an error of onError is an uncaught exception though timers and process.nextTick were replaced', async (t) => {
  const ended = await runChild(
    t,
    `import { syncBuiltinESMExports } from 'node:module';
    import timersModule from 'node:timers';
    import { writeFileSync } from 'node:fs';
    import { Wal } from '#ringwal';
    const [directory] = process.argv.slice(1);
    const wal = await Wal.open(directory, { maxFileSize: 4096, onError() { throw new Error('from onError'); } });
    process.on('uncaughtException', (error) => {
      console.log(error.message);
      process.exit(0);
    });
    ${REPLACE}
    // Where the figures are to be published there is something else: that is told to onError.
    const { mkdirSync } = await import('node:fs');
    mkdirSync(directory + '/ringwal.stats');
    for (;;) await wal.append('x', { durable: true });`,
    [temporaryLog(t)],
  );
  assert.deepEqual([ended.code, ended.stdout], [0, 'from onError\n'], ended.stderr);
});
