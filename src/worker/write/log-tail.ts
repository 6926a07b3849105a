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
import { frameChecksumSeed, MAX_LSN, type SegmentStamp } from '../../format/frame.js';
import type { Place } from '../../format/place.js';
import { LOCK_FILE, SPARE_FILE, segmentName } from '../../format/segment-name.js';
import type { LogStatus } from '../../ring/log-status.js';
import type { LogDirectory } from '../directory/log-directory.js';
import { syncDirectory, syncFile } from '../directory/side-files.js';
import { failureOf, LogFailure, systemCause } from '../errors/failure.js';
import type { FramePlace, Group } from './group.js';
import { type LiveProgress, type Preallocation, writeZeros } from './preallocation.js';
import type { SegmentCatalog, SegmentRecord } from './segment-catalog.js';
import { TimeStamps } from './time-stamps.js';

/** A segment that frames are appended to, or a sealed one that no sync has covered yet. */
interface OpenSegment {
  /** Its entry in the catalog; `record.bytes` is where the next frame goes. */
  readonly record: SegmentRecord;
  readonly path: string;
  readonly file: DiskFile;
  /** CRC state that every `frame_crc` of this segment starts from. */
  readonly checksumSeed: number;
  /** Offset of the frame that carries the Segment field since this open; -1 = not written yet. */
  stampAt: number;
  /** Bytes of frames that it held when this process began to write into it. */
  readonly startBytes: number;
  /** The file's size. The bytes after the last frame are allocated already. */
  fileBytes: number;
  /** The bytes after the last frame are those of the file that was recycled. */
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
    readonly timeResolution: number;
  };
  readonly status: LogStatus;
  readonly logId: bigint;
  /** See `LogState`. */
  readonly branch: bigint;
  /** The log's directory. */
  readonly logDirectory: LogDirectory;
  readonly catalog: SegmentCatalog;
  /** Segments that are prepared before they are needed. */
  readonly preallocation: Preallocation;
  /** The LSN of the log's last entry. */
  readonly lastLsn: number;
  /** The lock of the directory. */
  readonly lock: Pick<DiskLock, 'isNamed'>;
}

/**
 * Bytes of zeros written after the frames of a growing live segment, but never more than this process has written of frames, so
 * that a log of few entries stays small. Bet: a sync writes them in a millisecond, once in some thousand small entries, and each
 * sync until then does not need the file system's journal (bench/workloads/durable-latency.ts, in-flight.ts: with less, appends
 * wait for it more often; with more, longer).
 */
const AHEAD_BYTES_MAX = 512 * 1024;
/** If more than this is written between two syncs, the cost of the journal does not show. */
const SMALL_COMMIT_BYTES = 128 * 1024;

/**
 * The tail of the log: the live segment, and the sealed segments before it that no sync has covered yet. An appended group is
 * written. It is part of the log once its batch is complete: `wholeLsn` stays before an unfinished batch, and [takeBack] cuts the
 * batch off again if the disk fills up in the middle of it.
 *
 * What is on disk if power goes:
 *   - after create, before the directory is synced: the file may be missing. None of its entries was acknowledged, since
 *     [takeUnsynced] returns `directoryChanged` together with the file.
 *   - after a seal, before its sync: frames of n may be missing while frames of n + 1 are there. No entry of n + 1 is
 *     acknowledged before n is synced, through the descriptor that wrote it, and n + 2 is not created before that
 *     (`Committer.syncSealed` ensures it, [rotate] asserts it). So at most the last two segments are in doubt.
 *   - while a segment is live: its frames may be followed by zeros, or in a recycled segment by the old content. It is cut to its
 *     frames before the next one is created, so that a killed process leaves no gap in the middle of the log. The cut is synced
 *     together with its frames.
 *   - while zeros are written after its frames: any part of the zeros. This thread writes both, one after the other.
 */
export class LogTail {
  readonly #disk: Disk;
  readonly #nowMs: () => number;
  readonly #options: LogTailParts['options'];
  readonly #status: LogStatus;
  readonly #logId: bigint;
  #branch: bigint;
  readonly #logDirectory: LogDirectory;
  readonly #lock: LogTailParts['lock'];
  readonly #catalog: SegmentCatalog;
  readonly #preallocation: Preallocation;
  readonly #times: TimeStamps;
  #live: OpenSegment | undefined;
  #sealed: OpenSegment[] = [];
  #directoryChanged = false;
  #nextNumber = 0;
  #nextLsn = 1;
  /** Last LSN written that is not inside an unfinished batch, and where its frame ends. */
  #wholeLsn = 0;
  #wholePlace: Place = { segment: 0, offset: 0, index: 0 };
  /** Bytes may be in the file after `#wholePlace`. */
  #isTouched = false;
  /** Bytes of frames that no sync has been asked to cover yet. */
  #pendingBytes = 0;
  /** Zeros were written that no sync has been asked to cover yet. */
  #hasPendingZeros = false;
  /** A segment was sealed that no sync has been asked to cover yet. */
  #isSealPending = false;
  /** Bytes of frames written since open. */
  #writtenBytes = 0;
  /** Writing zeros after this segment's frames has failed. */
  #growsBare = false;

  /** Continues in the catalog's last segment, which recovery has cut to its last frame. */
  constructor({
    disk,
    nowMs,
    options,
    status,
    logId,
    branch,
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
    this.#branch = branch;
    this.#logDirectory = logDirectory;
    this.#lock = lock;
    this.#catalog = catalog;
    this.#preallocation = preallocation;
    this.#times = new TimeStamps(() => disk.now(), options.timeResolution);
    this.#continueAfter(lastLsn);
  }

  /** Last LSN written that is not inside an unfinished batch. */
  get wholeLsn(): number {
    return this.#wholeLsn;
  }

  /** The LSN of the next entry. */
  get nextLsn(): number {
    return this.#nextLsn;
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

  /** Is a sync of the live segment enough to cover everything written? */
  get isOnlyLiveUnsynced(): boolean {
    return this.#sealed.length === 0 && !this.#directoryChanged;
  }

  /**
   * Where the next frame goes; `undefined`: there is no segment yet. Reads the clock: what was published later must not be framed
   * for this place.
   *
   * @throws LogFailure ERR_WAL_UNSUPPORTED: no LSN is left
   */
  get place(): FramePlace | undefined {
    const live = this.#live;
    if (live === undefined) return undefined;
    const { bytes } = live.record;
    const hasSegment = live.stampAt < 0;
    return {
      offset: bytes,
      room: Math.max(0, this.#options.maxFileSize - bytes),
      checksumSeed: live.checksumSeed,
      stamp: hasSegment ? this.#stampOf(live) : undefined,
      timeMs: this.#times.read(hasSegment),
      nextLsn: this.#nextLsn,
      lsnsLeft: this.#lsnsLeft(),
    };
  }

  /** Every entry of the segment before the live one was made by then; 0 = not known. */
  get previousLatestMs(): number {
    return this.#catalog.beforeLast?.latestMs ?? 0;
  }

  #stampOf({ record, isRecycled }: OpenSegment): SegmentStamp {
    const { number, createdMs } = record;
    const times = this.#times.fieldsOfSegment(record.bytes === 0 ? this.#catalog.beforeLast : undefined);
    return { logId: this.#logId, number, createdMs, recycled: isRecycled, branch: this.#branch, ...times };
  }

  /** Only a log whose frames record skipped LSNs can come near the largest LSN. */
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
   * Writes a group. When this returns, the entries are in the file, within the log's bounds, and counted in the figures.
   *
   * @throws the system's error; bytes may then be in the file after the log's end. Append the same group again, [takeBack], or
   * end the log
   */
  append(group: Group): void {
    const live = this.#live as OpenSegment;
    if (group.firstLsn !== this.#nextLsn)
      throw new Error('the group was framed for another place than the end of the log');
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
    this.#times.noteWritten(record);
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
   * Seals the live segment, if there is one, and begins the next, in a prepared file if there is one. Every segment sealed before
   * must be synced. `sealedBytes`: bytes of the segment that this call seals.
   *
   * @throws the system's error; the log is unchanged
   */
  rotate(): {
    readonly live: SegmentRecord;
    readonly firstLsn: number;
    readonly sealedBytes: number | undefined;
  } {
    if (!this.isOnlyLiveUnsynced)
      throw new Error('a rotation now would leave more than two segments in doubt');
    this.trim();
    const record = {
      number: this.#nextNumber,
      createdMs: this.#disk.now(),
      firstLsn: 0,
      bytes: 0,
      latestMs: 0,
    };
    const next = this.#openReady(record) ?? this.#open(record, 'wx+');
    const sealed = this.#live;
    this.#growsBare = false;
    if (sealed !== undefined) {
      this.#sealed.push(sealed);
      this.#isSealPending = true;
      this.#status.add('rotations', 1);
    }
    this.#live = next;
    this.#times.reset();
    this.#catalog.add(record);
    this.#directoryChanged = true;
    this.#nextNumber = record.number + 1;
    // No frame of the new segment is written yet: [takeBack] to this place leaves an empty segment, which is harmless.
    if (this.#nextLsn === this.#wholeLsn + 1)
      this.#wholePlace = { segment: record.number, offset: 0, index: 0 };
    return { live: record, firstLsn: this.#nextLsn, sealedBytes: sealed?.record.bytes };
  }

  /**
   * Checks that the directory is still the one in which the log was opened, that the live segment still has its name, and that
   * this log is still the only writer. Call it before creating, replacing or removing a file by its name: another process may
   * have removed or renamed the directory or the lock file, and another writer may have made its own log there. As long as the
   * live segment and the lock file are open, no other file can have their identity.
   *
   * @throws LogFailure ERR_WAL_IO, cause ENOENT: a name no longer leads to its file; the log must end
   */
  checkPlace(): void {
    this.#logDirectory.check();
    const { directory } = this.#options;
    const live = this.#live;
    if (live !== undefined) {
      const found = this.#disk.stat(live.path);
      if (found === undefined || !isSameFile(found, live.file.identity())) {
        throw this.#misplaced(live.path, 'No name leads to the entries that were written since then.');
      }
    }
    if (this.#lock.isNamed()) return;
    const path = join(directory, LOCK_FILE);
    throw this.#misplaced(
      path,
      'The lock file keeps other writers out, and one may have opened the log since then.',
    );
  }

  #misplaced(path: string, consequence: string): LogFailure {
    const { directory } = this.#options;
    return new LogFailure(
      'ERR_WAL_IO',
      `Cannot continue in "${directory}": "${path}" was removed, renamed or replaced. ${consequence}`,
      {
        path,
        cause: new DiskError(
          'ENOENT',
          'stat',
          path,
          'the name does not lead to the file that the log has open',
        ),
      },
    );
  }

  /**
   * Cuts the log back to the end of the last complete batch, durably: frames of a rejected group must not come back after a power
   * cut. Removes a half-written group, an unfinished batch, and the segments that were begun for it. Returns the numbers of these
   * segments.
   *
   * @throws LogFailure if a step fails; the log must end
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
      syncDirectory(this.#disk, this.#options.directory);
      withdrawn.push(gone.record.number);
      this.#catalog.dropLast();
      this.#nextNumber = gone.record.number;
      this.#live = this.#sealed.pop() ?? this.#reopenLast();
    }
    this.#nextLsn = this.#wholeLsn + 1;
    this.#times.reset();
    if (this.#live !== undefined) this.#cutTo(this.#live, offset);
    this.#isTouched = false;
    this.#publish();
    return withdrawn;
  }

  #cutTo(live: OpenSegment, offset: number): void {
    this.#attempt(`cut "${live.path}" back to ${offset} bytes`, live.path, () => live.file.truncate(offset));
    syncFile(live.file);
    live.record.bytes = offset;
    live.fileBytes = offset;
    if (offset === 0) live.record.firstLsn = 0;
    if (live.stampAt >= offset) live.stampAt = -1;
  }

  /**
   * A command has cut the log's files: the log ends with `lastLsn` now, at the end of the catalog's segments. The next frame carries a
   * Segment with the new branch.
   */
  reopenAt(lastLsn: number, branch: bigint): void {
    this.close();
    this.#branch = branch;
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
    this.#times.reset();
    this.#isTouched = false;
    this.#nextLsn = lastLsn + 1;
    this.#wholeLsn = lastLsn;
    this.#wholePlace = { segment: last?.number ?? 0, offset: last?.bytes ?? 0, index: 0 };
    this.#status.set('oldestLsn', this.#catalog.oldestLsn);
    this.#status.set('lastLsn', lastLsn);
    this.#status.set('liveBytes', this.#wholePlace.offset);
  }

  /** Takes what the next sync has to cover; the live segment comes last. */
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
   * A sync of `files` returned: closes those that were sealed when it began. The last one was live then; it may have been sealed
   * since, with frames that this sync does not cover.
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
   * Segments up to this number are sealed, durable, and hold only entries up to the watermark: nothing but `truncateAfter` changes
   * them any more. -1 = there is none.
   */
  finalSegment(watermark: number): number {
    const [unsynced] = this.#sealed;
    const end = (unsynced ?? this.#live)?.record.number ?? 0;
    // [takeBack] may cut off an unfinished batch, which may have begun in an earlier segment.
    const isAllDurable = this.#nextLsn === watermark + 1;
    const durableEnd = isAllDurable ? end : (this.#catalog.holderOf(watermark + 1)?.number ?? end);
    return Math.min(end, durableEnd) - 1;
  }

  /**
   * Writes zeros after the frames of a live segment that has no allocated room left, if little is to be synced: the sync that
   * follows allocates the blocks.
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
      // Whatever the cause, a full disk or a limit of the process: the only loss is the preallocated room.
      this.#growsBare = true;
      if (!isFullDisk(error))
        this.#preallocation.noteTrouble(failureOf(error, `write zeros ahead in "${live.path}"`, live.path));
      this.#giveBackZeros();
    }
  }

  /** The written zeros take disk space. If they cannot be cut off they stay after the frames until these are cut anyway. */
  #giveBackZeros(): void {
    try {
      this.trim();
    } catch (error) {
      const { path } = this.#live as OpenSegment;
      this.#preallocation.noteTrouble(failureOf(error, `give back zeros ahead in "${path}"`, path));
    }
  }

  /** Cuts the live segment's file to its frames. Does not sync. */
  trim(): void {
    const live = this.#live;
    if (live === undefined || live.fileBytes <= live.record.bytes) return;
    live.file.truncate(live.record.bytes);
    live.fileBytes = live.record.bytes;
  }

  /** The log is being closed: cuts its last segment to its frames, durably. */
  seal(): void {
    const live = this.#live;
    if (live === undefined || live.fileBytes <= live.record.bytes) return;
    this.trim();
    syncFile(live.file);
  }

  /** Closes every descriptor. What was not synced stays unsynced. */
  close(): void {
    for (const segment of this.#sealed) closeQuietly(segment.file);
    this.#sealed = [];
    if (this.#live !== undefined) closeQuietly(this.#live.file);
    this.#live = undefined;
  }

  /** Taking back a batch that spans a rotation: a sync may have closed the segment where the batch began. */
  #reopenLast(): OpenSegment | undefined {
    const { last } = this.#catalog;
    if (last === undefined) return undefined;
    const path = join(this.#options.directory, segmentName(last.number));
    return this.#attempt(`open "${path}"`, path, () => this.#open(last, 'r+'));
  }

  /** Makes the prepared file the next segment; `undefined`: there is none, or it failed in a way that does not matter. */
  #openReady(record: SegmentRecord): OpenSegment | undefined {
    const { directory, maxFileSize } = this.#options;
    const name = this.#preallocation.take();
    if (name === undefined) return undefined;
    const path = join(directory, segmentName(record.number));
    try {
      // A rename would replace an existing file. Creating the segment instead reports it as an error.
      if (this.#disk.stat(path) !== undefined) {
        this.#preallocation.putBack(name);
        return undefined;
      }
      this.#disk.rename(join(directory, name), path);
    } catch (error) {
      // The directory may have no room for the name, or another process may have removed the file.
      if (isFullDisk(error)) this.#preallocation.putBack(name);
      else if (!isMissing(error))
        this.#preallocation.noteTrouble(failureOf(error, `use "${name}" as "${path}"`, path));
      return undefined;
    }
    try {
      const segment = this.#open(record, 'r+');
      return { ...segment, fileBytes: maxFileSize, isRecycled: name === SPARE_FILE };
    } catch (error) {
      // The segment is created anew instead, and needs the name.
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

  /** Before any acknowledgement: a caller that knows an entry's LSN finds the entry in the figures. */
  #countGroup(group: Group, writeMs: number): void {
    const status = this.#status;
    status.add('entries', group.entries);
    status.add('payloadBytes', group.payloadBytes);
    status.add('frameBytes', group.frameBytes);
    status.add('groups', 1);
    if (group.blocks !== undefined) {
      status.add('blocks', group.blocks.count);
      status.add('blockRawBytes', group.blocks.rawBytes);
      status.add('blockStoredBytes', group.blocks.storedBytes);
    }
    status.groupEntries.record(group.entries);
    status.writeMicros.record(writeMs * 1000);
    const retries = takeRetries();
    if (retries > 0) status.add('retries', retries);
  }

  /** Before any acknowledgement: a caller that knows an entry's LSN finds it within the log's bounds. */
  #publish(): void {
    if (this.#status.get('oldestLsn') === 0) this.#status.set('oldestLsn', this.#catalog.oldestLsn);
    this.#status.set('lastLsn', this.#wholeLsn);
    this.#status.set('liveBytes', this.#wholePlace.offset);
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

/** Everything that had to be durable is synced, so an error of `close` does not matter. */
function closeQuietly(file: DiskFile): void {
  try {
    file.close();
  } catch {
    // The system frees the descriptor even if `close` fails.
  }
}
