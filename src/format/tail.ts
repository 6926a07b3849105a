import { type ByteSource, isZeroFrom } from './bytes.js';
import { MAX_FRAME_SIZE, MIN_FRAME_SIZE, SIZE_WORD_BYTES, TAG } from './frame.js';
import { readUint32, readVarint } from './wire.js';

/**
 * The bytes right after the last kept entry of a segment:
 *
 *   end      none: the file ends there
 *   zeros    nothing but zeros: preallocated room
 *   stale    old bytes of a recycled file: they do not start with a size word and the next LSN
 *   bytes    anything else: the log tried to write here
 */
export type Tail = 'end' | 'zeros' | 'stale' | 'bytes';

const START_BYTES = SIZE_WORD_BYTES + 1 + 8;

export function readTail(source: ByteSource, offset: number, nextLsn: number, recycled: boolean): Tail {
  if (offset === source.size) return 'end';
  if (isZeroFrom(source, offset)) return 'zeros';
  return recycled && !startsFrame(source.read(offset, START_BYTES), nextLsn) ? 'stale' : 'bytes';
}

function startsFrame(bytes: Uint8Array, lsn: number): boolean {
  if (bytes.length <= SIZE_WORD_BYTES) return false;
  const size = readUint32(bytes, 0);
  if (size < MIN_FRAME_SIZE || size > MAX_FRAME_SIZE) return false;
  return bytes[SIZE_WORD_BYTES] === TAG.lsn && readVarint(bytes, SIZE_WORD_BYTES + 1, bytes.length) === lsn;
}
