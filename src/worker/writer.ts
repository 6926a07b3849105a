import { type Disk, isFullDisk, isOutOfDescriptors } from '../files/disk.js';
import type { LogState } from '../format/state-file.js';
import type { Board } from '../ring/board.js';
import type { Doorbell } from '../ring/doorbell.js';
import { failureOf, LogFailure, systemCause } from './failure.js';
import { type GroupHost, GroupWriter } from './group-writer.js';
import type { LaneIntake } from './lane-intake.js';
import type { Failure, WriterOptions } from './messages.js';
import { expiredSegments } from './retention.js';
import type { SegmentCatalog } from './segment-catalog.js';
import type { OpenSegment } from './segment-writer.js';
import { writeState } from './state-store.js';
import { type SyncJob, syncFiles } from './sync-job.js';
import { SyncPolicy } from './sync-policy.js';
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
  /** The first lane is that of the opener: it also hears of segments and troubles. */
  readonly lanes: readonly LaneIntake[];
  readonly syncer: Syncer;
  readonly start: LogStart;
}

/** What to do after a [Writer.step]. */
export type NextStep =
  | { readonly kind: 'again' }
  /** Nothing to do before `forMs` are over or somebody rings; `lingering`: only those in a hurry need to ring. */
  | { readonly kind: 'wait'; readonly forMs: number; readonly lingering: boolean }
  | { readonly kind: 'closed' };

/**
 * How long the writer lingers after work before it parks. Bet: a producer that appends at least every 2 ms then never
 * pays for a futex call, and the writer pays for one timed wait in 2 ms.
 */
const LINGER_MS = 2;

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
  readonly #lanes: readonly LaneIntake[];
  readonly #syncer: Syncer;
  readonly #start: LogStart;
  readonly #catalog: SegmentCatalog;
  readonly #groups: GroupWriter;
  readonly #policy: SyncPolicy;

  #settle: (() => void) | undefined;
  #failure: Failure | undefined;
  #closing = false;
  #watermark: number;
  /** W in the state file. */
  #stateWatermark: number;
  /** When the state file is to be written because nothing new came for an interval. */
  #stateDueMs = Number.POSITIVE_INFINITY;
  /** A segment was sealed since the last job: the next one also writes the state file and applies retention. */
  #houseworkDue: boolean;
  /** The job that the syncer runs. */
  #job: SyncJob | undefined;
  /** `sync` and flush requests that came since the last round: their targets are known at the end of the next. */
  #newRequests: SyncRequest[] = [];
  #requests: (SyncRequest & { readonly target: number })[] = [];
  #lingered = true;

  constructor(parts: WriterParts) {
    this.#disk = parts.disk;
    this.#nowMs = parts.nowMs;
    this.#board = parts.board;
    this.#doorbell = parts.doorbell;
    this.#options = parts.options;
    this.#lanes = parts.lanes;
    this.#syncer = parts.syncer;
    this.#start = parts.start;
    this.#catalog = parts.start.catalog;
    this.#settle = parts.start.settle;
    this.#policy = new SyncPolicy(parts.options);
    this.#watermark = parts.start.watermark;
    this.#stateWatermark = parts.start.watermark;
    const { directory, maxFileSize, fileMode } = parts.options;
    const { logId, lastLsn } = parts.start;
    const host: GroupHost = {
      watermark: () => this.#watermark,
      beforeAdvance: () => this.#syncSealed(),
      advanced: (sealed, live, firstLsn) => this.#advanced(sealed, live, firstLsn),
    };
    const segmentOptions = { directory, maxFileSize, fileMode, logId };
    this.#groups = new GroupWriter(this.#disk, this.#catalog, segmentOptions, lastLsn, host, this.#board);
    this.#houseworkDue = this.#expired(this.#watermark).length > 0;
    this.#board.set('firstLsn', this.#catalog.firstLsn);
    this.#board.set('lastLsn', lastLsn);
    this.#board.set('durableLsn', this.#watermark);
    this.#board.set('liveBytes', this.#groups.segments.mark.offset);
  }

  /** The last look before a wait: has anything come that no [step] has seen? */
  hasWork(): boolean {
    return this.#lanes.some((lane) => lane.hasWork()) || this.#syncer.isDone;
  }

  /** One round: takes in, writes, starts or finishes syncs, answers. */
  step(): NextStep {
    const worked = this.#failure === undefined ? this.#work() : this.#serveFailed();
    if (this.#closing && (this.#failure !== undefined || this.#isQuiet())) {
      this.#close();
      return CLOSED;
    }
    if (worked) {
      this.#lingered = false;
      return AGAIN;
    }
    const forMs = Math.max(0, this.#nextDueMs() - this.#nowMs());
    if (this.#lingered) return { kind: 'wait', forMs, lingering: false };
    this.#lingered = true;
    return { kind: 'wait', forMs: Math.min(forMs, LINGER_MS), lingering: true };
  }

  #work(): boolean {
    try {
      const requests = this.#newRequests;
      this.#newRequests = [];
      let worked = this.#pollSync();
      for (const lane of this.#lanes) worked = this.#serve(lane) || worked;
      // Every lane was looked at after these requests came: what was accepted before them is written now.
      for (const request of requests) this.#requests.push({ ...request, target: this.#groups.wholeLsn });
      worked = this.#answerRequests() || worked;
      return this.#startDueJob() || worked;
    } catch (error) {
      this.#fail(failureOf(error, 'write the log', this.#options.directory));
      return true;
    }
  }

  /** Takes in and writes what one lane holds now. */
  #serve(lane: LaneIntake): boolean {
    lane.look();
    let worked = this.#takeFlush(lane);
    for (;;) {
      const message = lane.dueMessage();
      if (message?.kind === 'sync' || message?.kind === 'echo' || message?.kind === 'close') {
        lane.takeMessage();
        if (message.kind === 'close') this.#closing = true;
        else if (message.kind === 'echo') lane.post({ kind: 'room' });
        else this.#newRequests.push({ lane, id: message.id, ticket: undefined });
      } else if (lane.isDrained) {
        return worked;
      } else {
        this.#writeGroup(lane);
      }
      worked = true;
    }
  }

  #takeFlush(lane: LaneIntake): boolean {
    const ticket = lane.takeFlush();
    if (ticket === undefined) return false;
    this.#newRequests.push({ lane, id: 0, ticket });
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
      if (!isOutOfRoom(error)) throw error;
      this.#rejectAll(error);
      return;
    }
    if (this.#board.get('firstLsn') === 0) this.#board.set('firstLsn', this.#catalog.firstLsn);
    const now = this.#nowMs();
    this.#stateDueMs = Number.POSITIVE_INFINITY;
    this.#policy.noteWritten(now);
    if (lane.wantsCommit) this.#policy.noteCommit(now);
    if (this.#groups.insideBatch) return;
    this.#pollSync();
    this.#startDueJob();
  }

  /** Starts what is due, a sync or housework, unless a job is under way. */
  #startDueJob(): boolean {
    if (this.#syncer.busy) return false;
    const forced = this.#closing || this.#requests.some((request) => request.target > this.#watermark);
    if (this.#settle !== undefined) return forced && this.#settleOrReject();
    const now = this.#nowMs();
    const isUnsynced = this.#groups.wholeLsn > this.#watermark;
    if (isUnsynced && (forced || now >= this.#policy.dueMs)) {
      if (this.#isLone()) this.#syncHere();
      else this.#startJob(true);
      return true;
    }
    if (!isUnsynced && (this.#houseworkDue || now >= this.#stateDueMs)) {
      if (!this.#houseworkDue && this.#stateWatermark === this.#watermark) return false;
      this.#startJob(false);
      return true;
    }
    return false;
  }

  /** One entry alone is to be synced, and nobody else wants anything: the hop to the sync thread would only cost time. */
  #isLone(): boolean {
    return (
      this.#groups.wholeLsn === this.#watermark + 1 &&
      this.#groups.segments.isOnlyLiveUnsynced &&
      !this.#houseworkDue &&
      !this.#lanes.some((lane) => lane.hasWork())
    );
  }

  #startJob(withFiles: boolean): void {
    this.#job = this.#createJob(withFiles);
    this.#syncer.start(this.#job);
  }

  #syncHere(): void {
    const job = this.#createJob(true);
    syncFiles(this.#disk, this.#options.directory, job);
    this.#board.set('durableLsn', job.watermark);
    this.#board.add('syncs', 1);
    for (const { lane, runs } of job.acknowledgements) this.#laneAt(lane).post({ kind: 'durable', runs });
    this.#noteSynced(job);
  }

  #createJob(withFiles: boolean): SyncJob {
    const { files, directoryChanged } = withFiles ? this.#groups.segments.takeUnsynced() : NOTHING_UNSYNCED;
    const watermark = this.#groups.wholeLsn;
    const housework = this.#houseworkDue || !withFiles;
    this.#houseworkDue = false;
    this.#stateDueMs = Number.POSITIVE_INFINITY;
    if (withFiles) this.#policy.noteStarted();
    return {
      files,
      directoryChanged,
      watermark,
      acknowledgements: withFiles ? this.#startAcknowledgements() : [],
      state: housework ? this.#state(watermark) : undefined,
      removals: housework ? this.#expire(watermark) : [],
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

  /** Takes the segments that retention gives up out of the log; the job removes their files. */
  #expire(watermark: number): number[] {
    const numbers = this.#expired(watermark);
    const last = numbers.at(-1);
    if (last === undefined) return numbers;
    this.#catalog.dropThrough(last);
    // Before the files go: a reader that begins now is told that they are gone, not that they are missing.
    this.#board.set('firstLsn', this.#catalog.firstLsn);
    this.#board.add('removed', numbers.length);
    this.#opener.post({ kind: 'segments-removed', upTo: last });
    return numbers;
  }

  #expired(watermark: number): number[] {
    const { pinned } = this.#board;
    const segments = this.#catalog.records;
    return expiredSegments(this.#options, { segments, watermark, pinned, nowMs: this.#disk.now() });
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
    if (outcome.failure !== undefined) throw LogFailure.of(outcome.failure);
    for (const failure of outcome.troubles) this.#opener.post({ kind: 'trouble', failure });
    if (outcome.stateWritten) this.#stateWatermark = job.watermark;
    this.#noteSynced(job);
  }

  #noteSynced(job: SyncJob): void {
    this.#groups.segments.synced(job.files);
    this.#watermark = job.watermark;
    this.#answerRequests();
    if (this.#groups.wholeLsn === this.#watermark && this.#stateWatermark !== this.#watermark) {
      this.#stateDueMs = this.#nowMs() + this.#options.syncInterval;
    }
  }

  #answerRequests(): boolean {
    const due = this.#requests.filter((request) => request.target <= this.#watermark);
    if (due.length === 0) return false;
    this.#requests = this.#requests.filter((request) => request.target > this.#watermark);
    for (const { lane, id, ticket } of due) {
      if (ticket === undefined) lane.post({ kind: 'synced', id, watermark: this.#watermark });
      else lane.finishFlush(ticket);
    }
    return true;
  }

  #rejectRequests(failure: Failure): void {
    for (const { lane, id, ticket } of [...this.#requests, ...this.#newRequests]) {
      lane.post({ kind: 'sync-rejected', id, failure });
      if (ticket !== undefined) lane.finishFlush(ticket);
    }
    this.#requests = [];
    this.#newRequests = [];
  }

  /** A sealed segment may stay unsynced only until the next but one is created. */
  #syncSealed(): void {
    this.#finishJob();
    if (this.#groups.segments.sealedCount === 0) return;
    this.#startJob(true);
    this.#finishJob();
  }

  #advanced(sealed: OpenSegment | undefined, live: OpenSegment, firstLsn: number): void {
    if (sealed !== undefined) this.#houseworkDue = true;
    this.#opener.post({
      kind: 'segment-opened',
      sealedBytes: sealed?.record.bytes ?? 0,
      firstLsn,
      number: live.record.number,
      createdMs: live.record.createdMs,
    });
  }

  #settleRecovery(): void {
    if (this.#settle === undefined) return;
    this.#settle();
    this.#settle = undefined;
    this.#watermark = this.#start.lastLsn;
    this.#stateWatermark = this.#watermark;
    this.#board.set('durableLsn', this.#watermark);
  }

  #settleOrReject(): boolean {
    try {
      this.#settleRecovery();
    } catch (error) {
      if (!isOutOfRoom(error)) throw error;
      this.#rejectRequests(outOfRoom(error, this.#options.directory));
      return false;
    }
    this.#answerRequests();
    return true;
  }

  /**
   * The disk is full: everything accepted and not written rejects, what is half written is cut off durably, and the
   * log works on. Durably, since a rejected entry must not come back after a power cut.
   */
  #rejectAll(error: unknown): void {
    const failure = outOfRoom(error, this.#options.directory);
    this.#finishJob();
    if (this.#settle === undefined) {
      for (const number of this.#groups.takeBack()) this.#opener.post({ kind: 'segment-withdrawn', number });
    }
    for (const lane of this.#lanes) {
      lane.look();
      const { from, to } = lane.discard();
      this.#board.add('rejected', to - from);
      if (to > from) lane.post({ kind: 'rejected', from, to, failure });
    }
    this.#rejectRequests(failure);
  }

  /** The log ends: nothing more is taken, whoever waits is told. */
  #fail(failure: Failure): void {
    this.#failure = failure;
    for (const lane of this.#lanes) lane.post({ kind: 'failed', written: lane.nextWhole, failure });
    this.#doorbell.setFailed();
    this.#rejectRequests(failure);
    this.#serveFailed();
  }

  /** After a failure: nobody stays blocked, and `close` is heard. */
  #serveFailed(): boolean {
    let worked = false;
    for (const lane of this.#lanes) {
      lane.look();
      const ticket = lane.takeFlush();
      if (ticket !== undefined) lane.finishFlush(ticket);
      const { from, to } = lane.discard();
      worked = worked || to > from || ticket !== undefined;
      for (let message = lane.dueMessage(); message !== undefined; message = lane.dueMessage()) {
        lane.takeMessage();
        if (message.kind === 'close') this.#closing = true;
        worked = true;
        lane.discard();
      }
    }
    return worked;
  }

  /** Nothing is left to write, to sync or to answer. */
  #isQuiet(): boolean {
    return (
      !this.#syncer.busy &&
      this.#newRequests.length === 0 &&
      this.#requests.length === 0 &&
      (this.#settle !== undefined || this.#groups.wholeLsn === this.#watermark) &&
      !this.#lanes.some((lane) => lane.hasWork())
    );
  }

  #close(): void {
    if (
      this.#failure === undefined &&
      this.#settle === undefined &&
      this.#stateWatermark !== this.#watermark
    ) {
      try {
        writeState(this.#disk, this.#options.directory, this.#state(this.#watermark), this.#options.fileMode);
      } catch (error) {
        // Everything is durable: only the proof that the last group was is missing at the next open.
        const failure = failureOf(error, 'write the state file', this.#options.directory);
        this.#opener.post({ kind: 'trouble', failure });
      }
    }
    if (this.#syncer.busy) this.#syncer.finish();
    this.#syncer.stop();
    this.#groups.segments.close();
  }

  /** After the last word: whoever came to wait while the log was being closed finds it in the port. */
  wakeFlushes(): void {
    for (const lane of this.#lanes) {
      lane.look();
      const ticket = lane.takeFlush();
      if (ticket !== undefined) lane.finishFlush(ticket);
    }
  }

  #state(watermark: number): LogState {
    return { logId: this.#start.logId, watermark, checkpoint: this.#start.checkpoint };
  }

  #nextDueMs(): number {
    if (this.#failure !== undefined) return Number.POSITIVE_INFINITY;
    return this.#syncer.busy ? Number.POSITIVE_INFINITY : Math.min(this.#policy.dueMs, this.#stateDueMs);
  }

  get #opener(): LaneIntake {
    return this.#lanes[0] as LaneIntake;
  }

  #laneAt(index: number): LaneIntake {
    return this.#lanes.find((lane) => lane.index === index) as LaneIntake;
  }
}

interface SyncRequest {
  readonly lane: LaneIntake;
  /** Of a `sync`; a blocked flush has a ticket instead. */
  readonly id: number;
  readonly ticket: number | undefined;
}

const NOTHING_UNSYNCED = { files: [], directoryChanged: false };

/** No room, in the file system or for another descriptor: a passing state in which nothing was harmed. */
function isOutOfRoom(error: unknown): boolean {
  return isFullDisk(error) || isOutOfDescriptors(error);
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
