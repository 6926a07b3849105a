import { crc32 } from 'node:zlib';
import { type Compression, compressRun } from '../../blocks/encode-block.js';
import type { Block } from '../../format/block.js';
import { packedBytes, packRun, type RunEntry } from '../../format/block-run.js';
import { encodeFrameAround } from '../../format/encode.js';
import { SIZE_WORD_BYTES } from '../../format/frame.js';
import { varintLength } from '../../format/wire.js';
import type { BlockSizes, CompressionSettings } from '../../protocol/thread-data.js';
import { createPack, type Pack, type Run } from '../../ring/kernel/kernel.js';
import type { WriterLane } from '../intake/writer-lane.js';
import { CompressionAttempts } from './compression-attempts.js';
import type { FramePlace, Group } from './group.js';

/**
 * Bytes of a run. Bet: JSON of 100 bytes an entry becomes as small as with twice as much, within a hundredth, and a `get` decodes
 * no more than it must. A run below 1 KiB gains too little for a frame with fields of its own.
 */
const SIZES: BlockSizes = { most: 128 * 1024, least: 1024 };
/** Small segments hold several blocks all the same. */
const SMALL_BLOCK_BYTES = 2 * 1024;
const BLOCKS_OF_SEGMENT = 8;

/** Bytes of runs that one write call hands over, unless a single entry is longer. */
const GROUP_RUN_BYTES = 1024 * 1024;

const LZ4: Compression = { codec: 'lz4' };

/** A group of blocks; what [Framer] keeps of its batch. */
export interface BlockGroup {
  readonly group: Group;
  /** Entries of the open batch that are still to come. */
  readonly batchRemaining: number;
}

/** What the entries of a group continue. */
export interface BlockStart {
  readonly place: FramePlace;
  /** The watermark. */
  readonly syncedLsn: number;
  /** The first entry goes on with a batch of which an earlier frame has some. */
  readonly continues: boolean;
}

/**
 * Makes groups of blocks of what a lane holds. It answers `'plain'` where blocks do not pay: there are few bytes, or a block would
 * not be below 7/8 of the plain frames. Then nothing is taken, and the entries are framed one by one.
 */
export class BlockFramer {
  readonly #compression: Compression;
  readonly #sizes: BlockSizes;
  readonly #attempts: CompressionAttempts;
  readonly #pack: Pack = createPack();

  /** `noteMiss` counts what did not become shorter. */
  constructor(
    { sizes = SIZES, ...compression }: CompressionSettings,
    maxFileSize: number,
    noteMiss: () => void,
  ) {
    this.#compression = compression;
    const fitting = Math.max(SMALL_BLOCK_BYTES, Math.floor(maxFileSize / BLOCKS_OF_SEGMENT));
    this.#sizes = { ...sizes, most: Math.min(sizes.most, fitting) };
    this.#attempts = new CompressionAttempts(noteMiss);
  }

  /** The records of `run`, as many as a group takes. `run` is not changed. */
  frameRun(lane: WriterLane, run: Run, start: BlockStart): BlockGroup | 'segment-full' | 'plain' {
    if (run.to - run.from < this.#sizes.least || !this.#attempts.mayTry(lane)) return 'plain';
    const { views, kernel } = lane;
    const { place } = start;
    const blocks = new Blocks(start, this.#compressionFor(lane));
    const pack = this.#pack;
    pack.from = run.from;
    pack.to = run.to;
    pack.out = views.stagingStart;
    pack.outEnd = views.stagingStart + views.stagingBytes;
    pack.targetBytes = this.#sizes.most;
    pack.batchRemaining = run.batchRemaining;
    let consumedTo = run.from;
    let { batchRemaining } = run;
    let outcome: AddOutcome = 'added';
    while (pack.from < run.to && blocks.rawBytes < GROUP_RUN_BYTES) {
      pack.maxEntries = Math.min(0x7fff_ffff, place.lsnsLeft - blocks.entries);
      if (pack.maxEntries === 0) break;
      kernel.packRun(pack);
      if (pack.entries === 0 || pack.outTo - pack.out < this.#sizes.least) break;
      outcome = blocks.add({ ...pack, run: views.u8.subarray(pack.out, pack.outTo) });
      if (outcome !== 'added') break;
      consumedTo = pack.consumedTo;
      batchRemaining = pack.batchRemaining;
      pack.from = consumedTo;
    }
    return this.#finish(lane, blocks, outcome, { consumedTo, batchRemaining });
  }

  /** What is left of a message's parts, as many as a group takes; if there are several they are one batch. */
  frameParts(
    lane: WriterLane,
    parts: readonly Uint8Array[],
    start: BlockStart,
  ): BlockGroup | 'segment-full' | 'plain' {
    let waitingBytes = 0;
    for (const part of parts) waitingBytes += packedBytes(part.length);
    if (waitingBytes < this.#sizes.least || !this.#attempts.mayTry(lane)) return 'plain';
    const blocks = new Blocks(start, this.#compressionFor(lane));
    let outcome: AddOutcome = 'added';
    while (blocks.entries < parts.length && blocks.rawBytes < GROUP_RUN_BYTES) {
      const taken = this.#nextParts(parts, blocks.entries, start.place.lsnsLeft);
      if (taken.length === 0) break;
      const batchRemaining = parts.length - blocks.entries - taken.length;
      const payloadBytes = taken.reduce((sum, { data }) => sum + data.length, 0);
      const run = packRun(taken, crc32);
      outcome = blocks.add({ run, entries: taken.length, payloadBytes, batchRemaining });
      if (outcome !== 'added') break;
    }
    const batchRemaining = parts.length - blocks.entries;
    return this.#finish(lane, blocks, outcome, { consumedTo: 0, batchRemaining });
  }

  /** The parts of the next block, from index `from` on. */
  #nextParts(parts: readonly Uint8Array[], from: number, lsnsLeft: number): RunEntry[] {
    const taken: RunEntry[] = [];
    let bytes = 0;
    for (let at = from; at < Math.min(parts.length, lsnsLeft); at++) {
      const data = parts[at] as Uint8Array;
      bytes += packedBytes(data.length);
      if (taken.length > 0 && bytes > this.#sizes.most) break;
      taken.push({ data, more: at < parts.length - 1 });
    }
    return taken;
  }

  /** Whoever waits for an entry does not wait for the better compression. */
  #compressionFor(lane: WriterLane): Compression {
    return lane.waiters.isAwaited ? LZ4 : this.#compression;
  }

  #finish(
    lane: WriterLane,
    blocks: Blocks,
    outcome: AddOutcome,
    end: { readonly consumedTo: number; readonly batchRemaining: number },
  ): BlockGroup | 'segment-full' | 'plain' {
    if (outcome === 'too-long') this.#attempts.noteMiss(lane);
    else if (blocks.entries > 0) this.#attempts.noteSuccess(lane);
    if (blocks.entries > 0)
      return { group: blocks.group(end.consumedTo), batchRemaining: end.batchRemaining };
    return outcome === 'no-room' ? 'segment-full' : 'plain';
  }
}

/** `'too-long'`: it would not be below 7/8 of the plain frames. `'no-room'`: the segment is full. Neither is added. */
type AddOutcome = 'added' | 'too-long' | 'no-room';

interface PackedRun extends Pick<Pack, 'entries' | 'payloadBytes' | 'batchRemaining'> {
  readonly run: Uint8Array;
}

/** The blocks of one group, one after the other as they will stand in the file. */
class Blocks {
  readonly #start: BlockStart;
  readonly #compression: Compression;
  readonly #frames: Uint8Array[] = [];
  #frameBytes = 0;
  #payloadBytes = 0;
  #storedBytes = 0;
  #wholeEntries = 0;
  #wholeBytes = 0;
  #continues: boolean;
  rawBytes = 0;
  entries = 0;

  constructor(start: BlockStart, compression: Compression) {
    this.#start = start;
    this.#compression = compression;
    this.#continues = start.continues;
  }

  add({ run, entries, payloadBytes, batchRemaining }: PackedRun): AddOutcome {
    const { place, syncedLsn } = this.#start;
    const lsn = place.nextLsn + this.entries;
    const longest = Math.floor((plainBytes(lsn, entries, payloadBytes) * 7) / 8);
    const stored = compressRun(run, entries, this.#compression, Math.max(0, longest - BLOCK_OVERHEAD_BYTES));
    if (stored === undefined) return 'too-long';
    const isFirst = this.entries === 0;
    const { before, after } = encodeFrameAround({
      lsn,
      dataBytes: stored.bytes.length,
      crc: crc32(Uint8Array.of(lsn % 256), crc32(stored.bytes)),
      syncedLsn,
      batchRemaining,
      timeMs: isFirst ? place.timeMs : 0,
      segment: isFirst ? place.stamp : undefined,
      block: this.#blockOf(run, entries, stored.codec),
      checksumSeed: place.checksumSeed,
      fileOffset: place.offset + this.#frameBytes,
    });
    const bytes = before.length + stored.bytes.length + after.length;
    const isAlone = isFirst && place.offset === 0;
    if (this.#frameBytes + bytes > place.room && !isAlone) return 'no-room';
    // What was compressed stays valid until the next run only.
    this.#frames.push(before, stored.bytes.slice(), after);
    this.#frameBytes += bytes;
    this.#payloadBytes += payloadBytes;
    this.#storedBytes += stored.bytes.length;
    this.rawBytes += run.length;
    this.entries += entries;
    this.#continues = batchRemaining > 0;
    if (batchRemaining > 0) return 'added';
    this.#wholeEntries = this.entries;
    this.#wholeBytes = this.#frameBytes;
    return 'added';
  }

  /** At least one block was added. */
  group(consumedTo: number): Group {
    return {
      pieces: [joined(this.#frames, this.#frameBytes)],
      frameBytes: this.#frameBytes,
      firstLsn: this.#start.place.nextLsn,
      entries: this.entries,
      payloadBytes: this.#payloadBytes,
      wholeEntries: this.#wholeEntries,
      wholeBytes: this.#wholeBytes,
      consumedTo,
      blocks: {
        // Each has three pieces.
        count: this.#frames.length / 3,
        rawBytes: this.rawBytes,
        storedBytes: this.#storedBytes,
      },
    };
  }

  #blockOf(run: Uint8Array, entries: number, codec: Block['codec']): Block {
    const unsealed = { keyHeaderBytes: 0, epoch: 0, counter: 0 };
    return { entries, rawBytes: run.length, codec, ...unsealed, continues: this.#continues };
  }
}

/** What the frame of a block has besides the stored run, with a watermark and no Segment. */
const BLOCK_OVERHEAD_BYTES = 64;

/** About what so many plain frames would take. */
function plainBytes(lsn: number, entries: number, payloadBytes: number): number {
  const dataLength = varintLength(Math.floor(payloadBytes / entries));
  const overhead = SIZE_WORD_BYTES + (1 + varintLength(lsn)) + (1 + dataLength) + CRC_FIELD_BYTES;
  return payloadBytes + entries * overhead;
}

const CRC_FIELD_BYTES = 6;

/** In one piece, for one write call. */
function joined(pieces: readonly Uint8Array[], bytes: number): Uint8Array {
  const all = new Uint8Array(bytes);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
