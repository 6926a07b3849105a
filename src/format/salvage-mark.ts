/**
 * The file `ringwal.salvage`: a salvage was begun, and it keeps exactly these entries. Rewriting the segments removes the
 * damage, which shows why other entries are not kept: without the list, the run that finishes the salvage could take the end
 * of a broken batch for an entry of its own.
 *
 *  byte  bytes  name      meaning
 *     0      8  magic     "rwsalvag"
 *     8      4  version   1
 *    12      4  count     number of runs
 *    16      8  log_id    as in every Segment of the log
 *    24   16 n  runs      first and last LSN of each run of kept entries, ascending
 *     …      4  crc       CRC-32 of everything before
 *
 * Little endian. Synced with its name before any segment changes: a file that cannot be read belongs to a salvage that has
 * changed nothing yet. test/format/salvage-mark.test.ts breaks when a byte moves.
 */

import { crc32 } from './crc32.js';
import { readBigUint64, readUint32, readUint64, writeBigUint64, writeUint32, writeUint64 } from './wire.js';

/** First and last LSN of entries without a gap. */
export type LsnRun = readonly [first: number, last: number];

export interface SalvageMark {
  readonly logId: bigint;
  /** Ascending; no two touch. */
  readonly kept: readonly LsnRun[];
}

const MAGIC = Uint8Array.from('rwsalvag', (letter) => letter.charCodeAt(0));
const VERSION = 1;
const HEADER_BYTES = 24;
const RUN_BYTES = 16;
const CRC_BYTES = 4;

export function encodeSalvageMark({ logId, kept }: SalvageMark): Uint8Array {
  const end = HEADER_BYTES + kept.length * RUN_BYTES;
  const bytes = new Uint8Array(end + CRC_BYTES);
  bytes.set(MAGIC);
  writeUint32(bytes, 8, VERSION);
  writeUint32(bytes, 12, kept.length);
  writeBigUint64(bytes, 16, logId);
  kept.forEach(([first, last], at) => {
    writeUint64(bytes, HEADER_BYTES + at * RUN_BYTES, first);
    writeUint64(bytes, HEADER_BYTES + at * RUN_BYTES + 8, last);
  });
  writeUint32(bytes, end, crc32(bytes.subarray(0, end)));
  return bytes;
}

/** The mark in `bytes`, a whole file; `undefined`: they are not a complete mark. Never throws, for any bytes. */
export function decodeSalvageMark(bytes: Uint8Array): SalvageMark | undefined {
  const end = bytes.length - CRC_BYTES;
  if (end < HEADER_BYTES || (end - HEADER_BYTES) % RUN_BYTES !== 0) return undefined;
  if (!MAGIC.every((byte, at) => bytes[at] === byte)) return undefined;
  if (readUint32(bytes, end) !== crc32(bytes.subarray(0, end)) || readUint32(bytes, 8) !== VERSION)
    return undefined;
  if (readUint32(bytes, 12) !== (end - HEADER_BYTES) / RUN_BYTES) return undefined;
  const kept: LsnRun[] = [];
  for (let at = HEADER_BYTES; at < end; at += RUN_BYTES) {
    const run = [readUint64(bytes, at), readUint64(bytes, at + 8)] as const;
    const previous = kept.at(-1)?.[1] ?? 0;
    if (!run.every(Number.isSafeInteger) || run[0] <= previous || run[1] < run[0]) return undefined;
    kept.push(run);
  }
  return { logId: readBigUint64(bytes, 16), kept };
}

/** Answers for ascending LSNs whether they lie in one of the runs. */
export function runsInclude(kept: readonly LsnRun[]): (lsn: number) => boolean {
  let at = 0;
  return (lsn) => {
    while (at < kept.length && (kept[at] as LsnRun)[1] < lsn) at += 1;
    const run = kept[at];
    return run !== undefined && run[0] <= lsn;
  };
}
