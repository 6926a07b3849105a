import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { Wal, type WalEntry } from '#ringwal';
import {
  Child,
  Faults,
  fill,
  freshLog,
  makeLog,
  openLog,
  range,
  runChild,
  temporaryLog,
  text,
  turn,
  walError,
} from '../support.js';

/** Takes `count` entries. */
async function take(entries: AsyncIterator<WalEntry>, count: number): Promise<string[]> {
  const found: string[] = [];
  while (found.length < count) {
    const { value, done } = await entries.next();
    if (done === true) break;
    found.push(text(value.data));
  }
  return found;
}

test('follow() yields what is there and what comes, durable, across rotations, without a gap', async (t) => {
  const wal = await freshLog(t, { maxFileSize: 4096, syncInterval: 5 });
  for (let i = 1; i <= 100; i++) await wal.append(`entry ${i}`.padEnd(60));
  const entries = wal.follow();
  const all: number[] = [];
  const reading = (async () => {
    for await (const { lsn, data } of entries) {
      assert.ok(lsn <= wal.durableLsn);
      assert.equal(text(data).trim(), `entry ${lsn}`);
      all.push(lsn);
      if (lsn === 1000) break;
    }
  })();
  for (let i = 101; i <= 1000; i++) {
    if (i % 3 > 0) wal.tryAppend(`entry ${i}`.padEnd(60));
    else await wal.append(`entry ${i}`.padEnd(60), { durable: i % 2 === 0 });
  }
  await reading;
  assert.deepEqual(all, range(1, 1000));
});

test('follow() waits for an entry that is far ahead, and on an empty log for the first', async (t) => {
  const wal = await freshLog(t);
  const first = wal.follow();
  const ahead = wal.follow({ from: 3 });
  const found = Promise.all([take(first, 2), take(ahead, 1)]);
  for (const each of ['a', 'b', 'c']) await wal.append(each, { durable: true });
  assert.deepEqual(await found, [['a', 'b'], ['c']]);
  await Promise.all([first.return?.(), ahead.return?.()]);
});

test('what is written and not durable is not handed out', async (t) => {
  const wal = await freshLog(t, { syncInterval: 60_000 });
  const entries = wal.follow();
  await wal.append('a');
  const next = entries.next();
  await wal.append('b');
  assert.equal(await Promise.race([next, new Promise((resolve) => setImmediate(resolve, 'waits'))]), 'waits');
  await wal.sync();
  assert.equal(text((await next).value?.data ?? fill(0, 0)), 'a');
  await entries.return?.();
});

test('many followers see the same, and each is woken', async (t) => {
  const wal = await freshLog(t, { syncInterval: 5 });
  const followers = Array.from({ length: 50 }, () => take(wal.follow(), 30));
  for (let i = 1; i <= 30; i++) await wal.append(String(i), { durable: i % 4 === 0 });
  for (const found of await Promise.all(followers)) assert.deepEqual(found, range(1, 30).map(String));
});

test('a follower ends when its log is closed, and rejects when its signal aborts', async (t) => {
  const wal = await freshLog(t);
  const abort = new AbortController();
  const waiting = wal.follow().next();
  const aborted = wal.follow({ signal: abort.signal }).next();
  abort.abort(new Error('enough'));
  await assert.rejects(aborted, /enough/);
  await wal.close();
  assert.deepEqual(await waiting, { value: undefined, done: true });
  assert.deepEqual(await wal.follow().next(), { value: undefined, done: true });
});

for (const [name, follow] of [
  ['follow()', (wal: Wal) => wal.follow({ from: 2 })],
  ['Wal.follow()', (wal: Wal) => Wal.follow(wal.directory, { from: 2 })],
] as const) {
  test(`${name} that waits is ended by return(), and as a Readable by destroy(), though nothing comes`, async (t) => {
    const wal = await freshLog(t, { durable: true });
    await wal.append('a');
    const entries = follow(wal);
    const next = entries.next();
    await turn();
    assert.deepEqual(await entries.return(), { value: undefined, done: true });
    assert.deepEqual(await next, { value: undefined, done: true });
    assert.deepEqual(await entries.next(), { value: undefined, done: true });

    const readable = Readable.from(follow(wal));
    const found = once(readable, 'data');
    await wal.append('b');
    assert.equal((await found)[0].lsn, 2);
    readable.destroy();
    await once(readable, 'close');

    const mine = new Error('mine');
    const thrown = follow(wal);
    const last = thrown.next();
    await wal.append('c');
    assert.equal((await last).value?.lsn, 2);
    await assert.rejects(thrown.throw(mine), mine);
  });
}

test('a follower whose log fails rejects with the failure', async (t) => {
  const faults = new Faults(t);
  const wal = await openLog(t, temporaryLog(t), { workerUrl: faults.workerUrl, onError: () => {} });
  const waiting = wal.follow().next();
  faults.give('fail-sync', 'EIO');
  const append = wal.append('lost', { durable: true });
  await assert.rejects(append, walError('ERR_WAL_SYNC_FAILED'));
  await assert.rejects(waiting, walError('ERR_WAL_SYNC_FAILED'));
  await assert.rejects(wal.follow().next(), walError('ERR_WAL_SYNC_FAILED'));
});

test('what a follower has open stays; one that comes for what is gone is told so', async (t) => {
  const wal = await freshLog(t, { maxFileSize: 4096 });
  const entries = wal.follow();
  for (let i = 1; i <= 40; i++) await wal.append(String(i).padEnd(500), { durable: true });
  assert.equal((await entries.next()).value?.lsn, 1);
  await wal.truncateBefore(30);
  assert.deepEqual([wal.firstLsn, wal.segments()[0]?.firstLsn], [30, 1]);
  for (let lsn = 2; lsn <= 40; lsn++) assert.equal((await entries.next()).value?.lsn, lsn);
  await entries.return?.();
  await wal.truncateBefore(30);
  assert.ok(Number(wal.segments()[0]?.firstLsn) > 1);
  await assert.rejects(wal.follow({ from: 1 }).next(), walError('ERR_WAL_PURGED', { lsn: 1 }));
});

test('a follower is told when what it has seen is cut off, and goes on when only what it has not is', async (t) => {
  const wal = await freshLog(t);
  for (let i = 1; i <= 10; i++) await wal.append(`old ${i}`, { durable: true });
  const ahead = wal.follow({ from: 9 });
  const behind = wal.follow({ from: 5 });
  assert.deepEqual(await take(ahead, 2), ['old 9', 'old 10']);
  assert.deepEqual(await take(behind, 2), ['old 5', 'old 6']);
  const told = assert.rejects(ahead.next(), walError('ERR_WAL_TRUNCATED'));
  await wal.truncateAfter(7);
  await told;
  await behind.return?.();
  const later = wal.follow({ from: 8 });
  const next = later.next();
  await wal.append('new 8', { durable: true });
  assert.equal(text((await next).value?.data ?? fill(0, 0)), 'new 8');
  await later.return?.();
});

test('a slow follower holds one chunk, and reading on it misses nothing', async (t) => {
  const wal = await freshLog(t, { maxFileSize: 64 * 1024 });
  const entries = wal.follow();
  let expected = 1;
  for (let round = 0; round < 20; round++) {
    for (let i = 0; i < 200; i++) while (!wal.tryAppend(fill(300, i))) await wal.ready(300);
    const { value } = await entries.next();
    assert.equal(value?.lsn, expected++);
  }
  await wal.sync();
  for (; expected <= 4000; expected++) assert.equal((await entries.next()).value?.lsn, expected);
  await entries.return?.();
});

test('waiting keeps the process alive unless it is told not to', async (t) => {
  const code = (options: string, comes: string) => `
    import { Wal } from '#ringwal';
    const wal = await Wal.open(process.argv[1]);
    ${comes}
    for await (const { lsn } of wal.follow(${options})) { console.log('got', lsn); break; }
    console.log('on');`;
  // After so many turns of the event loop, which nothing but the follower keeps going.
  const after = `
    const turn = (left) => left > 0 ? setTimeout(turn, 1, left - 1).unref() : wal.append('a', { durable: true });
    turn(50);`;
  const held = await runChild(t, code('', after), [temporaryLog(t)]);
  assert.deepEqual([held.code, held.stdout], [0, 'got 1\non\n'], held.stderr);
  const free = await runChild(t, code('{ ref: false }', ''), [temporaryLog(t)]);
  // 13: the top-level await never came to an end.
  assert.deepEqual([free.code, free.stdout], [13, ''], free.stderr);
});

test('options of follow() are checked', async (t) => {
  const wal = await freshLog(t);
  for (const options of [{ from: 0 }, { from: 1.5 }, { to: 3 }, { signal: 1 }, { ref: 1 }, null]) {
    await assert.rejects(wal.follow(options as never).next(), walError('ERR_WAL_OPTION'));
    await assert.rejects(Wal.follow(wal.directory, options as never).next(), walError('ERR_WAL_OPTION'));
  }
});

const WRITER = `
  import { Wal } from '#ringwal';
  const [directory, from, to] = process.argv.slice(1);
  const wal = await Wal.open(directory, { maxFileSize: 8192, syncInterval: 5 });
  for (let i = Number(from); i <= Number(to); i++) await wal.append(('entry ' + i).padEnd(50), { durable: i % 5 === 0 });
  await wal.sync();
  console.log('wrote');
  process.stdin.once('data', () => {});
`;

test('another process follows a log across rotations, a killed writer, a torn tail and a restart', async (t) => {
  const directory = temporaryLog(t);
  await makeLog(directory, ['entry 1']);
  const entries = Wal.follow(directory);
  const found: number[] = [];
  const reading = (async () => {
    for await (const { lsn, data } of entries) {
      assert.equal(text(data).trim(), `entry ${lsn}`);
      found.push(lsn);
      if (lsn === 900) break;
    }
  })();
  for (const [from, to] of [
    [2, 300],
    [301, 600],
    [601, 900],
  ]) {
    const child = new Child(t, WRITER, [directory, String(from), String(to)]);
    await child.says('wrote');
    // What the last of them made durable the files say once it has been idle for an interval, or the next writer.
    if (to === 900) await reading;
    child.process.kill('SIGKILL');
    await child.ended;
  }
  assert.deepEqual(found, range(1, 900));
});

test('Wal.follow of a directory that is not there is an error', async (t) => {
  await assert.rejects(Wal.follow(temporaryLog(t)).next(), walError('ERR_WAL_IO', { cause: 'ENOENT' }));
});

test('Wal.follow wakes for what the same process writes too, and ends by its signal', async (t) => {
  const wal = await freshLog(t, { syncInterval: 5 });
  await wal.append('a', { durable: true });
  const abort = new AbortController();
  const entries = Wal.follow(wal.directory, { signal: abort.signal });
  assert.deepEqual(await take(entries, 1), ['a']);
  const next = entries.next();
  await wal.append('b', { durable: true });
  assert.equal(text((await next).value?.data ?? fill(0, 0)), 'b');
  const last = entries.next();
  abort.abort();
  await assert.rejects(last, { name: 'AbortError' });
});
