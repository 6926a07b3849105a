/**
 * The run inside a block: its entries one after the other, without LSNs and checksums of their own.
 *
 *   run = entries x ( varint(2 x length + more) || bytes ) || CRC-32 LE32 of all that
 *
 * `more` = 1: the next entry belongs to the same atomic batch. So the last entry of a block has it if the frame has a
 * batch_remaining. A block of a batch that is split over blocks holds entries of that batch only, so all others have it too.
 */

import { type Block, RUN_CHECKSUM_BYTES } from './block.js';
import { readUint32, readVarint, varintEnd, varintLength, writeUint32, writeVarint } from './wire.js';

/** CRC-32 of the bytes: zlib's, where there is Node. */
export type Checksum = (bytes: Uint8Array) => number;

/** The entries of a run, by index. */
export interface RunIndex {
  /** For each entry where its bytes start and end in the run. */
  readonly bounds: Uint32Array;
  /** For each entry 1 if the next one belongs to the same atomic batch, else 0. */
  readonly more: Uint8Array;
}

/** What a run must agree with. */
export interface RunFrame {
  readonly block: Pick<Block, 'entries' | 'rawBytes' | 'continues'>;
  readonly batchRemaining: number;
}

/** Finds the entries of `run`; `undefined` if it is not exactly what `frame` says it is. Costs the length of the run. */
export function indexRun(run: Uint8Array, frame: RunFrame, checksum: Checksum): RunIndex | undefined {
  const { block, batchRemaining } = frame;
  const { entries } = block;
  const end = run.length - RUN_CHECKSUM_BYTES;
  // An entry takes a byte at least: so what is allocated here is bounded by what is there.
  if (run.length !== block.rawBytes || entries > end) return undefined;
  if (checksum(run.subarray(0, end)) !== readUint32(run, end)) return undefined;
  const bounds = new Uint32Array(2 * entries);
  const more = new Uint8Array(entries);
  const isOneBatch = block.continues || batchRemaining > 0;
  let at = 0;
  for (let index = 0; index < entries; index++) {
    const head = readVarint(run, at, end);
    if (head < 0) return undefined;
    const start = varintEnd;
    const bytes = Math.floor(head / 2);
    if (bytes > end - start) return undefined;
    const isLast = index === entries - 1;
    const isMore = head % 2 === 1;
    if (isLast ? isMore !== batchRemaining > 0 : isOneBatch && !isMore) return undefined;
    at = start + bytes;
    bounds[2 * index] = start;
    bounds[2 * index + 1] = at;
    more[index] = isMore ? 1 : 0;
  }
  return at === end ? { bounds, more } : undefined;
}

/** An entry that is to be packed. */
export interface RunEntry {
  readonly data: Uint8Array;
  /** The next entry belongs to the same atomic batch. */
  readonly more: boolean;
}

/** Bytes that an entry takes in a run. */
export function packedBytes(dataBytes: number): number {
  return varintLength(2 * dataBytes + 1) + dataBytes;
}

/** The run of these entries. Exact for entries below 2^51 bytes. */
export function packRun(entries: readonly RunEntry[], checksum: Checksum): Uint8Array {
  let bytes = RUN_CHECKSUM_BYTES;
  for (const { data } of entries) bytes += packedBytes(data.length);
  const run = new Uint8Array(bytes);
  let at = 0;
  for (const { data, more } of entries) {
    at = writeVarint(run, at, 2 * data.length + (more ? 1 : 0));
    run.set(data, at);
    at += data.length;
  }
  writeUint32(run, at, checksum(run.subarray(0, at)));
  return run;
}
