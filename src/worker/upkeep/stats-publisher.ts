import { join } from 'node:path';
import { type Disk, type DiskFile, type FileIdentity, isSameFile, writeFully } from '../../files/disk.js';
import { STATS_FILE } from '../../format/segment-name.js';
import { COUNTERS, encodeStats, type LaneFigures, type StatsCounter } from '../../format/stats-file.js';
import type { Failure } from '../../protocol/errors.js';
import type { LogStatus } from '../../ring/log-status.js';
import { removeIfThere } from '../directory/side-files.js';
import { failureOf } from '../errors/failure.js';

/** Figures for the stats file that only the writer knows. The rest is in the status. */
export interface StatsSnapshot {
  readonly logId: bigint;
  readonly uptimeMs: number;
  readonly lanes: readonly LaneFigures[];
}

/** The result of writing the stats file. */
export interface StatsOutcome {
  /** Why the stats file could not be written. */
  readonly failure: Failure | undefined;
  /** The file written last time has gone, for example because another writer has opened the log. Nothing was written. */
  readonly isLost: boolean;
}

/** The least time between two writes of the stats file, and between the opening and the first one. */
export const STATS_PERIOD_MS = 1000;

/**
 * Decides when the stats file is written: with a sync, at most once in a period. A log that comes to rest within a period writes
 * it once more at the period's end, so that the file shows the final figures; then nothing is due any more. A log that rests
 * before its first write writes none.
 */
export class StatsSchedule {
  readonly #openedMs: number;
  #allowedMs: number;
  /** Figures have changed since the file was last written. */
  hasNews = false;
  /** The file may exist. */
  hasBegun = false;

  constructor(nowMs: number) {
    this.#openedMs = nowMs;
    this.#allowedMs = nowMs + STATS_PERIOD_MS;
  }

  /** Is a job that runs anyway to write the file too? */
  isDue(nowMs: number): boolean {
    return nowMs >= this.#allowedMs;
  }

  /** When to start a job for the file alone; Infinity = never. */
  get dueMs(): number {
    return this.hasBegun && this.hasNews ? this.#allowedMs : Number.POSITIVE_INFINITY;
  }

  noteNews(): void {
    this.hasNews = true;
  }

  notePublished(nowMs: number): void {
    this.#allowedMs = nowMs + STATS_PERIOD_MS;
    this.hasNews = false;
    this.hasBegun = true;
  }

  uptimeMs(nowMs: number): number {
    return Math.floor(nowMs - this.#openedMs);
  }
}

/**
 * Writes the stats file, on the sync thread, after everything that a thread waits for.
 *
 * It overwrites the file in place with one write call. The state file is written aside and renamed instead; doing so here would
 * change the directory every second, and the next sync of a segment would then have to write that change to the file system's
 * journal. A reader that sees a half-written file notices it by the checksum. The file is created exclusively and kept open, so
 * that the publisher never writes to a file that it did not create.
 */
export class StatsPublisher {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #status: LogStatus;
  readonly #fileMode: number;
  readonly #pid: number;
  #file: { readonly handle: DiskFile; readonly identity: FileIdentity } | undefined;

  constructor(disk: Disk, directory: string, status: LogStatus, fileMode: number, pid: number) {
    this.#disk = disk;
    this.#path = join(directory, STATS_FILE);
    this.#status = status;
    this.#fileMode = fileMode;
    this.#pid = pid;
  }

  /**
   * Never throws: a failure to write figures harms no entry. If the file is lost nothing is written: the writer first checks
   * whether the directory is still its log's.
   */
  publish({ logId, uptimeMs, lanes }: StatsSnapshot): StatsOutcome {
    const status = this.#status;
    try {
      if (this.#isLost()) {
        this.close();
        return { failure: undefined, isLost: true };
      }
      const bytes = encodeStats({
        logId,
        publishedMs: this.#disk.now(),
        uptimeMs,
        pid: this.#pid,
        counters: Object.fromEntries(COUNTERS.map((name) => [name, status.get(name)])) as Counters,
        lanes,
        writeMicros: status.writeMicros.read(),
        syncMicros: status.syncMicros.read(),
        groupEntries: status.groupEntries.read(),
      });
      writeFully(this.#file?.handle ?? this.#create(), bytes, 0, bytes.length, 0);
      return { failure: undefined, isLost: false };
    } catch (error) {
      const failure = failureOf(error, `publish the figures of the log in "${this.#path}"`, this.#path);
      return { failure, isLost: false };
    }
  }

  close(): void {
    const file = this.#file;
    this.#file = undefined;
    try {
      file?.handle.close();
    } catch {
      // A failed close means that bytes did not arrive. Nothing depends on these bytes, and the descriptor is free.
    }
  }

  /** Another process has removed or replaced the file since the last write. */
  #isLost(): boolean {
    if (this.#file === undefined) return false;
    const named = this.#disk.stat(this.#path);
    return named === undefined || !isSameFile(named, this.#file.identity);
  }

  #create(): DiskFile {
    const handle = this.#disk.open(this.#path, 'wx', this.#fileMode);
    try {
      this.#file = { handle, identity: handle.identity() };
    } catch (error) {
      handle.close();
      throw error;
    }
    return handle;
  }
}

type Counters = Readonly<Record<StatsCounter, number>>;

/** Removes the file that a killed process left, before the log works, or the log's own, when it closes. Returns why it could not. */
export function removeStats(disk: Disk, directory: string): Failure | undefined {
  const path = join(directory, STATS_FILE);
  try {
    removeIfThere(disk, path);
    return undefined;
  } catch (error) {
    return failureOf(error, `remove "${path}"`, path);
  }
}
