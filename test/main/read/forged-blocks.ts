import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { crc32 } from 'node:zlib';
import { Wal } from '#ringwal';
import { type Block, CODEC } from '../../../src/format/block.js';
import { packRun } from '../../../src/format/block-run.js';
import { encodeFrame } from '../../../src/format/encode.js';
import { frameChecksumSeed } from '../../../src/format/frame.js';
import { temporaryLog } from '../support.js';

/** A frame that no writer writes, with checksums that match. */
export interface ForgedBlock {
  readonly block: Partial<Block>;
  readonly data: Uint8Array;
  readonly batchRemaining?: number;
}

/** A closed log whose only segment begins with an entry "first" and ends with these frames. */
export async function forgedLog(t: TestContext, blocks: readonly ForgedBlock[]): Promise<string> {
  const directory = temporaryLog(t);
  const wal = await Wal.open(directory);
  await wal.append('first', { durable: true });
  await wal.close();
  const path = join(directory, 'wal-0');
  let bytes = readFileSync(path);
  // Field 8 of the first frame: tag, length, then log_id's tag and its 8 bytes.
  const logId = bytes.readBigUInt64LE(bytes.indexOf(0x42, 8) + 3);
  let lsn = 2;
  for (const { block, data, batchRemaining } of blocks) {
    const whole = {
      entries: 1,
      rawBytes: 0,
      codec: CODEC.lz4,
      keyHeaderBytes: 0,
      epoch: 0,
      counter: 0,
      continues: false,
      ...block,
    };
    const frame = encodeFrame({
      lsn,
      data,
      syncedLsn: 1,
      batchRemaining,
      block: whole,
      checksumSeed: frameChecksumSeed(logId, 0),
      fileOffset: bytes.length,
    });
    bytes = Buffer.concat([bytes, frame]);
    lsn += whole.entries;
  }
  writeFileSync(path, bytes);
  return directory;
}

/** A block of these entries, stored as they are. */
export function stored(texts: readonly string[]): { block: Partial<Block>; data: Uint8Array } {
  const data = packRun(
    texts.map((each) => ({ data: Buffer.from(each), more: false })),
    crc32,
  );
  return { block: { codec: CODEC.stored, entries: texts.length, rawBytes: data.length }, data };
}
