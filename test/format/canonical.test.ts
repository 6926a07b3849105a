import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFrame, type FrameFault, MAX_FRAME_SIZE } from '../../src/format/frame.js';
import { parseFrame, peekFrameLength } from '../../src/format/frame-parser.js';
import { concat, hex } from './log-builder.js';

/** The frame around the bytes of a WAL_Entry. */
function frameOf(entry: string | Uint8Array): Uint8Array {
  const content = typeof entry === 'string' ? hex(entry) : entry;
  const size = new Uint8Array(4);
  new DataView(size.buffer).setInt32(0, content.length, true);
  return concat([size, content]);
}

function parse(bytes: Uint8Array): FrameFault | undefined {
  return parseFrame(bytes, 0, bytes.length, createFrame());
}

const FRAME_CRC = '7d 00000000';

const ACCEPTED: Readonly<Record<string, string>> = {
  'the shortest entry': '0801',
  'the largest LSN': '08 ffffffffffffff0f',
  'the largest CRC': '0801 18 ffffffff0f',
  'a watermark right below the LSN': `0804 2003 ${FRAME_CRC}`,
  'a watermark of 0': `0801 2000 ${FRAME_CRC}`,
  'the largest batch': `0801 28 ffffffff0f ${FRAME_CRC}`,
  'every known field': `0804 1201aa 1805 2003 2801 3001 3802 4200 ${FRAME_CRC}`,
  'nothing but a frame checksum behind the entry': `0801 1805 ${FRAME_CRC}`,
  'unknown fields of every type below 16': `0801 49 0000000000000000 5200 5d 00000000 6000 ${FRAME_CRC}`,
  'an unknown varint of 64 bits': `0801 60 ffffffffffffffffff01 ${FRAME_CRC}`,
  'field 16 in front of field 15': `0801 820100 ${FRAME_CRC}`,
  'the highest field number': `0801 f8ffffff0f 00 ${FRAME_CRC}`,
  'extension fields without frame checksum, which rule 5 rejects': '0801 2000',
  'a Segment with all fields': `0801 4218 09 0100000000000000 1001 1801 2001 29 0100000000000000 ${FRAME_CRC}`,
  'an unknown field 15 last in a Segment': `0801 4205 8a0100 7800 ${FRAME_CRC}`,
};

for (const [what, entry] of Object.entries(ACCEPTED)) {
  test(`${what} is canonical`, () => assert.equal(parse(frameOf(entry)), undefined));
}

const REJECTED: Readonly<Record<string, string>> = {
  'an entry without LSN': '1201aa',
  'LSN 0': '0800',
  'LSN 2^53': '08 8080808080808010',
  'an LSN of 10 bytes': '08 ffffffffffffffffff01',
  'an LSN with a padded varint': '08 8100',
  'an LSN that does not end within the frame': '08 81',
  'an LSN of another wire type': '0d 01000000',
  'a field number 0': '0801 0001',
  'empty data': '0801 1200',
  'a padded data length': '0801 128100 aa',
  'data that does not end within the frame': '0801 1202aa',
  'data of another wire type': '0801 1001',
  'a CRC of 0': '0801 1800',
  'a CRC of 2^32': '0801 18 8080808010',
  'a padded CRC': '0801 18 8100',
  'a CRC of another wire type': '0801 1d 01000000',
  'CRC before data': '0801 1801 1201aa',
  'data before LSN': '1201aa 0801',
  'a second LSN': '0801 0802',
  'a second CRC': '0801 1801 1802',
  'a watermark that is the LSN': `0804 2004 ${FRAME_CRC}`,
  'a watermark above the LSN': `0847 20c601 ${FRAME_CRC}`,
  'a watermark of 64 bits': `0801 20 ffffffffffffffffff01 ${FRAME_CRC}`,
  'a second watermark': `0802 2001 2001 ${FRAME_CRC}`,
  'a padded watermark': `0802 208100 ${FRAME_CRC}`,
  'a watermark of another wire type': `0802 22 00 ${FRAME_CRC}`,
  'a batch_remaining of 0': `0801 2800 ${FRAME_CRC}`,
  'a batch_remaining of 2^32': `0801 28 8080808010 ${FRAME_CRC}`,
  'a batch_remaining of another wire type': `0801 2d 01000000 ${FRAME_CRC}`,
  'a skipped of 0': `0801 3800 ${FRAME_CRC}`,
  'a skipped of another wire type': `0801 3a00 ${FRAME_CRC}`,
  'fields that descend': `0802 2801 2001 ${FRAME_CRC}`,
  'a Segment of another wire type': `0801 4000 ${FRAME_CRC}`,
  'a Segment that does not end within the frame': '0801 4205 1001',
  'a frame checksum of another wire type': '0801 7800',
  'a frame checksum that is cut': '0801 7d 000000',
  'anything behind the frame checksum': `0801 ${FRAME_CRC} 820100`,
  'a second frame checksum': `0801 ${FRAME_CRC} ${FRAME_CRC}`,
  'field 14 behind field 16': `0801 820100 7000 ${FRAME_CRC}`,
  'fields above 16 that descend': `0801 8a0100 820100 ${FRAME_CRC}`,
  'a Block of another wire type': `0801 800100 ${FRAME_CRC}`,
  'a group, wire type 3': `0801 33 34 ${FRAME_CRC}`,
  'wire type 6': `0801 36 ${FRAME_CRC}`,
  'a padded tag': `0801 b000 00 ${FRAME_CRC}`,
  'a field number beyond 29 bits': `0801 8080808010 00 ${FRAME_CRC}`,
  'a varint of more than 64 bits': `0801 30 ffffffffffffffffff02 ${FRAME_CRC}`,
  'a varint of 11 bytes': `0801 30 8080808080808080808001 ${FRAME_CRC}`,
  'a fixed64 that is cut': '0801 49 00000000',
  'a Segment with log_id 0': `0801 4209 09 0000000000000000 ${FRAME_CRC}`,
  'a Segment with log_id as a varint': `0801 4202 0801 ${FRAME_CRC}`,
  'a Segment with number 0': `0801 4202 1000 ${FRAME_CRC}`,
  'a Segment with number as fixed64': `0801 4209 11 0100000000000000 ${FRAME_CRC}`,
  'a Segment with created_ms 0': `0801 4202 1800 ${FRAME_CRC}`,
  'a Segment with created_ms as bytes': `0801 4202 1a00 ${FRAME_CRC}`,
  'a Segment with recycled false': `0801 4202 2000 ${FRAME_CRC}`,
  'a Segment with recycled 2': `0801 4202 2002 ${FRAME_CRC}`,
  'a Segment with branch 0': `0801 4209 29 0000000000000000 ${FRAME_CRC}`,
  'a Segment with branch as varint': `0801 4202 2801 ${FRAME_CRC}`,
  'a time of 0': `0801 3000 ${FRAME_CRC}`,
  'a time as bytes': `0801 3200 ${FRAME_CRC}`,
  'a time of more than 53 bits': `0801 30 8080808080808010 ${FRAME_CRC}`,
  'a Segment whose fields descend': `0801 4204 1801 1001 ${FRAME_CRC}`,
  'a Segment with a field twice': `0801 4204 1001 1001 ${FRAME_CRC}`,
  'a Segment with a cut field': `0801 4201 10 ${FRAME_CRC}`,
};

for (const [what, entry] of Object.entries(REJECTED)) {
  test(`${what} is not canonical`, () => assert.equal(parse(frameOf(entry)), 'not-canonical'));
}

test('an entry may have 256 bytes besides its data, and no more', () => {
  const padding = (length: number) =>
    concat([hex('52'), Uint8Array.of(length | 128, 1), new Uint8Array(length)]);
  const entry = (length: number) => concat([hex('0801 1203aabbcc'), padding(length), hex(FRAME_CRC)]);
  assert.equal(entry(244).length - 3, 256);
  assert.equal(parse(frameOf(entry(244))), undefined);
  assert.equal(parse(frameOf(entry(245))), 'not-canonical');
});

test('a frame ends within the file', () => {
  const bytes = frameOf('0801 1805');
  for (let length = 0; length < bytes.length; length++) {
    assert.equal(parse(bytes.subarray(0, length)), 'past-end', `${length} bytes`);
  }
});

test('a size below 2 or above the largest is no frame, however long the file', () => {
  const sizes = { 0: 0, 1: 0, [-1]: 0, [MAX_FRAME_SIZE + 1]: 0, 2: 6, [MAX_FRAME_SIZE]: MAX_FRAME_SIZE + 4 };
  for (const [size, length] of Object.entries(sizes)) {
    const bytes = new Uint8Array(64);
    new DataView(bytes.buffer).setInt32(0, Number(size), true);
    assert.equal(peekFrameLength(bytes, 0, bytes.length), length, size);
    if (length === 0) assert.equal(parse(bytes), 'size', size);
  }
  assert.equal(peekFrameLength(new Uint8Array(3), 0, 3), -1);
});

test('a critical field that is not known is named, in the entry and inside Segment', () => {
  const unknownIn = (entry: string) => {
    const frame = createFrame();
    const bytes = frameOf(entry);
    assert.equal(parseFrame(bytes, 0, bytes.length, frame), undefined);
    return frame.unknownCritical;
  };
  assert.equal(unknownIn(`0801 820100 ${FRAME_CRC}`), 16);
  assert.equal(unknownIn(`0801 8a0100 ${FRAME_CRC}`), 17);
  assert.equal(unknownIn(`0801 4203 9a0100 ${FRAME_CRC}`), 19);
  assert.equal(unknownIn(`0801 4202 7800 ${FRAME_CRC}`), 0);
  assert.equal(unknownIn(`0801 7000 ${FRAME_CRC}`), 0);
});

test('a frame object that is used again keeps nothing of the frame before', () => {
  const frame = createFrame();
  const rich = frameOf(`0804 1201aa 1805 2003 2801 3802 4203 9a0100 ${FRAME_CRC}`);
  const plain = frameOf('0802');
  parseFrame(rich, 0, rich.length, frame);
  parseFrame(plain, 0, plain.length, frame);
  assert.deepEqual(frame, { ...createFrame(), byteLength: 6, lsn: 2, lastLsn: 2, dataStart: 6, dataEnd: 6 });
});
