import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { Wal, type WalAttachment, WalError } from '#ringwal';
import { cleanUp, temporaryDirectory } from '../../cleanup.js';
import {
  Child,
  Faults,
  fill,
  freshLog,
  openLog,
  range,
  SMALL_RING,
  temporaryLog,
  text,
  texts,
  until,
  walError,
} from '../support.js';
import { moduleForThreads, Producer, programOf } from './producers.js';

const CLOSED = walError('ERR_WAL_CLOSED');
const FULL = walError('ERR_WAL_FULL');
const OPTION = walError('ERR_WAL_OPTION');

/** What an attachment becomes on its way to another thread, without the thread. */
function moved(attachment: WalAttachment): Promise<WalAttachment> {
  const { port1, port2 } = new MessageChannel();
  port1.postMessage(attachment, attachment.transferList);
  return new Promise((resolve) => {
    port2.once('message', (message) => {
      port2.close();
      resolve(message);
    });
  });
}

/** Entries `<who> <n>` of each `who`: n must go up by 1 from 1. */
function inOrder(entries: readonly string[]): Map<string, number> {
  const last = new Map<string, number>();
  for (const entry of entries) {
    const [who, n] = entry.split(' ') as [string, string];
    assert.equal(Number(n), (last.get(who) ?? 0) + 1, `after ${who} ${last.get(who)} came ${entry}`);
    last.set(who, Number(n));
  }
  return last;
}

test('a thread appends by its own lane, by every method', async (t) => {
  const wal = await freshLog(t);
  const producer = new Producer(
    t,
    wal.attachment(),
    `
      const first = await lane.append('durable', { durable: true });
      lane.tryAppend(Buffer.from('try'));
      lane.tryEncode(10, (view) => view.write('encode'));
      const batch = await lane.appendBatch(['a', 'b'], { durable: true });
      await lane.ready(10);
      const watermark = await lane.sync();
      lane.flushSync();
      say({ first, batch, watermark, stats: lane.stats() });
      await lane.close();
      await lane.close();
      say('closed');`,
  );
  const { first, batch, watermark, stats } = (await producer.says()) as {
    first: number;
    batch: object;
    watermark: number;
    stats: { accepted: number; unsettled: number };
  };
  assert.deepEqual([first, batch, watermark], [1, { first: 4, last: 5 }, 5]);
  assert.deepEqual([stats.accepted, stats.unsettled], [5, 0]);
  assert.equal(await producer.says(), 'closed');
  await producer.ends();
  assert.deepEqual(await texts(wal.entries()), ['durable', 'try', 'encode', 'a', 'b']);
  assert.deepEqual(wal.stats().lanes, { open: 1, pooled: 1, reused: 0, gone: 0 });
  assert.equal(await wal.append('opener'), 6);
});

test('several threads append at once: nothing is lost, each keeps its order, each learns its LSNs', async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING, maxFileSize: 256 * 1024 });
  const count = 1500;
  const producers = range(1, 3).map(
    (who) =>
      new Producer(
        t,
        wal.attachment(),
        `
        const lsns = [];
        for (let n = 1; n <= ${count}; n++) {
          const entry = data.who + ' ' + n + ' '.padEnd((n * 37) % 500, 'x');
          if (n % 5 === 0) lsns.push(lane.append(entry, { durable: n % 10 === 0 }));
          else while (!lane.tryAppend(entry)) await lane.ready(entry.length);
          if (lsns.length % 50 === 0) await lsns.at(-1);
        }
        say(await Promise.all(lsns));
        await lane.close();`,
        { who },
      ),
  );
  for (let n = 1; n <= count; n++) {
    while (!wal.tryAppend(`0 ${n} `)) await wal.ready(20);
  }
  const lsns = (await Promise.all(producers.map((producer) => producer.says()))) as number[][];
  await Promise.all(producers.map((producer) => producer.ends()));
  await wal.sync();
  const entries = await texts(wal.entries());
  assert.deepEqual(
    [...inOrder(entries)].sort(),
    [0, 1, 2, 3].map((who) => [String(who), count]),
  );
  for (const [at, mine] of lsns.entries()) {
    for (const [i, lsn] of mine.entries())
      assert.match(entries[lsn - 1] ?? '', new RegExp(`^${at + 1} ${(i + 1) * 5} `));
  }
});

test('a thread that floods the log delays an entry of another by a few groups, however much it has in its ring', async (t) => {
  const wal = await freshLog(t);
  const flood = new Producer(
    t,
    wal.attachment(),
    `
      const entry = Buffer.alloc(100, 'x');
      say('floods');
      // Not for ever: with the event loop blocked nobody could end it.
      for (let laps = 0, bytes = lane.stats().ringBytes; laps < 4; laps++) {
        for (let n = 0; n < bytes / 100; n++) while (!lane.tryAppend(entry)) await lane.ready(4_000_000);
      }
      await lane.close();`,
  );
  assert.equal(await flood.says(), 'floods');
  const delays: number[] = [];
  while (wal.stats().lanes.open === 2) {
    const appended = wal.append('mine');
    // What is written when the entry is in its ring comes before it, as does what is being written; behind it at most a turn.
    const { lastLsn } = wal;
    delays.push((await appended) - lastLsn);
  }
  await flood.ends();
  assert.ok(wal.lastLsn > 500_000);
  const groupEntriesMax = (1024 * 1024) / 110;
  const most = Math.max(...delays);
  assert.ok(most <= 3 * groupEntriesMax, `${most} entries of the flood came first`);
});

/** Blocks this thread until `word` is stored. */
function block(word: Int32Array): void {
  while (Atomics.load(word, 0) === 0) Atomics.wait(word, 0, 0, 1000);
}

test('a thread is attached, appends durably and closes its lane while the opening thread is blocked', async (t) => {
  const wal = await freshLog(t);
  const word = new Int32Array(new SharedArrayBuffer(4));
  const go = new Int32Array(new SharedArrayBuffer(4));
  const producer = new Producer(
    t,
    wal.attachment(),
    `
      await lane.append('first', { durable: true });
      say('ready');
      Atomics.wait(data.go, 0, 0);
      await lane.append('while it is blocked', { durable: true });
      const nested = await Wal.attach(lane.attachment());
      await nested.append('nested', { durable: true });
      await nested.close();
      await lane.close();
      Atomics.store(data.word, 0, 1);
      Atomics.notify(data.word, 0);`,
    { word, go },
  );
  assert.equal(await producer.says(), 'ready');
  Atomics.store(go, 0, 1);
  Atomics.notify(go, 0);
  block(word);
  assert.equal(wal.durableLsn, 3);
  assert.equal(wal.stats().lanes.open, 1);
  await producer.ends();
});

test('a thread that blocks holds nobody up', async (t) => {
  const wal = await freshLog(t);
  const word = new Int32Array(new SharedArrayBuffer(4));
  const producer = new Producer(
    t,
    wal.attachment(),
    `
      const pending = lane.append('published', { durable: true });
      lane.tryAppend('and more');
      say('blocks');
      Atomics.wait(data.word, 0, 0);
      say(await pending);`,
    { word },
  );
  assert.equal(await producer.says(), 'blocks');
  assert.ok((await wal.append('opener', { durable: true })) > 0);
  await wal.sync();
  assert.deepEqual((await texts(wal.entries())).sort(), ['and more', 'opener', 'published']);
  Atomics.store(word, 0, 1);
  Atomics.notify(word, 0);
  assert.ok(Number(await producer.says()) <= 2);
  await producer.ends();
});

for (const [how, end] of [
  [
    'is terminated in the middle of its appends',
    'for (let n = count + 1; ; n++) lane.tryAppend(data.who + " " + n);',
  ],
  ['throws', 'throw new Error("as intended");'],
  ['exits', 'process.exit(0);'],
  ['ends by itself with its lane open', ''],
] as const) {
  test(`what a thread had published is written when it ${how}, and its lane is used again`, async (t) => {
    const wal = await freshLog(t, { ringSize: SMALL_RING });
    const rounds = 3;
    for (const round of range(1, rounds)) {
      const producer = new Producer(
        t,
        wal.attachment(),
        `
          const count = 100;
          for (let n = 1; n <= count; n++) while (!lane.tryAppend(data.who + ' ' + n)) ;
          say('published');
          ${end}`,
        { who: round },
      );
      assert.equal(await producer.says(), 'published');
      if (how.startsWith('is terminated')) await producer.worker.terminate();
      await producer.exited;
      await until(() => wal.stats().lanes.pooled === 1);
      assert.deepEqual(wal.stats().lanes, { open: 1, pooled: 1, reused: round - 1, gone: round });
    }
    await wal.sync();
    const found = inOrder(await texts(wal.entries()));
    assert.equal(found.size, rounds);
    for (const count of found.values()) assert.ok(count >= 100);
    assert.ok((await wal.append('fine', { durable: true })) > rounds * 100);
  });
}

test('a thread that ends inside the callback of tryEncode leaves nothing of it', async (t) => {
  const wal = await freshLog(t);
  const producer = new Producer(
    t,
    wal.attachment(),
    `
      lane.tryAppend('before');
      lane.tryEncode(100, (view) => { view.fill(0xff); process.exit(0); });`,
  );
  await producer.exited;
  await until(() => wal.stats().lanes.pooled === 1);
  assert.deepEqual(await texts(wal.entries()), ['before']);
});

test('a thousand lanes one after the other take the memory of one', async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING });
  const count = 1000;
  for (let n = 1; n <= count; n++) {
    const lane = await Wal.attach(wal.attachment());
    lane.tryAppend(`entry ${n}`);
    await lane.close();
  }
  assert.deepEqual(wal.stats().lanes, { open: 1, pooled: 1, reused: count - 1, gone: 0 });
  assert.equal(wal.lastLsn, count);
});

test('as many lanes as maxLanes says are given, and a lane that is closed makes room', async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING, maxLanes: 3 });
  const lanes = [await Wal.attach(wal.attachment()), await Wal.attach(wal.attachment())];
  assert.throws(() => wal.attachment(), FULL);
  assert.throws(() => lanes[0]?.attachment(), FULL);
  await lanes[1]?.close();
  const next = wal.attachment();
  // Not taken up yet, it counts all the same.
  await until(() => wal.stats().lanes.open === 3);
  assert.throws(() => wal.attachment(), FULL);
  const lane = await Wal.attach(next);
  assert.ok((await lane.append('x')) === 1);
  assert.deepEqual(wal.stats().lanes, { open: 3, pooled: 0, reused: 1, gone: 0 });
  await Promise.all([lane.close(), lanes[0]?.close()]);
  assert.deepEqual(wal.stats().lanes, { open: 1, pooled: 2, reused: 1, gone: 0 });
});

test('an attachment that goes down with its thread, or on the way to it, gives its lane back', async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING, maxLanes: 2 });
  const producer = new Producer(t, wal.attachment(), '');
  await producer.worker.terminate();
  await until(() => wal.stats().lanes.gone === 1 && wal.stats().lanes.open === 1);
  const lost = await moved(wal.attachment());
  await until(() => wal.stats().lanes.open === 2);
  assert.throws(() => wal.attachment(), FULL);
  for (const port of lost.transferList) port.close();
  await until(() => wal.stats().lanes.gone === 2 && wal.stats().lanes.open === 1);
  await (await Wal.attach(wal.attachment())).close();
});

test('an attachment is for one attach, in the thread that it was moved to', async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING });
  const attachment = wal.attachment();
  const lane = await Wal.attach(attachment);
  await assert.rejects(Wal.attach(attachment), OPTION);
  const other = wal.attachment();
  const there = await moved(other);
  await assert.rejects(Wal.attach(other), OPTION);
  const otherLane = await Wal.attach(there);
  await Promise.all([lane.append('a'), otherLane.append('b')]);
  for (const bad of [undefined, null, {}, { ringwal: {} }, 'x', { ...attachment, ringwal: null }]) {
    await assert.rejects(Wal.attach(bad as unknown as WalAttachment), OPTION);
  }
  await lane.close();
  await otherLane.close();
});

test('close() completes what all lanes had accepted, and each lane learns exactly what was taken', async (t) => {
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory, { ringSize: SMALL_RING });
  const producers = range(1, 2).map(
    (who) =>
      new Producer(
        t,
        wal.attachment(),
        `
        const outcomes = [];
        let isOpen = true;
        for (let n = 1; isOpen; n++) {
          outcomes.push(lane.append(data.who + ' ' + n, { durable: n % 3 === 0 }).then(
            (lsn) => ({ n, lsn }),
            (error) => { isOpen = false; return { n, code: error.code }; },
          ));
          if (n === 100) say('busy');
          if (n % 20 === 0) await new Promise(setImmediate);
        }
        say(await Promise.all(outcomes));
        await lane.close();
        let code;
        try { lane.tryAppend('x'); } catch (error) { code = error.code; }
        say(code);`,
        { who },
      ),
  );
  for (const producer of producers) assert.equal(await producer.says(), 'busy');
  await wal.close();
  const again = await openLog(t, directory);
  const entries = await texts(again.entries());
  const found = inOrder(entries);
  for (const [at, producer] of producers.entries()) {
    const outcomes = (await producer.says()) as { n: number; lsn?: number; code?: string }[];
    const taken = outcomes.filter(({ lsn }) => lsn !== undefined);
    assert.equal(taken.length, found.get(String(at + 1)));
    for (const { n, lsn } of taken) assert.equal(entries[(lsn as number) - 1], `${at + 1} ${n}`);
    for (const { n, code } of outcomes.slice(taken.length)) assert.equal(code, 'ERR_WAL_CLOSED', String(n));
    assert.equal(await producer.says(), 'ERR_WAL_CLOSED');
    await producer.ends();
  }
});

test('close() ends though a thread appends without ever letting its event loop turn', async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING });
  const producer = new Producer(
    t,
    wal.attachment(),
    `
      process.on('warning', () => {});
      say('busy');
      try {
        for (;;) lane.tryAppend('x');
      } catch (error) {
        say(error.code);
      }`,
  );
  assert.equal(await producer.says(), 'busy');
  await wal.close();
  assert.equal(await producer.says(), 'ERR_WAL_CLOSED');
});

test('sync() and flushSync() cover what any lane had accepted before', async (t) => {
  const wal = await freshLog(t, { syncInterval: 60_000 });
  const lanes = [await Wal.attach(wal.attachment()), await Wal.attach(wal.attachment())] as const;
  for (const lane of lanes) lane.tryAppend('x');
  assert.equal(await wal.sync(), 2);
  lanes[0].tryAppend('y');
  wal.tryAppend('z');
  lanes[1].flushSync();
  assert.equal(wal.durableLsn, 4);
  lanes[1].tryAppend('y');
  wal.flushSync();
  assert.equal(wal.durableLsn, 5);
  lanes[0].tryAppend('y');
  assert.equal(await lanes[1].sync(), 6);
  for (const lane of lanes) await lane.close();
});

for (const order of ['die-at-write', 'die-at-sync'] as const) {
  test(`a thread that is blocked in flushSync() notices when the log's threads die (${order})`, async (t) => {
    const faults = new Faults(t);
    const wal = await openLog(t, temporaryLog(t), { workerUrl: faults.workerUrl, onError: () => {} });
    const lane = await Wal.attach(wal.attachment());
    await lane.append('safe', { durable: true });
    process.on('warning', () => {});
    faults.give(order);
    lane.tryAppend('a');
    lane.tryAppend('b');
    // This thread is the opening one too, and hears nothing.
    assert.throws(() => lane.flushSync(), walError('ERR_WAL_WORKER_DIED'));
    await assert.rejects(lane.close(), walError('ERR_WAL_WORKER_DIED'));
    await lane.close();
    faults.recall(order);
    await assert.rejects(wal.close(), walError('ERR_WAL_WORKER_DIED'));
  });
}

test('the threads of a log die: every lane is told', async (t) => {
  const faults = new Faults(t);
  const wal = await openLog(t, temporaryLog(t), { workerUrl: faults.workerUrl, onError: () => {} });
  const producer = new Producer(
    t,
    wal.attachment(),
    `
      await lane.append('safe', { durable: true });
      say('ready');
      await hear();
      const codes = [];
      for (const what of [() => lane.append('x', { durable: true }), () => lane.sync(), () => lane.close()]) {
        await what().catch((error) => codes.push(error.code));
      }
      say(codes);`,
  );
  assert.equal(await producer.says(), 'ready');
  faults.give('die-at-write');
  producer.tell('go');
  assert.deepEqual(await producer.says(), Array(3).fill('ERR_WAL_WORKER_DIED'));
  await assert.rejects(wal.close(), walError('ERR_WAL_WORKER_DIED'));
});

test('a failed sync ends the log for every lane', async (t) => {
  const faults = new Faults(t);
  const wal = await openLog(t, temporaryLog(t), { workerUrl: faults.workerUrl, onError: () => {} });
  const lane = await Wal.attach(wal.attachment());
  await lane.append('safe', { durable: true });
  faults.give('fail-sync', 'EIO');
  const failed = walError('ERR_WAL_SYNC_FAILED', { cause: 'EIO' });
  await assert.rejects(lane.append('x', { durable: true }), failed);
  assert.throws(() => lane.tryAppend('x'), failed);
  await assert.rejects(lane.sync(), failed);
  await assert.rejects(lane.close(), failed);
  await lane.close();
  await assert.rejects(wal.append('x'), failed);
  faults.recall('fail-sync');
  await assert.rejects(wal.close(), failed);
});

test('an attachment of a log that is closed meanwhile is refused with the reason', async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING });
  const attachment = wal.attachment();
  await wal.close();
  await assert.rejects(Wal.attach(attachment), CLOSED);
  assert.throws(() => wal.attachment(), CLOSED);
});

test('workers of workers have lanes, and a worker that ends leaves those of its children alone', async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING });
  const producer = new Producer(
    t,
    wal.attachment(),
    `
      const nested = lane.attachment();
      const child = new Worker(data.program, {
        eval: true,
        execArgv: [],
        workerData: { ...workerData, attachment: nested },
        transferList: nested.transferList,
      });
      await lane.append('parent', { durable: true });
      say((await once(child, 'message'))[0]);
      await once(child, 'exit');
      await lane.close();`,
    { program: programOf(`say(await lane.append('child', { durable: true })); await lane.close();`) },
  );
  assert.ok([1, 2].includes((await producer.says()) as number));
  await producer.ends();
  assert.deepEqual((await texts(wal.entries())).sort(), ['child', 'parent']);
  await until(() => wal.stats().lanes.open === 1);
  assert.equal(wal.stats().lanes.gone, 0);
});

test('threads of a piscina pool have lanes', async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING });
  const program = `
    export default async ({ module, attachment, n }) => {
      const { Wal } = await import(module);
      const lane = await Wal.attach(attachment);
      const lsn = await lane.append('job ' + n, { durable: true });
      await lane.close();
      return lsn;
    };`;
  const filename = join(temporaryDirectory(t), 'job.mjs');
  writeFileSync(filename, program);
  const pool = new Piscina({
    filename,
    maxThreads: 2,
    execArgv: [],
  });
  cleanUp(t, () => pool.destroy());
  const lsns = await Promise.all(
    range(1, 8).map((n) => {
      const attachment = wal.attachment();
      return pool.run(
        { module: moduleForThreads(), attachment, n },
        { transferList: attachment.transferList },
      );
    }),
  );
  assert.deepEqual(
    [...lsns].sort((a, b) => a - b),
    range(1, 8),
  );
  for (const [i, lsn] of lsns.entries())
    assert.equal(text((await wal.get(lsn))?.data ?? fill(0, 0)), `job ${i + 1}`);
  await until(() => wal.stats().lanes.open === 1);
});

test('a thread lives as long as a promise of its lane is pending, and no longer', async (t) => {
  const wal = await freshLog(t);
  const producer = new Producer(
    t,
    wal.attachment(),
    `
      lane.append('a', { durable: true }).then(() => say('durable'));
      lane.sync().then(() => say('synced'));`,
  );
  assert.deepEqual(new Set([await producer.says(), await producer.says()]), new Set(['durable', 'synced']));
  await producer.ends();
});

const EXIT_CODE = `
  import { Worker } from 'node:worker_threads';
  import { Wal } from '#ringwal';
  const wal = await Wal.open(process.argv[1], { syncInterval: 60000 });
  // Behind the log's own listener.
  process.on('exit', () => console.log('durable', wal.durableLsn));
  const attachment = wal.attachment();
  const worker = new Worker(process.argv[2], {
    eval: true,
    execArgv: [],
    workerData: { module: process.argv[3], attachment },
    transferList: attachment.transferList,
  });
  await new Promise((resolve) => worker.once('message', resolve));
`;

for (const [how, end] of [
  ['process.exit()', 'process.exit(0);'],
  ['an uncaught exception', "setImmediate(() => { throw new Error('as intended'); });"],
] as const) {
  test(`at ${how} of the opening thread what every lane had accepted is made durable`, async (t) => {
    const directory = temporaryLog(t);
    const child = new Child(t, EXIT_CODE + end, [
      directory,
      programOf(`
        for (let n = 1; n <= 1000; n++) while (!lane.tryAppend('lane ' + n)) ;
        say('done');
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);`),
      moduleForThreads(),
    ]);
    const { stdout, stderr } = await child.ended;
    assert.equal(stdout, 'durable 1000\n', stderr);
    const wal = await openLog(t, directory);
    assert.equal(inOrder(await texts(wal.entries())).get('lane'), 1000);
  });
}

test('the opening thread uses the memory of its lane again when it opens the next log', async (t) => {
  const directory = temporaryLog(t);
  const engine = (globalThis as unknown as { WebAssembly: { Memory: new (descriptor: object) => object } })
    .WebAssembly;
  const { Memory } = engine;
  let made = 0;
  cleanUp(t, () => {
    engine.Memory = Memory;
  });
  engine.Memory = class extends Memory {
    constructor(descriptor: object) {
      super(descriptor);
      made++;
    }
  };
  for (let n = 1; n <= 5; n++) {
    // A size that no other log of this file has.
    const wal = await openLog(t, directory, { ringSize: 2 * SMALL_RING });
    assert.equal(await wal.append(`entry ${n}`, { durable: true }), n);
    await wal.close();
    assert.deepEqual([wal.stats().ringUsed, wal.stats().accepted], [0, 1]);
  }
  assert.equal(made, 1);
  const wal = await openLog(t, directory);
  assert.deepEqual(await texts(wal.entries()), ['entry 1', 'entry 2', 'entry 3', 'entry 4', 'entry 5']);
});

test('a thread has log streams on its lane', async (t) => {
  const wal = await freshLog(t);
  const producer = new Producer(
    t,
    wal.attachment(),
    `
      const stream = lane.createLogStream();
      stream.write('one\\ntwo\\nth');
      stream.end('ree\\n');
      await once(stream, 'finish');
      await lane.close();`,
  );
  await producer.ends();
  assert.deepEqual(await texts(wal.entries()), ['one', 'two', 'three']);
});

test('ready() and sync() of a lane are abandoned by their signal', async (t) => {
  const faults = new Faults(t);
  const wal = await freshLog(t, { ringSize: SMALL_RING, workerUrl: faults.workerUrl });
  const lane = await Wal.attach(wal.attachment());
  faults.give('hold-write');
  while (lane.tryAppend(fill(1000, 1)));
  const reason = new Error('enough');
  for (const call of [
    (signal: AbortSignal) => lane.ready(1000, { signal }),
    (signal: AbortSignal) => lane.sync({ signal }),
  ]) {
    await assert.rejects(call(AbortSignal.abort(reason)), reason);
    const abort = new AbortController();
    const waiting = call(abort.signal);
    abort.abort(reason);
    await assert.rejects(waiting, reason);
  }
  faults.recall('hold-write');
  await lane.close();
});

test('errors of a lane are WalErrors', async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING });
  const lane = await Wal.attach(wal.attachment());
  const thrown = await lane.append(1 as unknown as string).catch((error) => error);
  assert.ok(thrown instanceof WalError);
  assert.throws(() => lane.flushSync(-1), OPTION);
  await assert.rejects(lane.ready(-1), OPTION);
  await lane.close();
  await assert.rejects(lane.append('x'), CLOSED);
});
