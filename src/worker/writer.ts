import { type Disk, isDenied, isFullDisk, isOutOfDescriptors } from '../files/disk.js';
import type { Board } from '../ring/board.js';
import type { Doorbell } from '../ring/doorbell.js';
import { type CommitHost, Committer } from './committer.js';
import { failureOf, systemCause } from './failure.js';
import { type GroupHost, GroupWriter } from './group-writer.js';
import { isWish, type LaneIntake, type Wish } from './lane-intake.js';
import type { LanePool } from './lane-pool.js';
import { type CommandHost, LogCommands } from './log-commands.js';
import type { AttachRequest, Failure, LogCommand, ToLane, WriterOptions } from './messages.js';
import type { SegmentCatalog } from './segment-catalog.js';
import type { OpenSegment } from './segment-writer.js';
import { SyncRequests } from './sync-requests.js';
import type { Syncer } from './syncer.js';

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
 * step it. It blocks in its own write calls, in the `fdatasync` of a small group on a quick disk (`Committer` decides), and
 * where a sealed segment must be synced before the next one is created.
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
  readonly #committer: Committer;
  readonly #requests = new SyncRequests((lane) => this.#leavers.push(lane));
  readonly #commands: LogCommands;
  #settle: (() => void) | undefined;
  #failure: Failure | undefined;
  #closing = false;
  #lingered = true;

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
    const tell = (message: ToLane) => this.#opener.post(message);
    this.#committer = new Committer(parts, this.#commitHost(tell));
    this.#groupHost = {
      nowMs: () => this.#nowMs(),
      // Not the committer's, who hears of a sync later than those who wait for it: whatever they append then proves it.
      watermark: () => this.#board.get('durableLsn'),
      beforeAdvance: () => {
        this.#groups.segments.checkPlace();
        this.#committer.syncSealed();
      },
      advanced: (sealed, live, firstLsn) => this.#advanced(sealed, live, firstLsn),
    };
    this.#groups = this.#resumeAt(parts.start.lastLsn);
    const { housekeeper } = this.#committer;
    this.#commands = new LogCommands(parts, parts.start, housekeeper, tell, this.#commandHost());
  }

  #commitHost(tell: (message: ToLane) => void): CommitHost {
    const writer = this;
    return {
      get groups() {
        return writer.#groups;
      },
      lanes: this.#lanes,
      get isClosing() {
        return writer.#closing;
      },
      tell,
      noteSynced: (watermark) => this.#requests.answer(watermark),
    };
  }

  #commandHost(): CommandHost {
    const writer = this;
    return {
      get groups() {
        return writer.#groups;
      },
      get watermark() {
        return writer.#committer.watermark;
      },
      syncAll: () => {
        this.#settleRecovery();
        this.#committer.syncAll();
      },
      lowerWatermark: (lsn) => this.#committer.lowerWatermark(lsn),
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
    const expectant = this.#committer.takeExpectant();
    return { kind: 'wait', forMs: Math.min(forMs, LINGER_MS), lingering: true, expectant };
  }

  #work(): boolean {
    try {
      this.#requests.startRound();
      let worked = this.#committer.poll();
      for (const lane of this.#lanes) worked = this.#serve(lane) || worked;
      this.#requests.finishRound(this.#lanes, this.#groups.wholeLsn);
      worked = this.#requests.answer(this.#committer.watermark) || worked;
      return this.#startDueJob() || worked;
    } catch (error) {
      this.#fail(failureOf(error, `write to "${this.#options.directory}"`, this.#options.directory));
      return true;
    }
  }

  /**
   * Gives one lane its turn: one group, one entry beside the ring, or one request, so that it waits for no more than that of
   * each other one. A batch is never left off in the middle, since only its own lane may be drained then.
   */
  #serve(lane: LaneIntake): boolean {
    lane.look();
    let worked = this.#takeFlush(lane);
    do {
      const message = lane.dueMessage();
      if (message !== undefined && isWish(message)) {
        lane.takeMessage();
        this.#heed(lane, message);
      } else if (lane.isDrained) {
        return worked;
      } else {
        this.#writeGroup(lane);
      }
      worked = true;
    } while (this.#groups.insideBatch);
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
    const { buffer } = lane.views.i32;
    this.#opener.post({ kind: 'lane-opened', lane: lane.index, lifePort, buffer }, [lifePort]);
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
    this.#committer.noteNews();
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
    this.#committer.noteWritten(lane);
    if (this.#groups.insideBatch) return;
    this.#committer.poll();
    this.#startDueJob();
  }

  /** Starts what is due, a sync or housework, unless a job is under way. */
  #startDueJob(): boolean {
    const committer = this.#committer;
    if (!committer.canSync) return false;
    const isForced = this.#closing || this.#requests.reachBeyond(committer.watermark);
    if (this.#settle !== undefined) return isForced && this.#settleOrReject();
    return committer.startDue(isForced);
  }

  #advanced(sealed: OpenSegment | undefined, live: OpenSegment, firstLsn: number): void {
    const { housekeeper } = this.#committer;
    housekeeper.noteBegun(live.record);
    if (sealed !== undefined) housekeeper.noteSealed();
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
    const { reserve } = this.#committer;
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

  #settleRecovery(): void {
    if (this.#settle === undefined) return;
    this.#settle();
    this.#settle = undefined;
    this.#committer.noteRecovered(this.#start.lastLsn);
  }

  #settleOrReject(): boolean {
    try {
      this.#settleRecovery();
    } catch (error) {
      if (!this.#mayPass(error)) throw error;
      this.#requests.rejectAll(outOfRoom(error, this.#options.directory));
      return false;
    }
    this.#requests.answer(this.#committer.watermark);
    return true;
  }

  /**
   * The disk is full: everything accepted and not written rejects, what is half written is cut off durably, and the
   * log works on. Durably, since a rejected entry must not come back after a power cut. A request for a sync that
   * would have covered any of it rejects too; those whose target is known cover only what is written.
   */
  #rejectAll(error: unknown): void {
    const failure = outOfRoom(error, this.#options.directory);
    this.#committer.finishJob();
    if (this.#settle === undefined) {
      for (const number of this.#groups.takeBack()) this.#opener.post({ kind: 'segment-withdrawn', number });
      this.#committer.noteTakenBack();
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
      else if (isWish(message)) this.#heed(lane, message);
    }
    this.#board.add('rejected', lost);
    if (lost > 0) this.#committer.noteNews();
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
    let worked = this.#committer.pollLate();
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

  /** Nothing is left to write, to sync or to answer. */
  #isQuiet(): boolean {
    return (
      !this.#syncer.busy &&
      this.#requests.isEmpty &&
      this.#leavers.length === 0 &&
      (this.#settle !== undefined || this.#groups.wholeLsn === this.#committer.watermark) &&
      !this.#lanes.some((lane) => lane.hasWork())
    );
  }

  #close(): void {
    if (this.#failure === undefined) this.#sealLast();
    this.#committer.close(this.#failure === undefined && this.#settle === undefined);
    // Said first: whoever sees that the lock is free, or a thread gone, knows that the log was closed and nobody died.
    for (const lane of this.#lanes) lane.post({ kind: 'closed', taken: lane.nextWhole });
    this.#syncer.stop();
    this.#groups.segments.close();
  }

  #sealLast(): void {
    const { segments } = this.#groups;
    try {
      segments.checkPlace();
      // A segment may have been sealed for an entry that then found no room.
      this.#committer.syncSealed();
      segments.seal();
      this.#committer.makeRoom();
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
    // What recovery could not do yet is tried when somebody waits for it, not by the clock.
    return this.#settle === undefined ? this.#committer.dueMs : this.#committer.syncDueMs;
  }
}

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
