import { crc32 } from 'node:zlib';
import type { BlockEntries } from '../../blocks/block-entries.js';
import { compressRun } from '../../blocks/encode-block.js';
import { type Block, CODEC } from '../../format/block.js';
import { packRun } from '../../format/block-run.js';
import { encodeFrame } from '../../format/encode.js';
import type { Frame, SegmentStamp } from '../../format/frame.js';

/** Where the frame will stand. */
export interface FrameSite {
  readonly checksumSeed: number;
  readonly fileOffset: number;
  readonly segment: SegmentStamp | undefined;
}

/**
 * The frame of a block that ends after its first `count` entries. The last of them ends its batch, if it is in one. Everything
 * else that the frame says stays.
 */
export function encodeShortened(
  { lsn, syncedLsn, timeMs, skipped, block }: Frame,
  entries: BlockEntries,
  count: number,
  site: FrameSite,
): Uint8Array {
  const kept = Array.from({ length: count }, (_, index) => ({
    data: entries.data(index),
    more: index < count - 1 && entries.remainingAfter(index) > 0,
  }));
  const run = packRun(kept, crc32);
  const stored = compressRun(run, count, { codec: 'lz4' }, run.length - 1) ?? {
    codec: CODEC.stored,
    bytes: run,
  };
  const shortened: Block = {
    ...(block as Block),
    entries: count,
    rawBytes: run.length,
    codec: stored.codec,
  };
  return encodeFrame({ lsn, syncedLsn, timeMs, skipped, block: shortened, data: stored.bytes, ...site });
}
