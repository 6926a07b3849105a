/**
 * Encodes frames as frame.ts draws them, one at a time, for entries beside the ring and for tests. The kernels in src/ring
 * frame whole runs, and must write the same bytes.
 */

import { type Block, writeBlockField } from './block.js';
import {
  dataChecksum,
  FRAME_CRC_BYTES,
  frameChecksum,
  MAX_OVERHEAD,
  type SegmentStamp,
  SIZE_WORD_BYTES,
  TAG,
} from './frame.js';
import { WIRE_FIXED64, WIRE_VARINT, writeBigUint64, writeUint32, writeVarint } from './wire.js';

export { varintLength, writeVarint } from './wire.js';

/** Everything in a frame but its data. A frame with any of the optional fields also gets field 15. */
export interface FrameFields {
  readonly lsn: number;
  /** Default: absent. 0 is written. */
  readonly syncedLsn?: number | undefined;
  /** Default 0: the entry is the last of its batch, or in no batch. */
  readonly batchRemaining?: number | undefined;
  /** Milliseconds since 1970. Default 0: absent. */
  readonly timeMs?: number | undefined;
  /** Default 0. */
  readonly skipped?: number | undefined;
  readonly segment?: SegmentStamp | undefined;
  /** The data is this block. */
  readonly block?: Block | undefined;
  /** See `frameChecksumSeed`. */
  readonly checksumSeed: number;
  /** Where the frame will stand in its file. */
  readonly fileOffset: number;
}

/** The whole frame. */
export function encodeFrame(fields: FrameFields & { readonly data: Uint8Array }): Uint8Array {
  const { data, lsn } = fields;
  const { before, after } = encodeFrameAround({
    ...fields,
    dataBytes: data.length,
    crc: dataChecksum(data, 0, data.length, lsn),
  });
  const frame = new Uint8Array(before.length + data.length + after.length);
  frame.set(before);
  frame.set(data, before.length);
  frame.set(after, before.length + data.length);
  return frame;
}

/**
 * The bytes of a frame before and after its data, so that large data is written without copying it. `crc` is field 3, see
 * `closeDataChecksum`.
 */
export function encodeFrameAround(
  fields: FrameFields & { readonly dataBytes: number; readonly crc: number },
): { before: Uint8Array; after: Uint8Array } {
  const { lsn, dataBytes, crc, checksumSeed, fileOffset } = fields;
  const before = new Uint8Array(SIZE_WORD_BYTES + MAX_OVERHEAD);
  let beforeEnd = writeNumber(before, SIZE_WORD_BYTES, TAG.lsn, lsn);
  if (dataBytes > 0) beforeEnd = writeNumber(before, beforeEnd, TAG.data, dataBytes);

  const after = new Uint8Array(MAX_OVERHEAD);
  const plainEnd = crc === 0 ? 0 : writeNumber(after, 0, TAG.crc, crc);
  const extensionEnd = writeExtension(after, plainEnd, fields);
  const afterEnd = extensionEnd === plainEnd ? plainEnd : extensionEnd + FRAME_CRC_BYTES;

  // The size word is under frame_crc.
  writeUint32(before, 0, beforeEnd - SIZE_WORD_BYTES + dataBytes + afterEnd);
  if (afterEnd > plainEnd) {
    after[extensionEnd] = TAG.frameCrc;
    const checksum = frameChecksum(
      before.subarray(0, beforeEnd),
      after.subarray(0, extensionEnd),
      checksumSeed,
      fileOffset,
    );
    writeUint32(after, extensionEnd + 1, checksum);
  }
  return { before: before.subarray(0, beforeEnd), after: after.subarray(0, afterEnd) };
}

/** Fields 6 and 8, if present, as a kernel copies them into the first frame of a group. At most 64 bytes. */
export function encodeHeadFields(timeMs: number, stamp: SegmentStamp | undefined): Uint8Array {
  const field = stamp === undefined ? new Uint8Array(0) : encodeSegmentField(stamp);
  if (timeMs === 0) return field;
  const time = new Uint8Array(9);
  return Uint8Array.of(...time.subarray(0, writeNumber(time, 0, TAG.timeMs, timeMs)), ...field);
}

/** Field 8 with its tag and length, at most 55 bytes. */
export function encodeSegmentField(stamp: SegmentStamp): Uint8Array {
  const { logId, number, createdMs, recycled, branch, timeResolutionMs = 0, previousLatestMs = 0 } = stamp;
  const content = new Uint8Array(53);
  let end = 0;
  if (logId !== 0n) end = writeFixed64(content, end, (1 << 3) | WIRE_FIXED64, logId);
  if (number > 0) end = writeNumber(content, end, (2 << 3) | WIRE_VARINT, number);
  if (createdMs > 0) end = writeNumber(content, end, (3 << 3) | WIRE_VARINT, createdMs);
  if (recycled) end = writeNumber(content, end, (4 << 3) | WIRE_VARINT, 1);
  if (branch !== 0n) end = writeFixed64(content, end, (5 << 3) | WIRE_FIXED64, branch);
  if (timeResolutionMs > 0) end = writeNumber(content, end, (6 << 3) | WIRE_VARINT, timeResolutionMs);
  if (previousLatestMs > 0) end = writeNumber(content, end, (7 << 3) | WIRE_VARINT, previousLatestMs);
  return Uint8Array.of(TAG.segment, end, ...content.subarray(0, end));
}

function writeExtension(bytes: Uint8Array, at: number, fields: FrameFields): number {
  const { syncedLsn, batchRemaining = 0, timeMs = 0, skipped = 0, segment, block } = fields;
  let end = at;
  if (syncedLsn !== undefined) end = writeNumber(bytes, end, TAG.syncedLsn, syncedLsn);
  if (batchRemaining > 0) end = writeNumber(bytes, end, TAG.batchRemaining, batchRemaining);
  if (timeMs > 0) end = writeNumber(bytes, end, TAG.timeMs, timeMs);
  if (skipped > 0) end = writeNumber(bytes, end, TAG.skipped, skipped);
  if (segment !== undefined) {
    const field = encodeSegmentField(segment);
    bytes.set(field, end);
    end += field.length;
  }
  return block === undefined ? end : writeBlockField(bytes, end, block);
}

function writeNumber(bytes: Uint8Array, at: number, tag: number, value: number): number {
  bytes[at] = tag;
  return writeVarint(bytes, at + 1, value);
}

function writeFixed64(bytes: Uint8Array, at: number, tag: number, value: bigint): number {
  bytes[at] = tag;
  writeBigUint64(bytes, at + 1, value);
  return at + 9;
}
