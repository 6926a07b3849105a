import { join } from 'node:path';
import { type Disk, type DiskFile, type FileIdentity, isSameFile, writeFully } from '../../files/disk.js';
import { STATS_FILE } from '../../format/segment-name.js';
import { COUNTERS, encodeStats, type LaneFigures, type StatsCounter } from '../../format/stats-file.js';
import type { Failure } from '../../protocol/errors.js';
import type { LogStatus } from '../../ring/log-status.js';
import { removeIfThere } from '../directory/side-files.js';
import { failureOf } from '../errors/failure.js';

/** What the writer alone knows of the figures that a job is to publish. The rest is on the status. */
export interface StatsSnapshot {
  readonly logId: bigint;
  readonly uptimeMs: number;
  readonly lanes: readonly LaneFigures[];
}

/** What came of a publication. */
export interface StatsOutcome {
  /** Why the figures could not be published. */
  readonly failure: Failure | undefined;
  /** The file of the publication before was not there any more, as when another writer has opened the log. Nothing was published. */
  readonly isLost: boolean;
}

/** The least time between two publications, and between the opening and the first one. */
export const STATS_PERIOD_MS = 1000;

/**
 * When the figures are to be published: with a sync, at most once in a period. A log that comes to rest between two
 * publications makes one more when the period is over, so that what stands there is what is; from then on there is
 * nothing to wait for. A log that rests before its first one publishes nothing.
 */
export class StatsSchedule {
  readonly #openedMs: number;
  #allowedMs: number;
  /** Something was synced, or went, that no publication tells of. */
  hasNews = false;
  /** A file may be there. */
  hasBegun = false;

  constructor(nowMs: number) {
    this.#openedMs = nowMs;
    this.#allowedMs = nowMs + STATS_PERIOD_MS;
  }

  /** Is a job that is to run anyway to publish too? */
  isDue(nowMs: number): boolean {
    return nowMs >= this.#allowedMs;
  }

  /** When a job is to be made for nothing else; Infinity = never. */
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
 * Writes the stats file, on the sync thread and behind whatever somebody waits for.
 *
 * In place, by one write call, and not aside and renamed as the state file: a new name each second would be a change of the
 * directory, which the next sync of a segment takes along into the file system's journal. What a reader may then see half
 * of, a checksum tells. The file is created exclusively and kept open: never is anything written that was not made here,
 * whatever bears its name.
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
   * What keeps figures from being published harms no entry, so it never throws. Where the file is lost nothing is published: the
   * writer is to see first whether the directory is still its log's.
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
      // What a failed close tells is that bytes did not arrive: these are nobody's loss, and the descriptor is free.
    }
  }

  /** Somebody has removed or replaced the file of the last time. */
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

/** Before the log works, what a killed process has left; after it, what it had published. Answers why it could not. */
export function removeStats(disk: Disk, directory: string): Failure | undefined {
  const path = join(directory, STATS_FILE);
  try {
    removeIfThere(disk, path);
    return undefined;
  } catch (error) {
    return failureOf(error, `remove "${path}"`, path);
  }
}
