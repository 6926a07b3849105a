import { Argument, Option } from 'commander';
import { Wal, type WalEntry } from '../../index.js';
import { CliError, ExitCode } from '../errors/exit-code.js';
import { MOMENT_DETAILS, parseSince, parseUntil, SINCE_FLAG, UNTIL_FLAG } from '../flags/moment.js';
import { parseLsn } from '../flags/values.js';
import { ENTRY_FORMATS, type EntryFormat, EntryWriter } from '../look/entry-format.js';
import { openEntries } from '../look/entry-source.js';
import { type Piece, walkFrames } from '../look/frame-walk.js';
import { kindOf } from '../look/log-directory.js';
import { checkMoments } from '../look/moment-range.js';
import { readStamp, withSegment } from '../look/segment-file.js';
import { defineCommand } from '../program/definition.js';
import type { Context } from '../terminal/context.js';
import { shellPath } from '../text/shell-path.js';
import { integer } from '../text/text.js';

interface Options {
  readonly from?: number;
  readonly to?: number;
  readonly since?: number;
  readonly until?: number;
  readonly format: EntryFormat;
  readonly lsn?: true;
  readonly reverse?: true;
}

export const cat = defineCommand<Options>({
  name: 'cat',
  summary: 'print the entries of a log, or of one segment file',
  details: [
    'Prints the entries that the log contains when the command starts, also while another process writes it. If the log is damaged, it prints the entries before the damage, describes the damage and ends with 1; use --from to print readable entries after it. It also prints a segment file, including those of wal-go, up to damage, which it reports; it ends with 1 if entries follow the damage.',
    MOMENT_DETAILS,
  ],
  arguments: [new Argument('<path>', "the log's directory, or a segment file")],
  options: [
    new Option('--from <lsn>', 'begin with this entry').argParser(parseLsn),
    new Option('--to <lsn>', 'end with this entry').argParser(parseLsn),
    new Option(SINCE_FLAG, 'begin with the first entry of this time (directories only)').argParser(
      parseSince,
    ),
    new Option(UNTIL_FLAG, 'end with the last entry of this time (directories only)').argParser(parseUntil),
    new Option('-f, --format <format>', 'how to print an entry').choices(ENTRY_FORMATS).default('text'),
    new Option('-l, --lsn', 'with text: print the LSN and a tab before the data'),
    new Option('-r, --reverse', 'print the newest entry first (directories only)'),
  ],
  examples: [
    { command: 'ringwal cat ./log | grep error', what: 'Search the entries.' },
    { command: 'ringwal cat ./log --reverse | head', what: 'Print the newest ten without reading the rest.' },
    {
      command: 'ringwal cat ./log --since 10:05 --until 10:20',
      what: 'Print the entries written in between.',
    },
    { command: 'ringwal cat ./log/wal-3 --format hex', what: 'Print one segment as bytes.' },
  ],
  json: 'As --format json: one object per line for each entry, with lsn and text, or base64 if the data is not UTF-8.',
  async run(context, options, [path = '']) {
    checkMoments(options.since, options.until);
    const writer = new EntryWriter(context.out, {
      format: options.json === true ? 'json' : options.format,
      withLsn: options.lsn,
    });
    if (kindOf(path) === 'file') return catSegment(context, options, path, writer);
    await catLog(context, options, path, writer);
    return ExitCode.ok;
  },
});

async function catLog(
  context: Context,
  { from, to, since, until, reverse }: Options,
  directory: string,
  writer: EntryWriter,
): Promise<void> {
  const { signal } = context;
  const source = await openEntries(context, directory);
  try {
    for await (const batch of source.batches({ from, to, since, until, reverse, signal })) {
      for (const entry of batch) if (!writer.write(entry)) await writer.flush();
      signal.throwIfAborted();
    }
  } finally {
    // Print the entries before the damage first.
    await writer.flush();
    await source.close();
  }
}

async function catSegment(
  context: Context,
  { from = 1, to = Number.POSITIVE_INFINITY, since, until, reverse }: Options,
  path: string,
  writer: EntryWriter,
): Promise<ExitCode> {
  const { signal } = context;
  if (reverse === true) {
    throw new CliError(
      ExitCode.usage,
      "Cannot use --reverse with a segment file: it works on a log's directory only.",
    );
  }
  if (since !== undefined || until !== undefined) {
    throw new CliError(
      ExitCode.usage,
      `Cannot use ${since === undefined ? '--until' : '--since'} with a segment file: it works on a log's directory only.`,
    );
  }
  let isPartOnly = false;
  const wanted = async function* () {
    for await (const entry of Wal.readSegment(path)) {
      signal.throwIfAborted();
      if (entry.lsn > to) {
        isPartOnly = true;
        return;
      }
      if (entry.lsn >= from) yield entry;
    }
  };
  try {
    await writeAll(wanted(), writer);
  } finally {
    await writer.flush();
  }
  return isPartOnly ? ExitCode.ok : tellOfDamage(context, path);
}

/**
 * A damaged file may look like one with a torn tail, which is not an error. Frames after the damage make the
 * difference. In a recycled segment only frames that prove their position count, because it may contain old frames.
 */
function tellOfDamage(context: Context, path: string): ExitCode {
  const isRecycled = readStamp(path)?.recycled === true;
  let damage: Piece | undefined;
  for (const piece of withSegment(path, (source) => walkFrames(source, -1, undefined))) {
    if (damage === undefined) {
      if (piece.kind === 'damaged') damage = piece;
    } else if (piece.kind === 'valid' || (piece.kind === 'unproven' && !isRecycled)) {
      context.error(
        `"${path}" is damaged at byte ${integer(damage.offset)} (${damage.reason}), and entries follow it. \`ringwal inspect ${shellPath(path)} --frames\` shows them.`,
      );
      return ExitCode.no;
    }
  }
  if (damage !== undefined) {
    context.error(
      `The valid part of "${path}" ends at byte ${integer(damage.offset)} (${damage.reason}): an interrupted write, or damage.`,
    );
  }
  return ExitCode.ok;
}

async function writeAll(entries: AsyncIterable<WalEntry>, writer: EntryWriter): Promise<void> {
  for await (const entry of entries) if (!writer.write(entry)) await writer.flush();
}
