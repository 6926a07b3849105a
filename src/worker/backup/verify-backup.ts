import { join } from 'node:path';
import { type Disk, type DiskFile, isMissing } from '../../files/disk.js';
import { createNodeDisk } from '../../files/node-disk.js';
import { passesCheck } from '../../format/block-check.js';
import { BlockAdder } from '../../format/block-sums.js';
import type { ByteSource } from '../../format/bytes.js';
import type { SegmentDamage } from '../../format/damage.js';
import { FrameCursor } from '../../format/frame-cursor.js';
import { BACKUP_FILE, segmentName } from '../../format/segment-name.js';
import { describeReason, type Reason } from '../../format/verdict.js';
import type { StoppedJob } from '../../protocol/backup-reports.js';
import type { Failure } from '../../protocol/errors.js';
import { JobControl } from '../../protocol/job-control.js';
import { openSource } from '../directory/log-listing.js';
import { failureOf, LogFailure } from '../errors/failure.js';
import { checkEvery } from '../inspect/check-block.js';
import { inspectOn } from '../inspect/inspect.js';
import { FileCopier, StopRequest } from './copy-file.js';
import type { BackupFile, Manifest } from './manifest.js';
import { backupDirectory, hex, isSameDigest, lookAtBackup } from './read-backup.js';

/** A job of the pool. */
export interface VerifyBackupRequest {
  /** The backup, or its manifest. */
  readonly directory: string;
  /** See [JobControl]. */
  readonly control: SharedArrayBuffer;
}

/** The result of the check. Plain data: it crosses threads. */
export interface BackupInspection {
  readonly directory: string;
  readonly verdict: 'clean' | 'corrupt' | 'unsupported';
  /** The row of the decision table for the log in it. */
  readonly row: number;
  readonly firstLsn: number;
  /** The last entry that can be read without a gap. */
  readonly lastLsn: number;
  /** As the manifest says; 0 = it cannot be read. */
  readonly watermark: number;
  readonly trouble: BackupTrouble | undefined;
  readonly segments: readonly (SegmentDamage & { readonly path: string })[];
  /** Files that are missing, or not as they were written. */
  readonly damagedFiles: readonly { readonly path: string; readonly reason: string }[];
  readonly foreignFiles: readonly string[];
  /** `undefined`: the manifest cannot be read. */
  readonly manifest: ManifestSummary | undefined;
}

export interface BackupTrouble {
  readonly path: string;
  readonly offset: number;
  /** 0 = not known. */
  readonly lsn: number;
  readonly reason: string;
}

export interface ManifestSummary {
  readonly kind: 'full' | 'incremental';
  readonly logId: string;
  readonly branch: string;
  readonly createdMs: number;
  readonly since: { readonly lastLsn: number; readonly createdMs: number } | undefined;
  readonly files: number;
  readonly bytes: number;
}

export function verifyBackup(
  request: VerifyBackupRequest,
): BackupInspection | StoppedJob | { readonly failure: Failure } {
  return verifyBackupOn(createNodeDisk(), request);
}

/** Checks the manifest, the size and the digest of each file, and every frame of the log. Changes nothing. */
export function verifyBackupOn(
  disk: Disk,
  request: VerifyBackupRequest,
): BackupInspection | StoppedJob | { readonly failure: Failure } {
  const directory = backupDirectory(request.directory);
  try {
    const found = lookAtBackup(disk, directory);
    if ('fault' in found) return withoutManifest(directory, found.fault, found.isUnsupported === true);
    const { manifest } = found;
    const damagedFiles = findDamagedFiles(disk, directory, manifest, new JobControl(request.control));
    const log =
      manifest.since === undefined
        ? readWhole(disk, directory, manifest)
        : readParts(disk, directory, manifest);
    const [damagedFile] = damagedFiles;
    const trouble =
      log.trouble ??
      (damagedFile && { path: damagedFile.path, offset: 0, lsn: 0, reason: damagedFile.reason });
    const verdict = log.verdict === 'clean' && damagedFile !== undefined ? 'corrupt' : log.verdict;
    return { directory, ...log, verdict, trouble, damagedFiles, manifest: summaryOf(manifest) };
  } catch (error) {
    if (error instanceof StopRequest) return { stopped: true };
    return { failure: failureOf(error, `verify the backup "${directory}"`, directory) };
  }
}

type LogInBackup = Omit<BackupInspection, 'directory' | 'damagedFiles' | 'manifest'>;

/** A full backup is a log. */
function readWhole(disk: Disk, directory: string, manifest: Manifest): LogInBackup {
  const found = inspectOn(disk, { directory, full: true });
  if ('failure' in found) throw LogFailure.of(found.failure);
  const { judgement, damage, foreignFiles } = found;
  const { row, firstLsn, lastLsn, trouble } = judgement;
  const { watermark } = manifest;
  const isWhole = judgement.verdict === 'clean' && lastLsn === watermark;
  return {
    // No process writes to a backup, so a torn end is damage here.
    verdict: isWhole ? 'clean' : judgement.verdict === 'unsupported' ? 'unsupported' : 'corrupt',
    row,
    firstLsn,
    lastLsn,
    watermark,
    trouble: isWhole
      ? undefined
      : trouble === undefined
        ? { path: directory, offset: 0, lsn: lastLsn + 1, reason: endsElsewhere(lastLsn, watermark) }
        : {
            path: join(directory, segmentName(trouble.segment)),
            offset: trouble.offset,
            lsn: trouble.lsn,
            reason: describeReason(trouble.reason),
          },
    segments: (damage?.segments ?? []).map((segment) => ({
      ...segment,
      path: join(directory, segmentName(segment.number)),
    })),
    foreignFiles,
  };
}

function endsElsewhere(lastLsn: number, watermark: number): string {
  return `the log in it ends with entry ${lastLsn}, and the manifest says entry ${watermark}: a program has written to it`;
}

/** An incremental backup holds the end of a log: its frames must continue each other, and the backup that it continues. */
function readParts(disk: Disk, directory: string, manifest: Manifest): LogInBackup {
  const { logId, watermark, since, files } = manifest;
  const cursor = new FrameCursor();
  // A batch does not cross the end of a backup.
  const inbound = { logId: logId === 0n ? undefined : logId, expectedLsn: 0, batchRemaining: 0 };
  cursor.start({ ...inbound, expectedLsn: (since?.watermark ?? 0) === 0 ? 0 : (since?.watermark ?? 0) + 1 });
  const segments: (SegmentDamage & { readonly path: string })[] = [];
  let trouble: BackupTrouble | undefined;
  let firstLsn = 0;
  let lastLsn = since?.watermark ?? 0;
  let isUnsupported = false;
  for (const file of files) {
    if (file.kind !== 'segment') continue;
    const path = join(directory, file.name);
    const walk = walkPart(disk, path, file, cursor);
    const reason = walk.reason;
    segments.push({
      ...walk,
      number: file.segment,
      path,
      verdict: reason === undefined ? 'clean' : 'corrupt',
    });
    if (trouble !== undefined) continue;
    firstLsn ||= walk.firstLsn;
    lastLsn = walk.lastLsn || lastLsn;
    if (reason === undefined) continue;
    isUnsupported = reason === 'unknown-critical';
    trouble = { path, offset: walk.badOffset ?? 0, lsn: lastLsn + 1, reason: describeReason(reason) };
  }
  if (trouble === undefined && lastLsn !== watermark)
    trouble = { path: directory, offset: 0, lsn: lastLsn + 1, reason: endsElsewhere(lastLsn, watermark) };
  const verdict = trouble === undefined ? 'clean' : isUnsupported ? 'unsupported' : 'corrupt';
  const row = trouble === undefined ? 5 : isUnsupported ? 1 : 2;
  return { verdict, row, firstLsn, lastLsn, watermark, trouble, segments, foreignFiles: [] };
}

function walkPart(
  disk: Disk,
  path: string,
  file: BackupFile,
  cursor: FrameCursor,
): Omit<SegmentDamage, 'number' | 'verdict'> {
  let source: ByteSource;
  try {
    source = openSource(disk, path);
  } catch (error) {
    if (!isMissing(error)) throw error;
    return {
      size: 0,
      frames: 0,
      firstLsn: 0,
      lastLsn: 0,
      validBytes: 0,
      badOffset: 0,
      reason: 'missing-segment',
    };
  }
  try {
    const check = checkEvery(path);
    const adder = new BlockAdder();
    cursor.enter(new ShiftedSource(source, file.offset), file.segment).seek(file.offset);
    let frames = 0;
    let firstLsn = 0;
    let lastLsn = 0;
    let reason: Reason | undefined;
    while (cursor.offset < cursor.size) {
      reason = cursor.check();
      if (reason === undefined && cursor.frame.unknownCritical !== 0) reason = 'unknown-critical';
      if (reason === undefined && !passesCheck(check, cursor)) reason = 'block';
      if (reason !== undefined) break;
      lastLsn = cursor.frame.lastLsn;
      firstLsn ||= cursor.frame.lsn;
      frames += 1;
      adder.add(cursor.frame);
      cursor.pass();
    }
    const validBytes = cursor.offset - file.offset;
    const badOffset = reason === undefined ? undefined : validBytes;
    return { size: source.size, frames, firstLsn, lastLsn, validBytes, badOffset, reason, ...adder.sums };
  } finally {
    source.close?.();
  }
}

/** Bytes of a segment that stand in a file of their own: they keep their offsets. */
class ShiftedSource implements ByteSource {
  readonly size: number;
  readonly #source: ByteSource;
  readonly #shift: number;

  constructor(source: ByteSource, shift: number) {
    this.#source = source;
    this.#shift = shift;
    this.size = source.size + shift;
  }

  read(offset: number, length: number): Uint8Array {
    return this.#source.read(offset - this.#shift, length);
  }
}

function findDamagedFiles(
  disk: Disk,
  directory: string,
  { files }: Manifest,
  control: JobControl,
): { path: string; reason: string }[] {
  const own = files.filter(({ isEarlier }) => !isEarlier);
  control.start(own.reduce((sum, { bytes }) => sum + bytes, 0));
  const copier = new FileCopier(disk, control);
  return own.flatMap(({ name, bytes, sha256 }) => {
    const path = join(directory, name);
    const reason = faultOfFile(disk, copier, path, bytes, sha256);
    return reason === undefined ? [] : [{ path, reason }];
  });
}

function faultOfFile(
  disk: Disk,
  copier: FileCopier,
  path: string,
  bytes: number,
  sha256: Uint8Array,
): string | undefined {
  let file: DiskFile;
  try {
    file = disk.open(path, 'r');
  } catch (error) {
    if (isMissing(error)) return 'the file is missing';
    throw error;
  }
  try {
    const size = file.size();
    if (size !== bytes) return `the file has ${size} bytes, and the manifest says ${bytes}`;
    return isSameDigest(copier.digest(file, bytes), sha256)
      ? undefined
      : 'the bytes are not those that were backed up (SHA-256 differs from the manifest)';
  } finally {
    file.close();
  }
}

function withoutManifest(directory: string, fault: string, isUnsupported: boolean): BackupInspection {
  const path = join(directory, BACKUP_FILE);
  const reason = `the manifest cannot be read: ${fault}`;
  return {
    directory,
    verdict: isUnsupported ? 'unsupported' : 'corrupt',
    row: isUnsupported ? 1 : 2,
    firstLsn: 0,
    lastLsn: 0,
    watermark: 0,
    trouble: { path, offset: 0, lsn: 0, reason },
    segments: [],
    damagedFiles: [{ path, reason }],
    foreignFiles: [],
    manifest: undefined,
  };
}

function summaryOf({ since, logId, branch, createdMs, files }: Manifest): ManifestSummary {
  const own = files.filter(({ isEarlier }) => !isEarlier);
  return {
    kind: since === undefined ? 'full' : 'incremental',
    logId: hex(logId),
    branch: hex(branch),
    createdMs,
    since: since && { lastLsn: since.watermark, createdMs: since.createdMs },
    files: own.length,
    bytes: own.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}
