/**
 * LZ4 blocks in plain TypeScript: the reference for the wasm kernel (assembly/lz4.ts), byte for byte alike, and its substitute if
 * there is no WebAssembly (`--jitless`). The format is the one of the LZ4 project's lz4_Block_format.md:
 *
 *   block    = sequence*                          the last one ends after its literals
 *   sequence = token | literal length - 15 in bytes of 255 and a last one | literals | offset LE16 | match length - 19, the same way
 *   token    = literal length, at most 15 << 4 | match length - 4, at most 15
 */

import { readUint16, readUint32, writeUint16 } from '../wire.js';

const HASH_BITS = 14;
const HASH_MULTIPLIER = 2_654_435_761;
const MATCH_BYTES_MIN = 4;
const OFFSET_MAX = 65_535;
/** The last match starts this far before the end at least, and the last five bytes are literals. */
const MATCH_FREE_END = 12;
const LITERAL_END = 5;
/** After 2^6 failed attempts the search begins to take longer steps. */
const SKIP_SHIFT = 6;
/** The largest number that a token holds; from it on, bytes with the rest follow. */
const TOKEN_MAX = 15;

const table = new Uint32Array(2 ** HASH_BITS);

function hash(word: number): number {
  return Math.imul(word, HASH_MULTIPLIER) >>> (32 - HASH_BITS);
}

/** Compresses `input` into `output`; returns the length, 0 = it does not fit. */
export function compressLz4(input: Uint8Array, output: Uint8Array): number {
  table.fill(0);
  const { length: end } = input;
  const searchEnd = end - MATCH_FREE_END;
  const matchEnd = end - LITERAL_END;
  let at = 1;
  let anchor = 0;
  let target = 0;
  while (end > MATCH_FREE_END) {
    const found = findMatch(input, at, searchEnd);
    if (found === undefined) break;
    let { match } = found;
    at = found.at;
    while (at > anchor && match > 0 && input[at - 1] === input[match - 1]) {
      at--;
      match--;
    }
    const literals = at - anchor;
    let matched = 0;
    const matchFrom = at + MATCH_BYTES_MIN;
    while (
      matchFrom + matched < matchEnd &&
      input[matchFrom + matched] === input[match + MATCH_BYTES_MIN + matched]
    )
      matched++;
    const most = literals + Math.floor(literals / 255) + Math.floor(matched / 255) + 6;
    if (target + most > output.length) return 0;
    output[target++] = (Math.min(literals, TOKEN_MAX) << 4) | Math.min(matched, TOKEN_MAX);
    target = writeLength(output, target, literals);
    output.set(input.subarray(anchor, at), target);
    target += literals;
    writeUint16(output, target, at - match);
    target = writeLength(output, target + 2, matched);
    at += MATCH_BYTES_MIN + matched;
    anchor = at;
    if (at >= searchEnd) break;
    // The place just before helps with what repeats at once.
    table[hash(readUint32(input, at - 2))] = at - 2;
  }
  const literals = end - anchor;
  if (target + literals + Math.floor(literals / 255) + 2 > output.length) return 0;
  output[target++] = Math.min(literals, TOKEN_MAX) << 4;
  target = writeLength(output, target, literals);
  output.set(input.subarray(anchor), target);
  return target + literals;
}

/** The next four bytes that were seen before, at most [OFFSET_MAX] back. */
function findMatch(
  input: Uint8Array,
  from: number,
  searchEnd: number,
): { readonly at: number; readonly match: number } | undefined {
  let attempts = 1 << SKIP_SHIFT;
  for (let at = from; at < searchEnd; at += attempts++ >>> SKIP_SHIFT) {
    const word = readUint32(input, at);
    const slot = hash(word);
    const match = table[slot] as number;
    table[slot] = at;
    if (match < at && at - match <= OFFSET_MAX && readUint32(input, match) === word) return { at, match };
  }
  return undefined;
}

/** What of `length` the token does not hold. */
function writeLength(output: Uint8Array, at: number, length: number): number {
  if (length < TOKEN_MAX) return at;
  let rest = length - TOKEN_MAX;
  for (; rest >= 255; rest -= 255) output[at++] = 255;
  output[at++] = rest;
  return at;
}

/** Decompresses `input` to exactly `output`; false = it is not a block of so many bytes. What is in `output` then does not matter. */
export function decompressLz4(input: Uint8Array, output: Uint8Array): boolean {
  const { length: end } = input;
  const { length: outEnd } = output;
  let at = 0;
  let target = 0;
  while (at < end) {
    const token = input[at++] as number;
    let literals = token >>> 4;
    if (literals === TOKEN_MAX) {
      let byte: number;
      do {
        if (at >= end) return false;
        byte = input[at++] as number;
        literals += byte;
      } while (byte === 255);
    }
    if (literals > end - at || literals > outEnd - target) return false;
    output.set(input.subarray(at, at + literals), target);
    at += literals;
    target += literals;
    // Only the last sequence has no match.
    if (at === end) return target === outEnd;

    if (end - at < 2) return false;
    const offset = readUint16(input, at);
    at += 2;
    if (offset === 0 || offset > target) return false;
    let length = token & TOKEN_MAX;
    if (length === TOKEN_MAX) {
      let byte: number;
      do {
        if (at >= end) return false;
        byte = input[at++] as number;
        length += byte;
      } while (byte === 255);
    }
    length += MATCH_BYTES_MIN;
    if (length > outEnd - target) return false;
    for (const stop = target + length; target < stop; target++)
      output[target] = output[target - offset] as number;
  }
  return false;
}
