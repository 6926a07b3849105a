import { CODEC, type Codec, isJustified, RAW_BYTES_MAX } from '../format/block.js';
import { lz4For } from '../format/kernel/lz4.js';
import { compressZstd } from './zstd.js';

/** How a run is to be compressed. */
export type Compression =
  | { readonly codec: 'lz4' }
  /** `level`: from ZSTD_LEVEL_MIN to ZSTD_LEVEL_MAX. */
  | { readonly codec: 'zstd'; readonly level: number };

/** A run as it is stored. */
export interface StoredRun {
  readonly codec: Codec;
  /** Valid until the next run is compressed. */
  readonly bytes: Uint8Array;
}

/**
 * Compresses a run of `entries` entries to at most `maxBytes`; `undefined` = it does not become that short, or a reader would not
 * take a run of this size. A zstd frame that is too small for what it becomes gives way to LZ4, which cannot shrink as much.
 */
export function compressRun(
  run: Uint8Array,
  entries: number,
  compression: Compression,
  maxBytes: number,
): StoredRun | undefined {
  if (run.length > RAW_BYTES_MAX) return undefined;
  if (compression.codec === 'zstd') {
    const bytes = compressZstd(run, compression.level);
    if (isJustified(CODEC.zstd, entries, run.length, bytes.length))
      return bytes.length <= maxBytes ? { codec: CODEC.zstd, bytes } : undefined;
  }
  const bytes = lz4For(run.length).compress(run, maxBytes);
  if (bytes === undefined || !isJustified(CODEC.lz4, entries, run.length, bytes.length)) return undefined;
  return { codec: CODEC.lz4, bytes };
}
