import { Argument, Option } from 'commander';
import { type BackupReport, Wal } from '../../index.js';
import { ExitCode } from '../errors/exit-code.js';
import { withProgress } from '../look/copy-progress.js';
import { expectLog } from '../look/log-directory.js';
import { defineCommand } from '../program/definition.js';
import type { Output } from '../terminal/output.js';
import { bytes, duration, integer, lsnRange, plural } from '../text/text.js';

interface Options {
  readonly since?: string;
  readonly link?: true;
}

export const backup = defineCommand<Options>({
  name: 'backup',
  summary: 'copy a log to another directory, also while it is being written',
  details: [
    'The backup ends with the last entry that the files show to be durable. It is finished when its manifest, ringwal.backup, is there: a directory without it is no backup. If the command fails or is interrupted, it removes what it has copied.',
    'With --since it copies only the entries after another backup. To restore the result, you need all backups from the full one on.',
  ],
  arguments: [
    new Argument('<dir>', "the log's directory"),
    new Argument('<target>', 'a directory that does not exist, or is empty'),
  ],
  options: [
    new Option('-s, --since <backup>', 'make an incremental backup, which continues this one'),
    new Option('--link', 'make hard links to sealed segments instead of copies'),
  ],
  examples: [
    { command: 'ringwal backup ./log /backups/monday', what: 'A full backup.' },
    {
      command: 'ringwal backup ./log /backups/tuesday --since /backups/monday',
      what: 'The entries since then.',
    },
  ],
  json: 'The report of Wal.backup: directory, target, manifest, kind, since, logId, branch, firstLsn, lastLsn, segments, snapshots, bytes, linkedBytes, createdMs, durationMs.',
  async run(context, { since, link = false, json = false }, [directory = '', target = '']) {
    expectLog(directory);
    const report = await withProgress(context, 'copying', (options) =>
      Wal.backup(directory, target, { ...options, link, since }),
    );
    if (json) context.out.json(report);
    else print(context.out, report);
    return ExitCode.ok;
  },
});

function print(out: Output, report: BackupReport): void {
  const { kind, since, firstLsn, lastLsn, segments, snapshots, target, durationMs } = report;
  const what = kind === 'full' ? 'A full backup' : `An incremental backup, which continues "${since}",`;
  const kept = snapshots === 0 ? '' : `, ${plural(snapshots, 'snapshot')}`;
  out.sentence(
    `${what} of entries ${lsnRange(firstLsn, lastLsn)} is in "${target}": ` +
      `${plural(segments, 'segment')}${kept}, ${bytes(report.bytes)}, in ${duration(durationMs)}.`,
  );
  if (report.linkedBytes > 0)
    out.sentence(`${bytes(report.linkedBytes)} of that are hard links to the log's own files.`);
  out.line(`The last entry is ${integer(lastLsn)}.`);
}
