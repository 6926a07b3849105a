import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { indexRun } from '../../../src/format/block-run.js';
import { createPack, type Kernel, PACK_SLACK_BYTES, type Pack } from '../../../src/ring/kernel/kernel.js';
import { createReferenceKernel } from '../../../src/ring/kernel/reference.js';
import { createWasmKernel } from '../../../src/ring/kernel/wasm.js';
import { BATCH, RING_START } from '../../../src/ring/layout.js';
import { propertyTest } from '../../format/property.js';
import { createTestLane, type Item, type LaidRecord, layRecords } from './records.js';
import { scenarios } from './scenarios.js';

const STAGING_BYTES = 2 ** 20;
const UNTOUCHED = 0xa5;

const lane = createTestLane(2 ** 20, STAGING_BYTES);
const { views } = lane;
const { u8, i32, stagingStart } = views;
const kernels: readonly Kernel[] = [createReferenceKernel(views), createWasmKernel(lane.memory.memory!)];

const requests = fc.record({
  targetBytes: fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 40_000 })),
  maxEntries: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.constant(0x7fffffff)),
  /** After so many records the run ends, as at the end of the ring. */
  cut: fc.oneof(fc.nat(20), fc.constant(1000)),
});
type Request = typeof requests extends fc.Arbitrary<infer T> ? T : never;

interface PackedBlock {
  readonly entries: Uint8Array[];
  readonly more: boolean[];
  readonly runBytes: number;
  readonly continues: boolean;
  readonly batchRemaining: number;
}

/** Packs everything, one run after the other, as the writer does. */
function packAll(kernel: Kernel, records: readonly LaidRecord[], request: Request): PackedBlock[] {
  const blocks: PackedBlock[] = [];
  const pack = createPack();
  const end = records.at(-1)?.end ?? RING_START;
  const cutAt = records[request.cut]?.end ?? end;
  pack.from = RING_START;
  pack.out = stagingStart;
  pack.outEnd = stagingStart + 16_384 + PACK_SLACK_BYTES + 100_000;
  pack.targetBytes = request.targetBytes;
  pack.maxEntries = request.maxEntries;
  while (pack.from < end) {
    pack.to = pack.from < cutAt ? cutAt : end;
    // A run may have held only the word that begins the batch.
    const continues = pack.batchRemaining > 0 && (blocks.at(-1)?.batchRemaining ?? 0) > 0;
    u8.fill(UNTOUCHED, stagingStart, pack.outEnd + 64);
    kernel.packRun(pack);
    assert.ok(u8.subarray(pack.outEnd, pack.outEnd + 64).every((byte) => byte === UNTOUCHED));
    assert.ok(pack.consumedTo > pack.from);
    pack.from = pack.consumedTo;
    if (pack.entries > 0) blocks.push(take(pack, continues));
  }
  assert.equal(pack.batchRemaining, 0);
  return blocks;
}

function take({ out, outTo, entries, batchRemaining, payloadBytes }: Pack, continues: boolean): PackedBlock {
  const run = u8.slice(out, outTo);
  const block = { entries, rawBytes: run.length, continues };
  const index = indexRun(run, { block, batchRemaining }, crc32);
  assert.ok(index, 'what is packed is a run');
  const data = Array.from(index.more, (_, at) => run.slice(index.bounds[2 * at], index.bounds[2 * at + 1]));
  assert.equal(
    payloadBytes,
    data.reduce((sum, each) => sum + each.length, 0),
  );
  return {
    entries: data,
    more: [...index.more].map(Boolean),
    runBytes: run.length,
    continues,
    batchRemaining,
  };
}

/** The entries in order, and for each one how many of its batch follow. */
function expected(items: readonly Item[]): { data: Uint8Array; remaining: number }[] {
  return items.flatMap((item) =>
    item instanceof Uint8Array
      ? [{ data: item, remaining: 0 }]
      : item.map((data, at) => ({ data, remaining: item.length - 1 - at })),
  );
}

propertyTest(
  'both kernels pack any records alike, each into blocks that a reader takes, with every batch in them',
  fc.property(scenarios, requests, ({ items, wrap }, request) => {
    const records = layRecords(views, RING_START, items, wrap);
    const [blocks, others] = kernels.map((kernel) => packAll(kernel, records, request));
    assert.deepEqual(blocks, others);
    const all = expected(items);
    assert.deepEqual(
      blocks.flatMap(({ entries }) => entries),
      all.map(({ data }) => data),
    );
    let at = 0;
    for (const { entries, more, batchRemaining, continues, runBytes } of blocks) {
      assert.ok(runBytes <= request.targetBytes || entries.length === 1);
      assert.ok(entries.length <= request.maxEntries);
      assert.equal(continues, at > 0 && (all[at - 1]?.remaining ?? 0) > 0);
      for (const isMore of more) assert.equal(isMore, (all[at++]?.remaining ?? 0) > 0);
      assert.equal(batchRemaining, all[at - 1]?.remaining);
    }
  }),
  { numRuns: 2000 },
);

for (const kernel of kernels) {
  test(`${kernel.name}: a batch stays whole if it fits into a block, and otherwise has blocks of its own`, () => {
    const entry = (length: number) => new Uint8Array(length);
    const batch = [entry(30), entry(30), entry(30)];
    const pack = (targetBytes: number) =>
      packAll(kernel, layRecords(views, RING_START, [entry(50), batch, entry(10)]), {
        targetBytes,
        maxEntries: 0x7fffffff,
        cut: 1000,
      }).map(({ entries, batchRemaining }) => [entries.length, batchRemaining]);
    assert.deepEqual(pack(1000), [[5, 0]]);
    assert.deepEqual(pack(110), [
      [1, 0],
      [4, 0],
    ]);
    assert.deepEqual(pack(80), [
      [1, 0],
      [2, 1],
      [1, 0],
      [1, 0],
    ]);
  });

  test(`${kernel.name}: records that no producer has written are refused`, () => {
    const pack = createPack();
    const [{ end }] = layRecords(views, RING_START, [new Uint8Array(40)]) as [LaidRecord];
    Object.assign(pack, { from: RING_START, to: end - 8, out: stagingStart, outEnd: stagingStart + 1000 });
    assert.throws(() => kernel.packRun(pack), /invariant broken/);
    pack.to = end;
    for (const word of [-3, -77]) {
      i32[RING_START >> 2] = word;
      assert.throws(() => kernel.packRun(pack), /invariant broken/);
    }
    i32[RING_START >> 2] = BATCH;
    i32[(RING_START >> 2) + 1] = 0;
    assert.throws(() => kernel.packRun(pack), /invariant broken/);
    i32[(RING_START >> 2) + 1] = 2;
    pack.batchRemaining = 1;
    assert.throws(() => kernel.packRun(pack), /invariant broken/);
  });
}
