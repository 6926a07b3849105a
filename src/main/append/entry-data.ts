import { WalError } from '../errors/wal-error.js';

/** What an entry is made of: bytes (any view of them, `Buffer` included) or text, which is stored as UTF-8. */
export type EntryData = Uint8Array | string;

/** Writes an entry into `view` and returns the bytes that it used. See `tryEncode`. */
export type Encode = (view: Buffer) => number;

/** The bytes of a view, without copying. @throws ERR_WAL_OPTION for anything but a view */
export function viewBytes(data: unknown): Uint8Array {
  if (data instanceof Uint8Array) return data;
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  throw new WalError(
    'ERR_WAL_OPTION',
    `An entry is a Uint8Array (Buffer and other views included) or a string, not ${describe(data)}.`,
  );
}

/** A copy of an entry's bytes in an ArrayBuffer of its own, to hand to another thread. */
export function copyBytes(data: EntryData): Uint8Array<ArrayBuffer> {
  return typeof data === 'string' ? new TextEncoder().encode(data) : new Uint8Array(data);
}

/** Bytes that `data` will take as an entry. */
export function byteLengthOf(data: EntryData): number {
  return typeof data === 'string' ? Buffer.byteLength(data) : data.byteLength;
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  return typeof value === 'object' ? (value.constructor?.name ?? 'an object') : `a ${typeof value}`;
}

/** Copies of `parts`, `bytes` bytes in all, in one memory: to hand over many costs the square of their number. */
export function copiesInOne(parts: readonly Uint8Array[], bytes: number): Uint8Array<ArrayBuffer>[] {
  const memory = new ArrayBuffer(bytes);
  let at = 0;
  return parts.map((part) => {
    const copy = new Uint8Array(memory, at, part.length);
    copy.set(part);
    at += part.length;
    return copy;
  });
}
