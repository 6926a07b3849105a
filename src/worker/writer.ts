import { type Disk, isDenied, isFullDisk, isOutOfDescriptors } from '../files/disk.js';
import type { Board } from '../ring/board.js';
import type { Doorbell } from '../ring/doorbell.js';
import { failureOf, LogFailure, systemCause } from './failure.js';
import { type GroupHost, GroupWriter } from './group-writer.js';
import { Housekeeper } from './housekeeper.js';
import type { Beside, LaneIntake } from './lane-intake.js';
import type { LanePool } from './lane-pool.js';
import { type CommandHost, LogCommands } from './log-commands.js';
import type { AttachRequest, Failure, LogCommand, ToLane, ToWriter, WriterOptions } from './messages.js';
import { type FillStep, Preallocation, type ReadyName } from './preallocation.js';
import { type Publication, PublicationPolicy, removeStats } from './publication.js';
import type { SegmentCatalog } from './segment-catalog.js';
import type { OpenSegment } from './segment-writer.js';
import { type SyncJob, syncFiles } from './sync-job.js';
import { SyncPolicy } from './sync-policy.js';
import { SyncRequests } from './sync-requests.js';
import type { Syncer, SyncOutcome } from './syncer.js';

/** Where the log stands when the writer takes over from recovery. */
export interface LogStart {
  readonly logId: bigint;
  readonly catalog: SegmentCatalog;
  readonly lastLsn: number;
  readonly watermark: number;
  readonly checkpoint: number;
  /**
   * What recovery could not do yet, for lack of room: throws the system's error as long as it cannot; after it the
   * state file is written and everything that was recovered is durable. `undefined`: it is done.
   */
  readonly settle: (() => void) | undefined;
}

export interface WriterParts {
  readonly disk: Disk;
  /** Milliseconds of a clock that never goes back. */
  readonly nowMs: () => number;
  readonly board: Board;
  readonly doorbell: Doorbell;
  readonly options: WriterOptions;
  /** The opener's lane: it also hears of segments and troubles. */
  readonly opener: LaneIntake;
  /** Lanes for other threads. */
  readonly pool: LanePool;
  readonly syncer: Syncer;
  readonly start: LogStart;
}

/** What to do after a [Writer.step]. */
export type NextStep =
  | { readonly kind: 'again' }
  /**
   * Nothing to do before `forMs` are over or somebody rings; `lingering`: only those in a hurry need to ring; `expectant`:
   * somebody was told of a lone durable append just now, and may make the next one at once.
   */
  | {
      readonly kind: 'wait';
      readonly forMs: number;
      readonly lingering: boolean;
      readonly expectant: boolean;
    }
  | { readonly kind: 'closed' };

/**
 * How long the writer lingers after work before it parks. Bet: a producer that appends at least every 2 ms then never
 * pays for a futex call, and the writer pays for one timed wait in 2 ms.
 */
const LINGER_MS = 2;

/** Up to so much the writer syncs itself while the sync thread fills a file ahead: that is as quickly done as a step. */
const SYNC_HERE_BYTES_MAX = 1024 * 1024;

/**
 * How many groups, entries beside the ring and requests one lane may have dealt with in a round, if others are to have their
 * turn. A group is at most 256 KiB or one entry, so that a lane waits for at most 1 MiB of each other one, or four of its
 * large entries. Bet: looking at the lane again after so much is nothing against writing it. A batch is never left off in
 * the middle, since only its own lane may be drained then.
 */
const TURNS_MAX = 4;

const AGAIN: NextStep = { kind: 'again' };
const CLOSED: NextStep = { kind: 'closed' };

/**
 * The writer: takes what the lanes hold, has it written and synced, and tells who waits.
 *
 *   running ──▶ failed   a sync, a write or a cut failed: everything unacknowledged was rejected, nothing more is taken
 *      │           │
 *      └─────▶ closed ◀┘
 *
 * It does not wait for work; its caller does (`writer-thread.ts` on the doorbell), so that tests and the simulation can
 * step it. It blocks only where the log cannot go on otherwise: in its own write calls, in the `fdatasync` of a lone
 * durable append, and where a sealed segment must be synced before the next one is created.
 */
export class Writer {
  readonly #disk: Disk;
  readonly #nowMs: () => number;
  readonly #board: Board;
  readonly #doorbell: Doorbell;
  readonly #options: WriterOptions;
  readonly #opener: LaneIntake;
  readonly #pool: LanePool;
  /** The opener's, then those of other threads in order of their coming. */
  readonly #lanes: LaneIntake[];
  /** Lanes that nobody uses any more; freed between two rounds, when nobody is in the middle of one. */
  #leavers: LaneIntake[] = [];
  readonly #syncer: Syncer;
  readonly #start: LogStart;
  readonly #catalog: SegmentCatalog;
  readonly #groupHost: GroupHost;
  #groups: GroupWriter;
  readonly #policy: SyncPolicy;
  readonly #publications: PublicationPolicy;
  /** Of trouble with publishing `onError` hears once: it is the same trouble every second. */
  #hasToldOfPublications = false;

  #settle: (() => void) | undefined;
  #failure: Failure | undefined;
  #closing = false;
  #watermark: number;
  /** The job that the syncer runs. */
  #job: SyncJob | undefined;
  readonly #preallocation: Preallocation;
  /** All that the job under way does, if it is one of these. */
  #filling: FillStep | undefined;
  readonly #requests = new SyncRequests((lane) => this.#leavers.push(lane));
  readonly #housekeeper: Housekeeper;
  readonly #commands: LogCommands;
  #lingered = true;
  #isExpectant = false;

  constructor(parts: WriterParts) {
    this.#disk = parts.disk;
    this.#nowMs = parts.nowMs;
    this.#board = parts.board;
    this.#doorbell = parts.doorbell;
    this.#options = parts.options;
    this.#opener = parts.opener;
    this.#pool = parts.pool;
    this.#lanes = [parts.opener];
    this.#syncer = parts.syncer;
    this.#start = parts.start;
    this.#catalog = parts.start.catalog;
    this.#settle = parts.start.settle;
    this.#policy = new SyncPolicy(parts.options);
    this.#publications = new PublicationPolicy(parts.nowMs());
    this.#preallocation = new Preallocation(parts.options.preallocate, parts.options.maxFileSize);
    this.#watermark = parts.start.watermark;
    this.#groupHost = {
      nowMs: () => this.#nowMs(),
      watermark: () => this.#watermark,
      beforeAdvance: () => {
        this.#groups.segments.checkPlace();
        this.#syncSealed();
      },
      advanced: (sealed, live, firstLsn) => this.#advanced(sealed, live, firstLsn),
    };
    this.#groups = this.#resumeAt(parts.start.lastLsn);
    this.#board.set('durableLsn', this.#watermark);
    const { disk, nowMs, options, board, start } = parts;
    const tell = (message: ToLane) => this.#opener.post(message);
    this.#housekeeper = new Housekeeper(
      {
        disk,
        nowMs,
        options,
        board,
        ...start,
        stateWatermark: start.watermark,
        preallocation: this.#preallocation,
        tell,
        makeRoom: () => this.#makeRoom(),
      },
      start.watermark,
    );
    this.#commands = new LogCommands(parts, start, this.#housekeeper, tell, this.#commandHost());
  }

  #commandHost(): CommandHost {
    const writer = this;
    return {
      get groups() {
        return writer.#groups;
      },
      get watermark() {
        return writer.#watermark;
      },
      syncAll: () => {
        this.#settleRecovery();
        this.#syncAll();
      },
      lowerWatermark: (lsn) => {
        this.#watermark = lsn;
      },
      resumeAt: (lsn) => {
        this.#groups = this.#resumeAt(lsn);
      },
      mayPass: (error) => this.#mayPass(error),
    };
  }

  /** The last look before a wait: has anything come that no [step] has seen? */
  hasWork(): boolean {
    return this.#lanes.some((lane) => lane.hasWork()) || this.#syncer.isDone;
  }

  /** One round: takes in, writes, starts or finishes syncs, answers. */
  step(): NextStep {
    const worked = this.#failure === undefined ? this.#work() : this.#serveFailed();
    this.#freeLeavers();
    if (this.#closing && (this.#failure !== undefined || this.#isQuiet())) {
      this.#close();
      return CLOSED;
    }
    if (worked) {
      this.#lingered = false;
      return AGAIN;
    }
    const forMs = Math.max(0, this.#nextDueMs() - this.#nowMs());
    if (this.#lingered) return { kind: 'wait', forMs, lingering: false, expectant: false };
    this.#lingered = true;
    const expectant = this.#isExpectant;
    this.#isExpectant = false;
    return { kind: 'wait', forMs: Math.min(forMs, LINGER_MS), lingering: true, expectant };
  }

  #work(): boolean {
    try {
      this.#requests.startRound();
      let worked = this.#pollSync();
      for (const lane of this.#lanes) worked = this.#serve(lane) || worked;
      this.#requests.finishRound(this.#lanes, this.#groups.wholeLsn);
      worked = this.#requests.answer(this.#watermark) || worked;
      return this.#startDueJob() || worked;
    } catch (error) {
      this.#fail(failureOf(error, `write to "${this.#options.directory}"`, this.#options.directory));
      return true;
    }
  }

  /** Takes in and writes what one lane holds now, as far as its turn goes. */
  #serve(lane: LaneIntake): boolean {
    lane.look();
    let worked = this.#takeFlush(lane);
    for (let turns = 0; turns < TURNS_MAX || this.#groups.insideBatch; turns++) {
      const message = lane.dueMessage();
      if (message !== undefined && message.kind !== 'entry' && message.kind !== 'batch') {
        lane.takeMessage();
        this.#heed(lane, message);
      } else if (lane.isDrained) {
        return worked;
      } else {
        this.#writeGroup(lane);
      }
      worked = true;
    }
    return true;
  }

  #heed(lane: LaneIntake, message: Wish): void {
    switch (message.kind) {
      case 'sync':
        this.#requests.add(lane, { kind: 'sync', id: message.id });
        break;
      case 'echo':
        lane.post({ kind: 'room' });
        break;
      case 'command':
        this.#runCommand(lane, message.id, message.command);
        break;
      case 'attach':
        this.#attach(message);
        break;
      case 'detach':
        this.#startLeaving(lane);
        break;
      case 'gone':
        this.#noteGone(message.lane);
        break;
      case 'close':
        this.#startClosing();
    }
  }

  #attach(request: AttachRequest): void {
    if (this.#failure !== undefined) {
      this.#pool.refuse(request, { kind: 'failed', written: 1, failure: this.#failure });
      return;
    }
    if (this.#closing) {
      this.#pool.refuse(request, { kind: 'closed', taken: 1 });
      return;
    }
    const lane = this.#pool.open(request);
    if (lane === undefined) return;
    this.#lanes.push(lane);
    this.#syncer.addLane(lane.index, request.syncPort);
    const { lifePort } = request;
    this.#opener.post({ kind: 'lane-opened', lane: lane.index, lifePort }, [lifePort]);
  }

  /** Nothing more comes by `lane`: once all of it is durable it is freed. */
  #startLeaving(lane: LaneIntake): void {
    if (lane.isLeaving) return;
    lane.isLeaving = true;
    if (this.#failure !== undefined) this.#leavers.push(lane);
    else this.#requests.add(lane, { kind: 'leave' });
  }

  /** The thread of a lane has ended. What it had published is written like any other's. */
  #noteGone(index: number): void {
    const lane = this.#lanes.find((each) => each.index === index);
    if (lane === undefined || lane.isLeaving) return;
    this.#board.add('lanesGone', 1);
    // The look sees all: the opening thread heard of the end, and said so here, after the thread's last store.
    lane.freeze();
    this.#startLeaving(lane);
  }

  #freeLeavers(): void {
    if (this.#leavers.length === 0) return;
    this.#publications.noteNews();
    for (const lane of this.#leavers) {
      this.#lanes.splice(this.#lanes.indexOf(lane), 1);
      // Says it to the lane, before the port of the sync thread closes.
      this.#pool.free(lane);
      this.#syncer.removeLane(lane.index);
    }
    this.#leavers = [];
  }

  /**
   * What other threads have published until now still counts; they may go on publishing, since nobody asks them to stop, and
   * learn what was taken. The opener has stopped by itself.
   */
  #startClosing(): void {
    this.#closing = true;
    for (const lane of this.#lanes) if (lane !== this.#opener) lane.freeze();
  }

  #takeFlush(lane: LaneIntake): boolean {
    const ticket = lane.takeFlush();
    if (ticket === undefined) return false;
    this.#requests.add(lane, { kind: 'flush', ticket });
    return true;
  }

  /** Writes one group of what `lane` holds, or rejects everything if the disk is full. */
  #writeGroup(lane: LaneIntake): void {
    try {
      this.#settleRecovery();
      const message = lane.dueMessage();
      if (message?.kind === 'entry' || message?.kind === 'batch') {
        this.#groups.writeBeside(lane, message);
        lane.takeMessage();
      } else {
        this.#groups.writeRun(lane);
      }
    } catch (error) {
      if (!this.#mayPass(error)) throw error;
      this.#rejectAll(error);
      return;
    }
    const now = this.#nowMs();
    this.#housekeeper.noteNews();
    this.#policy.noteWritten(now, this.#groups.segments);
    if (lane.wantsCommit) this.#policy.noteCommit(now);
    if (this.#groups.insideBatch) return;
    this.#pollSync();
    this.#startDueJob();
  }

  /** Starts what is due, a sync or housework, unless a job is under way. */
  #startDueJob(): boolean {
    if (!this.#canSync) return false;
    const forced = this.#closing || this.#requests.reachBeyond(this.#watermark);
    if (this.#settle !== undefined) return forced && this.#settleOrReject();
    const now = this.#nowMs();
    const isUnsynced = this.#groups.wholeLsn > this.#watermark;
    if (isUnsynced && (forced || now >= this.#policy.dueMs)) {
      if (!this.#closing && (forced || this.#policy.isCommitDue(now))) this.#groups.segments.fillAhead();
      this.#startFilling();
      if (this.#filling !== undefined || this.#isLone(now)) this.#syncHere();
      else this.#startJob(true);
      return true;
    }
    if (this.#filling !== undefined) return false;
    if (!isUnsynced && now >= this.#housekeeper.dueMs) {
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

  /** Nothing is under way that a sync would have to wait for: of a file that is being filled it does not take notice. */
  get #canSync(): boolean {
    return !this.#syncer.busy || (this.#filling !== undefined && this.#isSmall);
  }

  get #isSmall(): boolean {
    return this.#groups.segments.pendingBytes <= SYNC_HERE_BYTES_MAX;
  }

  /** Has the sync thread make a step towards the next segment, if one is due and nothing else is to be done there. */
  #startFilling(): void {
    if (this.#syncer.busy || this.#housekeeper.isWorkDue || this.#closing || !this.#isSmall) return;
    const step = this.#preallocation.dueStep(this.#groups.segments.progress);
    if (step === undefined) return;
    this.#filling = step;
    this.#startAlone({ fill: step });
  }

  /** A job for nothing that has been written. */
  #startAlone(work: Pick<SyncJob, 'fill' | 'publication'>): void {
    this.#job = {
      files: [],
      directoryChanged: false,
      watermark: this.#watermark,
      acknowledgements: [],
      state: undefined,
      removals: [],
      ...work,
    };
    this.#syncer.start(this.#job);
  }

  /**
   * One entry alone is to be synced, and nobody else wants anything: the hop to the sync thread would only cost time. Once in a
   * second it is made all the same, or a log of lone entries would never publish its figures.
   */
  #isLone(nowMs: number): boolean {
    return (
      !this.#publications.isDue(nowMs) &&
      this.#groups.wholeLsn === this.#watermark + 1 &&
      this.#groups.segments.isOnlyLiveUnsynced &&
      !this.#housekeeper.isWorkDue &&
      !this.#lanes.some((lane) => lane.hasWork())
    );
  }

  #startJob(withFiles: boolean): void {
    this.#job = this.#createJob(withFiles);
    this.#syncer.start(this.#job);
  }

  /** Without the housework, which is for the sync thread. */
  #syncHere(): void {
    const job = this.#createJob(true, true);
    const startedMs = this.#nowMs();
    syncFiles(this.#disk, this.#options.directory, job);
    const durationMs = this.#nowMs() - startedMs;
    const isFollowed = this.#board.moveWatermark(job.watermark);
    this.#board.add('syncs', 1);
    this.#board.syncMicros.record(durationMs * 1000);
    for (const { lane, runs } of job.acknowledgements) this.#laneAt(lane).post({ kind: 'durable', runs });
    if (isFollowed) this.#opener.post({ kind: 'watermark' });
    if (this.#board.syncsWatched)
      this.#opener.post({ kind: 'sync-made', watermark: job.watermark, durationMs });
    this.#isExpectant = job.acknowledgements.length > 0;
    this.#noteSynced(job);
  }

  #createJob(withFiles: boolean, isHere = false): SyncJob {
    const hasWork = !isHere && (this.#housekeeper.isWorkDue || !withFiles);
    const { files, directoryChanged } = withFiles ? this.#groups.segments.takeUnsynced() : NOTHING_UNSYNCED;
    const watermark = this.#groups.wholeLsn;
    if (hasWork) this.#groups.segments.checkPlace();
    this.#housekeeper.noteNews();
    if (withFiles) this.#policy.noteStarted();
    return {
      files,
      directoryChanged,
      watermark,
      acknowledgements: withFiles ? this.#startAcknowledgements() : [],
      ...(hasWork ? this.#housekeeper.takeWork(watermark) : NO_HOUSEWORK),
      publication: isHere ? undefined : this.#duePublication(withFiles),
    };
  }

  #duePublication(syncs: boolean): Publication | undefined {
    const now = this.#nowMs();
    const hasNews = syncs || this.#publications.hasNews;
    return hasNews && !this.#closing && this.#publications.isDue(now) ? this.#publication(now) : undefined;
  }

  /** When a log that has come to rest publishes once more. What is unsynced has a sync to come, which does it. */
  get #publicationDueMs(): number {
    const isAtRest = this.#groups.wholeLsn === this.#watermark && !this.#closing;
    return isAtRest ? this.#publications.dueMs : Number.POSITIVE_INFINITY;
  }

  /** The figures are published now: what of them the sync thread does not see. */
  #publication(nowMs: number): Publication {
    this.#publications.notePublished(nowMs);
    return {
      logId: this.#start.logId,
      uptimeMs: this.#publications.uptimeMs(nowMs),
      lanes: this.#lanes.map((lane) => lane.figures),
    };
  }

  #startAcknowledgements(): SyncJob['acknowledgements'] {
    const acknowledgements = [];
    for (const lane of this.#lanes) {
      const runs = lane.startSync();
      if (runs.length > 0) acknowledgements.push({ lane: lane.index, runs });
    }
    return acknowledgements;
  }

  /** Takes note of a finished job; true = one was. */
  #pollSync(): boolean {
    const outcome = this.#syncer.poll();
    if (outcome === undefined) return false;
    this.#noteOutcome(outcome);
    return true;
  }

  #finishJob(): void {
    if (this.#syncer.busy) this.#noteOutcome(this.#syncer.finish());
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
    for (const failure of outcome.troubles) this.#opener.post({ kind: 'trouble', failure });
    this.#tellOfPublication(outcome.publicationFailure);
    this.#housekeeper.noteDone(job, outcome);
    this.#noteSynced(job);
  }

  #noteFilled(step: FillStep, troubles: readonly Failure[]): void {
    if (troubles.length === 0) this.#preallocation.noteFilled(step);
    else this.#preallocation.giveUp();
    this.#tellOfPreallocation(troubles);
  }

  #tellOfPreallocation(troubles: readonly Failure[]): void {
    for (const failure of this.#preallocation.toTell(troubles))
      this.#opener.post({ kind: 'trouble', failure });
  }

  #tellOfPublication(failure: Failure | undefined): void {
    if (failure === undefined || this.#hasToldOfPublications) return;
    this.#hasToldOfPublications = true;
    this.#opener.post({ kind: 'trouble', failure });
  }

  /** Gives back the room of a segment that was made ready, whole or in part. True = there is more room now. */
  #makeRoom(): boolean {
    if (this.#filling !== undefined) this.#finishJob();
    const { isDone, troubles } = this.#preallocation.release(this.#disk, this.#options.directory);
    this.#tellOfPreallocation(troubles);
    return isDone;
  }

  #noteSynced(job: SyncJob): void {
    this.#groups.segments.synced(job.files);
    this.#watermark = job.watermark;
    if (job.files.length > 0 && job.publication === undefined) this.#publications.noteNews();
    this.#requests.answer(this.#watermark);
    // A state file that found no room waits for the next sync: trying again and again would only tell of it again.
    if (job.files.length > 0) this.#expectIdle();
  }

  #expectIdle(): void {
    if (this.#groups.wholeLsn === this.#watermark) this.#housekeeper.expectIdle(this.#watermark);
  }

  /**
   * A sealed segment may stay unsynced only until the next but one is created, and the name of a segment only until the
   * next is: a log that a later segment survived without an earlier one would have a hole.
   */
  #syncSealed(): void {
    if (this.#filling === undefined) this.#finishJob();
    if (this.#groups.segments.isOnlyLiveUnsynced) return;
    if (this.#filling !== undefined) {
      this.#syncHere();
      return;
    }
    this.#startJob(true);
    this.#finishJob();
  }

  #advanced(sealed: OpenSegment | undefined, live: OpenSegment, firstLsn: number): void {
    if (sealed !== undefined) this.#housekeeper.noteSealed();
    this.#opener.post({
      kind: 'segment-opened',
      sealedBytes: sealed?.record.bytes ?? 0,
      firstLsn,
      number: live.record.number,
      createdMs: live.record.createdMs,
    });
  }

  /** The writer of groups behind entry `lastLsn`, where the catalog's segments end. */
  #resumeAt(lastLsn: number): GroupWriter {
    const { directory, maxFileSize, fileMode } = this.#options;
    const preallocation = this.#preallocation;
    const reserve = {
      isOn: preallocation.isOn,
      take: () => preallocation.take(),
      putBack: (name: ReadyName) => preallocation.putBack(name),
      makeRoom: () => this.#makeRoom(),
    };
    const options = { directory, maxFileSize, fileMode, logId: this.#start.logId, reserve };
    const groups = new GroupWriter(this.#disk, this.#catalog, options, lastLsn, this.#groupHost, this.#board);
    this.#board.set('firstLsn', this.#catalog.firstLsn);
    this.#board.set('lastLsn', lastLsn);
    this.#board.set('liveBytes', groups.segments.mark.offset);
    return groups;
  }

  #runCommand(lane: LaneIntake, id: number, command: LogCommand): void {
    const failure = this.#commands.run(command);
    lane.post(
      failure === undefined ? { kind: 'command-done', id } : { kind: 'command-rejected', id, failure },
    );
  }

  #syncAll(): void {
    this.#finishJob();
    if (this.#groups.wholeLsn === this.#watermark) return;
    this.#startJob(true);
    this.#finishJob();
  }

  #settleRecovery(): void {
    if (this.#settle === undefined) return;
    this.#settle();
    this.#settle = undefined;
    this.#watermark = this.#start.lastLsn;
    this.#housekeeper.noteStateWritten(this.#watermark);
    if (this.#board.moveWatermark(this.#watermark)) this.#opener.post({ kind: 'watermark' });
  }

  #settleOrReject(): boolean {
    try {
      this.#settleRecovery();
    } catch (error) {
      if (!this.#mayPass(error)) throw error;
      this.#requests.rejectAll(outOfRoom(error, this.#options.directory));
      return false;
    }
    this.#requests.answer(this.#watermark);
    return true;
  }

  /**
   * The disk is full: everything accepted and not written rejects, what is half written is cut off durably, and the
   * log works on. Durably, since a rejected entry must not come back after a power cut. A request for a sync that
   * would have covered any of it rejects too; those whose target is known cover only what is written.
   */
  #rejectAll(error: unknown): void {
    const failure = outOfRoom(error, this.#options.directory);
    this.#finishJob();
    if (this.#settle === undefined) {
      for (const number of this.#groups.takeBack()) this.#opener.post({ kind: 'segment-withdrawn', number });
      // Of a batch that is gone nothing is left to sync.
      if (this.#groups.wholeLsn === this.#watermark) this.#policy.noteStarted();
      this.#expectIdle();
    }
    const losers = this.#lanes.filter((lane) => this.#discard(lane, failure));
    this.#requests.rejectVoid(losers, failure);
  }

  /** Rejects all entries that `lane` holds, and each `sync` behind one of them; true = there were any. */
  #discard(lane: LaneIntake, failure: Failure): boolean {
    lane.look();
    this.#takeFlush(lane);
    let lost = 0;
    for (;;) {
      const { from, to } = lane.discard();
      if (to > from) lane.post({ kind: 'rejected', from, to, failure });
      lost += to - from;
      const message = lane.dueMessage();
      if (message === undefined) break;
      lane.takeMessage();
      if (message.kind === 'sync' && lost > 0) lane.post({ kind: 'sync-rejected', id: message.id, failure });
      else if (message.kind !== 'entry' && message.kind !== 'batch') this.#heed(lane, message);
    }
    this.#board.add('rejected', lost);
    if (lost > 0) this.#publications.noteNews();
    return lost > 0;
  }

  /** No room, or, as long as recovery is not done, no permission: what is to be written now rejects, the log goes on. */
  #mayPass(error: unknown): boolean {
    return isOutOfRoom(error) || (this.#settle !== undefined && isDenied(error));
  }

  /** The log ends: nothing more is taken, whoever waits is told. */
  #fail(cause: Failure): void {
    const failure = endOfLog(cause);
    this.#failure = failure;
    for (const lane of this.#lanes) lane.post({ kind: 'failed', written: lane.nextWhole, failure });
    this.#doorbell.setFailed();
    this.#requests.rejectAll(failure);
    this.#serveFailed();
  }

  /** After a failure: nobody stays blocked, and `close` is heard. */
  #serveFailed(): boolean {
    const late = this.#syncer.poll();
    if (late !== undefined) this.#tellOfLateFailure(late);
    let worked = late !== undefined;
    for (const lane of this.#lanes) {
      lane.look();
      const ticket = lane.takeFlush();
      if (ticket !== undefined) lane.finishFlush(ticket);
      const { from, to } = lane.discard();
      worked = worked || to > from || ticket !== undefined;
      for (let message = lane.dueMessage(); message !== undefined; message = lane.dueMessage()) {
        lane.takeMessage();
        // A sync or command was rejected by the failure, as its lane has been told.
        if (message.kind === 'close' || message.kind === 'attach') this.#heed(lane, message);
        else if (message.kind === 'detach' || message.kind === 'gone') this.#heed(lane, message);
        worked = true;
        lane.discard();
      }
    }
    return worked;
  }

  /** The log has failed before the job that was under way did: what was written and acknowledged may be gone, too. */
  #tellOfLateFailure({ failure }: SyncOutcome): void {
    if (failure !== undefined) this.#opener.post({ kind: 'trouble', failure });
  }

  /** Nothing is left to write, to sync or to answer. */
  #isQuiet(): boolean {
    return (
      !this.#syncer.busy &&
      this.#requests.isEmpty &&
      this.#leavers.length === 0 &&
      (this.#settle !== undefined || this.#groups.wholeLsn === this.#watermark) &&
      !this.#lanes.some((lane) => lane.hasWork())
    );
  }

  #close(): void {
    if (this.#failure === undefined) this.#sealLast();
    if (
      this.#failure === undefined &&
      this.#settle === undefined &&
      this.#housekeeper.isStateBehind(this.#watermark)
    ) {
      try {
        this.#housekeeper.writeState(this.#housekeeper.state(this.#watermark));
      } catch (error) {
        // Everything is durable: only the proof that the last group was is missing at the next open.
        const failure = failureOf(
          error,
          `write the state file of "${this.#options.directory}"`,
          this.#options.directory,
        );
        this.#opener.post({ kind: 'trouble', failure });
      }
    }
    if (this.#syncer.busy) this.#tellOfLateFailure(this.#syncer.finish());
    if (this.#publications.hasBegun) {
      this.#tellOfPublication(removeStats(this.#disk, this.#options.directory));
    }
    // Said first: whoever sees that the lock is free, or a thread gone, knows that the log was closed and nobody died.
    for (const lane of this.#lanes) lane.post({ kind: 'closed', taken: lane.nextWhole });
    this.#syncer.stop();
    this.#groups.segments.close();
  }

  #sealLast(): void {
    const { segments } = this.#groups;
    try {
      segments.checkPlace();
      segments.seal();
      this.#makeRoom();
    } catch (error) {
      this.#fail(failureOf(error, `close "${this.#options.directory}"`, this.#options.directory));
    }
  }

  /** After the last word: whoever came to wait while the log was being closed finds it in the port. */
  wakeFlushes(): void {
    for (const lane of this.#lanes) {
      lane.look();
      const ticket = lane.takeFlush();
      if (ticket !== undefined) lane.finishFlush(ticket);
    }
  }

  #nextDueMs(): number {
    if (this.#failure !== undefined) return Number.POSITIVE_INFINITY;
    if (!this.#canSync) return Number.POSITIVE_INFINITY;
    if (this.#syncer.busy) return this.#policy.dueMs;
    const isUnsynced = this.#groups.wholeLsn > this.#watermark;
    const housekeepingDueMs = isUnsynced ? Number.POSITIVE_INFINITY : this.#housekeeper.dueMs;
    return Math.min(this.#policy.dueMs, housekeepingDueMs, this.#publicationDueMs);
  }

  #laneAt(index: number): LaneIntake {
    return this.#lanes.find((lane) => lane.index === index) as LaneIntake;
  }
}

/** What a lane asks for, beside entries. */
type Wish = Exclude<ToWriter, Beside>;

const NOTHING_UNSYNCED = { files: [], directoryChanged: false };
const NO_HOUSEWORK = { state: undefined, removals: [], recycling: undefined };

/** No room, in the file system or for another descriptor: a passing state in which nothing was harmed. */
function isOutOfRoom(error: unknown): boolean {
  return isFullDisk(error) || isOutOfDescriptors(error);
}

/** The failure with the way out, which a failed sync has in its message already. */
function endOfLog(failure: Failure): Failure {
  if (failure.code !== 'ERR_WAL_IO') return failure;
  const message =
    `${failure.message.replace(/\.$/, '')}. The log has ended: what was not acknowledged may or may not be in it. ` +
    'Close it and open it again once the cause is gone.';
  return { ...failure, message };
}

function outOfRoom(error: unknown, directory: string): Failure {
  const cause = systemCause(error);
  return {
    code: 'ERR_WAL_IO',
    message:
      `Cannot write to "${directory}": ${cause.message}. What was accepted and not written yet is rejected and is not in the log; ` +
      'the log works on once there is room.',
    path: directory,
    cause,
  };
}
