/** Bytes of one file, read piece by piece: a log is judged without ever holding a whole segment. */
export interface ByteSource {
  readonly size: number;
  /**
   * Exactly the bytes `[offset, min(offset + length, size))`, however the file is read underneath. The view is valid
   * until the next call.
   */
  read(offset: number, length: number): Uint8Array;
  /** From here on there are certainly only zeros, which need not be read. Absent = not known. */
  readonly zeroFrom?: number;
  /** Called with the number of bytes that are read to find [zeroFrom]. */
  onLook?: (bytes: number) => void;
  /** Called once when the reader is done, so that a log of many segments holds few files open. */
  close?(): void;
}

export class MemorySource implements ByteSource {
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get size(): number {
    return this.#bytes.length;
  }

  read(offset: number, length: number): Uint8Array {
    return this.#bytes.subarray(offset, offset + length);
  }
}

/** A segment of a log to be judged. */
export interface SegmentFile {
  /** n of `wal-<n>`. */
  readonly number: number;
  open(): ByteSource;
}

export function withSource<T>(file: SegmentFile, use: (source: ByteSource) => T): T {
  const source = file.open();
  try {
    return use(source);
  } finally {
    source.close?.();
  }
}

/** The offset after which there are at most zeros. */
export function contentEnd(source: ByteSource): number {
  return Math.min(source.size, source.zeroFrom ?? source.size);
}

const ZERO_CHECK_BYTES = 256 * 1024;

/** Whether `source` holds nothing but zeros from `offset` on. */
export function isZeroFrom(source: ByteSource, offset: number): boolean {
  // Mostly the first piece shows it. So `zeroFrom`, which may take reading the whole file, is not asked for yet.
  if (!isAllZero(source.read(offset, ZERO_CHECK_BYTES))) return false;
  const end = contentEnd(source);
  for (let at = offset + ZERO_CHECK_BYTES; at < end; at += ZERO_CHECK_BYTES) {
    if (!isAllZero(source.read(at, ZERO_CHECK_BYTES))) return false;
  }
  return true;
}

/** Compares four bytes at a time: preallocated room may have up to a gigabyte. */
function isAllZero(bytes: Uint8Array): boolean {
  const wordsStart = Math.min(-bytes.byteOffset & 3, bytes.length);
  const wordsEnd = bytes.length - ((bytes.length - wordsStart) & 3);
  if (!isZeroBetween(bytes, 0, wordsStart) || !isZeroBetween(bytes, wordsEnd, bytes.length)) return false;
  if (wordsStart === wordsEnd) return true;
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + wordsStart, (wordsEnd - wordsStart) >>> 2);
  return isZeroBetween(words, 0, words.length);
}

function isZeroBetween(values: Uint8Array | Int32Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (values[i] !== 0) return false;
  return true;
}
