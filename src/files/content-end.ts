import { type Allocation, type DiskFile, readFully } from './disk.js';

/** A smaller hole is read through, which is quick. */
export const HOLE_BYTES_MIN = 64 * 1024 * 1024;

const WINDOW_BYTES = 1024 * 1024;

/** Results found before: one look at a log opens a file several times. */
const found = new Map<string, number>();
const FOUND_MAX = 8;

/**
 * Finds where the zeros at the end of a file begin: after its last byte that is not zero. `from`: not before that.
 *
 * A file may be a terabyte long and hold a megabyte: reading through its holes takes minutes. Node cannot ask the system where
 * the holes are, only how many bytes are allocated. So the file is read from its start, and each block with a byte that is not
 * zero is counted, since it must be allocated. Once the count reaches the allocated bytes, the rest is one hole and is not read.
 * This is exact: blocks that are allocated and hold zeros only make the count too small, and then the file is read to its end.
 *
 * @param onRead called for each piece that was read, with its bytes
 * @throws the system's error
 */
export function endOfContent(file: DiskFile, from = 0, onRead: (bytes: number) => void = () => {}): number {
  const size = file.size();
  const sparse = size - from < HOLE_BYTES_MIN ? undefined : file.allocation();
  if (sparse === undefined || size - sparse.bytes < HOLE_BYTES_MIN)
    return lastNonZero(file, from, size, onRead);
  const { dev, ino } = file.identity();
  const key = `${dev} ${ino} ${size} ${sparse.bytes}`;
  const end = found.get(key) ?? findEnd(file, size, sparse, onRead);
  found.delete(key);
  found.set(key, end);
  if (found.size > FOUND_MAX) found.delete(found.keys().next().value as string);
  return Math.max(from, end);
}

function findEnd(
  file: DiskFile,
  size: number,
  { bytes: allocatedBytes, blockBytes }: Allocation,
  onRead: (bytes: number) => void,
): number {
  const window = new Uint8Array(Math.max(WINDOW_BYTES, blockBytes));
  let unseenBytes = allocatedBytes;
  let end = 0;
  for (let at = 0; at < size && unseenBytes > 0; at += window.length) {
    const length = readFully(file, window.subarray(0, Math.min(window.length, size - at)), at);
    onRead(length);
    if (length === 0) break;
    if (isZero(window, 0, length)) continue;
    for (let block = 0; block < length; block += blockBytes) {
      const blockEnd = Math.min(length, block + blockBytes);
      if (isZero(window, block, blockEnd)) continue;
      unseenBytes -= blockBytes;
      end = at + lastNonZeroOf(window, block, blockEnd);
    }
  }
  return end;
}

/** The same for a file without large holes, read from its end: preallocated zeros are few. */
function lastNonZero(file: DiskFile, from: number, size: number, onRead: (bytes: number) => void): number {
  const window = new Uint8Array(Math.min(WINDOW_BYTES, Math.max(0, size - from)));
  for (let end = size; end > from; ) {
    const start = Math.max(from, end - window.length);
    const length = readFully(file, window.subarray(0, end - start), start);
    onRead(length);
    if (!isZero(window, 0, length)) return start + lastNonZeroOf(window, 0, length);
    end = start;
  }
  return from;
}

/** `bytes` must own its memory and `from` be a multiple of 4: it compares four bytes at a time. */
function isZero(bytes: Uint8Array, from: number, to: number): boolean {
  const words = new Int32Array(bytes.buffer, from, (to - from) >>> 2);
  for (let at = 0; at < words.length; at++) if (words[at] !== 0) return false;
  for (let at = from + words.byteLength; at < to; at++) if (bytes[at] !== 0) return false;
  return true;
}

/** The offset after the last byte of `bytes[from, to)` that is not zero. There must be one. */
function lastNonZeroOf(bytes: Uint8Array, from: number, to: number): number {
  let end = to;
  while (end > from && bytes[end - 1] === 0) end -= 1;
  return end;
}
