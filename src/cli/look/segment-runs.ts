import { createNodeDisk } from '../../files/node-disk.js';
import { WindowedSource } from '../../files/windowed-source.js';
import type { ByteSource } from '../../format/bytes.js';
import { FrameReader } from '../../format/frame-reader.js';
import type { WalEntry } from '../../index.js';
import { walkFrames } from './frame-walk.js';

/** What is held in memory at a time, unless one entry is larger. */
const RUN_BYTES = 256 * 1024;

/** Valid frames of a segment file that follow one another without anything in between. */
interface Run {
  readonly offset: number;
  /** The first byte after them. */
  readonly end: number;
}

/** Where a segment file is, and of which log it must be. */
export interface SegmentPlace {
  readonly path: string;
  /** n of `wal-<n>`. */
  readonly number: number;
  readonly logId: bigint | undefined;
}

/**
 * The entries of a segment file, damaged or not: those of valid frames, also after damage, from the next frame on that proves
 * itself. With `reverse` the last ones first; the file is then gone over once before, to learn where its frames are.
 */
export function* readRuns(place: SegmentPlace, reverse: boolean): Generator<WalEntry[]> {
  const file = createNodeDisk().open(place.path, 'r');
  try {
    // A window for the way forward, and one for what is read.
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
    if (fault !== undefined) throw new Error(`The frame at byte ${at} has changed since it was looked at.`);
    entries.push({ lsn: reader.frame.lsn, data: reader.readData() });
  }
  return entries;
}
