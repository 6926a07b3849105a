import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Wal } from '#ringwal';
import {
  Faults,
  fill,
  freshLog,
  openLog,
  SMALL_RING,
  temporaryLog,
  text,
  texts,
  walError,
} from '../support.js';

const OPTION = walError('ERR_WAL_OPTION');

async function entriesOf(wal: Wal): Promise<string[]> {
  await wal.sync();
  return texts(wal.entries());
}

test('tryEncode() takes what the callback has written, in the order of the calls', async (t) => {
  const wal = await freshLog(t);
  wal.tryAppend('before');
  assert.equal(
    wal.tryEncode(100, (view) => {
      assert.equal(view.length, 100);
      return view.write('encoded');
    }),
    true,
  );
  assert.ok(wal.tryEncode(3, (view) => new TextEncoder().encodeInto('abc', view).written));
  assert.ok(wal.tryEncode(0, (view) => view.length));
  assert.ok(wal.tryEncode(50, () => 0));
  wal.tryAppend('after');
  assert.deepEqual(await entriesOf(wal), ['before', 'encoded', 'abc', '', '', 'after']);
  assert.equal(wal.stats().accepted, 6);
});

test('tryEncode() takes many entries of every length around the end of the ring', async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING });
  const expected: Buffer[] = [];
  for (let i = 0; i < 400; i++) {
    const data = fill((i * 97) % 3000, i);
    expected.push(data);
    while (!wal.tryEncode(data.length + (i % 50), (view) => data.copy(view)))
      await wal.ready(data.length + 50);
  }
  await wal.sync();
  let at = 0;
  for await (const entry of wal.entries()) assert.deepEqual(Buffer.from(entry.data), expected[at++]);
  assert.equal(at, expected.length);
});

test('tryEncode() takes an entry larger than a quarter of the ring', async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING });
  const data = fill(SMALL_RING, 1);
  let kept: Buffer | undefined;
  wal.tryAppend('before');
  assert.ok(
    wal.tryEncode(2 * SMALL_RING, (view) => {
      kept = view;
      return data.copy(view);
    }),
  );
  wal.tryAppend('after');
  assert.equal(kept?.length, 0, 'whoever kept the view has nothing in his hands');
  await wal.sync();
  assert.deepEqual(Buffer.from((await wal.get(2))?.data ?? []), data);
  assert.equal(text((await wal.get(3))?.data ?? Buffer.alloc(0)), 'after');
});

for (const maxLength of [100, SMALL_RING]) {
  test(`a callback that throws takes nothing, and its error is passed on (${maxLength} bytes)`, async (t) => {
    const wal = await freshLog(t, { ringSize: SMALL_RING });
    wal.tryAppend('before');
    const mine = new Error('mine');
    assert.throws(
      () =>
        wal.tryEncode(maxLength, (view) => {
          view.fill(0xff);
          throw mine;
        }),
      (error) => error === mine,
    );
    wal.tryAppend('after');
    assert.deepEqual(await entriesOf(wal), ['before', 'after']);
    assert.equal(wal.stats().accepted, 2);
  });

  test(`a callback that returns no number of bytes takes nothing (${maxLength} bytes)`, async (t) => {
    const wal = await freshLog(t, { ringSize: SMALL_RING });
    for (const bad of [-1, maxLength + 1, 1.5, Number.NaN, '3', 3n, undefined, null, {}]) {
      assert.throws(() => wal.tryEncode(maxLength, () => bad as number), OPTION);
    }
    // It would go on writing when the bytes are somebody else's.
    assert.throws(() => wal.tryEncode(maxLength, (async () => 3) as unknown as () => number), OPTION);
    wal.tryAppend('after');
    assert.deepEqual(await entriesOf(wal), ['after']);
  });

  test(`inside the callback the lane takes nothing else, and works on after it (${maxLength} bytes)`, async (t) => {
    const wal = await freshLog(t, { ringSize: SMALL_RING });
    const rejected: Promise<unknown>[] = [];
    assert.ok(
      wal.tryEncode(maxLength, (view) => {
        assert.throws(() => wal.tryAppend('x'), OPTION);
        assert.throws(() => wal.tryEncode(1, () => 1), OPTION);
        assert.throws(() => wal.flushSync(), OPTION);
        assert.throws(() => wal.attachment(), OPTION);
        rejected.push(wal.append('x'), wal.appendBatch(['x', 'y']), wal.sync(), wal.ready());
        // What only looks may.
        assert.equal(wal.stats().accepted, 0);
        wal.segments();
        return view.write('outer');
      }),
    );
    for (const each of rejected) await assert.rejects(each, OPTION);
    wal.tryAppend('after');
    assert.equal(await wal.append('awaited'), 3);
    assert.deepEqual(await entriesOf(wal), ['outer', 'after', 'awaited']);
  });
}

test('arguments that make no sense are refused before the callback is called', async (t) => {
  const wal = await freshLog(t, { maxEntrySize: 1000 });
  const never = () => assert.fail('it was called');
  for (const bad of [-1, 1.5, Number.NaN, '10', undefined, null, 2 ** 53]) {
    assert.throws(() => wal.tryEncode(bad as number, never), OPTION);
  }
  for (const bad of [undefined, null, 'x', {}]) {
    assert.throws(() => wal.tryEncode(10, bad as unknown as () => number), OPTION);
  }
  assert.throws(() => wal.tryEncode(1001, never), walError('ERR_WAL_TOO_LARGE'));
  assert.equal(wal.stats().accepted, 0);
});

test('a full ring is told by false, without calling the callback, and ready() says when there is room', async (t) => {
  const faults = new Faults(t);
  const wal = await openLog(t, temporaryLog(t), { ringSize: SMALL_RING, workerUrl: faults.workerUrl });
  faults.give('hold-write');
  let taken = 0;
  while (wal.tryEncode(1000, (view) => view.fill(1).length)) taken++;
  assert.equal(
    wal.tryEncode(1000, () => assert.fail('it was called')),
    false,
  );
  assert.equal(wal.stats().accepted, taken);
  faults.recall('hold-write');
  await wal.ready(1000);
  assert.ok(wal.tryEncode(1000, (view) => view.fill(2).length));
  await wal.sync();
  assert.equal(wal.lastLsn, taken + 1);
});

test('a callback that closes the log takes nothing', async (t) => {
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory);
  wal.tryAppend('before');
  let closing: Promise<void> | undefined;
  assert.throws(
    () =>
      wal.tryEncode(10, (view) => {
        closing = wal.close();
        return view.write('x');
      }),
    walError('ERR_WAL_CLOSED'),
  );
  await closing;
  assert.throws(() => wal.tryEncode(10, () => 1), walError('ERR_WAL_CLOSED'));
  const again = await openLog(t, directory);
  assert.deepEqual(await texts(again.entries()), ['before']);
});
