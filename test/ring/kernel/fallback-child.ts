/**
 * Run by fallback.test.ts with and without `--jitless`: frames the same records with the kernel that the engine gets, and
 * prints which one it was, whether there is one for reading too, and what it wrote.
 */

import { createHash } from 'node:crypto';
import { encodeSegmentField } from '../../../src/format/encode.js';
import { frameChecksumSeed } from '../../../src/format/frame.js';
import { PlainFrames } from '../../../src/format/kernel/plain-frames.js';
import { createRun } from '../../../src/ring/kernel/kernel.js';
import { chooseKernel } from '../../../src/ring/kernel/wasm.js';
import { RING_START, SEGMENT_FIELD_START } from '../../../src/ring/layout.js';
import { createTestLane, type Item, layRecords } from './records.js';

const STAGING_BYTES = 2 ** 17;

const { memory, views } = createTestLane(2 ** 17, STAGING_BYTES);
const { u8, stagingStart } = views;
const entry = (length: number) => Uint8Array.from({ length }, (_, i) => i * 31 + length);
const singles: Item[] = Array.from({ length: 200 }, (_, length) => entry(length));
const records = layRecords(
  views,
  RING_START,
  [...singles, [entry(5), entry(0), entry(300)], entry(20_000)],
  true,
);
const field = encodeSegmentField({
  logId: 2n ** 63n + 5n,
  number: 9,
  createdMs: 1_700_000_000_000,
  recycled: true,
  branch: 2n ** 62n + 7n,
});
u8.set(field, SEGMENT_FIELD_START);

const run = createRun();
run.from = RING_START;
run.to = records.at(-1)!.end;
run.out = stagingStart;
run.outEnd = stagingStart + STAGING_BYTES;
run.lsn = 2 ** 40;
run.fileOffset = 2 ** 35;
run.checksumSeed = frameChecksumSeed(2n ** 63n + 5n, 9);
run.syncedLsn = 2 ** 39;
run.segmentFieldAt = SEGMENT_FIELD_START;
run.segmentFieldBytes = field.length;

const kernel = chooseKernel(memory, views);
kernel.frameRun(run);
const sha256 = createHash('sha256').update(u8.slice(run.out, run.outTo)).digest('hex');
const readingKernel = PlainFrames.create() !== undefined;
console.log(
  JSON.stringify({ kernel: kernel.name, readingKernel, entries: run.entries, stop: run.stop, sha256 }),
);
