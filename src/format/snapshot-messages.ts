/**
 * The messages of proto/snapshot.proto, by the writer and the reader of `protobufjs/minimal`. The caller loads that module and
 * passes it: a log without snapshots does not need it.
 */
import { readFixed64, readNumber, writeFixed64 } from './protobuf-values.js';
import { FIRST_CRITICAL_FIELD } from './wire.js';

/** The part of `protobufjs/minimal` that is used. */
export interface Protobuf {
  readonly Writer: { create(): ProtobufWriter };
  readonly Reader: { create(bytes: Uint8Array): ProtobufReader };
}

export interface ProtobufWriter {
  uint32(value: number): ProtobufWriter;
  uint64(value: number): ProtobufWriter;
  fixed32(value: number): ProtobufWriter;
  string(value: string): ProtobufWriter;
  finish(): Uint8Array;
}

/** The methods throw for bytes that end too early. */
export interface ProtobufReader {
  readonly pos: number;
  readonly len: number;
  uint32(): number;
  /** A number, or a Long. */
  uint64(): { toString(): string };
  fixed32(): number;
  string(): string;
  skipType(wireType: number): unknown;
}

export interface SnapshotHeader {
  readonly logId: bigint;
  /** Of the entry at `lsn`; 0 = none. */
  readonly branch: bigint;
  /** The snapshot is the state after this entry. */
  readonly lsn: number;
  /** Field 3 of that entry; `undefined`: the log was empty and begins after it. */
  readonly entryCrc: number | undefined;
  /** The application's own name for the format of the data; may be empty. */
  readonly format: string;
  /** Milliseconds since 1970. */
  readonly createdMs: number;
}

export interface SnapshotFooter {
  /** Bytes of data. */
  readonly bytes: number;
  readonly chunks: number;
}

/** A message that this version does not use: the end of a sentence about the file. */
export interface MessageFault {
  readonly fault: string;
  readonly isUnsupported?: true;
}

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

export function encodeSnapshotHeader({ Writer }: Protobuf, header: SnapshotHeader): Uint8Array {
  const writer = Writer.create();
  writeFixed64(writer, 1, header.logId);
  writeFixed64(writer, 2, header.branch);
  writer.uint32((3 << 3) | VARINT).uint64(header.lsn);
  if (header.entryCrc !== undefined) writer.uint32((4 << 3) | FIXED32).fixed32(header.entryCrc);
  if (header.format !== '') writer.uint32((5 << 3) | BYTES).string(header.format);
  if (header.createdMs > 0) writer.uint32((6 << 3) | VARINT).uint64(header.createdMs);
  return writer.finish();
}

export function decodeSnapshotHeader(protobuf: Protobuf, bytes: Uint8Array): SnapshotHeader | MessageFault {
  const header = {
    logId: 0n,
    branch: 0n,
    lsn: 0,
    entryCrc: undefined as number | undefined,
    format: '',
    createdMs: 0,
  };
  const fault = readFields(protobuf, bytes, {
    [(1 << 3) | FIXED64]: (reader) => {
      header.logId = readFixed64(reader);
    },
    [(2 << 3) | FIXED64]: (reader) => {
      header.branch = readFixed64(reader);
    },
    [(3 << 3) | VARINT]: (reader) => {
      header.lsn = readNumber(reader);
    },
    [(4 << 3) | FIXED32]: (reader) => {
      header.entryCrc = reader.fixed32();
    },
    [(5 << 3) | BYTES]: (reader) => {
      header.format = reader.string();
    },
    [(6 << 3) | VARINT]: (reader) => {
      header.createdMs = readNumber(reader);
    },
  });
  if (fault !== undefined) return fault;
  const isInRange = Number.isSafeInteger(header.createdMs) && Number.isSafeInteger(header.lsn);
  return isInRange && header.lsn > 0 ? header : { fault: 'its header holds a number out of range' };
}

export function encodeSnapshotFooter({ Writer }: Protobuf, footer: SnapshotFooter): Uint8Array {
  const writer = Writer.create();
  if (footer.bytes > 0) writer.uint32((1 << 3) | VARINT).uint64(footer.bytes);
  if (footer.chunks > 0) writer.uint32((2 << 3) | VARINT).uint64(footer.chunks);
  return writer.finish();
}

export function decodeSnapshotFooter(protobuf: Protobuf, bytes: Uint8Array): SnapshotFooter | MessageFault {
  const footer = { bytes: 0, chunks: 0 };
  const fault = readFields(protobuf, bytes, {
    [(1 << 3) | VARINT]: (reader) => {
      footer.bytes = readNumber(reader);
    },
    [(2 << 3) | VARINT]: (reader) => {
      footer.chunks = readNumber(reader);
    },
  });
  if (fault !== undefined) return fault;
  return Object.values(footer).every(Number.isSafeInteger)
    ? footer
    : { fault: 'its footer holds a number out of range' };
}

/** `fields`: what to do with the value after each tag (number << 3 | wire type). */
function readFields(
  { Reader }: Protobuf,
  bytes: Uint8Array,
  fields: Readonly<Record<number, (reader: ProtobufReader) => void>>,
): MessageFault | undefined {
  try {
    const reader = Reader.create(bytes);
    while (reader.pos < reader.len) {
      const tag = reader.uint32();
      const read = fields[tag];
      if (read !== undefined) read(reader);
      else if (tag >>> 3 >= FIRST_CRITICAL_FIELD)
        return { fault: 'a later version wrote it', isUnsupported: true };
      else reader.skipType(tag & 7);
    }
    return undefined;
  } catch {
    // protobufjs throws various errors for bytes that are no message.
    return { fault: 'a message in it cannot be decoded' };
  }
}
