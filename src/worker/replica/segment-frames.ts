import { join } from 'node:path';
import { BlockEntries } from '../../blocks/block-entries.js';
import { NO_ZSTD } from '../../blocks/decode-block.js';
import { type Disk, type DiskFile, readFully } from '../../files/disk.js';
import { createFrame, dataChecksum, type Frame, SIZE_WORD_BYTES } from '../../format/frame.js';
import { parseFrame, peekFrameLength } from '../../format/frame-parser.js';
import { segmentName } from '../../format/segment-name.js';
import { encodeShipped, type ShippedFrame } from '../../replica/payload.js';
import { ReplicaError } from '../../replica/replica.js';

/** A place before a frame. */
export interface FramePlace {
  readonly segment: number;
  readonly offset: number;
}

/** A frame of a segment, with the entries in it: several if it is a block. */
export interface StoredFrame {
  /** Of the first entry. */
  readonly lsn: number;
  /** LSNs that are missing right before it. */
  readonly skipped: number;
  readonly byteLength: number;
  readonly entries: readonly ShippedFrame[];
}

const CHUNK_BYTES_MIN = 64 * 1024;
const CHUNK_BYTES_MAX = 1024 * 1024;

/**
 * Reads the frames of one segment, from a place on, a chunk at a time. A chunk is memory of its own, since what is shipped refers to it
 * until it is acknowledged.
 */
export class SegmentFrames {
  readonly number: number;
  readonly #file: DiskFile;
  readonly #frame = createFrame();
  #chunk = new Uint8Array(0);
  /** The file's offset of the chunk's first byte. */
  #start = 0;
  /** Of the next chunk: each one of a walk is larger than the one before it. */
  #chunkBytes = CHUNK_BYTES_MIN;

  /** @throws the system's error: the segment is gone */
  constructor(disk: Disk, directory: string, number: number) {
    this.number = number;
    this.#file = disk.open(join(directory, segmentName(number)), 'r');
  }

  /** The frame at `offset`; `undefined`: none stands there. Only what is durable may be asked for: nothing tells a torn frame here. */
  at(offset: number): StoredFrame | undefined {
    let at = this.#bring(offset, SIZE_WORD_BYTES);
    const length = at === undefined ? -1 : peekFrameLength(this.#chunk, at, this.#chunk.length);
    if (length <= 0) return undefined;
    at = this.#bring(offset, length);
    if (at === undefined || parseFrame(this.#chunk, at, at + length, this.#frame) !== undefined)
      return undefined;
    return this.#shipped(at);
  }

  /** Bytes after the watermark may be other ones by now: zeros that were written ahead. */
  readAnew(): void {
    this.#chunk = new Uint8Array(0);
    this.#chunkBytes = CHUNK_BYTES_MIN;
  }

  close(): void {
    this.#file.close();
  }

  #shipped(at: number): StoredFrame {
    const { lsn, dataStart, dataEnd, batchRemaining, skipped, crc, byteLength, extended, block } =
      this.#frame;
    refuseUnknown(this.#frame, this.number);
    const chunk = this.#chunk;
    if (dataChecksum(chunk, dataStart, dataEnd, lsn) !== crc)
      throw new ReplicaError(
        'ERR_WAL_REPLICA',
        `Entry ${lsn} cannot be shipped: its data are damaged on the local disk.`,
        {
          lsn,
        },
      );
    const data = chunk.subarray(dataStart, dataEnd);
    if (block !== undefined) return { lsn, skipped, byteLength, entries: this.#entriesOfBlock(data) };
    const entry = { lsn, data, batchRemaining, skipped };
    // A frame without further fields is shipped as it stands.
    const bytes = extended ? encodeShipped(entry) : chunk.subarray(at, at + byteLength);
    return { lsn, skipped, byteLength, entries: [{ ...entry, bytes }] };
  }

  /** They are shipped one by one: a replica is read by versions and by Nodes that may not have the codec. */
  #entriesOfBlock(data: Uint8Array): ShippedFrame[] {
    const frame = this.#frame;
    const block = BlockEntries.of({ frame, readData: () => data });
    if (block === undefined || typeof block === 'string')
      throw new ReplicaError(
        'ERR_WAL_REPLICA',
        `Entry ${frame.lsn} cannot be shipped: ${block === 'no-zstd' ? NO_ZSTD : 'its block is damaged on the local disk'}.`,
        { lsn: frame.lsn },
      );
    return block.remaining().map((batchRemaining, index) => {
      const skipped = index === 0 ? frame.skipped : 0;
      const entry = { lsn: frame.lsn + index, data: block.data(index), batchRemaining, skipped };
      return { ...entry, bytes: encodeShipped(entry) };
    });
  }

  /** Where the chunk holds `[offset, offset + length)` of the file; `undefined`: the file ends before. */
  #bring(offset: number, length: number): number | undefined {
    const end = this.#start + this.#chunk.length;
    if (offset < this.#start || offset + length > end) {
      const chunk = new Uint8Array(Math.max(this.#chunkBytes, length));
      this.#chunkBytes = Math.min(CHUNK_BYTES_MAX, 4 * this.#chunkBytes);
      this.#chunk = chunk.subarray(0, readFully(this.#file, chunk, offset));
      this.#start = offset;
    }
    return offset + length <= this.#start + this.#chunk.length ? offset - this.#start : undefined;
  }
}

function refuseUnknown({ unknownCritical, lsn }: Frame, number: number): void {
  if (unknownCritical === 0) return;
  throw new ReplicaError(
    'ERR_WAL_UNSUPPORTED',
    `Entry ${lsn} in segment ${number} cannot be shipped: its frame has field ${unknownCritical}, which replication does not know.`,
    { lsn },
  );
}
