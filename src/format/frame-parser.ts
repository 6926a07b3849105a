/**
 * Rules 1 and 2 of frame.ts: is there a frame here, and is it the only way to write what it says?
 *
 * A frame is parsed in two parts, before and after its data, since a scan has them in one buffer only if the data is
 * small:
 *
 *   size | 08 LSN | 12 length | … data … | 18 CRC | extension fields | 7d frame_crc
 *   [parsePrefix]              skipped     [parseSuffix]
 */

import { BLOCK_FIELD, parseBlock } from './block.js';
import {
  type Frame,
  type FrameFault,
  MAX_FRAME_SIZE,
  MAX_LSN,
  MAX_OVERHEAD,
  MIN_FRAME_SIZE,
  SIZE_WORD_BYTES,
  TAG,
} from './frame.js';
import {
  createField,
  FIRST_CRITICAL_FIELD,
  readBigUint64,
  readField,
  readUint32,
  readVarint,
  startFields,
  varintEnd,
  WIRE_BYTES,
  WIRE_FIXED32,
  WIRE_FIXED64,
  WIRE_VARINT,
} from './wire.js';

const UINT32_LIMIT = 2 ** 32;
/** Whatever a clock says, it can be compared. */
const MAX_TIME_MS = Number.MAX_SAFE_INTEGER;

/** Bytes of the frame at `start`, size word included; -1 = fewer than 4 bytes here; 0 = no frame has such a size. */
export function peekFrameLength(bytes: Uint8Array, start: number, end: number): number {
  if (end - start < SIZE_WORD_BYTES) return -1;
  const size = readUint32(bytes, start);
  return size < MIN_FRAME_SIZE || size > MAX_FRAME_SIZE ? 0 : SIZE_WORD_BYTES + size;
}

/**
 * Parses the frame at `start` of a file that ends at `end`, both indexes in `bytes`. Allocates for a Segment only.
 * After a fault `frame` holds nothing of use.
 */
export function parseFrame(
  bytes: Uint8Array,
  start: number,
  end: number,
  frame: Frame,
): FrameFault | undefined {
  const fault = parsePrefix(bytes, start, end - start, frame);
  if (fault !== undefined) return fault;
  return parseSuffix(bytes, frame.dataEnd, start + frame.byteLength, frame);
}

/**
 * Everything before the data. `available`: bytes from the frame's start to the end of the file; of those, the first 19
 * must be in `bytes` (size word, LSN, length of the data), or all if they are fewer.
 */
export function parsePrefix(
  bytes: Uint8Array,
  start: number,
  available: number,
  frame: Frame,
): FrameFault | undefined {
  if (available < SIZE_WORD_BYTES) return 'past-end';
  const size = readUint32(bytes, start);
  if (size < MIN_FRAME_SIZE || size > MAX_FRAME_SIZE) return 'size';
  if (size > available - SIZE_WORD_BYTES) return 'past-end';
  const entryStart = start + SIZE_WORD_BYTES;
  const end = entryStart + size;
  if (bytes[entryStart] !== TAG.lsn) return 'not-canonical';
  const lsn = readVarint(bytes, entryStart + 1, end);
  if (lsn < 1 || lsn > MAX_LSN) return 'not-canonical';
  let dataStart = varintEnd;
  let dataLength = 0;
  if (dataStart < end && bytes[dataStart] === TAG.data) {
    dataLength = readVarint(bytes, dataStart + 1, end);
    if (dataLength < 1) return 'not-canonical';
    dataStart = varintEnd;
  }
  if (dataLength > end - dataStart || size - dataLength > MAX_OVERHEAD) return 'not-canonical';
  frame.byteLength = SIZE_WORD_BYTES + size;
  frame.lsn = lsn;
  frame.lastLsn = lsn;
  frame.dataStart = dataStart;
  frame.dataEnd = dataStart + dataLength;
  return undefined;
}

/** Everything after the data, `[start, end)` of `bytes`; `frame` holds what [parsePrefix] found. */
export function parseSuffix(
  bytes: Uint8Array,
  start: number,
  end: number,
  frame: Frame,
): FrameFault | undefined {
  frame.crc = 0;
  frame.syncedLsn = -1;
  frame.batchRemaining = 0;
  frame.timeMs = 0;
  frame.skipped = 0;
  frame.segment = undefined;
  frame.block = undefined;
  frame.frameCrc = -1;
  frame.extended = false;
  frame.unknownCritical = 0;
  let at = start;
  if (at < end && bytes[at] === TAG.crc) {
    const crc = readVarint(bytes, at + 1, end);
    if (crc < 1 || crc >= UINT32_LIMIT) return 'not-canonical';
    frame.crc = crc;
    at = varintEnd;
  }
  if (at === end) return undefined;
  frame.extended = true;
  return parseExtension(bytes, at, end, frame) ? undefined : 'not-canonical';
}

const entryField = createField();

function parseExtension(bytes: Uint8Array, start: number, end: number, frame: Frame): boolean {
  const field = entryField;
  startFields(field, start, 3);
  while (field.end < end) {
    if (!readField(bytes, end, field)) return false;
    switch (field.number) {
      case 4:
        // The watermark of a moment at which this entry was not written yet: above it, it would promise what never was.
        if (field.type !== WIRE_VARINT || field.value >= frame.lsn) return false;
        frame.syncedLsn = field.value;
        break;
      case 5:
        if (field.type !== WIRE_VARINT || field.value < 1 || field.value >= UINT32_LIMIT) return false;
        frame.batchRemaining = field.value;
        break;
      case 6:
        if (field.type !== WIRE_VARINT || field.value < 1 || field.value > MAX_TIME_MS) return false;
        frame.timeMs = field.value;
        break;
      case 7:
        if (field.type !== WIRE_VARINT || field.value < 1) return false;
        frame.skipped = field.value;
        break;
      case 8:
        if (field.type !== WIRE_BYTES || !parseSegment(bytes, field.start, field.end, frame)) return false;
        break;
      case 15:
        if (field.type !== WIRE_FIXED32) return false;
        frame.frameCrc = readUint32(bytes, field.start);
        break;
      case BLOCK_FIELD:
        if (field.type !== WIRE_BYTES || !takeBlock(bytes, field.start, field.end, frame)) return false;
        break;
      default:
        noteUnknown(field.number, frame);
    }
  }
  return true;
}

/** Field 16, after all of 4 to 8. */
function takeBlock(bytes: Uint8Array, start: number, end: number, frame: Frame): boolean {
  const block = parseBlock(bytes, start, end, frame.dataEnd - frame.dataStart);
  if (block === 'unsupported') {
    noteUnknown(BLOCK_FIELD, frame);
    return true;
  }
  if (block === undefined || frame.syncedLsn < 0) return false;
  frame.block = block;
  frame.lastLsn = frame.lsn + (block.entries - 1);
  return frame.lastLsn <= MAX_LSN;
}

const segmentField = createField();

function parseSegment(bytes: Uint8Array, start: number, end: number, frame: Frame): boolean {
  const field = segmentField;
  let logId = 0n;
  let number = 0;
  let createdMs = 0;
  let recycled = false;
  let branch = 0n;
  const times: { timeResolutionMs?: number; previousLatestMs?: number } = {};
  startFields(field, start);
  while (field.end < end) {
    if (!readField(bytes, end, field)) return false;
    switch (field.number) {
      case 1:
        if (field.type !== WIRE_FIXED64) return false;
        logId = readBigUint64(bytes, field.start);
        if (logId === 0n) return false;
        break;
      case 2:
        if (field.type !== WIRE_VARINT || field.value < 1) return false;
        number = field.value;
        break;
      case 3:
        if (field.type !== WIRE_VARINT || field.value < 1) return false;
        createdMs = field.value;
        break;
      case 4:
        if (field.type !== WIRE_VARINT || field.value !== 1) return false;
        recycled = true;
        break;
      case 5:
        if (field.type !== WIRE_FIXED64) return false;
        branch = readBigUint64(bytes, field.start);
        if (branch === 0n) return false;
        break;
      case 6:
        if (field.type !== WIRE_VARINT || field.value < 1 || field.value >= UINT32_LIMIT) return false;
        times.timeResolutionMs = field.value;
        break;
      case 7:
        if (field.type !== WIRE_VARINT || field.value < 1) return false;
        times.previousLatestMs = field.value;
        break;
      default:
        noteUnknown(field.number, frame);
    }
  }
  frame.segment = { logId, number, createdMs, recycled, branch, ...times };
  return true;
}

function noteUnknown(fieldNumber: number, frame: Frame): void {
  if (fieldNumber >= FIRST_CRITICAL_FIELD && frame.unknownCritical === 0) frame.unknownCritical = fieldNumber;
}
