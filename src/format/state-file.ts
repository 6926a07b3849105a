/**
 * The state file, `ringwal.state`: the state of the log that is not in its segments. Written aside, synced, renamed.
 *
 *  byte  bytes  name          meaning
 *     0      8  magic         "ringwal" 0x00
 *     8      4  version       2
 *    12      8  log_id        as in every Segment of the log
 *    20      8  branch        of the entries that the log writes next; 0 = none yet
 *    28      8  watermark     entries up to it were durable when the file was written
 *    36      8  floor         the log begins at this LSN at the earliest: entries below it were given up; 0 = none
 *    44      8  checkpoint    as the user set it; 0 = never
 *    52      8  archived      segments with lower numbers were handed to the archive; 0 = none
 *    60      4  flags         1 = a cut was begun, and the next three fields are present
 *                            2 = the log was emptied, and no entry has become durable since: it has none up to its watermark
 *                            4 = the log was replicated, and the three fields of that are there
 *   [64      8  cut segment   the segment that the cut ends in; all later ones go
 *    72      8  cut offset    bytes of it that stay
 *    80      8  cut lsn]      the last entry that stays; 0 = none
 *   [64|88   8  epoch         of the writer that replicated last
 *            8  replicated    entries up to it are in the replica; 0 = it is not known how far
 *           32  chain]        of the replicated history at that entry: src/replica/chain.ts
 *     then   4  names         number of named checkpoints, at most 256; then for each one, ascending by the bytes of its name:
 *            1  name bytes    1 to 255
 *               name          UTF-8
 *            8  lsn
 *            2  data bytes    0 to 4,096
 *               data          the consumer's own
 *            4  crc           CRC-32 of everything before
 *
 * Little endian. Numbers below 2^53. There is one encoding of a state: anything else is a fault, and a file with a
 * fault counts as lost. test/format/state-file.test.ts breaks when a byte moves.
 */

import { crc32 } from './crc32.js';
import {
  readBigUint64,
  readUint16,
  readUint32,
  readUint64,
  writeBigUint64,
  writeUint16,
  writeUint32,
  writeUint64,
} from './wire.js';

export interface LogState {
  readonly logId: bigint;
  /** Of the entries that the log writes next; 0 = none was made yet. */
  readonly branch: bigint;
  /** W when the file was written. */
  readonly watermark: number;
  /** Entries below this LSN were given up; 0 = none were. */
  readonly floor: number;
  /** 0 = none was set. */
  readonly checkpoint: number;
  /** Segments with lower numbers were handed to the archive. */
  readonly archived: number;
  readonly namedCheckpoints: NamedCheckpoints;
  /** How far the log is replicated; absent: it never was. */
  readonly replicated?: ReplicatedPlace | undefined;
  /** Every entry was taken out of the log, and none has become durable since. `floor` is `watermark` + 1. */
  readonly isEmptied: boolean;
  /** A cut that was begun; `watermark` is lowered to it already. */
  readonly pendingCut?: PendingCut | undefined;
}

export type NamedCheckpoints = ReadonlyMap<string, NamedCheckpoint>;

/** The place of a consumer, with data of its own. */
export interface NamedCheckpoint {
  readonly lsn: number;
  /** At most CHECKPOINT_DATA_MAX bytes; empty = none. */
  readonly data: Uint8Array;
}

/** How far a log is replicated, and which history that is. */
export interface ReplicatedPlace {
  /** Of the writer that replicated up to there. */
  readonly epoch: number;
  /** 0 = it is not known how far. */
  readonly lsn: number;
  /** REPLICATED_CHAIN_BYTES bytes. */
  readonly chain: Uint8Array;
}

export interface PendingCut {
  /** The segment that the cut ends in; all later ones go. */
  readonly segment: number;
  /** Bytes of it that stay. */
  readonly offset: number;
  /** The last entry that stays; 0 = none. */
  readonly lsn: number;
}

export interface StateFault {
  /** The end of a sentence about the file. */
  readonly fault: string;
}

export const NAMED_CHECKPOINTS_MAX = 256;
/** Bytes of a name, in UTF-8. */
export const CHECKPOINT_NAME_MAX = 255;
export const CHECKPOINT_DATA_MAX = 4096;

const MAGIC = Uint8Array.of(0x72, 0x69, 0x6e, 0x67, 0x77, 0x61, 0x6c, 0x00);
const VERSION = 2;
const CUT_FLAG = 1;
const EMPTIED_FLAG = 2;
const REPLICATED_FLAG = 4;
const CRC_BYTES = 4;
const FIXED_BYTES = 64;
const CUT_BYTES = 24;
export const REPLICATED_CHAIN_BYTES = 32;
const REPLICATED_BYTES = 8 + 8 + REPLICATED_CHAIN_BYTES;
const COUNT_BYTES = 4;
const NAMED_OVERHEAD = 1 + 8 + 2;

/** No state file is longer: a longer one is not read. */
export const STATE_BYTES_MAX =
  FIXED_BYTES +
  CUT_BYTES +
  REPLICATED_BYTES +
  COUNT_BYTES +
  NAMED_CHECKPOINTS_MAX * (NAMED_OVERHEAD + CHECKPOINT_NAME_MAX + CHECKPOINT_DATA_MAX) +
  CRC_BYTES;

/** The state of a log of which nothing is known but its id. */
export function emptyState(logId: bigint): LogState {
  return {
    logId,
    branch: 0n,
    watermark: 0,
    floor: 0,
    checkpoint: 0,
    archived: 0,
    namedCheckpoints: new Map(),
    isEmptied: false,
  };
}

/** No entry stays where a cut leaves no byte of its segment, and its last entry is below the floor. */
export function emptiesLog({ offset, lsn }: PendingCut, floor: number): boolean {
  return offset === 0 && (lsn === 0 || floor > lsn);
}

/**
 * The state of the log once it ends with entry `lsn`: no field points to a later entry. `segment`: the lowest segment whose content
 * changes; the archive must get it again once it is sealed. The data of checkpoints stay.
 */
export function endingWith(state: LogState, lsn: number, segment = Number.POSITIVE_INFINITY): LogState {
  const floor = state.floor > lsn + 1 ? (lsn === 0 ? 0 : lsn + 1) : state.floor;
  return {
    ...state,
    watermark: Math.min(state.watermark, lsn),
    floor,
    isEmptied: state.isEmptied && floor === lsn + 1,
    checkpoint: Math.min(state.checkpoint, lsn),
    archived: Math.min(state.archived, segment),
    namedCheckpoints: new Map(
      [...state.namedCheckpoints].map(([name, at]) => [name, { ...at, lsn: Math.min(at.lsn, lsn) }]),
    ),
    replicated: placeUpTo(state.replicated, lsn),
    pendingCut: undefined,
  };
}

/** A place above the end stands for a history that is no longer there. Which one was shared before it is found by a comparison. */
function placeUpTo(place: ReplicatedPlace | undefined, lsn: number): ReplicatedPlace | undefined {
  if (place === undefined || place.lsn <= lsn) return place;
  return { epoch: place.epoch, lsn: 0, chain: new Uint8Array(REPLICATED_CHAIN_BYTES) };
}

export function encodeState(state: LogState): Uint8Array {
  const { pendingCut, replicated } = state;
  const named = sortedByName(state.namedCheckpoints);
  const cutBytes = pendingCut === undefined ? 0 : CUT_BYTES;
  const replicatedBytes = replicated === undefined ? 0 : REPLICATED_BYTES;
  let length = FIXED_BYTES + cutBytes + replicatedBytes + COUNT_BYTES + CRC_BYTES;
  for (const { name, data } of named) length += NAMED_OVERHEAD + name.length + data.length;
  const bytes = new Uint8Array(length);
  bytes.set(MAGIC);
  writeUint32(bytes, 8, VERSION);
  writeBigUint64(bytes, 12, state.logId);
  writeBigUint64(bytes, 20, state.branch);
  writeUint64(bytes, 28, state.watermark);
  writeUint64(bytes, 36, state.floor);
  writeUint64(bytes, 44, state.checkpoint);
  writeUint64(bytes, 52, state.archived);
  writeUint32(
    bytes,
    60,
    (pendingCut === undefined ? 0 : CUT_FLAG) +
      (state.isEmptied ? EMPTIED_FLAG : 0) +
      (replicated === undefined ? 0 : REPLICATED_FLAG),
  );
  if (pendingCut !== undefined) {
    writeUint64(bytes, 64, pendingCut.segment);
    writeUint64(bytes, 72, pendingCut.offset);
    writeUint64(bytes, 80, pendingCut.lsn);
  }
  let at = FIXED_BYTES + cutBytes;
  if (replicated !== undefined) {
    writeUint64(bytes, at, replicated.epoch);
    writeUint64(bytes, at + 8, replicated.lsn);
    bytes.set(replicated.chain, at + 16);
    at += REPLICATED_BYTES;
  }
  writeUint32(bytes, at, named.length);
  at += COUNT_BYTES;
  for (const { name, lsn, data } of named) {
    bytes[at] = name.length;
    bytes.set(name, at + 1);
    at += 1 + name.length;
    writeUint64(bytes, at, lsn);
    writeUint16(bytes, at + 8, data.length);
    bytes.set(data, at + 10);
    at += 10 + data.length;
  }
  writeUint32(bytes, at, crc32(bytes.subarray(0, at)));
  return bytes;
}

/** The state in `bytes`, a whole file. Never throws, for any bytes. */
export function decodeState(bytes: Uint8Array): LogState | StateFault {
  const end = bytes.length - CRC_BYTES;
  if (end < FIXED_BYTES + COUNT_BYTES || bytes.length > STATE_BYTES_MAX)
    return { fault: 'its length is wrong' };
  if (!MAGIC.every((byte, at) => bytes[at] === byte)) return { fault: 'it does not begin as a state file' };
  if (readUint32(bytes, end) !== crc32(bytes.subarray(0, end)))
    return { fault: 'its checksum does not match' };
  const version = readUint32(bytes, 8);
  if (version !== VERSION) return { fault: `its version ${version} is not known` };
  const flags = readUint32(bytes, 60);
  const hasCut = (flags & CUT_FLAG) !== 0;
  const replicatedAt = FIXED_BYTES + (hasCut ? CUT_BYTES : 0);
  const isReplicated = (flags & REPLICATED_FLAG) !== 0;
  const namesAt = replicatedAt + (isReplicated ? REPLICATED_BYTES : 0);
  if (flags > CUT_FLAG + EMPTIED_FLAG + REPLICATED_FLAG || namesAt + COUNT_BYTES > end)
    return { fault: 'it contradicts itself' };
  const namedCheckpoints = decodeNamed(bytes, namesAt, end);
  if (namedCheckpoints === undefined) return { fault: 'its named checkpoints are not as they are written' };
  const fixed = {
    watermark: readUint64(bytes, 28),
    floor: readUint64(bytes, 36),
    checkpoint: readUint64(bytes, 44),
    archived: readUint64(bytes, 52),
  };
  const pendingCut = hasCut
    ? { segment: readUint64(bytes, 64), offset: readUint64(bytes, 72), lsn: readUint64(bytes, 80) }
    : undefined;
  const lsns = [...namedCheckpoints.values()].map(({ lsn }) => lsn);
  const replicated = isReplicated ? decodeReplicated(bytes, replicatedAt) : undefined;
  const places = [replicated?.epoch ?? 0, replicated?.lsn ?? 0];
  const numbers = [...Object.values(fixed), ...Object.values(pendingCut ?? {}), ...places, ...lsns];
  if (!numbers.every(Number.isSafeInteger)) return { fault: 'it holds a number out of range' };
  const logId = readBigUint64(bytes, 12);
  const branch = readBigUint64(bytes, 20);
  const isEmptied = (flags & EMPTIED_FLAG) !== 0;
  const state = {
    logId,
    branch,
    ...fixed,
    namedCheckpoints,
    isEmptied,
    ...(replicated === undefined ? {} : { replicated }),
  };
  return pendingCut === undefined ? state : { ...state, pendingCut };
}

function decodeReplicated(bytes: Uint8Array, at: number): ReplicatedPlace {
  const chainAt = at + 16;
  return {
    epoch: readUint64(bytes, at),
    lsn: readUint64(bytes, at + 8),
    chain: bytes.slice(chainAt, chainAt + REPLICATED_CHAIN_BYTES),
  };
}

/** `undefined`: not as [encodeState] writes them, or not exactly up to `end`. */
function decodeNamed(bytes: Uint8Array, start: number, end: number): NamedCheckpoints | undefined {
  const count = readUint32(bytes, start);
  if (count > NAMED_CHECKPOINTS_MAX) return undefined;
  const decoded = new Map<string, NamedCheckpoint>();
  let previous = new Uint8Array(0);
  let at = start + COUNT_BYTES;
  for (let each = 0; each < count; each++) {
    const nameBytes = bytes[at];
    const lsnAt = at + 1 + nameBytes;
    if (at >= end || nameBytes < 1 || lsnAt + 10 > end) return undefined;
    const rawName = bytes.slice(at + 1, lsnAt);
    const name = decodeName(rawName);
    const dataBytes = readUint16(bytes, lsnAt + 8);
    const next = lsnAt + 10 + dataBytes;
    if (name === undefined || compareBytes(previous, rawName) >= 0) return undefined;
    if (dataBytes > CHECKPOINT_DATA_MAX || next > end) return undefined;
    decoded.set(name, { lsn: readUint64(bytes, lsnAt), data: bytes.slice(lsnAt + 10, next) });
    previous = rawName;
    at = next;
  }
  return at === end ? decoded : undefined;
}

/** UTF-8 without the platform's classes, which are not available everywhere. @throws URIError: a lone surrogate */
function encodeName(name: string): Uint8Array {
  const escaped = encodeURIComponent(name);
  const bytes: number[] = [];
  for (let at = 0; at < escaped.length; at++) {
    const isEscape = escaped[at] === '%';
    bytes.push(isEscape ? Number.parseInt(escaped.slice(at + 1, at + 3), 16) : escaped.charCodeAt(at));
    if (isEscape) at += 2;
  }
  return Uint8Array.from(bytes);
}

function decodeName(bytes: Uint8Array): string | undefined {
  try {
    return decodeURIComponent(Array.from(bytes, (byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''));
  } catch {
    // Not UTF-8: no version writes such a file, and the caller reports the fault.
    return undefined;
  }
}

function sortedByName(named: NamedCheckpoints): { name: Uint8Array; lsn: number; data: Uint8Array }[] {
  return [...named]
    .map(([name, checkpoint]) => ({ name: encodeName(name), ...checkpoint }))
    .sort((a, b) => compareBytes(a.name, b.name));
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) if (a[at] !== b[at]) return a[at] - b[at];
  return a.length - b.length;
}
