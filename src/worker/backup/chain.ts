import { join } from 'node:path';
import { type Disk, type DiskFile, readExactly } from '../../files/disk.js';
import type { ByteSource, SegmentFile } from '../../format/bytes.js';
import { LogFailure } from '../errors/failure.js';
import type { BackupFile } from './manifest.js';
import { type Backup, backupDirectory, hex, isSameDigest, readBackup } from './read-backup.js';

/** Bytes of a segment in a file of a backup. */
export interface SegmentPiece extends BackupFile {
  readonly path: string;
}

/** A segment of the log that a chain of backups holds: its pieces, in order, from byte 0 on. */
export interface StoredSegment {
  readonly number: number;
  readonly pieces: readonly SegmentPiece[];
  readonly bytes: number;
  readonly firstLsn: number;
  readonly lastLsn: number;
}

/**
 * Reads a full backup and the incremental ones that continue it, in order.
 *
 * @throws LogFailure ERR_WAL_OPTION: they are no chain; as [readBackup]
 */
export function readChain(disk: Disk, paths: readonly string[]): Backup[] {
  const chain = paths.map((path) => readBackup(disk, backupDirectory(path)));
  for (const [at, backup] of chain.entries()) {
    const why = at === 0 ? notFull(backup) : notContinuing(backup, chain[at - 1] as Backup);
    if (why === undefined) continue;
    throw new LogFailure('ERR_WAL_OPTION', `Cannot restore from "${backup.directory}": ${why}`, {
      path: backup.directory,
    });
  }
  return chain;
}

function notFull({ manifest: { since } }: Backup): string | undefined {
  if (since === undefined) return undefined;
  return (
    `it is an incremental backup, which continues ${describe(since)}. ` +
    'The first backup must be the full one, then those that continue it, in order.'
  );
}

function notContinuing({ manifest }: Backup, previous: Backup): string | undefined {
  const { since, logId, branch } = manifest;
  const { directory, sha256 } = previous;
  if (since === undefined) return `it is a full backup, and continues none. It cannot follow "${directory}".`;
  if (isSameDigest(since.manifestSha256, sha256)) return undefined;
  const { logId: otherId, branch: otherBranch } = previous.manifest;
  if (logId !== otherId) return `it is of another log (${hex(logId)}) than "${directory}" (${hex(otherId)}).`;
  if (branch !== otherBranch)
    return `it is of another branch of the log (${hex(branch)}) than "${directory}" (${hex(otherBranch)}).`;
  return (
    `it continues ${describe(since)}. The one before it, "${directory}", is ${describe(previous.manifest)}. ` +
    'A backup between the two is missing, or the order is wrong.'
  );
}

function describe({
  watermark,
  createdMs,
}: {
  readonly watermark: number;
  readonly createdMs: number;
}): string {
  return `a backup of ${describeTime(createdMs)} that ends with entry ${watermark}`;
}

/** A manifest may contain any number. */
function describeTime(ms: number): string {
  const time = new Date(ms);
  return Number.isNaN(time.getTime()) ? `time ${ms}` : time.toISOString();
}

/**
 * The segments of the log that a chain holds. The files are looked at, not read.
 *
 * @throws LogFailure ERR_WAL_CORRUPT: a file is missing, has another size, or does not continue where the one before it ends
 */
export function storedSegments(disk: Disk, chain: readonly Backup[]): StoredSegment[] {
  const segments: {
    number: number;
    pieces: SegmentPiece[];
    bytes: number;
    firstLsn: number;
    lastLsn: number;
  }[] = [];
  for (const { directory, manifest } of chain) {
    for (const file of manifest.files) {
      if (file.kind !== 'segment') continue;
      const path = join(directory, file.name);
      checkSize(disk, path, file.bytes);
      const { segment, offset, bytes, firstLsn, lastLsn } = file;
      const last = segments.at(-1);
      const isNext = last === undefined || (segment === last.number + 1 && offset === 0);
      if (isNext) {
        segments.push({ number: segment, pieces: [{ ...file, path }], bytes, firstLsn, lastLsn });
      } else if (segment === last.number && offset === last.bytes) {
        last.pieces.push({ ...file, path });
        last.bytes += bytes;
        last.lastLsn = lastLsn;
      } else {
        throw damaged(path, 'it does not continue where the backup before it ends');
      }
    }
  }
  return segments;
}

export function checkSize(disk: Disk, path: string, bytes: number): void {
  const found = disk.stat(path);
  if (found?.kind !== 'file') throw damaged(path, 'it is missing');
  if (found.size !== bytes) throw damaged(path, `it has ${found.size} bytes, and the manifest says ${bytes}`);
}

export function damaged(path: string, why: string): LogFailure {
  return new LogFailure('ERR_WAL_CORRUPT', `The backup is damaged: "${path}": ${why}.`, { path });
}

/** The segments for the scanner. */
export function sourcesOf(disk: Disk, segments: readonly StoredSegment[]): SegmentFile[] {
  return segments.map(({ number, pieces }) => ({ number, open: () => new PiecesSource(disk, pieces) }));
}

/** The pieces of a segment as one. [storedSegments] has compared the sizes. */
class PiecesSource implements ByteSource {
  readonly size: number;
  readonly #disk: Disk;
  readonly #pieces: readonly SegmentPiece[];
  readonly #files = new Map<SegmentPiece, DiskFile>();
  #window = new Uint8Array(0);

  constructor(disk: Disk, pieces: readonly SegmentPiece[]) {
    this.#disk = disk;
    this.#pieces = pieces;
    this.size = pieces.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  read(offset: number, length: number): Uint8Array {
    const end = Math.min(offset + length, this.size);
    if (end <= offset) return this.#window.subarray(0, 0);
    if (this.#window.length < end - offset) this.#window = new Uint8Array(end - offset);
    for (const piece of this.#pieces) {
      const from = Math.max(offset, piece.offset);
      const to = Math.min(end, piece.offset + piece.bytes);
      if (from >= to) continue;
      readExactly(this.#open(piece), this.#window.subarray(from - offset, to - offset), from - piece.offset);
    }
    return this.#window.subarray(0, end - offset);
  }

  close(): void {
    for (const file of this.#files.values()) file.close();
    this.#files.clear();
  }

  #open(piece: SegmentPiece): DiskFile {
    const open = this.#files.get(piece);
    if (open !== undefined) return open;
    const file = this.#disk.open(piece.path, 'r');
    this.#files.set(piece, file);
    return file;
  }
}
