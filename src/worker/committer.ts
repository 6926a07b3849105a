import type { Disk } from '../files/disk.js';
import type { Board } from '../ring/board.js';
import { failureOf, LogFailure } from './failure.js';
import type { GroupWriter } from './group-writer.js';
import { Housekeeper } from './housekeeper.js';
import type { LaneIntake } from './lane-intake.js';
import type { Failure, ToLane, WriterOptions } from './messages.js';
import { type FillStep, Preallocation, type ReadyName } from './preallocation.js';
import { type Publication, type PublicationOutcome, PublicationPolicy, removeStats } from './publication.js';
import type { SegmentCatalog } from './segment-catalog.js';
import type { SegmentReserve } from './segment-writer.js';
import { type SyncJob, syncFiles } from './sync-job.js';
import { SyncPolicy } from './sync-policy.js';
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
  readonly board: Board;
  readonly options: WriterOptions;
  readonly syncer: Syncer;
  /** Where the log stands; `watermark` as the state file has it. */
  readonly start: {
    readonly logId: bigint;
    readonly catalog: SegmentCatalog;
    readonly watermark: number;
    readonly checkpoint: number;
  };
}

/** What a committer needs of the writer. */
export interface CommitHost {
  readonly groups: GroupWriter;
  readonly lanes: readonly LaneIntake[];
  readonly isClosing: boolean;
  /** To the opener's lane. */
  tell(message: ToLane): void;
  /** Everything up to `watermark` is durable. */
  noteSynced(watermark: number): void;
}

/**
 * Makes durable what is written: decides when, starts the jobs of the sync thread, syncs by itself where that is quicker, and
 * takes note of what came of it. At most one job is under way:
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
  readonly #board: Board;
  readonly #options: WriterOptions;
  readonly #syncer: Syncer;
  readonly #logId: bigint;
  readonly #host: CommitHost;
  readonly #policy: SyncPolicy;
  readonly #publications: PublicationPolicy;
  readonly #preallocation: Preallocation;
  #watermark: number;
  /** The job that the syncer runs. */
  #job: SyncJob | undefined;
  /** All that the job under way does, if it is one of these. */
  #filling: FillStep | undefined;
  /** Of trouble with publishing `onError` hears once: it is the same trouble every second. */
  #hasToldOfPublications = false;
  #isExpectant = false;
  /** How long the last sync took, with what the writer did before it looked. */
  #lastSyncMs = Number.POSITIVE_INFINITY;
  #syncStartedMs = 0;

  constructor({ disk, nowMs, board, options, syncer, start }: CommitterParts, host: CommitHost) {
    this.#disk = disk;
    this.#nowMs = nowMs;
    this.#board = board;
    this.#options = options;
    this.#syncer = syncer;
    this.#logId = start.logId;
    this.#host = host;
    this.#policy = new SyncPolicy(options);
    this.#publications = new PublicationPolicy(nowMs());
    this.#preallocation = new Preallocation(options.preallocate, options.maxFileSize);
    this.#watermark = start.watermark;
    this.housekeeper = new Housekeeper(
      {
        disk,
        nowMs,
        options,
        board,
        ...start,
        stateWatermark: start.watermark,
        preallocation: this.#preallocation,
        tell: (message) => host.tell(message),
        makeRoom: () => this.makeRoom(),
      },
      start.watermark,
    );
    board.set('durableLsn', start.watermark);
  }

  /** W: everything up to it is durable. */
  get watermark(): number {
    return this.#watermark;
  }

  /** The segments that are made ready ahead. */
  get reserve(): SegmentReserve {
    const preallocation = this.#preallocation;
    return {
      isOn: preallocation.isOn,
      take: () => preallocation.take(),
      putBack: (name: ReadyName) => preallocation.putBack(name),
      makeRoom: () => this.makeRoom(),
      tell: (trouble: Failure) => this.#tellOfPreallocation([trouble]),
    };
  }

  /** Nothing is under way that a sync would have to wait for: of a file that is being filled it does not take notice. */
  get canSync(): boolean {
    return !this.#syncer.busy || (this.#filling !== undefined && this.#isSmall);
  }

  /** When what is written is to be synced. */
  get syncDueMs(): number {
    return this.canSync ? this.#policy.dueMs : Number.POSITIVE_INFINITY;
  }

  /** When [startDue] has something to start. */
  get dueMs(): number {
    if (this.#syncer.busy) return this.syncDueMs;
    const housekeepingDueMs = this.#isUnsynced ? Number.POSITIVE_INFINITY : this.housekeeper.dueMs;
    return Math.min(this.#policy.dueMs, housekeepingDueMs, this.#publicationDueMs);
  }

  /** A group of `lane` was written. */
  noteWritten(lane: LaneIntake): void {
    const now = this.#nowMs();
    this.housekeeper.noteNews();
    this.#policy.noteWritten(now, this.#host.groups.segments);
    if (lane.wantsCommit) this.#policy.noteCommit(now);
  }

  /** What was written of an unfinished batch is gone again. */
  noteTakenBack(): void {
    // Of a batch that is gone nothing is left to sync.
    if (!this.#isUnsynced) this.#policy.noteStarted();
    this.#expectIdle();
  }

  /** There is something new for those who look at the log's figures from outside. */
  noteNews(): void {
    this.#publications.noteNews();
  }

  /** Recovery has come to its end late: all that it kept, up to `lsn`, is durable, and the state file says so. */
  noteRecovered(lsn: number): void {
    this.#watermark = lsn;
    this.housekeeper.noteStateWritten(lsn);
    if (this.#board.moveWatermark(lsn)) this.#host.tell({ kind: 'watermark' });
  }

  /** The log is being cut behind entry `lsn`. */
  lowerWatermark(lsn: number): void {
    this.#watermark = lsn;
  }

  /** Was somebody told of a lone durable append, since this was asked last? He may make the next one at once. */
  takeExpectant(): boolean {
    const isExpectant = this.#isExpectant;
    this.#isExpectant = false;
    return isExpectant;
  }

  /** Starts what is due, a sync or housework, unless a job is under way. `isForced`: somebody waits for a sync. */
  startDue(isForced: boolean): boolean {
    if (!this.canSync) return false;
    const now = this.#nowMs();
    const isUnsynced = this.#isUnsynced;
    if (isUnsynced && (isForced || now >= this.#policy.dueMs)) {
      const isAwaited = isForced || this.#policy.isCommitDue(now);
      if (isAwaited && !this.#host.isClosing) this.#host.groups.segments.fillAhead();
      this.#startFilling();
      const isHere = this.#filling !== undefined || (isAwaited && this.#isQuick(now));
      if (isHere) this.#syncHere();
      else this.#startJob(true);
      return true;
    }
    if (this.#filling !== undefined) return false;
    if (!isUnsynced && now >= this.housekeeper.dueMs) {
      this.#startJob(false);
      return true;
    }
    if (now >= this.#publicationDueMs) {
      this.#startAlone({ publication: this.#publication(now) });
      return true;
    }
    this.#startFilling();
    return false;
  }

  /**
   * A sealed segment may stay unsynced only until the next but one is created, and the name of a segment only until the
   * next is: a log that a later segment survived without an earlier one would have a hole. A job that owes neither goes on
   * meanwhile: a sync of the live segment alone, or none.
   */
  syncSealed(): void {
    const { segments } = this.#host.groups;
    if (this.#isSealUnderWay) this.finishJob();
    if (segments.isOnlyLiveUnsynced) return;
    if (this.#filling !== undefined) {
      this.#syncHere();
      return;
    }
    this.finishJob();
    this.#startJob(true);
    this.finishJob();
  }

  /** When it returns everything that is written is durable. */
  syncAll(): void {
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
    const { isDone, troubles } = this.#preallocation.release(this.#disk, this.#options.directory);
    this.#tellOfPreallocation(troubles);
    return isDone || wasFilling || wasRemoving;
  }

  /** The log is being closed; nothing more is started. `isWhole`: it has not failed, and everything is durable. */
  close(isWhole: boolean): void {
    const { directory } = this.#options;
    if (isWhole && this.housekeeper.isStateBehind(this.#watermark)) {
      try {
        this.housekeeper.writeState(this.housekeeper.state(this.#watermark));
      } catch (error) {
        // Everything is durable: only the proof that the last group was is missing at the next open.
        const failure = failureOf(error, `write the state file of "${directory}"`, directory);
        this.#host.tell({ kind: 'trouble', failure });
      }
    }
    if (this.#syncer.busy) this.#tellOfLateFailure(this.#syncer.finish());
    // Of a log that has ended because the place is another's now, the file is the other one's.
    if (this.#publications.hasBegun && (isWhole || this.#isStillHere))
      this.#tellOfPublication(removeStats(this.#disk, directory));
  }

  get #isStillHere(): boolean {
    try {
      this.#host.groups.segments.checkPlace();
      return true;
    } catch {
      // The log has ended, and says why. Figures that are left are told from those of a running log by the lock.
      return false;
    }
  }

  get #isUnsynced(): boolean {
    return this.#host.groups.wholeLsn > this.#watermark;
  }

  /** Is a job to make more durable than what the live segment, when it started, held? */
  get #isSealUnderWay(): boolean {
    return this.#job !== undefined && (this.#job.directoryChanged || this.#job.files.length > 1);
  }

  get #isSmall(): boolean {
    return this.#host.groups.segments.pendingBytes <= SYNC_HERE_BYTES_MAX;
  }

  /**
   * A small group, or a lone entry, on a quick disk, while nobody waits for less than a sync: the hop to the sync thread would
   * only cost time.
   */
  #isQuick(nowMs: number): boolean {
    const { groups, lanes } = this.#host;
    return (
      this.#lastSyncMs <= QUICK_MS_MAX &&
      groups.segments.pendingBytes <= QUICK_BYTES_MAX &&
      !lanes.some((lane) => lane.wantsWritten) &&
      this.#needsNoThread(nowMs)
    );
  }

  /**
   * The sync would have no other work with it. Once in a second it has: a log of lone entries, or of small groups, would never
   * publish its figures otherwise.
   */
  #needsNoThread(nowMs: number): boolean {
    return (
      this.#host.groups.segments.isOnlyLiveUnsynced &&
      !this.housekeeper.isWorkDue &&
      !this.#publications.isDue(nowMs)
    );
  }

  #startJob(withFiles: boolean): void {
    this.#syncStartedMs = this.#nowMs();
    this.#job = this.#createJob(withFiles);
    this.#syncer.start(this.#job);
  }

  /** Has the sync thread make a step towards the next segment, if one is due and nothing else is to be done there. */
  #startFilling(): void {
    if (this.#syncer.busy || this.housekeeper.isWorkDue || this.#host.isClosing || !this.#isSmall) return;
    const step = this.#preallocation.dueStep(this.#host.groups.segments.progress);
    if (step === undefined) return;
    this.#filling = step;
    this.#startAlone({ fill: step });
  }

  /** A job for nothing that has been written. */
  #startAlone(work: Pick<SyncJob, 'fill' | 'publication'>): void {
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
    const { lanes } = this.#host;
    const job = this.#createJob(true, true);
    const startedMs = this.#nowMs();
    syncFiles(this.#disk, this.#options.directory, job);
    const durationMs = this.#nowMs() - startedMs;
    this.#noteDuration(job, durationMs);
    const isFollowed = this.#board.moveWatermark(job.watermark);
    this.#board.add('syncs', 1);
    this.#board.syncMicros.record(durationMs * 1000);
    for (const { lane, runs } of job.acknowledgements) {
      lanes.find(({ index }) => index === lane)?.acknowledge(runs);
    }
    if (isFollowed) this.#host.tell({ kind: 'watermark' });
    if (this.#board.syncsWatched)
      this.#host.tell({ kind: 'sync-made', watermark: job.watermark, durationMs });
    this.#isExpectant = job.acknowledgements.length > 0 && job.watermark === this.#watermark + 1;
    this.#noteSynced(job);
  }

  #createJob(withFiles: boolean, isHere = false): SyncJob {
    const { segments, wholeLsn: watermark } = this.#host.groups;
    const isWorkDue = !isHere && (this.housekeeper.isWorkDue || !withFiles);
    const { files, directoryChanged, hasZeros } = withFiles ? segments.takeUnsynced() : NOTHING_UNSYNCED;
    const hasWork = isWorkDue && this.#mayKeepHouse();
    this.housekeeper.noteNews();
    if (withFiles) this.#policy.noteStarted();
    const acknowledgements = withFiles ? this.#startAcknowledgements() : [];
    const { state, removals, recycling } = hasWork ? this.housekeeper.takeWork(watermark) : NO_HOUSEWORK;
    const publication = isHere ? undefined : this.#duePublication(withFiles);
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
      publication,
    };
  }

  /**
   * Whether files may be replaced and removed by their names. Where that cannot be found out, it is put off: what is written and
   * synced needs no name.
   *
   * @throws LogFailure: the directory is not the log's any more
   */
  #mayKeepHouse(): boolean {
    try {
      this.#host.groups.segments.checkPlace();
      return true;
    } catch (error) {
      if (error instanceof LogFailure) throw error;
      const { directory } = this.#options;
      this.#host.tell({ kind: 'trouble', failure: failureOf(error, `look at "${directory}"`, directory) });
      this.housekeeper.putOff();
      return false;
    }
  }

  #startAcknowledgements(): SyncJob['acknowledgements'] {
    const acknowledgements = [];
    for (const lane of this.#host.lanes) {
      const runs = lane.startSync();
      if (runs.length > 0) acknowledgements.push({ lane: lane.index, runs });
    }
    return acknowledgements;
  }

  #duePublication(syncs: boolean): Publication | undefined {
    const now = this.#nowMs();
    const hasNews = syncs || this.#publications.hasNews;
    const isDue = hasNews && !this.#host.isClosing && this.#publications.isDue(now);
    return isDue ? this.#publication(now) : undefined;
  }

  /** When a log that has come to rest publishes once more. What is unsynced has a sync to come, which does it. */
  get #publicationDueMs(): number {
    const isAtRest = !this.#isUnsynced && !this.#host.isClosing;
    return isAtRest ? this.#publications.dueMs : Number.POSITIVE_INFINITY;
  }

  /** The figures are published now: what of them the sync thread does not see. */
  #publication(nowMs: number): Publication {
    this.#publications.notePublished(nowMs);
    return {
      logId: this.#logId,
      uptimeMs: this.#publications.uptimeMs(nowMs),
      lanes: this.#host.lanes.map((lane) => lane.figures),
    };
  }

  #noteOutcome(outcome: SyncOutcome): void {
    const job = this.#job as SyncJob;
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
    for (const failure of outcome.troubles) this.#host.tell({ kind: 'trouble', failure });
    // The directory may be gone, which ends the log, or what is missing is a file that can be done without.
    if (outcome.troubles.some(({ cause }) => cause?.code === 'ENOENT'))
      this.#host.groups.segments.checkPlace();
    this.housekeeper.noteDone(job, outcome);
    this.#noteDuration(job, this.#nowMs() - this.#syncStartedMs);
    this.#noteSynced(job);
    // The first that notices, under a load that makes no segment, when the directory is gone, or another writer has opened the
    // log, which removes the file: files that are open do not.
    const { failure, isLost } = outcome.published ?? NOT_PUBLISHED;
    if (isLost || failure?.cause?.code === 'ENOENT') this.#host.groups.segments.checkPlace();
    if (isLost) this.#publications.noteNews();
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

  #noteSynced(job: SyncJob): void {
    this.#host.groups.segments.synced(job.files);
    this.#watermark = job.watermark;
    if (job.files.length > 0 && job.publication === undefined) this.#publications.noteNews();
    this.#host.noteSynced(job.watermark);
    // A state file that found no room waits for the next sync: trying again and again would only tell of it again.
    if (job.files.length > 0) this.#expectIdle();
  }

  #expectIdle(): void {
    if (!this.#isUnsynced) this.housekeeper.expectIdle(this.#watermark);
  }

  #tellOfPreallocation(troubles: readonly Failure[]): void {
    for (const failure of this.#preallocation.toTell(troubles)) this.#host.tell({ kind: 'trouble', failure });
  }

  #tellOfPublication(failure: Failure | undefined): void {
    if (failure === undefined || this.#hasToldOfPublications) return;
    this.#hasToldOfPublications = true;
    this.#host.tell({ kind: 'trouble', failure });
  }

  #tellOfLateFailure({ failure }: SyncOutcome): void {
    if (failure !== undefined) this.#host.tell({ kind: 'trouble', failure });
  }
}

const NOTHING_UNSYNCED = { files: [], directoryChanged: false, hasZeros: false };
const NOT_PUBLISHED: PublicationOutcome = { failure: undefined, isLost: false };
const NO_HOUSEWORK = { state: undefined, removals: [], recycling: undefined };
