import { join } from 'node:path';
import {
  type Disk,
  DiskError,
  type DiskFile,
  type DiskLock,
  isFullDisk,
  isMissing,
  isSameFile,
  writeFully,
} from '../files/disk.js';
import { frameChecksumSeed, type SegmentStamp } from '../format/frame.js';
import { LOCK_FILE, SPARE_FILE, segmentName } from '../format/segment-name.js';
import { failureOf, LogFailure, syncFailed, systemCause } from './failure.js';
import type { Failure } from './messages.js';
import { type LiveProgress, type ReadyName, writeZeros } from './preallocation.js';
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
  /** Bytes of frames in it when this process began to write into it. */
  readonly startBytes: number;
  /** The file's size: behind the last frame there is room that is allocated already. */
  fileBytes: number;
  /** That room holds what the file was before. */
  readonly isRecycled: boolean;
}

/** Segments made ready ahead of their use. */
export interface SegmentReserve {
  /** Whether the live segment is to have its blocks allocated before they are written. */
  readonly isOn: boolean;
  /** The name of a file of `maxFileSize` bytes, if one is ready: it is the caller's then. */
  take(): ReadyName | undefined;
  /** It could not be used, and is where it was. */
  putBack(name: ReadyName): void;
  /** The disk is full: gives back what is not used yet. True = there is more room now. */
  makeRoom(): boolean;
  /** What kept something from being made ready, which costs no entry. */
  tell(trouble: Failure): void;
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
  readonly reserve: SegmentReserve;
  /** Of the directory. */
  readonly lock: Pick<DiskLock, 'isNamed'>;
}

/**
 * Bytes of zeros that are written ahead of a live segment which grows; no more than this process has written of frames, so that
 * a log of few entries stays small. Bet: a sync writes them in a millisecond, once in some thousand small entries, and
 * each sync until then is spared the file system's journal (bench/workloads/durable-latency.ts, in-flight.ts: with less,
 * callers in flight wait for it more often; with more, longer).
 */
const AHEAD_BYTES_MAX = 512 * 1024;
/** Whoever writes more between two syncs does not notice the journal. */
const SMALL_COMMIT_BYTES = 128 * 1024;

/**
 * The tail of the log: the live segment, and the sealed ones before it that no sync has covered yet.
 *
 * What is on disk if power goes:
 *   - after create, before the directory is synced: the file may be missing; nothing in it was acknowledged, since
 *     [takeUnsynced] hands out `directoryChanged` together with the file.
 *   - after a seal, before its sync: frames of n may be missing while frames of n + 1 are there. Nothing of n + 1 is
 *     acknowledged before n is synced, through the descriptor that wrote it, and n + 2 is not created before that
 *     (`Committer.syncSealed` sees to it): so at most the last two segments can be in doubt.
 *   - while a segment is live: behind its frames there may be zeros, and in a recycled one what the file was before. It is
 *     cut to its frames before the next one is created, so that a killed process leaves no room in the middle of the
 *     log; that cut is synced together with its frames.
 *   - while zeros are written ahead of its frames: any part of them. It is this thread that writes both, one after the other.
 */
export class SegmentWriter {
  readonly #disk: Disk;
  readonly #options: SegmentWriterOptions;
  readonly #catalog: SegmentCatalog;
  #live: OpenSegment | undefined;
  #sealed: OpenSegment[] = [];
  #directoryChanged = false;
  #nextNumber: number;
  /** Bytes of frames that no sync was asked to cover yet. */
  #pendingBytes = 0;
  /** Nor zeros ahead of them. */
  #hasPendingZeros = false;
  /** Nor a segment that was sealed. */
  #isSealPending = false;
  /** Bytes of frames that were written since open. */
  #writtenBytes = 0;
  /** Zeros could not be written ahead of this segment's frames. */
  #growsBare = false;

  /** Goes on in the catalog's last segment, which recovery has cut to its last frame. */
  constructor(disk: Disk, catalog: SegmentCatalog, options: SegmentWriterOptions) {
    this.#disk = disk;
    this.#catalog = catalog;
    this.#options = options;
    const last = catalog.records.at(-1);
    this.#nextNumber = last === undefined ? 0 : last.number + 1;
    if (last !== undefined) this.#live = this.#open(last, 'r+');
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  get isSealPending(): boolean {
    return this.#isSealPending;
  }

  get progress(): LiveProgress {
    const live = this.#live;
    return { bytes: live?.record.bytes ?? 0, startBytes: live?.startBytes ?? 0 };
  }

  get live(): OpenSegment | undefined {
    return this.#live;
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

  /** Seals the live segment, if there is one, and creates the next, from one that is ready if it can. */
  advance(): OpenSegment {
    this.trim();
    const record = { number: this.#nextNumber, createdMs: this.#disk.now(), firstLsn: 0, bytes: 0 };
    const next = this.#openReady(record) ?? this.#withRoom(() => this.#open(record, 'wx+'));
    this.#growsBare = false;
    if (this.#live !== undefined) {
      this.#sealed.push(this.#live);
      this.#isSealPending = true;
    }
    this.#live = next;
    this.#catalog.add(record);
    this.#directoryChanged = true;
    this.#nextNumber = record.number + 1;
    return next;
  }

  /**
   * Makes sure that the directory is still the one that the log was opened in, and this log its only writer, before a file is
   * created or replaced there by its name: somebody may have removed or renamed it, and another writer may have made its log
   * in the place; or have removed the lock file, and another writer may have locked a new one. As long as the live segment
   * and the lock file are open no other file can have their identity.
   *
   * @throws LogFailure ERR_WAL_IO, cause ENOENT: a name does not lead to its file any more; the log must end then
   */
  checkPlace(): void {
    const { directory, lock } = this.#options;
    const live = this.#live;
    if (live !== undefined) {
      const found = this.#disk.stat(live.path);
      if (found === undefined || !isSameFile(found, live.file.identity())) {
        throw this.#misplaced(live.path, 'What was written since then cannot be found by its name.');
      }
    }
    if (lock.isNamed()) return;
    const path = join(directory, LOCK_FILE);
    throw this.#misplaced(path, 'It keeps other writers out, and one may have opened the log since then.');
  }

  #misplaced(path: string, consequence: string): LogFailure {
    const { directory } = this.#options;
    return new LogFailure(
      'ERR_WAL_IO',
      `Cannot go on in "${directory}": somebody has removed, renamed or replaced "${path}". ${consequence}`,
      { path, cause: new DiskError('ENOENT', 'stat', path, 'the file that the log has open is not there') },
    );
  }

  /** The stamp for field 8 of the next frame, if that has to carry it. */
  dueStamp(): SegmentStamp | undefined {
    const live = this.#live;
    if (live === undefined || live.stampAt >= 0) return undefined;
    const { number, createdMs } = live.record;
    return { logId: this.#options.logId, number, createdMs, recycled: live.isRecycled };
  }

  /**
   * Hands whole frames, `bytes[from, to)`, to the system. `firstLsn` is that of the first frame.
   *
   * @throws the system's error; bytes may have been written behind `offset` then: [takeBack] them or end the log
   */
  write(bytes: Uint8Array, from: number, to: number, firstLsn: number): void {
    const live = this.#live as OpenSegment;
    this.#withRoom(() => writeFully(live.file, bytes, from, to, live.record.bytes));
    this.#noteWritten(live, to - from, firstLsn);
  }

  /** As [write] for one frame whose pieces lie in several places. */
  writeParts(parts: readonly Uint8Array[], lsn: number): void {
    const live = this.#live as OpenSegment;
    let position = live.record.bytes;
    for (const part of parts) {
      const at = position;
      this.#withRoom(() => writeFully(live.file, part, 0, part.length, at));
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
    live.fileBytes = mark.offset;
    if (mark.offset === 0) live.record.firstLsn = 0;
    if (live.stampAt >= mark.offset) live.stampAt = -1;
    return withdrawn;
  }

  /** What the next sync has to cover; the live segment last. */
  takeUnsynced(): { files: DiskFile[]; directoryChanged: boolean; hasZeros: boolean } {
    const directoryChanged = this.#directoryChanged;
    const hasZeros = this.#hasPendingZeros;
    this.#directoryChanged = false;
    this.#hasPendingZeros = false;
    this.#pendingBytes = 0;
    this.#isSealPending = false;
    const files = this.#sealed.map((segment) => segment.file);
    if (this.#live !== undefined) files.push(this.#live.file);
    return { files, directoryChanged, hasZeros };
  }

  /**
   * A sync of `files` returned: those that were sealed when it began are closed. The last one was live: it may have been
   * sealed meanwhile, with more in it than this sync covers.
   */
  synced(files: readonly DiskFile[]): void {
    const sealed = files.slice(0, -1);
    this.#sealed = this.#sealed.filter((segment) => {
      if (!sealed.includes(segment.file)) return true;
      closeQuietly(segment.file);
      return false;
    });
  }

  /**
   * Writes zeros ahead of a live segment that has no room allocated, if only little is to be synced: the sync that follows
   * allocates it.
   */
  fillAhead(): void {
    const live = this.#live;
    const { reserve, maxFileSize } = this.#options;
    if (live === undefined || !reserve.isOn || this.#growsBare) return;
    const { bytes } = live.record;
    const to = Math.min(maxFileSize, bytes + Math.min(AHEAD_BYTES_MAX, this.#writtenBytes));
    if (live.fileBytes > bytes || to <= bytes || this.#pendingBytes > SMALL_COMMIT_BYTES) return;
    try {
      live.fileBytes = to;
      writeZeros(live.file, bytes, to);
      this.#hasPendingZeros = true;
    } catch (error) {
      // Whatever it is, a full disk or a limit of the process's: it costs nobody anything but the room.
      this.#growsBare = true;
      if (!isFullDisk(error))
        reserve.tell(failureOf(error, `write zeros ahead in "${live.path}"`, live.path));
      this.#giveBackZeros();
    }
  }

  /** What was written of zeros takes room. Where they cannot be cut off they stand behind the frames until these are cut anyway. */
  #giveBackZeros(): void {
    try {
      this.trim();
    } catch (error) {
      const { path } = this.#live as OpenSegment;
      this.#options.reserve.tell(failureOf(error, `give back zeros ahead in "${path}"`, path));
    }
  }

  /** Cuts the live segment's file to its frames. Not synced. */
  trim(): void {
    const live = this.#live;
    if (live === undefined || live.fileBytes <= live.record.bytes) return;
    live.file.truncate(live.record.bytes);
    live.fileBytes = live.record.bytes;
  }

  /** The log is being closed: its last segment holds frames only, durably. */
  seal(): void {
    const live = this.#live;
    if (live === undefined || live.fileBytes <= live.record.bytes) return;
    this.trim();
    try {
      live.file.sync();
    } catch (error) {
      throw syncFailed(error, live.path);
    }
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

  /** Makes a segment of the file that is ready; `undefined`: there is none, or it cannot be had, and can be done without. */
  #openReady(record: SegmentRecord): OpenSegment | undefined {
    const { directory, maxFileSize, reserve } = this.#options;
    const name = reserve.take();
    if (name === undefined) return undefined;
    const path = join(directory, segmentName(record.number));
    try {
      // A rename would take the place of whatever is there: to create it anew is an error.
      if (this.#disk.stat(path) !== undefined) {
        reserve.putBack(name);
        return undefined;
      }
      this.#disk.rename(join(directory, name), path);
    } catch (error) {
      // The directory may have no room for the name, or somebody may have removed the file.
      if (isFullDisk(error)) reserve.putBack(name);
      else if (!isMissing(error)) reserve.tell(failureOf(error, `use "${name}" as "${path}"`, path));
      return undefined;
    }
    try {
      const segment = this.#open(record, 'r+');
      return { ...segment, fileBytes: maxFileSize, isRecycled: name === SPARE_FILE };
    } catch (error) {
      // What creates the segment instead would meet the name.
      this.#attempt(`remove "${path}"`, path, () => this.#disk.unlink(path));
      reserve.tell(failureOf(error, `use "${name}" as "${path}"`, path));
      return undefined;
    }
  }

  /** Runs `act`; if the disk is full and room can be made, once more. */
  #withRoom<T>(act: () => T): T {
    try {
      return act();
    } catch (error) {
      if (!isFullDisk(error) || !this.#options.reserve.makeRoom()) throw error;
      return act();
    }
  }

  #open(record: SegmentRecord, flags: 'r+' | 'wx+'): OpenSegment {
    const path = join(this.#options.directory, segmentName(record.number));
    return {
      record,
      path,
      file: this.#disk.open(path, flags, this.#options.fileMode),
      checksumSeed: frameChecksumSeed(this.#options.logId, record.number),
      stampAt: -1,
      startBytes: record.bytes,
      fileBytes: record.bytes,
      isRecycled: false,
    };
  }

  #noteWritten(live: OpenSegment, bytes: number, firstLsn: number): void {
    const { record } = live;
    if (live.stampAt < 0) live.stampAt = record.bytes;
    if (record.firstLsn === 0) record.firstLsn = firstLsn;
    record.bytes += bytes;
    live.fileBytes = Math.max(live.fileBytes, record.bytes);
    this.#pendingBytes += bytes;
    this.#writtenBytes += bytes;
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
