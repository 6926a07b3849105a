import { Argument, Option } from 'commander';
import { Wal, type WalReader } from '../../index.js';
import type { Context } from '../context.js';
import { defineCommand } from '../definition.js';
import { ENTRY_FORMATS, type EntryFormat, EntryWriter } from '../entry-format.js';
import { ExitCode } from '../exit-code.js';
import { parseCount, parseLsn } from '../values.js';

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
    const reader = await context.waitFor('opening the log', Wal.open(directory, { readOnly: true, signal }));
    try {
      const from = options.from ?? (await firstOfNewest(reader, options.lines, signal));
      if (options.follow === true) await follow(context, reader, from, writer);
      else if (from <= reader.lastLsn) {
        for await (const entry of reader.entries({ from, signal })) {
          if (!writer.write(entry)) await writer.flush();
        }
      }
      return ExitCode.ok;
    } finally {
      await writer.flush();
      await reader.close();
    }
  },
});

/** Where the newest `count` begin. They are counted, since LSNs may be missing, and not held. */
async function firstOfNewest(reader: WalReader, count: number, signal: AbortSignal): Promise<number> {
  const { lastLsn } = reader;
  let first = lastLsn + 1;
  if (count === 0 || lastLsn === 0) return first;
  let left = count;
  for await (const { lsn } of reader.entries({ to: lastLsn, reverse: true, signal })) {
    first = lsn;
    left -= 1;
    if (left === 0) break;
  }
  return first;
}

async function follow(context: Context, reader: WalReader, from: number, writer: EntryWriter): Promise<void> {
  const { signal } = context;
  let isFlushDue = false;
  let flushed = Promise.resolve();
  const flushSoon = () => {
    isFlushDue = false;
    flushed = writer.flush();
  };
  try {
    for await (const entry of reader.follow({ from, signal })) {
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
