import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import { Wal, type WalEntry } from '#ringwal';
import {
  collect,
  fill,
  freshLog,
  openLog,
  openSegments,
  range,
  temporaryLog,
  turn,
  until,
  walError,
} from '../support.js';

/** A log of `count` entries of 1,000 bytes, several chunks of a reader. */
async function largeLog(t: Parameters<typeof freshLog>[0], count = 3000): Promise<Wal> {
  const wal = await freshLog(t, { maxFileSize: 1024 * 1024 });
  for (let i = 1; i <= count; i++) while (!wal.tryAppend(fill(1000, i))) await wal.ready(1000);
  await wal.sync();
  return wal;
}

for (const reverse of [false, true]) {
  const name = reverse ? 'entries({ reverse: true })' : 'entries()';

  test(`Readable.from(${name}) goes through a pipeline, and reads no further than it is asked`, async (t) => {
    const wal = await largeLog(t);
    const source = wal.entries({ reverse });
    let asked = 0;
    const counted = {
      async *[Symbol.asyncIterator]() {
        for await (const entry of source) {
          asked += 1;
          yield entry;
        }
      },
    };
    const found: number[] = [];
    let release = () => {};
    const slow = new Writable({
      objectMode: true,
      highWaterMark: 4,
      write({ lsn }: WalEntry, _encoding, callback) {
        found.push(lsn);
        if (found.length === 10) release = callback;
        else callback();
      },
    });
    const piped = pipeline(Readable.from(counted, { highWaterMark: 4 }), slow);
    await until(() => found.length === 10);
    for (let turns = 0; turns < 20; turns++) await turn();
    assert.ok(asked <= 10 + 2 * 4 + 2, `${asked} entries were asked for`);
    release();
    await piped;
    const all = range(1, 3000);
    assert.deepEqual(found, reverse ? all.reverse() : all);
  });

  test(`a Readable of ${name} that is destroyed closes the file`, async (t) => {
    const wal = await largeLog(t);
    const idle = openSegments(wal.directory).length;
    const readable = Readable.from(wal.entries({ reverse }));
    for await (const _ of readable) break;
    await until(() => openSegments(wal.directory).length === idle);

    const failing = new Writable({
      objectMode: true,
      write: (_entry, _encoding, callback) => callback(new Error('mine')),
    });
    await assert.rejects(pipeline(Readable.from(wal.entries({ reverse })), failing), /mine/);
    await until(() => openSegments(wal.directory).length === idle);
  });

  test(`a Readable of ${name} ends with the reason of the signal, and with ERR_WAL_CLOSED when the log is closed`, async (t) => {
    const wal = await largeLog(t);
    const abort = new AbortController();
    const reason = new Error('enough');
    const aborted = Readable.from(wal.entries({ reverse, signal: abort.signal }));
    await once(aborted, 'readable');
    abort.abort(reason);
    await assert.rejects(collect(aborted), reason);
    const readable = Readable.from(wal.entries({ reverse }));
    await once(readable, 'readable');
    await wal.close();
    await assert.rejects(collect(readable), walError('ERR_WAL_CLOSED'));
    assert.deepEqual(openSegments(wal.directory), []);
  });
}

test('a log is copied into another by a pipeline of its entries', async (t) => {
  const wal = await largeLog(t);
  const copy = await openLog(t, temporaryLog(t));
  await pipeline(wal.entries(), async (entries) => {
    for await (const { data } of entries) while (!copy.tryAppend(data)) await copy.ready(data.length);
  });
  await copy.sync();
  assert.equal(copy.lastLsn, 3000);
  for await (const { lsn, data } of copy.entries()) assert.ok(fill(1000, lsn).equals(data));
});

test('every iterator of a log ends with a clear error, or its end, when the log is closed under it', async (t) => {
  const wal = await largeLog(t);
  const iterators = {
    entries: wal.entries(),
    reverse: wal.entries({ reverse: true }),
    batches: wal.batches(),
    follow: wal.follow(),
  };
  for (const iterator of Object.values(iterators)) {
    assert.equal((await (iterator as AsyncIterator<unknown>).next()).done, false);
  }
  const untouched = [wal.entries(), wal.entries({ reverse: true }), wal.batches()];
  await wal.close();
  for (const name of ['entries', 'reverse', 'batches'] as const) {
    await assert.rejects(collect<unknown>(iterators[name]), walError('ERR_WAL_CLOSED'), name);
    // It has ended: nothing more comes of it.
    assert.deepEqual(await (iterators[name] as AsyncIterator<unknown>).next(), {
      value: undefined,
      done: true,
    });
  }
  // A follower has what was read, and ends with its log.
  const rest = await collect(iterators.follow);
  assert.ok(rest.length < 3000);
  for (const iterator of untouched) {
    await assert.rejects(collect<unknown>(iterator), walError('ERR_WAL_CLOSED'));
  }
  assert.deepEqual(openSegments(wal.directory), []);
});

test('every call that takes a signal rejects with its reason, before and while it waits', async (t) => {
  const wal = await largeLog(t, 10);
  const reason = new Error('enough');
  const signal = AbortSignal.abort(reason);
  const calls: Record<string, (signal: AbortSignal) => Promise<unknown>> = {
    open: (given) => Wal.open(temporaryLog(t), { signal: given }),
    entries: (given) => collect(wal.entries({ signal: given })),
    reverse: (given) => collect(wal.entries({ reverse: true, signal: given })),
    batches: (given) => collect(wal.batches({ signal: given })),
    follow: (given) => collect(wal.follow({ signal: given })),
    'Wal.follow': (given) => collect(Wal.follow(wal.directory, { signal: given })),
    ready: (given) => wal.ready(0, { signal: given }),
    sync: (given) => wal.sync({ signal: given }),
  };
  for (const [name, call] of Object.entries(calls)) {
    await assert.rejects(call(signal), reason, name);
    await assert.rejects(call('now' as never), walError('ERR_WAL_OPTION'), name);
  }
  for (const follow of ['follow', 'Wal.follow']) {
    const abort = new AbortController();
    const waiting = calls[follow]?.(abort.signal) ?? assert.fail();
    await turn();
    abort.abort(reason);
    await assert.rejects(waiting, reason, follow);
  }
});
