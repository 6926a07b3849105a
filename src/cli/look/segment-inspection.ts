import { statSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { type Block, CODEC_NAMES } from '../../format/block.js';
import type { Frame, SegmentStamp } from '../../format/frame.js';
import { parseSegmentName } from '../../format/segment-name.js';
import type { Context } from '../terminal/context.js';
import type { Colors } from '../terminal/output.js';
import { bytes, harmless, integer, lsnRange, plural, preciseTime, time } from '../text/text.js';
import { ratio } from './compression-text.js';
import { FrameTable } from './frame-table.js';
import { type Piece, walkFrames } from './frame-walk.js';
import { readStateFile } from './log-directory.js';
import { readFirstFrame, readStamp, withSegment } from './segment-file.js';

export interface SegmentInspectionOptions {
  /** Show each frame, not only the totals. */
  readonly frames: boolean;
  readonly from: number;
  readonly to: number;
  /** Bytes shown of each frame; `undefined`: as many as fit. */
  readonly hex: number | undefined;
  readonly json: boolean;
}

/** Prints the structure of a segment file. */
export async function inspectSegment(
  context: Context,
  path: string,
  { frames, from, to, hex, json }: SegmentInspectionOptions,
): Promise<void> {
  const { out, signal } = context;
  const number = parseSegmentName(basename(path)) ?? -1;
  const logId = readStateFile(dirname(resolve(path)))?.logId;
  const sum = new Sum();
  const file = { bytes: statSync(path).size, firstLsn: readFirstFrame(path)?.lsn };
  const table = new FrameTable(file, out.width, hex, out.colors);
  if (frames && !json) out.line(table.header);
  const walked = withSegment(path, function* (source) {
    for (const piece of walkFrames(source, number, logId)) {
      const length = Math.min(FrameTable.bytesShown(piece, hex), piece.bytes);
      yield { piece, head: source.read(piece.offset, length).slice() };
    }
  });
  for (const { piece, head } of walked) {
    sum.add(piece);
    const { frame } = piece;
    if (!frames || (frame !== undefined && (frame.lastLsn < from || frame.lsn > to))) continue;
    if (json) out.json(pieceAsJson(piece, head));
    else for (const line of table.lines(piece, head)) out.line(line);
    await out.room();
    // A large file has many pieces; let the event loop handle Ctrl-C and the terminal output.
    if (sum.pieces % 1000 === 0) await new Promise((done) => setImmediate(done));
    signal.throwIfAborted();
  }
  if (json) {
    if (!frames) out.json(sum.asJson(path, readStamp(path)));
    return;
  }
  if (frames) out.line();
  for (const line of sum.describe(path, readStamp(path), out.colors)) out.wrapped(line);
}

function pieceAsJson({ kind, offset, bytes: size, reason, frame }: Piece, head: Uint8Array): object {
  const hex = Buffer.from(head).toString('hex');
  if (frame === undefined) return { kind, offset, bytes: size, ...(reason && { reason }), hex };
  const { lsn, lastLsn, dataStart, dataEnd, crc, syncedLsn } = frame;
  const { batchRemaining, timeMs, skipped, segment, block, frameCrc } = frame;
  return {
    kind,
    offset,
    bytes: size,
    lsn,
    dataBytes: dataEnd - dataStart,
    crc,
    ...(syncedLsn >= 0 && { syncedLsn }),
    ...(batchRemaining > 0 && { batchRemaining }),
    ...(timeMs > 0 && { timeMs }),
    ...(skipped > 0 && { skipped }),
    ...(segment !== undefined && { segment: stampAsJson(segment) }),
    ...(block !== undefined && { lastLsn, block: blockAsJson(block) }),
    ...(frameCrc >= 0 && { frameCrc }),
    ...(reason && { reason }),
    hex,
  };
}

function blockAsJson({ entries, rawBytes, codec, continues }: Block): object {
  return { entries, rawBytes, codec: CODEC_NAMES[codec], ...(continues && { continues }) };
}

function stampAsJson(stamp: SegmentStamp): object {
  return { ...stamp, logId: stamp.logId.toString(16), branch: stamp.branch.toString(16) };
}

type Stamp = ReturnType<typeof readStamp>;

/** The totals of a segment file. */
class Sum {
  pieces = 0;
  frames = 0;
  dataBytes = 0;
  validBytes = 0;
  freeBytes = 0;
  damagedBytes = 0;
  unprovenFrames = 0;
  groups = 0;
  blocks = 0;
  /** Of the blocks: what their runs were, and what they are stored as. */
  blockRawBytes = 0;
  blockStoredBytes = 0;
  /** Names of the blocks' codecs. */
  codecs: string[] = [];
  firstLsn = 0;
  lastLsn = 0;
  syncedLsn = 0;
  /** The lowest and the highest time stamp; 0 = there is none. */
  earliestMs = 0;
  latestMs = 0;

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
    this.lastLsn = frame.lastLsn;
    this.#addBlock(frame);
    if (frame.syncedLsn >= 0) this.groups += 1;
    this.syncedLsn = Math.max(this.syncedLsn, frame.syncedLsn);
    const { timeMs } = frame;
    if (timeMs > 0 && (this.earliestMs === 0 || timeMs < this.earliestMs)) this.earliestMs = timeMs;
    this.latestMs = Math.max(this.latestMs, timeMs);
  }

  #addBlock({ block, dataStart, dataEnd }: Frame): void {
    if (block === undefined) return;
    this.blocks += 1;
    this.blockRawBytes += block.rawBytes;
    this.blockStoredBytes += dataEnd - dataStart;
    const name = CODEC_NAMES[block.codec];
    if (!this.codecs.includes(name)) this.codecs.push(name);
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
    if (this.blocks > 0) {
      lines.push(
        `${plural(this.blocks, 'block')} (${this.codecs.join(', ')}): ${bytes(this.blockRawBytes)} stored as ${bytes(this.blockStoredBytes)}, ${ratio(this.blockRawBytes, this.blockStoredBytes)}`,
      );
    }
    if (this.latestMs > 0) {
      lines.push(`time stamps from ${preciseTime(this.earliestMs)} to ${preciseTime(this.latestMs)}`);
    }
    if (this.syncedLsn > 0) lines.push(`its frames show entries up to ${integer(this.syncedLsn)} as durable`);
    if (this.freeBytes > 0) lines.push(`${bytes(this.freeBytes)} free at its end`);
    if (this.damagedBytes > 0) lines.push(colors.red(`${bytes(this.damagedBytes)} damaged or stale`));
    if (this.unprovenFrames > 0) {
      lines.push(
        colors.yellow(
          `${plural(this.unprovenFrames, 'frame')} after damage that cannot prove their position`,
        ),
      );
    }
    return lines;
  }
}
