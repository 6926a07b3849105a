import type { Disk } from '../../files/disk.js';
import type { LogDirectory } from '../directory/log-directory.js';
import { failureOf } from '../errors/failure.js';
import { keepHouse } from '../upkeep/keep-house.js';
import type { StatsPublisher } from '../upkeep/stats-publisher.js';
import type { SyncJob } from './sync-job.js';
import type { SyncRound } from './sync-round.js';
import type { SyncOutcome } from './syncer.js';

/**
 * Runs one job of the sync thread: first the round of syncs, which threads wait for; then housekeeping and the stats file, which
 * no thread waits for.
 */
export class JobRunner {
  readonly #disk: Disk;
  readonly #place: LogDirectory;
  readonly #fileMode: number;
  readonly #round: SyncRound;
  readonly #publisher: StatsPublisher;

  constructor(
    disk: Disk,
    place: LogDirectory,
    fileMode: number,
    round: SyncRound,
    publisher: StatsPublisher,
  ) {
    this.#disk = disk;
    this.#place = place;
    this.#fileMode = fileMode;
    this.#round = round;
    this.#publisher = publisher;
  }

  run(job: SyncJob): SyncOutcome {
    try {
      if (job.files.length > 0) this.#round.run(job);
      const done = keepHouse(this.#disk, this.#place, job, this.#fileMode);
      if (job.statsSnapshot === undefined) return done;
      return { ...done, stats: this.#publisher.publish(job.statsSnapshot) };
    } catch (error) {
      const { directory } = this.#place;
      return failedOutcome(error, `sync "${directory}"`, directory);
    }
  }
}

/** The outcome of a failed job: the log must end. */
export function failedOutcome(error: unknown, doing: string, directory: string): SyncOutcome {
  return { ...NOTHING_DONE, failure: failureOf(error, doing, directory) };
}

export const NOTHING_DONE: SyncOutcome = { stateWritten: false, unremoved: [], troubles: [] };
