import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import zlib, { crc32 } from 'node:zlib';
import { type BlockFrame, decodeBlock } from '../../src/blocks/decode-block.js';
import { type Compression, compressRun } from '../../src/blocks/encode-block.js';
import { hasZstd } from '../../src/blocks/zstd.js';
import { CODEC, type Codec } from '../../src/format/block.js';
import { packRun } from '../../src/format/block-run.js';
import { concat, flip } from '../format/log-builder.js';

const needsZstd = { skip: hasZstd ? false : `Node ${process.versions.node} has no zstd` };

const COMPRESSIONS: readonly Compression[] = [
  { codec: 'lz4' },
  ...(hasZstd ? ([1, 3, 22] as const).map((level) => ({ codec: 'zstd' as const, level })) : []),
];

function json(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, at) =>
    Buffer.from(JSON.stringify({ time: 1_700_000_000_000 + at, user: `user-${at % 17}`, ok: at % 3 === 0 })),
  );
}

function frameOf(entries: number, rawBytes: number, codec: Codec, batchRemaining = 0): BlockFrame {
  return {
    batchRemaining,
    block: { entries, rawBytes, codec, keyHeaderBytes: 0, epoch: 0, counter: 0, continues: false },
  };
}

function entriesOf(decoded: ReturnType<typeof decodeBlock>): Uint8Array[] | string {
  if (typeof decoded === 'string') return decoded;
  const { run, bounds, more } = decoded;
  return Array.from(more, (_, at) => run.slice(bounds[2 * at], bounds[2 * at + 1]));
}

for (const compression of COMPRESSIONS) {
  const name = compression.codec === 'lz4' ? 'lz4' : `zstd, level ${compression.level}`;
  test(`${name}: a block gives back its entries, and refuses every other content`, () => {
    const entries = json(1000);
    const run = packRun(
      entries.map((data) => ({ data, more: false })),
      crc32,
    );
    const stored = compressRun(run, entries.length, compression, run.length);
    assert.ok(stored);
    assert.ok(stored.bytes.length < run.length / 3);
    const { codec } = stored;
    const data = stored.bytes.slice();
    const frame = frameOf(entries.length, run.length, codec);
    assert.deepEqual(
      entriesOf(decodeBlock(data, frame)),
      entries.map((each) => Uint8Array.from(each)),
    );
    for (let at = 0; at < data.length; at += 37)
      assert.equal(decodeBlock(flip(data, at, 1 << (at % 8)), frame), 'damaged');
    assert.equal(decodeBlock(concat([data, new Uint8Array(1)]), frame), 'damaged');
    assert.equal(decodeBlock(data.subarray(0, -1), frame), 'damaged');
    assert.equal(decodeBlock(data, frameOf(entries.length, run.length + 1, codec)), 'damaged');
    assert.equal(decodeBlock(data, frameOf(entries.length - 1, run.length, codec)), 'damaged');
    assert.equal(decodeBlock(data, frameOf(entries.length, run.length, codec, 1)), 'damaged');
  });

  test(`${name}: what does not become short enough is not compressed`, () => {
    const entries = json(100);
    const run = packRun(
      entries.map((data) => ({ data, more: false })),
      crc32,
    );
    const { length } = compressRun(run, entries.length, compression, run.length)?.bytes ?? [];
    assert.ok(compressRun(run, entries.length, compression, (length as number) + 300));
    assert.equal(compressRun(run, entries.length, compression, (length as number) - 1), undefined);
  });

  test(`${name}: a single entry of 60 MiB becomes a block that readers take`, () => {
    const data = new Uint8Array(60 * 1024 * 1024);
    const run = packRun([{ data, more: false }], crc32);
    const stored = compressRun(run, 1, compression, run.length);
    assert.ok(stored);
    // zstd would make it smaller than any reader takes.
    assert.equal(stored.codec, CODEC.lz4);
    const found = entriesOf(decodeBlock(stored.bytes.slice(), frameOf(1, run.length, stored.codec)));
    assert.ok(Buffer.from(found[0] as Uint8Array).equals(data));
  });
}

test('a stored run needs no codec', () => {
  const entries = json(3);
  const run = packRun(
    entries.map((data, at) => ({ data, more: at < 2 })),
    crc32,
  );
  const decoded = decodeBlock(run, frameOf(3, run.length, CODEC.stored));
  assert.ok(typeof decoded !== 'string');
  assert.deepEqual([...decoded.more], [1, 1, 0]);
});

test('zstd is named where this Node has none', { skip: hasZstd ? 'this Node has zstd' : false }, () => {
  assert.equal(decodeBlock(new Uint8Array(10), frameOf(1, 100, CODEC.zstd)), 'no-zstd');
});

describe('zstd frames that no writer makes', needsZstd, () => {
  const { zstdCompressSync, constants } = zlib as unknown as {
    zstdCompressSync: (bytes: Uint8Array, options?: object) => Uint8Array;
    constants: Record<string, number>;
  };
  const run = packRun(
    json(2000).map((data) => ({ data, more: false })),
    crc32,
  );
  const frame = frameOf(2000, run.length, CODEC.zstd);
  const compress = (params: Record<string, number>, bytes: Uint8Array = run) =>
    zstdCompressSync(bytes, {
      pledgedSrcSize: bytes.length,
      params: Object.fromEntries(Object.entries(params).map(([name, value]) => [constants[name], value])),
    });

  test('one with a checksum is taken', () => {
    assert.notEqual(decodeBlock(compress({ ZSTD_c_checksumFlag: 1 }), frame), 'damaged');
  });

  test('one without the size of its content is not', () => {
    assert.equal(decodeBlock(compress({ ZSTD_c_contentSizeFlag: 0 }), frame), 'damaged');
  });

  test('two that make up the run are not', () => {
    const halves = [run.subarray(0, 5000), run.subarray(5000)].map((half) => compress({}, half));
    assert.equal(decodeBlock(concat(halves), frame), 'damaged');
  });

  test('a window of 27 bits is refused before memory is taken for it', () => {
    const large = packRun([{ data: Buffer.concat(json(80_000)), more: false }], crc32);
    const wide = compress({ ZSTD_c_windowLog: 27, ZSTD_c_enableLongDistanceMatching: 1 }, large);
    const narrow = compress({ ZSTD_c_windowLog: 20 }, large);
    const single = frameOf(1, large.length, CODEC.zstd);
    assert.equal(decodeBlock(wide, single), 'damaged');
    assert.notEqual(decodeBlock(narrow, single), 'damaged');
  });
});
