import { Argument, Option } from 'commander';
import { type CompactReport, Wal } from '../../index.js';
import { openForWriting } from '../append/open-for-writing.js';
import { CliError, ExitCode } from '../errors/exit-code.js';
import { parseBytes, parseLsn } from '../flags/values.js';
import { withProgress } from '../look/copy-progress.js';
import { lookAtListed } from '../look/listed-entries.js';
import { expectLog } from '../look/log-directory.js';
import { readLsnFile } from '../look/lsn-file.js';
import { defineCommand } from '../program/definition.js';
import type { Output } from '../terminal/output.js';
import { bytes, duration, integer, plural } from '../text/text.js';

interface Options {
  readonly drop?: string;
  readonly upTo?: number;
  readonly minGarbage?: number;
  readonly rate?: number;
  readonly maxFileSize?: number;
  readonly dryRun?: true;
}

export const compact = defineCommand<Options>({
  name: 'compact',
  summary: 'drop entries from sealed segments, and free their disk space',
  details: [
    '--drop names a file with the LSNs of the entries to drop: one on each line, or a range like 10-20; - is standard input. The other entries keep their LSNs. A dropped entry cannot be recovered.',
    'A segment is written anew if the entries to drop take at least --min-garbage of it. The segment with the last entry stays as it is: `ringwal erase` reaches that, too.',
    'No other process may have the log open for writing. An interrupted compaction loses nothing: run it again to go on.',
  ],
  arguments: [new Argument('<dir>', "the log's directory")],
  options: [
    new Option('-d, --drop <file>', 'the LSNs of the entries to drop'),
    new Option('--up-to <lsn>', 'only segments whose entries are all at or below this LSN').argParser(
      parseLsn,
    ),
    new Option('--min-garbage <part>', 'the part of a segment, from 0 to 1')
      .argParser(parsePart)
      .default(0.5, '0.5'),
    new Option('--rate <bytes>', 'bytes a second that are written at most').argParser(parseBytes),
    new Option('--max-file-size <bytes>', 'neighbours become one segment up to this size').argParser(
      parseBytes,
    ),
    new Option('-n, --dry-run', 'only show how many entries there are to drop'),
  ],
  examples: [
    { command: 'ringwal compact ./log --drop obsolete.txt', what: 'Drop the entries that the file names.' },
    { command: 'ringwal compact ./log --drop obsolete.txt --rate 10MiB', what: 'Slowly.' },
  ],
  json: 'The report of Wal.compact: runs, segments, entriesDropped, bytesRead, bytesWritten, bytesReclaimed, runsGivenUp, durationMs; with --dry-run entries, bytes and segments that hold them.',
  async run(
    context,
    { drop: path, upTo, minGarbage, rate, maxFileSize, dryRun, json = false },
    [directory = ''],
  ) {
    if (path === undefined)
      throw new CliError(ExitCode.usage, 'Cannot compact: it is not said what to drop. Use --drop FILE.');
    const drop = readLsnFile(path);
    expectLog(directory);
    const { out, signal } = context;
    if (dryRun) {
      const opening = Wal.open(directory, { readOnly: true, signal });
      const log = await context.waitFor('opening the log', opening);
      try {
        const found = await lookAtListed(log, drop, signal);
        if (json) out.json(found);
        else
          out.sentence(
            `${plural(found.entries, 'entry', 'entries')} of the listed ones are in the log: ${bytes(found.bytes)} of data, in ${plural(found.segments, 'segment')}.`,
          );
      } finally {
        await log.close();
      }
      return ExitCode.ok;
    }
    const wal = await openForWriting(context, directory, { maxFileSize });
    try {
      const report = await withProgress(context, 'compacting', (options) =>
        wal.compact({ ...options, drop, upTo, minGarbage, maxBytesPerSecond: rate }),
      );
      if (json) out.json(report);
      else print(out, report);
      return ExitCode.ok;
    } finally {
      await wal.close();
    }
  },
});

export function print(out: Output, report: CompactReport): void {
  const { runs, segments, entriesDropped, bytesReclaimed, runsGivenUp, durationMs } = report;
  out.sentence(
    runs === 0
      ? 'Nothing was changed: no segment holds enough of these entries.'
      : `${plural(entriesDropped, 'entry', 'entries')} dropped: ${plural(segments, 'segment')} became ${integer(runs)}, and the log takes ${bytes(Math.max(0, bytesReclaimed))} less, after ${duration(durationMs)}.`,
  );
  if (runsGivenUp > 0)
    out.sentence(`${plural(runsGivenUp, 'run')} could not be put in place. Run the command again.`);
}

function parsePart(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= 0 && value <= 1) return value;
  throw new CliError(
    ExitCode.usage,
    `--min-garbage must be a number from 0 to 1, not ${JSON.stringify(text)}.`,
  );
}
