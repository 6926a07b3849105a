/**
 * Copies a log to another directory while it is being written.
 *
 *   1. look      the log's watermark W, and where entry W stands: log-picture.ts
 *   2. begin     the target: backup-target.ts
 *   3. copy      segments, oldest first, the last one exactly to the end of entry W; then snapshots
 *   4. state     a state file with watermark W
 *   5. look      whether a cut has changed the log meanwhile: then begin again at 1
 *   6. finish    the manifest, last
 *
 * Every file is synced before 6, and the target is no backup before then. Retention of another process may remove the
 * oldest segments during 3: a full backup then begins with the first segment that it still found, an incremental one fails.
 */

import { join } from 'node:path';
import { type Disk, isMissing, isSameFile } from '../../files/disk.js';
import { createNodeDisk } from '../../files/node-disk.js';
import { FileShrank } from '../../files/windowed-source.js';
import { BACKUP_FILE, partName, STATE_FILE, segmentName, snapshotName } from '../../format/segment-name.js';
import { emptyState, encodeState, endingWith, type LogState } from '../../format/state-file.js';
import type { BackupReport, StoppedJob } from '../../protocol/backup-reports.js';
import type { Failure } from '../../protocol/errors.js';
import { JobControl } from '../../protocol/job-control.js';
import { LogStatus } from '../../ring/log-status.js';
import { newLogId } from '../directory/log-listing.js';
import { failureOf, LogFailure, systemCause } from '../errors/failure.js';
import { BackupTarget, digestOf, FILE_MODE } from './backup-target.js';
import { checkStop, FileCopier, StopRequest, writeSmall } from './copy-file.js';
import { evidenceOfCuts, type LogPicture, takePicture } from './log-picture.js';
import type { BackupFile, Manifest } from './manifest.js';
import { type Backup, backupDirectory, hex, readBackup } from './read-backup.js';
import { checkContinues } from './since.js';

/** A job of the pool. */
export interface BackupRequest {
  /** Of the log. */
  readonly directory: string;
  readonly target: string;
  /** The backup that this one will continue, or its manifest; `undefined`: a full one. */
  readonly since: string | undefined;
  /** Sealed segments become hard links to the log's own. */
  readonly link: boolean;
  /** See [JobControl]. */
  readonly control: SharedArrayBuffer;
  /** [LogStatus] of the log, if this process writes it. */
  readonly status?: SharedArrayBuffer | undefined;
}

/** The backup begins at most this often: cuts or retention may change the log faster than it is copied. */
const ATTEMPTS_MAX = 10;

export function backup(request: BackupRequest): BackupReport | StoppedJob | { readonly failure: Failure } {
  return backupOn(createNodeDisk(), request);
}

export function backupOn(
  disk: Disk,
  request: BackupRequest,
): BackupReport | StoppedJob | { readonly failure: Failure } {
  const { directory, target } = request;
  try {
    return new BackupJob(disk, request).run();
  } catch (error) {
    if (error instanceof StopRequest) return { stopped: true };
    return { failure: failureOf(error, `back up "${directory}" to "${target}"`, target) };
  }
}

class BackupJob {
  readonly #disk: Disk;
  readonly #request: BackupRequest;
  readonly #control: JobControl;
  readonly #status: LogStatus | undefined;
  readonly #copier: FileCopier;

  constructor(disk: Disk, request: BackupRequest) {
    this.#disk = disk;
    this.#request = request;
    this.#control = new JobControl(request.control);
    this.#status = request.status && new LogStatus(request.status);
    this.#copier = new FileCopier(disk, this.#control);
  }

  run(): BackupReport {
    const { since } = this.#request;
    const disk = this.#disk;
    const startedMs = Math.max(0, disk.now());
    this.#refuseSameDirectory();
    const earlier = since === undefined ? undefined : readBackup(disk, backupDirectory(since));
    let picture = this.#look(earlier);
    if (this.#request.link && picture.isRecycling) throw this.#recycles();
    const target = BackupTarget.begin(disk, this.#request.target);
    try {
      for (let attempt = 1; ; attempt += 1) {
        const manifest = this.#tryCopy(target, picture, earlier, startedMs);
        if (manifest !== undefined) {
          checkStop(this.#control);
          target.finish(manifest);
          return this.#report(manifest, earlier, startedMs);
        }
        if (attempt === ATTEMPTS_MAX) throw this.#changesTooFast(picture.cuts);
        target.clear();
        picture = this.#look(earlier);
      }
    } catch (error) {
      throw undone(target, error);
    }
  }

  /** Looks again if the log changes during the look. A fault counts only if two looks in a row find the same one. */
  #look(earlier: Backup | undefined): LogPicture {
    const { directory } = this.#request;
    let complaint: string | undefined;
    for (let attempt = 1; ; attempt += 1) {
      checkStop(this.#control);
      const cuts = this.#cuts;
      try {
        const picture = takePicture(this.#disk, directory, this.#status, cuts);
        if (earlier !== undefined) checkContinues(this.#disk, directory, picture, earlier);
        return picture;
      } catch (error) {
        if (!mayBeOfChange(error)) throw error;
        if (attempt === ATTEMPTS_MAX) throw this.#cuts === cuts ? error : this.#changesTooFast(cuts);
        const { message } = error as Error;
        if (message === complaint && this.#cuts === cuts) throw error;
        complaint = message;
      }
    }
  }

  get #cuts(): string {
    return evidenceOfCuts(this.#disk, this.#request.directory, this.#status);
  }

  /** As [#copy]. If a cut came meanwhile, a file that became unreadable is no error. */
  #tryCopy(
    target: BackupTarget,
    picture: LogPicture,
    earlier: Backup | undefined,
    createdMs: number,
  ): Manifest | undefined {
    try {
      return this.#copy(target, picture, earlier, createdMs);
    } catch (error) {
      if (!mayBeOfChange(error) || this.#cuts === picture.cuts) throw error;
      return undefined;
    }
  }

  /** Step 3 to 5. `undefined`: the log has changed, and the backup must begin again. */
  #copy(
    target: BackupTarget,
    picture: LogPicture,
    earlier: Backup | undefined,
    createdMs: number,
  ): Manifest | undefined {
    const segments = this.#planSegments(picture, earlier);
    const snapshots = [...picture.snapshots].map(([lsn, bytes]) => ({ lsn, bytes }));
    this.#control.start([...segments, ...snapshots].reduce((sum, { bytes }) => sum + bytes, 0));
    const files = this.#copySegments(target, segments, earlier);
    if (files === undefined) return undefined;
    for (const { lsn, bytes } of snapshots) {
      const file = this.#copySnapshot(target, lsn, bytes, earlier);
      if (file === undefined) return undefined;
      files.push(file);
    }
    files.push(this.#writeState(target, picture));
    if (this.#cuts !== picture.cuts) return undefined;
    const { logId, branch, watermark, end } = picture;
    const since = earlier && {
      manifestSha256: earlier.sha256,
      watermark: earlier.manifest.watermark,
      createdMs: earlier.manifest.createdMs,
    };
    const firstLsn = files.find(({ firstLsn: lsn }) => lsn > 0)?.firstLsn ?? 0;
    const isEmpty = picture.segments.length === 0 && earlier !== undefined;
    return {
      logId,
      branch,
      firstLsn,
      watermark,
      createdMs,
      since,
      end: isEmpty ? earlier.manifest.end : end,
      files,
    };
  }

  /** The parts of segments that are to be copied, in the order of the log. */
  #planSegments(picture: LogPicture, earlier: Backup | undefined): PlannedPart[] {
    const { segment, offset } = earlier?.manifest.end ?? { segment: -1, offset: 0 };
    return picture.segments
      .filter(({ number, bytes }) => number > segment || (number === segment && bytes > offset))
      .map(({ number, bytes, firstLsn, lastLsn }, at, { length }) => {
        const start = number === segment ? offset : 0;
        return {
          number,
          start,
          bytes: bytes - start,
          firstLsn: start === 0 ? firstLsn : (earlier?.manifest.watermark ?? 0) + 1,
          lastLsn,
          isLast: at === length - 1,
        };
      });
  }

  #copySegments(
    target: BackupTarget,
    parts: readonly PlannedPart[],
    earlier: Backup | undefined,
  ): BackupFile[] | undefined {
    const { directory, link } = this.#request;
    let files: BackupFile[] = [];
    for (const part of parts) {
      const { number, start, bytes, firstLsn, lastLsn, isLast } = part;
      this.#control.needed = number;
      const name = earlier === undefined ? segmentName(number) : partName(number, start);
      const sha256 = this.#copier.copy({
        from: join(directory, segmentName(number)),
        to: target.pathOf(name),
        start,
        end: start + bytes,
        fileMode: FILE_MODE,
        // The last segment of the picture may be the live one, whose file changes.
        how: link && start === 0 && !isLast ? 'link' : 'copy',
      });
      if (sha256 !== undefined) {
        files.push({
          kind: 'segment',
          name,
          bytes,
          sha256,
          segment: number,
          offset: start,
          firstLsn,
          lastLsn,
          isEarlier: false,
        });
        continue;
      }
      if (earlier !== undefined) throw this.#removedMeanwhile(part);
      // Retention has come to this segment, and removes the oldest ones first: the backup begins after it.
      for (const each of [...files.map((file) => file.name), name]) target.remove(each);
      files = [];
      if (isLast) return undefined;
    }
    return files;
  }

  #copySnapshot(
    target: BackupTarget,
    lsn: number,
    bytes: number,
    earlier: Backup | undefined,
  ): BackupFile | undefined {
    const name = snapshotName(lsn);
    // The file of a snapshot is never changed. One of the same log, the same branch and the same LSN is the same one, or a copy.
    const known = earlier?.manifest.files.find((file) => file.name === name && file.bytes === bytes);
    if (known !== undefined) {
      this.#control.addDone(bytes);
      return { ...known, isEarlier: true };
    }
    const from = join(this.#request.directory, name);
    const to = target.pathOf(name);
    const sha256 = this.#copier.copy({ from, to, start: 0, end: bytes, fileMode: FILE_MODE, how: 'copy' });
    if (sha256 === undefined) return undefined;
    return {
      kind: 'snapshot',
      name,
      bytes,
      sha256,
      segment: 0,
      offset: 0,
      firstLsn: 0,
      lastLsn: lsn,
      isEarlier: false,
    };
  }

  #writeState(target: BackupTarget, picture: LogPicture): BackupFile {
    const bytes = encodeState(stateOf(picture, newLogId(this.#disk)));
    writeSmall(this.#disk, target.pathOf(STATE_FILE), bytes, FILE_MODE);
    return {
      kind: 'state',
      name: STATE_FILE,
      bytes: bytes.length,
      sha256: digestOf(bytes),
      segment: 0,
      offset: 0,
      firstLsn: 0,
      lastLsn: 0,
      isEarlier: false,
    };
  }

  #report(manifest: Manifest, earlier: Backup | undefined, startedMs: number): BackupReport {
    const { directory, target, link } = this.#request;
    const { logId, branch, firstLsn, watermark, files } = manifest;
    const segments = files.filter(({ kind }) => kind === 'segment');
    const own = files.filter(({ isEarlier }) => !isEarlier);
    const sum = (of: readonly BackupFile[]) => of.reduce((total, { bytes }) => total + bytes, 0);
    return {
      directory,
      target,
      manifest: join(target, BACKUP_FILE),
      kind: earlier === undefined ? 'full' : 'incremental',
      ...(earlier === undefined ? {} : { since: earlier.directory }),
      logId: hex(logId),
      branch: hex(branch),
      firstLsn,
      lastLsn: watermark,
      segments: segments.length,
      snapshots: files.filter(({ kind }) => kind === 'snapshot').length,
      bytes: sum(own),
      linkedBytes: link
        ? sum(segments.filter(({ offset }, at) => offset === 0 && at < segments.length - 1))
        : 0,
      createdMs: startedMs,
      durationMs: Math.max(0, this.#disk.now() - startedMs),
    };
  }

  #refuseSameDirectory(): void {
    const { directory, target } = this.#request;
    const [source, found] = [this.#disk.stat(directory), this.#disk.stat(target)];
    if (source?.kind !== 'directory')
      throw new LogFailure('ERR_WAL_IO', `Cannot back up "${directory}": there is no such directory.`, {
        path: directory,
        cause: { code: 'ENOENT', message: `ENOENT: no such directory, '${directory}'` },
      });
    if (found === undefined || !isSameFile(source, found)) return;
    throw new LogFailure(
      'ERR_WAL_OPTION',
      `Cannot back up "${directory}" to itself. Choose another target.`,
      {
        path: target,
      },
    );
  }

  #recycles(): LogFailure {
    const { directory } = this.#request;
    return new LogFailure(
      'ERR_WAL_OPTION',
      `Cannot link the segments of "${directory}": the log writes into the files of old segments again (preallocate: 'recycle'). Copy them.`,
      { path: directory },
    );
  }

  #removedMeanwhile({ number, firstLsn, lastLsn }: PlannedPart): LogFailure {
    const { directory, since } = this.#request;
    return new LogFailure(
      'ERR_WAL_PURGED',
      `Cannot continue the backup "${since}": entries ${firstLsn} to ${lastLsn} (${segmentName(number)}) were removed from "${directory}" ` +
        'before they were copied. Make a full backup.',
      { path: directory, lsn: firstLsn },
    );
  }

  #changesTooFast(cuts: string): LogFailure {
    const { directory } = this.#request;
    const isCut = this.#cuts !== cuts;
    const why = isCut
      ? 'it was cut again and again while it was being copied'
      : 'its segments were removed faster than they could be copied. Back it up in the process that writes it, which keeps them';
    return new LogFailure(
      isCut ? 'ERR_WAL_TRUNCATED' : 'ERR_WAL_PURGED',
      `Cannot back up "${directory}": ${why}.`,
      { path: directory },
    );
  }
}

/** Does the error concern the log, and not the target? A log that changes while it is read looks damaged, or loses files. */
function mayBeOfChange(error: unknown): boolean {
  if (isMissing(error) || error instanceof FileShrank) return true;
  return error instanceof LogFailure && CODES_OF_CHANGE.includes(error.failure.code);
}

const CODES_OF_CHANGE: readonly string[] = [
  'ERR_WAL_CORRUPT',
  'ERR_WAL_UNSUPPORTED',
  'ERR_WAL_PURGED',
  'ERR_WAL_IO',
];

interface PlannedPart {
  readonly number: number;
  /** Where in the segment it begins. */
  readonly start: number;
  readonly bytes: number;
  readonly firstLsn: number;
  readonly lastLsn: number;
  readonly isLast: boolean;
}

/** The content of the log's state file, as of W: the restored log opens with it. */
function stateOf({ state, logId, branch, watermark }: LogPicture, newId: bigint): LogState {
  // The segments of wal-go do not name their log.
  const known = state ?? emptyState(logId === 0n ? newId : logId);
  // A backup has given no segment to an archive.
  return { ...endingWith(known, watermark), branch, watermark, archived: 0 };
}

/** Removes the copies. Returns the error to throw: `error`, which also says if they could not be removed. */
function undone(target: BackupTarget, error: unknown): unknown {
  try {
    target.undo();
    return error;
  } catch (left) {
    // The files that are left have no manifest, and the next backup to the same place removes them. An abort has its own error.
    if (error instanceof StopRequest) return error;
    const { directory } = target;
    const failure = failureOf(error, `write a backup to "${directory}"`, directory);
    const { message } = systemCause(left);
    return LogFailure.of({
      ...failure,
      message: `${failure.message} The copied files could not be removed (${message}); they are not a backup.`,
    });
  }
}
