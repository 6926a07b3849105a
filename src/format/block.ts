/**
 * Field 16 of a frame: its data is a block, many entries in one frame, compressed or encrypted or both. proto/wal.proto has the
 * fields, test/format/block-golden.test.ts breaks when a byte moves.
 *
 *   data  = codec(run)                                          not sealed
 *         | key_header || AEAD(codec(run)) || tag, 16 bytes     sealed
 *   run   = entries x ( varint(2 x length + more) || bytes ) || CRC-32 LE32 of all that                    block-run.ts
 *
 * The frame's LSN is that of the first entry; the next frame's is the LSN after the last entry. A block needs no other block to be
 * read. A batch that does not fit into one block has blocks of its own: `batch_remaining` of the frame is what remains after the
 * block, and `continues` says that the first entry goes on with a batch that began in an earlier frame. So the end of a batch does
 * not look like an entry of its own when what stands before it is lost.
 *
 * What is checked here needs neither the key nor the codec, and costs constant time:
 *
 *   - the message is canonical, `entries` and `raw_bytes` are there, and every entry has at least one byte in the run;
 *   - the last LSN is below 2^53;
 *   - codec 0: `raw_bytes` is the stored length. Others: `raw_bytes` is at most 64 MiB, at most 1 MiB unless it is a single entry,
 *     and at most 64 KiB + 1,024 x the stored length. So nobody allocates more than the bytes of a file can justify.
 */

import { createField, readField, startFields, WIRE_VARINT, writeVarint } from './wire.js';

/** The field number of `block` in WAL_Entry. */
export const BLOCK_FIELD = 16;

export const CODEC = {
  /** The run as it is. */
  stored: 0,
  /** One LZ4 block, without a frame of LZ4's own. */
  lz4: 1,
  /** One zstd frame. */
  zstd: 2,
} as const;
export type Codec = (typeof CODEC)[keyof typeof CODEC];

/** As users write them. */
export const CODEC_NAMES = ['stored', 'lz4', 'zstd'] as const;
export type CodecName = (typeof CODEC_NAMES)[Codec];

const CODEC_MAX = CODEC.zstd;

/** Most bytes of a compressed run, before compression. */
export const RAW_BYTES_MAX = 64 * 1024 * 1024;
/** The same if it holds several entries. */
export const SHARED_RAW_BYTES_MAX = 1024 * 1024;

/** Most bytes that so many stored ones may become. */
export function rawBytesLimit(storedBytes: number): number {
  return 64 * 1024 + 1024 * storedBytes;
}

/** Bytes of a run besides its entries: the checksum. */
export const RUN_CHECKSUM_BYTES = 4;
/** Of an authentication tag. */
export const TAG_BYTES = 16;

/** What field 16 says. */
export interface Block {
  /** At least 1. */
  readonly entries: number;
  /** Of the run. */
  readonly rawBytes: number;
  readonly codec: Codec;
  /** Bytes that the data begins with and that name the key; 0 = none. */
  readonly keyHeaderBytes: number;
  /** From 1 on: the block is sealed. 0 = it is not. */
  readonly epoch: number;
  /** Of a sealed block, from 1 on. */
  readonly counter: number;
  /** The first entry goes on with a batch that began in an earlier frame. */
  readonly continues: boolean;
}

const field = createField();

const UINT32_LIMIT = 2 ** 32;

/**
 * Parses the Block in `[start, end)`. `dataBytes`: bytes of the frame's data.
 *
 * `'unsupported'`: it is sealed, or not the message that this version knows, though the frame's checksum may show that a writer
 * made it. A later version did then, and nobody may cut it. `undefined`: the fields are known, and no writer gives them these values.
 */
export function parseBlock(
  bytes: Uint8Array,
  start: number,
  end: number,
  dataBytes: number,
): Block | 'unsupported' | undefined {
  // Indexed by field number.
  const values = [0, 0, 0, 0, 0, 0, 0, 0];
  let isKnown = true;
  startFields(field, start);
  while (field.end < end) {
    if (!readField(bytes, end, field)) return 'unsupported';
    if (field.number >= values.length || field.type !== WIRE_VARINT) isKnown = false;
    else if (field.value < 1 || field.value > Number.MAX_SAFE_INTEGER) return undefined;
    else values[field.number] = field.value;
  }
  if (!isKnown || values[1] === 0 || values[2] === 0) return 'unsupported';
  const [, entries, rawBytes, codec, keyHeaderBytes, epoch, counter, continues] = values as FieldValues;
  const isWithinRange =
    entries < UINT32_LIMIT &&
    rawBytes < UINT32_LIMIT &&
    rawBytes >= entries + RUN_CHECKSUM_BYTES &&
    keyHeaderBytes < UINT32_LIMIT &&
    epoch < UINT32_LIMIT &&
    continues <= 1;
  if (!isWithinRange) return undefined;
  // Only a sealed block has a counter, and a key header.
  if (epoch === 0 ? counter !== 0 || keyHeaderBytes !== 0 : counter === 0) return undefined;
  const storedBytes = dataBytes - keyHeaderBytes - (epoch === 0 ? 0 : TAG_BYTES);
  if (storedBytes < 1) return undefined;
  if (codec > CODEC_MAX) return 'unsupported';
  if (!isJustified(codec as Codec, entries, rawBytes, storedBytes)) return undefined;
  // This version has no keys.
  if (epoch > 0) return 'unsupported';
  return {
    entries,
    rawBytes,
    codec: codec as Codec,
    keyHeaderBytes,
    epoch,
    counter,
    continues: continues === 1,
  };
}

type FieldValues = [number, number, number, number, number, number, number, number];

/** May a run of so many bytes be stored in that many? The writer obeys the same limits. */
export function isJustified(codec: Codec, entries: number, rawBytes: number, storedBytes: number): boolean {
  if (codec === CODEC.stored) return rawBytes === storedBytes;
  return (
    rawBytes <= (entries === 1 ? RAW_BYTES_MAX : SHARED_RAW_BYTES_MAX) &&
    rawBytes <= rawBytesLimit(storedBytes)
  );
}

/** Writes field 16 with its tag and length at `at`; returns where it ends. */
export function writeBlockField(bytes: Uint8Array, at: number, block: Block): number {
  const { entries, rawBytes, codec, keyHeaderBytes, epoch, counter, continues } = block;
  const values = [0, entries, rawBytes, codec, keyHeaderBytes, epoch, counter, continues ? 1 : 0];
  const contentStart = writeVarint(bytes, at, (BLOCK_FIELD << 3) | 2) + 1;
  let end = contentStart;
  for (const [number, value] of values.entries()) {
    if (value > 0) end = writeVarint(bytes, writeVarint(bytes, end, (number << 3) | WIRE_VARINT), value);
  }
  // Always below 128, so one byte.
  bytes[contentStart - 1] = end - contentStart;
  return end;
}
