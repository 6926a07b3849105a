import assert from 'node:assert/strict';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Wal } from '#ringwal';
import { cleanUp } from '../../cleanup.js';
import { SEED } from '../../seed.js';
import {
  collect,
  fill,
  freshLog,
  lsns,
  makeLog,
  openLog,
  openSegments,
  randomSource,
  range,
  segmentNames,
  temporaryLog,
  text,
  texts,
  walError,
} from '../support.js';

/** The integers from `last` down to `first`. */
const down = (last: number, first: number) => range(first, last).reverse();

test('entries({ reverse }) yields the newest first, from and to inclusive', async (t) => {
  const wal = await freshLog(t);
  for (let i = 1; i <= 20; i++) await wal.append(`entry ${i}`);
  assert.deepEqual(
    await texts(wal.entries({ reverse: true })),
    down(20, 1).map((i) => `entry ${i}`),
  );
  assert.deepEqual(await lsns(wal.entries({ reverse: true, from: 5 })), down(20, 5));
  assert.deepEqual(await lsns(wal.entries({ reverse: true, to: 5 })), down(5, 1));
  assert.deepEqual(await lsns(wal.entries({ reverse: true, from: 7, to: 7 })), [7]);
  assert.deepEqual(await lsns(wal.entries({ reverse: true, from: 8, to: 7 })), []);
  assert.deepEqual(await lsns(wal.entries({ reverse: true, from: 20, to: 1000 })), [20]);
  assert.deepEqual(await lsns(wal.entries({ reverse: true, from: 21 })), []);
  assert.deepEqual(await lsns(wal.entries({ reverse: false })), range(1, 20));
});

test('an empty log has no entries in reverse, and a log of one entry has one', async (t) => {
  const wal = await freshLog(t);
  assert.deepEqual(await collect(wal.entries({ reverse: true })), []);
  assert.deepEqual(await collect(wal.entries({ reverse: true, from: 5, to: 9 })), []);
  await wal.append('only');
  assert.deepEqual(await texts(wal.entries({ reverse: true })), ['only']);
});

test('reverse reading goes up to what was written at the call', async (t) => {
  const wal = await freshLog(t);
  await wal.append('a');
  const entries = wal.entries({ reverse: true });
  await wal.append('b');
  assert.deepEqual(await texts(entries), ['a']);
});

test('only entries() takes reverse, and only true or false', async (t) => {
  const wal = await freshLog(t);
  const batches = wal.batches as (options: object) => AsyncIterable<unknown>;
  await assert.rejects(
    collect(batches.call(wal, { reverse: true })),
    walError('ERR_WAL_OPTION', { message: /forward only/ }),
  );
  await assert.rejects(collect(wal.entries({ reverse: 1 as never })), walError('ERR_WAL_OPTION'));
  await assert.rejects(collect(wal.entries({ reversed: true } as never)), walError('ERR_WAL_OPTION'));
  await assert.rejects(collect(wal.entries({ reverse: true, from: 0 })), walError('ERR_WAL_OPTION'));
});

test(`reverse reading finds what forward reading finds, from anywhere to anywhere (seed ${SEED})`, async (t) => {
  const random = randomSource(SEED);
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory, { maxFileSize: 400 * 1024, ringSize: 64 * 1024 });
  const sizes = [0, 10, 100, 100, 100, 3000, 20_000, 40_000];
  const newEntry = () => fill(sizes[random(sizes.length)] as number, random(1000));
  for (let i = 0; i < 60; i++) {
    await Promise.all(Array.from({ length: 20 }, () => wal.append(newEntry())));
    await wal.appendBatch(Array.from({ length: 1 + random(20) }, newEntry));
  }
  assert.ok(segmentNames(directory).length > 5);
  const all = await collect(wal.entries());
  const check = async (log: { entries: Wal['entries'] }, from: number, to: number) => {
    const found = await collect(log.entries({ reverse: true, from, to }));
    assert.deepEqual(
      found.map(({ lsn }) => lsn),
      down(to, from),
    );
    for (const { lsn, data } of found) {
      assert.ok(Buffer.from(data).equals(all[lsn - 1]?.data ?? assert.fail()), `entry ${lsn}`);
    }
  };
  await check(wal, 1, all.length);
  for (let round = 0; round < 30; round++) {
    const from = 1 + random(all.length);
    await check(wal, from, Math.min(all.length, from + random(200)));
  }
  await wal.close();
  // Nothing is learned yet of where entries are.
  const reader = await Wal.open(directory, { readOnly: true });
  cleanUp(t, () => reader.close());
  await check(reader, 1, all.length);
  await check(reader, all.length - 3, all.length);
});

test('reverse reading holds a run of a segment, and not the segment', async (t) => {
  const wal = await freshLog(t, { maxFileSize: 64 * 1024 * 1024 });
  for (let i = 1; i <= 4000; i++) while (!wal.tryAppend(fill(1000, i))) await wal.ready(1000);
  await wal.sync();
  let next = 4000;
  const buffers = new Set<ArrayBufferLike>();
  for await (const { lsn, data } of wal.entries({ reverse: true })) {
    assert.equal(lsn, next--);
    buffers.add(data.buffer);
  }
  assert.equal(next, 0);
  for (const { byteLength } of buffers) assert.ok(byteLength < 512 * 1024, `${byteLength} bytes`);
});

test('breaking out of a reverse loop, or an error in it, closes the file', async (t) => {
  const wal = await freshLog(t, { maxFileSize: 8192 });
  for (let i = 1; i <= 2000; i++) while (!wal.tryAppend(`entry ${i}`)) await wal.ready();
  await wal.sync();
  const idle = openSegments(wal.directory).length;
  for await (const { lsn } of wal.entries({ reverse: true })) {
    assert.equal(openSegments(wal.directory).length, idle + 1);
    if (lsn === 700) break;
  }
  await assert.rejects(async () => {
    for await (const _ of wal.entries({ reverse: true })) throw new Error('mine');
  }, /mine/);
  await collect(wal.entries({ reverse: true, from: 1990 }));
  assert.equal(openSegments(wal.directory).length, idle);
});

test('a signal ends reverse reading with its reason, closing the log with ERR_WAL_CLOSED', async (t) => {
  const wal = await freshLog(t);
  for (let i = 1; i <= 30_000; i++) while (!wal.tryAppend(`entry ${i}`)) await wal.ready();
  await wal.sync();
  const reason = new Error('enough');
  await assert.rejects(collect(wal.entries({ reverse: true, signal: AbortSignal.abort(reason) })), reason);
  const abort = new AbortController();
  await assert.rejects(async () => {
    for await (const { lsn } of wal.entries({ reverse: true, signal: abort.signal })) {
      assert.ok(lsn > 1);
      if (lsn === 29_990) abort.abort(reason);
    }
  }, reason);
  await assert.rejects(async () => {
    for await (const { lsn } of wal.entries({ reverse: true })) {
      assert.ok(lsn > 1);
      if (lsn === 29_990) await wal.close();
    }
  }, walError('ERR_WAL_CLOSED'));
  await assert.rejects(collect(wal.entries({ reverse: true })), walError('ERR_WAL_CLOSED'));
  assert.deepEqual(openSegments(wal.directory), []);
});

test('reverse reading ends where retention has moved the start; who named an entry that went is told', async (t) => {
  const wal = await freshLog(t, { maxFileSize: 4096 });
  for (let i = 1; i <= 600; i++) await wal.append(`entry ${i}`);
  await wal.sync();
  const found: number[] = [];
  for await (const { lsn } of wal.entries({ reverse: true })) {
    found.push(lsn);
    if (lsn === 500) await wal.truncateBefore(250);
  }
  assert.ok(wal.firstLsn > 1 && wal.firstLsn <= 250);
  assert.deepEqual(found, down(600, wal.firstLsn));

  const from = wal.firstLsn;
  await assert.rejects(collect(wal.entries({ reverse: true, from: from - 1 })), walError('ERR_WAL_PURGED'));
  await assert.rejects(async () => {
    for await (const { lsn } of wal.entries({ reverse: true, from })) {
      if (lsn === 590) await wal.truncateBefore(500);
    }
  }, walError('ERR_WAL_PURGED'));
  assert.deepEqual(await lsns(wal.entries({ reverse: true, to: wal.firstLsn - 1 })), []);
});

test('a cut of what is still to come ends reverse reading, a cut of what was handed out does not', async (t) => {
  const wal = await freshLog(t, { maxFileSize: 4096 });
  for (let i = 1; i <= 600; i++) await wal.append(`entry ${i}`);
  const found: number[] = [];
  for await (const { lsn, data } of wal.entries({ reverse: true })) {
    found.push(lsn);
    assert.equal(text(data), `entry ${lsn}`);
    if (lsn !== 300) continue;
    await wal.truncateAfter(500);
    for (let i = 501; i <= 600; i++) await wal.append(`again ${i}`);
  }
  assert.deepEqual(found, down(600, 1));
  await assert.rejects(async () => {
    for await (const { lsn } of wal.entries({ reverse: true })) if (lsn === 590) await wal.truncateAfter(100);
  }, walError('ERR_WAL_TRUNCATED'));
});

test('LSNs that were skipped when a damaged log was saved are skipped in reverse too', async (t) => {
  const directory = temporaryLog(t);
  await makeLog(
    directory,
    range(1, 600).map((i) => `entry ${i}`),
    { maxFileSize: 4096 },
  );
  for (const [name, offset] of [
    ['wal-1', 2000],
    ['wal-2', 20],
    ['wal-3', 3900],
  ] as const) {
    const fd = openSync(join(directory, name), 'r+');
    writeSync(fd, Buffer.alloc(100, 0xff), 0, 100, offset);
    closeSync(fd);
  }
  const wal = await openLog(t, directory, { recovery: 'skip-corrupt' });
  const forward = await lsns(wal.entries());
  assert.ok(forward.length > 200 && forward.length < 600, `${forward.length} entries`);
  assert.deepEqual(await lsns(wal.entries({ reverse: true })), forward.toReversed());
  // Ends of the range within what was skipped.
  for (const lsn of range(1, 600)) {
    const from = Math.max(1, lsn - 2);
    assert.deepEqual(
      await lsns(wal.entries({ reverse: true, from, to: lsn })),
      forward.filter((each) => each >= from && each <= lsn).reverse(),
      `to ${lsn}`,
    );
  }
});

test('damage in a segment ends reverse reading with ERR_WAL_CORRUPT, after the segments above it', async (t) => {
  const wal = await freshLog(t, { maxFileSize: 4096 });
  for (let i = 1; i <= 600; i++) await wal.append(`entry ${i}`);
  const second = wal.segments()[1] ?? assert.fail();
  const fd = openSync(second.path, 'r+');
  writeSync(fd, Buffer.from([0xff]), 0, 1, 200);
  closeSync(fd);
  const found: number[] = [];
  await assert.rejects(
    async () => {
      for await (const { lsn } of wal.entries({ reverse: true })) found.push(lsn);
    },
    walError('ERR_WAL_CORRUPT', { path: second.path }),
  );
  assert.deepEqual(found, down(600, second.lastLsn + 1));
  rmSync(second.path);
  await assert.rejects(
    collect(wal.entries({ reverse: true, to: second.lastLsn })),
    walError('ERR_WAL_IO', { cause: 'ENOENT', path: second.path }),
  );
});

test('entries({ reverse }) begins at the end that the log had at the call, and tells of a cut that came before its first read', async (t) => {
  const directory = temporaryLog(t);
  await makeLog(directory, range(1, 10).map(String));
  const wal = await openLog(t, directory);
  const view = await Wal.open(directory, { readOnly: true });
  cleanUp(t, () => view.close());
  const truncated = walError('ERR_WAL_TRUNCATED');
  for (const appended of [0, 7]) {
    while (wal.lastLsn < 10) await wal.append('again', { durable: true });
    const walks = [wal, view].map((log) => log.entries({ reverse: true }));
    await wal.truncateAfter(5);
    // These have LSNs that the walks are to return, and are not the entries that they had then.
    for (let count = 0; count < appended; count++) await wal.append('new', { durable: true });
    for (const walk of walks) await assert.rejects(collect(walk), truncated);
    const ofKept = wal.entries({ reverse: true, to: 5 });
    await wal.truncateAfter(5);
    assert.deepEqual(await lsns(ofKept), down(5, 1));
  }
});
