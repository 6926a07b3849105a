import { join } from 'node:path';
import { type Disk, DiskError, type DiskFile, isSameFile, writeFully } from '../files/disk.js';
import { frameChecksumSeed, type SegmentStamp } from '../format/frame.js';
import { segmentName } from '../format/segment-name.js';
import { LogFailure, syncFailed, systemCause } from './failure.js';
import type { SegmentCatalog, SegmentRecord } from './segment-catalog.js';

/** A segment that frames are appended to, or were and no sync has covered it yet. */
export interface OpenSegment {
  /** Its entry in the catalog; `record.bytes` is where the next frame goes. */
  readonly record: SegmentRecord;
  readonly path: string;
  readonly file: DiskFile;
  /** CRC state that every `frame_crc` of this segment starts from. */
  readonly checksumSeed: number;
  /** Offset of the frame that carries the Segment field since this open; -1 = it is still to be written. */
  stampAt: number;
}

/** A point between two frames to which the log can be taken back. */
export interface SegmentMark {
  readonly number: number;
  readonly offset: number;
}

export interface SegmentWriterOptions {
  readonly directory: string;
  readonly maxFileSize: number;
  readonly fileMode: number;
  readonly logId: bigint;
}

/**
 * The tail of the log: the live segment, and the sealed ones before it that no sync has covered yet.
 *
 * What is on disk if power goes:
 *   - after create, before the directory is synced: the file may be missing; nothing in it was acknowledged, since
 *     [takeUnsynced] hands out `directoryChanged` together with the file.
 *   - after a seal, before its sync: frames of n may be missing while frames of n + 1 are there. Nothing of n + 1 is
 *     acknowledged before n is synced, through the descriptor that wrote it, and n + 2 is not created before that
 *     (the writer sees to it by [sealedCount]): so at most the last two segments can be in doubt.
 */
export class SegmentWriter {
  readonly #disk: Disk;
  readonly #options: SegmentWriterOptions;
  readonly #catalog: SegmentCatalog;
  #live: OpenSegment | undefined;
  #sealed: OpenSegment[] = [];
  #directoryChanged = false;
  #nextNumber: number;

  /** Goes on in the catalog's last segment, which recovery has cut to its last frame. */
  constructor(disk: Disk, catalog: SegmentCatalog, options: SegmentWriterOptions) {
    this.#disk = disk;
    this.#catalog = catalog;
    this.#options = options;
    const last = catalog.records.at(-1);
    this.#nextNumber = last === undefined ? 0 : last.number + 1;
    if (last !== undefined) this.#live = this.#open(last, 'r+');
  }

  get live(): OpenSegment | undefined {
    return this.#live;
  }

  /** Sealed segments that no sync has covered yet. */
  get sealedCount(): number {
    return this.#sealed.length;
  }

  /** A sync of the live segment alone covers everything written. */
  get isOnlyLiveUnsynced(): boolean {
    return this.#sealed.length === 0 && !this.#directoryChanged;
  }

  get mark(): SegmentMark {
    return this.#live === undefined
      ? { number: this.#nextNumber, offset: 0 }
      : { number: this.#live.record.number, offset: this.#live.record.bytes };
  }

  /** Bytes that frames may still take in the live segment. */
  get room(): number {
    return this.#live === undefined ? 0 : Math.max(0, this.#options.maxFileSize - this.#live.record.bytes);
  }

  /** Seals the live segment, if there is one, and creates the next. */
  advance(): OpenSegment {
    const record = { number: this.#nextNumber, createdMs: this.#disk.now(), firstLsn: 0, bytes: 0 };
    const next = this.#open(record, 'wx+');
    if (this.#live !== undefined) this.#sealed.push(this.#live);
    this.#live = next;
    this.#catalog.add(record);
    this.#directoryChanged = true;
    this.#nextNumber = record.number + 1;
    return next;
  }

  /**
   * Makes sure that the directory is still the one that the log was opened in, before a file is created or replaced there
   * by its name: somebody may have removed or renamed it, and another writer may have made its log in the place. As long
   * as the live segment is open no other file can have its identity.
   *
   * @throws LogFailure ERR_WAL_IO, cause ENOENT: its name does not lead to it any more; the log must end then
   */
  checkPlace(): void {
    const live = this.#live;
    if (live === undefined) return;
    const found = this.#disk.stat(live.path);
    if (found !== undefined && isSameFile(found, live.file.identity())) return;
    throw new LogFailure(
      'ERR_WAL_IO',
      `Cannot go on in "${this.#options.directory}": somebody has removed, renamed or replaced "${live.path}". ` +
        'What was written since then cannot be found by its name.',
      {
        path: live.path,
        cause: new DiskError('ENOENT', 'stat', live.path, 'the file that the log has open is not there'),
      },
    );
  }

  /** The stamp for field 8 of the next frame, if that has to carry it. */
  dueStamp(): SegmentStamp | undefined {
    const live = this.#live;
    if (live === undefined || live.stampAt >= 0) return undefined;
    const { number, createdMs } = live.record;
    return { logId: this.#options.logId, number, createdMs, recycled: false };
  }

  /**
   * Hands whole frames, `bytes[from, to)`, to the system. `firstLsn` is that of the first frame.
   *
   * @throws the system's error; bytes may have been written behind `offset` then: [takeBack] them or end the log
   */
  write(bytes: Uint8Array, from: number, to: number, firstLsn: number): void {
    const live = this.#live as OpenSegment;
    writeFully(live.file, bytes, from, to, live.record.bytes);
    this.#noteWritten(live, to - from, firstLsn);
  }

  /** As [write] for one frame whose pieces lie in several places. */
  writeParts(parts: readonly Uint8Array[], lsn: number): void {
    const live = this.#live as OpenSegment;
    let position = live.record.bytes;
    for (const part of parts) {
      writeFully(live.file, part, 0, part.length, position);
      position += part.length;
    }
    this.#noteWritten(live, position - live.record.bytes, lsn);
  }

  /**
   * Cuts everything behind `mark` off again, durably: frames of a rejected group must not come back after a power cut.
   * Returns the numbers of the segments that were withdrawn.
   *
   * @throws LogFailure if a step fails; the log must end then
   */
  takeBack(mark: SegmentMark): number[] {
    const withdrawn: number[] = [];
    while (this.#live !== undefined && this.#live.record.number > mark.number) {
      const gone = this.#live;
      this.#attempt(`remove "${gone.path}"`, gone.path, () => {
        gone.file.close();
        this.#disk.unlink(gone.path);
      });
      this.#syncDirectory();
      withdrawn.push(gone.record.number);
      this.#catalog.dropLast();
      this.#nextNumber = gone.record.number;
      this.#live = this.#sealed.pop() ?? this.#reopenLast();
    }
    const live = this.#live;
    if (live === undefined) return withdrawn;
    this.#attempt(`cut "${live.path}" back to ${mark.offset} bytes`, live.path, () =>
      live.file.truncate(mark.offset),
    );
    try {
      live.file.sync();
    } catch (error) {
      throw syncFailed(error, live.path);
    }
    live.record.bytes = mark.offset;
    if (mark.offset === 0) live.record.firstLsn = 0;
    if (live.stampAt >= mark.offset) live.stampAt = -1;
    return withdrawn;
  }

  /** What the next sync has to cover; the live segment last. */
  takeUnsynced(): { files: DiskFile[]; directoryChanged: boolean } {
    const directoryChanged = this.#directoryChanged;
    this.#directoryChanged = false;
    const files = this.#sealed.map((segment) => segment.file);
    if (this.#live !== undefined) files.push(this.#live.file);
    return { files, directoryChanged };
  }

  /** A sync of `files` returned: the sealed ones among them are closed. */
  synced(files: readonly DiskFile[]): void {
    this.#sealed = this.#sealed.filter((segment) => {
      if (!files.includes(segment.file)) return true;
      closeQuietly(segment.file);
      return false;
    });
  }

  /** Closes every descriptor; what was not synced stays so. */
  close(): void {
    for (const segment of this.#sealed) closeQuietly(segment.file);
    this.#sealed = [];
    if (this.#live !== undefined) closeQuietly(this.#live.file);
    this.#live = undefined;
  }

  /** A batch that spans a rotation is taken back after a sync has closed the segment where it began. */
  #reopenLast(): OpenSegment | undefined {
    const last = this.#catalog.records.at(-1);
    if (last === undefined) return undefined;
    const path = join(this.#options.directory, segmentName(last.number));
    return this.#attempt(`open "${path}"`, path, () => this.#open(last, 'r+'));
  }

  #open(record: SegmentRecord, flags: 'r+' | 'wx+'): OpenSegment {
    const path = join(this.#options.directory, segmentName(record.number));
    return {
      record,
      path,
      file: this.#disk.open(path, flags, this.#options.fileMode),
      checksumSeed: frameChecksumSeed(this.#options.logId, record.number),
      stampAt: -1,
    };
  }

  #noteWritten(live: OpenSegment, bytes: number, firstLsn: number): void {
    const { record } = live;
    if (live.stampAt < 0) live.stampAt = record.bytes;
    if (record.firstLsn === 0) record.firstLsn = firstLsn;
    record.bytes += bytes;
  }

  #syncDirectory(): void {
    try {
      this.#disk.syncDirectory(this.#options.directory);
    } catch (error) {
      throw syncFailed(error, this.#options.directory);
    }
  }

  #attempt<T>(doing: string, path: string, act: () => T): T {
    try {
      return act();
    } catch (error) {
      throw new LogFailure('ERR_WAL_IO', `Cannot ${doing}: ${systemCause(error).message}`, {
        path,
        cause: error,
      });
    }
  }
}

/** What was to be durable has been synced: whatever `close` has to say says nothing about it. */
function closeQuietly(file: DiskFile): void {
  try {
    file.close();
  } catch {
    // The descriptor is gone all the same.
  }
}
