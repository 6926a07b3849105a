import { isCutFileName } from '../../format/segment-name.js';
import type { WalReader } from '../../index.js';
import { holderOf, listFiles } from './file-listing.js';
import { readStateFile } from './log-directory.js';
import { namedCheckpoints } from './named-checkpoints.js';
import { liveInterval, type Published, PublishedReader } from './published-figures.js';

/** The figures of a log that another process can see. */
export interface Figures {
  readonly firstLsn: number;
  readonly lastLsn: number;
  readonly durableLsn: number;
  /** Entries in the files that the files do not show as durable. */
  readonly undurable: number;
  readonly checkpointLsn: number;
  /** Named checkpoints. The lowest, which holds back the most, comes first. */
  readonly checkpoints: readonly { readonly name: string; readonly lsn: number }[];
  readonly segments: number;
  /** Bytes of the frames in the segments. */
  readonly logBytes: number;
  readonly diskBytes: number;
  readonly sideFileBytes: number;
  readonly lock: ReturnType<typeof holderOf>;
  /** Figures that the running log publishes. */
  readonly published: Published;
}

export interface Reading extends Figures {
  readonly timeMs: number;
  /**
   * Entries and bytes of frames per second since the previous reading; absent in the first one. Negative if the log
   * was cut.
   */
  readonly entriesPerSecond?: number;
  readonly bytesPerSecond?: number;
}

/** Takes readings of a log. Each shows the change since the previous one. */
export class FigureReader {
  readonly #reader: WalReader;
  readonly #directory: string;
  readonly #published: PublishedReader;
  #before: Reading | undefined;
  /** Bytes of each segment at the previous reading. */
  #segmentBytes = new Map<number, number>();

  constructor(reader: WalReader, directory: string) {
    this.#reader = reader;
    this.#directory = directory;
    this.#published = new PublishedReader(directory);
  }

  read(): Reading {
    // Read in this order, so that `durableLsn` is never above `lastLsn`.
    const { durableLsn } = this.#reader;
    const { firstLsn, lastLsn } = this.#reader;
    const { segments, sideFiles } = listFiles(this.#directory);
    const besideBytes = sideFiles.reduce((sum, file) => sum + file.bytes, 0);
    const sideFileBytes = sideFiles.reduce(
      (sum, { name, bytes }) => sum + (isCutFileName(name) ? bytes : 0),
      0,
    );
    const segmentBytes = new Map(this.#reader.segments().map(({ number, bytes }) => [number, bytes]));
    const state = readStateFile(this.#directory);
    const lock = holderOf(this.#directory);
    const timeMs = Date.now();
    const figures = {
      firstLsn,
      lastLsn,
      durableLsn,
      undurable: lastLsn - durableLsn,
      checkpointLsn: state?.checkpoint ?? 0,
      checkpoints: namedCheckpoints(state).map(({ name, lsn }) => ({ name, lsn })),
      segments: segments.length,
      logBytes: [...segmentBytes.values()].reduce((sum, bytes) => sum + bytes, 0),
      diskBytes: segments.reduce((sum, segment) => sum + segment.bytes, besideBytes),
      sideFileBytes,
      lock,
      published: this.#published.read(lock, state?.logId, timeMs),
      timeMs,
    };
    const before = this.#before;
    // Only growth of a segment counts, because retention removes bytes that were written.
    let gainedBytes = 0;
    for (const [number, bytes] of segmentBytes) {
      gainedBytes += Math.max(0, bytes - (this.#segmentBytes.get(number) ?? 0));
    }
    this.#segmentBytes = segmentBytes;
    this.#before = figures;
    if (before === undefined) return figures;
    const seconds = Math.max(1, figures.timeMs - before.timeMs) / 1000;
    return {
      ...figures,
      entriesPerSecond: Math.round((lastLsn - before.lastLsn) / seconds),
      bytesPerSecond: Math.round(gainedBytes / seconds),
    };
  }
}

/**
 * The log's own count if it is published: it is exact even if retention removes segments between two readings.
 * Otherwise the rate from the files.
 */
export function entryRate({ published, entriesPerSecond = 0 }: Reading): number {
  return liveInterval(published)?.entriesPerSecond ?? entriesPerSecond;
}

export function byteRate({ published, bytesPerSecond = 0 }: Reading): number {
  return liveInterval(published)?.bytesPerSecond ?? bytesPerSecond;
}
