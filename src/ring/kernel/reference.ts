import { crc32 } from '../../format/crc32.js';
import {
  closeDataChecksum,
  FRAME_CRC_BYTES,
  frameChecksum,
  SIZE_WORD_BYTES,
  TAG,
} from '../../format/frame.js';
import { varintLength, writeUint32, writeVarint } from '../../format/wire.js';
import {
  BATCH,
  BATCH_MARKER_BYTES,
  type LaneViews,
  RECORD_HEADER_BYTES,
  recordBytes,
  WRAP,
} from '../layout.js';
import { brokenRecords, type Kernel, type Pack, type Run } from './kernel.js';
import { packRecords } from './reference-pack.js';

/** The kernel in plain TypeScript: the reference for the wasm kernel, and its substitute if there is no WebAssembly. */
export function createReferenceKernel(views: LaneViews): Kernel {
  return new ReferenceKernel(views);
}

/**
 * Simple where the wasm kernel is fast: it computes every length before it writes a byte, with the checksums and varints of
 * src/format. bench/functions/kernel.ts measures both.
 */
class ReferenceKernel implements Kernel {
  readonly name = 'reference';
  readonly #i32: Int32Array;
  readonly #u8: Uint8Array;

  constructor(views: LaneViews) {
    this.#i32 = views.i32;
    this.#u8 = views.u8;
  }

  frameRun(run: Run): void {
    const i32 = this.#i32;
    let record = run.from;
    let at = run.out;
    run.entries = 0;
    run.payloadBytes = 0;
    run.wholeBatchEntries = 0;
    run.wholeBatchOutTo = at;
    run.stop = 'end';

    while (record < run.to) {
      if (run.entries === run.maxEntries) {
        run.stop = 'max-entries';
        break;
      }
      const word = i32[record >> 2];
      if (word === WRAP) {
        record = run.to;
        break;
      }
      if (word === BATCH) {
        const entries = i32[(record >> 2) + 1];
        if (entries < 1 || run.batchRemaining > 0) throw brokenRecords(run, record);
        run.batchRemaining = entries;
        record += BATCH_MARKER_BYTES;
        continue;
      }
      if (word < 0 || word > run.to - record - RECORD_HEADER_BYTES) throw brokenRecords(run, record);

      const end = this.#writeFrame(run, record + RECORD_HEADER_BYTES, word, at);
      if (end < 0) {
        run.stop = 'out-full';
        break;
      }
      at = end;
      record += recordBytes(word);
      run.entries += 1;
      run.payloadBytes += word;
      if (run.batchRemaining > 0) run.batchRemaining -= 1;
      if (run.batchRemaining === 0) {
        run.wholeBatchEntries = run.entries;
        run.wholeBatchOutTo = at;
      }
    }
    run.consumedTo = record;
    run.outTo = at;
  }

  packRun(pack: Pack): void {
    packRecords(this.#i32, this.#u8, pack);
  }

  /** Writes the next frame of the run at `start` and returns where it ends; -1 = it does not fit. */
  #writeFrame(run: Run, dataAt: number, dataBytes: number, start: number): number {
    const u8 = this.#u8;
    const data = u8.subarray(dataAt, dataAt + dataBytes);
    const lsn = run.lsn + run.entries;
    const crc = closeDataChecksum(crc32(data), lsn);
    const syncedLsn = run.entries === 0 ? run.syncedLsn : -1;
    const segmentFieldBytes = run.entries === 0 ? run.segmentFieldBytes : 0;
    const batchRemaining = Math.max(0, run.batchRemaining - 1);

    let extensionBytes = segmentFieldBytes;
    if (syncedLsn >= 0) extensionBytes += 1 + varintLength(syncedLsn);
    if (batchRemaining > 0) extensionBytes += 1 + varintLength(batchRemaining);
    if (extensionBytes > 0) extensionBytes += FRAME_CRC_BYTES;
    let size = 1 + varintLength(lsn) + extensionBytes;
    if (dataBytes > 0) size += 1 + varintLength(dataBytes) + dataBytes;
    if (crc > 0) size += 1 + varintLength(crc);
    if (SIZE_WORD_BYTES + size > run.outEnd - start) return -1;

    writeUint32(u8, start, size);
    let at = this.#writeNumber(start + SIZE_WORD_BYTES, TAG.lsn, lsn);
    if (dataBytes > 0) at = this.#writeNumber(at, TAG.data, dataBytes);
    const dataStart = at;
    u8.set(data, at);
    at += dataBytes;
    if (crc > 0) at = this.#writeNumber(at, TAG.crc, crc);
    if (extensionBytes === 0) return at;

    if (syncedLsn >= 0) at = this.#writeNumber(at, TAG.syncedLsn, syncedLsn);
    if (batchRemaining > 0) at = this.#writeNumber(at, TAG.batchRemaining, batchRemaining);
    u8.copyWithin(at, run.segmentFieldAt, run.segmentFieldAt + segmentFieldBytes);
    at += segmentFieldBytes;
    const beforeData = u8.subarray(start, dataStart);
    const afterData = u8.subarray(dataStart + dataBytes, at);
    const fileOffset = run.fileOffset + start - run.out;
    u8[at] = TAG.frameCrc;
    writeUint32(u8, at + 1, frameChecksum(beforeData, afterData, run.checksumSeed, fileOffset));
    return at + FRAME_CRC_BYTES;
  }

  #writeNumber(at: number, tag: number, value: number): number {
    this.#u8[at] = tag;
    return writeVarint(this.#u8, at + 1, value);
  }
}
