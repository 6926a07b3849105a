/**
 * The state file, `ringwal.state`: what the log knows beyond its segments. Written aside, synced, renamed.
 *
 *  byte  bytes  name          meaning
 *     0      8  magic         "ringwal" 0x00
 *     8      4  version       1
 *    12      8  log_id        as in every Segment of the log
 *    20      8  watermark     entries up to it were durable when the file was written
 *    28      8  checkpoint    as the user set it; 0 = never
 *    36      4  cut           1 = a cut was begun and the three fields that follow are there; else 0
 *   [40      8  cut segment   the segment that the cut ends in; all later ones go
 *    48      8  cut offset    bytes of it that stay
 *    56      8  cut lsn]      the last entry that stays; 0 = none
 *    40|64   4  crc           CRC-32 of everything before
 *
 * Little endian. Numbers below 2^53. There is one encoding of a state: anything else is a fault, and a file with a
 * fault counts as lost. test/format/state-file.test.ts breaks when a byte moves.
 */

import { crc32 } from './crc32.js';
import { readBigUint64, readUint32, readUint64, writeBigUint64, writeUint32, writeUint64 } from './wire.js';

export interface LogState {
  readonly logId: bigint;
  /** W when the file was written. */
  readonly watermark: number;
  /** 0 = none was set. */
  readonly checkpoint: number;
  /** A cut that was begun; `watermark` is lowered to it already. */
  readonly pendingCut?: PendingCut | undefined;
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

const MAGIC = Uint8Array.of(0x72, 0x69, 0x6e, 0x67, 0x77, 0x61, 0x6c, 0x00);
const VERSION = 1;
const CRC_BYTES = 4;
const PLAIN_BYTES = 40 + CRC_BYTES;
const CUT_BYTES = 64 + CRC_BYTES;

export function encodeState(state: LogState): Uint8Array {
  const { logId, watermark, checkpoint, pendingCut } = state;
  const bytes = new Uint8Array(pendingCut === undefined ? PLAIN_BYTES : CUT_BYTES);
  bytes.set(MAGIC);
  writeUint32(bytes, 8, VERSION);
  writeBigUint64(bytes, 12, logId);
  writeUint64(bytes, 20, watermark);
  writeUint64(bytes, 28, checkpoint);
  if (pendingCut !== undefined) {
    writeUint32(bytes, 36, 1);
    writeUint64(bytes, 40, pendingCut.segment);
    writeUint64(bytes, 48, pendingCut.offset);
    writeUint64(bytes, 56, pendingCut.lsn);
  }
  const end = bytes.length - CRC_BYTES;
  writeUint32(bytes, end, crc32(bytes.subarray(0, end)));
  return bytes;
}

/** The state that `bytes`, a whole file, hold. Never throws, whatever they are. */
export function decodeState(bytes: Uint8Array): LogState | StateFault {
  if (bytes.length !== PLAIN_BYTES && bytes.length !== CUT_BYTES) return { fault: 'its length is wrong' };
  if (!MAGIC.every((byte, at) => bytes[at] === byte)) return { fault: 'it does not begin as a state file' };
  const end = bytes.length - CRC_BYTES;
  if (readUint32(bytes, end) !== crc32(bytes.subarray(0, end)))
    return { fault: 'its checksum does not match' };
  const version = readUint32(bytes, 8);
  if (version !== VERSION) return { fault: `its version ${version} is not known` };
  const hasCut = bytes.length === CUT_BYTES;
  if (readUint32(bytes, 36) !== Number(hasCut)) return { fault: 'it contradicts itself' };
  const logId = readBigUint64(bytes, 12);
  const watermark = readUint64(bytes, 20);
  const checkpoint = readUint64(bytes, 28);
  const pendingCut = hasCut
    ? { segment: readUint64(bytes, 40), offset: readUint64(bytes, 48), lsn: readUint64(bytes, 56) }
    : undefined;
  const numbers = [watermark, checkpoint, ...Object.values(pendingCut ?? {})];
  if (!numbers.every(Number.isSafeInteger)) return { fault: 'it holds a number out of range' };
  return pendingCut === undefined
    ? { logId, watermark, checkpoint }
    : { logId, watermark, checkpoint, pendingCut };
}
