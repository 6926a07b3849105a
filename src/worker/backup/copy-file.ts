import { type Disk, type DiskFile, isMissing, isSameFile, readFully, writeFully } from '../../files/disk.js';
import { createSha256 } from '../../files/sha256.js';
import type { JobControl } from '../../protocol/job-control.js';
import { LogFailure, systemCause } from '../errors/failure.js';

/**
 * After each piece the job checks whether it must stop, and reports its progress. Bet: a piece that was read is still in the
 * processor's cache when it is hashed and written (bench/workloads/backup.ts).
 */
const PIECE_BYTES = 256 * 1024;

/** The waiting thread wants the job to end. */
export class StopRequest extends Error {}

export function checkStop(control: JobControl): void {
  if (control.isStopped) throw new StopRequest('the job is to stop');
}

/** Part of a file that is copied. */
export interface CopyRequest {
  readonly from: string;
  readonly to: string;
  /** Bytes `[start, end)` of `from`. */
  readonly start: number;
  readonly end: number;
  readonly fileMode: number;
  /** `link`: give the file a second name instead. Only for a whole file that nothing changes any more. */
  readonly how: 'copy' | 'link';
}

/** Copies files durably, with their digests. One for each job: it remembers whether the file system can share blocks. */
export class FileCopier {
  readonly #disk: Disk;
  readonly #control: JobControl;
  readonly #window = new Uint8Array(PIECE_BYTES);
  #mayClone = true;

  constructor(disk: Disk, control: JobControl) {
    this.#disk = disk;
    this.#control = control;
  }

  /**
   * Makes the file `to`, which must not exist, and syncs it, but not its name. Returns the SHA-256 of its bytes; `undefined`: the
   * name `from` leads to no file, or meanwhile to another one: the content of `to` is worthless then.
   *
   * @throws the system's error; LogFailure ERR_WAL_IO: `from` is shorter than `end`
   */
  copy(request: CopyRequest): Uint8Array | undefined {
    const { from } = request;
    let source: DiskFile;
    try {
      source = this.#disk.open(from, 'r');
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
    try {
      const sha256 = this.#copyFrom(source, request);
      // Retention may remove the file, or reuse it for another segment: in both cases it removed the name before any byte changed.
      return this.#leadsTo(from, source) ? sha256 : undefined;
    } catch (error) {
      if (isMissing(error) && !this.#leadsTo(from, source)) return undefined;
      throw error;
    } finally {
      source.close();
    }
  }

  /** Appends bytes `[start, end)` of `from` to the open file `to`, at `position`. Returns the SHA-256 of `[start, hashEnd)`. */
  append(
    source: DiskFile,
    start: number,
    end: number,
    hashEnd: number,
    to: DiskFile,
    position: number,
  ): Uint8Array {
    const sha256 = createSha256();
    this.#eachPiece(source, start, hashEnd, (piece, at) => {
      sha256.update(piece);
      const kept = Math.min(piece.length, end - at);
      if (kept > 0) writeFully(to, piece, 0, kept, position + (at - start));
    });
    return sha256.digest();
  }

  /** The first `end` bytes of an open file, which are few. */
  read(file: DiskFile, end: number): Uint8Array {
    const bytes = new Uint8Array(end);
    if (readFully(file, bytes, 0) < end) throw tooShort(file.path, end);
    return bytes;
  }

  /** The SHA-256 of the first `end` bytes of an open file. */
  digest(file: DiskFile, end: number): Uint8Array {
    const sha256 = createSha256();
    this.#eachPiece(file, 0, end, (piece) => sha256.update(piece));
    return sha256.digest();
  }

  #leadsTo(path: string, file: DiskFile): boolean {
    const named = this.#disk.stat(path);
    return named !== undefined && isSameFile(named, file.identity());
  }

  #copyFrom(source: DiskFile, request: CopyRequest): Uint8Array {
    const { from, to, start, end, fileMode, how } = request;
    if (how === 'link') {
      this.#disk.link(from, to);
      // The bytes were synced when the segment was sealed; a second name adds nothing that could be lost.
      return this.digest(source, end);
    }
    if (start === 0 && this.#clone(from, to)) {
      const file = this.#disk.open(to, 'r+');
      try {
        if (file.size() > end) file.truncate(end);
        const sha256 = this.digest(file, end);
        syncCopy(file);
        return sha256;
      } finally {
        file.close();
      }
    }
    const file = this.#disk.open(to, 'wx', fileMode);
    try {
      const sha256 = this.append(source, start, end, end, file, 0);
      syncCopy(file);
      return sha256;
    } finally {
      file.close();
    }
  }

  #clone(from: string, to: string): boolean {
    if (!this.#mayClone) return false;
    try {
      this.#mayClone = this.#disk.clone(from, to);
    } catch (error) {
      // The file's name has gone: the open descriptor still has its bytes, and the check of the name afterwards shows it.
      if (!isMissing(error)) throw error;
      return false;
    }
    return this.#mayClone;
  }

  #eachPiece(file: DiskFile, start: number, end: number, use: (piece: Uint8Array, at: number) => void): void {
    for (let at = start; at < end; ) {
      checkStop(this.#control);
      const piece = this.#window.subarray(0, Math.min(this.#window.length, end - at));
      if (readFully(file, piece, at) < piece.length) throw tooShort(file.path, end);
      use(piece, at);
      at += piece.length;
      this.#control.addDone(piece.length);
    }
  }
}

/** Writes a small file durably, but not its name. */
export function writeSmall(disk: Disk, path: string, bytes: Uint8Array, fileMode: number): void {
  const file = disk.open(path, 'w', fileMode);
  try {
    writeFully(file, bytes, 0, bytes.length, 0);
    syncCopy(file);
  } finally {
    file.close();
  }
}

/** @throws LogFailure ERR_WAL_IO: the log itself is not harmed */
export function syncCopy(file: DiskFile): void {
  try {
    file.sync();
  } catch (error) {
    throw unsynced(error, file.path);
  }
}

/** As [syncCopy], for the names in a directory. */
export function syncNames(disk: Disk, directory: string): void {
  try {
    disk.syncDirectory(directory);
  } catch (error) {
    throw unsynced(error, directory);
  }
}

function unsynced(error: unknown, path: string): LogFailure {
  return new LogFailure(
    'ERR_WAL_IO',
    `Cannot sync "${path}": ${systemCause(error).message}. A second sync would prove nothing: begin again with another target.`,
    { path, cause: error },
  );
}

function tooShort(path: string, bytes: number): LogFailure {
  return new LogFailure(
    'ERR_WAL_IO',
    `Cannot read "${path}": it ends before byte ${bytes}. Another program has cut it.`,
    { path, offset: bytes },
  );
}
