import assert from 'node:assert/strict';
import { rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Wal, type WalEntry, type WalReader } from '#ringwal';
import { cleanUp } from '../../cleanup.js';
import {
  Child,
  collect,
  fill,
  lsns,
  makeLog,
  openLog,
  range,
  segmentNames,
  temporaryLog,
  text,
  texts,
  walError,
} from '../support.js';

const TRUNCATED = walError('ERR_WAL_TRUNCATED');

async function openView(t: TestContext, directory: string): Promise<WalReader> {
  const view = await Wal.open(directory, { readOnly: true });
  cleanUp(t, () => view.close());
  return view;
}

/** Three entries for each segment. */
const SMALL = { maxFileSize: 4096 };

/** Entry `lsn` as round `round` wrote it: as long as every other. */
function entry(lsn: number, round: number): string {
  return `entry ${lsn} of round ${round}`.padEnd(1200, '.');
}

async function appendTo(wal: Wal, last: number, round: number): Promise<void> {
  for (let lsn = wal.lastLsn + 1; lsn <= last; lsn++)
    assert.equal(await wal.append(entry(lsn, round), { durable: true }), lsn);
}

test('a read-only log sees that another handle cut what it had seen, and what was written there since', async (t) => {
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory, SMALL);
  await appendTo(wal, 12, 1);
  const view = await openView(t, directory);
  assert.equal(view.lastLsn, 12);
  await wal.truncateAfter(5);
  assert.deepEqual([view.firstLsn, view.lastLsn], [1, 5]);
  assert.ok(view.durableLsn <= 5);
  assert.deepEqual(await lsns(view.entries()), range(1, 5));
  assert.equal(await view.get(6), undefined);
  assert.deepEqual(
    view.segments().map(({ number, firstLsn, lastLsn }) => [number, firstLsn, lastLsn]),
    [
      [0, 1, 3],
      [1, 4, 5],
    ],
  );
  await appendTo(wal, 20, 2);
  assert.equal(view.lastLsn, 20);
  assert.equal(text((await view.get(6))?.data ?? Buffer.alloc(0)), entry(6, 2));
  assert.deepEqual(
    await texts(view.entries({ from: 4 })),
    range(4, 20).map((lsn) => entry(lsn, lsn < 6 ? 1 : 2)),
  );
});

for (const last of [7, 12, 30]) {
  test(`a cut is noticed though nobody looked before the log reached entry ${last} again`, async (t) => {
    const directory = temporaryLog(t);
    const wal = await openLog(t, directory, SMALL);
    await appendTo(wal, 12, 1);
    const view = await openView(t, directory);
    const running = view.entries({ from: 1 });
    for (const lsn of range(1, 3)) assert.equal((await running.next()).value?.lsn, lsn);
    await wal.truncateAfter(5);
    await appendTo(wal, last, 2);
    // What it has at hand was read before the cut, or is not affected by it.
    await assert.rejects(
      async () => {
        for await (const { lsn, data } of running) assert.equal(text(data), entry(lsn, 1));
      },
      walError('ERR_WAL_TRUNCATED', { path: directory }),
    );
    assert.equal(view.lastLsn, last);
    assert.deepEqual(
      await texts(view.entries()),
      range(1, last).map((lsn) => entry(lsn, lsn < 6 ? 1 : 2)),
    );
  });
}

test('a cut is noticed though the last entry comes to stand where it was, the same', async (t) => {
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory);
  const appendAll = async (words: readonly string[]) => {
    for (const word of words) await wal.append(word.padEnd(100_000), { durable: true });
  };
  const found = async (entries: AsyncIterable<WalEntry>) => (await texts(entries)).map((each) => each.trim());
  await appendAll(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'end']);
  await wal.truncateAfter(6);
  await appendAll(['g', 'end']);
  const view = await openView(t, directory);
  const running = view.batches();
  assert.ok(((await running.next()).value?.length ?? 9) < 4);
  await wal.truncateAfter(6);
  await appendAll(['x', 'end']);
  assert.equal(view.lastLsn, 8);
  await assert.rejects(collect(running), TRUNCATED);
  assert.deepEqual(await found(view.entries()), ['a', 'b', 'c', 'd', 'e', 'f', 'x', 'end']);
});

test('a reader that wants nothing behind the cut is not disturbed by it', async (t) => {
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory, SMALL);
  await appendTo(wal, 12, 1);
  const view = await openView(t, directory);
  const running = view.entries({ from: 2, to: 5 });
  assert.equal((await running.next()).value?.lsn, 2);
  await wal.truncateAfter(5);
  assert.deepEqual(await lsns(running), [3, 4, 5]);
  await wal.truncateAfter(4);
  const again = view.entries({ from: 1, to: 5 });
  assert.deepEqual(await lsns(again), [1, 2, 3, 4]);
});

test('a reader is told of a cut that another process makes under it', async (t) => {
  const directory = temporaryLog(t);
  const child = new Child(
    t,
    `import { Wal } from '#ringwal';
    const wal = await Wal.open(process.argv[1]);
    const data = Buffer.alloc(1000, 'a');
    for (let i = 1; i < 2000; i++) wal.append(data).catch(() => {});
    await wal.append(data, { durable: true });
    console.log('written');
    process.stdin.once('data', async () => {
      await wal.truncateAfter(1500);
      for (let i = 1501; i < 2500; i++) wal.append(Buffer.alloc(1000, 'b')).catch(() => {});
      await wal.append(data, { durable: true });
      console.log('cut');
    });`,
    [directory],
  );
  await child.says('written');
  const view = await openView(t, directory);
  const running = view.batches();
  const first = await running.next();
  assert.ok((first.value?.length ?? 0) < 1500);
  child.process.stdin.write('go\n');
  await child.says('cut');
  await assert.rejects(async () => {
    for await (const batch of running) for (const { data } of batch) assert.equal(data[0], 'a'.charCodeAt(0));
  }, TRUNCATED);
  const found = await collect(view.entries());
  assert.equal(found.length, 2500);
  for (const { lsn, data } of found) {
    assert.equal(String.fromCharCode(data[0] ?? 0), lsn <= 1500 || lsn === 2500 ? 'a' : 'b', `entry ${lsn}`);
  }
});

test('many cuts, each after the other, are each noticed', async (t) => {
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory, SMALL);
  const view = await openView(t, directory);
  for (let round = 1; round <= 12; round++) {
    await appendTo(wal, 12 + (round % 3), round);
    if (round % 2 === 0) assert.equal(view.lastLsn, wal.lastLsn);
    const whole = await texts(wal.entries());
    assert.deepEqual(await texts(view.entries()), whole);
    await wal.truncateAfter(1 + ((round * 5) % 11));
    if (round % 3 === 0) assert.equal(view.lastLsn, wal.lastLsn);
  }
});

test('a log that a repair shortened is read as it is now', async (t) => {
  const directory = temporaryLog(t);
  await makeLog(
    directory,
    range(1, 12).map((seed) => fill(1200, seed)),
    SMALL,
  );
  const view = await openView(t, directory);
  const running = view.entries();
  assert.equal((await running.next()).value?.lsn, 1);
  truncateSync(join(directory, 'wal-2'), 2000);
  await Wal.repair(directory, { mode: 'truncate' });
  await assert.rejects(collect(running), TRUNCATED);
  assert.deepEqual(await lsns(view.entries()), range(1, 7));
  const wal = await openLog(t, directory);
  assert.equal(await wal.append('eight', { durable: true }), 8);
  assert.equal(text((await view.get(8))?.data ?? Buffer.alloc(0)), 'eight');
});

test('what somebody cut by hand is gone, and who was reading it is told', async (t) => {
  const directory = temporaryLog(t);
  await makeLog(
    directory,
    range(1, 12).map((seed) => fill(1200, seed)),
    SMALL,
  );
  const view = await openView(t, directory);
  const running = view.entries();
  assert.equal((await running.next()).value?.lsn, 1);
  truncateSync(join(directory, 'wal-3'), 0);
  await assert.rejects(collect(running), TRUNCATED);
  assert.equal(view.lastLsn, 9);
});

test('segments that somebody removed are ERR_WAL_PURGED to who asks for them, wherever they stood', async (t) => {
  const PURGED = walError('ERR_WAL_PURGED');
  const gone: readonly (readonly [readonly string[], readonly number[], readonly number[]])[] = [
    [['wal-0'], [1, 3], [4, 12]],
    [['wal-1'], [4, 6], [7, 12]],
    [['wal-3'], [10, 12], [1, 9]],
    [
      ['wal-0', 'wal-1'],
      [1, 6],
      [7, 12],
    ],
    [['wal-0', 'wal-1', 'wal-2', 'wal-3'], [1, 12], []],
  ];
  for (const [names, [firstGone = 0, lastGone = 0], [firstLeft = 0, lastLeft = 0]] of gone) {
    const directory = temporaryLog(t);
    await makeLog(
      directory,
      range(1, 12).map((seed) => fill(1200, seed)),
      SMALL,
    );
    const view = await openView(t, directory);
    for (const name of names) rmSync(join(directory, name));
    for (const lsn of range(firstGone, lastGone)) await assert.rejects(view.get(lsn), PURGED, `entry ${lsn}`);
    await assert.rejects(collect(view.entries({ from: firstGone })), PURGED);
    if (firstLeft === 0) {
      assert.deepEqual(segmentNames(directory), []);
      await assert.rejects(collect(view.entries()), PURGED);
      continue;
    }
    assert.deepEqual(await lsns(view.entries({ from: firstLeft, to: lastLeft })), range(firstLeft, lastLeft));
    if (firstGone === 1) assert.equal(view.firstLsn, firstLeft);
    else await assert.rejects(collect(view.entries()), PURGED);
  }
});

test('a log that somebody replaced by another is not read as that one, until it is opened again', async (t) => {
  const directory = temporaryLog(t);
  await makeLog(directory, ['a', 'b', 'c']);
  const view = await openView(t, directory);
  const running = view.batches();
  rmSync(directory, { recursive: true });
  assert.throws(() => view.lastLsn, walError('ERR_WAL_IO', { cause: 'ENOENT' }));
  await makeLog(directory, ['other', 'log']);
  const replaced = walError('ERR_WAL_IO', { cause: 'ENOENT', message: /replaced/ });
  await assert.rejects(collect(running), replaced);
  assert.throws(() => view.lastLsn, replaced);
  await assert.rejects(collect(view.entries()), replaced);
  assert.deepEqual(await texts((await openView(t, directory)).entries()), ['other', 'log']);
});
