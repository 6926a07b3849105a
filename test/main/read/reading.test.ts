import assert from 'node:assert/strict';
import { closeSync, openSync, rmSync, statSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Wal } from '#ringwal';
import { Random } from '../../../src/files/simulation/random.js';
import { seededTest } from '../../seed.js';
import {
  collect,
  fill,
  freshLog,
  lsns,
  openFiles,
  openSegments,
  range,
  segmentNames,
  text,
  texts,
  walError,
} from '../support.js';

async function logOf(t: Parameters<typeof freshLog>[0], count: number, options = {}): Promise<Wal> {
  const wal = await freshLog(t, options);
  for (let i = 1; i <= count; i++) while (!wal.tryAppend(`entry ${i}`)) await wal.ready();
  await wal.sync();
  return wal;
}

test('entries() yields LSNs and data in order, from and to inclusive', async (t) => {
  const wal = await logOf(t, 20);
  assert.deepEqual(
    await texts(wal.entries()),
    range(1, 20).map((i) => `entry ${i}`),
  );
  assert.deepEqual(await lsns(wal.entries({ from: 5 })), range(5, 20));
  assert.deepEqual(await lsns(wal.entries({ to: 5 })), range(1, 5));
  assert.deepEqual(await lsns(wal.entries({ from: 7, to: 7 })), [7]);
  assert.deepEqual(await lsns(wal.entries({ from: 8, to: 7 })), []);
  assert.deepEqual(await lsns(wal.entries({ from: 20, to: 1000 })), [20]);
  assert.deepEqual(await lsns(wal.entries({ from: 21 })), []);
  assert.deepEqual(
    await lsns(wal.entries({ from: undefined, to: undefined, signal: undefined })),
    range(1, 20),
  );
});

seededTest(
  'entries that end anywhere in a chunk, and are longer than one, are read whole',
  async (seed, t) => {
    const random = new Random(seed);
    const wal = await freshLog(t, { maxFileSize: 8 * 1024 * 1024 });
    // Short ones, about the room in front of a chunk, and about a chunk.
    const limits = [300, 300, 300, 40_000, 300_000];
    const sent: Buffer[] = [];
    for (let kind = 0; sent.length < 3_000; kind = random.below(limits.length)) {
      for (let run = random.below(limits[kind] > 300 ? 12 : 1_500); run >= 0; run--) {
        const data = Buffer.alloc(random.below(limits[kind]), random.below(256));
        sent.push(data);
        while (!wal.tryAppend(data)) await wal.ready(data.length);
      }
    }
    await wal.sync();
    const read = async (from: number) => {
      let lsn = from;
      for await (const entry of wal.entries({ from })) {
        assert.equal(entry.lsn, lsn);
        assert.ok(sent[lsn - 1].equals(entry.data), `entry ${lsn}`);
        lsn += 1;
      }
      assert.equal(lsn, sent.length + 1);
    };
    for (const from of [1, 1, 1 + random.below(sent.length)]) await read(from);
  },
);

test('batches() yields the same entries, many at a time', async (t) => {
  const wal = await logOf(t, 30_000);
  const batches = await collect(wal.batches());
  assert.ok(batches.length > 1 && batches.length < 300, `${batches.length} batches`);
  assert.ok(batches.every((batch) => batch.length > 0));
  assert.deepEqual(
    batches.flat().map(({ lsn }) => lsn),
    range(1, 30_000),
  );
  assert.deepEqual(
    (await collect(wal.batches({ from: 10, to: 29_000 }))).flat().map(({ data }) => text(data)),
    range(10, 29_000).map((i) => `entry ${i}`),
  );
});

test('get() finds an entry, and nothing above the last one', async (t) => {
  const wal = await logOf(t, 100, { maxFileSize: 4096 });
  for (const lsn of [1, 2, 50, 99, 100]) {
    const entry = await wal.get(lsn);
    assert.deepEqual([entry?.lsn, text(entry?.data ?? new Uint8Array())], [lsn, `entry ${lsn}`]);
  }
  assert.equal(await wal.get(101), undefined);
  assert.equal(await wal.get(Number.MAX_SAFE_INTEGER), undefined);
});

test('an empty log has no entries, and its LSNs are 0', async (t) => {
  const wal = await freshLog(t);
  assert.deepEqual([wal.firstLsn, wal.lastLsn, wal.durableLsn], [0, 0, 0]);
  assert.deepEqual(await collect(wal.entries()), []);
  assert.deepEqual(await collect(wal.entries({ from: 5, to: 9 })), []);
  assert.deepEqual(await collect(wal.batches()), []);
  assert.equal(await wal.get(1), undefined);
});

test('reading goes up to what was written when entries() was called', async (t) => {
  const wal = await logOf(t, 10);
  const entries = wal.entries();
  const batches = wal.batches();
  const bounded = wal.entries({ to: 15 });
  for (let i = 11; i <= 20; i++) await wal.append(`entry ${i}`);
  assert.deepEqual(await lsns(entries), range(1, 10));
  assert.deepEqual((await collect(batches)).flat().length, 10);
  assert.deepEqual(await lsns(bounded), range(1, 10));
  assert.deepEqual(await lsns(wal.entries()), range(1, 20));
});

test('reading while others append sees whole entries in order, and nothing later than the call', async (t) => {
  const wal = await logOf(t, 5000, { maxFileSize: 64 * 1024 });
  const last = wal.lastLsn;
  let next = 1;
  for await (const { lsn, data } of wal.entries()) {
    assert.equal(lsn, next++);
    assert.equal(text(data), `entry ${lsn}`);
    if (lsn % 10 === 0) wal.tryAppend(`entry ${wal.stats().accepted + 1}`);
  }
  assert.equal(next, last + 1);
  await wal.sync();
  assert.deepEqual(await lsns(wal.entries()), range(1, wal.lastLsn));
});

test('reading crosses segments, and large entries that stand alone in theirs', async (t) => {
  const wal = await freshLog(t, { maxFileSize: 4096 });
  const sizes = [100, 5000, 1, 0, 4000, 4000, 9000, 300_000, 20, 4096, 3000, 3000, 3000];
  for (const [at, size] of sizes.entries()) await wal.append(fill(size, at));
  assert.ok(segmentNames(wal.directory).length > 7);
  const found = await collect(wal.entries());
  assert.equal(found.length, sizes.length);
  for (const [at, { data }] of found.entries()) assert.ok(fill(sizes[at] as number, at).equals(data));
  for (let from = 1; from <= sizes.length; from++) {
    assert.deepEqual(await lsns(wal.entries({ from })), range(from, sizes.length));
    assert.deepEqual(await lsns(wal.entries({ to: from })), range(1, from));
  }
});

test('breaking out of a loop, or an error in it, closes the file', async (t) => {
  const wal = await logOf(t, 2000, { maxFileSize: 8192 });
  const idle = openSegments(wal.directory).sort();
  for await (const { lsn } of wal.entries()) {
    assert.equal(openSegments(wal.directory).length, idle.length + 1);
    if (lsn === 700) break;
  }
  for await (const _ of wal.batches()) break;
  await assert.rejects(async () => {
    for await (const _ of wal.entries()) throw new Error('mine');
  }, /mine/);
  await wal.get(900);
  await collect(wal.entries({ to: 100 }));
  assert.deepEqual(openSegments(wal.directory).sort(), idle);
});

test('a signal ends reading with its reason', async (t) => {
  const wal = await logOf(t, 30_000);
  const idle = openSegments(wal.directory).length;
  const reason = new Error('enough');
  await assert.rejects(collect(wal.entries({ signal: AbortSignal.abort(reason) })), reason);
  const abort = new AbortController();
  await assert.rejects(async () => {
    for await (const { lsn } of wal.entries({ signal: abort.signal })) {
      assert.ok(lsn < 30_000);
      if (lsn === 10) abort.abort(reason);
    }
  }, reason);
  assert.equal(openSegments(wal.directory).length, idle);
});

test('closing the log ends reading with ERR_WAL_CLOSED', async (t) => {
  const wal = await logOf(t, 30_000);
  const { directory } = wal;
  await assert.rejects(async () => {
    for await (const { lsn } of wal.entries()) {
      assert.ok(lsn < 30_000);
      if (lsn === 10) await wal.close();
    }
  }, walError('ERR_WAL_CLOSED'));
  await assert.rejects(collect(wal.entries()), walError('ERR_WAL_CLOSED'));
  await assert.rejects(collect(wal.batches()), walError('ERR_WAL_CLOSED'));
  await assert.rejects(wal.get(1), walError('ERR_WAL_CLOSED'));
  assert.deepEqual(openFiles(directory), []);
});

test('a segment that is damaged while the log is open is told from its end', async (t) => {
  const wal = await freshLog(t, { maxFileSize: 4096 });
  for (let i = 1; i <= 300; i++) await wal.append(`entry ${i}`);
  const second = wal.segments()[1] ?? assert.fail();
  const fd = openSync(second.path, 'r+');
  writeSync(fd, Buffer.from([0xff]), 0, 1, 200);
  closeSync(fd);
  const corrupt = walError('ERR_WAL_CORRUPT', { path: second.path });
  await assert.rejects(collect(wal.entries()), corrupt);
  assert.deepEqual(await lsns(wal.entries({ to: second.firstLsn - 1 })), range(1, second.firstLsn - 1));
  truncateSync(second.path, 150);
  await assert.rejects(collect(wal.entries({ from: second.firstLsn })), corrupt);
  rmSync(second.path);
  await assert.rejects(
    collect(wal.entries({ from: second.firstLsn })),
    walError('ERR_WAL_IO', { cause: 'ENOENT', path: second.path }),
  );
});

test('segments() lists files, sizes and LSNs of what is there', async (t) => {
  const wal = await logOf(t, 1000, { maxFileSize: 8192 });
  const segments = wal.segments();
  assert.deepEqual(
    segments.map(({ path }) => path),
    segmentNames(wal.directory).map((name) => join(wal.directory, name)),
  );
  let next = 1;
  for (const { number, path, firstLsn, lastLsn, bytes, createdMs } of segments) {
    assert.equal(path, join(wal.directory, `wal-${number}`));
    assert.equal(firstLsn, next);
    // The live one may have room ahead of its frames.
    if (lastLsn < 1000) assert.equal(statSync(path).size, bytes);
    else assert.ok(statSync(path).size >= bytes);
    assert.ok(createdMs > 1_600_000_000_000 && createdMs <= Date.now());
    assert.deepEqual(await lsns(Wal.readSegment(path)), range(firstLsn, lastLsn));
    next = lastLsn + 1;
  }
  assert.equal(next, 1001);
  await wal.close();
  for (const { path, bytes } of segments) assert.equal(statSync(path).size, bytes);
});
