/**
 * The bytes on disk, literally: worked out apart from this code (Python's struct and zlib.crc32, and the list in the
 * header of src/format/frame.ts). Nothing here may change while older files are to be read.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createChain, validateFrame } from '../../src/format/chain.js';
import { encodeFrame, type FrameFields } from '../../src/format/encode.js';
import { createFrame, frameChecksumSeed } from '../../src/format/frame.js';
import { parseFrame } from '../../src/format/frame-parser.js';
import { hex } from './log-builder.js';

const LOG_ID = 0x8877_6655_4433_2211n;
const HELLO = new TextEncoder().encode('hello');
const SEGMENT = { logId: LOG_ID, number: 3, createdMs: 1_700_000_000_000, recycled: true, branch: 0n };

interface Golden {
  readonly name: string;
  readonly fields: Omit<FrameFields, 'checksumSeed'> & { readonly data: Uint8Array };
  readonly logId?: bigint;
  readonly bytes: string;
}

const GOLDENS: readonly Golden[] = [
  {
    name: 'an entry has its LSN, its data and a checksum of both',
    fields: { lsn: 1, data: HELLO, fileOffset: 0 },
    bytes: '0f000000  0801  1205 68656c6c6f  18a8d3a38f0a',
  },
  {
    name: 'an empty entry has no data field',
    fields: { lsn: 300, data: hex(''), fileOffset: 0 },
    bytes: '09000000  08ac02  18ee86ea860e',
  },
  {
    name: 'a checksum of 0 is not written',
    fields: { lsn: 1, data: hex('7200f5d0'), fileOffset: 0 },
    bytes: '08000000  0801  1204 7200f5d0',
  },
  {
    name: 'the largest LSN takes 8 bytes',
    fields: { lsn: 2 ** 53 - 1, data: HELLO, fileOffset: 0 },
    bytes: '16000000  08ffffffffffffff0f  1205 68656c6c6f  18b3edb4df0f',
  },
  {
    name: 'the first frame of a segment names log, file, time and re-use; a watermark of 0 is written',
    fields: { lsn: 7, data: HELLO, syncedLsn: 0, segment: SEGMENT, fileOffset: 0 },
    bytes: `2c000000  0807  1205 68656c6c6f  189d99adc404  2000
            4214 09 1122334455667788 1003 1880d095ffbc31 2001  7d 9c37bdb0`,
  },
  {
    name: 'a frame says when it was made, and a Segment its branch',
    fields: {
      lsn: 9,
      data: HELLO,
      syncedLsn: 8,
      timeMs: 1_700_000_000_123,
      segment: { ...SEGMENT, branch: 0x1020_3040_5060_7080n },
      fileOffset: 4096,
    },
    bytes: `3c000000  0809  1205 68656c6c6f  189ac3cdf90a  2008  30fbd095ffbc31
            421d 09 1122334455667788 1003 1880d095ffbc31 2001 29 8070605040302010  7d 017c53a0`,
  },
  {
    name: 'a frame in a batch counts what is still to come',
    fields: { lsn: 8, data: HELLO, syncedLsn: 7, batchRemaining: 2, fileOffset: 4096 },
    bytes: '18000000  0808  1205 68656c6c6f  188ca2d1c10d  2007  2802  7d a22d3d0e',
  },
  {
    name: 'a frame behind removed ones counts them; offsets beyond 32 bits count in the checksum',
    fields: { lsn: 20, data: HELLO, syncedLsn: 10, skipped: 11, fileOffset: 2 ** 32 + 5 },
    bytes: '18000000  0814  1205 68656c6c6f  18c39ad4e10c  200a  380b  7d fdff07a6',
  },
  {
    name: 'a frame checksum of 0 is written',
    fields: { lsn: 2, data: HELLO, syncedLsn: 1, fileOffset: 64 },
    logId: 0x1111_1111_6ad5_f828n,
    bytes: '16000000  0802  1205 68656c6c6f  1892f086c703  2001  7d 00000000',
  },
];

for (const { name, fields, logId = LOG_ID, bytes } of GOLDENS) {
  test(name, () => {
    const checksumSeed = frameChecksumSeed(logId, 3);
    const golden = hex(bytes);
    assert.deepEqual(encodeFrame({ ...fields, checksumSeed }), golden);

    const frame = createFrame();
    assert.equal(parseFrame(golden, 0, golden.length, frame), undefined);
    const chain = { ...createChain(logId, 3), fileOffset: fields.fileOffset };
    assert.equal(validateFrame(golden, 0, frame, chain), undefined);
    assert.equal(frame.lsn, fields.lsn);
    assert.deepEqual(golden.subarray(frame.dataStart, frame.dataEnd), fields.data);
    assert.equal(frame.syncedLsn, fields.syncedLsn ?? -1);
    assert.equal(frame.batchRemaining, fields.batchRemaining ?? 0);
    assert.equal(frame.timeMs, fields.timeMs ?? 0);
    assert.equal(frame.skipped, fields.skipped ?? 0);
    assert.deepEqual(frame.segment, fields.segment);
  });
}
