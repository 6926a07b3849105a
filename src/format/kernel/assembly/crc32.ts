/**
 * CRC-32/IEEE, slicing by 16, for the kernels: that of a lane (src/ring/kernel), which says what was measured, and the one
 * that reads frames (plain-frames.ts).
 */

/** Where the tables lie in the memory of whoever uses them: 16 of 1 KiB. */
export const TABLES: usize = 4096;

/** Fills the tables. Once for each memory, before the first `frameRun`. */
export function fillTables(): void {
  for (let byte: u32 = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? 0xedb88320 ^ (crc >>> 1) : crc >>> 1;
    store<u32>(byte << 2, crc, TABLES);
  }
  // Table t: what a byte has become once t zero bytes have followed it.
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
  while (n >= 16) {
    crc = update16(crc, load<u32>(source), load<u32>(source, 4), load<u32>(source, 8), load<u32>(source, 12));
    source += 16;
    n -= 16;
  }
  while (n--) crc = updateByte(crc, load<u8>(source++));
  return crc;
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
