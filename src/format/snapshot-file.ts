/**
 * A snapshot file, `ringwal.snapshot-<lsn>`: the application's state after entry `lsn`.
 *
 *   bytes  name           meaning
 *       8  magic          "rwsnapsh"
 *       4  header bytes   1 to 1,024
 *       h  header         SnapshotHeader of proto/snapshot.proto
 *       4  header crc     CRC-32 of everything before
 *
 *   then for each chunk, from index 0:
 *       4  data bytes     1 to 1 MiB
 *       d  data           the application's
 *       4  crc            CRC-32( log_id LE64 || lsn LE64 || index LE64 || data bytes || data )
 *
 *   then
 *       4  end mark       0: no chunk follows
 *       4  footer bytes   0 to 64
 *       f  footer         SnapshotFooter
 *       4  crc            CRC-32( log_id LE64 || lsn LE64 || number of chunks LE64 || end mark || footer bytes || footer )
 *       4  footer bytes   again, so that the footer is found from the end of the file
 *
 * Words are little endian. A snapshot is valid if and only if the file is exactly this, the LSN is the one in its name, and the
 * footer has the sums. A chunk of another snapshot, or at another place, has another CRC. The file gets its name once all of it is
 * on the disk, so a file of that name that is not valid was damaged, or is not this log's.
 *
 * test/format/snapshot-file.test.ts breaks when a byte moves.
 */
import type { ByteSource } from './bytes.js';
import {
  decodeSnapshotFooter,
  decodeSnapshotHeader,
  encodeSnapshotFooter,
  encodeSnapshotHeader,
  type MessageFault,
  type Protobuf,
  type SnapshotFooter,
  type SnapshotHeader,
} from './snapshot-messages.js';
import { readUint32, writeBigUint64, writeUint32, writeUint64 } from './wire.js';

/** CRC-32 of `bytes`; `seed`: the CRC of the bytes before. */
export type Crc32 = (bytes: Uint8Array, seed?: number) => number;

/** Tools for reading and writing snapshots: `protobufjs/minimal`, and the fastest CRC-32 available. */
export interface SnapshotTools {
  readonly protobuf: Protobuf;
  readonly crc32: Crc32;
}

/** Bytes of data in a chunk at most. */
export const CHUNK_BYTES_MAX = 1024 * 1024;
/** Bytes before and after the data of a chunk. */
export const CHUNK_HEAD_BYTES = 4;
export const CHUNK_TAIL_BYTES = 4;
/** Bytes of a format name in UTF-8. */
export const FORMAT_BYTES_MAX = 255;

const MAGIC = Uint8Array.from('rwsnapsh', (letter) => letter.charCodeAt(0));
const WORD = 4;
const START_BYTES = MAGIC.length + WORD;
const HEADER_BYTES_MAX = 1024;
const FOOTER_BYTES_MAX = 64;
/** End mark, two lengths and the CRC. */
const END_OVERHEAD = 4 * WORD;

const IDENTITY_BYTES = 24;

/** The start of every CRC after the header: it names a snapshot and a place in it. */
export class SnapshotSeal {
  readonly #identity = new Uint8Array(IDENTITY_BYTES);
  readonly #crc32: Crc32;

  constructor({ logId, lsn }: Pick<SnapshotHeader, 'logId' | 'lsn'>, crc32: Crc32) {
    this.#crc32 = crc32;
    writeBigUint64(this.#identity, 0, logId);
    writeUint64(this.#identity, 8, lsn);
  }

  /** The CRC of the chunk, or the end, at `index`; `bytes`: its bytes in the file, up to the CRC. */
  crc(index: number, bytes: Uint8Array): number {
    writeUint64(this.#identity, 16, index);
    return this.#crc32(bytes, this.#crc32(this.#identity));
  }
}

/** The beginning of the file, up to the first chunk. */
export function encodeSnapshotStart(tools: SnapshotTools, header: SnapshotHeader): Uint8Array {
  const message = encodeSnapshotHeader(tools.protobuf, header);
  const crcAt = START_BYTES + message.length;
  const bytes = new Uint8Array(crcAt + WORD);
  bytes.set(MAGIC);
  writeUint32(bytes, MAGIC.length, message.length);
  bytes.set(message, START_BYTES);
  writeUint32(bytes, crcAt, tools.crc32(bytes.subarray(0, crcAt)));
  return bytes;
}

/**
 * Completes a chunk in place: `bytes` has the data from CHUNK_HEAD_BYTES on, and room for the CRC after it.
 *
 * @returns the bytes of the whole chunk
 */
export function sealChunk(seal: SnapshotSeal, index: number, bytes: Uint8Array, dataBytes: number): number {
  const crcAt = CHUNK_HEAD_BYTES + dataBytes;
  writeUint32(bytes, 0, dataBytes);
  writeUint32(bytes, crcAt, seal.crc(index, bytes.subarray(0, crcAt)));
  return crcAt + CHUNK_TAIL_BYTES;
}

/** The end of the file, after the last chunk. */
export function encodeSnapshotEnd(
  { protobuf }: SnapshotTools,
  seal: SnapshotSeal,
  footer: SnapshotFooter,
): Uint8Array {
  const message = encodeSnapshotFooter(protobuf, footer);
  const bytes = new Uint8Array(END_OVERHEAD + message.length);
  const crcAt = 2 * WORD + message.length;
  writeUint32(bytes, WORD, message.length);
  bytes.set(message, 2 * WORD);
  writeUint32(bytes, crcAt, seal.crc(footer.chunks, bytes.subarray(0, crcAt)));
  writeUint32(bytes, crcAt + WORD, message.length);
  return bytes;
}

/** The content of the two ends of a file. */
export interface SnapshotOutline {
  readonly header: SnapshotHeader;
  readonly footer: SnapshotFooter;
  /** Where the first chunk begins, and where the last one ends. */
  readonly chunksFrom: number;
  readonly chunksTo: number;
}

/**
 * Reads the two ends of the file that is named for `lsn`: a few hundred bytes, whatever its size. The chunks are not read.
 *
 * @throws the error of `source`
 */
export function readOutline(
  tools: SnapshotTools,
  source: ByteSource,
  lsn: number,
): SnapshotOutline | MessageFault {
  const start = readStart(tools, source);
  if ('fault' in start) return start;
  const { header, chunksFrom } = start;
  if (header.lsn !== lsn) return { fault: `it is the snapshot at entry ${header.lsn} by its header` };
  const end = readEnd(tools, source, header);
  if ('fault' in end) return end;
  const { footer, chunksTo } = end;
  const { bytes, chunks } = footer;
  const chunkBytes = bytes + chunks * (CHUNK_HEAD_BYTES + CHUNK_TAIL_BYTES);
  if (chunksTo - chunksFrom !== chunkBytes) return { fault: 'it is not as long as its footer says' };
  return { header, footer, chunksFrom, chunksTo };
}

function readStart(
  { protobuf, crc32 }: SnapshotTools,
  source: ByteSource,
): { readonly header: SnapshotHeader; readonly chunksFrom: number } | MessageFault {
  const begin = source.read(0, START_BYTES);
  if (begin.length < START_BYTES || !MAGIC.every((byte, at) => begin[at] === byte))
    return { fault: 'it does not begin as a snapshot' };
  const length = readUint32(begin, MAGIC.length);
  if (length > HEADER_BYTES_MAX) return { fault: 'the length of its header is wrong' };
  const crcAt = START_BYTES + length;
  const bytes = source.read(0, crcAt + WORD);
  if (bytes.length < crcAt + WORD) return { fault: 'it ends inside its header' };
  if (readUint32(bytes, crcAt) !== crc32(bytes.subarray(0, crcAt)))
    return { fault: 'the checksum of its header does not match' };
  const header = decodeSnapshotHeader(protobuf, bytes.slice(START_BYTES, crcAt));
  return 'fault' in header ? header : { header, chunksFrom: crcAt + WORD };
}

function readEnd(
  { protobuf, crc32 }: SnapshotTools,
  source: ByteSource,
  header: SnapshotHeader,
): { readonly footer: SnapshotFooter; readonly chunksTo: number } | MessageFault {
  const { size } = source;
  const length = readUint32(source.read(size - WORD, WORD), 0);
  const chunksTo = size - END_OVERHEAD - length;
  if (length > FOOTER_BYTES_MAX || chunksTo < 0) return { fault: 'it does not end as a snapshot' };
  const bytes = source.read(chunksTo, END_OVERHEAD + length);
  const crcAt = 2 * WORD + length;
  const isEnd = readUint32(bytes, 0) === 0 && readUint32(bytes, WORD) === length;
  if (!isEnd) return { fault: 'it does not end as a snapshot' };
  const footer = decodeSnapshotFooter(protobuf, bytes.slice(2 * WORD, crcAt));
  if ('fault' in footer) return footer;
  const crc = new SnapshotSeal(header, crc32).crc(footer.chunks, bytes.subarray(0, crcAt));
  if (readUint32(bytes, crcAt) !== crc) return { fault: 'the checksum of its footer does not match' };
  return { footer, chunksTo };
}

/**
 * Goes over the chunks of a file, in order.
 *
 *   size ──▶ how many bytes the next chunk takes ──▶ the caller reads them ──▶ check
 */
export class ChunkWalk {
  readonly #seal: SnapshotSeal;
  readonly #outline: SnapshotOutline;
  #at: number;
  #index = 0;

  constructor(outline: SnapshotOutline, crc32: Crc32) {
    this.#outline = outline;
    this.#at = outline.chunksFrom;
    this.#seal = new SnapshotSeal(outline.header, crc32);
  }

  /** Where the next chunk begins. */
  get offset(): number {
    return this.#at;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#outline.chunksTo;
  }

  /** So many bytes from [offset] on certainly contain the whole next chunk, if it is valid. */
  get reach(): number {
    return Math.min(CHUNK_HEAD_BYTES + CHUNK_BYTES_MAX + CHUNK_TAIL_BYTES, this.#outline.chunksTo - this.#at);
  }

  /** Takes the chunk at the start of `bytes`: returns a view of its data, or its fault. */
  take(bytes: Uint8Array): Uint8Array | MessageFault {
    const size = bytes.length < CHUNK_HEAD_BYTES ? 0 : readUint32(bytes, 0);
    const crcAt = CHUNK_HEAD_BYTES + size;
    if (size === 0 || size > CHUNK_BYTES_MAX || crcAt + CHUNK_TAIL_BYTES > bytes.length)
      return this.#fault('has a wrong length');
    if (readUint32(bytes, crcAt) !== this.#seal.crc(this.#index, bytes.subarray(0, crcAt)))
      return this.#fault('does not match its checksum');
    this.#at += crcAt + CHUNK_TAIL_BYTES;
    this.#index += 1;
    const isLast = this.#index === this.#outline.footer.chunks;
    if (isLast !== this.isAtEnd) return this.#fault('is not where the footer says that the last one is');
    return bytes.subarray(CHUNK_HEAD_BYTES, crcAt);
  }

  #fault(what: string): MessageFault {
    return { fault: `its chunk ${this.#index} at byte ${this.#at} ${what}` };
  }
}
