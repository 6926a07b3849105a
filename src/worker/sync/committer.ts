import { type Disk, type DiskFile, isFullDisk, isRefusal } from '../../files/disk.js';
import type { LogState } from '../../format/state-file.js';
import type { Failure } from '../../protocol/errors.js';
import type { ToLane } from '../../protocol/lane-messages.js';
import type { WriterOptions } from '../../protocol/thread-data.js';
import type { LogStatus } from '../../ring/log-status.js';
import type { LogDirectory } from '../directory/log-directory.js';
import { failureOf, LogFailure, PassingError } from '../errors/failure.js';
import type { WriterLane } from '../intake/writer-lane.js';
import type { WriterLanes } from '../intake/writer-lanes.js';
import { Housekeeper } from '../upkeep/housekeeper.js';
import {
  removeStats,
  type StatsOutcome,
  StatsSchedule,
  type StatsSnapshot,
} from '../upkeep/stats-publisher.js';
import type { LogTail } from '../write/log-tail.js';
import type { FillStep, Preallocation } from '../write/preallocation.js';
import type { SegmentCatalog, SegmentRecord } from '../write/segment-catalog.js';
import { type CommitView, chooseJob } from './job-choice.js';
import type { SyncJob } from './sync-job.js';
import { SyncPolicy } from './sync-policy.js';
import type { SyncRound } from './sync-round.js';
import type { Syncer, SyncOutcome } from './syncer.js';

/**
 * While the sync thread fills a file ahead, the writer syncs up to this much itself: that takes about as long as waiting for the
 * step.
 */
const SYNC_HERE_BYTES_MAX = 1024 * 1024;

/**
 * The writer syncs a group of durable appends itself if it has at most this many bytes and the last sync took at most this long.
 * Bet: two thread switches and two messages cost as much as such a sync, and entries that come meanwhile wait in the ring no
 * longer than they would for the next sync (bench/workloads/in-flight.ts: a fifth more entries a second). On a slow disk, and
 * with larger groups, the writer keeps draining while the sync thread syncs.
 */
const QUICK_BYTES_MAX = 256 * 1024;
/** A lone entry after a lone entry has no such limit: no other caller has a written entry that the sync would delay. */
const QUICK_MS_MAX = 1;

export interface CommitterParts {
  readonly disk: Disk;
  /** Milliseconds of a clock that never goes back. */
  readonly nowMs: () => number;
  readonly status: LogStatus;
  readonly options: WriterOptions;
  readonly lanes: WriterLanes;
  readonly tail: LogTail;
  readonly preallocation: Preallocation;
  readonly syncer: Syncer;
  /** The round of syncs for this thread. */
  readonly round: SyncRound;
  /** The state of the log; `watermark` is the state file's. */
  readonly start: {
    readonly logId: bigint;
    readonly place: LogDirectory;
    readonly catalog: SegmentCatalog;
    readonly lastLsn: number;
    readonly watermark: number;
    readonly state: LogState;
    readonly finishRecovery: (() => void) | undefined;
  };
}

/**
 * Makes written entries durable: decides when (job-choice.ts), starts the jobs of the sync thread, syncs on this thread where
 * that is quicker, and takes in the outcomes. At most one job is under way:
 *
 *   sync          of everything written, with the acknowledgements; with housekeeping and the stats file if they are due
 *   housekeeping  alone, when everything is durable already
 *   stats         alone, when the log has come to rest
 *   filling       of the next segment's file: the one job that a sync does not wait for
 */
export class Committer {
  readonly housekeeper: Housekeeper;
  readonly #disk: Disk;
  readonly #nowMs: () => number;
  readonly #status: LogStatus;
  readonly #options: WriterOptions;
  readonly #lanes: WriterLanes;
  readonly #tail: LogTail;
  readonly #syncer: Syncer;
  readonly #round: SyncRound;
  readonly #start: CommitterParts['start'];
  readonly #policy: SyncPolicy;
  readonly #statsSchedule: StatsSchedule;
  readonly #preallocation: Preallocation;
  #watermark: number;
  /** The archive knows that segments up to this number are sealed and durable. */
  #finalSegment: number;
  /** The end of recovery that was postponed for lack of room: nothing is written or synced before it has run. */
  #finishRecovery: (() => void) | undefined;
  #isClosing = false;
  /** The job that the syncer runs. */
  #job: SyncJob<DiskFile> | undefined;
  /** The whole work of the job under way, if that job only fills a file. */
  #filling: FillStep | undefined;
  /** `onError` gets one failure to write stats per open: the same one would come every second. */
  #hasReportedStatsFailure = false;
  #hadLoneCommit = false;
  /** The last sync covered one entry. */
  #wasLone = false;
  /** How long the last sync took, including the writer's work until it noticed the end. */
  #lastSyncMs = Number.POSITIVE_INFINITY;
  #syncStartedMs = 0;

  constructor(parts: CommitterParts) {
    const { disk, nowMs, status, options, start, preallocation } = parts;
    this.#disk = disk;
    this.#nowMs = nowMs;
    this.#status = status;
    this.#options = options;
    this.#lanes = parts.lanes;
    this.#tail = parts.tail;
    this.#syncer = parts.syncer;
    this.#round = parts.round;
    this.#start = start;
    this.#policy = new SyncPolicy(options);
    this.#statsSchedule = new StatsSchedule(nowMs());
    this.#preallocation = preallocation;
    this.#watermark = start.watermark;
    this.#finalSegment = (start.catalog.last?.number ?? 0) - 1;
    this.#finishRecovery = start.finishRecovery;
    this.housekeeper = new Housekeeper(
      {
        disk,
        nowMs,
        options,
        status,
        ...start,
        stateWatermark: start.watermark,
        preallocation,
        tell: (message) => this.#tell(message),
      },
      start.watermark,
    );
    status.set('durableLsn', start.watermark);
  }

  /** W: everything up to it is durable. */
  get watermark(): number {
    return this.#watermark;
  }

  /** When [startDue] has a job to start; Infinity = only once there is new work. */
  get dueMs(): number {
    const syncDueMs = this.#syncThread === 'working' ? Number.POSITIVE_INFINITY : this.#policy.dueMs;
    // Postponed recovery is retried when a caller waits for it, not by the clock.
    if (this.#syncer.busy || this.#finishRecovery !== undefined) return syncDueMs;
    const housekeepingDueMs = this.#isUnsynced ? Number.POSITIVE_INFINITY : this.housekeeper.dueMs;
    return Math.min(syncDueMs, housekeepingDueMs, this.#statsDueMs);
  }

  /** No job is under way, and everything that can be durable is. */
  get isAtRest(): boolean {
    return !this.#syncer.busy && (this.#finishRecovery !== undefined || !this.#isUnsynced);
  }

  /** A group of `lane` was written. */
  noteWritten(lane: WriterLane): void {
    const now = this.#nowMs();
    this.housekeeper.noteNews();
    this.#policy.noteWritten(now, this.#tail);
    if (lane.waiters.wantsCommit) this.#policy.noteCommit(now);
  }

  /** A segment was begun; `sealed`: the one before it is complete. */
  noteRotated(live: SegmentRecord, sealed: boolean): void {
    this.housekeeper.noteBegun(live);
    if (sealed) this.housekeeper.noteSealed();
    this.#tellOfPreallocation(this.#preallocation.takeTroubles());
  }

  /** The written part of an unfinished batch was cut off again. */
  noteTakenBack(): void {
    // Only the batch that was cut off needed a sync.
    if (!this.#isUnsynced) this.#policy.noteStarted();
    this.#expectIdle();
  }

  /** The figures in the stats file have changed. */
  noteNews(): void {
    this.#statsSchedule.noteNews();
  }

  /** From now on the committer starts no work that a closed log does not need. */
  startClosing(): void {
    this.#isClosing = true;
  }

  /** The log is being cut after entry `lsn`. */
  lowerWatermark(lsn: number): void {
    this.#watermark = lsn;
    this.#status.set('durableLsn', lsn);
    this.#finalSegment = Math.min(this.#finalSegment, (this.#start.catalog.last?.number ?? 0) - 1);
  }

  /** Was a lone durable append acknowledged since the last call? Its producer may make the next one at once. */
  takeLoneCommit(): boolean {
    const hadLoneCommit = this.#hadLoneCommit;
    this.#hadLoneCommit = false;
    return hadLoneCommit;
  }

  /**
   * Runs the postponed end of recovery, if there is one. Then everything that recovery kept is durable, and the state file
   * records it.
   *
   * @throws PassingError if there still is no room or no permission for it
   */
  finishRecovery(): void {
    if (this.#finishRecovery === undefined) return;
    try {
      this.#finishRecovery();
    } catch (error) {
      throw isRefusal(error) ? new PassingError(error) : error;
    }
    this.#finishRecovery = undefined;
    const { lastLsn } = this.#start;
    this.#watermark = lastLsn;
    this.housekeeper.noteStateWritten(lastLsn);
    if (this.#status.moveWatermark(lastLsn)) this.#tell({ kind: 'watermark' });
  }

  /**
   * Starts the job that is due; true = there was one. `isForced`: a caller waits for a sync.
   *
   * @throws PassingError if the end of recovery was due, and there still is no room for it
   */
  startDue(isForced: boolean): boolean {
    const view = this.#view(isForced);
    switch (chooseJob(view)) {
      case 'nothing':
        return false;
      case 'recover':
        this.finishRecovery();
        return true;
      case 'fill-and-sync-here':
        this.#writeZerosAhead(view.isAwaited);
        this.#startFilling();
        this.#syncHere();
        return true;
      case 'sync-here':
        this.#writeZerosAhead(view.isAwaited);
        this.#syncHere();
        return true;
      case 'sync':
        this.#writeZerosAhead(view.isAwaited);
        this.#startJob(true);
        return true;
      case 'keep-house':
        this.#startJob(false);
        return true;
      case 'publish':
        return this.#startPublishing();
      case 'fill':
        this.#startFilling();
        return false;
    }
  }

  #view(isForced: boolean): CommitView {
    const nowMs = this.#nowMs();
    return {
      syncThread: this.#syncThread,
      isRecoveryPostponed: this.#finishRecovery !== undefined,
      isForced,
      isUnsynced: this.#isUnsynced,
      isSyncDue: nowMs >= this.#policy.dueMs,
      isAwaited: isForced || this.#policy.isCommitDue(nowMs),
      isQuick: this.#isQuick(nowMs),
      isHousekeepingDue: nowMs >= this.housekeeper.dueMs,
      isStatsDue: nowMs >= this.#statsDueMs,
      isFillingDue: this.#dueFilling !== undefined,
    };
  }

  /** Runs before a sync that a caller waits for. */
  #writeZerosAhead(isAwaited: boolean): void {
    if (!isAwaited || this.#isClosing) return;
    this.#tail.fillAhead();
    this.#tellOfPreallocation(this.#preallocation.takeTroubles());
  }

  /**
   * A sealed segment may stay unsynced only until the segment after the next one is created, and the name of a segment only until
   * the next one is: if a later segment survived without an earlier one, the log would have a hole. A job that covers neither (a
   * sync of the live segment alone, or no sync) may go on meanwhile.
   */
  syncSealed(): void {
    if (this.#isSealUnderWay) this.finishJob();
    if (this.#tail.isOnlyLiveUnsynced) return;
    if (this.#filling !== undefined) {
      this.#syncHere();
      return;
    }
    this.finishJob();
    this.#startJob(true);
    this.finishJob();
  }

  /** When it returns everything that is written is durable. @throws PassingError as [finishRecovery] */
  syncAll(): void {
    this.finishRecovery();
    this.finishJob();
    if (!this.#isUnsynced) return;
    this.#startJob(true);
    this.finishJob();
  }

  /** When it returns, entries up to `lsn` are durable and no job is under way. @throws PassingError as [finishRecovery] */
  syncUpTo(lsn: number): void {
    this.finishRecovery();
    this.finishJob();
    if (lsn > this.#watermark) this.syncAll();
  }

  /** Takes in a finished job; true = there was one. @throws LogFailure if it failed */
  poll(): boolean {
    const outcome = this.#syncer.poll();
    if (outcome === undefined) return false;
    this.#noteOutcome(outcome);
    return true;
  }

  /** Waits for the job under way, if there is one. @throws LogFailure if it failed */
  finishJob(): void {
    if (this.#syncer.busy) this.#noteOutcome(this.#syncer.finish());
  }

  /** As [poll], for a log that failed before its job did: even written and acknowledged entries may be lost. */
  pollLate(): boolean {
    const outcome = this.#syncer.poll();
    if (outcome !== undefined) this.#tellOfLateFailure(outcome);
    return outcome !== undefined;
  }

  /**
   * Gives back the disk space of a prepared segment, whole or in part, and waits for the removal of segments under way. True =
   * there is more free space now.
   */
  makeRoom(): boolean {
    // If the filling itself found no room, it has given back its file.
    const wasFilling = this.#filling !== undefined;
    const wasRemoving = this.#job !== undefined && this.#job.removals.length > 0;
    if (wasFilling || wasRemoving) this.finishJob();
    // Another log may own the file that now has the prepared file's name.
    if (!this.#start.place.isOwn) return false;
    const { isDone, troubles } = this.#preallocation.release(this.#disk, this.#options.directory);
    this.#tellOfPreallocation(troubles);
    return isDone || wasFilling || wasRemoving;
  }

  /** Runs `act`. If the disk is full and space can be freed, runs it once more. */
  withRoom<T>(act: () => T): T {
    try {
      return act();
    } catch (error) {
      if (!isFullDisk(error) || !this.makeRoom()) throw error;
      return act();
    }
  }

  /** The log is being closed; no job is started any more. `hasFailed`: entries that are not durable stay so. */
  close(hasFailed: boolean): void {
    const { directory } = this.#options;
    const isWhole = !hasFailed && this.#finishRecovery === undefined;
    if (isWhole && this.housekeeper.isStateStale(this.#watermark)) {
      try {
        this.withRoom(() => this.housekeeper.writeState(this.housekeeper.state(this.#watermark)));
      } catch (error) {
        // Every entry is durable. Only the record that the last group was durable is missing at the next open.
        const failure = failureOf(error, `write the state file of "${directory}"`, directory);
        this.#tell({ kind: 'trouble', failure });
      }
    }
    if (this.#syncer.busy) this.#tellOfLateFailure(this.#syncer.finish());
    // If the log ended because another log has taken its place, the file is the other log's.
    if (this.#statsSchedule.hasBegun && (isWhole || this.#isStillHere))
      this.#tellOfPublication(removeStats(this.#disk, directory));
  }

  get #isStillHere(): boolean {
    try {
      this.#tail.checkPlace();
      return true;
    } catch {
      // The log has ended and reports why. The lock distinguishes a stats file left behind from a running log's.
      return false;
    }
  }

  #tell(message: ToLane): void {
    this.#lanes.opener.post(message);
  }

  /** A job that only fills a file does not count for a small sync. */
  get #syncThread(): CommitView['syncThread'] {
    if (!this.#syncer.busy) return 'free';
    return this.#filling !== undefined && this.#isSmall ? 'filling' : 'working';
  }

  get #isUnsynced(): boolean {
    return this.#tail.wholeLsn > this.#watermark;
  }

  /** Does the job under way make more durable than the live segment it started with? */
  get #isSealUnderWay(): boolean {
    return this.#job !== undefined && (this.#job.directoryChanged || this.#job.files.length > 1);
  }

  get #isSmall(): boolean {
    return this.#tail.pendingBytes <= SYNC_HERE_BYTES_MAX;
  }

  /**
   * Is this a small group on a quick disk, or one lone entry after the other, while callers wait for a sync? Then the switch to the
   * sync thread would only cost time.
   */
  #isQuick(nowMs: number): boolean {
    return (
      (this.#lastSyncMs <= QUICK_MS_MAX || (this.#wasLone && this.#isLone(this.#tail.wholeLsn))) &&
      this.#tail.pendingBytes <= QUICK_BYTES_MAX &&
      !this.#lanes.all.some(({ waiters }) => waiters.wantsWritten) &&
      this.#needsNoThread(nowMs)
    );
  }

  /** Is the entry `lsn` all that is not durable yet? */
  #isLone(lsn: number): boolean {
    return lsn === this.#watermark + 1;
  }

  /**
   * Would the sync thread have nothing else to do with the sync? Once a second it has: otherwise a log of lone entries or small
   * groups would never write its stats file.
   */
  #needsNoThread(nowMs: number): boolean {
    return this.#tail.isOnlyLiveUnsynced && !this.housekeeper.isWorkDue && !this.#statsSchedule.isDue(nowMs);
  }

  #startJob(withFiles: boolean): void {
    this.#syncStartedMs = this.#nowMs();
    this.#job = this.#createJob(withFiles);
    this.#syncer.start(this.#job);
  }

  /** The step towards the next segment's file for the sync thread, if it has nothing else to do. */
  get #dueFilling(): FillStep | undefined {
    if (this.#syncer.busy || this.housekeeper.isWorkDue || this.#isClosing || !this.#isSmall)
      return undefined;
    return this.#preallocation.dueStep(this.#tail.progress);
  }

  #startFilling(): void {
    const step = this.#dueFilling as FillStep;
    this.#filling = step;
    this.#startAlone({ fill: step });
  }

  #startPublishing(): boolean {
    const statsSnapshot = this.#takeStatsSnapshot(this.#nowMs());
    if (!this.#mayChangeNames()) return false;
    this.#startAlone({ statsSnapshot });
    return true;
  }

  /** Starts a job that syncs no entry. */
  #startAlone(work: Pick<SyncJob, 'fill' | 'statsSnapshot'>): void {
    this.#job = {
      ...NOTHING_UNSYNCED,
      ...NO_HOUSEWORK,
      watermark: this.#watermark,
      acknowledgements: [],
      ...work,
    };
    this.#syncer.start(this.#job);
  }

  /** Leaves housework to the sync thread. */
  #syncHere(): void {
    const job = this.#createJob(true, true);
    this.#noteDuration(job, this.#round.run(job));
    this.#hadLoneCommit = job.acknowledgements.length > 0 && this.#isLone(job.watermark);
    this.#noteSynced(job);
  }

  #createJob(withFiles: boolean, isHere = false): SyncJob<DiskFile> {
    const tail = this.#tail;
    const watermark = tail.wholeLsn;
    if (watermark < this.#watermark) throw new Error('the watermark went back without a cut');
    const isWorkDue = !isHere && (this.housekeeper.isWorkDue || !withFiles);
    const { files, directoryChanged, hasZeros } = withFiles ? tail.takeUnsynced() : NOTHING_UNSYNCED;
    const isPublishing = !isHere && this.#isStatsDue(withFiles);
    // Taken before the check of the directory, as in #startPublishing: whatever that finds, the figures are next due in a second.
    const statsSnapshot = isPublishing ? this.#takeStatsSnapshot(this.#nowMs()) : undefined;
    const mayChangeNames = (isWorkDue || isPublishing) && this.#mayChangeNames();
    const hasWork = isWorkDue && mayChangeNames;
    this.housekeeper.noteNews();
    if (withFiles) this.#policy.noteStarted();
    const acknowledgements = withFiles ? this.#startAcknowledgements() : [];
    const { state, removals, recycling } = hasWork ? this.housekeeper.takeWork(watermark) : NO_HOUSEWORK;
    // Written out instead of spread: with a spread the engine would build a new object shape for each small group.
    return {
      files,
      directoryChanged,
      hasZeros,
      watermark,
      acknowledgements,
      state,
      removals,
      recycling,
      fill: undefined,
      statsSnapshot: mayChangeNames ? statsSnapshot : undefined,
    };
  }

  /**
   * May files be replaced and removed by their names? If that cannot be found out it is put off: writing and syncing need no
   * name.
   *
   * @throws LogFailure: the directory is no longer the log's
   */
  #mayChangeNames(): boolean {
    try {
      this.#tail.checkPlace();
      return true;
    } catch (error) {
      if (error instanceof LogFailure) throw error;
      const { directory } = this.#options;
      this.#tell({ kind: 'trouble', failure: failureOf(error, `look at "${directory}"`, directory) });
      this.housekeeper.putOff();
      return false;
    }
  }

  #startAcknowledgements(): SyncJob['acknowledgements'] {
    const acknowledgements = [];
    for (const { index, waiters } of this.#lanes.all) {
      const runs = waiters.startSync();
      if (runs.length > 0) acknowledgements.push({ lane: index, runs });
    }
    return acknowledgements;
  }

  #isStatsDue(syncs: boolean): boolean {
    const hasNews = syncs || this.#statsSchedule.hasNews;
    return hasNews && !this.#isClosing && this.#statsSchedule.isDue(this.#nowMs());
  }

  /** When a log that has come to rest writes its stats file once more. If entries are unsynced, their sync does it. */
  get #statsDueMs(): number {
    const isAtRest = !this.#isUnsynced && !this.#isClosing;
    return isAtRest ? this.#statsSchedule.dueMs : Number.POSITIVE_INFINITY;
  }

  /** The stats file is about to be written: takes the figures that the sync thread does not see. */
  #takeStatsSnapshot(nowMs: number): StatsSnapshot {
    this.#statsSchedule.notePublished(nowMs);
    return {
      logId: this.#start.logId,
      uptimeMs: this.#statsSchedule.uptimeMs(nowMs),
      lanes: this.#lanes.all.map((lane) => lane.figures),
    };
  }

  #noteOutcome(outcome: SyncOutcome): void {
    const job = this.#job as SyncJob<DiskFile>;
    this.#job = undefined;
    const step = this.#filling;
    this.#filling = undefined;
    if (outcome.failure !== undefined) throw LogFailure.of(outcome.failure);
    if (step !== undefined) {
      this.#noteFilled(step, outcome.fillTroubles ?? []);
      return;
    }
    if (outcome.recycled !== undefined) {
      this.#preallocation.noteSpare(outcome.recycled.spareBytes);
      this.#tellOfPreallocation(outcome.recycled.troubles);
    }
    for (const failure of outcome.troubles) this.#tell({ kind: 'trouble', failure });
    // Either the directory has gone, which ends the log, or a file is missing that the log can do without.
    if (outcome.troubles.some(({ cause }) => cause?.code === 'ENOENT')) this.#tail.checkPlace();
    this.housekeeper.noteDone(job, outcome);
    this.#noteDuration(job, this.#nowMs() - this.#syncStartedMs);
    this.#noteSynced(job);
    // Under a load that makes no segment this is the first to notice that the directory has gone, or that another writer has
    // opened the log and removed the file: open files do not show it.
    const { failure, isLost } = outcome.stats ?? NO_STATS_OUTCOME;
    if (isLost || failure?.cause?.code === 'ENOENT') this.#tail.checkPlace();
    if (isLost) this.#statsSchedule.noteNews();
    this.#tellOfPublication(failure);
  }

  /** Zeros take longer than a small group, and say nothing about the speed of the disk. */
  #noteDuration({ files, hasZeros }: SyncJob, ms: number): void {
    if (files.length > 0 && !hasZeros) this.#lastSyncMs = ms;
  }

  #noteFilled(step: FillStep, troubles: readonly Failure[]): void {
    if (troubles.length === 0) this.#preallocation.noteFilled(step);
    else this.#preallocation.giveUp();
    this.#tellOfPreallocation(troubles);
  }

  #noteSynced(job: SyncJob<DiskFile>): void {
    this.#tail.synced(job.files);
    if (job.files.length > 0) this.#wasLone = this.#isLone(job.watermark);
    this.#watermark = job.watermark;
    if (this.#options.hasArchive) this.#tellOfSealed();
    if (job.files.length > 0 && job.statsSnapshot === undefined) this.#statsSchedule.noteNews();
    // A state file that found no room waits for the next sync: a retry at once would only report the same failure again.
    if (job.files.length > 0) this.#expectIdle();
  }

  #tellOfSealed(): void {
    const upTo = this.#tail.finalSegment(this.#watermark);
    if (upTo <= this.#finalSegment) return;
    this.#finalSegment = upTo;
    this.#tell({ kind: 'segments-sealed', upTo });
  }

  #expectIdle(): void {
    if (!this.#isUnsynced) this.housekeeper.expectIdle(this.#watermark);
  }

  #tellOfPreallocation(troubles: readonly Failure[]): void {
    for (const failure of this.#preallocation.toTell(troubles)) this.#tell({ kind: 'trouble', failure });
  }

  #tellOfPublication(failure: Failure | undefined): void {
    if (failure === undefined || this.#hasReportedStatsFailure) return;
    this.#hasReportedStatsFailure = true;
    this.#tell({ kind: 'trouble', failure });
  }

  #tellOfLateFailure({ failure }: SyncOutcome): void {
    if (failure !== undefined) this.#tell({ kind: 'trouble', failure });
  }
}

const NOTHING_UNSYNCED = { files: [], directoryChanged: false, hasZeros: false };
const NO_STATS_OUTCOME: StatsOutcome = { failure: undefined, isLost: false };
const NO_HOUSEWORK = { state: undefined, removals: [], recycling: undefined };
