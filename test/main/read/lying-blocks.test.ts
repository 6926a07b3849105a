import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import zlib, { crc32 } from 'node:zlib';
import { Wal } from '#ringwal';
import { CODEC } from '../../../src/format/block.js';
import { packRun } from '../../../src/format/block-run.js';
import { collect, lsns, openLog, temporaryLog, walError } from '../support.js';
import { forgedLog, stored } from './forged-blocks.js';

const hasZstd = 'zstdCompressSync' in zlib;

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
