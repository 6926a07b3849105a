// The default import is the form that all loaders agree on for a CommonJS module: Node and tsx take its named
// exports apart only where their lexer finds them, and it does not find these.
import crc from 'crc-32';

/**
 * CRC-32/IEEE as an unsigned number. `seed` is the checksum of the bytes before:
 * `crc32(b, crc32(a))` is the checksum of a followed by b.
 */
export function crc32(bytes: Uint8Array, seed = 0): number {
  return crc.buf(bytes, seed) >>> 0;
}
