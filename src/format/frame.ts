/**
 * A frame: one entry on disk. proto/wal.proto has the fields, test/format/golden.test.ts breaks when a byte moves.
 *
 *   frame      = int32 LE size | WAL_Entry                    size = bytes of WAL_Entry
 *
 *   WAL_Entry  = 08 LSN                                       1   uint64
 *                12 length data                               2   absent where empty
 *                18 CRC                                       3   CRC-32( data || byte(LSN & 0xff) ), absent where 0
 *                20 synced_lsn                                4   the watermark when the frame was made; 0 is written
 *                28 batch_remaining                           5   entries of the same batch still to come
 *                30 time_ms                                   6   wall clock when the frame was made; not on every frame
 *                38 skipped                                   7   LSNs removed on purpose right before this frame
 *                42 length Segment                            8   which log, which file
 *                82 01 length Block                           16  critical; the data is a block of entries, block.ts
 *                7d frame_crc                                 15  fixed32, the last 5 bytes of every frame that has
 *                                                                 any field but 1 to 3
 *   Segment    = 09 log_id | 10 number | 18 created_ms | 20 recycled | 29 branch | 30 time_resolution |
 *                38 previous_latest_ms
 *
 *   frame_crc  = CRC-32( log_id LE64 || segment number LE64 || file offset of the size word LE64 ||
 *                        size word || WAL_Entry before the tag 7d, without the data )
 *
 * A frame is valid if and only if
 *   1. 2 ≤ size ≤ 2^30 + 256, and it ends within the file;
 *   2. it parses canonically and uses exactly `size` bytes: fields 1 to 14 ascending, then 16 and up ascending, then
 *      15, each at most once and of its declared wire type, minimal varints, defaults omitted (except in 4 and 15),
 *      1 ≤ LSN < 2^53, CRC < 2^32, synced_lsn < LSN, at most 256 bytes besides the data; inside Segment and Block the
 *      same; a frame with a Block has a synced_lsn, and its Block keeps the limits of block.ts;
 *   3. its LSN is the predecessor's last LSN + 1 + skipped (the first frame that is scanned: any), and after
 *      batch_remaining r > 0 it carries r less its entries;
 *   4. CRC matches;
 *   5. frame_crc stands where it must and matches, and a Segment names this log and this file.
 *
 * frame-parser.ts decides 1 and 2, chain.ts decides 3 to 5.
 *
 * A head is a frame, at any offset, that passes 1 and 2, has a synced_lsn and a matching frame_crc. It
 * proves itself without its neighbours and its data: bytes inside a payload have another offset, number or log_id.
 *
 * Fields from 16 on are critical, in Segment too: a reader that does not know one must not go on. Others are skipped. In Block
 * every field is critical.
 */

import type { Block } from './block.js';
import { crc32 } from './crc32.js';
import { writeBigUint64, writeUint64 } from './wire.js';

export const SIZE_WORD_BYTES = 4;
export const MIN_FRAME_SIZE = 2;
/** Of the size word: the largest data and what stands around it. */
export const MAX_FRAME_SIZE = 2 ** 30 + 256;
/** Bytes of WAL_Entry besides the data. */
export const MAX_OVERHEAD = 256;
export const MAX_LSN = Number.MAX_SAFE_INTEGER;

/** Field number and wire type of what a frame is written with. */
export const TAG = {
  lsn: 0x08,
  data: 0x12,
  crc: 0x18,
  syncedLsn: 0x20,
  batchRemaining: 0x28,
  timeMs: 0x30,
  skipped: 0x38,
  segment: 0x42,
  frameCrc: 0x7d,
} as const;

/** Bytes of field 15 with its tag. */
export const FRAME_CRC_BYTES = 5;

/** Field 8: on the first frame of every segment and on the first one written after each open. */
export interface SegmentStamp {
  /** Random, made with the log. */
  readonly logId: bigint;
  /** n of the file `wal-<n>`. */
  readonly number: number;
  /** Milliseconds since 1970. */
  readonly createdMs: number;
  /** The file held another segment before: stale bytes may stand after the last frame. */
  readonly recycled: boolean;
  /** Random. Entries of one log with the same LSN differ in it; 0 = absent. */
  readonly branch: bigint;
  /** The writer's `timeResolution` from this frame on; absent = 100. Without time_ms beside it: the writer makes no stamps. */
  readonly timeResolutionMs?: number | undefined;
  /** Every entry of the segment before was made at this time or before it; absent = not known. */
  readonly previousLatestMs?: number | undefined;
}

/** What a parsed frame says. One object serves a whole scan; `segment` and `block` alone are made anew. */
export interface Frame {
  /** Size word included. */
  byteLength: number;
  /** Of its first entry. */
  lsn: number;
  /** Of its last entry: the same, unless it is a block. */
  lastLsn: number;
  /** Indexes of the data in the bytes that were parsed; equal where it is empty. */
  dataStart: number;
  dataEnd: number;
  crc: number;
  /** -1 = absent. */
  syncedLsn: number;
  /** 0 = absent. */
  batchRemaining: number;
  /** Milliseconds since 1970; 0 = absent. */
  timeMs: number;
  /** 0 = absent. */
  skipped: number;
  segment: SegmentStamp | undefined;
  /** `undefined` = the data is one entry. */
  block: Block | undefined;
  /** -1 = absent. */
  frameCrc: number;
  /** Has it any field but 1 to 3? Then it must have frame_crc. */
  extended: boolean;
  /** The first critical field that this version does not know, inside Segment and Block too; 0 = none. */
  unknownCritical: number;
}

export function createFrame(): Frame {
  return {
    byteLength: 0,
    lsn: 0,
    lastLsn: 0,
    dataStart: 0,
    dataEnd: 0,
    crc: 0,
    syncedLsn: -1,
    batchRemaining: 0,
    timeMs: 0,
    skipped: 0,
    segment: undefined,
    block: undefined,
    frameCrc: -1,
    extended: false,
    unknownCritical: 0,
  };
}

/** Why a frame is not valid: the rule that it breaks. `block`: it is valid, but its block does not hold what it says. */
export type FrameFault =
  | 'size'
  | 'past-end'
  | 'not-canonical'
  | 'lsn'
  | 'batch'
  | 'data-checksum'
  | 'frame-checksum'
  | 'other-segment'
  | 'other-log'
  | 'log-unknown'
  | 'block';

const FAULT_TEXT: Readonly<Record<FrameFault, string>> = {
  size: 'its size is impossible',
  'past-end': 'it does not end within the file',
  'not-canonical': 'it is not a canonical entry',
  lsn: 'its LSN does not follow on',
  batch: 'it does not continue the batch before it',
  'data-checksum': 'the checksum of its data does not match',
  'frame-checksum': 'the checksum of its frame does not match',
  'other-segment': 'it belongs to another segment',
  'other-log': 'it belongs to another log',
  'log-unknown': 'nothing says which log it belongs to',
  block: 'the content of its block is damaged',
};

/** The end of a sentence about the frame. */
export function describeFault(fault: FrameFault): string {
  return FAULT_TEXT[fault];
}

const lsnByte = new Uint8Array(1);

/** What field 3 must be. */
export function dataChecksum(bytes: Uint8Array, dataStart: number, dataEnd: number, lsn: number): number {
  return closeDataChecksum(crc32(bytes.subarray(dataStart, dataEnd)), lsn);
}

/** What field 3 must be, given the CRC-32 of the data alone. */
export function closeDataChecksum(dataCrc: number, lsn: number): number {
  lsnByte[0] = lsn;
  return crc32(lsnByte, dataCrc);
}

/** The part of frame_crc that is the same for all frames of a file. */
export function frameChecksumSeed(logId: bigint, segmentNumber: number): number {
  const bytes = new Uint8Array(16);
  writeBigUint64(bytes, 0, logId);
  writeUint64(bytes, 8, segmentNumber);
  return crc32(bytes);
}

const offsetBytes = new Uint8Array(8);

/**
 * What field 15 must be. `beforeData` begins with the size word, `afterData` ends before field 15's tag; `fileOffset`
 * is where the size word stands.
 */
export function frameChecksum(
  beforeData: Uint8Array,
  afterData: Uint8Array,
  seed: number,
  fileOffset: number,
): number {
  writeUint64(offsetBytes, 0, fileOffset);
  return crc32(afterData, crc32(beforeData, crc32(offsetBytes, seed)));
}
