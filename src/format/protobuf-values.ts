/** Numbers in protobuf messages that protobufjs itself does not read or write as such. */
import type { ProtobufReader, ProtobufWriter } from './snapshot-messages.js';

const VARINT = 0;
const FIXED64 = 1;

/** A `uint64` below 2^53; 0 is left out. */
export function writeNumber(writer: ProtobufWriter, field: number, value: number): void {
  if (value > 0) writer.uint32((field << 3) | VARINT).uint64(value);
}

/** A `uint64`; NaN from 2^53 on. */
export function readNumber(reader: ProtobufReader): number {
  const value = Number(reader.uint64().toString());
  return Number.isSafeInteger(value) ? value : Number.NaN;
}

/** A `fixed64`; 0 is left out. */
export function writeFixed64(writer: ProtobufWriter, field: number, value: bigint): void {
  if (value === 0n) return;
  // Two halves: protobufjs itself takes no bigint.
  writer.uint32((field << 3) | FIXED64);
  writer.fixed32(Number(value & 0xffffffffn)).fixed32(Number(value >> 32n));
}

export function readFixed64(reader: ProtobufReader): bigint {
  const low = BigInt(reader.fixed32());
  return (BigInt(reader.fixed32()) << 32n) | low;
}
