import type { BackupReport, RestoreReport } from '../../protocol/backup-reports.js';
import type { ReplicaRestoreReport } from '../../protocol/replica-reports.js';
import type { BackupInspection } from '../../worker/backup/verify-backup.js';
import type { CheckedBackup, CheckedRestore, StoppableOptions } from '../options/backup-options.js';
import type { CheckedReplicaRestore } from '../options/remote-options.js';
import { runJob } from './job-pool.js';
import { runStoppable } from './stoppable-job.js';
import { describeBlocks, type VerifyReport } from './verify.js';

/**
 * The result of {@link Wal.verifyBackup}, which changes nothing. `clean`: every file is as it was written, and the log in the
 * backup can be read up to the watermark that the manifest names. For an incremental backup, the log is only the part that it
 * holds.
 */
export interface BackupVerifyReport extends VerifyReport {
  /** The content of the manifest; absent if it cannot be read. */
  readonly backup?: BackupInfo;
  /** Files of the backup that are missing, or are not as they were written. */
  readonly damagedFiles: readonly DamagedFile[];
}

/** A backup, by its manifest. */
export interface BackupInfo {
  /** `full`: the whole log. `incremental`: the entries after another backup. */
  readonly kind: 'full' | 'incremental';
  /** The random id of the log, 16 hexadecimal digits. */
  readonly logId: string;
  /** The random id of the log's branch, 16 hexadecimal digits; 0 = it had none. */
  readonly branch: string;
  /** When the backup was begun, in milliseconds since 1970. */
  readonly createdMs: number;
  /** The backup that this one continues; absent for a full one. */
  readonly since?: {
    /** Its last entry. */
    readonly lastLsn: number;
    /** When it was begun, in milliseconds since 1970. */
    readonly createdMs: number;
  };
  /** Number of files, without the manifest. */
  readonly files: number;
  /** Bytes of these files. */
  readonly bytes: number;
}

/** A file of a backup that is not as it was written. */
export interface DamagedFile {
  /** The file, absolute. */
  readonly path: string;
  /** The reason why it is damaged, in words. */
  readonly reason: string;
}

/** Backs up a log that another process may be writing. */
export function backupDirectory(directory: string, checked: CheckedBackup): Promise<BackupReport> {
  const { target, since, link, workerUrl } = checked;
  return runStoppable(checked, ({ buffer: control }) =>
    runJob('backup', { directory, target, since, link, control }, { workerUrl }),
  );
}

export function restoreBackups(checked: CheckedRestore): Promise<RestoreReport> {
  const { backups, directory, to, dryRun, workerUrl } = checked;
  return runStoppable(checked, ({ buffer: control }) =>
    runJob('restore', { backups, directory, to, dryRun, control }, { workerUrl }),
  );
}

export function restoreFromReplica(checked: CheckedReplicaRestore): Promise<ReplicaRestoreReport> {
  const { adapter, logId, directory, to, timeoutMs, workerUrl } = checked;
  return runStoppable(checked, ({ buffer: control }) =>
    runJob('restoreReplica', { adapter, logId, directory, to, timeoutMs, control }, { workerUrl }),
  );
}

export async function verifyBackup(
  directory: string,
  options: StoppableOptions & { readonly workerUrl: URL | undefined },
): Promise<BackupVerifyReport> {
  const found = await runStoppable(options, ({ buffer: control }) =>
    runJob('verifyBackup', { directory, control }, options),
  );
  return reportOf(found);
}

function reportOf({ manifest, trouble, segments, ...found }: BackupInspection): BackupVerifyReport {
  return {
    ...found,
    ...(trouble === undefined ? {} : { trouble }),
    lost: [],
    inDoubt: [],
    segments: segments.map(({ size, badOffset, reason, blocks, ...segment }) => ({
      ...segment,
      bytes: size,
      ...(badOffset === undefined ? {} : { badOffset }),
      ...(reason === undefined ? {} : { reason }),
      ...(blocks && { blocks: describeBlocks(blocks) }),
    })),
    ...(manifest === undefined ? {} : { backup: infoOf(manifest) }),
  };
}

function infoOf({ since, ...manifest }: NonNullable<BackupInspection['manifest']>): BackupInfo {
  return { ...manifest, ...(since === undefined ? {} : { since }) };
}
