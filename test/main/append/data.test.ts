import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EntryData, Wal } from '#ringwal';
import { collect, fill, freshLog, range, SMALL_RING, text } from '../support.js';

/** Appends `data` by every method, reads it back. */
async function everyWay(wal: Wal, data: EntryData): Promise<Buffer[]> {
  const first = await wal.append(data);
  await wal.append(data, { durable: true });
  assert.equal(wal.tryAppend(data), true);
  await wal.appendBatch([data, 'between', data], { durable: true });
  const lsn = wal.lastLsn;
  const found = await collect(wal.entries({ from: first }));
  assert.deepEqual(
    found.map((entry) => entry.lsn),
    range(first, lsn),
  );
  return found.map((entry) => Buffer.from(entry.data)).filter((bytes) => bytes.toString() !== 'between');
}

async function comesBackAs(wal: Wal, data: EntryData, expected: Uint8Array): Promise<void> {
  const found = await everyWay(wal, data);
  assert.equal(found.length, 5);
  for (const bytes of found)
    assert.ok(bytes.equals(expected), `${bytes.length} bytes for ${expected.length}`);
}

test('text is stored as UTF-8, lone surrogates as the replacement character', async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING });
  const cases = [
    '',
    'a',
    'äöü',
    '日本語',
    '😀😀',
    'a\u0000b',
    '\ud800',
    'x\udc00y',
    '\udc00\ud800',
    '\ufeffbom',
  ];
  for (const value of cases) await comesBackAs(wal, value, new TextEncoder().encode(value));
});

test('long text takes the ring or the way beside it, whatever its characters weigh', async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING });
  const quarter = SMALL_RING / 4;
  for (const character of ['a', 'ä', '語', '😀', '\ud800']) {
    const bytes = Buffer.byteLength(character);
    for (const length of [
      quarter - 16,
      quarter - 5,
      quarter - 4,
      quarter - 3,
      quarter,
      quarter + 9,
      SMALL_RING,
      3 * SMALL_RING,
    ]) {
      const value = character.repeat(Math.ceil(length / bytes));
      await comesBackAs(wal, value, new TextEncoder().encode(value));
    }
  }
});

test('every kind of view is stored as the bytes that it shows', async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING });
  const bytes = fill(64, 1);
  const own = new Uint8Array(bytes);
  const shared = new Uint8Array(new SharedArrayBuffer(64));
  shared.set(bytes);
  await comesBackAs(wal, bytes.subarray(3, 40), bytes.subarray(3, 40));
  await comesBackAs(wal, own.subarray(7), bytes.subarray(7));
  await comesBackAs(wal, shared.subarray(1, 63), bytes.subarray(1, 63));
  const views: ArrayBufferView[] = [
    new DataView(own.buffer, 5, 20),
    new Float64Array(own.buffer, 8, 3),
    new Uint8ClampedArray(own.buffer, 1, 9),
    new BigInt64Array(own.buffer, 16, 2),
    new Uint16Array(shared.buffer, 2, 5),
  ];
  for (const view of views) {
    await comesBackAs(
      wal,
      view as Uint8Array,
      new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice(),
    );
  }
});

test('a large view of shared or of any other memory comes back as it was', async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING });
  const shared = new Uint8Array(new SharedArrayBuffer(SMALL_RING * 2));
  shared.set(fill(shared.length, 2));
  await comesBackAs(wal, shared.subarray(9), Buffer.from(shared.subarray(9)));
  const floats = new Float64Array(SMALL_RING / 8).fill(Math.PI);
  await comesBackAs(wal, floats as unknown as Uint8Array, new Uint8Array(floats.buffer));
});

test('data is copied before the call returns', async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING });
  const taken: string[] = [];
  const calls: ((data: Uint8Array) => Promise<unknown> | boolean)[] = [
    (data) => wal.append(data),
    (data) => wal.append(data, { durable: true }),
    (data) => wal.tryAppend(data),
    (data) => wal.appendBatch([data, data]),
  ];
  const under = [];
  for (const length of [1, 8, 9, 100, 10_000, SMALL_RING / 4, SMALL_RING]) {
    for (const call of calls) {
      const data = fill(length, length);
      under.push(call(data));
      taken.push(...Array.from({ length: call === calls[3] ? 2 : 1 }, () => data.toString('base64')));
      data.fill(0xee);
      await under.at(-1);
    }
  }
  await wal.sync();
  const found = await collect(wal.entries());
  assert.deepEqual(
    found.map(({ data }) => Buffer.from(data).toString('base64')),
    taken,
  );
});

test('an entry may be empty', async (t) => {
  const wal = await freshLog(t);
  assert.equal(await wal.append(''), 1);
  assert.equal(await wal.append(new Uint8Array(0), { durable: true }), 2);
  assert.equal(wal.tryAppend(Buffer.alloc(0)), true);
  assert.deepEqual(await wal.appendBatch(['', '']), { first: 4, last: 5 });
  const found = await collect(wal.entries());
  assert.deepEqual(
    found.map(({ lsn, data }) => [lsn, text(data)]),
    range(1, 5).map((lsn) => [lsn, '']),
  );
});

test('entries of every size up to 300 bytes, and around a quarter of the ring, cross its end unharmed', async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING });
  const quarter = SMALL_RING / 4;
  const sizes = [
    ...range(0, 300),
    ...range(quarter - 40, quarter + 40),
    ...range(quarter - 40, quarter + 40).reverse(),
  ];
  for (const [at, size] of sizes.entries()) {
    const data = fill(size, at);
    while (!wal.tryAppend(data)) await wal.ready(size);
  }
  await wal.sync();
  let at = 0;
  for await (const { lsn, data } of wal.entries()) {
    assert.equal(lsn, at + 1);
    assert.ok(fill(sizes[at] as number, at).equals(data), `entry ${lsn} of ${sizes[at]} bytes`);
    at += 1;
  }
  assert.equal(at, sizes.length);
});

test('entries read are views of buffers that are never used again', async (t) => {
  const wal = await freshLog(t);
  for (let seed = 0; seed < 300; seed++) wal.tryAppend(fill(5000, seed));
  await wal.sync();
  const found = await collect(wal.entries());
  await collect(wal.entries());
  for (const { lsn, data } of found) assert.ok(fill(5000, lsn - 1).equals(data));
});
