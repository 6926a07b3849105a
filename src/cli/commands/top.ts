import { readdirSync, readlinkSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { Argument, Option } from 'commander';
import { LOCK_FILE } from '../../format/segment-name.js';
import { type SegmentInfo, Wal } from '../../index.js';
import type { Context } from '../context.js';
import { defineCommand } from '../definition.js';
import { CliError, ExitCode } from '../exit-code.js';
import { FigureReader, type Reading } from '../figures.js';
import { expectLog } from '../log-directory.js';
import { describeHolder } from '../log-files.js';
import { Screen } from '../screen.js';
import { bytes, harmless, integer, lsnRange, plural, sparkline, table, time } from '../text.js';
import { parseSeconds } from '../values.js';

interface Options {
  readonly interval: number;
}

const CURVE_READINGS = 40;
const BAR_WIDTH = 40;
/** Lines above the segments, and what a terminal needs below. */
const OTHER_LINES = 10;

export const top = defineCommand<Options>({
  name: 'top',
  summary: 'a live screen of a log that another process writes',
  details: [
    'Entries and bytes a second with their last readings as a curve, how far the watermark in the files is behind, the newest segments; from the files alone, without a lock and without a cost to who writes. What only the running log knows, as the sizes of its groups and the fill of its rings, is in its stats() and not here.',
    'A process id stands for the log that this process has open (Linux). q or Ctrl-C ends it.',
  ],
  arguments: [new Argument('<dir|pid>', "the log's directory, or the process that writes it")],
  options: [
    new Option('-i, --interval <seconds>', 'the time between two readings')
      .argParser(parseSeconds)
      .default(1),
  ],
  examples: [
    { command: 'ringwal top ./log', what: 'Watch a log.' },
    { command: 'ringwal top $(pgrep -f server.js)', what: 'Watch the log of a process.' },
  ],
  json: 'As stats --watch: an object on a line for each reading.',
  async run(context, { interval, json = false }, [target = '']) {
    const directory = resolve(/^\d+$/.test(target) ? directoryOf(Number(target)) : target);
    expectLog(directory);
    if (!json && !context.out.isTerminal) {
      throw new CliError(
        ExitCode.usage,
        'A screen needs a terminal, and standard output is none: `ringwal stats --watch` prints lines, --json objects.',
      );
    }
    const { out, signal } = context;
    const reader = await context.waitFor('opening the log', Wal.open(directory, { readOnly: true, signal }));
    const screen = json ? undefined : new Screen(context);
    const figures = new FigureReader(reader, directory);
    const readings: Reading[] = [];
    const began = Date.now();
    try {
      while (screen?.isLeft !== true) {
        const reading = figures.read();
        readings.push(reading);
        if (readings.length > CURVE_READINGS + 1) readings.shift();
        if (screen === undefined) out.json(reading);
        else screen.show(draw(directory, readings, reader.segments(), began, context, screen.rows));
        await (screen === undefined ? context.pause(interval * 1000) : screen.pause(interval * 1000));
      }
      return ExitCode.ok;
    } finally {
      screen?.leave();
      await reader.close();
    }
  },
});

/** The directory of the log that a process has open. */
function directoryOf(pid: number): string {
  const folder = `/proc/${pid}/fd`;
  let found: string[];
  try {
    found = readdirSync(folder);
  } catch (error) {
    throw new CliError(
      ExitCode.io,
      `Cannot see which files process ${pid} has open: ${(error as Error).message}. Name the log's directory instead.`,
    );
  }
  const directories = new Set<string>();
  for (const fd of found) {
    const path = targetOf(`${folder}/${fd}`);
    if (path !== undefined && basename(path) === LOCK_FILE) directories.add(dirname(path));
  }
  const [directory, ...more] = directories;
  if (directory === undefined) throw new CliError(ExitCode.no, `Process ${pid} has no log open.`);
  if (more.length === 0) return directory;
  throw new CliError(
    ExitCode.usage,
    `Process ${pid} has ${more.length + 1} logs open; name one: ${[...directories].join(', ')}.`,
  );
}

/** `undefined` where the descriptor was closed meanwhile. */
function targetOf(link: string): string | undefined {
  try {
    return readlinkSync(link);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function draw(
  directory: string,
  readings: readonly Reading[],
  segments: readonly SegmentInfo[],
  began: number,
  { out: { colors } }: Context,
  rows: number,
): string[] {
  const now = readings.at(-1) as Reading;
  const rates = readings.slice(1);
  const curve = (of: (reading: Reading) => number) => colors.cyan(sparkline(rates.map(of)));
  const facts = [
    [
      'entries',
      lsnRange(now.firstLsn, now.lastLsn),
      `${integer(now.entriesPerSecond ?? 0)}/s`,
      curve(({ entriesPerSecond = 0 }) => entriesPerSecond),
    ],
    [
      'frames',
      bytes(now.logBytes),
      `${bytes(now.bytesPerSecond ?? 0)}/s`,
      curve(({ bytesPerSecond = 0 }) => bytesPerSecond),
    ],
    ['not known durable', integer(now.undurable), '', curve(({ undurable }) => undurable)],
    ['checkpoint', now.checkpointLsn === 0 ? 'none' : integer(now.checkpointLsn), '', ''],
    ['on disk', bytes(now.diskBytes), `${bytes(now.sideFileBytes)} in side files`, ''],
  ];
  const largest = Math.max(1, ...segments.map((segment) => segment.bytes));
  const shown = segments.slice(-Math.max(1, rows - OTHER_LINES)).reverse();
  const listed = shown.map((segment) => [
    basename(segment.path),
    lsnRange(segment.firstLsn, segment.lastLsn),
    bytes(segment.bytes),
    colors.green('█'.repeat(Math.max(1, Math.round((segment.bytes / largest) * BAR_WIDTH)))),
  ]);
  return [
    `${colors.bold(harmless(directory))}  open for writing: ${describeHolder(now.lock)}  ${time(now.timeMs)}`,
    '',
    ...table(facts, [2]),
    '',
    `${plural(now.segments, 'segment')}; watched for ${Math.round((now.timeMs - began) / 1000)} s`,
    ...table(listed, [2]),
  ];
}
