import zlib from 'node:zlib';
import { isZstdFrameOf, WINDOW_LOG_MAX } from '../format/zstd-frame.js';

/** Node's zstd, which its types of the oldest supported version do not have. */
interface ZstdOfNode {
  readonly zstdCompressSync?: (bytes: Uint8Array, options: object) => Uint8Array;
  readonly zstdDecompressSync?: (bytes: Uint8Array, options: object) => Uint8Array;
}

const node = zlib as ZstdOfNode;
const constants = zlib.constants as unknown as Readonly<Record<string, number>>;

/** Node has zstd from 22.15 on. */
export const hasZstd = node.zstdCompressSync !== undefined && node.zstdDecompressSync !== undefined;

const UNPOOLED_BYTES = 4096;

/** Of the option `compression`; the library's own range for compression proper. */
export const ZSTD_LEVEL_MIN = 1;
export const ZSTD_LEVEL_MAX = 22;
export const ZSTD_LEVEL_DEFAULT = 3;

/** One frame, with the size of the content and without a checksum: the run has its own. */
export function compressZstd(input: Uint8Array, level: number): Uint8Array {
  if (node.zstdCompressSync === undefined) throw new Error('this Node has no zstd');
  return node.zstdCompressSync(input, {
    pledgedSrcSize: input.length,
    chunkSize: Math.max(64, input.length),
    params: {
      [constants.ZSTD_c_compressionLevel as number]: level,
      [constants.ZSTD_c_windowLog as number]: WINDOW_LOG_MAX,
      [constants.ZSTD_c_contentSizeFlag as number]: 1,
      [constants.ZSTD_c_checksumFlag as number]: 0,
    },
  });
}

/** The content of a frame that has exactly so many bytes; `undefined` = it has not. Only if [hasZstd]. */
export function decompressZstd(frame: Uint8Array, contentBytes: number): Uint8Array | undefined {
  if (node.zstdDecompressSync === undefined) throw new Error('this Node has no zstd');
  if (!isZstdFrameOf(frame, contentBytes)) return undefined;
  try {
    const content = node.zstdDecompressSync(frame, {
      maxOutputLength: contentBytes,
      // Smaller ones come from Node's pool, whose memory other buffers share.
      chunkSize: Math.max(UNPOOLED_BYTES, contentBytes),
      params: { [constants.ZSTD_d_windowLogMax as number]: WINDOW_LOG_MAX },
    });
    if (content.length !== contentBytes) return undefined;
    return new Uint8Array(content.buffer, content.byteOffset, contentBytes);
  } catch {
    // Whatever the library calls it: the frame was made by no writer, or is damaged.
    return undefined;
  }
}
