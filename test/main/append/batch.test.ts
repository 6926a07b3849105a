import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  collect,
  fill,
  freshLog,
  lsns,
  openLog,
  range,
  SMALL_RING,
  temporaryLog,
  texts,
} from '../support.js';

test('a batch gets consecutive LSNs, whatever is appended around it', async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING });
  const [one, batch, two, durable] = await Promise.all([
    wal.append('one'),
    wal.appendBatch(['a', Buffer.from('b'), new Uint8Array([99])]),
    wal.append('two'),
    wal.appendBatch(['x', 'y'], { durable: true }),
  ]);
  assert.deepEqual([one, batch, two, durable], [1, { first: 2, last: 4 }, 5, { first: 6, last: 7 }]);
  assert.equal(wal.durableLsn, 7);
  assert.deepEqual(await texts(wal.entries()), ['one', 'a', 'b', 'c', 'two', 'x', 'y']);
  assert.deepEqual(await wal.appendBatch(['alone']), { first: 8, last: 8 });
});

test('batches of every shape come back whole', async (t) => {
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory, { ringSize: SMALL_RING, maxFileSize: 20_000 });
  const shapes: number[][] = [
    [0],
    [0, 0, 0],
    [16_376],
    [16_377],
    [16_376, 16_376, 16_376],
    [16_000, 16_000, 16_000, 16_000, 16_000],
    [1, 70_000, 1],
    range(1, 200),
    Array.from({ length: 3000 }, () => 10),
    Array.from({ length: 9000 }, () => 0),
    [30_000, 0, 30_000, 5],
  ];
  let next = 1;
  const sizes: number[] = [];
  for (let round = 0; round < 2; round++) {
    for (const shape of shapes) {
      const parts = shape.map((size, at) => fill(size, next + at));
      const { first, last } = await wal.appendBatch(parts, { durable: round === 1 });
      assert.deepEqual([first, last], [next, next + shape.length - 1]);
      for (const part of parts) part.fill(0);
      sizes.push(...shape);
      next = last + 1;
      wal.tryAppend('between');
      sizes.push(-1);
      next += 1;
    }
  }
  await wal.close();
  const again = await openLog(t, directory);
  assert.equal(again.recovery.verdict, 'clean');
  const found = await collect(again.entries());
  assert.equal(found.length, sizes.length);
  for (const { lsn, data } of found) {
    const size = sizes[lsn - 1] as number;
    const expected = size < 0 ? Buffer.from('between') : fill(size, lsn);
    if (!expected.equals(data)) assert.fail(`entry ${lsn}`);
  }
});

test('a batch may be larger than a segment and than the ring', async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING, maxFileSize: 4096 });
  await wal.append('before');
  const batch = await wal.appendBatch(
    range(2, 301).map((i) => fill(1000, i)),
    { durable: true },
  );
  assert.deepEqual(batch, { first: 2, last: 301 });
  assert.ok(wal.segments().length > 50);
  assert.equal(wal.durableLsn, 301);
  assert.deepEqual(await lsns(wal.entries()), range(1, 301));
});

test('a batch is read only when it is whole', async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING, maxFileSize: 30_000 });
  let isDone = false;
  const watching = (async () => {
    while (!isDone) {
      assert.equal(wal.lastLsn % 40, 0);
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  for (let round = 0; round < 20; round++)
    await wal.appendBatch(range(1, 40).map((i) => fill(round * 100, i)));
  isDone = true;
  await watching;
});
