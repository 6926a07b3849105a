/**
 * The bytes of a batch: the frames of its entries without their place in the local log. A frame is as in src/format/frame.ts, with
 * fields 1 to 3 (LSN, data, CRC), 5 (what is left of an atomic batch) and 7 (LSNs that are missing before it), and no others.
 *
 * A batch is valid if and only if
 *
 *   1. it holds at least one frame, and nothing after the last one
 *   2. each frame is the only encoding of what it says, and its CRC matches its data
 *   3. the first frame has LSN first + skipped; each later one has the LSN before it + 1 + skipped; the last one has LSN `last`
 *   4. atomic batches begin and end in it: `batchRemaining` counts down to 0
 *
 * The bytes come from a remote, so nothing in them is believed before it is checked, and nothing is allocated by what they claim.
 */

import { encodeFrameAround, varintLength } from '../format/encode.js';
import { createFrame, dataChecksum, MAX_LSN } from '../format/frame.js';
import { parseFrame } from '../format/frame-parser.js';
import { sameBytes } from './chain.js';
import { type ReplicaBatch, ReplicaError } from './replica.js';

/** An entry with what its frame says besides. */
export interface ShippedEntry {
  readonly lsn: number;
  readonly data: Uint8Array;
  /** Entries of the same atomic batch still to come. */
  readonly batchRemaining: number;
  /** LSNs that are missing right before the entry. */
  readonly skipped: number;
}

/** A frame of a batch: the entry, and the frame's bytes in the batch. */
export interface ShippedFrame extends ShippedEntry {
  readonly bytes: Uint8Array;
}

const EXTENSION_BATCH = 0x28;
const EXTENSION_SKIPPED = 0x38;

export function encodeShipped({ lsn, data, batchRemaining, skipped }: ShippedEntry): Uint8Array {
  const { before, after } = encodeFrameAround({
    lsn,
    dataBytes: data.length,
    crc: dataChecksum(data, 0, data.length, lsn),
    checksumSeed: 0,
    fileOffset: 0,
  });
  const extension = [...field(EXTENSION_BATCH, batchRemaining), ...field(EXTENSION_SKIPPED, skipped)];
  const frame = new Uint8Array(before.length + data.length + after.length + extension.length);
  frame.set(before);
  frame.set(data, before.length);
  frame.set(after, before.length + data.length);
  frame.set(extension, before.length + data.length + after.length);
  new DataView(frame.buffer).setUint32(0, frame.length - 4, true);
  return frame;
}

/** Bytes of the frame of an entry without the optional fields, at most. */
export function shippedLength(lsn: number, dataBytes: number): number {
  return 4 + 1 + varintLength(lsn) + 1 + varintLength(dataBytes) + dataBytes + 6;
}

/** The frames of a batch that a remote has handed out. @throws ReplicaError ERR_WAL_REPLICA: it is not valid */
export function decodeBatch({
  first,
  last,
  data,
}: Pick<ReplicaBatch, 'first' | 'last' | 'data'>): ShippedFrame[] {
  const invalid = (why: string) =>
    new ReplicaError(
      'ERR_WAL_REPLICA',
      `The batch of entries ${first} to ${last} in the replica is damaged: ${why}.`,
      {
        lsn: first,
      },
    );
  if (!isLsn(first) || !isLsn(last) || first > last) throw invalid('its bounds are impossible');
  const frames: ShippedFrame[] = [];
  const frame = createFrame();
  let lsn = first - 1;
  let remaining = 0;
  for (let at = 0; at < data.length; ) {
    if (parseFrame(data, at, data.length, frame) !== undefined)
      throw invalid(`no frame stands at byte ${at}`);
    const bytes = data.subarray(at, at + frame.byteLength);
    const entry = {
      lsn: frame.lsn,
      data: data.subarray(frame.dataStart, frame.dataEnd),
      batchRemaining: frame.batchRemaining,
      skipped: frame.skipped,
    };
    if (!sameBytes(encodeShipped(entry), bytes))
      throw invalid(`the frame at byte ${at} is not as it is written`);
    if (entry.lsn !== lsn + 1 + entry.skipped) throw invalid(`entry ${entry.lsn} follows entry ${lsn}`);
    if (remaining > 0 && (entry.batchRemaining !== remaining - 1 || entry.skipped > 0))
      throw invalid(`entry ${entry.lsn} does not continue its atomic batch`);
    remaining = entry.batchRemaining;
    lsn = entry.lsn;
    at += bytes.length;
    frames.push({ ...entry, bytes });
  }
  if (lsn !== last || frames.length === 0) throw invalid(`it ends with entry ${lsn}`);
  if (remaining > 0) throw invalid('it ends inside an atomic batch');
  return frames;
}

export function joinFrames(frames: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(frames.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const frame of frames) {
    joined.set(frame, at);
    at += frame.length;
  }
  return joined;
}

function isLsn(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 1 && value <= MAX_LSN;
}

function* field(tag: number, value: number): Generator<number> {
  if (value === 0) return;
  yield tag;
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) yield (rest % 0x80) | 0x80;
  yield rest;
}
