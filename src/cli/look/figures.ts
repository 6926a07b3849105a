import { isCutFileName } from '../../format/segment-name.js';
import type { WalReader } from '../../index.js';
import { holderOf, listFiles } from './file-listing.js';
import { readStateFile } from './log-directory.js';
import { liveInterval, type Published, PublishedReader } from './published-figures.js';

/** What another process can see of a log. */
export interface Figures {
  readonly firstLsn: number;
  readonly lastLsn: number;
  readonly durableLsn: number;
  /** Entries that are in the files, and not known to be durable there. */
  readonly undurable: number;
  readonly checkpointLsn: number;
  readonly segments: number;
  /** Of frames in the segments, and of all files of the log on disk. */
  readonly logBytes: number;
  readonly diskBytes: number;
  readonly sideFileBytes: number;
  readonly lock: ReturnType<typeof holderOf>;
  /** What the running log tells of itself. */
  readonly published: Published;
}

export interface Reading extends Figures {
  readonly timeMs: number;
  /** Entries, and bytes of frames, since the reading before; absent in the first. Below 0 where the log was cut. */
  readonly entriesPerSecond?: number;
  readonly bytesPerSecond?: number;
}

/** Takes readings of a log, each of which tells what came since the one before. */
export class FigureReader {
  readonly #reader: WalReader;
  readonly #directory: string;
  readonly #published: PublishedReader;
  #before: Reading | undefined;
  /** Bytes of each segment at the reading before. */
  #segmentBytes = new Map<number, number>();

  constructor(reader: WalReader, directory: string) {
    this.#reader = reader;
    this.#directory = directory;
    this.#published = new PublishedReader(directory);
  }

  read(): Reading {
    // In this order: what is durable when it is looked at is written when the end is.
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
      segments: segments.length,
      logBytes: [...segmentBytes.values()].reduce((sum, bytes) => sum + bytes, 0),
      diskBytes: segments.reduce((sum, segment) => sum + segment.bytes, besideBytes),
      sideFileBytes,
      lock,
      published: this.#published.read(lock, state?.logId, timeMs),
      timeMs,
    };
    const before = this.#before;
    // What retention removes was written all the same: only what a segment gained counts.
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

/** As the log counts it, which is exact also where retention removes segments between two looks; else as the files show it. */
export function entryRate({ published, entriesPerSecond = 0 }: Reading): number {
  return liveInterval(published)?.entriesPerSecond ?? entriesPerSecond;
}

export function byteRate({ published, bytesPerSecond = 0 }: Reading): number {
  return liveInterval(published)?.bytesPerSecond ?? bytesPerSecond;
}
