import { Argument, Option } from 'commander';
import { Wal } from '../../index.js';
import { defineCommand } from '../definition.js';
import { ExitCode } from '../exit-code.js';
import { FigureReader, type Reading } from '../figures.js';
import { expectLog } from '../log-directory.js';
import { describeHolder } from '../log-files.js';
import { bytes, integer, lsnRange, perSecond, table } from '../text.js';
import { parseSeconds } from '../values.js';

interface Options {
  readonly watch?: number | true;
}

const WATCH_SECONDS = 1;

export const stats = defineCommand<Options>({
  name: 'stats',
  summary: 'print the figures of a log, and with --watch how it grows',
  details: [
    'From another process, without a lock: what the files tell. The watermark stands in them a little later than the writer knows it, up to its sync interval.',
  ],
  arguments: [new Argument('<dir>', "the log's directory")],
  options: [
    new Option('-w, --watch [seconds]', 'again and again, every so many seconds (default: 1)').argParser(
      parseSeconds,
    ),
  ],
  examples: [
    { command: 'ringwal stats ./log', what: 'How large is it?' },
    {
      command: 'ringwal stats ./log --watch 5 --json >> growth.ndjson',
      what: 'Keep an account of its growth.',
    },
  ],
  json: 'An object: firstLsn, lastLsn, durableLsn, undurable, checkpointLsn, segments, logBytes, diskBytes, sideFileBytes, lock, timeMs; with --watch one on a line for each reading, from the second on with entriesPerSecond and bytesPerSecond.',
  async run(context, { watch, json = false }, [directory = '']) {
    expectLog(directory);
    const { out, signal } = context;
    const reader = await context.waitFor('opening the log', Wal.open(directory, { readOnly: true, signal }));
    try {
      const figures = new FigureReader(reader, directory);
      let reading = figures.read();
      if (watch === undefined) {
        if (json) out.json(reading);
        else for (const line of describe(reading)) out.line(line);
        return ExitCode.ok;
      }
      const periodMs = (watch === true ? WATCH_SECONDS : watch) * 1000;
      let linesShown = 0;
      for (;;) {
        if (json) out.json(reading);
        else if (out.isTerminal) {
          const lines = describe(reading);
          // Over what was shown before.
          if (linesShown > 0) out.write(`\x1b[${linesShown}A`);
          out.write(lines.map((line) => `\x1b[K${line}\n`).join(''));
          linesShown = lines.length;
        } else out.line(describeShortly(reading));
        await context.pause(periodMs);
        reading = figures.read();
      }
    } finally {
      await reader.close();
    }
  },
});

function describe(reading: Reading): string[] {
  const { firstLsn, lastLsn, durableLsn, undurable, checkpointLsn, entriesPerSecond } = reading;
  const rows = [
    ['entries', lsnRange(firstLsn, lastLsn)],
    ['durable up to', `${integer(durableLsn)}${undurable > 0 ? `, ${integer(undurable)} behind` : ''}`],
    ['checkpoint', checkpointLsn === 0 ? 'none' : integer(checkpointLsn)],
    ['segments', `${integer(reading.segments)}, ${bytes(reading.logBytes)} of frames`],
    ['on disk', `${bytes(reading.diskBytes)}, of it ${bytes(reading.sideFileBytes)} in side files`],
    ['open for writing', describeHolder(reading.lock)],
  ];
  if (entriesPerSecond !== undefined) rows.push(['growth', growth(reading)]);
  return table(rows);
}

function describeShortly(reading: Reading): string {
  const at = new Date(reading.timeMs).toISOString();
  const grows = reading.entriesPerSecond === undefined ? '' : `  ${growth(reading)}`;
  return `${at}  entries ${lsnRange(reading.firstLsn, reading.lastLsn)}  durable ${integer(reading.durableLsn)}  ${bytes(reading.logBytes)}${grows}`;
}

function growth({ entriesPerSecond = 0, bytesPerSecond = 0 }: Reading): string {
  return `${integer(entriesPerSecond)} entries/s, ${perSecond(bytesPerSecond, 1000, bytes)}`;
}
