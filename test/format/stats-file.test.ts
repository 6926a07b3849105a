import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { readBuckets, sinceReading } from '../../src/format/histogram-buckets.js';
import {
  COUNTERS,
  decodeStats,
  encodeStats,
  LANES_MAX,
  type PublishedStats,
  STATS_BYTES_MAX,
  type StatsCounter,
  type StatsToPublish,
} from '../../src/format/stats-file.js';
import { flip, hex } from './log-builder.js';
import { propertyTest } from './property.js';

function counters(of: (at: number) => number): Record<StatsCounter, number> {
  return Object.fromEntries(COUNTERS.map((name, at) => [name, of(at)])) as Record<StatsCounter, number>;
}

const STATS: PublishedStats = {
  logId: 0x8877_6655_4433_2211n,
  publishedMs: 0x0123_4567_89ab,
  uptimeMs: 61_000,
  pid: 4711,
  counters: counters((at) => at + 1),
  lanes: [
    {
      index: 3,
      ringBytes: 65_536,
      ringUsed: 96,
      waiting: 2,
      entries: 7,
      refused: 9,
      queued: 10,
      waits: 11,
      dropped: 12,
    },
  ],
  writeMicros: readBuckets(12, [{ below: 13, count: 1 }]),
  syncMicros: readBuckets(0, []),
  groupEntries: readBuckets(7, [
    { below: 4, count: 1 },
    { below: 5, count: 1 },
  ]),
};

// As the header of src/format/stats-file.ts draws them, with the CRC-32 of Python's zlib.
const BYTES = hex(`7277737461747300 01000000 2c010000 1122334455667788
  ab89674523010000 48ee000000000000 67120000 01000000
  0100000000000000 0200000000000000 0300000000000000 0400000000000000 0500000000000000 0600000000000000
  0700000000000000 0800000000000000 0900000000000000 0a00000000000000 0b00000000000000 0c00000000000000
  0d00000000000000 0e00000000000000 0f00000000000000 1000000000000000 1100000000000000
  03000000 00000100 60000000 02000000 0700000000000000
  09000000 0a000000 0b000000 0c000000
  0c00000000000000 01000000 0d000000 0100000000000000
  0000000000000000 00000000
  0700000000000000 02000000 04000000 0100000000000000 05000000 0100000000000000
  01cad3ea`);

/** `bytes` with others at `at` and a checksum that matches. */
function forge(at: number, replacement: string): Uint8Array {
  const forged = BYTES.slice();
  forged.set(hex(replacement), at);
  const end = forged.length - 4;
  new DataView(forged.buffer).setUint32(end, crc32(forged.subarray(0, end)), true);
  return forged;
}

function faultOf(bytes: Uint8Array): string | undefined {
  const stats = decodeStats(bytes);
  return 'fault' in stats ? stats.fault : undefined;
}

test('figures are written byte for byte as drawn, and read back', () => {
  assert.deepEqual(Buffer.from(encodeStats(STATS)).toString('hex'), Buffer.from(BYTES).toString('hex'));
  assert.deepEqual(decodeStats(BYTES), STATS);
});

test('what stands behind them, of longer ones before, does not count', () => {
  assert.deepEqual(decodeStats(Uint8Array.of(...BYTES, 1, 2, 3)), STATS);
});

test('figures that are cut or damaged anywhere are a fault', () => {
  for (let length = 0; length < BYTES.length; length++) assert.ok(faultOf(BYTES.subarray(0, length)));
  for (let at = 0; at < BYTES.length; at++) assert.ok(faultOf(flip(BYTES, at)), `byte ${at}`);
});

test('figures of which one half is newer than the other are a fault', () => {
  const newer = encodeStats({
    ...STATS,
    publishedMs: STATS.publishedMs + 1000,
    counters: counters(() => 99),
  });
  for (let at = 32; at < BYTES.length - 4; at += 8) {
    assert.ok(faultOf(Uint8Array.of(...newer.subarray(0, at), ...BYTES.subarray(at))), `torn at ${at}`);
  }
});

test('figures that say what no version writes are a fault, though their checksum matches', () => {
  const bucket = 184 + 40 + 12;
  assert.match(faultOf(forge(8, '02'))!, /version 2/);
  assert.match(faultOf(forge(12, 'ffffffff'))!, /length/);
  assert.match(faultOf(forge(12, '00000000'))!, /length/);
  assert.match(faultOf(forge(44, 'ffffffff'))!, /contradicts/);
  assert.match(faultOf(forge(44, '00000000'))!, /contradicts/);
  assert.match(faultOf(forge(48, 'ffffffffffffffff'))!, /out of range/);
  // More in the ring than it has room for.
  assert.match(faultOf(forge(184 + 8, '01000100'))!, /contradicts/);
  assert.match(faultOf(forge(bucket - 4, 'ffffffff'))!, /contradicts/);
  assert.match(faultOf(forge(bucket, '00000000'))!, /contradicts/);
  assert.match(faultOf(forge(bucket + 4, '0000000000000000'))!, /contradicts/);
  assert.match(faultOf(forge(bucket + 4, '0000000000002000'))!, /out of range/);
  // Buckets out of order.
  assert.match(faultOf(forge(bucket + 12 + 24 + 12, '04000000'))!, /contradicts/);
});

test('of more lanes than a log may have the first ones are published, and all are counted', () => {
  const lanes = Array.from({ length: LANES_MAX + 5 }, (_, index) => ({
    index,
    ringBytes: 64,
    ringUsed: 0,
    waiting: 0,
    entries: 0,
    refused: 0,
    queued: 0,
    waits: 0,
    dropped: 0,
  }));
  const bytes = encodeStats({ ...STATS, lanes });
  assert.ok(bytes.length <= STATS_BYTES_MAX);
  const stats = decodeStats(bytes);
  assert.ok('lanes' in stats && stats.lanes.length === LANES_MAX);
});

const uint32 = fc.nat({ max: 2 ** 32 - 1 });
const count = fc.integer({ min: 1, max: 2 ** 40 });
const histogram = fc
  .uniqueArray(fc.integer({ min: 1, max: 2 ** 31 }), { maxLength: 232 })
  .chain((belows) =>
    fc.tuple(
      fc.maxSafeNat(),
      fc.tuple(...belows.sort((a, b) => a - b).map((below) => count.map((n) => ({ below, count: n })))),
    ),
  )
  .map(([sum, buckets]) => readBuckets(sum, buckets));

propertyTest(
  'any figures read back',
  fc.property(
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    fc.maxSafeNat(),
    uint32,
    fc.array(
      fc.record(
        {
          index: uint32,
          ringUsed: fc.nat(100),
          waiting: uint32,
          entries: fc.maxSafeNat(),
          refused: uint32,
          queued: uint32,
          waits: uint32,
          dropped: uint32,
        },
        { noNullPrototype: true },
      ),
    ),
    fc.tuple(histogram, histogram, histogram),
    (logId, number, pid, lanes, [writeMicros, syncMicros, groupEntries]) => {
      const stats: StatsToPublish = {
        logId,
        publishedMs: number,
        uptimeMs: number,
        pid,
        counters: counters((at) => Math.max(0, number - at)),
        lanes: lanes.map((lane) => ({ ...lane, ringBytes: 2 ** 16 })),
        writeMicros,
        syncMicros,
        groupEntries,
      };
      assert.deepEqual(decodeStats(encodeStats(stats)), stats);
    },
  ),
);

propertyTest(
  'any bytes decode to a fault or to figures, never to an error',
  fc.property(fc.uint8Array({ maxLength: 400 }), fc.boolean(), (bytes, looksRight) => {
    const forged = bytes.slice();
    if (looksRight && forged.length >= 232) {
      forged.set(BYTES.subarray(0, 12));
      const view = new DataView(forged.buffer);
      view.setUint32(12, forged.length, true);
      view.setUint32(forged.length - 4, crc32(forged.subarray(0, -4)), true);
    }
    const stats = decodeStats(forged);
    assert.ok('fault' in stats || stats.lanes.every(({ ringUsed, ringBytes }) => ringUsed <= ringBytes));
  }),
);

test('the difference of two looks at a histogram is what was recorded between them', () => {
  const before = readBuckets(20, [
    { below: 4, count: 2 },
    { below: 9, count: 1 },
  ]);
  const now = readBuckets(140, [
    { below: 4, count: 2 },
    { below: 9, count: 4 },
    { below: 64, count: 1 },
  ]);
  const { buckets, count: gained, sum, p50, p99, max } = sinceReading(now, before);
  assert.deepEqual(buckets, [
    { below: 9, count: 3 },
    { below: 64, count: 1 },
  ]);
  assert.deepEqual([gained, sum, p50, p99, max], [4, 120, 8, 63, 63]);
  assert.deepEqual(sinceReading(now, now), readBuckets(0, []));
});

test('of a histogram that began anew the difference is all that it has now', () => {
  const before = readBuckets(200, [{ below: 4, count: 9 }]);
  const now = readBuckets(9, [{ below: 4, count: 3 }]);
  assert.deepEqual(sinceReading(now, before), now);
  assert.deepEqual(sinceReading(readBuckets(0, []), before), readBuckets(0, []));
});
