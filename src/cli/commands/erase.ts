import { Argument, Option } from 'commander';
import { type EraseReceipt, Wal } from '../../index.js';
import { openForWriting } from '../append/open-for-writing.js';
import { CliError, ExitCode } from '../errors/exit-code.js';
import { parseBytes } from '../flags/values.js';
import { withProgress } from '../look/copy-progress.js';
import { lookAtListed } from '../look/listed-entries.js';
import { expectLog } from '../look/log-directory.js';
import { readLsnFile } from '../look/lsn-file.js';
import { defineCommand } from '../program/definition.js';
import type { Output } from '../terminal/output.js';
import { confirm } from '../terminal/question.js';
import { bytes, plural } from '../text/text.js';
import { print as printReport } from './compact.js';

interface Options {
  readonly entries?: string;
  readonly rate?: number;
  readonly maxFileSize?: number;
  readonly dryRun?: true;
  readonly yes?: true;
}

export const erase = defineCommand<Options>({
  name: 'erase',
  summary: 'erase entries from all segments, and say where copies of them may be',
  details: [
    '--entries names a file with the LSNs of the entries to erase: one on each line, or a range like 10-20; - is standard input. It reaches the newest entries too. The other entries keep their LSNs.',
    'Prints a receipt: what could not be erased, and the side files and snapshots that may hold the entries. Backups and archived segments are not known here. It asks for confirmation.',
    'No other process may have the log open for writing.',
  ],
  arguments: [new Argument('<dir>', "the log's directory")],
  options: [
    new Option('-e, --entries <file>', 'the LSNs of the entries to erase'),
    new Option('--rate <bytes>', 'bytes a second that are written at most').argParser(parseBytes),
    new Option('--max-file-size <bytes>', 'neighbours become one segment up to this size').argParser(
      parseBytes,
    ),
    new Option('-n, --dry-run', 'only show how many entries there are to erase'),
    new Option('-y, --yes', 'do not ask for confirmation'),
  ],
  examples: [
    { command: 'ringwal erase ./log --entries ann.txt', what: 'Erase the entries that the file names.' },
  ],
  json: 'The receipt of Wal.erase: the report of a compaction, and ranges, remaining, sideFiles, snapshots, archivedSegments; with --dry-run entries, bytes and segments.',
  async run(
    context,
    { entries: path, rate, maxFileSize, dryRun, yes = false, json = false },
    [directory = ''],
  ) {
    if (path === undefined)
      throw new CliError(ExitCode.usage, 'Cannot erase: it is not said what to erase. Use --entries FILE.');
    const ranges = readLsnFile(path);
    expectLog(directory);
    const { out, signal } = context;
    const log = dryRun
      ? await context.waitFor('opening the log', Wal.open(directory, { readOnly: true, signal }))
      : await openForWriting(context, directory, { maxFileSize });
    try {
      const found = await lookAtListed(log, ranges, signal);
      if (!json)
        out.sentence(
          `${plural(found.entries, 'entry', 'entries')} of the listed ones are in the log: ${bytes(found.bytes)} of data, in ${plural(found.segments, 'segment')}.`,
        );
      if (!(log instanceof Wal)) {
        if (json) out.json(found);
        return ExitCode.ok;
      }
      if (found.entries > 0 && !yes && !(await confirm(context, 'Erase them for good?'))) {
        context.error('Nothing was changed.');
        return ExitCode.no;
      }
      const receipt = await withProgress(context, 'erasing', (options) =>
        log.erase(ranges, { ...options, maxBytesPerSecond: rate }),
      );
      if (json) out.json(receipt);
      else print(out, receipt);
      return receipt.remaining.length > 0 ? ExitCode.no : ExitCode.ok;
    } finally {
      await log.close();
    }
  },
});

function print(out: Output, receipt: EraseReceipt): void {
  printReport(out, receipt);
  const { remaining, sideFiles, snapshots } = receipt;
  for (const { first, last } of remaining)
    out.sentence(
      `${first === last ? `Entry ${first} is` : `Entries ${first} to ${last} are`} still in the log. Append to it, and run the command again.`,
    );
  const copies = [...sideFiles, ...snapshots];
  if (copies.length === 0) return;
  out.sentence('These files may hold the entries, or what was derived from them:');
  for (const file of copies) out.line(`  ${file}`);
}
