/**
 * Makes a log from a full backup and the incremental ones that continue it, up to an entry or a time.
 *
 *   1. read     the manifests; are they a chain? Do the files have their sizes?
 *   2. place    find where the log will end: at the end of a batch, or outside of one
 *   3. begin    a directory beside the wanted one: restore-aside.ts
 *   4. copy     segments and snapshots, each file compared with its digest; a state file with a new branch; all synced
 *   5. judge    the new log as `open` does: it must end with the entry that was asked for
 *   6. finish   the directory gets its name, last
 */

import { join } from 'node:path';
import { type Disk, type DiskFile, isSameFile, writeFully } from '../../files/disk.js';
import { createNodeDisk } from '../../files/node-disk.js';
import { STATE_FILE, segmentName } from '../../format/segment-name.js';
import {
  decodeState,
  emptyState,
  encodeState,
  type LogState,
  STATE_BYTES_MAX,
} from '../../format/state-file.js';
import { describeReason } from '../../format/verdict.js';
import type { RestoreReport, StoppedJob } from '../../protocol/backup-reports.js';
import type { Failure } from '../../protocol/errors.js';
import { JobControl } from '../../protocol/job-control.js';
import { newBranch, newLogId } from '../directory/log-listing.js';
import { failureOf, LogFailure, systemCause } from '../errors/failure.js';
import { inspectOn } from '../inspect/inspect.js';
import { digestOf, FILE_MODE } from './backup-target.js';
import { checkSize, damaged, readChain, type StoredSegment, sourcesOf, storedSegments } from './chain.js';
import { checkStop, FileCopier, StopRequest, syncCopy, writeSmall } from './copy-file.js';
import { type CutPlace, placeOfLsn, placeOfTime, type Wanted } from './cut-place.js';
import type { BackupFile } from './manifest.js';
import { type Backup, hex, isSameDigest } from './read-backup.js';
import { RestoreAside, refuseOccupied } from './restore-aside.js';

/** A job of the pool. */
export interface RestoreRequest {
  /** The full backup first, then the incremental ones: their directories, or their manifests. */
  readonly backups: readonly string[];
  /** Of the new log. */
  readonly directory: string;
  /** `undefined`: everything. */
  readonly to: Wanted | undefined;
  readonly dryRun: boolean;
  /** See [JobControl]. */
  readonly control: SharedArrayBuffer;
}

export function restore(request: RestoreRequest): RestoreReport | StoppedJob | { readonly failure: Failure } {
  return restoreOn(createNodeDisk(), request);
}

export function restoreOn(
  disk: Disk,
  request: RestoreRequest,
): RestoreReport | StoppedJob | { readonly failure: Failure } {
  const { directory } = request;
  try {
    return new RestoreJob(disk, request).run();
  } catch (error) {
    if (error instanceof StopRequest) return { stopped: true };
    return { failure: failureOf(error, `restore to "${directory}"`, directory) };
  }
}

/** The content of the log that is restored. */
interface Plan {
  readonly chain: readonly Backup[];
  readonly logId: bigint;
  /** The last one is cut. */
  readonly segments: readonly StoredSegment[];
  readonly cut: CutPlace | undefined;
  readonly lastLsn: number;
  readonly snapshots: readonly StoredFile[];
  readonly state: LogState;
  readonly bytes: number;
}

interface StoredFile extends BackupFile {
  readonly path: string;
}

class RestoreJob {
  readonly #disk: Disk;
  readonly #request: RestoreRequest;
  readonly #control: JobControl;
  readonly #copier: FileCopier;

  constructor(disk: Disk, request: RestoreRequest) {
    this.#disk = disk;
    this.#request = request;
    this.#control = new JobControl(request.control);
    this.#copier = new FileCopier(disk, this.#control);
  }

  run(): RestoreReport {
    const { directory, dryRun } = this.#request;
    const startedMs = this.#disk.now();
    refuseOccupied(this.#disk, directory);
    const plan = this.#plan();
    if (dryRun) return this.#report(plan, undefined, startedMs);
    this.#control.start(plan.bytes);
    const aside = RestoreAside.begin(this.#disk, directory);
    try {
      const branch = newBranch(this.#disk);
      this.#write(aside, plan, branch);
      checkStop(this.#control);
      aside.finish();
      return this.#report(plan, branch, startedMs);
    } catch (error) {
      throw undone(aside, error);
    }
  }

  #plan(): Plan {
    const disk = this.#disk;
    const chain = readChain(disk, this.#request.backups);
    this.#refuseOwnBackup(chain);
    const last = chain.at(-1) as Backup;
    const stored = storedSegments(disk, chain);
    const { logId, watermark } = last.manifest;
    const cut = this.#placeOf(stored, logId, watermark);
    const lastLsn = cut?.lsn ?? watermark;
    // State and snapshots come from the first backup that has entry `lastLsn`; if all is restored, from the last backup.
    const at =
      lastLsn === watermark
        ? chain.length - 1
        : chain.findIndex(({ manifest }) => manifest.watermark >= lastLsn);
    const segments = cut === undefined ? stored : stored.slice(0, cut.index + 1);
    const snapshots = this.#snapshots(chain, at, lastLsn);
    const bytes = [...segments, ...snapshots].reduce((sum, file) => sum + file.bytes, 0);
    const state = this.#state(chain[at] as Backup, lastLsn);
    return { chain, logId, segments, cut, lastLsn, snapshots, state, bytes };
  }

  /** `undefined`: everything is restored. */
  #placeOf(stored: readonly StoredSegment[], logId: bigint, watermark: number): CutPlace | undefined {
    const { to } = this.#request;
    if (to === undefined) return undefined;
    const files = sourcesOf(this.#disk, stored);
    const firstLsn = stored[0]?.firstLsn ?? 0;
    if ('beforeMs' in to) {
      const { place, hasStamps } = placeOfTime(files, stored, logId, to.beforeMs);
      const time = new Date(to.beforeMs).toISOString();
      if (!hasStamps && firstLsn > 0)
        throw this.#refuse('ERR_WAL_OPTION', `no entry up to ${time} has a time stamp. Give an LSN`);
      if (place === undefined)
        throw this.#refuse('ERR_WAL_PURGED', `no whole batch was written before ${time}`);
      return place;
    }
    if (to.lsn > watermark)
      throw this.#refuse(
        'ERR_WAL_OPTION',
        watermark === 0
          ? `entry ${to.lsn} is not in the backups: they hold no entry`
          : `entry ${to.lsn} is not in the backups: they end with entry ${watermark}`,
        to.lsn,
      );
    const place = to.lsn < firstLsn ? undefined : placeOfLsn(files, stored, logId, to.lsn);
    if (place === undefined)
      throw this.#refuse(
        'ERR_WAL_PURGED',
        `entry ${to.lsn} is not in the backups, or in a batch that begins before them: they begin with entry ${firstLsn}`,
        to.lsn,
      );
    return place;
  }

  /** Each is in the backup that knew it, or in an earlier one of the chain. */
  #snapshots(chain: readonly Backup[], at: number, lastLsn: number): StoredFile[] {
    const { manifest } = chain[at] as Backup;
    const wanted = manifest.files.filter((file) => file.kind === 'snapshot' && file.lastLsn <= lastLsn);
    return wanted.map((file) => {
      const holder = chain
        .slice(0, at + 1)
        .findLast((backup) => backup.manifest.files.some((other) => isStoredHere(other, file)));
      if (holder === undefined) {
        const { directory } = chain[at] as Backup;
        throw damaged(join(directory, file.name), 'no backup of the chain has it');
      }
      const path = join(holder.directory, file.name);
      checkSize(this.#disk, path, file.bytes);
      return { ...file, path };
    });
  }

  #state({ directory, manifest }: Backup, lastLsn: number): LogState {
    const file = manifest.files.find(({ kind }) => kind === 'state');
    const path = join(directory, STATE_FILE);
    if (file === undefined) throw damaged(path, 'the manifest does not have it');
    checkSize(this.#disk, path, file.bytes);
    if (file.bytes > STATE_BYTES_MAX) throw damaged(path, `it has ${file.bytes} bytes`);
    const source = this.#disk.open(path, 'r');
    try {
      const bytes = this.#copier.read(source, file.bytes);
      if (!isSameDigest(digestOf(bytes), file.sha256)) throw notAsWritten(path);
      const state = decodeState(bytes);
      if ('fault' in state) throw damaged(path, state.fault);
      return stateUpTo(state, lastLsn);
    } finally {
      source.close();
    }
  }

  #write(aside: RestoreAside, plan: Plan, branch: bigint): void {
    const { segments, cut, snapshots, lastLsn } = plan;
    for (const [at, segment] of segments.entries()) {
      if (cut?.index === at) this.#writeSegment(aside, segment, cut.offset, cut.rest);
      else this.#writeSegment(aside, segment, segment.bytes, undefined);
    }
    // As emptying leaves it: if the state file is lost, it shows that the log does not begin at LSN 1 (log-emptying.ts).
    if (segments.length === 0 && lastLsn > 0)
      writeSmall(this.#disk, aside.pathOf(segmentName(1)), new Uint8Array(0), FILE_MODE);
    for (const { path, name, bytes, sha256 } of snapshots) {
      this.#copyWhole(path, aside.pathOf(name), bytes, sha256);
    }
    // The segments of wal-go do not name their log.
    const logId = plan.logId === 0n ? newLogId(this.#disk) : plan.logId;
    const state = encodeState({
      ...plan.state,
      logId,
      branch,
      watermark: lastLsn,
      isEmptied: segments.length === 0 && lastLsn > 0,
    });
    writeSmall(this.#disk, aside.pathOf(STATE_FILE), state, FILE_MODE);
    this.#judge(aside, plan);
  }

  /** The bytes up to `end`, and `rest` after them. */
  #writeSegment(
    aside: RestoreAside,
    { number, pieces }: StoredSegment,
    end: number,
    rest: Uint8Array | undefined,
  ): void {
    const to = aside.pathOf(segmentName(number));
    const [only, ...more] = pieces;
    if (only !== undefined && more.length === 0 && end === only.bytes && rest === undefined) {
      this.#copyWhole(only.path, to, end, only.sha256);
      return;
    }
    const file = this.#disk.open(to, 'wx', FILE_MODE);
    try {
      for (const { path, offset, bytes, sha256 } of pieces) {
        if (offset >= end) break;
        const found = this.#withFile(path, (source) =>
          this.#copier.append(source, 0, Math.min(bytes, end - offset), bytes, file, offset),
        );
        if (!isSameDigest(found, sha256)) throw notAsWritten(path);
      }
      if (rest !== undefined) writeFully(file, rest, 0, rest.length, end);
      syncCopy(file);
    } finally {
      file.close();
    }
  }

  #copyWhole(from: string, to: string, end: number, sha256: Uint8Array): void {
    const found = this.#copier.copy({ from, to, start: 0, end, fileMode: FILE_MODE, how: 'copy' });
    if (found === undefined) throw damaged(from, 'it is missing');
    if (!isSameDigest(found, sha256)) throw notAsWritten(from);
  }

  #withFile<T>(path: string, use: (file: DiskFile) => T): T {
    const file = this.#disk.open(path, 'r');
    try {
      return use(file);
    } finally {
      file.close();
    }
  }

  /** Digests have shown that the bytes are those of the backups. This judges whether they are a log that opens. */
  #judge(aside: RestoreAside, { lastLsn }: Plan): void {
    const found = inspectOn(this.#disk, { directory: aside.directory, full: false });
    if ('failure' in found) throw LogFailure.of(found.failure);
    const { verdict, lastLsn: foundLsn, trouble } = found.judgement;
    if (verdict === 'clean' && foundLsn === lastLsn) return;
    const why = trouble === undefined ? '' : ` (${describeReason(trouble.reason)})`;
    const code = verdict === 'unsupported' ? 'ERR_WAL_UNSUPPORTED' : 'ERR_WAL_CORRUPT';
    throw new LogFailure(
      code,
      `Cannot restore to "${this.#request.directory}": the backups hold a log that would not open${why}: it can be read up to entry ` +
        `${foundLsn}, and should be up to entry ${lastLsn}. Wal.verifyBackup says where it is damaged.`,
      { path: this.#request.directory, lsn: foundLsn + 1 },
    );
  }

  #refuseOwnBackup(chain: readonly Backup[]): void {
    const wanted = this.#disk.stat(this.#request.directory);
    for (const { directory } of chain) {
      const found = this.#disk.stat(directory);
      if (wanted !== undefined && found !== undefined && isSameFile(wanted, found))
        throw this.#refuse('ERR_WAL_OPTION', 'the directory is one of the backups');
    }
  }

  #refuse(code: 'ERR_WAL_OPTION' | 'ERR_WAL_PURGED', why: string, lsn?: number): LogFailure {
    const { directory } = this.#request;
    return new LogFailure(code, `Cannot restore to "${directory}": ${why}.`, { path: directory, lsn });
  }

  #report(plan: Plan, branch: bigint | undefined, startedMs: number): RestoreReport {
    const { chain, logId, segments, cut, lastLsn, snapshots, state } = plan;
    const { directory, dryRun, to } = this.#request;
    const segmentBytes = segments.reduce(
      (sum, { bytes }, at) => sum + (cut?.index === at ? cut.offset + (cut.rest?.length ?? 0) : bytes),
      0,
    );
    const timeMs = to !== undefined && 'beforeMs' in to ? (cut?.timeMs ?? 0) : 0;
    return {
      directory,
      dryRun,
      backups: chain.map((backup) => backup.directory),
      logId: hex(logId),
      ...(branch === undefined ? {} : { branch: hex(branch) }),
      firstLsn: segments.length === 0 ? 0 : Math.max(segments[0]?.firstLsn ?? 0, state.floor),
      lastLsn,
      backupLastLsn: (chain.at(-1) as Backup).manifest.watermark,
      ...(timeMs === 0 ? {} : { lastTimeMs: timeMs }),
      segments: segments.length,
      snapshots: snapshots.map((snapshot) => snapshot.lastLsn),
      bytes: segmentBytes + snapshots.reduce((sum, { bytes }) => sum + bytes, 0),
      durationMs: Math.max(0, this.#disk.now() - startedMs),
    };
  }
}

function isStoredHere(file: BackupFile, wanted: BackupFile): boolean {
  return !file.isEarlier && file.name === wanted.name && isSameDigest(file.sha256, wanted.sha256);
}

/** As it is after a cut: nothing points beyond the last entry. */
function stateUpTo(state: LogState, lastLsn: number): LogState {
  return {
    ...emptyState(state.logId),
    // A restored log that ends earlier may hold entries that the old log gave up later.
    floor: lastLsn < state.watermark && state.floor > lastLsn ? 0 : state.floor,
    checkpoint: Math.min(state.checkpoint, lastLsn),
    namedCheckpoints: new Map(
      [...state.namedCheckpoints].map(([name, at]) => [name, { ...at, lsn: Math.min(at.lsn, lastLsn) }]),
    ),
  };
}

function notAsWritten(path: string): LogFailure {
  return damaged(path, 'its bytes are not those that were backed up (SHA-256 differs from the manifest)');
}

/** Removes the written files. Returns the error to throw: `error`, which also says if they could not be removed. */
function undone(aside: RestoreAside, error: unknown): unknown {
  try {
    aside.undo();
    return error;
  } catch (left) {
    if (error instanceof StopRequest) return error;
    const { directory } = aside;
    const failure = failureOf(error, `restore to "${directory}"`, directory);
    const { message } = systemCause(left);
    return LogFailure.of({
      ...failure,
      message: `${failure.message} The files that were written to "${directory}" could not be removed (${message}).`,
    });
  }
}
