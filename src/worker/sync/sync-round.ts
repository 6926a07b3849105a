import type { Disk } from '../../files/disk.js';
import type { LogStatus } from '../../ring/log-status.js';
import type { AckChannel } from '../intake/ack-channel.js';
import { type SyncJob, syncFiles } from './sync-job.js';

export interface SyncRoundParts {
  readonly disk: Disk;
  /** Milliseconds of a clock that never goes back. */
  readonly nowMs: () => number;
  readonly directory: string;
  readonly status: LogStatus;
  /** The way to the producer of each lane from the thread that runs the round, by the lane's index. 0: the opener's. */
  readonly channels: ReadonlyMap<number, AckChannel>;
}

/**
 * One round of syncs, from the files to those that wait. The sync thread runs it, the writer thread runs it for a small sync,
 * and the simulation runs it on its disk:
 *
 *   1 sync         the sealed segments, the directory, the live segment
 *   2 watermark    stored on the status: every thread that reads it may take the entries for durable
 *   3 figures      before anybody is told: who hears of a sync finds it counted
 *   4 lanes        one acknowledgement for each lane that waits
 *   5 followers    after those that wait for their own entries
 *   6 diagnostics  for subscribers of `ringwal:sync`
 *
 * Nothing after step 1 may come before it: that is what an acknowledgement means.
 */
export class SyncRound {
  protected readonly parts: SyncRoundParts;

  constructor(parts: SyncRoundParts) {
    this.parts = parts;
  }

  /**
   * Makes the job's files durable and tells of it; answers how many milliseconds the syncs took.
   *
   * @throws LogFailure ERR_WAL_SYNC_FAILED: nobody was told of anything, and the log must end
   */
  run(job: SyncJob): number {
    const startedMs = this.parts.nowMs();
    this.sync(job);
    const durationMs = this.parts.nowMs() - startedMs;
    this.announce(job, durationMs);
    return durationMs;
  }

  protected sync(job: SyncJob): void {
    syncFiles(this.parts.disk, this.parts.directory, job);
  }

  protected announce({ watermark, acknowledgements }: SyncJob, durationMs: number): void {
    const { status, channels } = this.parts;
    const isFollowed = status.moveWatermark(watermark);
    status.add('syncs', 1);
    status.syncMicros.record(durationMs * 1000);
    for (const { lane, runs } of acknowledgements) channelOf(channels, lane).acknowledge('durable', runs);
    if (isFollowed) channelOf(channels, 0).post({ kind: 'watermark' });
    if (status.syncsWatched) channelOf(channels, 0).post({ kind: 'sync-made', watermark, durationMs });
  }
}

function channelOf(channels: ReadonlyMap<number, AckChannel>, lane: number): AckChannel {
  const channel = channels.get(lane);
  if (channel === undefined)
    throw new Error(`a sync acknowledges entries of lane ${lane}, which is not there`);
  return channel;
}
