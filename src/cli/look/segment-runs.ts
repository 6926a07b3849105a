import { createNodeDisk } from '../../files/node-disk.js';
import { WindowedSource } from '../../files/windowed-source.js';
import type { ByteSource } from '../../format/bytes.js';
import { FrameReader } from '../../format/frame-reader.js';
import type { WalEntry } from '../../index.js';
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
    if (!reverse) for (const run of runs) yield readRun(source, run);
    else for (const run of [...runs].reverse()) yield readRun(source, run).reverse();
  } finally {
    file.close();
  }
}

function* findRuns(source: ByteSource, { number, logId }: SegmentPlace): Generator<Run> {
  let run: Run | undefined;
  for (const { kind, offset, bytes } of walkFrames(source, number, logId)) {
    const end = offset + bytes;
    if (run !== undefined && kind === 'valid' && end - run.offset <= RUN_BYTES) {
      run = { offset: run.offset, end };
      continue;
    }
    if (run !== undefined) yield run;
    run = kind === 'valid' ? { offset, end } : undefined;
  }
  if (run !== undefined) yield run;
}

function readRun(source: ByteSource, { offset, end }: Run): WalEntry[] {
  const reader = new FrameReader();
  reader.open(source);
  const entries: WalEntry[] = [];
  for (let at = offset; at < end; at += reader.frame.byteLength) {
    const fault = reader.parseAt(at);
    if (fault !== undefined) throw new Error(`The frame at byte ${at} has changed since it was found.`);
    entries.push({ lsn: reader.frame.lsn, data: reader.readData() });
  }
  return entries;
}
