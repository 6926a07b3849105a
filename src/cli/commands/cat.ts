import { Argument, Option } from 'commander';
import { Wal, type WalEntry } from '../../index.js';
import { CliError, ExitCode } from '../errors/exit-code.js';
import { parseLsn } from '../flags/values.js';
import { ENTRY_FORMATS, type EntryFormat, EntryWriter } from '../look/entry-format.js';
import { openEntries } from '../look/entry-source.js';
import { type Piece, walkFrames } from '../look/frame-walk.js';
import { kindOf } from '../look/log-directory.js';
import { readStamp, withSegment } from '../look/segment-file.js';
import { defineCommand } from '../program/definition.js';
import type { Context } from '../terminal/context.js';
import { shellPath } from '../text/shell-path.js';
import { integer } from '../text/text.js';

interface Options {
  readonly from?: number;
  readonly to?: number;
  readonly format: EntryFormat;
  readonly lsn?: true;
  readonly reverse?: true;
}

export const cat = defineCommand<Options>({
  name: 'cat',
  summary: 'print the entries of a log, or of one segment file',
  details: [
    "Prints what the log holds when the command starts, also while another process writes it. Of a damaged one it prints everything before the damage, then says what is damaged and ends with 1; --from prints what can be read after it. Of a segment file, wal-go's included, it prints everything up to damage, if there is any, and says so; it ends with 1 if entries stand after it.",
  ],
  arguments: [new Argument('<path>', "the log's directory, or a segment file")],
  options: [
    new Option('--from <lsn>', 'the first entry').argParser(parseLsn),
    new Option('--to <lsn>', 'the last entry').argParser(parseLsn),
    new Option('-f, --format <format>', 'what an entry is printed as').choices(ENTRY_FORMATS).default('text'),
    new Option('-l, --lsn', 'as text: the LSN and a tab in front'),
    new Option('-r, --reverse', 'the newest first (of a directory)'),
  ],
  examples: [
    { command: 'ringwal cat ./log | grep error', what: 'Look for something.' },
    { command: 'ringwal cat ./log --reverse | head', what: 'The newest ten, without reading the rest.' },
    { command: 'ringwal cat ./log/wal-3 --format hex', what: 'One segment, as bytes.' },
  ],
  json: 'As --format json: an object on a line for each entry, lsn and text, or base64 where the data is not UTF-8.',
  async run(context, options, [path = '']) {
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
  { from, to, reverse }: Options,
  directory: string,
  writer: EntryWriter,
): Promise<void> {
  const { signal } = context;
  const source = await openEntries(context, directory);
  try {
    for await (const batch of source.batches({ from, to, reverse, signal })) {
      for (const entry of batch) if (!writer.write(entry)) await writer.flush();
      signal.throwIfAborted();
    }
  } finally {
    // What stands before damage is what one wants to see.
    await writer.flush();
    await source.close();
  }
}

async function catSegment(
  context: Context,
  { from = 1, to = Number.POSITIVE_INFINITY, reverse }: Options,
  path: string,
  writer: EntryWriter,
): Promise<ExitCode> {
  const { signal } = context;
  if (reverse === true) {
    throw new CliError(
      ExitCode.usage,
      "--reverse works on a log's directory: one segment is read forward only.",
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
 * A file that ends in damage looks like one that was cut short by a crash, which is no error. What stands behind it tells; but in
 * a recycled one only what proves itself, since there may be frames of a former life.
 */
function tellOfDamage(context: Context, path: string): ExitCode {
  const isRecycled = readStamp(path)?.recycled === true;
  let damage: Piece | undefined;
  for (const piece of withSegment(path, (source) => walkFrames(source, -1, undefined))) {
    if (damage === undefined) {
      if (piece.kind === 'damaged') damage = piece;
    } else if (piece.kind === 'valid' || (piece.kind === 'unproven' && !isRecycled)) {
      context.error(
        `"${path}" is damaged at byte ${integer(damage.offset)} (${damage.reason}), and entries stand after it. \`ringwal inspect ${shellPath(path)} --frames\` shows them.`,
      );
      return ExitCode.no;
    }
  }
  if (damage !== undefined) {
    context.error(
      `"${path}" ends at byte ${integer(damage.offset)} in what is no entry (${damage.reason}): a write that was interrupted, or damage.`,
    );
  }
  return ExitCode.ok;
}

async function writeAll(entries: AsyncIterable<WalEntry>, writer: EntryWriter): Promise<void> {
  for await (const entry of entries) if (!writer.write(entry)) await writer.flush();
}
