import { join } from 'node:path';
import {
  type Disk,
  DiskError,
  type DiskFile,
  type DiskLock,
  isFullDisk,
  isMissing,
  isSameFile,
  takeRetries,
  writeFully,
} from '../../files/disk.js';
import { frameChecksumSeed, MAX_LSN } from '../../format/frame.js';
import type { Place } from '../../format/place.js';
import { LOCK_FILE, SPARE_FILE, segmentName } from '../../format/segment-name.js';
import type { LogStatus } from '../../ring/log-status.js';
import type { LogDirectory } from '../directory/log-directory.js';
import { failureOf, LogFailure, syncFailed, systemCause } from '../errors/failure.js';
import type { FramePlace, Group } from './group.js';
import { type LiveProgress, type Preallocation, writeZeros } from './preallocation.js';
import type { SegmentCatalog, SegmentRecord } from './segment-catalog.js';

/** A segment that frames are appended to, or were and no sync has covered it yet. */
interface OpenSegment {
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
  /** The file's size: after the last frame there is room that is allocated already. */
  fileBytes: number;
  /** That room holds what the file was before. */
  readonly isRecycled: boolean;
}

export interface LogTailParts {
  readonly disk: Disk;
  /** Milliseconds of a clock that never goes back. */
  readonly nowMs: () => number;
  readonly options: {
    readonly directory: string;
    readonly maxFileSize: number;
    readonly fileMode: number;
  };
  readonly status: LogStatus;
  readonly logId: bigint;
  /** The directory. */
  readonly logDirectory: LogDirectory;
  readonly catalog: SegmentCatalog;
  /** The segments that are made ready ahead. */
  readonly preallocation: Preallocation;
  /** The last entry of the log. */
  readonly lastLsn: number;
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
 * The tail of the log: the live segment, and the sealed ones before it that no sync has covered yet. What is appended here is
 * written, and part of the log as soon as its batch is whole: `wholeLsn` stays before an unfinished batch, and [takeBack] cuts it
 * off again if the disk fills up in the middle.
 *
 * What is on disk if power goes:
 *   - after create, before the directory is synced: the file may be missing; nothing in it was acknowledged, since
 *     [takeUnsynced] hands out `directoryChanged` together with the file.
 *   - after a seal, before its sync: frames of n may be missing while frames of n + 1 are there. Nothing of n + 1 is
 *     acknowledged before n is synced, through the descriptor that wrote it, and n + 2 is not created before that
 *     (`Committer.syncSealed` sees to it, [rotate] insists on it): so at most the last two segments can be in doubt.
 *   - while a segment is live: after its frames there may be zeros, and in a recycled one what the file was before. It is
 *     cut to its frames before the next one is created, so that a killed process leaves no room in the middle of the
 *     log; that cut is synced together with its frames.
 *   - while zeros are written ahead of its frames: any part of them. It is this thread that writes both, one after the other.
 */
export class LogTail {
  readonly #disk: Disk;
  readonly #nowMs: () => number;
  readonly #options: LogTailParts['options'];
  readonly #status: LogStatus;
  readonly #logId: bigint;
  readonly #logDirectory: LogDirectory;
  readonly #lock: LogTailParts['lock'];
  readonly #catalog: SegmentCatalog;
  readonly #preallocation: Preallocation;
  #live: OpenSegment | undefined;
  #sealed: OpenSegment[] = [];
  #directoryChanged = false;
  #nextNumber = 0;
  #nextLsn = 1;
  /** Last LSN written that is not inside an unfinished batch, and where its frame ends. */
  #wholeLsn = 0;
  #wholePlace: Place = { segment: 0, offset: 0, index: 0 };
  /** Bytes may stand after `#wholePlace`. */
  #isTouched = false;
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
  constructor({
    disk,
    nowMs,
    options,
    status,
    logId,
    logDirectory,
    catalog,
    preallocation,
    lastLsn,
    lock,
  }: LogTailParts) {
    this.#disk = disk;
    this.#nowMs = nowMs;
    this.#options = options;
    this.#status = status;
    this.#logId = logId;
    this.#logDirectory = logDirectory;
    this.#lock = lock;
    this.#catalog = catalog;
    this.#preallocation = preallocation;
    this.#continueAfter(lastLsn);
  }

  /** Last LSN written that is not inside an unfinished batch. */
  get wholeLsn(): number {
    return this.#wholeLsn;
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

  /** A sync of the live segment alone covers everything written. */
  get isOnlyLiveUnsynced(): boolean {
    return this.#sealed.length === 0 && !this.#directoryChanged;
  }

  /**
   * Where the next frame goes; `undefined`: there is no segment yet.
   *
   * @throws LogFailure ERR_WAL_UNSUPPORTED: there is no LSN left
   */
  get place(): FramePlace | undefined {
    const live = this.#live;
    if (live === undefined) return undefined;
    const { bytes, number, createdMs } = live.record;
    return {
      offset: bytes,
      room: Math.max(0, this.#options.maxFileSize - bytes),
      checksumSeed: live.checksumSeed,
      stamp:
        live.stampAt >= 0 ? undefined : { logId: this.#logId, number, createdMs, recycled: live.isRecycled },
      nextLsn: this.#nextLsn,
      lsnsLeft: this.#lsnsLeft(),
    };
  }

  /** Only a log whose frames say that LSNs were skipped comes near the end of them. */
  #lsnsLeft(): number {
    const left = MAX_LSN - this.#nextLsn + 1;
    if (left > 0) return left;
    const { directory } = this.#options;
    throw new LogFailure(
      'ERR_WAL_UNSUPPORTED',
      `Cannot append to "${directory}": its last LSN is ${MAX_LSN}, the largest there is. Append to a new log.`,
      { path: directory, lsn: MAX_LSN },
    );
  }

  /**
   * Hands a group to the system. When it returns the group is written: whoever is told of it finds it in the files, in the log's bounds
   * and in the figures.
   *
   * @throws the system's error; bytes may stand after the log's end then. Append the same group again, [takeBack], or end the log
   */
  append(group: Group): void {
    const live = this.#live as OpenSegment;
    if (group.firstLsn !== this.#nextLsn) throw new Error('a group was framed for another place');
    const startedMs = this.#nowMs();
    this.#isTouched = true;
    let position = live.record.bytes;
    for (const piece of group.pieces) {
      writeFully(live.file, piece, 0, piece.length, position);
      position += piece.length;
    }
    this.#countGroup(group, this.#nowMs() - startedMs);
    const { record } = live;
    const wholeOffset = record.bytes + group.wholeBytes;
    if (live.stampAt < 0) live.stampAt = record.bytes;
    if (record.firstLsn === 0) record.firstLsn = group.firstLsn;
    record.bytes = position;
    live.fileBytes = Math.max(live.fileBytes, position);
    this.#pendingBytes += group.frameBytes;
    this.#writtenBytes += group.frameBytes;
    this.#nextLsn += group.entries;
    if (group.wholeEntries === 0) return;
    this.#wholeLsn = group.firstLsn + group.wholeEntries - 1;
    this.#wholePlace = { segment: record.number, offset: wholeOffset, index: 0 };
    this.#isTouched = group.wholeEntries < group.entries;
    this.#publish();
  }

  /**
   * Seals the live segment, if there is one, and begins the next, from a file that is ready if it can. No segment that was sealed
   * before may be without a sync. `sealedBytes`: of the one that is sealed now.
   *
   * @throws the system's error; the log is as it was
   */
  rotate(): {
    readonly live: SegmentRecord;
    readonly firstLsn: number;
    readonly sealedBytes: number | undefined;
  } {
    if (!this.isOnlyLiveUnsynced) throw new Error('more than two segments would be in doubt');
    this.trim();
    const record = { number: this.#nextNumber, createdMs: this.#disk.now(), firstLsn: 0, bytes: 0 };
    const next = this.#openReady(record) ?? this.#open(record, 'wx+');
    const sealed = this.#live;
    this.#growsBare = false;
    if (sealed !== undefined) {
      this.#sealed.push(sealed);
      this.#isSealPending = true;
      this.#status.add('rotations', 1);
    }
    this.#live = next;
    this.#catalog.add(record);
    this.#directoryChanged = true;
    this.#nextNumber = record.number + 1;
    // Nothing of it is written yet: taking back to here leaves an empty segment, which is as good as none.
    if (this.#nextLsn === this.#wholeLsn + 1)
      this.#wholePlace = { segment: record.number, offset: 0, index: 0 };
    return { live: record, firstLsn: this.#nextLsn, sealedBytes: sealed?.record.bytes };
  }

  /**
   * Makes sure that the directory is still the one that the log was opened in, the live segment still there, and this log its only writer,
   * before a file is created, replaced or removed by its name: somebody may have removed or renamed it, and another writer may have made its
   * log in the place; or have removed the lock file, and another writer may have locked a new one. As long as the live segment
   * and the lock file are open no other file can have their identity.
   *
   * @throws LogFailure ERR_WAL_IO, cause ENOENT: a name does not lead to its file any more; the log must end then
   */
  checkPlace(): void {
    this.#logDirectory.check();
    const { directory } = this.#options;
    const live = this.#live;
    if (live !== undefined) {
      const found = this.#disk.stat(live.path);
      if (found === undefined || !isSameFile(found, live.file.identity())) {
        throw this.#misplaced(live.path, 'What was written since then cannot be found by its name.');
      }
    }
    if (this.#lock.isNamed()) return;
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

  /**
   * Takes the log back to the end of the last finished batch, durably: frames of a rejected group must not come back after a power
   * cut. Cuts a half-written group and an unfinished batch, and removes the segments that were begun for it; returns their numbers.
   *
   * @throws LogFailure if a step fails; the log must end then
   */
  takeBack(): number[] {
    if (!this.#isTouched) return [];
    const { segment, offset } = this.#wholePlace;
    const withdrawn: number[] = [];
    if (this.#live !== undefined && this.#live.record.number > segment) this.#logDirectory.check();
    while (this.#live !== undefined && this.#live.record.number > segment) {
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
    this.#nextLsn = this.#wholeLsn + 1;
    if (this.#live !== undefined) this.#cutTo(this.#live, offset);
    this.#isTouched = false;
    this.#publish();
    return withdrawn;
  }

  #cutTo(live: OpenSegment, offset: number): void {
    this.#attempt(`cut "${live.path}" back to ${offset} bytes`, live.path, () => live.file.truncate(offset));
    try {
      live.file.sync();
    } catch (error) {
      throw syncFailed(error, live.path);
    }
    live.record.bytes = offset;
    live.fileBytes = offset;
    if (offset === 0) live.record.firstLsn = 0;
    if (live.stampAt >= offset) live.stampAt = -1;
  }

  /** The log was cut, by somebody who goes by the names of its files: it ends with `lastLsn`, where the catalog's segments end. */
  reopenAt(lastLsn: number): void {
    this.close();
    this.#continueAfter(lastLsn);
  }

  #continueAfter(lastLsn: number): void {
    const { last } = this.#catalog;
    this.#nextNumber = last === undefined ? 0 : last.number + 1;
    this.#live = last === undefined ? undefined : this.#open(last, 'r+');
    this.#directoryChanged = false;
    this.#pendingBytes = 0;
    this.#hasPendingZeros = false;
    this.#isSealPending = false;
    this.#writtenBytes = 0;
    this.#growsBare = false;
    this.#isTouched = false;
    this.#nextLsn = lastLsn + 1;
    this.#wholeLsn = lastLsn;
    this.#wholePlace = { segment: last?.number ?? 0, offset: last?.bytes ?? 0, index: 0 };
    this.#status.set('firstLsn', this.#catalog.firstLsn);
    this.#status.set('lastLsn', lastLsn);
    this.#status.set('liveBytes', this.#wholePlace.offset);
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
    const { maxFileSize } = this.#options;
    if (live === undefined || !this.#preallocation.isOn || this.#growsBare) return;
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
        this.#preallocation.noteTrouble(failureOf(error, `write zeros ahead in "${live.path}"`, live.path));
      this.#giveBackZeros();
    }
  }

  /** What was written of zeros takes room. Where they cannot be cut off they stand behind the frames until these are cut anyway. */
  #giveBackZeros(): void {
    try {
      this.trim();
    } catch (error) {
      const { path } = this.#live as OpenSegment;
      this.#preallocation.noteTrouble(failureOf(error, `give back zeros ahead in "${path}"`, path));
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
    const { last } = this.#catalog;
    if (last === undefined) return undefined;
    const path = join(this.#options.directory, segmentName(last.number));
    return this.#attempt(`open "${path}"`, path, () => this.#open(last, 'r+'));
  }

  /** Makes a segment of the file that is ready; `undefined`: there is none, or it cannot be had, and can be done without. */
  #openReady(record: SegmentRecord): OpenSegment | undefined {
    const { directory, maxFileSize } = this.#options;
    const name = this.#preallocation.take();
    if (name === undefined) return undefined;
    const path = join(directory, segmentName(record.number));
    try {
      // A rename would take the place of whatever is there: to create it anew is an error.
      if (this.#disk.stat(path) !== undefined) {
        this.#preallocation.putBack(name);
        return undefined;
      }
      this.#disk.rename(join(directory, name), path);
    } catch (error) {
      // The directory may have no room for the name, or somebody may have removed the file.
      if (isFullDisk(error)) this.#preallocation.putBack(name);
      else if (!isMissing(error))
        this.#preallocation.noteTrouble(failureOf(error, `use "${name}" as "${path}"`, path));
      return undefined;
    }
    try {
      const segment = this.#open(record, 'r+');
      return { ...segment, fileBytes: maxFileSize, isRecycled: name === SPARE_FILE };
    } catch (error) {
      // What creates the segment instead would meet the name.
      this.#attempt(`remove "${path}"`, path, () => this.#disk.unlink(path));
      this.#preallocation.noteTrouble(failureOf(error, `use "${name}" as "${path}"`, path));
      return undefined;
    }
  }

  #open(record: SegmentRecord, flags: 'r+' | 'wx+'): OpenSegment {
    const path = join(this.#options.directory, segmentName(record.number));
    return {
      record,
      path,
      file: this.#disk.open(path, flags, this.#options.fileMode),
      checksumSeed: frameChecksumSeed(this.#logId, record.number),
      stampAt: -1,
      startBytes: record.bytes,
      fileBytes: record.bytes,
      isRecycled: false,
    };
  }

  /** Before anybody is told: who has its LSN finds an entry in the figures. */
  #countGroup(group: Group, writeMs: number): void {
    const status = this.#status;
    status.add('entries', group.entries);
    status.add('payloadBytes', group.payloadBytes);
    status.add('frameBytes', group.frameBytes);
    status.add('groups', 1);
    status.groupEntries.record(group.entries);
    status.writeMicros.record(writeMs * 1000);
    const retries = takeRetries();
    if (retries > 0) status.add('retries', retries);
  }

  /** Before anybody is told of an entry: who has its LSN finds it within the log's bounds. */
  #publish(): void {
    if (this.#status.get('firstLsn') === 0) this.#status.set('firstLsn', this.#catalog.firstLsn);
    this.#status.set('lastLsn', this.#wholeLsn);
    this.#status.set('liveBytes', this.#wholePlace.offset);
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
