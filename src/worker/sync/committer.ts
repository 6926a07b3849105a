import { type Disk, type DiskFile, isFullDisk, isRefusal } from '../../files/disk.js';
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

/** Up to so much the writer syncs itself while the sync thread fills a file ahead: that is as quickly done as a step. */
const SYNC_HERE_BYTES_MAX = 1024 * 1024;

/**
 * A group of durable appends that the writer syncs itself: its bytes at most, and what the last sync took at most. Bet: two
 * thread switches and two messages cost as much as such a sync, and what comes meanwhile waits in the ring no longer than
 * it would for the next sync (bench/workloads/in-flight.ts: a fifth more entries a second). On a slow disk,
 * and where much is written, the drain goes on beside the sync.
 */
const QUICK_BYTES_MAX = 256 * 1024;
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
  /** The round that runs on this thread. */
  readonly round: SyncRound;
  /** Where the log stands; `watermark` as the state file has it. */
  readonly start: {
    readonly logId: bigint;
    readonly place: LogDirectory;
    readonly catalog: SegmentCatalog;
    readonly lastLsn: number;
    readonly watermark: number;
    readonly checkpoint: number;
    readonly finishRecovery: (() => void) | undefined;
  };
}

/**
 * Makes durable what is written: decides when (job-choice.ts), starts the jobs of the sync thread, syncs by itself where that is quicker,
 * and takes note of what came of it. At most one job is under way:
 *
 *   sync          of everything written, with the acknowledgements; housekeeping and publication with it where they are due
 *   housekeeping  alone, when everything is durable already
 *   publication   alone, when the log has come to rest
 *   filling       of the next segment: the one job that a sync does not wait for
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
  /** What recovery put off for lack of room, as long as it is not done: nothing is written or synced before it. */
  #finishRecovery: (() => void) | undefined;
  #isClosing = false;
  /** The job that the syncer runs. */
  #job: SyncJob<DiskFile> | undefined;
  /** All that the job under way does, if it is one of these. */
  #filling: FillStep | undefined;
  /** Of trouble with publishing `onError` hears once: it is the same trouble every second. */
  #hasReportedStatsFailure = false;
  #hadLoneCommit = false;
  /** How long the last sync took, with what the writer did before it looked. */
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

  /** When [startDue] has something to start; Infinity = not before something comes. */
  get dueMs(): number {
    const syncDueMs = this.#syncThread === 'working' ? Number.POSITIVE_INFINITY : this.#policy.dueMs;
    // What recovery could not do yet is tried when somebody waits for it, not by the clock.
    if (this.#syncer.busy || this.#finishRecovery !== undefined) return syncDueMs;
    const housekeepingDueMs = this.#isUnsynced ? Number.POSITIVE_INFINITY : this.housekeeper.dueMs;
    return Math.min(syncDueMs, housekeepingDueMs, this.#statsDueMs);
  }

  /** No job is under way, and everything that can be is durable. */
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

  /** What was written of an unfinished batch is gone again. */
  noteTakenBack(): void {
    // Of a batch that is gone nothing is left to sync.
    if (!this.#isUnsynced) this.#policy.noteStarted();
    this.#expectIdle();
  }

  /** There is something new for those who look at the log's figures from outside. */
  noteNews(): void {
    this.#statsSchedule.noteNews();
  }

  /** From now on nothing is begun that a closed log has no use for. */
  startClosing(): void {
    this.#isClosing = true;
  }

  /** The log is being cut after entry `lsn`. */
  lowerWatermark(lsn: number): void {
    this.#watermark = lsn;
    this.#status.set('durableLsn', lsn);
  }

  /** Was somebody told of a lone durable append, since this was asked last? That producer may make the next one at once. */
  takeLoneCommit(): boolean {
    const hadLoneCommit = this.#hadLoneCommit;
    this.#hadLoneCommit = false;
    return hadLoneCommit;
  }

  /**
   * Does what recovery put off, if it put off anything: from then on all that it kept is durable, and the state file says so.
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
   * Starts what is due: true = something was. `isForced`: somebody waits for a sync.
   *
   * @throws PassingError if it was the end of recovery, and there still is no room for it
   */
  startDue(isForced: boolean): boolean {
    switch (chooseJob(this.#view(isForced))) {
      case 'nothing':
        return false;
      case 'recover':
        this.finishRecovery();
        return true;
      case 'fill-and-sync-here':
        this.#writeZerosAhead(isForced);
        this.#startFilling();
        this.#syncHere();
        return true;
      case 'sync-here':
        this.#writeZerosAhead(isForced);
        this.#syncHere();
        return true;
      case 'sync':
        this.#writeZerosAhead(isForced);
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

  /** Before a sync that somebody waits for. */
  #writeZerosAhead(isForced: boolean): void {
    const isAwaited = isForced || this.#policy.isCommitDue(this.#nowMs());
    if (!isAwaited || this.#isClosing) return;
    this.#tail.fillAhead();
    this.#tellOfPreallocation(this.#preallocation.takeTroubles());
  }

  /**
   * A sealed segment may stay unsynced only until the next but one is created, and the name of a segment only until the
   * next is: a log that a later segment survived without an earlier one would have a hole. A job that owes neither goes on
   * meanwhile: a sync of the live segment alone, or none.
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

  /** Takes note of a finished job; true = one was. @throws LogFailure if it failed */
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

  /** As [poll], of a log that has failed before its job did: what was written and acknowledged may be gone, too. */
  pollLate(): boolean {
    const outcome = this.#syncer.poll();
    if (outcome !== undefined) this.#tellOfLateFailure(outcome);
    return outcome !== undefined;
  }

  /**
   * Gives back the room of a segment that was made ready, whole or in part, and waits for that of segments which are being
   * removed. True = there is more room now.
   */
  makeRoom(): boolean {
    // If it found no room itself it has given back what it had.
    const wasFilling = this.#filling !== undefined;
    const wasRemoving = this.#job !== undefined && this.#job.removals.length > 0;
    if (wasFilling || wasRemoving) this.finishJob();
    // What is there by the name of the file that was made ready may be another log's.
    if (!this.#start.place.isOwn) return false;
    const { isDone, troubles } = this.#preallocation.release(this.#disk, this.#options.directory);
    this.#tellOfPreallocation(troubles);
    return isDone || wasFilling || wasRemoving;
  }

  /** Runs `act`; if the disk is full and room can be made, once more. */
  withRoom<T>(act: () => T): T {
    try {
      return act();
    } catch (error) {
      if (!isFullDisk(error) || !this.makeRoom()) throw error;
      return act();
    }
  }

  /** The log is being closed; nothing more is started. `hasFailed`: what is not durable stays so. */
  close(hasFailed: boolean): void {
    const { directory } = this.#options;
    const isWhole = !hasFailed && this.#finishRecovery === undefined;
    if (isWhole && this.housekeeper.isStateStale(this.#watermark)) {
      try {
        this.withRoom(() => this.housekeeper.writeState(this.housekeeper.state(this.#watermark)));
      } catch (error) {
        // Everything is durable: only the proof that the last group was is missing at the next open.
        const failure = failureOf(error, `write the state file of "${directory}"`, directory);
        this.#tell({ kind: 'trouble', failure });
      }
    }
    if (this.#syncer.busy) this.#tellOfLateFailure(this.#syncer.finish());
    // Of a log that has ended because the place is another's now, the file is the other one's.
    if (this.#statsSchedule.hasBegun && (isWhole || this.#isStillHere))
      this.#tellOfPublication(removeStats(this.#disk, directory));
  }

  get #isStillHere(): boolean {
    try {
      this.#tail.checkPlace();
      return true;
    } catch {
      // The log has ended, and says why. Figures that are left are told from those of a running log by the lock.
      return false;
    }
  }

  #tell(message: ToLane): void {
    this.#lanes.opener.post(message);
  }

  /** Of a file that is being filled a small sync takes no notice. */
  get #syncThread(): CommitView['syncThread'] {
    if (!this.#syncer.busy) return 'free';
    return this.#filling !== undefined && this.#isSmall ? 'filling' : 'working';
  }

  get #isUnsynced(): boolean {
    return this.#tail.wholeLsn > this.#watermark;
  }

  /** Is a job to make more durable than what the live segment, when it started, held? */
  get #isSealUnderWay(): boolean {
    return this.#job !== undefined && (this.#job.directoryChanged || this.#job.files.length > 1);
  }

  get #isSmall(): boolean {
    return this.#tail.pendingBytes <= SYNC_HERE_BYTES_MAX;
  }

  /**
   * A small group, or a lone entry, on a quick disk, while nobody waits for less than a sync: the hop to the sync thread would
   * only cost time.
   */
  #isQuick(nowMs: number): boolean {
    return (
      this.#lastSyncMs <= QUICK_MS_MAX &&
      this.#tail.pendingBytes <= QUICK_BYTES_MAX &&
      !this.#lanes.all.some(({ waiters }) => waiters.wantsWritten) &&
      this.#needsNoThread(nowMs)
    );
  }

  /**
   * The sync would have no other work with it. Once in a second it has: a log of lone entries, or of small groups, would never
   * publish its figures otherwise.
   */
  #needsNoThread(nowMs: number): boolean {
    return this.#tail.isOnlyLiveUnsynced && !this.housekeeper.isWorkDue && !this.#statsSchedule.isDue(nowMs);
  }

  #startJob(withFiles: boolean): void {
    this.#syncStartedMs = this.#nowMs();
    this.#job = this.#createJob(withFiles);
    this.#syncer.start(this.#job);
  }

  /** The step towards the next segment that the sync thread is to make, if it has nothing else to do. */
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

  /** A job for nothing that has been written. */
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

  /** Without the housework, which is for the sync thread. */
  #syncHere(): void {
    const job = this.#createJob(true, true);
    const startedMs = this.#nowMs();
    this.#round.run(job);
    this.#noteDuration(job, this.#nowMs() - startedMs);
    this.#hadLoneCommit = job.acknowledgements.length > 0 && job.watermark === this.#watermark + 1;
    this.#noteSynced(job);
  }

  #createJob(withFiles: boolean, isHere = false): SyncJob<DiskFile> {
    const tail = this.#tail;
    const watermark = tail.wholeLsn;
    if (watermark < this.#watermark) throw new Error('the watermark of a log goes back by a cut only');
    const isWorkDue = !isHere && (this.housekeeper.isWorkDue || !withFiles);
    const { files, directoryChanged, hasZeros } = withFiles ? tail.takeUnsynced() : NOTHING_UNSYNCED;
    const isPublishing = !isHere && this.#isStatsDue(withFiles);
    const mayChangeNames = (isWorkDue || isPublishing) && this.#mayChangeNames();
    const hasWork = isWorkDue && mayChangeNames;
    this.housekeeper.noteNews();
    if (withFiles) this.#policy.noteStarted();
    const acknowledgements = withFiles ? this.#startAcknowledgements() : [];
    const { state, removals, recycling } = hasWork ? this.housekeeper.takeWork(watermark) : NO_HOUSEWORK;
    const statsSnapshot = isPublishing && mayChangeNames ? this.#takeStatsSnapshot(this.#nowMs()) : undefined;
    // One after the other and not spread: the engine would make the object's shape anew for each small group.
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
      statsSnapshot,
    };
  }

  /**
   * Whether files may be replaced and removed by their names. Where that cannot be found out, it is put off: what is written and
   * synced needs no name.
   *
   * @throws LogFailure: the directory is not the log's any more
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

  /** When a log that has come to rest publishes once more. What is unsynced has a sync to come, which does it. */
  get #statsDueMs(): number {
    const isAtRest = !this.#isUnsynced && !this.#isClosing;
    return isAtRest ? this.#statsSchedule.dueMs : Number.POSITIVE_INFINITY;
  }

  /** The figures are published now: what of them the sync thread does not see. */
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
    // The directory may be gone, which ends the log, or what is missing is a file that can be done without.
    if (outcome.troubles.some(({ cause }) => cause?.code === 'ENOENT')) this.#tail.checkPlace();
    this.housekeeper.noteDone(job, outcome);
    this.#noteDuration(job, this.#nowMs() - this.#syncStartedMs);
    this.#noteSynced(job);
    // The first that notices, under a load that makes no segment, when the directory is gone, or another writer has opened the
    // log, which removes the file: files that are open do not.
    const { failure, isLost } = outcome.stats ?? NO_STATS_OUTCOME;
    if (isLost || failure?.cause?.code === 'ENOENT') this.#tail.checkPlace();
    if (isLost) this.#statsSchedule.noteNews();
    this.#tellOfPublication(failure);
  }

  /** Zeros take longer than a small group, and say nothing of how quick the disk is. */
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
    this.#watermark = job.watermark;
    if (job.files.length > 0 && job.statsSnapshot === undefined) this.#statsSchedule.noteNews();
    // A state file that found no room waits for the next sync: trying again and again would only tell of it again.
    if (job.files.length > 0) this.#expectIdle();
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
