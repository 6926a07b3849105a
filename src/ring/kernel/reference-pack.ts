import { packedBytes } from '../../format/block-run.js';
import { crc32 } from '../../format/crc32.js';
import { writeUint32, writeVarint } from '../../format/wire.js';
import { BATCH, BATCH_MARKER_BYTES, RECORD_HEADER_BYTES, recordBytes, WRAP } from '../layout.js';
import { brokenRecords, type Pack } from './kernel.js';

const CHECKSUM_BYTES = 4;
/** What the wasm kernel may write past the end of a copy: it needs the room, and both take the same records. */
const COPY_BYTES = 16;

/** `packRun` of the reference kernel. `i32` and `u8` cover the lane's memory. */
export function packRecords(i32: Int32Array, u8: Uint8Array, pack: Pack): void {
  const { from, to, maxEntries, out, outEnd, targetBytes } = pack;
  const continues = pack.batchRemaining > 0;
  const state = { record: from, at: out, entries: 0, payloadBytes: 0 };
  /** The state before a batch that began after other entries. */
  let mark: typeof state | undefined;
  let remaining = pack.batchRemaining;

  while (state.record < to) {
    const { record, at } = state;
    const word = i32[record >> 2];
    if (word === WRAP) {
      state.record = to;
      break;
    }
    if (word === BATCH) {
      const batch = i32[(record >> 2) + 1];
      if (batch < 1 || remaining > 0) throw brokenRecords(pack, record);
      mark = state.entries > 0 ? { ...state } : undefined;
      remaining = batch;
      state.record += BATCH_MARKER_BYTES;
      continue;
    }
    if (word < 0) throw brokenRecords(pack, record);
    if (state.entries === maxEntries) break;
    if (recordBytes(word) > to - record) throw brokenRecords(pack, record);
    const end = at + packedBytes(word);
    if (state.entries > 0 && end - out + CHECKSUM_BYTES > targetBytes) break;
    if (end + CHECKSUM_BYTES + COPY_BYTES > outEnd) break;
    const dataStart = record + RECORD_HEADER_BYTES;
    const dataAt = writeVarint(u8, at, 2 * word + (remaining > 1 ? 1 : 0));
    u8.copyWithin(dataAt, dataStart, dataStart + word);
    state.at = end;
    state.record += recordBytes(word);
    state.entries += 1;
    state.payloadBytes += word;
    if (remaining === 0) continue;
    remaining -= 1;
    if (remaining > 0) continue;
    mark = undefined;
    if (continues) break;
  }
  if (remaining > 0 && mark !== undefined) {
    Object.assign(state, mark);
    remaining = 0;
  }
  if (state.entries > 0) {
    writeUint32(u8, state.at, crc32(u8.subarray(out, state.at)));
    state.at += CHECKSUM_BYTES;
  }
  pack.batchRemaining = remaining;
  pack.consumedTo = state.record;
  pack.outTo = state.at;
  pack.entries = state.entries;
  pack.payloadBytes = state.payloadBytes;
}
