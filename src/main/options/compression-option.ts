import { hasZstd, ZSTD_LEVEL_DEFAULT, ZSTD_LEVEL_MAX, ZSTD_LEVEL_MIN } from '../../blocks/zstd.js';
import type { CompressionSettings } from '../../protocol/thread-data.js';
import { WalError } from '../errors/wal-error.js';
import { integer, refuse, takeOptions } from './checks.js';

/** The option `compression` of {@link WalOptions}: a codec, or a codec and its level. */
export type CompressionOption = 'lz4' | 'zstd' | CompressionCodec;

/** A codec and its level. */
export interface CompressionCodec {
  /** `'zstd'` needs Node 22.15 or later. */
  readonly codec: 'lz4' | 'zstd';
  /**
   * Of zstd only: from 1, quick, to 22, small.
   *
   * @defaultValue 3
   */
  readonly level?: number | undefined;
}

/** @throws ERR_WAL_OPTION; ERR_WAL_UNSUPPORTED if this Node has no zstd */
export function checkCompression(value: unknown): CompressionSettings | undefined {
  if (value === undefined) return undefined;
  const { codec, level } =
    typeof value === 'object' && value !== null
      ? takeOptions<{ codec?: unknown; level?: unknown }>(value, 'field of compression', ['codec', 'level'])
      : { codec: value, level: undefined };
  if (codec !== 'lz4' && codec !== 'zstd')
    refuse('compression', "'lz4', 'zstd', or an object with one of these as its codec", codec);
  if (codec === 'lz4') {
    if (level !== undefined) refuse('compression.level', 'left out: LZ4 has no levels', level);
    return { codec };
  }
  if (!hasZstd) {
    throw new WalError(
      'ERR_WAL_UNSUPPORTED',
      `Cannot compress with zstd: Node ${process.versions.node} does not have it. Use Node 22.15 or later, or compression: 'lz4'.`,
    );
  }
  return {
    codec,
    level: integer('compression.level', level, ZSTD_LEVEL_DEFAULT, ZSTD_LEVEL_MIN, ZSTD_LEVEL_MAX),
  };
}
