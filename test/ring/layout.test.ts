import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  BATCH_MARKER_BYTES,
  CONTROL_BYTES,
  CRC_TABLES_BYTES,
  CRC_TABLES_START,
  createLaneMemory,
  LaneState,
  LaneWord,
  laneBytes,
  maxRecordPayload,
  PACKED_BYTES,
  RECORD_ALIGNMENT,
  RECORD_HEADER_BYTES,
  RING_START,
  recordBytes,
  resetLane,
  SEGMENT_FIELD_BYTES_MAX,
  SEGMENT_FIELD_START,
  viewLane,
} from '../../src/ring/layout.js';

const LINE_WORDS = 128 / 4;

test('the regions of a lane follow one another without overlap', () => {
  const { stagingStart, stagingBytes, packedStart, u8 } = viewLane(createLaneMemory(65_536, 4096));
  assert.ok(Math.max(...Object.values(LaneWord)) * 4 < CONTROL_BYTES);
  assert.ok(CONTROL_BYTES <= SEGMENT_FIELD_START);
  assert.ok(SEGMENT_FIELD_START + SEGMENT_FIELD_BYTES_MAX <= CRC_TABLES_START);
  assert.ok(CRC_TABLES_START + CRC_TABLES_BYTES <= RING_START);
  assert.ok(RING_START + 65_536 <= stagingStart);
  assert.equal(stagingStart % 64, 0);
  assert.ok(stagingStart + stagingBytes <= packedStart);
  assert.equal(packedStart % 8, RING_START % 8);
  assert.equal(packedStart + PACKED_BYTES, laneBytes(65_536, 4096));
  assert.ok(laneBytes(65_536, 4096) <= u8.length);
});

test('words that different sides store never share a line', () => {
  const line = (word: number) => Math.floor(word / LINE_WORDS);
  const { head, posted, writtenWanted, durableWanted, commitWanted, tail, taken, roomWanted } = LaneWord;
  const { flushRequested, flushDone, state, poll } = LaneWord;
  const { ackSlot } = viewLane(createLaneMemory(64, 0));
  const ackSlotWords = Array.from({ length: ackSlot.byteLength / 4 }, (_, at) => ackSlot.byteOffset / 4 + at);
  assert.ok(ackSlot.byteOffset + ackSlot.byteLength <= CONTROL_BYTES);
  const lines: readonly number[][] = [
    [head, posted, writtenWanted, durableWanted, commitWanted],
    [tail, taken],
    [roomWanted],
    [flushRequested, flushDone, state],
    [poll, ...ackSlotWords],
  ];
  for (const words of lines) assert.equal(new Set(words.map(line)).size, 1);
  assert.equal(new Set(lines.map(([word]) => line(word))).size, lines.length);
});

test('payloads stand at a multiple of 8 and a header always fits before the end of the ring', () => {
  assert.equal((RING_START + RECORD_HEADER_BYTES) % 8, 0);
  for (let payload = 0; payload < 64; payload++) {
    const bytes = recordBytes(payload);
    assert.equal(bytes % RECORD_ALIGNMENT, 0);
    assert.ok(
      bytes >= payload + RECORD_HEADER_BYTES && bytes < payload + RECORD_HEADER_BYTES + RECORD_ALIGNMENT,
    );
  }
  assert.equal(BATCH_MARKER_BYTES % RECORD_ALIGNMENT, 0);
  // So what is left before the end is a multiple of 8, and if it is not 0, the 4 bytes of WRAP fit.
  assert.ok(RECORD_HEADER_BYTES <= RECORD_ALIGNMENT);
});

test('the longest record takes a quarter of the ring at most', () => {
  for (const ringBytes of [64, 65_536, 2 ** 30]) {
    assert.ok(recordBytes(maxRecordPayload(ringBytes)) <= ringBytes / 4);
  }
});

test('a lane is shared wasm memory where there is wasm, and plain shared memory elsewhere', () => {
  const withWasm = createLaneMemory(65_536, 0);
  assert.equal(withWasm.memory?.buffer, withWasm.buffer);
  const wasm = Object.getOwnPropertyDescriptor(globalThis, 'WebAssembly')!;
  try {
    Reflect.deleteProperty(globalThis, 'WebAssembly');
    const without = createLaneMemory(65_536, 0);
    assert.equal(without.memory, undefined);
    assert.equal(without.buffer.byteLength, laneBytes(65_536, 0));
  } finally {
    Object.defineProperty(globalThis, 'WebAssembly', wasm);
  }
});

test('a lane that survives structured clone is the same memory', () => {
  const lane = createLaneMemory(65_536, 8);
  const clone = structuredClone({ buffer: lane.buffer });
  Atomics.store(viewLane(lane).i32, LaneWord.head, 4711);
  assert.equal(Atomics.load(viewLane(clone).i32, LaneWord.head), 4711);
  assert.equal(viewLane(clone).ringBytes, 65_536);
  assert.equal(viewLane(clone).stagingBytes, 8);
});

test('sizes that break the layout are refused', () => {
  for (const ringBytes of [0, 32, 96, 65_535, 2 ** 31, Number.NaN, 64.5]) {
    assert.throws(() => createLaneMemory(ringBytes, 0), RangeError);
  }
  for (const stagingBytes of [-8, 4, 2 ** 30])
    assert.throws(() => createLaneMemory(64, stagingBytes), RangeError);
});

test('a reset lane is empty, attached, and counts from where it is told', () => {
  const views = viewLane(createLaneMemory(64, 0));
  for (const word of Object.values(LaneWord)) {
    if (word !== LaneWord.ringBytes && word !== LaneWord.stagingBytes) views.i32[word] = 99;
  }
  resetLane(views, -64, 7);
  const { i32 } = views;
  assert.equal(i32[LaneWord.head], -64);
  assert.equal(i32[LaneWord.tail], -64);
  for (const word of [LaneWord.writtenWanted, LaneWord.durableWanted, LaneWord.commitWanted]) {
    assert.equal(i32[word], 7);
  }
  for (const word of [LaneWord.posted, LaneWord.taken, LaneWord.roomWanted, LaneWord.flushRequested]) {
    assert.equal(i32[word], 0);
  }
  assert.equal(i32[LaneWord.state], LaneState.attached);
  assert.equal(i32[LaneWord.ringBytes], 64);
});
