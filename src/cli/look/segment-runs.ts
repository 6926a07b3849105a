import { type BlockFault, NO_ZSTD, NO_ZSTD_WAY_OUT } from '../../blocks/decode-block.js';
import { takeEntries } from '../../blocks/frame-entries.js';
import { createNodeDisk } from '../../files/node-disk.js';
import { WindowedSource } from '../../files/windowed-source.js';
import type { ByteSource } from '../../format/bytes.js';
import { describeFault } from '../../format/frame.js';
import { FrameReader } from '../../format/frame-reader.js';
import { type WalEntry, WalError } from '../../index.js';
import { walkFrames } from './frame-walk.js';

/** Bytes held in memory at a time, unless one entry is larger. */
const RUN_BYTES = 256 * 1024;

/** Consecutive valid frames of a segment file. */
interface Run {
  readonly offset: number;
  /** Offset of the first byte after them. */
  readonly end: number;
}

/** The location of a segment file, and the log that it must belong to. */
export interface SegmentPlace {
  readonly path: string;
  /** n of `wal-<n>`. */
  readonly number: number;
  readonly logId: bigint | undefined;
}

/**
 * The entries of a segment file, damaged or not: those of all valid frames, including frames after damage, from the
 * next frame that proves its position. With `reverse` the last entries come first; the file is then walked once
 * before, to find its frames.
 */
export function* readRuns(place: SegmentPlace, reverse: boolean): Generator<WalEntry[]> {
  const file = createNodeDisk().open(place.path, 'r');
  try {
    // One window for the walk, and one for reading entries.
    const source = new WindowedSource(file);
    const runs = findRuns(new WindowedSource(file), place);
    if (!reverse) for (const run of runs) yield readRun(source, place.path, run);
    else for (const run of [...runs].reverse()) yield readRun(source, place.path, run).reverse();
  } finally {
    file.close();
  }
}

function* findRuns(source: ByteSource, { number, logId }: SegmentPlace): Generator<Run> {
  let run: Run | undefined;
  let runBytes = 0;
  for (const { kind, offset, bytes, frame } of walkFrames(source, number, logId)) {
    const end = offset + bytes;
    const entryBytes = frame?.block?.rawBytes ?? bytes;
    runBytes += entryBytes;
    if (run !== undefined && kind === 'valid' && runBytes <= RUN_BYTES) {
      run = { offset: run.offset, end };
      continue;
    }
    if (run !== undefined) yield run;
    run = kind === 'valid' ? { offset, end } : undefined;
    runBytes = entryBytes;
  }
  if (run !== undefined) yield run;
}

function readRun(source: ByteSource, path: string, { offset, end }: Run): WalEntry[] {
  const reader = new FrameReader();
  reader.open(source);
  const entries: WalEntry[] = [];
  for (let at = offset; at < end; at += reader.frame.byteLength) {
    const fault = reader.parseAt(at);
    if (fault !== undefined) throw new Error(`The frame at byte ${at} has changed since it was found.`);
    const { frame } = reader;
    const data = reader.readData();
    const framed = { ...frame, dataStart: 0, dataEnd: data.length };
    const blockFault = takeEntries(data, framed, frame.lsn, frame.lastLsn, entries);
    if (blockFault !== undefined) throw unreadable(path, at, blockFault);
  }
  return entries;
}

function unreadable(path: string, offset: number, fault: BlockFault): WalError {
  const where = `Cannot read "${path}" at byte ${offset}`;
  return fault === 'no-zstd'
    ? new WalError('ERR_WAL_UNSUPPORTED', `${where}: ${NO_ZSTD}. ${NO_ZSTD_WAY_OUT}`, { path, offset })
    : new WalError('ERR_WAL_CORRUPT', `${where}: ${describeFault('block')}.`, { path, offset });
}
