import { Argument, Option } from 'commander';
import { CliError, ExitCode } from '../errors/exit-code.js';
import { MOMENT_DETAILS, parseSince, parseUntil, SINCE_FLAG, UNTIL_FLAG } from '../flags/moment.js';
import { parseCount, parseLsn } from '../flags/values.js';
import { ENTRY_FORMATS, type EntryFormat, EntryWriter } from '../look/entry-format.js';
import { type EntrySource, openEntries } from '../look/entry-source.js';
import { checkMoments } from '../look/moment-range.js';
import { defineCommand } from '../program/definition.js';
import type { Context } from '../terminal/context.js';

interface Options {
  readonly lines: number;
  readonly from?: number;
  readonly since?: number;
  readonly until?: number;
  readonly follow?: true;
  readonly format: EntryFormat;
  readonly lsn?: true;
}

export const tail = defineCommand<Options>({
  name: 'tail',
  summary: 'print the newest entries; with -f, also new entries as they become durable',
  details: [
    "Works without a lock while another process writes the log. With -f it prints only durable entries, so that no crash can remove a printed entry from the log. An entry that is not synced yet follows within the writer's sync interval. The command continues when the writer ends and when the next one starts; Ctrl-C ends it.",
    'If the log is too damaged to open, the command prints the newest entries before the damage, describes the damage and ends with 1.',
    MOMENT_DETAILS,
  ],
  arguments: [new Argument('<dir>', "the log's directory")],
  options: [
    new Option('-n, --lines <count>', 'number of newest entries to print first')
      .argParser(parseCount)
      .default(10),
    new Option('--from <lsn>', 'begin with this entry instead').argParser(parseLsn),
    new Option(SINCE_FLAG, 'begin with the first entry of this time instead').argParser(parseSince),
    new Option(UNTIL_FLAG, 'end with the last entry of this time; not with -f').argParser(parseUntil),
    new Option('-f, --follow', 'print new entries as they become durable'),
    new Option('--format <format>', 'how to print an entry').choices(ENTRY_FORMATS).default('text'),
    new Option('-l, --lsn', 'with text: print the LSN and a tab before the data'),
  ],
  examples: [
    { command: 'ringwal tail -f ./log', what: 'Follow a log that another process writes.' },
    { command: 'ringwal tail -f --since 10m ./log', what: 'Print the last ten minutes, and go on.' },
    { command: 'ringwal tail -f -n 0 ./log --json | jq .text', what: 'Print only new entries.' },
  ],
  json: 'As --format json: one object per line for each entry.',
  async run(context, options, [directory = '']) {
    const { since, until } = options;
    checkMoments(since, until);
    if (until !== undefined && options.follow === true) {
      throw new CliError(
        ExitCode.usage,
        'Cannot use --until with --follow: following has no end of its own.',
      );
    }
    const writer = new EntryWriter(context.out, {
      format: options.json === true ? 'json' : options.format,
      withLsn: options.lsn,
    });
    const { signal } = context;
    const source = await openEntries(context, directory);
    try {
      const isGiven = options.from !== undefined || since !== undefined;
      const { from, damage }: Newest = isGiven
        ? { from: options.from }
        : await firstOfNewest(source, options.lines, { until, signal });
      if (damage === undefined && options.follow === true) {
        await follow(context, source, { from, since }, writer);
      } else {
        for await (const batch of source.batches({ from, since, until, signal })) {
          for (const entry of batch) if (!writer.write(entry)) await writer.flush();
        }
      }
      if (damage !== undefined) throw damage;
      return ExitCode.ok;
    } finally {
      await writer.flush();
      await source.close();
    }
  },
});

interface Newest {
  /** LSN of the first of the newest entries; `undefined`: the time decides. */
  readonly from: number | undefined;
  /** The error that prevented reading more of them. */
  readonly damage?: unknown;
}

/**
 * The start of the newest `count` entries. The entries are counted, because LSNs may be missing, and not held in
 * memory.
 */
async function firstOfNewest(
  source: EntrySource,
  count: number,
  { until, signal }: { readonly until: number | undefined; readonly signal: AbortSignal },
): Promise<Newest> {
  const { lastLsn } = source;
  let from = lastLsn + 1;
  if (count === 0 || lastLsn === 0) return { from };
  let left = count;
  try {
    for await (const batch of source.batches({ to: lastLsn, until, reverse: true, signal })) {
      from = batch.at(Math.min(left, batch.length) - 1)?.lsn ?? from;
      left -= batch.length;
      if (left <= 0) break;
    }
  } catch (damage) {
    if (from > lastLsn) throw damage;
    return { from, damage };
  }
  return { from };
}

async function follow(
  context: Context,
  source: EntrySource,
  start: { readonly from: number | undefined; readonly since: number | undefined },
  writer: EntryWriter,
): Promise<void> {
  const { signal } = context;
  let isFlushDue = false;
  let flushed = Promise.resolve();
  const flushSoon = () => {
    isFlushDue = false;
    flushed = writer.flush();
  };
  try {
    for await (const entry of source.follow(start, signal)) {
      const hasRoom = writer.write(entry);
      if (!hasRoom) await writer.flush();
      else if (!isFlushDue) {
        // Entries that arrive together are printed together, without waiting for more.
        isFlushDue = true;
        setImmediate(flushSoon);
      }
      await flushed;
    }
  } finally {
    await writer.flush();
  }
}
