import { basename, resolve } from 'node:path';
import { Argument, Option } from 'commander';
import type { Frame } from '../../format/frame.js';
import type { VerifyReport, VerifySegment } from '../../index.js';
import { CliError, ExitCode } from '../errors/exit-code.js';
import { parseCount, parseLsn } from '../flags/values.js';
import { ratio } from '../look/compression-text.js';
import {
  describeHolder,
  holderOf,
  listFiles,
  type SegmentOnDisk,
  type SideFile,
} from '../look/file-listing.js';
import { expectLog, kindOf, readStateFile } from '../look/log-directory.js';
import { describeData, namedCheckpoints } from '../look/named-checkpoints.js';
import { readFirstFrame } from '../look/segment-file.js';
import { inspectSegment } from '../look/segment-inspection.js';
import { colored, describeVerdict, exitCodeFor } from '../look/verdict-text.js';
import { verifyWithProgress } from '../look/verify-with-progress.js';
import { defineCommand } from '../program/definition.js';
import type { Context } from '../terminal/context.js';
import type { Colors, Output } from '../terminal/output.js';
import { type Column, fitColumns } from '../text/columns.js';
import { bytes, harmless, integer, lsnRange, table, time } from '../text/text.js';

interface Options {
  readonly frames?: true;
  readonly from?: number;
  readonly to?: number;
  readonly hex?: number;
}

export const inspect = defineCommand<Options>({
  name: 'inspect',
  summary: 'show the structure of a log or of a segment file',
  details: [
    'For a directory, it shows the segments with LSNs, sizes, fill, compression, times and verdicts, the watermark, the checkpoint, the process that has the log open, the other files, and a diagram. It reads every frame, as verify does, and changes nothing.',
    'For a segment file, --frames shows every frame with its offset, fields and first bytes. It marks damaged frames and other invalid bytes. After damage, frames count again from the first frame that proves its position. Only the whole log shows what the damage means, so the exit code is always 0.',
  ],
  arguments: [new Argument('<path>', "the log's directory, or a segment file")],
  options: [
    new Option('--frames', 'show the frames of a segment file'),
    new Option('--from <lsn>', 'with --frames: the first entry shown').argParser(parseLsn),
    new Option('--to <lsn>', 'with --frames: the last entry shown').argParser(parseLsn),
    new Option(
      '--hex <bytes>',
      'with --frames: number of bytes shown of each frame (default: as many as fit, up to 12)',
    ).argParser(parseCount),
  ],
  examples: [
    { command: 'ringwal inspect ./log', what: 'What does the log contain, and is it intact?' },
    { command: 'ringwal inspect ./log/wal-3 --frames', what: 'What does a segment contain, byte by byte?' },
  ],
  json: 'For a directory: one object, the report of verify with files, state and lock. With --frames: one object per line for each frame.',
  async run(context, options, [path = '']) {
    if (kindOf(path) === 'file') {
      const { frames = false, from = 1, to = Number.POSITIVE_INFINITY, hex, json = false } = options;
      await inspectSegment(context, path, { frames, from, to, hex, json });
      // Only the whole log shows whether invalid bytes are damage.
      return ExitCode.ok;
    }
    if (options.frames === true) {
      throw new CliError(
        ExitCode.usage,
        `Cannot show the frames of a directory: name a segment file in "${path}", like wal-0.`,
      );
    }
    return inspectLog(context, options.json === true, path);
  },
});

/** Minimum and maximum width of the diagram beside the segments. */
const BAR_WIDTH_MIN = 8;
const BAR_WIDTH_MAX = 32;

/** The parts of a segment, in bytes. */
interface Share {
  readonly live: number;
  readonly free: number;
  readonly torn: number;
  readonly corrupt: number;
}

function shareOf({ verdict, validBytes, bytes: size }: VerifySegment): Share {
  const rest = Math.max(0, size - validBytes);
  return {
    live: validBytes,
    free: verdict === 'clean' ? rest : 0,
    torn: verdict === 'torn' ? rest : 0,
    corrupt: verdict === 'corrupt' || verdict === 'unsupported' ? rest : 0,
  };
}

async function inspectLog(context: Context, isJson: boolean, path: string): Promise<ExitCode> {
  expectLog(path);
  const directory = resolve(path);
  const report = await verifyWithProgress(context, directory);
  const { segments, sideFiles } = listFiles(directory);
  const holder = holderOf(directory);
  const state = readStateFile(directory);
  const onDisk = new Map(segments.map((segment) => [segment.number, segment]));
  const firstFrames = new Map(segments.map(({ number, path: file }) => [number, readFirstFrame(file)]));
  const stampOf = (number: number) => firstFrames.get(number)?.segment;
  const logId = state?.logId ?? [...firstFrames.values()].find((frame) => frame?.segment)?.segment?.logId;
  const { out } = context;
  if (isJson) {
    out.json({
      ...report,
      logId: logId?.toString(16),
      checkpointLsn: state?.checkpoint ?? 0,
      checkpoints: namedCheckpoints(state).map(({ name, lsn, data }) => ({
        name,
        lsn,
        data: Buffer.from(data).toString('base64'),
      })),
      archivedSegments: state?.archived ?? 0,
      lock: holder,
      segments: report.segments.map((segment) => ({
        ...segment,
        createdMs: stampOf(segment.number)?.createdMs ?? 0,
        firstTimeMs: firstFrames.get(segment.number)?.timeMs ?? 0,
        modifiedMs: onDisk.get(segment.number)?.modifiedMs,
        ...shareOf(segment),
      })),
      sideFiles,
    });
    return exitCodeFor(report.verdict);
  }
  const { colors } = out;
  for (const line of describeVerdict(report, colors)) out.wrapped(line);
  out.line();
  const total = segments.reduce((sum, segment) => sum + segment.bytes, 0);
  const facts = [
    ['entries', lsnRange(report.firstLsn, report.lastLsn)],
    ['durable up to', integer(report.watermark)],
    ['checkpoint', state === undefined || state.checkpoint === 0 ? 'none' : integer(state.checkpoint)],
    ...namedCheckpoints(state).map(({ name, lsn, data }) => [
      `  ${harmless(name)}`,
      `${integer(lsn)}${data.length === 0 ? '' : `  ${describeData(data)}`}`,
    ]),
    ...(state !== undefined && state.archived > 0 ? [['archived', `up to wal-${state.archived - 1}`]] : []),
    ['open for writing', describeHolder(holder)],
    ['log id', logId === undefined ? 'none' : logId.toString(16)],
    ['segments', `${integer(segments.length)}, ${bytes(total)}`],
  ];
  for (const line of table(facts.map(([name = '', value = '']) => [colors.dim(name), value]))) out.line(line);
  if (report.segments.length > 0) {
    out.line();
    printSegments(out, report, onDisk, firstFrames);
  }
  printSideFiles(out, sideFiles);
  return exitCodeFor(report.verdict);
}

function printSegments(
  out: Output,
  { segments }: VerifyReport,
  onDisk: ReadonlyMap<number, SegmentOnDisk>,
  firstFrames: ReadonlyMap<number, Frame | undefined>,
): void {
  const { colors } = out;
  const largest = Math.max(...segments.map((segment) => segment.bytes));
  const at = (ms: number | undefined) => (ms === undefined ? '' : time(ms));
  const firstTime = (number: number) => firstFrames.get(number)?.timeMs || undefined;
  const columns: Column[] = [
    { header: '', cells: segments.map(({ path }) => basename(path)) },
    { header: 'LSN', cells: segments.map(({ firstLsn, lastLsn }) => lsnRange(firstLsn, lastLsn)) },
    { header: 'size', cells: segments.map((segment) => bytes(segment.bytes)), isRight: true },
    { header: 'filled', cells: segments.map(fillOf), isRight: true },
    ...compressionColumn(segments),
    {
      header: 'created',
      cells: segments.map(({ number }) => at(firstFrames.get(number)?.segment?.createdMs)),
      rank: 2,
    },
    { header: 'first entry', cells: segments.map(({ number }) => at(firstTime(number))), rank: 3 },
    { header: 'written', cells: segments.map(({ number }) => at(onDisk.get(number)?.modifiedMs)), rank: 1 },
    { header: 'verdict', cells: segments.map(({ verdict }) => colored(colors, verdict)) },
  ];
  const { shown, room } = fitColumns(columns, out.width, BAR_WIDTH_MIN);
  const barWidth = Math.min(BAR_WIDTH_MAX, room);
  const bars = segments.map((segment) => barOf(shareOf(segment), largest, barWidth, colors));
  const header = shown.map((column) => colors.dim(column.header));
  const rows = segments.map((_, row) => [...shown.map(({ cells }) => cells[row] ?? ''), bars[row] ?? '']);
  const right = shown.flatMap(({ isRight = false }, index) => (isRight ? [index] : []));
  for (const line of table([header, ...rows], right)) out.line(line);
  const legend = [
    `${colors.green(MARK.live)} entries`,
    `${colors.dim(MARK.free)} free`,
    `${colors.yellow(MARK.torn)} torn`,
    `${colors.red(MARK.corrupt)} corrupt`,
  ];
  if (barWidth > 0) out.line(colors.dim('bars: ') + legend.join('  '));
  for (const { number, badOffset, reason } of segments) {
    if (badOffset !== undefined) out.wrapped(`wal-${number} from byte ${integer(badOffset)}: ${reason}`);
  }
}

/** Only for a log that has blocks. */
function compressionColumn(segments: readonly VerifySegment[]): Column[] {
  if (segments.every(({ blocks }) => blocks === undefined)) return [];
  const cells = segments.map(({ blocks }) => {
    if (blocks === undefined) return '';
    return `${blocks.codecs.join('+')} ${ratio(blocks.rawBytes, blocks.storedBytes)}`;
  });
  return [{ header: 'compression', cells }];
}

/** While the log is being written, the size may be older than the frames. */
function fillOf({ bytes: size, validBytes }: VerifySegment): string {
  return size === 0 ? '' : `${Math.min(100, Math.floor((100 * validBytes) / size))} %`;
}

const MARK = { live: '█', free: '░', torn: '▒', corrupt: '▓' } as const;

/**
 * A bar whose length is proportional to the segment's size; the largest segment gets `width` marks. Each part that
 * exists gets at least one mark.
 */
function barOf(share: Share, largest: number, width: number, colors: Colors): string {
  const paint = { live: colors.green, free: colors.dim, torn: colors.yellow, corrupt: colors.red };
  const kinds = (Object.keys(MARK) as (keyof Share)[]).filter((kind) => share[kind] > 0);
  if (width < kinds.length) return '';
  const marks = kinds.map((kind) => Math.max(1, Math.round((share[kind] / largest) * width)));
  // The minimum of one mark may make the bar too long; then the longest part gets one less.
  while (marks.reduce((sum, count) => sum + count, 0) > width) {
    const longest = marks.indexOf(Math.max(...marks));
    marks[longest] = (marks[longest] ?? 1) - 1;
  }
  return kinds.map((kind, at) => paint[kind](MARK[kind].repeat(marks[at] ?? 0))).join('');
}

function printSideFiles(out: Output, sideFiles: readonly SideFile[]): void {
  if (sideFiles.length === 0) return;
  out.line();
  const columns: Column[] = [
    { header: '', cells: sideFiles.map(({ name }) => harmless(name)) },
    { header: '', cells: sideFiles.map(({ bytes: size }) => bytes(size)), isRight: true },
    { header: '', cells: sideFiles.map(({ modifiedMs }) => time(modifiedMs)), rank: 1 },
    { header: '', cells: sideFiles.map(({ purpose }) => purpose ?? out.colors.dim("not the log's")) },
  ];
  const { shown } = fitColumns(columns, out.width, 0);
  const rows = sideFiles.map((_, row) => shown.map(({ cells }) => cells[row] ?? ''));
  for (const line of table(rows, [1])) out.line(line);
}
