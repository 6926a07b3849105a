/**
 * The stats file, `ringwal.stats`: figures that a running log publishes for other processes. Nothing in the log depends on it: it
 * is never synced, and `open` removes it whatever it contains.
 *
 *  byte  bytes  name          meaning
 *     0      8  magic         "rwstats" 0x00
 *     8      4  version       1
 *    12      4  length        bytes of the whole, the checksum included; bytes after it are of an earlier, longer one
 *    16      8  log_id        as in every Segment of the log
 *    24      8  published_ms  when it was written: the wall clock, ms since 1970
 *    32      8  uptime_ms     the same, since the log was opened, by a clock that never goes back
 *    40      4  pid           of the process that has the log open
 *    44      4  lanes         n: how many lanes follow
 *    48    136  counters      17 × 8 bytes in the order of COUNTERS
 *   184   n×40  lanes         4 index | 4 bytes of the ring | 4 bytes in it | 4 entries and requests that wait beside it
 *                             | 8 entries written | 4 refused | 4 queued | 4 waits | 4 dropped lines, modulo 2^32
 *     …         histograms    of writes, of syncs, of groups; each: 8 sum | 4 number of buckets b
 *                             | b × (4 upper bound, exclusive | 8 number of values), ascending
 *     …      4  crc           CRC-32 of everything before
 *
 * Little endian. Numbers below 2^53. The file is overwritten in place, in one call, so a reader may read parts of two versions:
 * the checksum shows that. test/format/stats-file.test.ts breaks when a byte moves.
 */

import { crc32 } from './crc32.js';
import { type HistogramBucket, type HistogramReading, readBuckets } from './histogram-buckets.js';
import { readBigUint64, readUint32, readUint64, writeBigUint64, writeUint32, writeUint64 } from './wire.js';

export const COUNTERS = [
  'entries',
  'payloadBytes',
  'frameBytes',
  'groups',
  'syncs',
  'rotations',
  'removed',
  'rejected',
  'retries',
  'firstLsn',
  'lastLsn',
  'durableLsn',
  'checkpointLsn',
  'lanes',
  'lanesPooled',
  'lanesReused',
  'lanesGone',
] as const;

/** As the words of the same name in src/ring/log-status.ts. */
export type StatsCounter = (typeof COUNTERS)[number];

export interface LaneFigures {
  /** 0 is the opening thread's. Never used twice in the life of an open log. */
  readonly index: number;
  readonly ringBytes: number;
  readonly ringUsed: number;
  /** Entries and requests that were posted beside the ring, since it was full or they are large, and that are not taken yet. */
  readonly waiting: number;
  /** Entries of it that were written since it was attached. */
  readonly entries: number;
  /** How often its producer found no room, modulo 2^32: as `refused`, `queued`, `waits` and `droppedLines` of `LaneStats`. */
  readonly refused: number;
  readonly queued: number;
  readonly waits: number;
  readonly dropped: number;
}

export interface PublishedStats {
  readonly logId: bigint;
  /** By the wall clock, ms since 1970. */
  readonly publishedMs: number;
  /** Since the log was opened, by a clock that never goes back: for rates. */
  readonly uptimeMs: number;
  readonly pid: number;
  readonly counters: Readonly<Record<StatsCounter, number>>;
  /** LANES_MAX at most; `counters.lanes` counts all. */
  readonly lanes: readonly LaneFigures[];
  /** Of write calls and of syncs, in microseconds; entries of groups. */
  readonly writeMicros: HistogramReading;
  readonly syncMicros: HistogramReading;
  readonly groupEntries: HistogramReading;
}

/** The part of a histogram that is stored; the rest follows from it. */
type Stored = Pick<HistogramReading, 'sum' | 'buckets'>;

export type StatsToPublish = Omit<PublishedStats, 'writeMicros' | 'syncMicros' | 'groupEntries'> & {
  readonly writeMicros: Stored;
  readonly syncMicros: Stored;
  readonly groupEntries: Stored;
};

export interface StatsFault {
  /** The end of a sentence about the file. */
  readonly fault: string;
}

const MAGIC = Uint8Array.of(0x72, 0x77, 0x73, 0x74, 0x61, 0x74, 0x73, 0x00);
const VERSION = 1;
const CRC_BYTES = 4;
const COUNTERS_START = 48;
const LANES_START = COUNTERS_START + COUNTERS.length * 8;
const LANE_BYTES = 40;
const HISTOGRAM_HEAD_BYTES = 12;
const BUCKET_BYTES = 12;
const HISTOGRAMS = 3;

/** As many as a log may have (option `maxLanes`). */
export const LANES_MAX = 1024;
/** No histogram has more. */
const BUCKETS_MAX = 256;
const LEAST_BYTES = LANES_START + HISTOGRAMS * HISTOGRAM_HEAD_BYTES + CRC_BYTES;

/** No honest stats file is larger: bytes after these need not be read. */
export const STATS_BYTES_MAX = LEAST_BYTES + LANES_MAX * LANE_BYTES + HISTOGRAMS * BUCKETS_MAX * BUCKET_BYTES;

export function encodeStats(stats: StatsToPublish): Uint8Array {
  const lanes = stats.lanes.slice(0, LANES_MAX);
  const histograms = [stats.writeMicros, stats.syncMicros, stats.groupEntries];
  const buckets = histograms.reduce((sum, histogram) => sum + histogram.buckets.length, 0);
  const bytes = new Uint8Array(LEAST_BYTES + lanes.length * LANE_BYTES + buckets * BUCKET_BYTES);
  bytes.set(MAGIC);
  writeUint32(bytes, 8, VERSION);
  writeUint32(bytes, 12, bytes.length);
  writeBigUint64(bytes, 16, stats.logId);
  writeUint64(bytes, 24, stats.publishedMs);
  writeUint64(bytes, 32, stats.uptimeMs);
  writeUint32(bytes, 40, stats.pid);
  writeUint32(bytes, 44, lanes.length);
  for (const [at, name] of COUNTERS.entries()) {
    writeUint64(bytes, COUNTERS_START + at * 8, stats.counters[name]);
  }
  let at = LANES_START;
  for (const lane of lanes) {
    writeUint32(bytes, at, lane.index);
    writeUint32(bytes, at + 4, lane.ringBytes);
    writeUint32(bytes, at + 8, lane.ringUsed);
    writeUint32(bytes, at + 12, lane.waiting);
    writeUint64(bytes, at + 16, lane.entries);
    writeUint32(bytes, at + 24, lane.refused);
    writeUint32(bytes, at + 28, lane.queued);
    writeUint32(bytes, at + 32, lane.waits);
    writeUint32(bytes, at + 36, lane.dropped);
    at += LANE_BYTES;
  }
  for (const histogram of histograms) {
    writeUint64(bytes, at, histogram.sum);
    writeUint32(bytes, at + 8, histogram.buckets.length);
    at += HISTOGRAM_HEAD_BYTES;
    for (const { below, count } of histogram.buckets) {
      writeUint32(bytes, at, below);
      writeUint64(bytes, at + 4, count);
      at += BUCKET_BYTES;
    }
  }
  writeUint32(bytes, at, crc32(bytes.subarray(0, at)));
  return bytes;
}

/** The figures in `bytes`, the first STATS_BYTES_MAX bytes of a file. Never throws, for any bytes. */
export function decodeStats(bytes: Uint8Array): PublishedStats | StatsFault {
  if (bytes.length < LEAST_BYTES) return { fault: 'it is too short' };
  if (!MAGIC.every((byte, at) => bytes[at] === byte)) return { fault: 'it does not begin as a stats file' };
  const version = readUint32(bytes, 8);
  if (version !== VERSION) return { fault: `its version ${version} is not known` };
  const length = readUint32(bytes, 12);
  if (length < LEAST_BYTES || length > bytes.length) return { fault: 'its length is wrong' };
  const end = length - CRC_BYTES;
  if (readUint32(bytes, end) !== crc32(bytes.subarray(0, end)))
    return { fault: 'its checksum does not match' };
  return new Decoder(bytes.subarray(0, end)).read();
}

/** Decodes bytes whose checksum matches. They are still untrusted: any program can compute the checksum. */
class Decoder {
  readonly #bytes: Uint8Array;
  #at = LANES_START;
  #isExact = true;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  read(): PublishedStats | StatsFault {
    const bytes = this.#bytes;
    const laneCount = readUint32(bytes, 44);
    if (laneCount > LANES_MAX || !this.#has(laneCount * LANE_BYTES)) return CONTRADICTION;
    const counters = Object.fromEntries(
      COUNTERS.map((name, at) => [name, this.#number(COUNTERS_START + at * 8)]),
    ) as Record<StatsCounter, number>;
    const lanes = Array.from({ length: laneCount }, () => this.#lane());
    if (lanes.some(({ ringUsed, ringBytes }) => ringUsed > ringBytes)) return CONTRADICTION;
    const writeMicros = this.#histogram();
    const syncMicros = this.#histogram();
    const groupEntries = this.#histogram();
    if (writeMicros === undefined || syncMicros === undefined || groupEntries === undefined)
      return CONTRADICTION;
    if (this.#at !== bytes.length) return CONTRADICTION;
    const stats = {
      logId: readBigUint64(bytes, 16),
      publishedMs: this.#number(24),
      uptimeMs: this.#number(32),
      pid: readUint32(bytes, 40),
      counters,
      lanes,
      writeMicros,
      syncMicros,
      groupEntries,
    };
    return this.#isExact ? stats : { fault: 'it holds a number out of range' };
  }

  #lane(): LaneFigures {
    const at = this.#at;
    this.#at += LANE_BYTES;
    return {
      index: readUint32(this.#bytes, at),
      ringBytes: readUint32(this.#bytes, at + 4),
      ringUsed: readUint32(this.#bytes, at + 8),
      waiting: readUint32(this.#bytes, at + 12),
      entries: this.#number(at + 16),
      refused: readUint32(this.#bytes, at + 24),
      queued: readUint32(this.#bytes, at + 28),
      waits: readUint32(this.#bytes, at + 32),
      dropped: readUint32(this.#bytes, at + 36),
    };
  }

  #histogram(): HistogramReading | undefined {
    if (!this.#has(HISTOGRAM_HEAD_BYTES)) return undefined;
    const sum = this.#number(this.#at);
    const bucketCount = readUint32(this.#bytes, this.#at + 8);
    this.#at += HISTOGRAM_HEAD_BYTES;
    if (bucketCount > BUCKETS_MAX || !this.#has(bucketCount * BUCKET_BYTES)) return undefined;
    const buckets: HistogramBucket[] = [];
    for (let before = 0; buckets.length < bucketCount; ) {
      const below = readUint32(this.#bytes, this.#at);
      const count = this.#number(this.#at + 4);
      if (below <= before || count === 0) return undefined;
      buckets.push({ below, count });
      before = below;
      this.#at += BUCKET_BYTES;
    }
    const reading = readBuckets(sum, buckets);
    this.#isExact &&= Number.isSafeInteger(reading.count);
    return reading;
  }

  #number(at: number): number {
    const value = readUint64(this.#bytes, at);
    this.#isExact &&= Number.isSafeInteger(value);
    return value;
  }

  #has(count: number): boolean {
    return this.#at + count <= this.#bytes.length;
  }
}

const CONTRADICTION: StatsFault = { fault: 'it contradicts itself' };
