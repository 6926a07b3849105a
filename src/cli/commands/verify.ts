import { basename } from 'node:path';
import { Argument, Option } from 'commander';
import type { VerifySegment } from '../../index.js';
import { isBackup, printBackupReport, verifyBackupWithProgress } from '../look/backup-check.js';
import { expectLog } from '../look/log-directory.js';
import { colored, describeVerdict, exitCodeFor } from '../look/verdict-text.js';
import { verifyWithProgress } from '../look/verify-with-progress.js';
import { defineCommand } from '../program/definition.js';
import { bytes, integer, lsnRange, table, visibleLength } from '../text/text.js';

interface Options {
  readonly quiet?: true;
}

export const verify = defineCommand<Options>({
  name: 'verify',
  summary: 'check a whole log without changing it',
  details: [
    'Reads and checks every frame of every segment. Ends with 0 if the log is clean or torn (a write was interrupted; the next open cuts it), and with 1 if acknowledged entries cannot be read.',
    'It can also verify a log that another process is writing. The end of such a log has no verdict.',
    'Of a backup it also compares every file with the SHA-256 in the manifest.',
  ],
  arguments: [new Argument('<dir>', "the log's directory, or a backup")],
  options: [new Option('-q, --quiet', 'print nothing; use the exit code')],
  examples: [
    { command: 'ringwal verify ./log', what: 'Is the log intact?' },
    { command: 'ringwal verify ./log --quiet || alert', what: 'Use it in a script.' },
  ],
  json: 'The report of Wal.verify: row, verdict, firstLsn, lastLsn, watermark, trouble, lost, inDoubt, segments, foreignFiles. Of a backup, the report of Wal.verifyBackup: also backup and damagedFiles.',
  async run(context, options, [directory = '']) {
    expectLog(directory);
    if (isBackup(directory)) {
      const report = await verifyBackupWithProgress(context, directory);
      if (options.json === true) context.out.json(report);
      else if (options.quiet !== true) printBackupReport(context.out, report);
      return exitCodeFor(report.verdict);
    }
    const report = await verifyWithProgress(context, directory);
    const { out } = context;
    if (options.quiet === true) return exitCodeFor(report.verdict);
    if (options.json === true) {
      out.json(report);
      return exitCodeFor(report.verdict);
    }
    const { colors } = out;
    const rows = report.segments.map((segment) => [
      basename(segment.path),
      colored(colors, segment.verdict),
      lsnRange(segment.firstLsn, segment.lastLsn),
      `${integer(segment.frames)} frames`,
      bytes(segment.bytes),
    ]);
    for (const [at, line] of table(rows, [3, 4]).entries()) {
      const { badOffset, reason } = report.segments[at] as VerifySegment;
      const wrong = badOffset === undefined ? '' : `from byte ${integer(badOffset)}: ${reason}`;
      if (out.isTerminal && visibleLength(`${line}  ${wrong}`) > out.columns) {
        out.line(line);
        if (wrong !== '') out.sentence(`  ${wrong}`);
      } else out.line(wrong === '' ? line : `${line}  ${wrong}`);
    }
    out.line(
      `entries ${lsnRange(report.firstLsn, report.lastLsn)}, durable up to ${integer(report.watermark)}`,
    );
    for (const line of describeVerdict(report, colors)) out.sentence(line);
    return exitCodeFor(report.verdict);
  },
});
