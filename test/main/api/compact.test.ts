import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Wal } from '#ringwal';
import { cleanUp } from '../../cleanup.js';
import { collect, freshLog, lsns, openLog, range, snapshot, temporaryLog, walError } from '../support.js';

const SMALL = { maxFileSize: 8192 } as const;

/** A log of `count` entries of 100 bytes, each with its LSN in it. */
async function filled(t: Parameters<typeof freshLog>[0], count: number, options = {}): Promise<Wal> {
  const wal = await freshLog(t, { ...SMALL, ...options });
  for (let lsn = 1; lsn <= count; lsn++) {
    wal.tryAppend(dataOf(lsn));
    // Compressed, they would hardly fill a segment.
    if (lsn % 60 === 0) await wal.rotate();
  }
  await wal.sync();
  return wal;
}

function dataOf(lsn: number): string {
  return `entry ${lsn} `.padEnd(100, 'x');
}

const odd = (last: number) => range(1, last).filter((lsn) => lsn % 2 === 1);
const even = (last: number) => range(1, last).filter((lsn) => lsn % 2 === 0);

for (const compression of [undefined, 'lz4'] as const) {
  const kind = compression === undefined ? 'plain' : 'compressed';
  test(`compact drops every second entry of ${kind} segments, and the others stay as they are`, async (t) => {
    const wal = await filled(t, 1000, { compression });
    const before = wal.stats().segmentBytes;
    const report = await wal.compact({ drop: odd(1000), minGarbage: 0.4 });
    assert.ok(report.runs > 0 && report.entriesDropped > 100, JSON.stringify(report));
    const { segmentBytes, segments } = wal.stats();
    assert.equal(before - segmentBytes, report.bytesReclaimed);
    const entries = await collect(wal.entries());
    const kept = entries.map(({ lsn }) => lsn);
    const holder = wal.segments().at(-1)?.firstLsn ?? 0;
    assert.deepEqual(
      kept,
      range(1, 1000).filter((lsn) => lsn % 2 === 0 || kept.includes(lsn)),
    );
    assert.ok(kept.filter((lsn) => lsn % 2 === 1).every((lsn) => lsn >= holder || lsn > 1000 - 200));
    for (const { lsn, data } of entries) assert.equal(Buffer.from(data).toString(), dataOf(lsn));
    assert.equal(await wal.get(1), undefined);
    assert.equal(wal.firstLsn, 1);
    const reversed = await lsns(wal.entries({ reverse: true }));
    assert.deepEqual(reversed, [...kept].reverse());
    const again = await wal.compact({ drop: odd(1000), minGarbage: 0.4 });
    assert.equal(again.runs, 0);
    const { directory } = wal;
    assert.equal((await Wal.verify(directory)).verdict, 'clean');
    await wal.close();
    const reopened = await openLog(t, directory, SMALL);
    assert.equal(reopened.recovery.verdict, 'clean');
    assert.deepEqual(await lsns(reopened.entries()), kept);
    assert.equal(reopened.stats().segments, segments);
  });
}

test('readers, reverse readers, get and followers go on across a swap without a gap or a repeat', async (t) => {
  const wal = await filled(t, 2000);
  const { directory } = wal;
  const outside = await Wal.open(directory, { readOnly: true });
  cleanUp(t, () => outside.close());
  const drop = odd(1900);
  const walks = [wal, outside].flatMap((log) => [
    log.entries()[Symbol.asyncIterator](),
    log.entries({ reverse: true })[Symbol.asyncIterator](),
    log.follow()[Symbol.asyncIterator](),
  ]);
  const seen: number[][] = walks.map(() => []);
  const advance = async (at: number, count: number) => {
    for (let each = 0; each < count; each++) {
      const next = await walks[at]?.next();
      if (next === undefined || next.done) return;
      seen[at]?.push(next.value.lsn);
    }
  };
  await Promise.all(walks.map((_, at) => advance(at, 150)));
  for (const lsn of [3, 4, 777, 778]) assert.equal((await wal.get(lsn))?.lsn, lsn);
  const report = await wal.compact({ drop, minGarbage: 0 });
  assert.ok(report.entriesDropped > 500);
  for (const lsn of [3, 777]) assert.equal(await wal.get(lsn), undefined);
  for (const lsn of [4, 778]) assert.equal((await wal.get(lsn))?.lsn, lsn);
  assert.equal((await outside.get(778))?.lsn, 778);
  assert.equal(await outside.get(777), undefined);
  await Promise.all(walks.map((_, at) => advance(at, at % 3 === 2 ? 700 : 5000)));
  for (const [at, lsnsSeen] of seen.entries()) {
    const sorted = at % 3 === 1 ? [...lsnsSeen].reverse() : lsnsSeen;
    assert.deepEqual(
      sorted,
      [...new Set(sorted)].sort((one, other) => one - other),
      `walk ${at}`,
    );
    const [low, high] = [sorted[0] as number, sorted.at(-1) as number];
    const missing = even(2000).filter((lsn) => lsn >= low && lsn <= high && !sorted.includes(lsn));
    assert.deepEqual(missing, [], `walk ${at}`);
    if (at % 3 !== 2) assert.equal(high, 2000);
    if (at % 3 === 0) assert.equal(low, 1);
  }
  await Promise.all(walks.map((walk) => walk.return?.()));
});

test('erase leaves no byte of the entries in the directory, also of the newest ones, and says what is left', async (t) => {
  const wal = await freshLog(t, SMALL);
  for (let at = 1; at <= 300; at++) wal.tryAppend(at % 10 === 0 ? `secret-${at}-of-ann` : dataOf(at));
  wal.tryAppend('secret-last-of-ann');
  await wal.sync();
  const { directory } = wal;
  const ranges = [...range(1, 300).filter((lsn) => lsn % 10 === 0), 301];
  const receipt = await wal.erase(ranges);
  assert.deepEqual(receipt.remaining, []);
  assert.equal(receipt.entriesDropped, 31);
  assert.deepEqual([receipt.sideFiles, receipt.snapshots, receipt.archivedSegments], [[], [], []]);
  for (const name of readdirSync(directory)) {
    assert.ok(!readFileSync(join(directory, name)).includes('secret-'), name);
  }
  assert.equal(wal.lastLsn, 301);
  assert.equal(await wal.append('next', { durable: true }), 302);
  assert.deepEqual(await lsns(wal.entries()), [...range(1, 299).filter((lsn) => lsn % 10 !== 0), 302]);
  await wal.close();
  const again = await openLog(t, directory, SMALL);
  assert.equal(again.recovery.verdict, 'clean');
  assert.equal(again.lastLsn, 302);
});

test('erase of a whole log but for its last entry, which nothing else can stand for, keeps that one', async (t) => {
  const wal = await filled(t, 3);
  const receipt = await wal.erase([{ first: 1, last: 3 }]);
  assert.deepEqual(receipt.remaining, [{ first: 1, last: 3 }]);
  await wal.append('more', { durable: true });
  await wal.append('and more', { durable: true });
  assert.deepEqual((await wal.erase([{ first: 1, last: 3 }])).remaining, []);
  assert.deepEqual(await lsns(wal.entries()), [4, 5]);
});

test('compact refuses what is no set of LSNs, and changes nothing', async (t) => {
  const wal = await filled(t, 100);
  const before = snapshot(wal.directory);
  for (const drop of [undefined, 3, 'all', [0], [1.5], [{ first: 3, last: 2 }], [{ first: 1 }], ['1']]) {
    await assert.rejects(wal.compact({ drop } as never), walError('ERR_WAL_OPTION', { message: /drop/ }));
  }
  await assert.rejects(
    wal.compact({ drop: [1], minGarbage: 2 }),
    walError('ERR_WAL_OPTION', { message: /minGarbage/ }),
  );
  await assert.rejects(
    wal.compact({ drop: [1], upto: 2 } as never),
    walError('ERR_WAL_OPTION', { message: /upto/ }),
  );
  assert.deepEqual(snapshot(wal.directory), before);
});

test('a compaction ends with the reason of its signal, and leaves no file', async (t) => {
  const wal = await filled(t, 2000);
  const stop = new AbortController();
  const reason = new Error('enough');
  const compaction = wal.compact({
    drop: odd(2000),
    minGarbage: 0,
    maxBytesPerSecond: 20_000,
    signal: stop.signal,
    onProgress: () => stop.abort(reason),
  });
  await assert.rejects(compaction, reason);
  assert.ok(!readdirSync(wal.directory).includes('ringwal.compact.aside'));
  const { running, failed } = wal.stats().compactions;
  assert.deepEqual([running, failed], [0, 0]);
  assert.equal((await Wal.verify(wal.directory)).verdict, 'clean');
  // Where it stopped the next call goes on.
  await wal.compact({ drop: odd(2000), minGarbage: 0 });
  assert.equal((await Wal.verify(wal.directory)).verdict, 'clean');
});

test('closing the log ends a compaction, which leaves no file', async (t) => {
  const wal = await filled(t, 2000);
  const compaction = wal.compact({ drop: odd(2000), minGarbage: 0, maxBytesPerSecond: 20_000 });
  const ended = assert.rejects(compaction, walError('ERR_WAL_CLOSED'));
  await wal.close();
  await ended;
  assert.ok(!readdirSync(wal.directory).includes('ringwal.compact.aside'));
});

test('appends go on while the log is compacted again and again, and no entry is lost that nobody asked to drop', async (t) => {
  const wal = await filled(t, 200);
  const { directory } = wal;
  let last = 200;
  const appending = (async () => {
    for (let at = 0; at < 60; at++) {
      for (let each = 0; each < 40; each++) wal.tryAppend(dataOf(++last));
      await wal.sync();
    }
  })();
  while (wal.lastLsn < 2500) await wal.compact({ drop: odd(wal.durableLsn), minGarbage: 0 });
  await appending;
  await wal.compact({ drop: odd(last), minGarbage: 0 });
  const kept = await lsns(wal.entries());
  assert.deepEqual(
    even(last).filter((lsn) => !kept.includes(lsn)),
    [],
  );
  assert.equal((await Wal.verify(directory)).verdict, 'clean');
});

test('a backup, and one that continues it, of a compacted log hold the same entries', async (t) => {
  const wal = await filled(t, 1000);
  await wal.compact({ drop: odd(600), minGarbage: 0 });
  const [full, next, restored] = [temporaryLog(t), temporaryLog(t), temporaryLog(t)];
  const first = await wal.backup(full);
  for (let lsn = 1001; lsn <= 1500; lsn++) wal.tryAppend(dataOf(lsn));
  await wal.sync();
  const second = await wal.backup(next, { since: first });
  assert.equal((await Wal.verifyBackup(full)).verdict, 'clean');
  await Wal.restore([first, second], restored);
  const copy = await openLog(t, restored, SMALL);
  assert.deepEqual(await lsns(copy.entries()), await lsns(wal.entries()));
  for (let lsn = 1501; lsn <= 1600; lsn++) wal.tryAppend(dataOf(lsn));
  await wal.rotate();
  await wal.append('in the segment that stays', { durable: true });
  await wal.compact({ drop: odd(1600), minGarbage: 0 });
  await assert.rejects(
    wal.backup(temporaryLog(t), { since: second }),
    walError('ERR_WAL_OPTION', { message: /full backup/ }),
  );
});

test('a reader of another process whose last segment was sealed and compacted, or merged, goes on where it was', async (t) => {
  for (const segmentsLater of [1, 3]) {
    const wal = await freshLog(t, SMALL);
    for (let lsn = 1; lsn <= 30; lsn++) wal.tryAppend(dataOf(lsn));
    await wal.sync();
    const outside = await Wal.open(wal.directory, { readOnly: true });
    cleanUp(t, () => outside.close());
    const follower = outside.follow()[Symbol.asyncIterator]();
    for (let lsn = 1; lsn <= 29; lsn++) assert.equal((await follower.next()).value?.lsn, lsn);
    assert.equal(outside.lastLsn, 30);
    for (let segment = 0; segment < segmentsLater; segment++) {
      for (let each = 0; each < 20; each++) wal.tryAppend(dataOf(wal.lastLsn + 1));
      await wal.rotate();
    }
    const last = 30 + 20 * segmentsLater;
    await wal.append(dataOf(last + 1), { durable: true });
    // All of the earlier segments become one.
    await wal.compact({ drop: [...odd(28), ...range(31, last - 5)], minGarbage: 0 });
    assert.ok(wal.segments().length <= 2);
    assert.equal(outside.lastLsn, last + 1);
    const rest: number[] = [];
    while (rest.at(-1) !== last + 1) rest.push((await follower.next()).value?.lsn ?? -1);
    assert.deepEqual(
      rest,
      [30, ...range(last - 4, last + 1)].filter((lsn) => lsn > 29),
    );
    const now = await lsns(outside.entries());
    assert.deepEqual(now, [...even(28), 29, 30, ...range(last - 4, last + 1)]);
    assert.deepEqual(await lsns(outside.entries({ reverse: true })), [...now].reverse());
    assert.equal(await outside.get(31), undefined);
    await follower.return?.();
    await wal.close();
  }
});
