import { join } from 'node:path';
import type { AsyncFile } from '../../files/async-file.js';
import { codecTools } from '../../files/codec-tools.js';
import { isMissing } from '../../files/disk.js';
import { type ByteSource, MemorySource } from '../../format/bytes.js';
import { snapshotName } from '../../format/segment-name.js';
import { ChunkWalk, readOutline, type SnapshotOutline } from '../../format/snapshot-file.js';
import { WalError } from '../errors/wal-error.js';
import type { LogView } from '../read/log-view.js';

/** More than both ends of a snapshot have, header and footer. */
const END_BYTES = 2048;

/**
 * The data of a snapshot, each chunk checked before it is handed out. The chunks are memory of their own.
 *
 * @throws WalError ERR_WAL_OPTION: there is none; ERR_WAL_CORRUPT, ERR_WAL_IO, ERR_WAL_CLOSED; the signal's reason
 */
export async function* readSnapshot(
  view: LogView,
  lsn: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, undefined, undefined> {
  view.assertOpen();
  signal?.throwIfAborted();
  const path = join(view.directory, snapshotName(lsn));
  const file = await view.snapshotFiles.open(path).catch((error: unknown) => {
    throw isMissing(error) ? noSnapshot(view, lsn, path) : unreadable(path, lsn, error);
  });
  // An error that `close` of the log caused is that of a closed log.
  const attempt = async <T>(act: () => Promise<T>): Promise<T> => {
    try {
      return await act();
    } catch (error) {
      view.assertOpen();
      throw error instanceof WalError ? error : unreadable(path, lsn, error);
    }
  };
  try {
    const outline = await attempt(() => outlineOf(file, lsn));
    if ('fault' in outline) throw corrupt(path, lsn, 0, outline.fault);
    if (view.logId !== undefined && outline.header.logId !== view.logId)
      throw corrupt(path, lsn, 0, 'it is of another log');
    const walk = new ChunkWalk(outline, codecTools().crc32);
    while (!walk.isAtEnd) {
      signal?.throwIfAborted();
      view.assertOpen();
      const { offset, reach } = walk;
      const bytes = new Uint8Array(reach);
      const taken = walk.take(bytes.subarray(0, await attempt(() => readUpTo(file, bytes, offset))));
      if ('fault' in taken) throw corrupt(path, lsn, offset, taken.fault);
      yield taken;
    }
  } finally {
    await view.snapshotFiles.close(file);
  }
}

/** The two ends of the file, by asynchronous reads. */
async function outlineOf(
  file: AsyncFile,
  lsn: number,
): Promise<SnapshotOutline | { readonly fault: string }> {
  const size = await file.size();
  const first = new Uint8Array(Math.min(END_BYTES, size));
  const lastFrom = Math.max(0, size - END_BYTES);
  const last = new Uint8Array(size - lastFrom);
  await readUpTo(file, first, 0);
  await readUpTo(file, last, lastFrom);
  return readOutline(codecTools(), new TwoEnds(size, first, lastFrom, last), lsn);
}

class TwoEnds implements ByteSource {
  readonly size: number;
  readonly #first: MemorySource;
  readonly #lastFrom: number;
  readonly #last: MemorySource;

  constructor(size: number, first: Uint8Array, lastFrom: number, last: Uint8Array) {
    this.size = size;
    this.#first = new MemorySource(first);
    this.#lastFrom = lastFrom;
    this.#last = new MemorySource(last);
  }

  read(offset: number, length: number): Uint8Array {
    return offset >= this.#lastFrom
      ? this.#last.read(offset - this.#lastFrom, length)
      : this.#first.read(offset, length);
  }
}

/** The bytes read: fewer than fit only at the end of the file. */
async function readUpTo(file: AsyncFile, target: Uint8Array, position: number): Promise<number> {
  let length = 0;
  while (length < target.length) {
    const read = await file.read(target.subarray(length), position + length);
    if (read === 0) break;
    length += read;
  }
  return length;
}

function noSnapshot(view: LogView, lsn: number, path: string): WalError {
  const lsns = view.snapshots().map((snapshot) => snapshot.lsn);
  const has = lsns.length === 0 ? 'It has no snapshot.' : `It has snapshots at ${lsns.join(', ')}.`;
  return new WalError('ERR_WAL_OPTION', `"${view.directory}" has no snapshot at ${lsn}. ${has}`, {
    path,
    lsn,
  });
}

function corrupt(path: string, lsn: number, offset: number, fault: string): WalError {
  return new WalError(
    'ERR_WAL_CORRUPT',
    `Cannot read the snapshot "${path}": ${fault}. An older snapshot, and the entries after it, lead to the same state (recover).`,
    { path, lsn, offset },
  );
}

function unreadable(path: string, lsn: number, error: unknown): WalError {
  const { message } = error as Error;
  return new WalError('ERR_WAL_IO', `Cannot read the snapshot "${path}": ${message}`, {
    path,
    lsn,
    cause: error,
  });
}
