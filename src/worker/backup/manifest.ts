/**
 * The manifest of a backup, `ringwal.backup`: which files it has, with size and SHA-256, and which part of which log is in them.
 * It is written last: a directory without it is no backup.
 *
 *  byte  bytes  name
 *     0      8  magic    "ringbak" 0x00
 *     8      n  BackupManifest of proto/backup.proto
 *   8+n      4  crc      CRC-32 of everything before
 */

import type { Reader } from 'protobufjs';
import { codecTools } from '../../files/codec-tools.js';
import { readFixed64, readNumber, writeFixed64, writeNumber } from '../../format/protobuf-values.js';
import { parsePartName, parseSegmentName, parseSnapshotName, STATE_FILE } from '../../format/segment-name.js';
import type { MessageFault } from '../../format/snapshot-messages.js';
import { readUint32, writeUint32 } from '../../format/wire.js';

export interface Manifest {
  readonly logId: bigint;
  /** 0 = the log had none. */
  readonly branch: bigint;
  /** The oldest entry in this backup; 0 = it holds none. */
  readonly firstLsn: number;
  /** The last entry of the log, in this backup or in the chain that it ends; 0 = the log was empty. */
  readonly watermark: number;
  readonly createdMs: number;
  /** The backup that this one continues; `undefined` = it is a full one. */
  readonly since: BackupLink | undefined;
  readonly end: BackupEnd;
  readonly files: readonly BackupFile[];
}

export interface BackupLink {
  /** SHA-256 of its manifest file. */
  readonly manifestSha256: Uint8Array;
  readonly watermark: number;
  readonly createdMs: number;
}

/** Where entry `watermark` stands in the log. All 0 where there is none. */
export interface BackupEnd {
  /** n of `wal-<n>`. */
  readonly segment: number;
  /** Where its frame starts. */
  readonly frameOffset: number;
  /** Right after its frame. */
  readonly offset: number;
  readonly crc: number;
}

export interface BackupFile {
  readonly kind: 'segment' | 'snapshot' | 'state';
  readonly name: string;
  readonly bytes: number;
  readonly sha256: Uint8Array;
  /** n of `wal-<n>`, and where in it the bytes begin. 0 for other kinds. */
  readonly segment: number;
  readonly offset: number;
  /** Entries in it. Of a snapshot `lastLsn` is the entry that it was taken at. */
  readonly firstLsn: number;
  readonly lastLsn: number;
  /** The file is in an earlier backup of the chain. */
  readonly isEarlier: boolean;
}

export const END_OF_NOTHING: BackupEnd = { segment: 0, frameOffset: 0, offset: 0, crc: 0 };

/** A million segments need less. A larger file is not read. */
export const MANIFEST_BYTES_MAX = 2 ** 28;

const MAGIC = Uint8Array.of(0x72, 0x69, 0x6e, 0x67, 0x62, 0x61, 0x6b, 0x00);
const VERSION = 1;
const CRC_BYTES = 4;
const SHA256_BYTES = 32;
const KINDS = ['segment', 'snapshot', 'state'] as const;

/** Field numbers of proto/backup.proto with their wire types, as protobuf writes them. */
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;
const tag = (field: number, wireType: number) => (field << 3) | wireType;

export function encodeManifest(manifest: Manifest): Uint8Array {
  const { protobuf, crc32 } = codecTools();
  const writer = protobuf.Writer.create();
  writer.uint32(tag(1, VARINT)).uint32(VERSION);
  writeFixed64(writer, 2, manifest.logId);
  writeFixed64(writer, 3, manifest.branch);
  writeNumber(writer, 4, manifest.firstLsn);
  writeNumber(writer, 5, manifest.watermark);
  writeNumber(writer, 6, manifest.createdMs);
  const { since, end } = manifest;
  if (since !== undefined) {
    writer.uint32(tag(7, BYTES)).fork();
    writer.uint32(tag(1, BYTES)).bytes(since.manifestSha256);
    writeNumber(writer, 2, since.watermark);
    writeNumber(writer, 3, since.createdMs);
    writer.ldelim();
  }
  writer.uint32(tag(8, BYTES)).fork();
  writeNumber(writer, 1, end.segment);
  writeNumber(writer, 2, end.frameOffset);
  writeNumber(writer, 3, end.offset);
  if (end.crc !== 0) writer.uint32(tag(4, FIXED32)).fixed32(end.crc);
  writer.ldelim();
  for (const file of manifest.files) {
    writer.uint32(tag(9, BYTES)).fork();
    writeNumber(writer, 1, KINDS.indexOf(file.kind) + 1);
    writer.uint32(tag(2, BYTES)).string(file.name);
    writeNumber(writer, 3, file.bytes);
    writer.uint32(tag(4, BYTES)).bytes(file.sha256);
    writeNumber(writer, 5, file.segment);
    writeNumber(writer, 6, file.offset);
    writeNumber(writer, 7, file.firstLsn);
    writeNumber(writer, 8, file.lastLsn);
    if (file.isEarlier) writer.uint32(tag(9, VARINT)).bool(true);
    writer.ldelim();
  }
  const message = writer.finish();
  const bytes = new Uint8Array(MAGIC.length + message.length + CRC_BYTES);
  bytes.set(MAGIC);
  bytes.set(message, MAGIC.length);
  writeUint32(bytes, bytes.length - CRC_BYTES, crc32(bytes.subarray(0, bytes.length - CRC_BYTES)));
  return bytes;
}

/** The manifest that `bytes`, a whole file, hold. They are not trusted: never throws, whatever they are. */
export function decodeManifest(bytes: Uint8Array): Manifest | MessageFault {
  const { protobuf, crc32 } = codecTools();
  const end = bytes.length - CRC_BYTES;
  if (end < MAGIC.length || !MAGIC.every((byte, at) => bytes[at] === byte))
    return { fault: 'it does not begin as a manifest' };
  if (readUint32(bytes, end) !== crc32(bytes.subarray(0, end)))
    return { fault: 'its checksum does not match' };
  let found: Found;
  try {
    found = readMessage(protobuf.Reader.create(bytes.subarray(MAGIC.length, end)));
  } catch (error) {
    // protobufjs throws at a field that is cut off, or that has an unknown wire type.
    return { fault: `it cannot be decoded (${(error as Error).message})` };
  }
  const { version, ...manifest } = found;
  if (version !== VERSION) return { fault: `its version ${version} is not known`, isUnsupported: true };
  const fault = faultOf(manifest);
  return fault === undefined ? manifest : { fault };
}

type Found = { -readonly [Name in keyof Manifest]: Manifest[Name] } & {
  version: number;
  files: BackupFile[];
};

function readMessage(reader: Reader): Found {
  const found: Found = {
    version: 0,
    logId: 0n,
    branch: 0n,
    firstLsn: 0,
    watermark: 0,
    createdMs: 0,
    since: undefined,
    end: END_OF_NOTHING,
    files: [],
  };
  readFields(reader, reader.len, {
    [tag(1, VARINT)]: () => {
      found.version = reader.uint32();
    },
    [tag(2, FIXED64)]: () => {
      found.logId = readFixed64(reader);
    },
    [tag(3, FIXED64)]: () => {
      found.branch = readFixed64(reader);
    },
    [tag(4, VARINT)]: () => {
      found.firstLsn = readNumber(reader);
    },
    [tag(5, VARINT)]: () => {
      found.watermark = readNumber(reader);
    },
    [tag(6, VARINT)]: () => {
      found.createdMs = readNumber(reader);
    },
    [tag(7, BYTES)]: () => {
      found.since = readLink(reader, endOfMessage(reader));
    },
    [tag(8, BYTES)]: () => {
      found.end = readEnd(reader, endOfMessage(reader));
    },
    [tag(9, BYTES)]: () => {
      found.files.push(readFile(reader, endOfMessage(reader)));
    },
  });
  return found;
}

function readLink(reader: Reader, end: number): BackupLink {
  let manifestSha256: Uint8Array = new Uint8Array(0);
  let watermark = 0;
  let createdMs = 0;
  readFields(reader, end, {
    [tag(1, BYTES)]: () => {
      manifestSha256 = Uint8Array.from(reader.bytes());
    },
    [tag(2, VARINT)]: () => {
      watermark = readNumber(reader);
    },
    [tag(3, VARINT)]: () => {
      createdMs = readNumber(reader);
    },
  });
  return { manifestSha256, watermark, createdMs };
}

function readEnd(reader: Reader, messageEnd: number): BackupEnd {
  const end = { ...END_OF_NOTHING };
  readFields(reader, messageEnd, {
    [tag(1, VARINT)]: () => {
      end.segment = readNumber(reader);
    },
    [tag(2, VARINT)]: () => {
      end.frameOffset = readNumber(reader);
    },
    [tag(3, VARINT)]: () => {
      end.offset = readNumber(reader);
    },
    [tag(4, FIXED32)]: () => {
      end.crc = reader.fixed32();
    },
  });
  return end;
}

function readFile(reader: Reader, end: number): BackupFile {
  let kind = 0;
  let name = '';
  let sha256: Uint8Array = new Uint8Array(0);
  let isEarlier = false;
  const numbers = { bytes: 0, segment: 0, offset: 0, firstLsn: 0, lastLsn: 0 };
  const number = (field: keyof typeof numbers) => () => {
    numbers[field] = readNumber(reader);
  };
  readFields(reader, end, {
    [tag(1, VARINT)]: () => {
      kind = reader.uint32();
    },
    [tag(2, BYTES)]: () => {
      name = reader.string();
    },
    [tag(3, VARINT)]: number('bytes'),
    [tag(4, BYTES)]: () => {
      sha256 = Uint8Array.from(reader.bytes());
    },
    [tag(5, VARINT)]: number('segment'),
    [tag(6, VARINT)]: number('offset'),
    [tag(7, VARINT)]: number('firstLsn'),
    [tag(8, VARINT)]: number('lastLsn'),
    [tag(9, VARINT)]: () => {
      isEarlier = reader.bool();
    },
  });
  // A kind that is not known makes the manifest's names wrong, which [faultOf] says.
  return { kind: KINDS[kind - 1] as BackupFile['kind'], name, sha256, isEarlier, ...numbers };
}

function readFields(reader: Reader, end: number, fields: Readonly<Record<number, () => void>>): void {
  while (reader.pos < end) {
    const found = reader.uint32();
    const read = fields[found];
    if (read === undefined) reader.skipType(found & 7);
    else read();
  }
  if (reader.pos !== end) throw new RangeError('a field passes the end of its message');
}

function endOfMessage(reader: Reader): number {
  const end = reader.uint32() + reader.pos;
  if (end > reader.len) throw new RangeError('a message passes the end of the file');
  return end;
}

/** The fault of a manifest that could be decoded, except for its version: the end of a sentence. */
function faultOf(manifest: Manifest): string | undefined {
  const { since, end, files, firstLsn, watermark, createdMs } = manifest;
  const numbers = [firstLsn, watermark, createdMs, ...Object.values(end)];
  numbers.push(...(since === undefined ? [] : [since.watermark, since.createdMs]));
  for (const { bytes, segment, offset, firstLsn: first, lastLsn } of files)
    numbers.push(bytes, segment, offset, first, lastLsn);
  if (!numbers.every(Number.isSafeInteger)) return 'it holds a number out of range';
  if (since !== undefined && since.manifestSha256.length !== SHA256_BYTES)
    return 'it does not name the backup that it continues';
  const names = new Set<string>();
  for (const file of files) {
    if (file.sha256.length !== SHA256_BYTES) return 'it holds a digest of the wrong length';
    // The names become paths: nothing but the names that a backup gives may be in a manifest.
    if (!isNameOf(file, since !== undefined) || names.has(file.name))
      return `it names a file that no backup has (${JSON.stringify(file.name)})`;
    names.add(file.name);
  }
  return orderFault(files.filter(({ kind }) => kind === 'segment'));
}

function isNameOf({ kind, name, segment, offset, lastLsn }: BackupFile, isIncremental: boolean): boolean {
  if (kind === 'state') return name === STATE_FILE;
  if (kind === 'snapshot') return parseSnapshotName(name) === lastLsn;
  if (kind !== 'segment') return false;
  if (!isIncremental) return parseSegmentName(name) === segment && offset === 0;
  const part = parsePartName(name);
  return part?.segment === segment && part.offset === offset;
}

function orderFault(segments: readonly BackupFile[]): string | undefined {
  for (const [at, { segment, offset, firstLsn, lastLsn, isEarlier }] of segments.entries()) {
    const previous = segments[at - 1];
    const follows = previous === undefined || (segment === previous.segment + 1 && offset === 0);
    if (!follows || isEarlier || lastLsn < firstLsn) return 'its segments do not continue each other';
  }
  return undefined;
}
