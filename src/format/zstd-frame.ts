/**
 * Whether bytes are exactly one zstd frame (RFC 8878) that says that it becomes so many bytes and needs a small window. Decoders
 * also take frames one after the other, frames that are skipped, and junk after the last one; a window may claim 128 MiB. So this
 * looks before any of them does:
 *
 *   frame = magic LE32 | descriptor | window | content size | blocks | checksum, if the descriptor says so
 *   block = LE24: last, type << 1, size << 3 | content, of `size` bytes; one byte where type is 1
 *
 * It costs one step for each block. Nothing is said about what is in the blocks.
 */

import { readUint16, readUint32, readUint64 } from './wire.js';

const MAGIC = 0xfd2fb528;
/** The largest window that a decoder is asked to keep. */
export const WINDOW_LOG_MAX = 20;
const WINDOW_BYTES_MAX = 2 ** WINDOW_LOG_MAX;
const BLOCK_HEADER_BYTES = 3;
const RLE_BLOCK = 1;
const RESERVED_BLOCK = 3;
const CHECKSUM_BYTES = 4;

/** Bytes of the content size, by the two highest bits of the descriptor. */
const CONTENT_SIZE_BYTES = [1, 2, 4, 8] as const;

export function isZstdFrameOf(bytes: Uint8Array, contentBytes: number): boolean {
  if (bytes.length < 6 || readUint32(bytes, 0) !== MAGIC) return false;
  const descriptor = bytes[4] as number;
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const sizeCode = descriptor >>> 6;
  // Two bits are reserved, and no writer uses a dictionary. Without a size nothing bounds the output.
  if ((descriptor & 0x1b) !== 0 || (sizeCode === 0 && !isSingleSegment)) return false;
  let at = 5;
  if (!isSingleSegment && !isSmallWindow(bytes[at++] as number)) return false;
  const sizeBytes = CONTENT_SIZE_BYTES[sizeCode] as number;
  if (bytes.length < at + sizeBytes) return false;
  const size = readContentSize(bytes, at, sizeBytes);
  if (size !== contentBytes || (isSingleSegment && size > WINDOW_BYTES_MAX)) return false;
  const checksumBytes = (descriptor & 4) === 0 ? 0 : CHECKSUM_BYTES;
  return endsWithLastBlock(bytes, at + sizeBytes, bytes.length - checksumBytes);
}

/** 2^(10 + exponent) and as many eighths of it as the mantissa says. */
function isSmallWindow(window: number): boolean {
  const base = 2 ** (10 + (window >>> 3));
  return base + (base / 8) * (window & 7) <= WINDOW_BYTES_MAX;
}

function readContentSize(bytes: Uint8Array, at: number, sizeBytes: number): number {
  switch (sizeBytes) {
    case 1:
      return bytes[at] as number;
    case 2:
      return readUint16(bytes, at) + 256;
    case 4:
      return readUint32(bytes, at);
    default:
      return readUint64(bytes, at);
  }
}

function endsWithLastBlock(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at + BLOCK_HEADER_BYTES <= end; ) {
    const header = readUint16(bytes, at) | ((bytes[at + 2] as number) << 16);
    const type = (header >>> 1) & 3;
    if (type === RESERVED_BLOCK) return false;
    at += BLOCK_HEADER_BYTES + (type === RLE_BLOCK ? 1 : header >>> 3);
    if ((header & 1) === 1) return at === end;
  }
  return false;
}
