import { fileURLToPath } from 'node:url';
import CRC32 from 'crc-32';
import protobuf from 'protobufjs';
import { encodeFrame } from '../../../src/format/encode.js';
import { frameChecksumSeed, type SegmentStamp } from '../../../src/format/frame.js';
import type { Run } from '../../../src/ring/kernel/kernel.js';
import type { LaidRecord } from './records.js';

/** What one frame says, however it is encoded. */
export interface FrameContent {
  readonly data: Uint8Array;
  readonly lsn: number;
  readonly syncedLsn: number | undefined;
  readonly batchRemaining: number;
  readonly segment: SegmentStamp | undefined;
  readonly logId: bigint;
  readonly segmentNumber: number;
  readonly fileOffset: number;
}

export type Encoder = (frame: FrameContent) => Uint8Array;

/** What a kernel must answer, and the bytes that it must have written from `out` on. */
export interface ExpectedRun
  extends Pick<
    Run,
    | 'batchRemaining'
    | 'consumedTo'
    | 'outTo'
    | 'entries'
    | 'payloadBytes'
    | 'wholeBatchEntries'
    | 'wholeBatchOutTo'
    | 'stop'
  > {
  readonly bytes: Uint8Array;
}

export interface Stamps {
  readonly logId: bigint;
  readonly segmentNumber: number;
  readonly segment: SegmentStamp | undefined;
}

/** The kernel's contract, one whole frame at a time. `records` start at `run.from`; `run.to` may stop short of their end. */
export function expectRun(
  records: readonly LaidRecord[],
  run: Run,
  stamps: Stamps,
  encode: Encoder,
): ExpectedRun {
  const frames: Uint8Array[] = [];
  let { batchRemaining, from: consumedTo, out: outTo, out: wholeBatchOutTo } = run;
  let payloadBytes = 0;
  let wholeBatchEntries = 0;
  let stop: Run['stop'] = 'end';
  for (const record of records) {
    if (record.end > run.to) break;
    if (frames.length === run.maxEntries) {
      stop = 'max-entries';
      break;
    }
    if (record.kind === 'batch') batchRemaining = record.entries;
    if (record.kind === 'entry') {
      const first = frames.length === 0;
      const frame = encode({
        data: record.data,
        lsn: run.lsn + frames.length,
        syncedLsn: first && run.syncedLsn >= 0 ? run.syncedLsn : undefined,
        batchRemaining: Math.max(0, batchRemaining - 1),
        segment: first ? stamps.segment : undefined,
        logId: stamps.logId,
        segmentNumber: stamps.segmentNumber,
        fileOffset: run.fileOffset + outTo - run.out,
      });
      if (outTo + frame.length > run.outEnd) {
        stop = 'out-full';
        break;
      }
      frames.push(frame);
      outTo += frame.length;
      payloadBytes += record.data.length;
      batchRemaining = Math.max(0, batchRemaining - 1);
      if (batchRemaining === 0) {
        wholeBatchEntries = frames.length;
        wholeBatchOutTo = outTo;
      }
    }
    consumedTo = record.end;
  }
  return {
    batchRemaining,
    consumedTo,
    outTo,
    entries: frames.length,
    payloadBytes,
    wholeBatchEntries,
    wholeBatchOutTo,
    stop,
    bytes: Buffer.concat(frames),
  };
}

/** src/format's encoder. */
export const encodeByFormat: Encoder = ({ logId, segmentNumber, ...fields }) =>
  encodeFrame({ ...fields, checksumSeed: frameChecksumSeed(logId, segmentNumber) });

const schema = protobuf.loadSync(fileURLToPath(new URL('../../../proto/wal.proto', import.meta.url)));
const entryType = schema.lookupType('ringwal.WAL_Entry');

/** protobufjs, and checksums straight from the definition: nothing of src. */
export const encodeByProtobufjs: Encoder = (frame) => {
  const { data, lsn, syncedLsn, batchRemaining, segment } = frame;
  const crc = CRC32.buf(Buffer.concat([data, Uint8Array.of(lsn % 256)])) >>> 0;
  // protobufjs writes whatever a message has of its own: defaults must be absent.
  const fields: Record<string, unknown> = { logSequenceNumber: lsn };
  if (data.length > 0) fields.data = data;
  if (crc !== 0) fields.CRC = crc;
  if (syncedLsn !== undefined) fields.syncedLsn = syncedLsn;
  if (batchRemaining > 0) fields.batchRemaining = batchRemaining;
  if (segment !== undefined) fields.segment = segmentMessage(segment);
  const plain = entryType.encode(fields).finish();
  if (syncedLsn === undefined && batchRemaining === 0 && segment === undefined) {
    return Buffer.concat([uint32(plain.length), plain]);
  }
  const size = uint32(plain.length + 5);
  const dataEnd = data.length === 0 ? 0 : entryType.encode({ logSequenceNumber: lsn, data }).finish().length;
  const guarded = [
    uint64(frame.logId),
    uint64(BigInt(frame.segmentNumber)),
    uint64(BigInt(frame.fileOffset)),
    size,
    plain.subarray(0, dataEnd - data.length),
    plain.subarray(dataEnd),
  ];
  fields.frameCrc = CRC32.buf(Buffer.concat(guarded)) >>> 0;
  return Buffer.concat([size, entryType.encode(fields).finish()]);
};

function segmentMessage({
  logId,
  number,
  createdMs,
  recycled,
  branch,
}: SegmentStamp): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  if (logId !== 0n) fields.logId = { low: Number(logId & 0xffffffffn), high: Number(logId >> 32n) };
  if (number !== 0) fields.number = number;
  if (createdMs !== 0) fields.createdMs = createdMs;
  if (recycled) fields.recycled = true;
  if (branch !== 0n) fields.branch = { low: Number(branch & 0xffffffffn), high: Number(branch >> 32n) };
  return fields;
}

function uint32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function uint64(value: bigint): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}
