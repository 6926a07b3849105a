import { fileURLToPath } from 'node:url';
import CRC32 from 'crc-32';
import { createRun, type Kernel } from '../../src/ring/kernel/kernel.js';
import { createReferenceKernel } from '../../src/ring/kernel/reference.js';
import { createWasmKernel } from '../../src/ring/kernel/wasm.js';
import {
  createLaneMemory,
  type LaneMemory,
  type LaneViews,
  RECORD_HEADER_BYTES,
  RING_START,
  recordBytes,
  viewLane,
} from '../../src/ring/layout.js';
import type { Task, Workload } from '../workloads/workload.js';
import { timeFunction } from './time-function.js';

const RUN_BYTES = 2 ** 18;
const STAGING_BYTES = 2 ** 20;
const FIRST_LSN = 1_000_000;
const SCHEMA = fileURLToPath(new URL('../../proto/wal.proto', import.meta.url));

/** Framing and checksum of a drained run: the cost of the kernels to the writer thread. */
export const kernel: Workload = {
  name: 'kernel',
  title: 'Framing and checksum of a drained run',
  note:
    'tinybench, the fastest sample. A run fills a quarter of a megabyte; its first frame has ' +
    'the opening field 4. protobufjs + crc-32 is what one would write without a kernel.',
  metrics: ['entryNs'],
  contenders: ['wasm kernel', 'reference kernel', 'protobufjs + crc-32'],
  sizes: (scale) => (scale === 'quick' ? [100] : [16, 100, 1024, 4096, 65_536]),
  run: async ({ contender, entryBytes, scale }: Task) => {
    const memory = createLaneMemory(RUN_BYTES, STAGING_BYTES);
    const views = viewLane(memory);
    const entries = layRun(views, entryBytes);
    const way = await wayOf(contender, memory, views, entries, entryBytes);
    return timeFunction(way, entries, scale);
  },
};

async function wayOf(
  name: string,
  memory: LaneMemory,
  views: LaneViews,
  entries: number,
  entryBytes: number,
): Promise<() => void> {
  if (name === 'protobufjs + crc-32') return frameByProtobufjs(views, entries, entryBytes);
  if (name === 'reference kernel')
    return frameByKernel(createReferenceKernel(views), views, entries, entryBytes);
  if (memory.memory === undefined) throw new Error('this engine runs without WebAssembly');
  return frameByKernel(createWasmKernel(memory.memory), views, entries, entryBytes);
}

/** Fills the ring with entries of pseudo-random bytes; returns their number. */
function layRun({ i32, u8 }: LaneViews, entryBytes: number): number {
  const entries = Math.floor(RUN_BYTES / recordBytes(entryBytes));
  for (let entry = 0, at = RING_START; entry < entries; entry++, at += recordBytes(entryBytes)) {
    i32[at >> 2] = entryBytes;
    for (let i = 0; i < entryBytes; i++)
      u8[at + RECORD_HEADER_BYTES + i] = Math.imul(i ^ at, 0x9e3779b1) >>> 24;
  }
  return entries;
}

function frameByKernel(
  framer: Kernel,
  { stagingStart }: LaneViews,
  entries: number,
  entryBytes: number,
): () => void {
  const run = createRun();
  run.from = RING_START;
  run.to = RING_START + entries * recordBytes(entryBytes);
  run.out = stagingStart;
  run.outEnd = stagingStart + STAGING_BYTES;
  run.lsn = FIRST_LSN;
  run.syncedLsn = FIRST_LSN - 1;
  return () => {
    framer.frameRun(run);
    if (run.entries !== entries) throw new Error(`${run.entries} of ${entries} entries: ${run.stop}`);
  };
}

async function frameByProtobufjs(
  { u8, stagingStart }: LaneViews,
  entries: number,
  entryBytes: number,
): Promise<() => void> {
  const { default: protobuf } = await import('protobufjs');
  const entryType = protobuf.loadSync(SCHEMA).lookupType('ringwal.WAL_Entry');
  const lsnByte = new Uint8Array(1);
  return () => {
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
  };
}
