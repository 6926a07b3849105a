import assert from 'node:assert/strict';
import { cpSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import zlib from 'node:zlib';
import { Wal, type WalEntry, type WalOptions } from '#ringwal';
import { temporaryDirectory } from '../../cleanup.js';
import { SEED } from '../../seed.js';
import { collect, lsns, openLog, randomSource, range, temporaryLog, until, walError } from '../support.js';

const hasZstd = 'zstdCompressSync' in zlib;
const COMPRESSIONS: readonly WalOptions['compression'][] = [
  'lz4',
  ...(hasZstd ? (['zstd', { codec: 'zstd', level: 1 }] as const) : []),
];

/** About what a service logs: 110 bytes. */
function line(id: number): string {
  const at = 1_700_000_000_000 + 17 * id;
  return JSON.stringify({
    at,
    user: `user-${(id * 7919) % 5000}`,
    path: `/items/${(id * 31) % 977}`,
    ok: id % 7 > 0,
  });
}

/** Entries of every kind: single ones, empty and large ones, batches that fit into a block and batches that do not. */
async function fillLog(wal: Wal): Promise<Buffer[]> {
  const expected: Buffer[] = [];
  const take = (data: string | Uint8Array) => {
    expected.push(Buffer.from(data));
    return data;
  };
  const lines = (count: number) => Array.from({ length: count }, () => take(line(expected.length)));
  for (const entry of lines(3000)) wal.append(entry).catch(() => {});
  await wal.appendBatch(lines(20));
  await wal.appendBatch(lines(5000));
  await wal.append(take(''));
  await wal.append(take('x'.repeat(300_000)));
  await wal.append(take('y'.repeat(6_000_000)));
  for (const entry of lines(2000)) while (!wal.tryAppend(entry)) await wal.ready();
  await wal.appendBatch(lines(100), { durable: true });
  // Nobody waits for this one: it gets the codec that was asked for.
  assert.ok(wal.tryAppend(take(Array.from({ length: 1000 }, (_, at) => line(at)).join(' '))));
  await wal.sync();
  return expected;
}

function assertEntries(found: readonly WalEntry[], expected: readonly Buffer[], firstLsn = 1): void {
  assert.deepEqual(
    found.map(({ lsn }) => lsn),
    range(firstLsn, firstLsn + expected.length - 1),
  );
  for (const [at, { data, lsn }] of found.entries())
    assert.ok((expected[at] as Buffer).equals(data), `entry ${lsn}`);
}

for (const compression of COMPRESSIONS) {
  const name = typeof compression === 'object' ? `${compression.codec}, level 1` : compression;

  test(`${name}: every way to read gives back what was appended (seed ${SEED})`, async (t) => {
    const directory = temporaryLog(t);
    const wal = await openLog(t, directory, { compression, maxFileSize: 64 * 1024 });
    const expected = await fillLog(wal);
    const { compression: figures, payloadBytes, segments } = wal.stats();
    assert.ok(figures.blocks > 5 && segments > 1);
    assert.ok(figures.storedBytes < figures.rawBytes / 3);
    assert.ok(figures.rawBytes > payloadBytes / 2);
    const readWith = async (log: Pick<Wal, 'entries' | 'batches' | 'get' | 'lastLsn'>) => {
      assertEntries(await collect(log.entries()), expected);
      assertEntries((await collect(log.batches())).flat(), expected);
      assertEntries((await collect(log.entries({ reverse: true }))).reverse(), expected);
      const below = randomSource(SEED);
      for (let turn = 0; turn < 300; turn++) {
        const lsn = 1 + below(expected.length);
        const entry = await log.get(lsn);
        assert.ok(entry && entry.lsn === lsn && (expected[lsn - 1] as Buffer).equals(entry.data), `${lsn}`);
      }
      for (let turn = 0; turn < 10; turn++) {
        const from = 1 + below(expected.length);
        const to = Math.min(expected.length, from + below(3000));
        assertEntries(await collect(log.entries({ from, to })), expected.slice(from - 1, to), from);
        const backwards = await collect(log.entries({ from, to, reverse: true }));
        assertEntries(backwards.reverse(), expected.slice(from - 1, to), from);
      }
    };
    await readWith(wal);
    const followed: WalEntry[] = [];
    for await (const entry of wal.follow({ from: 100 })) {
      followed.push(entry);
      if (entry.lsn === expected.length) break;
    }
    assertEntries(followed, expected.slice(99), 100);
    const outside: WalEntry[] = [];
    for await (const entry of Wal.follow(directory, { from: 8000 })) {
      outside.push(entry);
      if (entry.lsn === expected.length) break;
    }
    assertEntries(outside, expected.slice(7999), 8000);
    await wal.close();
    const reader = await Wal.open(directory, { readOnly: true });
    await readWith(reader);
    await reader.close();
    const bySegment: WalEntry[] = [];
    for (const segment of readdirSync(directory).filter((each) => each.startsWith('wal-')))
      for await (const entry of Wal.readSegment(join(directory, segment))) bySegment.push(entry);
    assertEntries(
      bySegment.sort((a, b) => a.lsn - b.lsn),
      expected,
    );
    const report = await Wal.verify(directory);
    assert.equal(report.verdict, 'clean');
    const codecs = new Set(report.segments.flatMap(({ blocks }) => blocks?.codecs ?? []));
    assert.ok(codecs.has(name === 'lz4' ? 'lz4' : 'zstd'));
    const again = await openLog(t, directory);
    assert.equal(again.recovery.verdict, 'clean');
    assert.equal(await again.append('plain'), expected.length + 1);
  });
}

/** Appends lines until some are in blocks, and syncs. */
async function appendBlocks(wal: Wal, count = 2000): Promise<void> {
  const before = wal.stats().compression.blocks;
  await until(async () => {
    for (let at = 0; at < count; at++) wal.append(line(wal.lastLsn + at)).catch(() => {});
    await wal.sync();
    return wal.stats().compression.blocks > before;
  });
}

async function logWithBlocks(
  t: TestContext,
  options: WalOptions = {},
): Promise<{ wal: Wal; directory: string }> {
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory, { compression: 'lz4', ...options });
  await wal.appendBatch(Array.from({ length: 500 }, (_, at) => line(at)));
  await appendBlocks(wal);
  return { wal, directory };
}

test('a decoded block that get keeps is not what a caller is given to write to', async (t) => {
  const { wal } = await logWithBlocks(t);
  await collect(wal.entries());
  for (let turn = 0; turn < 3; turn++) {
    const entry = await wal.get(300);
    assert.equal(Buffer.from(entry?.data ?? []).toString(), line(299));
    entry?.data.fill(0);
  }
});

test('get gives the new entry after a cut has given out its LSN again', async (t) => {
  const { wal } = await logWithBlocks(t);
  await collect(wal.entries());
  const lsn = wal.lastLsn - 3;
  assert.ok(await wal.get(lsn));
  await wal.truncateAfter(lsn - 1);
  assert.equal(await wal.get(lsn), undefined);
  await wal.appendBatch(Array.from({ length: 100 }, (_, at) => `another ${at} ${'z'.repeat(50)}`));
  await collect(wal.entries());
  assert.match(Buffer.from((await wal.get(lsn))?.data ?? []).toString(), /^another 0 z/);
});

test('truncateBefore and checkpoints may stand inside a block', async (t) => {
  const { wal } = await logWithBlocks(t);
  const last = wal.lastLsn;
  await wal.checkpoint(200);
  await wal.truncateBefore(250);
  assert.equal(wal.firstLsn, 250);
  assert.deepEqual(await lsns(wal.entries()), range(250, last));
  await assert.rejects(wal.get(249), walError('ERR_WAL_PURGED'));
});

test('a snapshot may stand inside a block, and stays valid after a cut in the same block', async (t) => {
  const { wal } = await logWithBlocks(t);
  const lsn = wal.lastLsn - 5;
  await wal.writeSnapshot(lsn, [Buffer.from('state')]);
  await wal.truncateAfter(lsn + 2);
  const replayed: number[] = [];
  const outcome = await wal.recover({
    load: async (stream) => {
      for await (const _ of stream);
    },
    apply: (batch) => {
      replayed.push(...batch.map((entry) => entry.lsn));
    },
  });
  assert.deepEqual([outcome.snapshotLsn, replayed], [lsn, [lsn + 1, lsn + 2]]);
});

test('a snapshot inside a batch of a block is refused', async (t) => {
  const { wal } = await logWithBlocks(t);
  await assert.rejects(
    wal.writeSnapshot(100, [Buffer.from('x')]),
    walError('ERR_WAL_OPTION', { message: /ends at 500/ }),
  );
});

test('a backup is restored up to any entry, also inside a block, and not to a part of a batch', async (t) => {
  const { wal, directory } = await logWithBlocks(t);
  const target = join(temporaryDirectory(t), 'backup');
  await wal.backup(target);
  assert.equal((await Wal.verifyBackup(target)).verdict, 'clean');
  const expected = await collect(wal.entries());
  for (const [lsn, end] of [
    [wal.lastLsn - 7, wal.lastLsn - 7],
    [501, 501],
    [500, 500],
    [wal.lastLsn, wal.lastLsn],
  ] as const) {
    const restored = join(temporaryDirectory(t), 'restored');
    const report = await Wal.restore([target], restored, { to: lsn });
    assert.equal(report.lastLsn, end);
    const log = await openLog(t, restored);
    assertEntries(
      await collect(log.entries()),
      expected.slice(0, end).map(({ data }) => Buffer.from(data)),
    );
    assert.equal((await Wal.verify(restored)).verdict, 'clean');
    assert.equal(await log.append('on'), end + 1);
  }
  await assert.rejects(
    Wal.restore([target], join(temporaryDirectory(t), 'part'), { to: 300 }),
    walError('ERR_WAL_PURGED'),
  );
  assert.ok(directory);
});

test('an incremental backup goes on after a backup that ended with a block', async (t) => {
  const { wal } = await logWithBlocks(t);
  const full = join(temporaryDirectory(t), 'full');
  const more = join(temporaryDirectory(t), 'more');
  await wal.backup(full);
  await appendBlocks(wal);
  await wal.backup(more, { since: full });
  const restored = join(temporaryDirectory(t), 'restored');
  assert.equal((await Wal.restore([full, more], restored)).lastLsn, wal.lastLsn);
  const log = await openLog(t, restored);
  assert.deepEqual(await lsns(log.entries()), range(1, wal.lastLsn));
});

test('retention removes segments of blocks, and readers go on', async (t) => {
  const { wal } = await logWithBlocks(t, { maxFileSize: 64 * 1024, maxFiles: 2 });
  for (let turn = 0; turn < 10; turn++) await appendBlocks(wal, 4000);
  assert.ok(wal.firstLsn > 1 && wal.segments().length <= 3);
  assert.deepEqual(await lsns(wal.entries()), range(wal.firstLsn, wal.lastLsn));
  assert.deepEqual((await lsns(wal.entries({ reverse: true }))).reverse(), range(wal.firstLsn, wal.lastLsn));
});

test('the option is checked', async (t) => {
  for (const compression of ['gzip', null, 5, {}, { codec: 'lz4', level: 1 }, { codec: 'lz4', x: 1 }])
    await assert.rejects(
      Wal.open(temporaryLog(t), { compression } as WalOptions),
      walError('ERR_WAL_OPTION'),
    );
  if (!hasZstd) return;
  for (const level of [0, 23, 1.5])
    await assert.rejects(
      Wal.open(temporaryLog(t), { compression: { codec: 'zstd', level } }),
      walError('ERR_WAL_OPTION'),
    );
});

test('a log of wal-go is followed by blocks', async (t) => {
  const directory = temporaryLog(t);
  cpSync(new URL('../../fixtures/walgo/05-rotation', import.meta.url), directory, { recursive: true });
  const wal = await openLog(t, directory, { compression: 'lz4' });
  const first = wal.lastLsn;
  const entries = await collect(wal.entries());
  await appendBlocks(wal);
  const found = await collect(wal.entries());
  assert.ok(first > 0 && found.length > entries.length);
  assert.deepEqual(found.slice(0, entries.length), entries);
  assert.equal((await Wal.verify(directory)).verdict, 'clean');
});
