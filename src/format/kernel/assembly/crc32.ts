/**
 * CRC-32/IEEE for the kernels: that of a lane (src/ring/kernel), which records the measurements, and the one that reads
 * frames (plain-frames.ts). Short pieces go by slicing by 16; longer pieces are shortened by folding first.
 *
 * Folding. P, the polynomial of the checksum, divides x^300 + x^155 + x^117 + x^89 + 1. So a bit may be taken out of a message
 * if the bits 145, 183, 211 and 300 places after it are flipped: the remainder stays the same. (Chorba, Kadatch, Jenkins and
 * Russell, 2024, found such sparse multiples and this use of them.) For a vector of two words of 64 bits, first bit lowest,
 * this takes only shifts, and no table:
 *
 *     v          words 0 1 │ 2 3 │ 4 5 │ 6
 *                v taken out
 *     nearest                a a             a: 145 = 2 * 64 + 17 and 183 = 2 * 64 + 55 places on, the part within the word
 *     middle                   b │ b         b: the part of these past the word's end, and 211 = 3 * 64 + 19
 *     far                          c c       c: the rest of 211, and 300 = 4 * 64 + 44
 *     farthest                       d │ d   d: the rest of 300
 *
 * Each round takes out the first 16 bytes. At the end 48 bytes are left, for slicing.
 */

/** Where the tables lie in the memory of the kernel that uses them: 16 of 1 KiB. */
export const TABLES: usize = 4096;

/** Fills the tables. Once for each memory, before the first `frameRun`. */
export function fillTables(): void {
  for (let byte: u32 = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? 0xedb88320 ^ (crc >>> 1) : crc >>> 1;
    store<u32>(byte << 2, crc, TABLES);
  }
  // Table t: the state of a byte after t zero bytes have followed it.
  for (let byte: u32 = 0; byte < 256; byte++) {
    let crc = load<u32>(byte << 2, TABLES);
    for (let t: u32 = 1; t < 16; t++) {
      crc = load<u32>((crc & 0xff) << 2, TABLES) ^ (crc >>> 8);
      store<u32>((t << 10) + (byte << 2), crc, TABLES);
    }
  }
}

// The CRC functions take and give the inverted state: start with 0xffffffff, the checksum is its complement.

/** Takes n bytes into the state. */
export function update(crc: u32, source: u32, n: u32): u32 {
  if (n >= FOLD_BYTES_MIN) {
    crc = updateByFolding(crc, source, n, 0, false);
    source += n & ~15;
    n &= 15;
  }
  while (n >= 16) {
    crc = update16(crc, load<u32>(source), load<u32>(source, 4), load<u32>(source, 8), load<u32>(source, 12));
    source += 16;
    n -= 16;
  }
  while (n >= 4) {
    crc = update4(crc, load<u32>(source));
    source += 4;
    n -= 4;
  }
  while (n--) crc = updateByte(crc, load<u8>(source++));
  return crc;
}

/** One vector folded, and the 48 bytes that are left. */
export const FOLD_BYTES_MIN: u32 = 64;

/** Takes `n & ~15` bytes into the state, n from [FOLD_BYTES_MIN] on, and copies them to `target` if `copies` says so. */
@inline
export function updateByFolding(crc: u32, source: u32, n: u32, target: u32, copies: bool): u32 {
  const zero = v128.splat<i64>(0);
  let data = v128.load(source);
  if (copies) v128.store(target, data);
  // The vector to be folded, with everything that was folded into it, beginning with the state.
  let vector = v128.xor(data, v128.replace_lane<u32>(zero, 0, crc));
  // The folds so far into the next vector, and into the one after that: there only its lower word, kept in the upper one here.
  let next = zero;
  let far = zero;
  do {
    const middle = v128.xor(
      v128.xor(v128.shr<u64>(vector, 64 - 17), v128.shr<u64>(vector, 64 - 55)),
      v128.shl<i64>(vector, 19),
    );
    const farthest = v128.shr<u64>(vector, 64 - 44);
    data = v128.load(source, 16);
    if (copies) v128.store(target, data, 16);
    const nearest = v128.xor(v128.shl<i64>(vector, 17), v128.shl<i64>(vector, 55));
    const folded = v128.xor(
      v128.xor(v128.xor(data, next), nearest),
      // The shuffles are those that an engine has one instruction for.
      v128.shuffle<u64>(zero, middle, 0, 2),
    );
    next = v128.xor(
      v128.xor(
        v128.xor(v128.shr<u64>(vector, 64 - 19), v128.shl<i64>(vector, 44)),
        v128.shuffle<u64>(middle, farthest, 1, 2),
      ),
      v128.shuffle<u64>(far, zero, 1, 3),
    );
    far = farthest;
    vector = folded;
    source += 16;
    target += 16;
    n -= 16;
  } while (n >= FOLD_BYTES_MIN);
  if (copies) {
    v128.store(target, v128.load(source, 16), 16);
    v128.store(target, v128.load(source, 32), 32);
  }
  crc = updateWords(0, v128.extract_lane<u64>(vector, 0), v128.extract_lane<u64>(vector, 1));
  crc = updateWords(
    crc,
    load<u64>(source, 16) ^ v128.extract_lane<u64>(next, 0),
    load<u64>(source, 24) ^ v128.extract_lane<u64>(next, 1),
  );
  return updateWords(crc, load<u64>(source, 32) ^ v128.extract_lane<u64>(far, 1), load<u64>(source, 40));
}

@inline
function updateWords(crc: u32, first: u64, second: u64): u32 {
  return update16(crc, first as u32, (first >>> 32) as u32, second as u32, (second >>> 32) as u32);
}

export function updateU64(crc: u32, value: u64): u32 {
  return update4(update4(crc, value as u32), (value >>> 32) as u32);
}

/** The twelve lookups that do not need the old state come first, so that they run while it is still being made. */
@inline
export function update16(crc: u32, a: u32, b: u32, c: u32, d: u32): u32 {
  a ^= crc;
  return (
    load<u32>((b << 2) & 0x3fc, TABLES + 11 * 1024) ^
    load<u32>((b >>> 6) & 0x3fc, TABLES + 10 * 1024) ^
    load<u32>((b >>> 14) & 0x3fc, TABLES + 9 * 1024) ^
    load<u32>((b >>> 22) & 0x3fc, TABLES + 8 * 1024) ^
    (load<u32>((c << 2) & 0x3fc, TABLES + 7 * 1024) ^
      load<u32>((c >>> 6) & 0x3fc, TABLES + 6 * 1024) ^
      load<u32>((c >>> 14) & 0x3fc, TABLES + 5 * 1024) ^
      load<u32>((c >>> 22) & 0x3fc, TABLES + 4 * 1024)) ^
    (load<u32>((d << 2) & 0x3fc, TABLES + 3 * 1024) ^
      load<u32>((d >>> 6) & 0x3fc, TABLES + 2 * 1024) ^
      load<u32>((d >>> 14) & 0x3fc, TABLES + 1 * 1024) ^
      load<u32>((d >>> 22) & 0x3fc, TABLES)) ^
    (load<u32>((a << 2) & 0x3fc, TABLES + 15 * 1024) ^
      load<u32>((a >>> 6) & 0x3fc, TABLES + 14 * 1024) ^
      load<u32>((a >>> 14) & 0x3fc, TABLES + 13 * 1024) ^
      load<u32>((a >>> 22) & 0x3fc, TABLES + 12 * 1024))
  );
}

@inline
export function update4(crc: u32, a: u32): u32 {
  a ^= crc;
  return (
    load<u32>((a << 2) & 0x3fc, TABLES + 3 * 1024) ^
    load<u32>((a >>> 6) & 0x3fc, TABLES + 2 * 1024) ^
    load<u32>((a >>> 14) & 0x3fc, TABLES + 1 * 1024) ^
    load<u32>((a >>> 22) & 0x3fc, TABLES)
  );
}

@inline
export function updateByte(crc: u32, byte: u32): u32 {
  return load<u32>(((crc ^ byte) << 2) & 0x3fc, TABLES) ^ (crc >>> 8);
}
