import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EntryIterator } from '../../../src/main/read/entry-iterator.js';
import type { WalEntry } from '../../../src/main/read/segment-reader.js';

/** Batches of `sizes` entries, LSNs from 1; notes when the walk is over. */
function walk(sizes: readonly number[], failure?: Error) {
  const state = { isOver: false };
  async function* batches(): AsyncGenerator<WalEntry[], undefined, undefined> {
    try {
      let lsn = 1;
      for (const size of sizes) {
        await new Promise(setImmediate);
        yield Array.from({ length: size }, () => ({ lsn: lsn++, data: new Uint8Array() }));
      }
      if (failure !== undefined) throw failure;
    } finally {
      state.isOver = true;
    }
  }
  return { state, entries: new EntryIterator(batches()) };
}

/** What an async generator over the same batches answers. */
async function* flat(sizes: readonly number[]): AsyncGenerator<WalEntry, undefined, undefined> {
  let lsn = 1;
  for (const size of sizes) {
    for (let i = 0; i < size; i++) yield { lsn: lsn++, data: new Uint8Array() };
  }
  return undefined;
}

for (const sizes of [[], [1], [3, 0, 2], [0, 0, 4]]) {
  test(`calls that do not wait for each other are answered in their order, batches of ${sizes}`, async () => {
    const { entries } = walk(sizes);
    const model = flat(sizes);
    const calls = Array.from({ length: 8 }, () => entries.next());
    const expected = Array.from({ length: 8 }, () => model.next());
    assert.deepEqual(await Promise.all(calls), await Promise.all(expected));
  });
}

test('a call made when the batch has come does not overtake one that waited for it', async () => {
  const { entries } = walk([3, 3]);
  const order: (number | undefined)[] = [];
  const note = (result: IteratorResult<WalEntry>) => order.push(result.value?.lsn);
  const first = entries.next().then(async (result) => {
    note(result);
    await entries.next().then(note);
  });
  await Promise.all([first, entries.next().then(note), entries.next().then(note)]);
  assert.deepEqual(order, [1, 2, 3, 4]);
});

test('return() ends the walk over the batches, and every later call', async () => {
  const { entries, state } = walk([3, 3]);
  await entries.next();
  const [next, end] = await Promise.all([entries.next(), entries.return()]);
  assert.deepEqual([next.value?.lsn, end.done, state.isOver], [2, true, true]);
  assert.deepEqual(await entries.next(), { value: undefined, done: true });
});

test('throw() ends the walk and rejects with what was thrown', async () => {
  const { entries, state } = walk([3]);
  await entries.next();
  await assert.rejects(entries.throw(new Error('thrown')), /thrown/);
  assert.ok(state.isOver);
  assert.deepEqual(await entries.next(), { value: undefined, done: true });
});

test('a walk that fails rejects once, behind the entries before it', async () => {
  const { entries } = walk([2], new Error('broken'));
  const calls = [entries.next(), entries.next(), entries.next(), entries.next()];
  const settled = await Promise.allSettled(calls);
  assert.deepEqual(
    settled.map(({ status }) => status),
    ['fulfilled', 'fulfilled', 'rejected', 'fulfilled'],
  );
});

test('a loop that ends early ends the walk', async () => {
  const { entries, state } = walk([3, 3]);
  for await (const { lsn } of entries) if (lsn === 2) break;
  assert.ok(state.isOver);
});
