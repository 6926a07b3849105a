/**
 * The protobuf wire format in its canonical form: what one writer would have written, byte for byte.
 *
 *   varint   7 bits a byte, low ones first, 0x80 = more follow; minimal, so the last byte is 0 only for the value 0
 *   field    varint (number << 3 | type), then by type: 0 varint | 1 eight bytes | 2 varint length, bytes | 5 four bytes
 *   message  fields with numbers 1 to 14 ascending, then 16 and up ascending, then 15; each at most once
 *
 * Values that a frame needs exactly are below 2^53; larger ones are read rounded, which is enough to reject them.
 */

export const WIRE_VARINT = 0;
export const WIRE_FIXED64 = 1;
export const WIRE_BYTES = 2;
export const WIRE_FIXED32 = 5;

/** The field that comes last, after all higher numbers, since it is the checksum of the fields before it. */
const LAST_FIELD = 15;

/** Fields from this number on change the meaning of the others: a reader must know them or refuse. */
export const FIRST_CRITICAL_FIELD = 16;

const MAX_UINT32 = 2 ** 32 - 1;

/** Where the varint that was read last ended. A module variable, since a pair would be an allocation for each call. */
export let varintEnd = 0;

/** The varint at `at`, or -1 if it is not minimal, exceeds 64 bits or does not end by `end`. */
export function readVarint(bytes: Uint8Array, at: number, end: number): number {
  // Most are short: up to 28 bits go without floating point.
  let value = 0;
  for (let shift = 0; shift < 28; shift += 7) {
    if (at >= end) return -1;
    const byte = bytes[at++];
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      varintEnd = at;
      return byte === 0 && shift > 0 ? -1 : value;
    }
  }
  return readLongVarint(bytes, at, end, value);
}

/** The rest of a varint whose first four bytes were `low`. */
function readLongVarint(bytes: Uint8Array, start: number, end: number, low: number): number {
  let value = low;
  let scale = 2 ** 28;
  for (let at = start; at < end; at++) {
    const byte = bytes[at];
    const isLast = byte < 0x80;
    if (scale === 2 ** 63 && byte > 1) return -1;
    value += (byte & 0x7f) * scale;
    scale *= 128;
    if (isLast) {
      varintEnd = at + 1;
      return byte === 0 ? -1 : value;
    }
  }
  return -1;
}

/** Bytes of a varint. Exact for integers 0 ≤ value < 2^53. */
export function varintLength(value: number): number {
  let length = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) length++;
  return length;
}

/** Writes a varint at `at` and returns where it ends. Exact for integers 0 ≤ value < 2^53. */
export function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  let rest = value;
  // Bit operations work on 32 bits: the bits above are removed by division first.
  while (rest >= 0x80000000) {
    bytes[at++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  while (rest >= 128) {
    bytes[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  bytes[at++] = rest;
  return at;
}

export function readUint16(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8);
}

export function writeUint16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
}

export function readUint32(bytes: Uint8Array, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
}

export function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

/** Little endian. Rounded above 2^53. */
export function readUint64(bytes: Uint8Array, at: number): number {
  return readUint32(bytes, at) + readUint32(bytes, at + 4) * 2 ** 32;
}

/** Little endian. Exact for integers 0 ≤ value < 2^53. */
export function writeUint64(bytes: Uint8Array, at: number, value: number): void {
  writeUint32(bytes, at, value);
  writeUint32(bytes, at + 4, Math.floor(value / 2 ** 32));
}

export function readBigUint64(bytes: Uint8Array, at: number): bigint {
  return (BigInt(readUint32(bytes, at + 4)) << 32n) | BigInt(readUint32(bytes, at));
}

export function writeBigUint64(bytes: Uint8Array, at: number, value: bigint): void {
  writeUint32(bytes, at, Number(value & 0xffffffffn));
  writeUint32(bytes, at + 4, Number((value >> 32n) & 0xffffffffn));
}

/** One field of a message, reused for the next one. */
export interface Field {
  number: number;
  type: number;
  /** The value of a varint field. */
  value: number;
  /** The content of a field of type 1, 2 or 5: from `start`, up to `end`. */
  start: number;
  end: number;
}

export function createField(): Field {
  return { number: 0, type: 0, value: 0, start: 0, end: 0 };
}

/** Puts `field` before the fields that start at `at`, as if field `number` had come right before them. */
export function startFields(field: Field, at: number, number = 0): void {
  field.number = number;
  field.end = at;
}

/** Moves `field` to the next field of a message that ends at `end`; false if that one is not canonical. */
export function readField(bytes: Uint8Array, end: number, field: Field): boolean {
  const tag = readVarint(bytes, field.end, end);
  if (tag < 0 || tag > MAX_UINT32) return false;
  const number = tag >>> 3;
  if (field.number === LAST_FIELD || (number <= field.number && number !== LAST_FIELD)) return false;
  field.number = number;
  field.type = tag & 7;
  field.start = varintEnd;
  switch (field.type) {
    case WIRE_VARINT:
      field.value = readVarint(bytes, field.start, end);
      field.end = varintEnd;
      return field.value >= 0;
    case WIRE_FIXED64:
      field.end = field.start + 8;
      return field.end <= end;
    case WIRE_FIXED32:
      field.end = field.start + 4;
      return field.end <= end;
    case WIRE_BYTES: {
      const length = readVarint(bytes, field.start, end);
      field.start = varintEnd;
      field.end = field.start + length;
      return length >= 0 && field.end <= end;
    }
    default:
      return false;
  }
}
