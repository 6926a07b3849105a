/**
 * LZ4 blocks, in AssemblyScript: `compress` and `decompress` of ../lz4.ts. The format is the one of the LZ4 project's
 * lz4_Block_format.md; ../lz4-reference.ts is the same in TypeScript and gives the same bytes.
 *
 * Memory, the module's own; ../lz4.ts makes it as large as the buffers need:
 *
 *         0   hash table, 64 KiB: for each hash of four bytes where these were seen last, as an offset in the input
 *     65536   buffers: the caller says where
 *
 * Positions are absolute. Copies go 8 or 16 bytes at a time and may write up to SLACK bytes past their end, never past the
 * buffer's end that was given plus SLACK: the caller leaves that much room, and nothing there counts.
 *
 * Nothing that is decompressed is trusted: each length is checked against the end of its buffer before a byte is copied.
 */

const HASH_BITS: u32 = 14;
const TABLE_BYTES: u32 = 4 << HASH_BITS;

export const buffersStart: u32 = TABLE_BYTES;
/** Room that a buffer needs after its end. */
export const slack: u32 = 32;

const MATCH_BYTES_MIN: u32 = 4;
const OFFSET_MAX: u32 = 65535;
/** The last match starts this far before the end at least, and the last five bytes are literals. */
const MATCH_FREE_END: u32 = 12;
const LITERAL_END: u32 = 5;
/** After 2^6 failed attempts the search begins to take longer steps. */
const SKIP_SHIFT: u32 = 6;

/** Compresses `[from, from + n)` to `out`; returns the length, 0 = it would not be shorter than `outMax` bytes. */
export function compress(from: u32, n: u32, out: u32, outMax: u32): u32 {
  memory.fill(0, 0, TABLE_BYTES);
  const end = from + n;
  const outEnd = out + outMax;
  let at = from;
  let anchor = from;
  let target = out;
  if (n > MATCH_FREE_END) {
    const searchEnd = end - MATCH_FREE_END;
    const matchEnd = end - LITERAL_END;
    // The table holds offsets, and 0 is what it was filled with: a place there is looked at like any other.
    at++;
    while (true) {
      // Finds four bytes that were seen before, at most OFFSET_MAX back.
      let attempts: u32 = 1 << SKIP_SHIFT;
      let match: u32 = 0;
      let found = false;
      while (at < searchEnd) {
        const word = load<u32>(at);
        const slot = hash(word);
        match = from + load<u32>(slot);
        store<u32>(slot, at - from);
        if (load<u32>(match) == word && at - match <= OFFSET_MAX && match < at) {
          found = true;
          break;
        }
        at += attempts++ >>> SKIP_SHIFT;
      }
      if (!found) break;
      while (at > anchor && match > from && load<u8>(at - 1) == load<u8>(match - 1)) {
        at--;
        match--;
      }
      const literals = at - anchor;
      const matched = matchLength(at + MATCH_BYTES_MIN, match + MATCH_BYTES_MIN, matchEnd);
      // Token, lengths, literals, offset.
      if (target + literals + literals / 255 + matched / 255 + 6 > outEnd) return 0;
      const token = target++;
      store<u8>(token, ((min(literals, 15) << 4) | min(matched, 15)) as u8);
      if (literals >= 15) target = writeLength(target, literals - 15);
      copyForward(target, anchor, literals);
      target += literals;
      store<u16>(target, (at - match) as u16);
      target += 2;
      if (matched >= 15) target = writeLength(target, matched - 15);
      at += MATCH_BYTES_MIN + matched;
      anchor = at;
      if (at >= searchEnd) break;
      // The place just before helps with what repeats at once.
      store<u32>(hash(load<u32>(at - 2)), at - 2 - from);
    }
  }
  const literals = end - anchor;
  if (target + literals + literals / 255 + 2 > outEnd) return 0;
  store<u8>(target++, (min(literals, 15) << 4) as u8);
  if (literals >= 15) target = writeLength(target, literals - 15);
  memory.copy(target, anchor, literals);
  return target + literals - out;
}

/** Decompresses `[from, from + n)` to exactly `outBytes` bytes at `out`; false = it is not a block of so many bytes. */
export function decompress(from: u32, n: u32, out: u32, outBytes: u32): bool {
  const end = from + n;
  const outEnd = out + outBytes;
  let at = from;
  let target = out;
  while (at < end) {
    const token = load<u8>(at++) as u32;
    let literals = token >>> 4;
    if (literals == 15) {
      let byte: u32;
      do {
        if (at >= end) return false;
        byte = load<u8>(at++);
        literals += byte;
        // Longer than any buffer, and far from where a sum of 32 bits wraps.
        if (literals > outBytes) return false;
      } while (byte == 255);
    }
    if (literals > end - at || literals > outEnd - target) return false;
    if (literals <= 16 && at + 16 <= end) v128.store(target, v128.load(at));
    else memory.copy(target, at, literals);
    at += literals;
    target += literals;
    // Only the last sequence has no match.
    if (at == end) return target == outEnd;

    if (end - at < 2) return false;
    const offset = load<u16>(at) as u32;
    at += 2;
    if (offset == 0 || offset > target - out) return false;
    let length = (token & 15) + MATCH_BYTES_MIN;
    if (length == 15 + MATCH_BYTES_MIN) {
      let byte: u32;
      do {
        if (at >= end) return false;
        byte = load<u8>(at++);
        length += byte;
        if (length > outBytes) return false;
      } while (byte == 255);
    }
    if (length > outEnd - target) return false;
    const match = target - offset;
    if (offset >= 16) {
      copyForward(target, match, length);
    } else if (offset >= 8) {
      for (let i: u32 = 0; i < length; i += 8) store<u64>(target + i, load<u64>(match + i));
    } else {
      for (let i: u32 = 0; i < length; i++) store<u8>(target + i, load<u8>(match + i));
    }
    target += length;
  }
  return false;
}

@inline
function hash(word: u32): u32 {
  return ((word * 2654435761) >>> (32 - HASH_BITS)) << 2;
}

/** How many bytes are equal from `a` and from `b` on, up to `end` of a. */
@inline
function matchLength(a: u32, b: u32, end: u32): u32 {
  const start = a;
  while (a + 8 <= end) {
    const difference = load<u64>(a) ^ load<u64>(b);
    if (difference) return a - start + ((ctz(difference) >>> 3) as u32);
    a += 8;
    b += 8;
  }
  while (a < end && load<u8>(a) == load<u8>(b)) {
    a++;
    b++;
  }
  return a - start;
}

/** Copies at least n bytes, 16 at a time: source and target are 16 bytes apart or more where they overlap. */
@inline
function copyForward(target: u32, source: u32, n: u32): void {
  for (let i: u32 = 0; i < n; i += 16) v128.store(target + i, v128.load(source + i));
}

@inline
function writeLength(at: u32, rest: u32): u32 {
  while (rest >= 255) {
    store<u8>(at++, 255);
    rest -= 255;
  }
  store<u8>(at, rest as u8);
  return at + 1;
}
