/**
 * The wasm kernel, in AssemblyScript: `frameRun` of ../kernel.ts over one lane's memory, without a JS call per entry.
 * src/build-kernels.mjs compiles it, ../wasm.ts instantiates it and turns a Run into arguments and globals.
 *
 * All state is in the lane's memory or in the arguments; the module has no data of its own and allocates nothing.
 *
 * bench/functions/kernel.ts measures the whole. The bets below were compared on a bare loop that framed fields 1 to 3 with no
 * check for room; the losing variants are not kept, so measure again before changing one.
 *
 *   - Folding from 64 bytes on (crc32.ts): it took a quarter off a checksum of 100 bytes, and more than half of one of 1 KiB. Two
 *     independent streams of slicing at a time were no gain: the number of lookups costs, not their order.
 *   - Slicing-by-16: sixteen lookups that do not depend on each other for sixteen bytes, against a chain of sixteen. It needs 16
 *     KiB of tables, which fit a first-level cache beside the entry.
 *   - Copy and checksum are one loop: the bytes are in registers once.
 *   - A lookup is `load(x & 0x3fc, table)`, the index scaled by the shift that picks the byte, the table's position an immediate
 *     of the load, and the lookups that wait for the old state last. The shift without the immediate was no gain.
 */

import {
  FOLD_BYTES_MIN,
  TABLES,
  update,
  update4,
  update16,
  updateByFolding,
  updateByte,
  updateU64,
} from '../../../format/kernel/assembly/crc32';

export { fillTables } from '../../../format/kernel/assembly/crc32';

// As in ring/layout.ts.
const WRAP: i32 = -1;
const BATCH: i32 = -2;

/** ../wasm.ts refuses a module whose tables lie elsewhere than its layout says: their writes would overwrite other regions. */
export const tablesStart: u32 = TABLES as u32;

// What `frameRun` returns, in the order of STOPS in ../wasm.ts.
const STOP_END: i32 = 0;
const STOP_MAX_ENTRIES: i32 = 1;
const STOP_OUT_FULL: i32 = 2;
const STOP_BROKEN: i32 = 3;

// Tags of the fields, see format/frame.ts. Field 8 comes encoded.
const TAG_LSN: u8 = 0x08;
const TAG_DATA: u8 = 0x12;
const TAG_CRC: u8 = 0x18;
const TAG_SYNCED_LSN: u8 = 0x20;
const TAG_BATCH_REMAINING: u8 = 0x28;
const TAG_FRAME_CRC: u8 = 0x7d;

const SIZE_WORD_BYTES: i32 = 4;
const FRAME_CRC_FIELD_BYTES: i32 = 5;

/** Most bytes of a frame with fields 1 to 3, without its data: size word, LSN < 2^53, length < 2^30, CRC. */
const PLAIN_OVERHEAD_MAX: i32 = SIZE_WORD_BYTES + (1 + 8) + (1 + 5) + (1 + 5);

// The results of `frameRun` besides its return value; names as in Run.
export let batchRemaining: i32 = 0;
export let consumedTo: u32 = 0;
export let outTo: u32 = 0;
export let entries: i32 = 0;
export let payloadBytes: u32 = 0;
export let wholeBatchEntries: i32 = 0;
export let wholeBatchOutTo: u32 = 0;

export function frameRun(
  from: u32,
  to: u32,
  maxEntries: i32,
  out: u32,
  outEnd: u32,
  firstLsn: f64,
  fileOffset: f64,
  checksumSeed: u32,
  syncedLsn: f64,
  segmentFieldAt: u32,
  segmentFieldBytes: i32,
  remaining: i32,
): i32 {
  let lsn = firstLsn as u64;
  let record = from;
  let at = out;
  let made = 0;
  let payload: u32 = 0;
  let wholeMade = 0;
  let wholeAt = out;
  let stop = STOP_END;

  // Fields 4 and 8 go into the first frame only: after it these are set to "nothing".
  let synced = syncedLsn as i64;
  let segmentBytes = segmentFieldBytes;
  let openingBytes = (synced >= 0 ? 1 + varintBytes(synced as u64) : 0) + segmentBytes;

  while (record < to) {
    if (made == maxEntries) {
      stop = STOP_MAX_ENTRIES;
      break;
    }
    const word = load<i32>(record);
    if (word < 0) {
      if (word == WRAP) {
        record = to;
        break;
      }
      const batch = load<i32>(record, 4);
      if (word != BATCH || batch < 1 || remaining > 0) {
        stop = STOP_BROKEN;
        break;
      }
      remaining = batch;
      record += 8;
      continue;
    }

    const recordBytes = ((word as u32) + 11) & ~7;
    if (recordBytes > to - record) {
      stop = STOP_BROKEN;
      break;
    }
    const source = record + 4;
    const after = remaining > 1 ? remaining - 1 : 0;
    let extensionBytes = openingBytes;
    if (after) extensionBytes += 1 + varintBytes(after as u64);
    if (extensionBytes) extensionBytes += FRAME_CRC_FIELD_BYTES;

    // The exact length depends on the CRC's value. It is worth a second pass only if the longest possible frame would not fit.
    const room = (outEnd - at) as i32;
    if (word + PLAIN_OVERHEAD_MAX + extensionBytes > room) {
      if (plainFrameBytes(lsn, source, word) + extensionBytes > room) {
        stop = STOP_OUT_FULL;
        break;
      }
    }

    const start = at;
    at += SIZE_WORD_BYTES;
    store<u8>(at, TAG_LSN);
    at = writeVarint(at + 1, lsn);
    let crc: u32 = 0xffffffff;
    if (word) {
      store<u8>(at, TAG_DATA);
      at = writeVarint(at + 1, word as u64);
      crc = copyAndUpdate(crc, source, word, at);
      at += word;
    }
    const dataEnd = at;
    crc = ~updateByte(crc, lsn as u32);
    if (crc) {
      store<u8>(at, TAG_CRC);
      at = writeVarint(at + 1, crc as u64);
    }

    if (extensionBytes) {
      if (synced >= 0) {
        store<u8>(at, TAG_SYNCED_LSN);
        at = writeVarint(at + 1, synced as u64);
      }
      if (after) {
        store<u8>(at, TAG_BATCH_REMAINING);
        at = writeVarint(at + 1, after as u64);
      }
      if (segmentBytes) {
        memory.copy(at, segmentFieldAt, segmentBytes);
        at += segmentBytes;
      }
      store<u32>(start, at + FRAME_CRC_FIELD_BYTES - start - SIZE_WORD_BYTES);
      let frameCrc = updateU64(~checksumSeed, (fileOffset as u64) + ((start - out) as u64));
      frameCrc = update(frameCrc, start, dataEnd - word - start);
      frameCrc = update(frameCrc, dataEnd, at - dataEnd);
      store<u8>(at, TAG_FRAME_CRC);
      store<u32>(at, ~frameCrc, 1);
      at += FRAME_CRC_FIELD_BYTES;
      synced = -1;
      segmentBytes = 0;
      openingBytes = 0;
    } else {
      store<u32>(start, at - start - SIZE_WORD_BYTES);
    }

    record += recordBytes;
    remaining = after;
    lsn++;
    made++;
    payload += word;
    if (after == 0) {
      wholeMade = made;
      wholeAt = at;
    }
  }

  batchRemaining = remaining;
  consumedTo = record;
  outTo = at;
  entries = made;
  payloadBytes = payload;
  wholeBatchEntries = wholeMade;
  wholeBatchOutTo = wholeAt;
  return stop;
}

/** What a copy may write past its end, in PACK_SLACK_BYTES. */
const COPY_BYTES: u32 = 16;

/** `packRun` of ../kernel.ts; false = broken records, at `consumedTo`. Bet: for short entries vectors are quicker than memory.copy. */
export function packRun(
  from: u32,
  to: u32,
  maxEntries: i32,
  out: u32,
  outEnd: u32,
  targetBytes: u32,
  remaining: i32,
): bool {
  const continues = remaining > 0;
  let record = from;
  let at = out;
  let made = 0;
  let payload: u32 = 0;
  // The state before a batch that began after other entries; made = 0: there is none.
  let markRecord: u32 = 0;
  let markAt: u32 = 0;
  let markMade = 0;
  let markPayload: u32 = 0;

  while (record < to) {
    const word = load<i32>(record);
    if (word < 0) {
      if (word == WRAP) {
        record = to;
        break;
      }
      const batch = load<i32>(record, 4);
      if (word != BATCH || batch < 1 || remaining > 0) {
        consumedTo = record;
        return false;
      }
      markRecord = record;
      markAt = at;
      markMade = made;
      markPayload = payload;
      remaining = batch;
      record += 8;
      continue;
    }
    if (made == maxEntries) break;
    const recordBytes = ((word as u32) + 11) & ~7;
    if (recordBytes > to - record) {
      consumedTo = record;
      return false;
    }
    const head = ((word as u64) << 1) | (remaining > 1 ? 1 : 0);
    const end = at + varintBytes(head) + word;
    if (made > 0 && end - out + 4 > targetBytes) break;
    if (end + 4 + COPY_BYTES > outEnd) break;
    at = writeVarint(at, head);
    for (let i: i32 = 0; i < word; i += COPY_BYTES) v128.store(at + i, v128.load(record + 4 + i));
    at = end;
    record += recordBytes;
    made++;
    payload += word;
    if (remaining > 0 && --remaining == 0) {
      markMade = 0;
      if (continues) break;
    }
  }
  if (remaining > 0 && markMade > 0) {
    record = markRecord;
    at = markAt;
    made = markMade;
    payload = markPayload;
    remaining = 0;
  }
  if (made > 0) {
    store<u32>(at, ~update(0xffffffff, out, at - out));
    at += 4;
  }
  batchRemaining = remaining;
  consumedTo = record;
  outTo = at;
  entries = made;
  payloadBytes = payload;
  return true;
}

/** Length of the frame of fields 1 to 3 alone, size word included. */
function plainFrameBytes(lsn: u64, source: u32, dataBytes: i32): i32 {
  const crc = ~updateByte(update(0xffffffff, source, dataBytes), lsn as u32);
  let bytes = SIZE_WORD_BYTES + 1 + varintBytes(lsn);
  if (dataBytes) bytes += 1 + varintBytes(dataBytes as u64) + dataBytes;
  if (crc) bytes += 1 + varintBytes(crc as u64);
  return bytes;
}

/** ceil(bits / 7), with 1 for zero: bits * 9 / 64 is close enough to bits / 7 up to 64 bits. */
function varintBytes(value: u64): i32 {
  return (((64 - clz(value | 1)) * 9 + 64) >>> 6) as i32;
}

@inline
function writeVarint(at: u32, value: u64): u32 {
  while (value > 0x7f) {
    store<u8>(at++, (value as u8) | 0x80);
    value >>>= 7;
  }
  store<u8>(at, value as u8);
  return at + 1;
}

/** Copies n bytes to `target` and adds them to the checksum state. */
@inline
function copyAndUpdate(crc: u32, source: u32, n: i32, target: u32): u32 {
  if ((n as u32) >= FOLD_BYTES_MIN) {
    crc = updateByFolding(crc, source, n, target, true);
    source += n & ~15;
    target += n & ~15;
    n &= 15;
  }
  while (n >= 16) {
    const a = load<u32>(source);
    const b = load<u32>(source, 4);
    const c = load<u32>(source, 8);
    const d = load<u32>(source, 12);
    store<u32>(target, a);
    store<u32>(target, b, 4);
    store<u32>(target, c, 8);
    store<u32>(target, d, 12);
    crc = update16(crc, a, b, c, d);
    source += 16;
    target += 16;
    n -= 16;
  }
  while (n >= 4) {
    const a = load<u32>(source);
    store<u32>(target, a);
    crc = update4(crc, a);
    source += 4;
    target += 4;
    n -= 4;
  }
  while (n-- > 0) {
    const byte = load<u8>(source++);
    store<u8>(target++, byte);
    crc = updateByte(crc, byte);
  }
  return crc;
}
