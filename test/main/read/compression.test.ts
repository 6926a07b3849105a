import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import zlib, { crc32 } from 'node:zlib';
import { Wal, type WalEntry, type WalOptions } from '#ringwal';
import { CODEC } from '../../../src/format/block.js';
import { packRun } from '../../../src/format/block-run.js';
import { temporaryDirectory } from '../../cleanup.js';
import { SEED } from '../../seed.js';
import { collect, lsns, openLog, randomSource, range, temporaryLog, until, walError } from '../support.js';
import { forgedLog, stored } from './forged-blocks.js';

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

// ── Logs that no writer writes ──────────────────────────────────────────────────────────────────────────────────

/** An LZ4 block of so many equal bytes; the least that a frame may claim for them. */
function bomb(bytes: number): Uint8Array {
  const length = bytes - 1 - 4 - 5;
  const rest = Math.floor((length - 15) / 255);
  return Buffer.concat([
    Buffer.from([0x1f, 0, 1, 0]),
    Buffer.alloc(rest, 255),
    Buffer.from([(length - 15) % 255, 0x50, 0, 0, 0, 0, 0]),
  ]);
}

describe('a run that lies, under checksums that match', () => {
  const lying = stored(['entry 2', 'entry 3']);
  lying.data[0] = 0x7f;
  const blocks = () => [stored(['a', 'b']), { ...lying, data: lying.data }, stored(['c', 'd'])];

  test('opens, since open needs neither key nor codec; reading it fails with its place', async (t) => {
    const directory = await forgedLog(t, blocks());
    const wal = await openLog(t, directory);
    assert.deepEqual([wal.recovery.verdict, wal.lastLsn], ['clean', 7]);
    const path = join(directory, 'wal-0');
    const refusal = walError('ERR_WAL_CORRUPT', {
      path,
      lsn: 4,
      message: /the content of its block is damaged/,
    });
    assert.deepEqual(await lsns(wal.entries({ to: 3 })), [1, 2, 3]);
    assert.deepEqual(await lsns(wal.entries({ from: 6 })), [6, 7]);
    await assert.rejects(collect(wal.entries()), refusal);
    await assert.rejects(wal.get(5), walError('ERR_WAL_CORRUPT'));
    await assert.rejects(collect(wal.entries({ reverse: true })), walError('ERR_WAL_CORRUPT'));
    await assert.rejects(
      wal.truncateAfter(4),
      walError('ERR_WAL_CORRUPT', { path, message: /cannot be read/ }),
    );
  });

  test('verify names it, and so does reading the segment alone', async (t) => {
    const directory = await forgedLog(t, blocks());
    const { verdict, trouble, lost, segments } = await Wal.verify(directory);
    assert.equal(verdict, 'corrupt');
    assert.deepEqual([trouble?.lsn, trouble?.reason], [4, 'the content of its block is damaged']);
    assert.deepEqual(lost, [{ first: 4, last: 5 }]);
    assert.equal(segments[0]?.lastLsn, 3);
    await assert.rejects(
      collect(Wal.readSegment(join(directory, 'wal-0'))),
      walError('ERR_WAL_CORRUPT', { lsn: 4 }),
    );
  });

  test('a repair ends the log before it, or keeps what stands around it', async (t) => {
    for (const [mode, kept] of [
      ['truncate', [1, 2, 3]],
      ['salvage', [1, 2, 3, 6, 7]],
    ] as const) {
      const directory = await forgedLog(t, blocks());
      const report = await Wal.repair(directory, { mode });
      assert.equal(report.verdict, 'corrupt');
      assert.equal((await Wal.verify(directory)).verdict, 'clean');
      const wal = await openLog(t, directory);
      assert.deepEqual(await lsns(wal.entries()), kept);
    }
  });
});

test('a sealed block, and a Block with a field that is not known, are unsupported and never cut', async (t) => {
  const sealed = stored(['secret']);
  const directory = await forgedLog(t, [
    {
      block: { ...sealed.block, epoch: 1, counter: 1 },
      data: Buffer.concat([sealed.data, Buffer.alloc(16)]),
    },
  ]);
  const before = readFileSync(join(directory, 'wal-0'));
  for (const recovery of ['strict', 'point-in-time', 'skip-corrupt'] as const)
    await assert.rejects(Wal.open(directory, { recovery }), walError('ERR_WAL_UNSUPPORTED'));
  assert.equal((await Wal.verify(directory)).verdict, 'unsupported');
  await assert.rejects(Wal.repair(directory), walError('ERR_WAL_UNSUPPORTED'));
  assert.deepEqual(readFileSync(join(directory, 'wal-0')), before);
});

test('a Block that claims more than its bytes can justify is no valid frame', async (t) => {
  const data = bomb(2 * 1024 * 1024);
  for (const block of [{ rawBytes: 64 * 1024 + 1024 * 100 + 1 }, { entries: 2, rawBytes: 1024 * 1024 + 1 }]) {
    const directory = await forgedLog(t, [
      { block, data: block.entries === 2 ? data : data.subarray(0, 100) },
    ]);
    const report = await Wal.verify(directory);
    assert.deepEqual([report.verdict, report.lastLsn], ['torn', 1]);
  }
});

test('a log of bombs is read in memory that does not grow with them', async (t) => {
  const rawBytes = 1024 * 1024;
  // One entry of a MiB less its length and checksum: the run of zeros is not what the checksum says, so it is never an entry.
  const lz4 = bomb(rawBytes);
  const lying = Array.from({ length: 200 }, () => ({ block: { rawBytes }, data: lz4 }));
  const directory = await forgedLog(t, lying);
  await assert.rejects(
    collect(Wal.readSegment(join(directory, 'wal-0'))),
    walError('ERR_WAL_CORRUPT', { lsn: 2 }),
  );

  // Honest ones: zeros, a thousandth of their size.
  const honest = await openLog(t, temporaryLog(t), { compression: 'lz4', maxFileSize: 1024 ** 3 });
  const zeros = new Uint8Array(100_000);
  for (let at = 0; at < 4000; at++) while (!honest.tryAppend(zeros)) await honest.ready();
  await honest.sync();
  const before = process.memoryUsage().arrayBuffers;
  let most = 0;
  let count = 0;
  for (const reverse of [false, true]) {
    for await (const { data } of honest.entries({ reverse })) {
      assert.equal(data.length, zeros.length);
      count += 1;
      if (count % 100 === 0) most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    }
  }
  assert.equal(count, 8000);
  // 400 MB went by. What the collector has not taken yet is a matter of its pace.
  assert.ok(most < 200 * 1024 * 1024, `${most} bytes`);
});

test('zstd: this Node reads it or names what it needs', async (t) => {
  const [text] = ['hello '.repeat(100)];
  const run = packRun([{ data: Buffer.from(text as string), more: false }], crc32);
  // Made by zstd 1.5.7 of that run.
  const frame = Buffer.from(ZSTD_OF_HELLO, 'hex');
  const directory = await forgedLog(t, [{ block: { codec: CODEC.zstd, rawBytes: run.length }, data: frame }]);
  const wal = await openLog(t, directory);
  assert.equal(wal.lastLsn, 2);
  if (hasZstd) {
    assert.equal(Buffer.from((await wal.get(2))?.data ?? []).toString(), text);
    assert.equal((await Wal.verify(directory)).verdict, 'clean');
    return;
  }
  const refusal = walError('ERR_WAL_UNSUPPORTED', { message: /zstd.*Node 22\.15/s });
  await assert.rejects(collect(wal.entries()), refusal);
  await assert.rejects(Wal.verify(directory), refusal);
  await assert.rejects(Wal.open(temporaryLog(t), { compression: 'zstd' }), refusal);
  await wal.close();
  // Nothing is lost: it opens, takes entries, and a repair leaves it alone.
  assert.equal((await Wal.repair(directory)).changedSegments.length, 0);
});

const ZSTD_OF_HELLO = '28b52ffd605e019d000060b00968656c6c6f203fd1f00501004f52152e';

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
  const files = readdirSync(directory);
  const wal = await openLog(t, directory, { compression: 'lz4' });
  const first = wal.lastLsn;
  const entries = await collect(wal.entries());
  await appendBlocks(wal);
  const found = await collect(wal.entries());
  assert.ok(first > 0 && found.length > entries.length);
  assert.deepEqual(found.slice(0, entries.length), entries);
  assert.ok(files.every((name) => statSync(join(directory, name)).size >= 0));
});
