import { basename, dirname, resolve } from 'node:path';
import { Argument, Option } from 'commander';
import type { ByteSource } from '../../format/bytes.js';
import { parseSegmentName } from '../../format/segment-name.js';
import type { VerifyReport, VerifySegment } from '../../index.js';
import type { Context } from '../context.js';
import { defineCommand } from '../definition.js';
import { CliError, ExitCode } from '../exit-code.js';
import { type Piece, walkFrames } from '../frame-walk.js';
import { expectLog, kindOf, readStateFile } from '../log-directory.js';
import { describeHolder, holderOf, listFiles, type SegmentOnDisk, type SideFile } from '../log-files.js';
import type { Colors, Output } from '../output.js';
import { readStamp, withSegment } from '../segment-file.js';
import { bytes, harmless, hexDump, integer, lsnRange, plural, table, time } from '../text.js';
import { parseCount, parseLsn } from '../values.js';
import { colored, describeVerdict, exitCodeFor } from '../verdict-text.js';
import { verifyWithProgress } from '../verify-with-progress.js';

interface Options {
  readonly frames?: true;
  readonly from?: number;
  readonly to?: number;
  readonly hex: number;
}

export const inspect = defineCommand<Options>({
  name: 'inspect',
  summary: 'show what a log, or a segment file, is made of',
  details: [
    'Of a directory: its segments with LSNs, sizes, times and verdicts, how far they are filled, the watermark, the checkpoint, who has it open, the files beside them; and a picture of it. Every frame is read, as by verify, and nothing is changed.',
    'Of a segment file: with --frames every frame with its offset and fields, its first bytes beside it. Damaged ones are marked, whatever else stands there too; frames behind damage count again from one on that proves itself. What it means for the log only the directory tells: the exit code is 0 whatever is found.',
  ],
  arguments: [new Argument('<path>', "the log's directory, or a segment file")],
  options: [
    new Option('--frames', 'of a segment file: its frames'),
    new Option('--from <lsn>', 'with --frames: the first entry shown').argParser(parseLsn),
    new Option('--to <lsn>', 'with --frames: the last entry shown').argParser(parseLsn),
    new Option('--hex <bytes>', 'with --frames: how many bytes of each are shown')
      .argParser(parseCount)
      .default(12),
  ],
  examples: [
    { command: 'ringwal inspect ./log', what: 'What is there, and is it well?' },
    { command: 'ringwal inspect ./log/wal-3 --frames', what: 'What stands in a segment, byte by byte?' },
  ],
  json: 'Of a directory: one object, the report of verify with the files, state and lock beside it. With --frames: an object on a line for each frame.',
  async run(context, options, [path = '']) {
    if (kindOf(path) === 'file') return inspectSegment(context, options, path);
    if (options.frames === true) {
      throw new CliError(
        ExitCode.usage,
        `--frames shows one segment: name one of the files in "${path}", like wal-0.`,
      );
    }
    return inspectLog(context, options.json === true, path);
  },
});

// ── A directory ─────────────────────────────────────────────────────────────────────────────────────────────────

const BAR_WIDTH = 32;

/** What a segment is made of, in bytes. */
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
  const stamps = new Map(segments.map(({ number, path: file }) => [number, readStamp(file)]));
  const logId = state?.logId ?? [...stamps.values()].find((stamp) => stamp !== undefined)?.logId;
  const { out } = context;
  if (isJson) {
    out.json({
      ...report,
      logId: logId?.toString(16),
      checkpointLsn: state?.checkpoint ?? 0,
      lock: holder,
      segments: report.segments.map((segment) => ({
        ...segment,
        createdMs: stamps.get(segment.number)?.createdMs ?? 0,
        modifiedMs: onDisk.get(segment.number)?.modifiedMs,
        ...shareOf(segment),
      })),
      sideFiles,
    });
    return exitCodeFor(report.verdict);
  }
  const { colors } = out;
  for (const line of describeVerdict(report, colors)) out.line(line);
  out.line();
  const total = segments.reduce((sum, segment) => sum + segment.bytes, 0);
  const facts = [
    ['entries', lsnRange(report.firstLsn, report.lastLsn)],
    ['durable up to', integer(report.watermark)],
    ['checkpoint', state === undefined || state.checkpoint === 0 ? 'none' : integer(state.checkpoint)],
    ['open for writing', describeHolder(holder)],
    ['log id', logId === undefined ? 'none' : logId.toString(16)],
    ['segments', `${integer(segments.length)}, ${bytes(total)}`],
  ];
  for (const line of table(facts.map(([name = '', value = '']) => [colors.dim(name), value]))) out.line(line);
  if (report.segments.length > 0) {
    out.line();
    printSegments(out, report, onDisk, (number) => stamps.get(number)?.createdMs);
  }
  printSideFiles(out, sideFiles);
  return exitCodeFor(report.verdict);
}

function printSegments(
  out: Output,
  { segments }: VerifyReport,
  onDisk: ReadonlyMap<number, SegmentOnDisk>,
  createdMs: (number: number) => number | undefined,
): void {
  const { colors } = out;
  const largest = Math.max(...segments.map((segment) => segment.bytes));
  const header = ['', 'LSN', 'size', 'filled', 'created', 'written', 'verdict'].map((name) =>
    colors.dim(name),
  );
  const rows = segments.map((segment) => {
    const created = createdMs(segment.number);
    const modified = onDisk.get(segment.number)?.modifiedMs;
    return [
      basename(segment.path),
      lsnRange(segment.firstLsn, segment.lastLsn),
      bytes(segment.bytes),
      // Of a log that is being written the size is older than the frames.
      segment.bytes === 0 ? '' : `${Math.min(100, Math.floor((100 * segment.validBytes) / segment.bytes))} %`,
      created === undefined ? '' : time(created),
      modified === undefined ? '' : time(modified),
      colored(colors, segment.verdict),
      barOf(shareOf(segment), largest, colors),
    ];
  });
  for (const line of table([header, ...rows], [2, 3])) out.line(line);
  const legend = [
    `${colors.green(MARK.live)} entries`,
    `${colors.dim(MARK.free)} free`,
    `${colors.yellow(MARK.torn)} torn`,
    `${colors.red(MARK.corrupt)} corrupt`,
  ];
  out.line(colors.dim('bars: ') + legend.join('  '));
  for (const { number, badOffset, reason } of segments) {
    if (badOffset !== undefined) out.line(`wal-${number} from byte ${integer(badOffset)}: ${reason}`);
  }
}

const MARK = { live: '█', free: '░', torn: '▒', corrupt: '▓' } as const;

/** As long as the segment is large; what is there at all is at least one mark. */
function barOf(share: Share, largest: number, colors: Colors): string {
  const paint = { live: colors.green, free: colors.dim, torn: colors.yellow, corrupt: colors.red };
  return (Object.keys(MARK) as (keyof Share)[])
    .map((kind) => {
      if (share[kind] === 0) return '';
      const width = Math.max(1, Math.round((share[kind] / largest) * BAR_WIDTH));
      return paint[kind](MARK[kind].repeat(width));
    })
    .join('');
}

function printSideFiles(out: Output, sideFiles: readonly SideFile[]): void {
  if (sideFiles.length === 0) return;
  out.line();
  const rows = sideFiles.map(({ name, bytes: size, modifiedMs, purpose }) => [
    harmless(name),
    bytes(size),
    time(modifiedMs),
    purpose ?? out.colors.dim("not the log's"),
  ]);
  for (const line of table(rows, [1])) out.line(line);
}

// ── A segment file ──────────────────────────────────────────────────────────────────────────────────────────────

async function inspectSegment(
  context: Context,
  options: Options & { json?: boolean | undefined },
  path: string,
) {
  const { out, signal } = context;
  const { from = 1, to = Number.POSITIVE_INFINITY, frames = false, json = false } = options;
  const number = parseSegmentName(basename(path)) ?? -1;
  const logId = readStateFile(dirname(resolve(path)))?.logId;
  const sum = new Sum();
  if (frames && !json) out.line(out.colors.dim(HEADER));
  const walked = withSegment(path, function* (source) {
    for (const piece of walkFrames(source, number, logId))
      yield { piece, head: headOf(source, piece, options.hex) };
  });
  for (const { piece, head } of walked) {
    sum.add(piece);
    const lsn = piece.frame?.lsn;
    if (!frames || (lsn !== undefined && (lsn < from || lsn > to))) continue;
    if (json) out.json(pieceAsJson(piece, head));
    else for (const line of describePiece(piece, head, out.colors)) out.line(line);
    await out.room();
    // A large file has many: Ctrl-C is to be heard, and the terminal to keep up.
    if (sum.pieces % 1000 === 0) await new Promise((done) => setImmediate(done));
    signal.throwIfAborted();
  }
  if (json) {
    if (!frames) out.json(sum.asJson(path, readStamp(path)));
  } else {
    if (frames) out.line();
    for (const line of sum.describe(path, readStamp(path), out.colors)) out.line(line);
  }
  // Whether what is not valid here is damage only the whole log tells.
  return ExitCode.ok;
}

const COLUMNS = { mark: 1, offset: 12, bytes: 10, lsn: 12, data: 9, fields: 34 } as const;

const HEADER = row(' ', 'offset', 'bytes', 'LSN', 'data', 'fields', 'hex');

function row(
  mark: string,
  offset: string,
  size: string,
  lsn: string,
  data: string,
  fields: string,
  hex: string,
): string {
  const cells = [
    mark,
    offset.padStart(COLUMNS.offset),
    size.padStart(COLUMNS.bytes),
    lsn.padStart(COLUMNS.lsn),
    data.padStart(COLUMNS.data),
    ` ${fields.padEnd(COLUMNS.fields)}`,
  ];
  return `${cells.join(' ')}  ${hex}`.trimEnd();
}

/** Bytes at the start of a piece, copied. Of damage more, since it is what one wants to see. */
function headOf(source: ByteSource, { kind, offset, bytes: size }: Piece, wanted: number): Uint8Array {
  const length = kind === 'damaged' ? Math.max(wanted, DAMAGE_BYTES) : wanted;
  return source.read(offset, Math.min(length, size)).slice();
}

const DAMAGE_BYTES = 64;

function describePiece(piece: Piece, head: Uint8Array, colors: Colors): string[] {
  const { kind, offset, bytes: size, frame, reason } = piece;
  const hex = kind === 'damaged' ? '' : [...head].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
  const dots = kind !== 'damaged' && head.length < size ? ' …' : '';
  const line = row(
    kind === 'damaged' ? '✗' : kind === 'unproven' ? '?' : ' ',
    integer(offset),
    integer(size),
    frame === undefined ? '' : integer(frame.lsn),
    frame === undefined ? '' : integer(frame.dataEnd - frame.dataStart),
    frame === undefined ? NAMES[kind] : fieldsOf(frame),
    colors.dim(hex + dots),
  );
  if (kind === 'damaged') {
    const what = frame === undefined ? 'no frame' : 'the frame is not valid';
    const dump = hexDump(head, offset).map((each) => `    ${colors.dim(each)}`);
    return [colors.red(line), colors.red(`    ${what}: ${reason}`), ...dump];
  }
  return [kind === 'unproven' ? colors.yellow(line) : line];
}

const NAMES: Readonly<Record<Piece['kind'], string>> = {
  valid: '',
  damaged: 'damaged',
  unproven: '',
  free: 'free: zeros to the end',
  header: "header of wal-go's later format",
};

function fieldsOf({
  syncedLsn,
  batchRemaining,
  skipped,
  segment,
  unknownCritical,
}: NonNullable<Piece['frame']>) {
  const fields: string[] = [];
  if (segment !== undefined) fields.push(`segment ${segment.number}${segment.recycled ? ' recycled' : ''}`);
  if (syncedLsn >= 0) fields.push(`synced ${integer(syncedLsn)}`);
  if (batchRemaining > 0) fields.push(`batch: ${integer(batchRemaining)} to come`);
  if (skipped > 0) fields.push(`skipped ${integer(skipped)}`);
  if (unknownCritical > 0) fields.push(`field ${unknownCritical} is not known`);
  return fields.join(', ');
}

function pieceAsJson({ kind, offset, bytes: size, reason, frame }: Piece, head: Uint8Array): object {
  const hex = Buffer.from(head).toString('hex');
  if (frame === undefined) return { kind, offset, bytes: size, ...(reason && { reason }), hex };
  const { lsn, dataStart, dataEnd, crc, syncedLsn, batchRemaining, skipped, segment, frameCrc } = frame;
  return {
    kind,
    offset,
    bytes: size,
    lsn,
    dataBytes: dataEnd - dataStart,
    crc,
    ...(syncedLsn >= 0 && { syncedLsn }),
    ...(batchRemaining > 0 && { batchRemaining }),
    ...(skipped > 0 && { skipped }),
    ...(segment !== undefined && { segment: { ...segment, logId: segment.logId.toString(16) } }),
    ...(frameCrc >= 0 && { frameCrc }),
    ...(reason && { reason }),
    hex,
  };
}

type Stamp = ReturnType<typeof readStamp>;

/** What a segment file comes to. */
class Sum {
  pieces = 0;
  frames = 0;
  dataBytes = 0;
  validBytes = 0;
  freeBytes = 0;
  damagedBytes = 0;
  unprovenFrames = 0;
  groups = 0;
  firstLsn = 0;
  lastLsn = 0;
  syncedLsn = 0;

  add({ kind, bytes: size, frame }: Piece): void {
    this.pieces += 1;
    if (kind === 'free') this.freeBytes += size;
    if (kind === 'damaged') this.damagedBytes += size;
    if (kind === 'unproven') this.unprovenFrames += 1;
    if (kind !== 'valid' || frame === undefined) return;
    this.frames += 1;
    this.validBytes += size;
    this.dataBytes += frame.dataEnd - frame.dataStart;
    if (this.firstLsn === 0) this.firstLsn = frame.lsn;
    this.lastLsn = frame.lsn;
    if (frame.syncedLsn >= 0) this.groups += 1;
    this.syncedLsn = Math.max(this.syncedLsn, frame.syncedLsn);
  }

  asJson(path: string, stamp: Stamp): object {
    return {
      path: resolve(path),
      ...this,
      ...(stamp && { segment: { ...stamp, logId: stamp.logId.toString(16) } }),
    };
  }

  describe(path: string, stamp: Stamp, colors: Colors): string[] {
    const named = stamp === undefined ? '' : `, segment ${stamp.number} of log ${stamp.logId.toString(16)}`;
    const created = stamp === undefined ? '' : `, created ${time(stamp.createdMs)}`;
    const lines = [
      `${harmless(path)}${named}${created}`,
      `${plural(this.frames, 'valid frame')}, LSN ${lsnRange(this.firstLsn, this.lastLsn)}, ${plural(this.groups, 'group')}, ${bytes(this.dataBytes)} of data in ${bytes(this.validBytes)}`,
    ];
    if (this.syncedLsn > 0) lines.push(`its frames show entries up to ${integer(this.syncedLsn)} as durable`);
    if (this.freeBytes > 0) lines.push(`${bytes(this.freeBytes)} free at its end`);
    if (this.damagedBytes > 0) lines.push(colors.red(`${bytes(this.damagedBytes)} damaged or stale`));
    if (this.unprovenFrames > 0) {
      lines.push(
        colors.yellow(
          `${plural(this.unprovenFrames, 'frame')} behind damage that cannot show that they belong there`,
        ),
      );
    }
    return lines;
  }
}
