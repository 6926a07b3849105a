/**
 * The reading kernel, in AssemblyScript: `scan` of ../plain-frames.ts. It goes over a run of plain frames (fields 1 to 3
 * alone, as all but the first one of a group are) and accepts those that are valid beyond doubt: a value with one canonical
 * form is compared with the bytes that it must have, not decoded. The kernel never refuses anything: it stops where a frame
 * is not of this kind, and the parser in TypeScript judges that frame.
 *
 * Memory, the module's own:
 *
 *      4096   CRC tables, 16 KiB
 *     20480   index: for each accepted frame u32 start and u32 end of its data, as offsets in the bytes
 *    151552   bytes: a piece of a segment
 */

import { TABLES, update, updateByte } from './crc32';

export { fillTables } from './crc32';

const INDEX: u32 = (TABLES as u32) + 16 * 1024;
const BYTES: u32 = 151552;
const END: u32 = 524288;

export const indexStart: u32 = INDEX;
export const bytesStart: u32 = BYTES;
/** Most bytes, and most frames, that one call can deal with. A varint that is compared may be read past the bytes' end. */
export const bytesMax: u32 = END - BYTES - 64;
export const framesMax: u32 = (BYTES - INDEX) / 8;

const TAG_LSN: u8 = 0x08;
const TAG_DATA: u8 = 0x12;
const TAG_CRC: u8 = 0x18;

/** Where the first frame that was not accepted starts, as an offset in the bytes. */
export let stoppedAt: u32 = 0;

/**
 * Accepts frames from offset `from` on that start before `until` and end by `to`, whose LSNs are `firstLsn` and so on.
 * Those below `wantedLsn` are not checksummed and not put into the index. Returns how many were accepted, at most
 * `framesWanted`.
 */
export function scan(
  from: u32,
  until: u32,
  to: u32,
  firstLsn: f64,
  wantedLsn: f64,
  framesWanted: i32,
): i32 {
  let lsn = firstLsn as u64;
  const wanted = wantedLsn as u64;
  const end = BYTES + to;
  const pause = BYTES + until;
  let frame = BYTES + from;
  let index = INDEX;
  let accepted = 0;
  while (accepted < framesWanted && frame < pause && end - frame >= 6) {
    const size = load<u32>(frame);
    if (size > end - frame - 4) break;
    const frameEnd = frame + 4 + size;
    let at = frame + 4;
    if (load<u8>(at) != TAG_LSN) break;
    at = afterVarint(at + 1, lsn);
    if (at == 0 || at > frameEnd) break;

    let dataStart = at;
    let dataBytes: u32 = 0;
    if (at < frameEnd && load<u8>(at) == TAG_DATA) {
      let shift: u32 = 0;
      let byte: u32 = 0;
      do {
        byte = load<u8>(++at);
        dataBytes |= (byte & 0x7f) << shift;
        shift += 7;
        // Four bytes can name a larger size than this memory can hold.
      } while (byte & 0x80 && shift < 28);
      // The varint is not minimal, or is 0, or is cut off.
      if (byte == 0 || byte & 0x80 || ++at > frameEnd) break;
      dataStart = at;
      if (dataBytes > frameEnd - dataStart) break;
      at += dataBytes;
    }

    if (lsn < wanted) {
      if (at < frameEnd && !isCrcField(at, frameEnd)) break;
    } else {
      const crc = ~updateByte(update(0xffffffff, dataStart, dataBytes), lsn as u32);
      if (crc) {
        if (at == frameEnd || load<u8>(at) != TAG_CRC) break;
        if (afterVarint(at + 1, crc as u64) != frameEnd) break;
      } else if (at != frameEnd) break;
      store<u32>(index, dataStart - BYTES);
      store<u32>(index, dataStart + dataBytes - BYTES, 4);
      index += 8;
    }
    frame = frameEnd;
    lsn++;
    accepted++;
  }
  stoppedAt = frame - BYTES;
  return accepted;
}

/** Where the minimal varint of `value` ends, if it stands at `at`; else 0. */
@inline
function afterVarint(at: u32, value: u64): u32 {
  while (value > 0x7f) {
    if (load<u8>(at++) != (((value as u8) & 0x7f) | 0x80)) return 0;
    value >>>= 7;
  }
  return load<u8>(at) == (value as u8) ? at + 1 : 0;
}

/** Is `[at, end)` a canonical field 3, with any value? */
function isCrcField(at: u32, end: u32): bool {
  const bytes = end - at - 1;
  if (load<u8>(at) != TAG_CRC || bytes < 1 || bytes > 5) return false;
  for (let i: u32 = 1; i < bytes; i++) if (!(load<u8>(at + i) & 0x80)) return false;
  const last = load<u8>(at + bytes);
  // The fifth byte has the four highest bits of 32.
  return last != 0 && last < (bytes == 5 ? 0x10 : 0x80);
}
