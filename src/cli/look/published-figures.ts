import { join } from 'node:path';
import { type HistogramReading, sinceReading } from '../../format/histogram-buckets.js';
import { STATS_FILE } from '../../format/segment-name.js';
import {
  decodeStats,
  type LaneFigures,
  type PublishedStats,
  STATS_BYTES_MAX,
  type StatsCounter,
  type StatsFault,
} from '../../format/stats-file.js';
import type { Holder } from './file-listing.js';
import { readSmallFile } from './small-file.js';

/** The figures that a log publishes in a file, once a second while it works. */
export type Published =
  /** There is no such file. */
  | { readonly state: 'none' }
  | { readonly state: 'unreadable'; readonly why: string }
  /** `ended`: the process that published them no longer has the log open, and did not close it. */
  | ({ readonly state: 'running' | 'ended' } & PublishedFigures);

export interface PublishedFigures {
  readonly pid: number;
  readonly publishedMs: number;
  /** Milliseconds since the publication. */
  readonly ageMs: number;
  readonly uptimeMs: number;
  /** Counts since the log was opened. */
  readonly counters: Readonly<Record<StatsCounter, number>>;
  readonly groupEntries: HistogramReading;
  readonly writeMicros: HistogramReading;
  readonly syncMicros: HistogramReading;
  readonly lanes: readonly LaneFigures[];
  /** The change since the previous publication; absent until a second publication is read. */
  readonly interval?: Interval;
}

/** The change between two publications. */
export interface Interval {
  readonly ms: number;
  readonly entriesPerSecond: number;
  /** Bytes of frames. */
  readonly bytesPerSecond: number;
  readonly groupsPerSecond: number;
  readonly syncsPerSecond: number;
  readonly groupEntries: HistogramReading;
  readonly writeMicros: HistogramReading;
  readonly syncMicros: HistogramReading;
  /** One element per lane, with its index. */
  readonly lanes: readonly { readonly index: number; readonly entriesPerSecond: number }[];
}

/** Maximum age of the figures of a working log, which publishes once a second. */
export const FRESH_MS = 2500;

/** The interval of the last publication, if it is recent. */
export function liveInterval(published: Published): Interval | undefined {
  return published.state === 'running' && published.ageMs <= FRESH_MS ? published.interval : undefined;
}

/**
 * Two publications belong to one opening if their opening times agree up to this tolerance, which allows for clock
 * adjustments.
 */
const OPENED_TOLERANCE_MS = 2000;

/**
 * Number of attempts to read a file that is being overwritten. The overwrite is one write call and takes
 * microseconds.
 */
const ATTEMPTS = 4;

/** Reads the publications of a log and computes the change between two of them. */
export class PublishedReader {
  readonly #directory: string;
  #before: PublishedStats | undefined;
  #interval: Interval | undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** @param logId the log id in the state file; `undefined` if it is not known */
  read(holder: Holder, logId: bigint | undefined, nowMs: number): Published {
    let stats: PublishedStats | StatsFault | undefined;
    try {
      stats = readStats(join(this.#directory, STATS_FILE));
    } catch (error) {
      return { state: 'unreadable', why: (error as Error).message };
    }
    if (stats === undefined) return { state: 'none' };
    if ('fault' in stats) return { state: 'unreadable', why: stats.fault };
    if (logId !== undefined && logId !== stats.logId) {
      return { state: 'unreadable', why: 'it belongs to another log' };
    }
    const before = this.#before;
    if (before === undefined || !isSameOpening(before, stats)) this.#interval = undefined;
    else if (stats.uptimeMs > before.uptimeMs) this.#interval = intervalOf(before, stats);
    this.#before = stats;
    const { logId: _, ...figures } = stats;
    return {
      state: isRunning(holder, stats.pid) ? 'running' : 'ended',
      ...figures,
      ageMs: Math.max(0, nowMs - stats.publishedMs),
      ...(this.#interval === undefined ? {} : { interval: this.#interval }),
    };
  }
}

function isRunning(holder: Holder, pid: number): boolean {
  // Without locks this is unknown; the age of the figures shows it.
  if (holder.isHeld !== true) return holder.isHeld === undefined;
  return holder.pid === undefined || holder.pid === pid;
}

/** `undefined` if there is no such file. @throws the system's error */
function readStats(path: string): PublishedStats | StatsFault | undefined {
  let stats: PublishedStats | StatsFault = { fault: '' };
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const bytes = readSmallFile(path, STATS_BYTES_MAX);
    if (bytes === undefined) return undefined;
    stats = bytes === 'no file' ? { fault: 'it is not a regular file' } : decodeStats(bytes);
    if (!('fault' in stats)) break;
  }
  return stats;
}

function isSameOpening(before: PublishedStats, now: PublishedStats): boolean {
  const openedMs = (stats: PublishedStats) => stats.publishedMs - stats.uptimeMs;
  return (
    before.logId === now.logId &&
    before.pid === now.pid &&
    before.uptimeMs <= now.uptimeMs &&
    Math.abs(openedMs(before) - openedMs(now)) <= OPENED_TOLERANCE_MS
  );
}

function intervalOf(before: PublishedStats, now: PublishedStats): Interval {
  const ms = now.uptimeMs - before.uptimeMs;
  const perSecond = (from: number, to: number) => Math.round((Math.max(0, to - from) * 1000) / ms);
  const lanesBefore = new Map(before.lanes.map((lane) => [lane.index, lane.entries]));
  return {
    ms,
    entriesPerSecond: perSecond(before.counters.entries, now.counters.entries),
    bytesPerSecond: perSecond(before.counters.frameBytes, now.counters.frameBytes),
    groupsPerSecond: perSecond(before.counters.groups, now.counters.groups),
    syncsPerSecond: perSecond(before.counters.syncs, now.counters.syncs),
    groupEntries: sinceReading(now.groupEntries, before.groupEntries),
    writeMicros: sinceReading(now.writeMicros, before.writeMicros),
    syncMicros: sinceReading(now.syncMicros, before.syncMicros),
    lanes: now.lanes.map(({ index, entries }) => ({
      index,
      entriesPerSecond: perSecond(lanesBefore.get(index) ?? 0, entries),
    })),
  };
}
