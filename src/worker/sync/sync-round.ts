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
  /** For each lane, by its index: the way to its producer from the thread that runs the round. 0: the opener's lane. */
  readonly channels: ReadonlyMap<number, AckChannel>;
}

/**
 * One round of syncs, from the files to the waiting callers. The sync thread runs it, the writer thread runs it for a small sync,
 * and the simulation runs it on its disk:
 *
 *   1 sync         the sealed segments, the directory, the live segment
 *   2 watermark    stored in the status: every thread that reads it may rely on the entries
 *   3 figures      before any acknowledgement: a caller that learns of a sync finds it counted
 *   4 lanes        one acknowledgement for each lane with waiting entries
 *   5 followers    after the producers that wait for their own entries
 *   6 diagnostics  for subscribers of `ringwal:sync`
 *
 * No later step may move before step 1: an acknowledgement means that the entry is synced.
 */
export class SyncRound {
  protected readonly parts: SyncRoundParts;

  constructor(parts: SyncRoundParts) {
    this.parts = parts;
  }

  /**
   * Makes the job's files durable and announces it. Returns how many milliseconds the syncs took.
   *
   * @throws LogFailure ERR_WAL_SYNC_FAILED: nothing was announced, and the log must end
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
    throw new Error(`a sync acknowledges entries of lane ${lane}, which has no channel`);
  return channel;
}
