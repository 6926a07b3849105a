import { Buffer } from 'node:buffer';
import { TextEncoder, types } from 'node:util';
import { bytesOf, hasMemory, isUint8Array, lengthOf } from '../../ring/view-fields.js';
import { describeObject } from '../errors/describe-value.js';
import { WalError } from '../errors/wal-error.js';

/** The data of an entry: bytes (any view of them, `Buffer` included) or text, which is stored as UTF-8. */
export type EntryData = Uint8Array | string;

/** Writes an entry into `view` and returns the bytes that it used. See `tryEncode`. */
export type Encode = (view: Buffer) => number;

/**
 * The bytes of a view, without copying. A `Uint8Array` is returned itself, with any properties that the caller has given it: read
 * its fields by view-fields.ts, and if it is empty, call [assertMemory].
 *
 * @throws ERR_WAL_OPTION for anything but a view, and for other views without memory
 */
export function entryBytes(data: unknown): Uint8Array {
  return isUint8Array(data) ? data : viewBytes(data);
}

/** An empty view may be a view whose memory is gone. @throws ERR_WAL_OPTION */
export function assertMemory(view: Uint8Array): void {
  if (!hasMemory(view)) throw withoutMemory();
}

/**
 * The bytes of a view as a new `Uint8Array`, which has the fields of the language and no others.
 *
 * @throws ERR_WAL_OPTION for anything but a view whose memory is there
 */
export function viewBytes(data: unknown): Uint8Array {
  if (!ArrayBuffer.isView(data)) {
    throw new WalError(
      'ERR_WAL_OPTION',
      `An entry is a Uint8Array (Buffer and other views included) or a string, not ${describe(data)}.`,
    );
  }
  const bytes = bytesOf(data);
  if (bytes === undefined) throw withoutMemory();
  return bytes;
}

function withoutMemory(): WalError {
  return new WalError(
    'ERR_WAL_OPTION',
    'An entry must be a view whose memory exists. The memory of this one was transferred (detached), or has shrunk below it: ' +
      'append before you transfer it, or append a copy.',
  );
}

/** A copy of an entry's bytes in an ArrayBuffer of its own, to hand to another thread. */
export function copyBytes(data: EntryData): Uint8Array<ArrayBuffer> {
  return typeof data === 'string' ? new TextEncoder().encode(data) : new Uint8Array(entryBytes(data));
}

/** Bytes that `data` will take as an entry. */
export function byteLengthOf(data: EntryData): number {
  return typeof data === 'string' ? Buffer.byteLength(data) : lengthOf(entryBytes(data));
}

/**
 * The bytes of a batch. All code of the caller (iterators, getters) runs in here, before its results are used: the count is that of
 * the entries taken, whatever `length` says, and if a later element takes the memory of an earlier one away, this is noticed.
 *
 * @throws ERR_WAL_OPTION
 */
export function batchBytes(entries: unknown): Uint8Array[] {
  if (types.isProxy(entries) || !Array.isArray(entries)) throw notABatch();
  const taken: unknown[] = [...entries];
  return taken.map((data) => {
    if (typeof data === 'string') return Buffer.from(data);
    const bytes = entryBytes(data);
    if (lengthOf(bytes) === 0) assertMemory(bytes);
    return bytes;
  });
}

function notABatch(): WalError {
  return new WalError('ERR_WAL_OPTION', 'A batch is an array of entries.');
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value !== 'object') return `a ${typeof value}`;
  const name = describeObject(value);
  if (types.isProxy(value) || !(value instanceof Uint8Array)) return name;
  return `an object that merely inherits from ${name}`;
}

/** Copies of `parts`, `bytes` bytes in all, in one memory: handing over many memories costs the square of their number. */
export function copiesInOne(parts: readonly Uint8Array[], bytes: number): Uint8Array<ArrayBuffer>[] {
  const memory = new ArrayBuffer(bytes);
  let at = 0;
  return parts.map((part) => {
    const copy = new Uint8Array(memory, at, lengthOf(part));
    copy.set(part);
    at += copy.length;
    return copy;
  });
}
