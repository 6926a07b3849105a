import { readFully } from '../../files/disk.js';
import { createNodeDisk } from '../../files/node-disk.js';
import { integer } from '../text/text.js';
import type { Rate } from './measures.js';
import type { Judged } from './verdict.js';

/** Bytes of a file of which the lines are taken for entries. */
const SAMPLE_BYTES_MAX = 16 * 2 ** 20;
const ENTRIES = 20_000;

/** Entries to compress: the lines of a file, or made ones. */
export function sampleEntries(file: string | undefined): Uint8Array[] {
  if (file === undefined) return Array.from({ length: ENTRIES }, (_, at) => Buffer.from(madeLine(at)));
  const lines: Uint8Array[] = [];
  const bytes = readStart(file);
  for (let start = 0; start < bytes.length; ) {
    const newline = bytes.indexOf(10, start);
    const end = newline < 0 ? bytes.length : newline;
    if (end > start) lines.push(bytes.subarray(start, end));
    start = end + 1;
  }
  return lines;
}

/** As a service logs a request, about 100 bytes. */
function madeLine(at: number): string {
  const scattered = Math.imul(at, 0x9e3779b1) >>> 0;
  return JSON.stringify({
    time: 1_700_000_000_000 + 17 * at,
    level: 30,
    user: `user-${scattered % 5000}`,
    path: `/items/${scattered % 977}`,
    ms: scattered % 250,
  });
}

function readStart(path: string): Uint8Array {
  const file = createNodeDisk().open(path, 'r');
  try {
    const bytes = new Uint8Array(Math.min(file.size(), SAMPLE_BYTES_MAX));
    return bytes.subarray(0, readFully(file, bytes, 0));
  } finally {
    file.close();
  }
}

/** Throughput, and what was written for it. */
export interface CompressionRate extends Rate {
  /** Bytes of the frames. */
  readonly frameBytes: number;
}

/** The rows of the printed table that decide about the option compression. */
export interface CompressionRows {
  readonly plain: CompressionRate;
  readonly lz4: CompressionRate;
  /** Absent: this Node has no zstd. */
  readonly zstd?: CompressionRate;
}

/** A codec pays if it makes the log at least this much smaller at the same speed. */
const SMALLER_SHARE = 0.8;
/** The same speed, or more. */
const SPEED_SHARE = 0.9;
/** Fewer entries say nothing about the speed. */
const ENTRIES_MIN = 1000;

/** Judges whether the option compression pays with this data on this disk. */
export function judgeCompression({
  plain,
  lz4,
  zstd,
}: CompressionRows): Judged<'yes' | 'no' | 'for space' | 'unclear'> {
  const measured = zstd === undefined ? [lz4] : [lz4, zstd];
  if ([plain, ...measured].some(({ entries }) => entries < ENTRIES_MIN))
    return {
      answer: 'unclear',
      why: 'Too few entries were written to compare. Measure for longer (--seconds).',
    };
  const found = [describe('lz4', lz4, plain), ...(zstd === undefined ? [] : [describe('zstd', zstd, plain)])];
  const took = found.map(({ text }) => text).join('; ');
  const smaller = found.filter(({ size }) => size <= SMALLER_SHARE);
  if (smaller.length === 0) return { answer: 'no', why: `This data hardly becomes smaller: ${took}.` };
  const quick = smaller.filter(({ speed }) => speed >= SPEED_SHARE);
  if (quick.length === 0) {
    return {
      answer: 'for space',
      why: `The log becomes smaller, and takes fewer entries a second: ${took}. It pays where the disk is small or slow, or less is appended than that.`,
    };
  }
  const best = quick.reduce((one, other) => (other.size < one.size ? other : one));
  return { answer: 'yes', why: `${took}: --compression ${best.name} costs no speed here.` };
}

function describe(name: string, rate: CompressionRate, plain: CompressionRate) {
  const size = rate.frameBytes / rate.bytes / (plain.frameBytes / plain.bytes);
  const speed = rate.entries / rate.ms / (plain.entries / plain.ms);
  const text = `with ${name} the segments take ${percent(size)} of the room, at ${percent(speed)} of the speed`;
  return { name, size, speed, text };
}

function percent(share: number): string {
  return `${integer(Math.round(100 * share))} %`;
}
