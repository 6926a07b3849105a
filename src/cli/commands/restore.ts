import { Argument, InvalidArgumentError, Option } from 'commander';
import { type ReplicaAdapter, type ReplicaRestoreReport, type RestoreReport, Wal } from '../../index.js';
import { CliError, ExitCode } from '../errors/exit-code.js';
import { parseSince } from '../flags/moment.js';
import { parseLsn } from '../flags/values.js';
import { withProgress } from '../look/copy-progress.js';
import { expectReplica, logIdOption } from '../look/replica-adapter.js';
import { defineCommand } from '../program/definition.js';
import type { Context } from '../terminal/context.js';
import type { Output } from '../terminal/output.js';
import { bytes, duration, integer, lsnRange, plural, time } from '../text/text.js';

interface Options {
  readonly toLsn?: number;
  readonly toTime?: Date;
  readonly dryRun?: true;
  readonly replica?: string;
  readonly logId?: string;
}

export const restore = defineCommand<Options>({
  name: 'restore',
  summary: 'make a log from backups, or from a replica',
  details: [
    'Name the full backup first, then those that continue it, in order, and last the directory of the new log. The command compares each file with the SHA-256 in the manifest. It writes the log to DIR.restoring and renames it at the end, so an interrupted restore leaves no part of a log.',
    'With --replica, name only the directory: the log is made of what the replica holds confirmed. Its writer goes on; to replace it, use `ringwal takeover`.',
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
    new Option(
      '--replica <where>',
      'restore from a replica: postgresql://…, or a module that exports an adapter',
    ).conflicts(['toTime', 'dryRun']),
    logIdOption(),
  ],
  examples: [
    { command: 'ringwal restore /backups/monday ./restored', what: 'Restore a full backup.' },
    { command: 'ringwal restore ./copy --replica ./replica.mjs', what: 'Restore what a replica holds.' },
    {
      command: 'ringwal restore /backups/monday /backups/tuesday ./restored --to-lsn 41207',
      what: 'Restore a full backup and the one that continues it, up to an entry.',
    },
  ],
  json: 'The report of Wal.restore: directory, dryRun, backups, logId, branch, firstLsn, lastLsn, backupLastLsn, lastTimeMs, segments, snapshots, bytes, durationMs. With --replica: directory, logId, branch, firstLsn, lastLsn, replicaLastLsn, segments, bytes, durationMs.',
  async run(context, { toLsn, toTime, dryRun = false, json = false, replica, logId }, args) {
    const paths = args.flatMap((path) => path ?? []);
    const directory = paths.pop();
    if (replica !== undefined) {
      if (directory === undefined || paths.length > 0)
        throw new CliError(ExitCode.usage, 'With --replica, name only the directory of the new log.');
      const found = await fromReplica(context, await expectReplica(replica), directory, toLsn, logId);
      if (json) context.out.json(found);
      else printReplica(context.out, found);
      return ExitCode.ok;
    }
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

function fromReplica(
  context: Context,
  replica: ReplicaAdapter,
  directory: string,
  to: number | undefined,
  logId: string | undefined,
): Promise<ReplicaRestoreReport> {
  return withProgress(context, 'restoring', (options) =>
    Wal.restore(directory, { ...options, replica, to, logId }),
  );
}

function printReplica(
  out: Output,
  { directory, firstLsn, lastLsn, branch, ...report }: ReplicaRestoreReport,
): void {
  out.sentence(
    `Restored entries ${lsnRange(firstLsn, firstLsn === 0 ? 0 : lastLsn)} to "${directory}": ${plural(report.segments, 'segment')}, ` +
      `${bytes(report.bytes)}, in ${duration(report.durationMs)}.`,
  );
  if (lastLsn < report.replicaLastLsn)
    out.sentence(`Entries ${lsnRange(lastLsn + 1, report.replicaLastLsn)} of the replica are left out.`);
  out.line(`The new branch is ${branch}. The last entry is ${integer(lastLsn)}.`);
}

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
