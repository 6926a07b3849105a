/**
 * wal-go's later file format. It is read to be imported, never written; `open` leaves such a directory untouched.
 *
 *   file      = header | frame…
 *   header    = "WALG" | 01 00 | 10 00 | u64 LE base LSN        version 1, header of 16 bytes; base: the LSN before the first entry
 *   frame     = u32 LE size | WAL_Entry                         fields 1 to 3
 *   CRC       = CRC-32( LSN LE64 || data )
 */

import { crc32 } from './crc32.js';
import type { Frame, FrameFault } from './frame.js';
import { parseFrame } from './frame-parser.js';
import { readUint32, readUint64, writeUint64 } from './wire.js';

export const WALG_HEADER_BYTES = 16;

/** "WALG". As a size word of the first format it is larger than any frame: no file is both. */
const MAGIC = 0x474c4157;
const VERSION_AND_HEADER_BYTES = 0x00100001;

/** Whether a file that begins so is in the later format, in any version. */
export function isWalg(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && readUint32(bytes, 0) === MAGIC;
}

/** The base LSN in the header of a file; `undefined` if the version is not the one described here. */
export function parseWalgHeader(bytes: Uint8Array): { readonly baseLsn: number } | undefined {
  if (bytes.length < WALG_HEADER_BYTES || !isWalg(bytes)) return undefined;
  if (readUint32(bytes, 4) !== VERSION_AND_HEADER_BYTES) return undefined;
  return { baseLsn: readUint64(bytes, 8) };
}

const lsnBytes = new Uint8Array(8);

/** Parses and checks the frame at `start` of a file that ends at `end`, as `parseFrame` does. */
export function parseWalgFrame(
  bytes: Uint8Array,
  start: number,
  end: number,
  frame: Frame,
): FrameFault | undefined {
  const fault = parseFrame(bytes, start, end, frame);
  if (fault !== undefined) return fault;
  writeUint64(lsnBytes, 0, frame.lsn);
  const checksum = crc32(bytes.subarray(frame.dataStart, frame.dataEnd), crc32(lsnBytes));
  return checksum === frame.crc ? undefined : 'data-checksum';
}
