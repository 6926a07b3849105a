import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  DiskError,
  type DiskFile,
  isMissing,
  isTransient,
  type OpenFlags,
  systemCode,
} from '../files/disk.js';
import type { SimulatedDisk } from '../files/simulation/simulated-disk.js';
import { WalError } from '../index.js';

/** A path or a `file:` URL. */
export type FilePath = string | URL;

/** An open file or directory. A directory can only be synced and closed. */
export interface Handle {
  readonly path: string;
  /** `undefined`: a directory. */
  readonly file: DiskFile | undefined;
  readonly appends: boolean;
  /** The position of a read or write without one. */
  position: number;
  isClosed: boolean;
}

/** Calls of the disk, in order. Each `yield` is one call; a power cut may come between two calls. */
export type Steps<T> = Generator<() => unknown, T, unknown>;

function* call<T>(run: () => T): Steps<T> {
  return (yield run) as T;
}

/** Makes all calls one after the other, without a pause. */
export function runNow<T>(steps: Steps<T>): T {
  for (let next = steps.next(); ; ) {
    if (next.done) return next.value;
    let value: unknown;
    try {
      value = next.value();
    } catch (error) {
      next = steps.throw(error);
      continue;
    }
    next = steps.next(value);
  }
}

/** The same, with each call made through `later`. */
export async function runLater<T>(
  steps: Steps<T>,
  later: (run: () => unknown) => Promise<unknown>,
): Promise<T> {
  for (let next = steps.next(); ; ) {
    if (next.done) return next.value;
    let value: unknown;
    try {
      value = await later(next.value);
    } catch (error) {
      next = steps.throw(error);
      continue;
    }
    next = steps.next(value);
  }
}

/** Flags of `open` as the disk has them. The appending flags open the existing file and write at its end. */
const FLAGS: Readonly<Record<string, { readonly flags: OpenFlags; readonly appends?: true }>> = {
  r: { flags: 'r' },
  'r+': { flags: 'r+' },
  w: { flags: 'w' },
  'w+': { flags: 'w+' },
  wx: { flags: 'wx' },
  'wx+': { flags: 'wx+' },
  a: { flags: 'r+', appends: true },
  'a+': { flags: 'r+', appends: true },
  ax: { flags: 'wx', appends: true },
  'ax+': { flags: 'wx+', appends: true },
};

const READ_CHUNK_BYTES = 64 * 1024;

export function pathOf(path: FilePath): string {
  if (path instanceof URL) return fileURLToPath(path);
  if (typeof path !== 'string' || path.length === 0) {
    throw new WalError(
      'ERR_WAL_OPTION',
      `A path must be a string or a file: URL, not ${JSON.stringify(path)}.`,
    );
  }
  return resolve(path);
}

export function bytesOf(data: string | ArrayBufferView): Uint8Array {
  if (typeof data === 'string') return Buffer.from(data);
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  throw new WalError('ERR_WAL_OPTION', 'Data for a file must be a string or bytes.');
}

export function* open(disk: SimulatedDisk, path: string, flags: string): Steps<Handle> {
  const wanted = FLAGS[flags];
  if (wanted === undefined) {
    throw new WalError(
      'ERR_WAL_OPTION',
      `Cannot open "${path}" with flags ${JSON.stringify(flags)}: the simulated disk supports ${Object.keys(FLAGS).join(', ')}.`,
    );
  }
  const appends = wanted.appends === true;
  const handle = { path, appends, position: 0, isClosed: false };
  if (flags === 'r') {
    const stat = yield* call(() => disk.stat(path));
    if (stat?.kind === 'directory') return { ...handle, file: undefined };
  }
  const isToBeMade = appends && wanted.flags === 'r+';
  try {
    return { ...handle, file: yield* call(() => disk.open(path, wanted.flags)) };
  } catch (error) {
    if (!isToBeMade || !isMissing(error)) throw error;
    return { ...handle, file: yield* call(() => disk.open(path, 'wx+')) };
  }
}

export function* close(handle: Handle): Steps<void> {
  if (handle.isClosed) return;
  handle.isClosed = true;
  const { file } = handle;
  if (file !== undefined) yield* call(() => file.close());
}

export function* read(handle: Handle, target: Uint8Array, position: number | null): Steps<number> {
  const file = fileOf(handle, 'read');
  const at = position ?? handle.position;
  const bytesRead = yield* call(() => file.read(target, at));
  if (position === null) handle.position = at + bytesRead;
  return bytesRead;
}

/** One write, which may be short. */
export function* write(handle: Handle, bytes: Uint8Array, position: number | null): Steps<number> {
  const file = fileOf(handle, 'write');
  // One call, so that no other append comes between finding the end and writing.
  const bytesWritten = yield* call(() => {
    const at = handle.appends ? file.size() : (position ?? handle.position);
    return file.write(bytes, 0, bytes.length, at);
  });
  if (position === null) handle.position += bytesWritten;
  return bytesWritten;
}

/** Writes all bytes, from the handle's position on. */
export function* writeAll(handle: Handle, bytes: Uint8Array): Steps<void> {
  for (let at = 0; at < bytes.length; ) {
    at += yield* unlessTransient(() => write(handle, bytes.subarray(at), null));
  }
}

/** Reads from the handle's position to the end. */
export function* readAll(handle: Handle): Steps<Buffer> {
  const chunks: Uint8Array[] = [];
  for (;;) {
    const chunk = new Uint8Array(READ_CHUNK_BYTES);
    const bytesRead = yield* unlessTransient(() => read(handle, chunk, null), -1);
    if (bytesRead === 0) return Buffer.concat(chunks);
    if (bytesRead > 0) chunks.push(chunk.subarray(0, bytesRead));
  }
}

/** Repeats interrupted calls, as Node's own functions do. */
function* unlessTransient(steps: () => Steps<number>, otherwise = 0): Steps<number> {
  try {
    return yield* steps();
  } catch (error) {
    if (!isTransient(error)) throw error;
    return otherwise;
  }
}

export function* sync(disk: SimulatedDisk, handle: Handle, kind: 'sync' | 'datasync'): Steps<void> {
  assertOpen(handle, 'fsync');
  const { file } = handle;
  yield* call(() => (file === undefined ? disk.syncDirectory(handle.path) : file[kind]()));
}

export function* truncate(handle: Handle, size: number): Steps<void> {
  const file = fileOf(handle, 'ftruncate');
  yield* call(() => file.truncate(size));
}

export function* size(handle: Handle): Steps<number> {
  const file = fileOf(handle, 'fstat');
  return yield* call(() => file.size());
}

/** Opens, uses and closes a file. */
export function* using<T>(opening: Steps<Handle>, use: (handle: Handle) => Steps<T>): Steps<T> {
  const handle = yield* opening;
  let result: T;
  try {
    result = yield* use(handle);
  } catch (error) {
    yield* close(handle);
    throw error;
  }
  yield* close(handle);
  return result;
}

/** Returns the first directory that was created. */
export function* makeDirectory(
  disk: SimulatedDisk,
  path: string,
  isRecursive: boolean,
): Steps<string | undefined> {
  try {
    yield* call(() => disk.mkdir(path));
    return isRecursive ? path : undefined;
  } catch (error) {
    if (!isRecursive) throw error;
    if (systemCode(error) === 'EEXIST') {
      const stat = yield* call(() => disk.stat(path));
      if (stat?.kind !== 'directory') throw error;
      return undefined;
    }
    const parent = dirname(path);
    if (!isMissing(error) || parent === path) throw error;
    const first = yield* makeDirectory(disk, parent, true);
    const own = yield* makeDirectory(disk, path, true);
    return first ?? own;
  }
}

export function* list(disk: SimulatedDisk, path: string): Steps<string[]> {
  return yield* call(() => disk.list(path));
}

export function* rename(disk: SimulatedDisk, from: string, to: string): Steps<void> {
  yield* call(() => disk.rename(from, to));
}

export function* remove(disk: SimulatedDisk, path: string, isForced: boolean): Steps<void> {
  try {
    yield* call(() => disk.unlink(path));
  } catch (error) {
    if (!isForced || !isMissing(error)) throw error;
  }
}

/** A file's type, size and times. */
export interface SimulatedStat {
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since 1970, by the machine's clock. */
  readonly mtimeMs: number;
  /** Distinguishes files, whatever their names. */
  readonly ino: number;
  /** Whether it is a file. */
  isFile(): boolean;
  /** Whether it is a directory. */
  isDirectory(): boolean;
}

export function* stat(disk: SimulatedDisk, path: string): Steps<SimulatedStat | undefined> {
  const found = yield* call(() => disk.stat(path));
  if (found === undefined) return undefined;
  const { kind, size: bytes, mtimeMs, ino } = found;
  return {
    size: bytes,
    mtimeMs,
    ino: Number(ino),
    isFile: () => kind === 'file',
    isDirectory: () => kind === 'directory',
  };
}

function assertOpen(handle: Handle, syscall: string): void {
  if (handle.isClosed) throw new DiskError('EBADF', syscall, handle.path, 'bad file descriptor');
}

function fileOf(handle: Handle, syscall: string): DiskFile {
  assertOpen(handle, syscall);
  if (handle.file !== undefined) return handle.file;
  throw new DiskError('EISDIR', syscall, handle.path, 'illegal operation on a directory');
}
