import { Argument, Option } from 'commander';
import type { HistogramReading } from '../../format/histogram-buckets.js';
import type { LaneFigures } from '../../format/stats-file.js';
import { Wal } from '../../index.js';
import { ExitCode } from '../errors/exit-code.js';
import { parseSeconds } from '../flags/values.js';
import { byteRate, entryRate, FigureReader, type Reading } from '../look/figures.js';
import { describeHolder } from '../look/file-listing.js';
import { expectLog } from '../look/log-directory.js';
import { liveInterval } from '../look/published-figures.js';
import { defineCommand } from '../program/definition.js';
import { bytes, duration, harmless, integer, lsnRange, plural, table } from '../text/text.js';

interface Options {
  readonly watch?: number | true;
}

const WATCH_SECONDS = 1;

export const stats = defineCommand<Options>({
  name: 'stats',
  summary: 'print the figures of a log; with --watch, print how it grows',
  details: [
    "Reads the figures from the files, without a lock, also while another process writes the log. The watermark in the files is up to one sync interval older than the writer's.",
    'A log that is open and syncs publishes groups, latencies and the fill of its rings once a second. `published` shows their age. Its state is none, running, ended (left by a process that did not close the log) or unreadable.',
  ],
  arguments: [new Argument('<dir>', "the log's directory")],
  options: [
    new Option('-w, --watch [seconds]', 'repeat every given number of seconds (default: 1)').argParser(
      parseSeconds,
    ),
  ],
  examples: [
    { command: 'ringwal stats ./log', what: 'How large is the log?' },
    {
      command: 'ringwal stats ./log --watch 5 --json >> growth.ndjson',
      what: 'Record the growth of the log.',
    },
  ],
  json: 'An object: firstLsn, lastLsn, durableLsn, undurable, checkpointLsn, checkpoints, segments, logBytes, diskBytes, sideFileBytes, lock, published, timeMs; with --watch one object per line for each reading, from the second one on with entriesPerSecond and bytesPerSecond.',
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
          // Overwrite the previous reading.
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
  const { firstLsn, lastLsn, durableLsn, undurable, checkpointLsn, checkpoints, entriesPerSecond } = reading;
  const rows = [
    ['entries', lsnRange(firstLsn, lastLsn)],
    ['durable up to', `${integer(durableLsn)}${undurable > 0 ? `, ${integer(undurable)} behind` : ''}`],
    ['checkpoint', checkpointLsn === 0 ? 'none' : integer(checkpointLsn)],
    ...checkpoints.map(({ name, lsn }) => [
      `  ${harmless(name)}`,
      `${integer(lsn)}, ${integer(Math.max(0, lastLsn - lsn))} behind`,
    ]),
    ['segments', `${integer(reading.segments)}, ${bytes(reading.logBytes)} of frames`],
    ['on disk', `${bytes(reading.diskBytes)}, of it ${bytes(reading.sideFileBytes)} in side files`],
    ['open for writing', describeHolder(reading.lock)],
    ...describePublished(reading),
  ];
  if (entriesPerSecond !== undefined) rows.push(['growth', growth(reading)]);
  return table(rows);
}

/** The published figures: of the last interval after two publications, otherwise since the log was opened. */
function describePublished({ published }: Reading): string[][] {
  if (published.state === 'none') return [];
  if (published.state === 'unreadable') return [['figures', `cannot be read: ${published.why}`]];
  const { counters, interval, lanes, ageMs, pid } = published;
  const { groupEntries, syncMicros, writeMicros } = interval ?? published;
  const age = `published ${duration(ageMs)} ago`;
  const period = interval === undefined ? 'since the log was opened' : `of ${duration(interval.ms)}`;
  const whose = published.state === 'running' ? '' : `, the last ones of process ${pid}`;
  const fullest = fullestLane(lanes);
  return [
    ['figures', `${period}, ${age}${whose}`],
    ['groups', `${integer(counters.groups)}, entries: ${percentiles(groupEntries, integer)}`],
    ['syncs', `${integer(counters.syncs)}: ${percentiles(syncMicros, micros)}`],
    ['writes', percentiles(writeMicros, micros)],
    [
      'rings',
      `${plural(counters.lanes, 'lane')}${fullest === undefined ? '' : `, ${describeRing(fullest)}`}`,
    ],
  ];
}

function percentiles({ count, p50, p99, max }: HistogramReading, unit: (value: number) => string): string {
  return count === 0 ? 'none' : `p50 ${unit(p50)}, p99 ${unit(p99)}, max ${unit(max)}`;
}

function micros(value: number): string {
  return duration(value / 1000);
}

function fullestLane(lanes: readonly LaneFigures[]): LaneFigures | undefined {
  const fill = ({ ringUsed, ringBytes }: LaneFigures) => ringUsed / Math.max(1, ringBytes);
  return lanes.reduce<LaneFigures | undefined>(
    (fullest, lane) => (fullest === undefined || fill(lane) > fill(fullest) ? lane : fullest),
    undefined,
  );
}

function describeRing({ index, ringUsed, ringBytes }: LaneFigures): string {
  return `lane ${index} ${Math.round((ringUsed / Math.max(1, ringBytes)) * 100)} % full`;
}

function describeShortly(reading: Reading): string {
  const at = new Date(reading.timeMs).toISOString();
  const grows = reading.entriesPerSecond === undefined ? '' : `  ${growth(reading)}`;
  const { published } = reading;
  const interval = liveInterval(published);
  const fullest = 'lanes' in published ? fullestLane(published.lanes) : undefined;
  const syncs =
    interval === undefined
      ? ''
      : `  ${integer(interval.syncsPerSecond)} syncs/s, p99 ${micros(interval.syncMicros.p99)}`;
  const ring = interval === undefined || fullest === undefined ? '' : `  ${describeRing(fullest)}`;
  return `${at}  entries ${lsnRange(reading.firstLsn, reading.lastLsn)}  durable ${integer(reading.durableLsn)}  ${bytes(reading.logBytes)}${grows}${syncs}${ring}`;
}

function growth(reading: Reading): string {
  return `${integer(entryRate(reading))} entries/s, ${bytes(byteRate(reading))}/s`;
}
