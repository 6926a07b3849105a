import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  type ChainContext,
  createChain,
  enterSegment,
  followFrame,
  validateFrame,
} from '../../src/format/chain.js';
import { createFrame, type FrameFault } from '../../src/format/frame.js';
import { parseFrame } from '../../src/format/frame-parser.js';
import { parseSegmentName } from '../../src/format/segment-name.js';
import { judge } from './log-builder.js';

const FIXTURES = join(import.meta.dirname, '../fixtures/walgo');

/** The segments of a sample in the order of their numbers. */
function sample(name: string): Uint8Array[] {
  return readdirSync(join(FIXTURES, name))
    .sort((a, b) => parseSegmentName(a)! - parseSegmentName(b)!)
    .map((file) => new Uint8Array(readFileSync(join(FIXTURES, name, file))));
}

/** The data of every valid frame, and what ended them. */
function readAll(segments: readonly Uint8Array[]): { data: Uint8Array[]; fault: FrameFault | undefined } {
  const chain: ChainContext = { ...createChain(undefined, 0), expectedLsn: 1 };
  const frame = createFrame();
  const data: Uint8Array[] = [];
  for (const [number, bytes] of segments.entries()) {
    enterSegment(chain, number);
    while (chain.fileOffset < bytes.length) {
      const at = chain.fileOffset;
      const fault = parseFrame(bytes, at, bytes.length, frame) ?? validateFrame(bytes, at, frame, chain);
      if (fault !== undefined) return { data, fault };
      assert.equal(frame.lsn, data.length + 1);
      data.push(bytes.subarray(frame.dataStart, frame.dataEnd));
      followFrame(chain, frame);
    }
  }
  return { data, fault: undefined };
}

/** Entry i of a sample, as its README says. */
function expected(i: number, length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, j) => (i * 31 + j * 7 + seed) & 0xff);
}

const SAMPLES = [
  { name: '01-small', count: 10, lengths: [16], seed: 1 },
  { name: '02-empty', count: 12, lengths: [0, 1, 0, 5], seed: 2 },
  { name: '05-rotation', count: 400, lengths: [100], seed: 5 },
];

for (const { name, count, lengths, seed } of SAMPLES) {
  test(`every entry of wal-go's ${name} reads back`, () => {
    const { data, fault } = readAll(sample(name));
    assert.equal(fault, undefined);
    assert.equal(data.length, count);
    assert.deepEqual(
      data,
      data.map((_, i) => expected(i, lengths[i % lengths.length], seed)),
    );
  });

  test(`wal-go's ${name} ends cleanly`, () => {
    const { row, firstLsn, lastLsn, watermark, hasWatermarks, logId, scannedFrom } = judge(sample(name));
    assert.deepEqual(
      { row, firstLsn, lastLsn, watermark, hasWatermarks, logId, scannedFrom },
      {
        row: 5,
        firstLsn: 1,
        lastLsn: count,
        watermark: 0,
        hasWatermarks: false,
        logId: undefined,
        scannedFrom: 0,
      },
    );
  });
}

test("wal-go's torn segment reads back up to the frame that is cut", () => {
  const { data, fault } = readAll(sample('torn'));
  assert.equal(fault, 'past-end');
  assert.equal(data.length, 9);
  assert.deepEqual(
    data,
    data.map((_, i) => expected(i, 16, 1)),
  );
  const { row, lastLsn, end, trouble } = judge(sample('torn'));
  assert.deepEqual({ row, lastLsn, end }, { row: 6, lastLsn: 9, end: { segment: 0, offset: 269 } });
  assert.deepEqual(trouble, { segment: 0, offset: 269, lsn: 10, reason: 'past-end' });
});

test("a flipped byte in the middle of wal-go's files is corruption, at the end it is a torn tail", () => {
  const segments = sample('05-rotation');
  segments[4] = segments[4].slice();
  segments[4][2000] ^= 1;
  assert.equal(judge(segments).row, 3);
  const last = sample('05-rotation');
  last[11][last[11].length - 20] ^= 1;
  assert.equal(judge(last).row, 6);
});

test("a missing segment of wal-go's is corruption", () => {
  const segments = sample('05-rotation');
  segments[4] = new Uint8Array(0);
  assert.equal(judge(segments).row, 3);
});
