import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeSegmentField } from '../../../src/format/encode.js';
import { frameChecksumSeed, MAX_LSN } from '../../../src/format/frame.js';
import { createRun, type Kernel, type Run } from '../../../src/ring/kernel/kernel.js';
import { createReferenceKernel } from '../../../src/ring/kernel/reference.js';
import { chooseKernel, createWasmKernel } from '../../../src/ring/kernel/wasm.js';
import { BATCH, RING_START, SEGMENT_FIELD_START } from '../../../src/ring/layout.js';
import { SEED } from '../../seed.js';
import { type Encoder, encodeByFormat, encodeByProtobufjs, expectRun, type Stamps } from './model.js';
import { createTestLane, type Item, type LaidRecord, layRecords } from './records.js';
import { type Call, type Scenario, scenarios } from './scenarios.js';

const RING_BYTES = 2 ** 20;
const STAGING_BYTES = 2 ** 20;
const UNTOUCHED = 0xa5;

const lane = createTestLane(RING_BYTES, STAGING_BYTES);
const { views } = lane;
const { u8, stagingStart } = views;

const kernels: readonly Kernel[] = [createReferenceKernel(views), createWasmKernel(lane.memory.memory!)];
const encoders: readonly [string, Encoder][] = [
  ['src/format', encodeByFormat],
  ['protobufjs', encodeByProtobufjs],
];

const EVERYTHING: Call = {
  records: 100,
  maxEntries: 0x7fffffff,
  roomBytes: STAGING_BYTES,
  syncedLsn: 5,
  stamp: undefined,
};

for (const kernel of kernels) {
  for (const [encoderName, encode] of encoders) {
    test(`${kernel.name}: any records, cut into any calls, become the frames of ${encoderName} (seed ${SEED})`, () => {
      fc.assert(
        fc.property(scenarios, (scenario) => void frameScenario(kernel, scenario, encode)),
        { seed: SEED, numRuns: 400 },
      );
    });
  }

  test(`${kernel.name}: however little room there is, only whole frames are written and nothing behind them`, () => {
    const items = [bytes(3), [bytes(0), bytes(17), bytes(4)], bytes(130), bytes(1)];
    const scenario: Scenario = { ...plainScenario(items), lsn: 2 ** 21 - 2 };
    const roomMax = 400;
    const stamp = { createdMs: 1_700_000_000_000, recycled: true, branch: 2n ** 62n + 7n };
    for (let roomBytes = 0; roomBytes <= roomMax; roomBytes++) {
      frameScenario(
        kernel,
        { ...scenario, calls: [{ ...EVERYTHING, roomBytes, stamp }] },
        encodeByProtobufjs,
      );
    }
  });

  test(`${kernel.name}: a frame that ends exactly at outEnd is written`, () => {
    const items = [bytes(100)];
    const { length } = frameScenario(kernel, plainScenario(items), encodeByFormat);
    for (const [roomBytes, entries] of [
      [length, 1],
      [length - 1, 0],
    ] as const) {
      const run = startRun(layRecords(views, RING_START, items), { ...EVERYTHING, roomBytes });
      kernel.frameRun(run);
      assert.equal(run.entries, entries);
      assert.equal(run.stop, entries === 1 ? 'end' : 'out-full');
    }
  });

  test(`${kernel.name}: the longest frames find their room as exactly as short ones`, () => {
    for (const length of [0, 1, 127, 128, 16_384]) {
      for (const lsn of [1, MAX_LSN - 10]) {
        const scenario = { ...plainScenario([bytes(length)]), lsn };
        const plain = { ...EVERYTHING, syncedLsn: -1 };
        const frame = frameScenario(kernel, { ...scenario, calls: [plain] }, encodeByFormat);
        for (let roomBytes = Math.max(0, frame.length - 40); roomBytes <= frame.length + 10; roomBytes++) {
          frameScenario(kernel, { ...scenario, calls: [{ ...plain, roomBytes }] }, encodeByFormat);
        }
      }
    }
  });

  test(`${kernel.name}: a CRC of 0 is left out, and its bytes are not asked for`, () => {
    // CRC-32(9d 0a d9 6d) = 0; the last byte is the LSN's.
    const data = Uint8Array.of(0x9d, 0x0a, 0xd9);
    for (const syncedLsn of [-1, 0]) {
      const frame = frameScenario(
        kernel,
        { ...plainScenario([data]), lsn: 0x6d, calls: [{ ...EVERYTHING, syncedLsn }] },
        encodeByProtobufjs,
      );
      const plainBytes = 4 + 2 + 2 + data.length;
      assert.equal(frame.length, syncedLsn < 0 ? plainBytes : plainBytes + 2 + 5);
      const run = startRun(layRecords(views, RING_START, [data]), {
        ...EVERYTHING,
        syncedLsn,
        roomBytes: frame.length,
      });
      run.lsn = 0x6d;
      kernel.frameRun(run);
      assert.equal(run.entries, 1);
    }
  });

  test(`${kernel.name}: the last LSN and an empty entry are framed`, () => {
    const scenario = { ...plainScenario([bytes(0)]), lsn: MAX_LSN };
    frameScenario(
      kernel,
      { ...scenario, calls: [{ ...EVERYTHING, syncedLsn: MAX_LSN - 1 }] },
      encodeByProtobufjs,
    );
  });

  test(`${kernel.name}: a run of nothing answers an end`, () => {
    const run = startRun([], EVERYTHING);
    kernel.frameRun(run);
    assert.deepEqual(
      answer(run),
      answer({ ...createRun(), consumedTo: RING_START, outTo: run.out, wholeBatchOutTo: run.out }),
    );
  });

  test(`${kernel.name}: a batch that a call leaves unfinished is not counted as whole`, () => {
    const records = layRecords(views, RING_START, [bytes(8), [bytes(8), bytes(8), bytes(8)]]);
    const run = startRun(records, { ...EVERYTHING, maxEntries: 3 });
    kernel.frameRun(run);
    assert.deepEqual([run.entries, run.wholeBatchEntries, run.batchRemaining], [3, 1, 1]);
    const unfinished = run.outTo - run.wholeBatchOutTo;
    assert.ok(unfinished > 0);

    run.from = run.consumedTo;
    run.lsn += run.entries;
    kernel.frameRun(run);
    assert.deepEqual([run.entries, run.wholeBatchEntries, run.batchRemaining, run.stop], [1, 1, 0, 'end']);
    assert.equal(run.wholeBatchOutTo, run.outTo);
  });

  for (const [what, words] of [
    ['passes the end of the run', [9, 0]],
    ['claims 2^31 - 1 bytes', [0x7fffffff, 0]],
    ['is of no known kind', [-3, 1]],
    ['starts a batch of none', [BATCH, 0]],
    ['starts a batch inside a batch', [BATCH, 2, BATCH, 2]],
  ] as const) {
    test(`${kernel.name}: a record that ${what} is a broken invariant`, () => {
      views.i32.set(words, RING_START >> 2);
      const run = startRun([], EVERYTHING);
      run.to = run.from + words.length * 4;
      assert.throws(() => kernel.frameRun(run), /invariant broken: byte \d+ of the lane/);
    });
  }
}

test('both kernels frame entries of any length alike', () => {
  for (let length = 0; length <= 700; length++) {
    const items = [bytes(length)];
    const [reference, wasm] = kernels.map((kernel) =>
      frameScenario(kernel, plainScenario(items), encodeByFormat),
    );
    assert.deepEqual(wasm, reference);
  }
});

test('the wasm kernel is chosen where the lane has a wasm memory, the reference kernel elsewhere', () => {
  assert.equal(chooseKernel(lane.memory, views).name, 'wasm');
  assert.equal(chooseKernel({ buffer: lane.memory.buffer }, views).name, 'reference');
});

/** Frames a scenario call by call, holds every answer against the model, and returns all the frames. */
function frameScenario(kernel: Kernel, scenario: Scenario, encode: Encoder): Uint8Array {
  const records = layRecords(views, RING_START, scenario.items, scenario.wrap);
  const ring = u8.slice(RING_START, endOf(records));
  const written: Uint8Array[] = [];
  const run = createRun();
  run.lsn = scenario.lsn;
  run.fileOffset = scenario.fileOffset;
  run.checksumSeed = frameChecksumSeed(scenario.logId, scenario.segmentNumber);
  run.consumedTo = RING_START;

  for (let turn = 0; run.consumedTo < endOf(records); turn++) {
    const call = scenario.calls[turn] ?? EVERYTHING;
    const left = records.filter((record) => record.end > run.consumedTo);
    setCall(run, left.slice(0, call.records), run.consumedTo, call);
    const stamps: Stamps = {
      logId: scenario.logId,
      segmentNumber: scenario.segmentNumber,
      segment: call.stamp && { ...call.stamp, logId: scenario.logId, number: scenario.segmentNumber },
    };
    run.segmentFieldBytes = 0;
    if (stamps.segment !== undefined) {
      const field = encodeSegmentField(stamps.segment);
      u8.set(field, SEGMENT_FIELD_START);
      run.segmentFieldBytes = field.length;
    }
    const { bytes: frames, ...expected } = expectRun(left, run, stamps, encode);

    u8.fill(UNTOUCHED, run.out - 64, Math.max(run.outEnd, run.out + frames.length) + 64);
    kernel.frameRun(run);
    assert.deepEqual(answer(run), expected);
    assert.ok(Buffer.compare(u8.subarray(run.out, run.outTo), frames) === 0, 'the frames differ');
    assert.ok(isUntouched(run.out - 64, run.out), 'bytes before out were written');
    assert.ok(isUntouched(run.outEnd, run.outEnd + 64), 'bytes behind outEnd were written');
    written.push(frames);
    run.lsn += run.entries;
    run.fileOffset += frames.length;
  }
  assert.deepEqual(u8.subarray(RING_START, endOf(records)), ring, 'the ring was written');
  return Buffer.concat(written);
}

function plainScenario(items: readonly Item[]): Scenario {
  return { items, wrap: false, lsn: 1, fileOffset: 0, logId: 77n, segmentNumber: 3, calls: [] };
}

function startRun(records: readonly LaidRecord[], call: Call): Run {
  const run = createRun();
  setCall(run, records, RING_START, call);
  return run;
}

function setCall(run: Run, records: readonly LaidRecord[], from: number, call: Call): void {
  run.from = from;
  run.to = records.at(-1)?.end ?? from;
  run.maxEntries = call.maxEntries;
  run.out = stagingStart + 64;
  run.outEnd = run.out + Math.min(call.roomBytes, STAGING_BYTES - 128);
  run.syncedLsn = call.syncedLsn;
  run.segmentFieldAt = SEGMENT_FIELD_START;
}

function answer(run: Run) {
  const {
    batchRemaining,
    consumedTo,
    outTo,
    entries,
    payloadBytes,
    wholeBatchEntries,
    wholeBatchOutTo,
    stop,
  } = run;
  return {
    batchRemaining,
    consumedTo,
    outTo,
    entries,
    payloadBytes,
    wholeBatchEntries,
    wholeBatchOutTo,
    stop,
  };
}

function endOf(records: readonly LaidRecord[]): number {
  return records.at(-1)?.end ?? RING_START;
}

function isUntouched(from: number, to: number): boolean {
  return u8.subarray(from, to).every((byte) => byte === UNTOUCHED);
}

function bytes(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => i * 37 + length);
}
