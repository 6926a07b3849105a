import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { Argument, Option } from 'commander';
import { LOCK_FILE } from '../../format/segment-name.js';
import { Wal } from '../../index.js';
import { CliError, ExitCode } from '../errors/exit-code.js';
import { parseSeconds } from '../flags/values.js';
import { FigureReader, type Reading } from '../look/figures.js';
import { expectLog } from '../look/log-directory.js';
import { drawTop } from '../look/top-screen.js';
import { defineCommand } from '../program/definition.js';
import { Screen } from '../terminal/screen.js';

interface Options {
  readonly interval: number;
}

const CURVE_READINGS = 40;

export const top = defineCommand<Options>({
  name: 'top',
  summary: 'show a live screen of a log that another process writes',
  details: [
    "The screen shows entries, bytes, groups and syncs per second with a curve of the last readings; histograms of the time of each fsync and each write and of the entries in a group, between the last two publications; the fill of each lane's ring; and the newest segments. It takes no lock.",
    'A running log publishes internal figures in the file ringwal.stats, once a second while it syncs. The screen shows their age, or why there are none.',
    'A process id selects the log that this process has open (Linux). If a directory has that number as its name, the directory is used. q or Ctrl-C ends the command.',
  ],
  arguments: [new Argument('<dir|pid>', "the log's directory, or the id of the process that writes it")],
  options: [
    new Option('-i, --interval <seconds>', 'time between two readings').argParser(parseSeconds).default(1),
  ],
  examples: [
    { command: 'ringwal top ./log', what: 'Watch a log.' },
    { command: 'ringwal top $(pgrep -f server.js)', what: 'Watch the log of a process.' },
  ],
  json: 'As stats --watch: one object per line for each reading.',
  async run(context, { interval, json = false }, [target = '']) {
    const directory = resolve(isProcessId(target) ? directoryOf(Number(target)) : target);
    expectLog(directory);
    if (!json && !context.out.isTerminal) {
      throw new CliError(
        ExitCode.usage,
        'Cannot show a screen: standard output is not a terminal. Use `ringwal stats --watch`, or --json.',
      );
    }
    const { out, signal } = context;
    const reader = await context.waitFor('opening the log', Wal.open(directory, { readOnly: true, signal }));
    const screen = json ? undefined : new Screen(context);
    const figures = new FigureReader(reader, directory);
    const readings: Reading[] = [];
    const beganMs = Date.now();
    try {
      while (screen?.isLeft !== true) {
        const reading = figures.read();
        readings.push(reading);
        if (readings.length > CURVE_READINGS + 1) readings.shift();
        if (screen === undefined) out.json(reading);
        else {
          const segments = reader.segments();
          screen.show(drawTop({ directory, readings, segments, beganMs }, out.colors, screen.size));
        }
        await (screen === undefined ? context.pause(interval * 1000) : screen.pause(interval * 1000));
      }
      return ExitCode.ok;
    } finally {
      screen?.leave();
      await reader.close();
    }
  },
});

/** A number, unless a file or directory has that name. */
function isProcessId(target: string): boolean {
  return /^[1-9]\d*$/.test(target) && !existsSync(target);
}

/** The directory of the log that a process has open. */
function directoryOf(pid: number): string {
  const folder = `/proc/${pid}/fd`;
  let found: string[];
  try {
    found = readdirSync(folder);
  } catch (error) {
    const isThere = existsSync(`/proc/${pid}`);
    const why = isThere
      ? (error as Error).message
      : existsSync('/proc/self')
        ? 'there is no such process, and no directory with that name'
        : 'this system does not show them';
    throw new CliError(
      ExitCode.io,
      `Cannot see which files process ${pid} has open: ${why}. Name the log's directory instead.`,
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

/** `undefined` if the descriptor has been closed. */
function targetOf(link: string): string | undefined {
  try {
    return readlinkSync(link);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
