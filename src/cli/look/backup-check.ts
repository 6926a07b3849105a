import { statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { BACKUP_FILE } from '../../format/segment-name.js';
import { type BackupVerifyReport, Wal } from '../../index.js';
import type { Context } from '../terminal/context.js';
import type { Output } from '../terminal/output.js';
import { bytes, harmless, integer, lsnRange, plural, table, time } from '../text/text.js';
import { withProgress } from './copy-progress.js';
import { colored, describeTrouble } from './verdict-text.js';

/** Whether a directory is a finished backup. */
export function isBackup(directory: string): boolean {
  return statSync(join(directory, BACKUP_FILE), { throwIfNoEntry: false })?.isFile() ?? false;
}

export function verifyBackupWithProgress(context: Context, directory: string): Promise<BackupVerifyReport> {
  return withProgress(context, 'comparing', (options) => Wal.verifyBackup(directory, options));
}

export function printBackupReport(out: Output, report: BackupVerifyReport): void {
  const { backup, verdict, segments, firstLsn, lastLsn, watermark, trouble, damagedFiles } = report;
  const { colors } = out;
  if (backup !== undefined) {
    const { kind, createdMs, files, since } = backup;
    const continues =
      since === undefined ? '' : `, continues one that ends with entry ${integer(since.lastLsn)}`;
    out.sentence(
      `${kind} backup of ${time(createdMs)}${continues}: ${plural(files, 'file')}, ${bytes(backup.bytes)}`,
    );
  }
  const rows = segments.map((segment) => [
    basename(segment.path),
    colored(colors, segment.verdict),
    lsnRange(segment.firstLsn, segment.lastLsn),
    `${integer(segment.frames)} frames`,
    bytes(segment.bytes),
  ]);
  for (const line of table(rows, [3, 4])) out.line(line);
  out.line(`entries ${lsnRange(firstLsn, lastLsn)}, ends with entry ${integer(watermark)}`);
  const meaning =
    verdict === 'clean'
      ? 'The backup is as it was written.'
      : verdict === 'unsupported'
        ? 'A later version wrote the backup.'
        : 'The backup is damaged, or a program has written to it.';
  out.sentence(`${colors.bold(colored(colors, verdict))}  ${meaning}`);
  if (trouble !== undefined) out.sentence(`  ${describeTrouble(trouble)}`);
  for (const { path, reason } of damagedFiles) out.sentence(`  ${harmless(basename(path))}: ${reason}.`);
}
