import { Argument, Option } from 'commander';
import { ExitCode } from '../errors/exit-code.js';
import { parseCount, parseLsn } from '../flags/values.js';
import { ENTRY_FORMATS, type EntryFormat, EntryWriter } from '../look/entry-format.js';
import { type EntrySource, openEntries } from '../look/entry-source.js';
import { defineCommand } from '../program/definition.js';
import type { Context } from '../terminal/context.js';

interface Options {
  readonly lines: number;
  readonly from?: number;
  readonly follow?: true;
  readonly format: EntryFormat;
  readonly lsn?: true;
}

export const tail = defineCommand<Options>({
  name: 'tail',
  summary: 'print the newest entries, and with -f those that come',
  details: [
    'Works from another process than the one that writes the log, without a lock. With -f it prints durable entries only, so that what was printed is in the log whatever happens: those that are not synced yet come within the sync interval of who writes. It goes on when the writer ends, and when the next one starts; Ctrl-C ends it.',
    'Of a log that is too damaged to open it prints the newest entries before the damage, then says what is damaged and ends with 1.',
  ],
  arguments: [new Argument('<dir>', "the log's directory")],
  options: [
    new Option('-n, --lines <count>', 'how many of the newest entries to begin with')
      .argParser(parseCount)
      .default(10),
    new Option('--from <lsn>', 'begin at this entry instead').argParser(parseLsn),
    new Option('-f, --follow', 'go on with entries as they come'),
    new Option('--format <format>', 'what an entry is printed as').choices(ENTRY_FORMATS).default('text'),
    new Option('-l, --lsn', 'as text: the LSN and a tab in front'),
  ],
  examples: [
    { command: 'ringwal tail -f ./log', what: 'Watch a log that another process writes.' },
    { command: 'ringwal tail -f -n 0 ./log --json | jq .text', what: 'Only what comes from now on.' },
  ],
  json: 'As --format json: an object on a line for each entry.',
  async run(context, options, [directory = '']) {
    const writer = new EntryWriter(context.out, {
      format: options.json === true ? 'json' : options.format,
      withLsn: options.lsn,
    });
    const { signal } = context;
    const source = await openEntries(context, directory);
    try {
      const { from, damage } =
        options.from === undefined
          ? await firstOfNewest(source, options.lines, signal)
          : { from: options.from };
      if (damage === undefined && options.follow === true) await follow(context, source, from, writer);
      else {
        for await (const batch of source.batches({ from, signal })) {
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
  /** Where they begin. */
  readonly from: number;
  /** What keeps more of them from being read. */
  readonly damage?: unknown;
}

/** Where the newest `count` begin. They are counted, since LSNs may be missing, and not held. */
async function firstOfNewest(source: EntrySource, count: number, signal: AbortSignal): Promise<Newest> {
  const { lastLsn } = source;
  let from = lastLsn + 1;
  if (count === 0 || lastLsn === 0) return { from };
  let left = count;
  try {
    for await (const batch of source.batches({ to: lastLsn, reverse: true, signal })) {
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
  from: number,
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
    for await (const entry of source.follow(from, signal)) {
      const hasRoom = writer.write(entry);
      if (!hasRoom) await writer.flush();
      else if (!isFlushDue) {
        // Those that came together are printed together; nobody waits for company.
        isFlushDue = true;
        setImmediate(flushSoon);
      }
      await flushed;
    }
  } finally {
    await writer.flush();
  }
}
