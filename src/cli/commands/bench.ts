import { writeFileSync } from 'node:fs';
import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { cpus, release } from 'node:os';
import { join } from 'node:path';
import { Argument, Option } from 'commander';
import { hasZstd } from '../../blocks/zstd.js';
import { type CompressionRows, judgeCompression, sampleEntries } from '../bench/compression.js';
import type { LatencySummary } from '../bench/latencies.js';
import {
  type Budget,
  GROUP_APPENDERS,
  measureAllocated,
  measureCompression,
  measureDurable,
  measureGroups,
  measureGrowing,
  measureIdleSync,
  measureSequential,
  measureThroughput,
  type Rate,
} from '../bench/measures.js';
import { reportHtml } from '../bench/report-html.js';
import type { BenchResult } from '../bench/result.js';
import { judgePreallocation, judgeSync } from '../bench/verdict.js';
import { CliError, ExitCode } from '../errors/exit-code.js';
import { parseSeconds } from '../flags/values.js';
import { kindOf } from '../look/log-directory.js';
import { defineCommand, VERSION } from '../program/definition.js';
import type { Context } from '../terminal/context.js';
import type { Output } from '../terminal/output.js';
import { progressBar } from '../terminal/status-line.js';
import { fitColumns } from '../text/columns.js';
import { bytes, duration, integer, perSecond, table } from '../text/text.js';

interface Options {
  readonly seconds: number;
  readonly html?: string;
  readonly data?: string;
}

const SECONDS_MAX = 60;
const MEASUREMENTS = hasZstd ? 12 : 11;
/** Disk space that the measurements may use at a time. */
const ROOM_BYTES = 512 * 2 ** 20;

export const bench = defineCommand<Options>({
  name: 'bench',
  summary: 'measure the speed of a disk and of this machine',
  details: [
    'Writes into a new directory inside the given one, and removes it at the end. It needs up to 512 MiB. First it measures the disk without ringwal: it writes and syncs a page after the end of a file, and over allocated blocks. Then it measures ringwal: the latency of a durable append, groups, and throughput.',
    'It says whether fsync looks honest, whether the option preallocate makes durable appends faster there, and whether compression pays: on made lines of JSON, or on the lines of a file (--data). Timing can only refute honesty: a slow disk that lies passes.',
  ],
  arguments: [new Argument('<dir>', 'an existing directory on the disk to measure')],
  options: [
    new Option('-s, --seconds <seconds>', 'total duration, at most 60').argParser(parseSeconds).default(18),
    new Option('--html <file>', 'write a report with plots'),
    new Option('--data <file>', 'entries to compress: the lines of this file, at most 16 MiB of it'),
  ],
  examples: [
    { command: 'ringwal bench /var/lib', what: 'Is this disk good for a log?' },
    { command: 'ringwal bench . --html report.html', what: 'Write a report with plots.' },
  ],
  json: 'One object: machine, floor (growing, allocated, idle: latencies in ms), sequential, durable, durableGrowing, groups, small, large, compression (plain, lz4, and zstd if this Node has it), and sync, preallocation and compressed, each with answer and why.',
  async run(context, { seconds, html, data, json = false }, [directory = '']) {
    if (kindOf(directory) === 'file') {
      throw new CliError(ExitCode.usage, `Cannot measure in "${directory}": it is a file. Name a directory.`);
    }
    if (seconds > SECONDS_MAX) throw new CliError(ExitCode.usage, `--seconds is at most ${SECONDS_MAX}.`);
    const entries = sampleEntries(data);
    if (entries.length === 0)
      throw new CliError(ExitCode.usage, `Cannot measure with "${data}": it has no line that is not empty.`);
    const result = await measure(context, directory, entries, (seconds * 1000) / MEASUREMENTS);
    if (html !== undefined) writeFileSync(html, reportHtml(result));
    const { out } = context;
    if (json) out.json(result);
    else print(result, out);
    if (html !== undefined && !json) out.line(`\nThe report is in ${html}.`);
    return ExitCode.ok;
  },
});

async function measure(
  context: Context,
  parent: string,
  entries: readonly Uint8Array[],
  ms: number,
): Promise<BenchResult> {
  const { type, bavail, bsize } = await statfs(parent);
  if (bavail * bsize < ROOM_BYTES) {
    throw new CliError(
      ExitCode.io,
      `Cannot measure in "${parent}": only ${bytes(bavail * bsize)} are free, and the measurements need up to ${bytes(ROOM_BYTES)}.`,
    );
  }
  const directory = await mkdtemp(join(parent, 'ringwal-bench-'));
  const status = context.statusLine();
  let done = 0;
  const step = async <T>(
    what: string,
    act: (directory: string, budget: Budget) => Promise<T>,
  ): Promise<T> => {
    status.update(() => `${progressBar(done, MEASUREMENTS)}  ${what}`);
    const found = await act(directory, { ms, signal: context.signal });
    done += 1;
    return found;
  };
  try {
    const floor = {
      fileSystem: type,
      growing: await step('the disk: write and sync, growing', measureGrowing),
      allocated: await step('the disk: write and sync, allocated', measureAllocated),
      idle: await step('the disk: sync alone', measureIdleSync),
    };
    const sequential = await step('the disk: throughput', measureSequential);
    const durable = await step('durable appends', (dir, budget) => measureDurable(dir, 'ahead', budget));
    const durableGrowing = await step('durable appends, the file grows', (dir, budget) =>
      measureDurable(dir, false, budget),
    );
    const compress = (codec: 'lz4' | 'zstd' | undefined) =>
      step(`compression: ${codec ?? 'none'}`, (dir, budget) =>
        measureCompression(dir, codec, entries, budget),
      );
    const compression: CompressionRows = {
      plain: await compress(undefined),
      lz4: await compress('lz4'),
      ...(hasZstd && { zstd: await compress('zstd') }),
    };
    return {
      machine: {
        time: new Date().toISOString(),
        version: VERSION,
        node: process.versions.node,
        platform: `${process.platform} ${release()} ${process.arch}`,
        cpus: `${cpus().length} × ${cpus()[0]?.model ?? 'CPU'}`,
      },
      floor,
      sequential,
      durable,
      durableGrowing,
      groups: await step('group commit', measureGroups),
      small: await step('throughput, small entries', (dir, budget) =>
        measureThroughput(dir, 'small', budget),
      ),
      large: await step('throughput, large entries', (dir, budget) =>
        measureThroughput(dir, 'large', budget),
      ),
      compression,
      sync: judgeSync(floor),
      preallocation: judgePreallocation({ floor, durable, durableGrowing }),
      compressed: judgeCompression(compression),
    };
  } finally {
    status.clear();
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

function print(result: BenchResult, out: Output): void {
  const { floor, durable, durableGrowing, groups, small, large, sequential } = result;
  const { compression, sync, preallocation, compressed } = result;
  const { colors } = out;
  printTable(
    out,
    ['p50', 'p99', 'max', 'samples'],
    [
      latency('the disk: 4 KiB and fdatasync, the file grows', floor.growing),
      latency('the disk: 4 KiB and fdatasync, blocks allocated', floor.allocated),
      latency('the disk: fdatasync with nothing to write', floor.idle),
      latency('durable append of 100 B', durable),
      latency('durable append of 100 B, --preallocate false', durableGrowing),
      latency(`durable append of 100 B, ${GROUP_APPENDERS} at a time`, groups.latency),
    ],
  );
  out.line();
  const inGroups = `group commit, ${GROUP_APPENDERS} at a time (${groups.entriesPerSync.toFixed(1)} to a sync)`;
  printTable(
    out,
    ['entries', 'bytes'],
    [
      rate(inGroups, groups),
      rate('fire and forget, 100 B, until all is durable', small),
      rate('fire and forget, 4 KiB, until all is durable', large),
      rate('lines to compress, without compression', compression.plain),
      rate('the same, --compression lz4', compression.lz4),
      ...(compression.zstd === undefined ? [] : [rate('the same, --compression zstd', compression.zstd)]),
      ['the disk: 1 MiB writes', '', perSecond(sequential.bytes, sequential.ms, bytes)],
    ],
  );
  out.line();
  const paint = { no: colors.red, doubtful: colors.yellow, unsupported: colors.red, plausible: colors.green };
  out.sentence(`Is fsync honest here? ${paint[sync.answer](`${sync.answer}.`)} ${sync.why}`);
  out.sentence(`Is preallocate worth it? ${colors.bold(`${preallocation.answer}.`)} ${preallocation.why}`);
  out.sentence(`Does compression pay? ${colors.bold(`${compressed.answer}.`)} ${compressed.why}`);
}

function latency(name: string, { p50Ms, p99Ms, maxMs, count }: LatencySummary): string[] {
  return [name, duration(p50Ms), duration(p99Ms), duration(maxMs), integer(count)];
}

function rate(name: string, { entries, bytes: size, ms }: Rate): string[] {
  return [name, perSecond(entries, ms), perSecond(size, ms, bytes)];
}

/** In a narrow window the last columns are left out first; the first two always stay. */
function printTable(out: Output, headers: readonly string[], rows: readonly (readonly string[])[]): void {
  const columns = ['', ...headers].map((header, at) => ({
    header,
    cells: rows.map((row) => row[at] ?? ''),
    ...(at > 1 && { rank: at }),
  }));
  const { shown } = fitColumns(columns, out.isTerminal ? out.columns : Number.POSITIVE_INFINITY, 0);
  const header = shown.map((column) => out.colors.dim(column.header));
  const cells = rows.map((_, row) => shown.map((column) => column.cells[row] ?? ''));
  for (const line of table([header, ...cells], [1, 2, 3, 4])) out.line(line);
}
