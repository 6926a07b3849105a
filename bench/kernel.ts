/**
 * Framing and checksum of a drained run, ns per entry: what the kernels cost the writer thread.
 *
 *     npx tsx bench/kernel.ts            all sizes
 *     npx tsx bench/kernel.ts 100 1024   some
 *
 * protobufjs + crc-32 is what one would write without a kernel. A run fills a quarter of a megabyte, as the writer's
 * groups do; its first frame has the opening field 4. The fastest sample of a size counts, since others share the machine:
 * read it as a floor, not as a mean. Run from source, the two in TypeScript are slower than bundled (the reference by
 * about a fifth); the wasm kernel is the same.
 */

import { fileURLToPath } from 'node:url';
import CRC32 from 'crc-32';
import protobuf from 'protobufjs';
import { Bench } from 'tinybench';
import { createRun, type Kernel } from '../src/ring/kernel/kernel.js';
import { createReferenceKernel } from '../src/ring/kernel/reference.js';
import { createWasmKernel } from '../src/ring/kernel/wasm.js';
import {
  createLaneMemory,
  RECORD_HEADER_BYTES,
  RING_START,
  recordBytes,
  viewLane,
} from '../src/ring/layout.js';

const DEFAULT_SIZES = [16, 100, 1024, 4096];
const RUN_BYTES = 2 ** 18;
const STAGING_BYTES = 2 ** 20;
const FIRST_LSN = 1_000_000;

const memory = createLaneMemory(RUN_BYTES, STAGING_BYTES);
const views = viewLane(memory);
const { i32, u8, stagingStart } = views;

const schema = protobuf.loadSync(fileURLToPath(new URL('../proto/wal.proto', import.meta.url)));
const entryType = schema.lookupType('ringwal.WAL_Entry');
const lsnByte = new Uint8Array(1);

const sizes = process.argv.slice(2).map(Number);
const rows = [];
for (const entryBytes of sizes.length > 0 ? sizes : DEFAULT_SIZES) rows.push(await measure(entryBytes));
console.table(rows);

async function measure(entryBytes: number) {
  const entries = layRun(entryBytes);
  const bench = new Bench({ time: 500, warmupTime: 200, throws: true });
  bench.add('reference', frameByKernel(createReferenceKernel(views), entries, entryBytes));
  if (memory.memory !== undefined) {
    bench.add('wasm', frameByKernel(createWasmKernel(memory.memory), entries, entryBytes));
  }
  bench.add('protobufjs + crc-32', () => frameByProtobufjs(entries, entryBytes));
  await bench.run();

  const row: Record<string, number> = { 'entry bytes': entryBytes };
  for (const { name, result } of bench.tasks) {
    if (result.state === 'completed') row[`${name}, ns`] = Math.round((result.latency.min * 1e6) / entries);
  }
  return row;
}

/** Fills the ring with entries of pseudo-random bytes; returns how many. */
function layRun(entryBytes: number): number {
  const entries = Math.floor(RUN_BYTES / recordBytes(entryBytes));
  for (let entry = 0, at = RING_START; entry < entries; entry++, at += recordBytes(entryBytes)) {
    i32[at >> 2] = entryBytes;
    for (let i = 0; i < entryBytes; i++)
      u8[at + RECORD_HEADER_BYTES + i] = Math.imul(i ^ at, 0x9e3779b1) >>> 24;
  }
  return entries;
}

function frameByKernel(kernel: Kernel, entries: number, entryBytes: number): () => void {
  const run = createRun();
  run.from = RING_START;
  run.to = RING_START + entries * recordBytes(entryBytes);
  run.out = stagingStart;
  run.outEnd = stagingStart + STAGING_BYTES;
  run.lsn = FIRST_LSN;
  run.syncedLsn = FIRST_LSN - 1;
  return () => {
    kernel.frameRun(run);
    if (run.entries !== entries) throw new Error(`${run.entries} of ${entries} entries: ${run.stop}`);
  };
}

function frameByProtobufjs(entries: number, entryBytes: number): void {
  let out = stagingStart;
  for (let entry = 0, at = RING_START; entry < entries; entry++, at += recordBytes(entryBytes)) {
    const start = at + RECORD_HEADER_BYTES;
    const lsn = FIRST_LSN + entry;
    const data = u8.subarray(start, start + entryBytes);
    lsnByte[0] = lsn;
    const crc = CRC32.buf(lsnByte, CRC32.buf(data)) >>> 0;
    const frame = entryType.encode({ logSequenceNumber: lsn, data, CRC: crc }).finish();
    u8[out] = frame.length;
    u8[out + 1] = frame.length >>> 8;
    u8[out + 2] = frame.length >>> 16;
    u8[out + 3] = frame.length >>> 24;
    u8.set(frame, out + 4);
    out += 4 + frame.length;
  }
}
