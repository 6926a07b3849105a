import { Argument, InvalidArgumentError, Option } from 'commander';
import { type RestoreReport, Wal } from '../../index.js';
import { CliError, ExitCode } from '../errors/exit-code.js';
import { parseSince } from '../flags/moment.js';
import { parseLsn } from '../flags/values.js';
import { withProgress } from '../look/copy-progress.js';
import { defineCommand } from '../program/definition.js';
import type { Output } from '../terminal/output.js';
import { bytes, duration, integer, lsnRange, plural, time } from '../text/text.js';

interface Options {
  readonly toLsn?: number;
  readonly toTime?: Date;
  readonly dryRun?: true;
}

export const restore = defineCommand<Options>({
  name: 'restore',
  summary: 'make a log from a full backup and the incremental ones that continue it',
  details: [
    'Name the full backup first, then those that continue it, in order, and last the directory of the new log. The command compares each file with the SHA-256 in the manifest. It writes the log to DIR.restoring and renames it at the end, so an interrupted restore leaves no part of a log.',
    'With --to-lsn or --to-time the log ends earlier: at the last whole batch up to that entry, or before the first entry that has that time stamp or a later one.',
  ],
  arguments: [
    new Argument('<paths...>', 'the backups in order, then a directory that does not exist, or is empty'),
  ],
  options: [
    new Option('--to-lsn <lsn>', 'the last entry to restore').argParser(parseLsn).conflicts('toTime'),
    new Option(
      '--to-time <time>',
      'restore entries written before this time: 2026-01-31T10:05:00Z; local time without Z',
    ).argParser(parseIsoTime),
    new Option('-n, --dry-run', 'only show what the command would restore'),
  ],
  examples: [
    { command: 'ringwal restore /backups/monday ./restored', what: 'Restore a full backup.' },
    {
      command: 'ringwal restore /backups/monday /backups/tuesday ./restored --to-lsn 41207',
      what: 'Restore a full backup and the one that continues it, up to an entry.',
    },
  ],
  json: 'The report of Wal.restore: directory, dryRun, backups, logId, branch, firstLsn, lastLsn, backupLastLsn, lastTimeMs, segments, snapshots, bytes, durationMs.',
  async run(context, { toLsn, toTime, dryRun = false, json = false }, args) {
    const paths = args.flatMap((path) => path ?? []);
    const directory = paths.pop();
    if (directory === undefined || paths.length === 0)
      throw new CliError(ExitCode.usage, 'Name at least one backup, and then the directory of the new log.');
    const report = await withProgress(context, 'restoring', (options) =>
      Wal.restore(paths, directory, { ...options, dryRun, to: toLsn ?? toTime }),
    );
    if (json) context.out.json(report);
    else print(context.out, report);
    return ExitCode.ok;
  },
});

function print(out: Output, report: RestoreReport): void {
  const { directory, dryRun, firstLsn, lastLsn, backupLastLsn, segments, snapshots, branch } = report;
  const kept = snapshots.length === 0 ? '' : `, ${plural(snapshots.length, 'snapshot')}`;
  const range = lsnRange(firstLsn, lastLsn);
  out.sentence(
    `${dryRun ? 'It would restore' : 'Restored'} entries ${range} to "${directory}": ` +
      `${plural(segments, 'segment')}${kept}, ${bytes(report.bytes)}${dryRun ? '' : `, in ${duration(report.durationMs)}`}.`,
  );
  if (lastLsn < backupLastLsn)
    out.sentence(`Entries ${lsnRange(lastLsn + 1, backupLastLsn)} of the backups are left out.`);
  if (report.lastTimeMs !== undefined) out.line(`The last time stamp is ${time(report.lastTimeMs)}.`);
  if (branch !== undefined) out.line(`The new branch is ${branch}. The last entry is ${integer(lastLsn)}.`);
}

/** An ISO 8601 date with a time. */
function parseIsoTime(text: string): Date {
  if (/^\d{4}-\d\d-\d\d[T ]\d\d:\d\d/.test(text.trim())) return new Date(parseSince(text));
  throw new InvalidArgumentError(
    'It must be a date and a time, like 2026-01-31T10:05:00Z or "2026-01-31 10:05".',
  );
}
