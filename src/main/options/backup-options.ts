import type { BackupReport } from '../../protocol/backup-reports.js';
import type { Wanted } from '../../worker/backup/cut-place.js';
import { WalError } from '../errors/wal-error.js';
import { callback, checkLsn, checkSignal, flag, refuse, takeOptions } from './checks.js';
import { checkPath, checkWorkerUrl } from './paths.js';

/** A backup: the path of its directory or of its manifest, a `file:` URL of either, or the report of the call that made it. */
export type BackupPlace = string | URL | Pick<BackupReport, 'target'>;

/** Options of {@link Wal.backup}. */
export interface BackupOptions {
  /**
   * Makes an incremental backup: it holds only what came after this backup. To restore it, all backups from the full one on are
   * needed.
   */
  since?: BackupPlace | undefined;
  /**
   * Makes hard links to sealed segments instead of copies. It needs the same file system, protects against nothing that happens to
   * the disk, and is refused with `preallocate: 'recycle'`. A later `truncateAfter` into such a segment changes the backup, too;
   * {@link Wal.verifyBackup} shows that.
   *
   * @defaultValue `false`
   */
  link?: boolean | undefined;
  /** Ends the backup: the promise rejects with the signal's reason, and what was copied is removed. */
  signal?: AbortSignal | undefined;
  /** Told a few times a second how far the backup is, in bytes, and once at the end. */
  onProgress?: ((progress: BackupProgress) => void) | undefined;
}

/** Options of the static `Wal.backup`. */
export interface DirectoryBackupOptions extends BackupOptions {
  /** As of `Wal.open`. */
  workerUrl?: string | URL | undefined;
}

/** How far a backup, a restore or the check of a backup is. */
export interface BackupProgress {
  /** Bytes copied, or checked, so far. A backup that begins again, since the log was cut meanwhile, counts from 0. */
  readonly bytesDone: number;
  /** Bytes of all files; 0 until it is known. */
  readonly bytesTotal: number;
}

/** Options of {@link Wal.restore}. */
export interface RestoreOptions {
  /**
   * The last entry of the restored log, or a time: the log ends before the first entry that was written then or later, by the time
   * stamps in the log. Inside a batch, or at an LSN without an entry, it ends before that. Default: everything is restored.
   */
  to?: number | Date | undefined;
  /**
   * Only say what would be restored: nothing is changed. The manifests and the sizes of files are checked, not their content.
   *
   * @defaultValue `false`
   */
  dryRun?: boolean | undefined;
  /** Ends the restore: the promise rejects with the signal's reason, and what was written is removed. */
  signal?: AbortSignal | undefined;
  /** Told a few times a second how far the restore is, in bytes, and once at the end. */
  onProgress?: ((progress: BackupProgress) => void) | undefined;
  /** As of `Wal.open`. */
  workerUrl?: string | URL | undefined;
}

/** Options of {@link Wal.verifyBackup}. */
export interface VerifyBackupOptions {
  /** Told a few times a second how far the comparison of files with their digests is, in bytes, and once at the end. */
  onProgress?: ((progress: BackupProgress) => void) | undefined;
  /** Ends the check: the promise rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** As of `Wal.open`. */
  workerUrl?: string | URL | undefined;
}

/** What {@link runStoppable} needs. */
export interface StoppableOptions {
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((progress: BackupProgress) => void) | undefined;
}

export interface CheckedBackup extends StoppableOptions {
  readonly target: string;
  readonly since: string | undefined;
  readonly link: boolean;
  readonly workerUrl: URL | undefined;
}

export interface CheckedRestore extends StoppableOptions {
  readonly backups: readonly string[];
  readonly directory: string;
  readonly to: Wanted | undefined;
  readonly dryRun: boolean;
  readonly workerUrl: URL | undefined;
}

export function checkBackup(
  target: unknown,
  given: DirectoryBackupOptions,
  ofOpenLog: boolean,
): CheckedBackup {
  const known = ['since', 'link', 'signal', 'onProgress'] as const;
  const options = takeOptions(given, 'backup option', ofOpenLog ? known : [...known, 'workerUrl']);
  return {
    target: checkPath('target', target),
    since: options.since === undefined ? undefined : checkBackupPlace('since', options.since),
    link: flag('link', options.link),
    ...checkStoppable(options),
    workerUrl: checkWorkerUrl(options.workerUrl),
  };
}

export function checkRestore(backups: unknown, directory: unknown, given: RestoreOptions): CheckedRestore {
  const options = takeOptions(given, 'restore option', ['to', 'dryRun', 'signal', 'onProgress', 'workerUrl']);
  const list = Array.isArray(backups) ? backups : [backups];
  if (list.length === 0) refuse('backups', 'a full backup, and those that continue it', backups);
  return {
    backups: list.map((backup) => checkBackupPlace('backups', backup)),
    directory: checkPath('directory', directory),
    to: options.to === undefined ? undefined : checkWanted(options.to),
    dryRun: flag('dryRun', options.dryRun),
    ...checkStoppable(options),
    workerUrl: checkWorkerUrl(options.workerUrl),
  };
}

export function checkVerifyBackup(
  given: VerifyBackupOptions,
): StoppableOptions & { readonly workerUrl: URL | undefined } {
  const options = takeOptions(given, 'verifyBackup option', ['onProgress', 'signal', 'workerUrl']);
  return { ...checkStoppable(options), workerUrl: checkWorkerUrl(options.workerUrl) };
}

export function checkBackupPlace(name: string, given: unknown): string {
  if (typeof given === 'object' && given !== null && 'target' in given) return checkPath(name, given.target);
  return checkPath(name, given);
}

function checkStoppable(options: {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: BackupProgress) => void) | undefined;
}): StoppableOptions {
  return { signal: checkSignal(options.signal), onProgress: callback('onProgress', options.onProgress) };
}

function checkWanted(to: unknown): Wanted {
  // A Date of whatever realm.
  if (Object.prototype.toString.call(to) !== '[object Date]') {
    if (typeof to === 'number') return { lsn: checkLsn('to', to) };
    refuse('to', 'an LSN, an integer from 1, or a Date', to);
  }
  const beforeMs = Number(to);
  if (Number.isNaN(beforeMs))
    throw new WalError('ERR_WAL_OPTION', 'to must be a valid Date; this one is invalid.');
  return { beforeMs };
}
