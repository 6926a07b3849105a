import type { Disk, DiskLock } from '../files/disk.js';
import type { Failure } from '../protocol/errors.js';
import type { AnyCommand, AttachRequest } from '../protocol/lane-messages.js';
import type { WriterOptions } from '../protocol/thread-data.js';
import type { Doorbell } from '../ring/doorbell.js';
import type { LogStatus } from '../ring/log-status.js';
import { LogCommands } from './commands/log-commands.js';
import { failureOf, mayPass, PassingError, systemCause } from './errors/failure.js';
import type { LaneRequest } from './intake/lane-input.js';
import type { LanePool } from './intake/lane-pool.js';
import type { WriterLane } from './intake/writer-lane.js';
import type { WriterLanes } from './intake/writer-lanes.js';
import type { LogStart } from './recover/recovery.js';
import { Committer } from './sync/committer.js';
import { SyncRequests } from './sync/sync-requests.js';
import type { SyncRound } from './sync/sync-round.js';
import type { Syncer } from './sync/syncer.js';
import { SealTimer } from './upkeep/seal-timer.js';
import { BlockFramer } from './write/block-framer.js';
import { Framer } from './write/framer.js';
import { LogTail } from './write/log-tail.js';
import { Preallocation } from './write/preallocation.js';

export interface WriterParts {
  readonly disk: Disk;
  /** The directory's lock, which the caller holds and releases. */
  readonly lock: Pick<DiskLock, 'isNamed'>;
  /** Milliseconds of a clock that never goes back. */
  readonly nowMs: () => number;
  readonly status: LogStatus;
  readonly doorbell: Doorbell;
  readonly options: WriterOptions;
  /** At first only the opener's lane. */
  readonly lanes: WriterLanes;
  /** Lanes for other threads. */
  readonly pool: LanePool;
  readonly syncer: Syncer;
  /** The round of syncs for this thread. */
  readonly round: SyncRound;
  readonly start: LogStart;
}

/** What to do after a [Writer.step]. */
export type NextStep =
  | { readonly kind: 'again' }
  /**
   * Nothing to do before `forMs` have passed or a thread rings. `lingering`: only urgent work needs to ring. `afterLoneCommit`: a
   * lone durable append was just acknowledged, and its producer may make the next one at once.
   */
  | {
      readonly kind: 'wait';
      readonly forMs: number;
      readonly lingering: boolean;
      readonly afterLoneCommit: boolean;
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
 * The writer: takes entries from the lanes, has them framed, written and synced, and answers the waiting producers. It calls the
 * layers below it; they never call it:
 *
 *   WriterLane ──▶ Framer ──▶ LogTail ──▶ Committer       lane's entries → Group → the file → durable
 *
 * Its life:
 *
 *   running ──▶ failed   a sync, a write or a cut failed: everything unacknowledged was rejected, no entry is taken any more
 *      │           │
 *      └─────▶ closed ◀┘
 *
 * The writer does not wait for work; its caller does (`writer-thread.ts` on the doorbell), so that tests and the simulation can
 * step it. It blocks in its own write calls, in the `fdatasync` of a small group on a quick disk (`Committer` decides), and where
 * a sealed segment must be synced before the next one is created.
 */
export class Writer {
  readonly #nowMs: () => number;
  readonly #status: LogStatus;
  readonly #doorbell: Doorbell;
  readonly #options: WriterOptions;
  readonly #lanes: WriterLanes;
  readonly #pool: LanePool;
  readonly #syncer: Syncer;
  readonly #framer: Framer;
  readonly #tail: LogTail;
  readonly #committer: Committer;
  readonly #commands: LogCommands;
  readonly #requests = new SyncRequests((lane) => this.#leavers.push(lane));
  /** Lanes that no producer uses any more. They are freed between two rounds, when no loop runs over the lanes. */
  #leavers: WriterLane[] = [];
  readonly #sealTimer: SealTimer;
  #failure: Failure | undefined;
  #closing = false;
  #lingered = true;

  constructor(parts: WriterParts) {
    const { disk, nowMs, status, options, lanes, start } = parts;
    this.#nowMs = nowMs;
    this.#status = status;
    this.#doorbell = parts.doorbell;
    this.#options = options;
    this.#lanes = lanes;
    this.#pool = parts.pool;
    this.#syncer = parts.syncer;
    const { compression, maxFileSize } = options;
    const noteMiss = () => status.add('blockMisses', 1);
    this.#framer = new Framer(compression && new BlockFramer(compression, maxFileSize, noteMiss));
    const preallocation = new Preallocation(options.preallocate, maxFileSize);
    const { logId, state, place, catalog, lastLsn } = start;
    this.#tail = new LogTail({
      disk,
      nowMs,
      options,
      status,
      logId,
      branch: state.branch,
      logDirectory: place,
      catalog,
      preallocation,
      lastLsn,
      lock: parts.lock,
    });
    const tail = this.#tail;
    this.#committer = new Committer({ ...parts, tail, preallocation });
    const committer = this.#committer;
    this.#sealTimer = new SealTimer(options.archiveTimeout, this.#nowMs);
    this.#noteLive();
    const opener = lanes.opener.acks;
    this.#commands = new LogCommands({
      disk,
      options,
      status,
      logId,
      place,
      catalog,
      opener,
      tail,
      committer,
      sealLive: () => this.#sealLive(),
      snapshots: start.snapshots,
    });
  }

  /** The last look before a wait: has anything arrived that no [step] has seen? */
  hasWork(): boolean {
    return this.#lanes.all.some((lane) => lane.hasWork()) || this.#syncer.isDone;
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
    const dueMs = this.#failure === undefined ? this.#dueMs : Number.POSITIVE_INFINITY;
    const forMs = Math.max(0, dueMs - this.#nowMs());
    if (this.#lingered) return { kind: 'wait', forMs, lingering: false, afterLoneCommit: false };
    this.#lingered = true;
    const afterLoneCommit = this.#committer.takeLoneCommit();
    return { kind: 'wait', forMs: Math.min(forMs, LINGER_MS), lingering: true, afterLoneCommit };
  }

  /** When the clock alone gives it something to do; Infinity = never. */
  get #dueMs(): number {
    return Math.min(this.#committer.dueMs, this.#closing ? Number.POSITIVE_INFINITY : this.#sealTimer.dueMs);
  }

  #work(): boolean {
    try {
      this.#requests.startRound();
      let worked = this.#committer.poll();
      for (const lane of this.#lanes.all) worked = this.#serve(lane) || worked;
      this.#requests.finishRound(this.#lanes.all, this.#tail.wholeLsn);
      worked = this.#answerRequests() || worked;
      worked = this.#sealIfDue() || worked;
      return this.#startDue() || worked;
    } catch (error) {
      this.#fail(failureOf(error, `write to "${this.#options.directory}"`, this.#options.directory));
      return true;
    }
  }

  /**
   * Gives one lane its turn, one group or one request, so that a lane waits for at most one turn of each other lane. A batch is
   * never interrupted, since only its own lane may be drained until it is complete.
   */
  #serve(lane: WriterLane): boolean {
    lane.look();
    let worked = this.#takeFlush(lane);
    do {
      const request = lane.input.dueRequest();
      if (request !== undefined) {
        lane.input.takeRequest();
        this.#handle(lane, request);
      } else if (lane.input.isDrained) {
        return worked;
      } else if (!this.#refusesDue(lane)) {
        this.#writeOrReject(lane);
      }
      worked = true;
    } while (this.#framer.insideBatch);
    return true;
  }

  /**
   * Refuses the lane's due message if it expects another LSN than the next one; true = it did. Exact without a lock: only this thread
   * gives out LSNs, and between this look and the message's first frame no other lane is served. A message whose expectation was
   * met is not checked again, though it may take several groups.
   */
  #refusesDue(lane: WriterLane): boolean {
    const expectation = lane.input.dueExpectation();
    const { nextLsn } = this.#tail;
    if (expectation === undefined || expectation.lsn === nextLsn) return false;
    const failure = conflict(expectation.lsn, nextLsn, this.#options.directory);
    lane.post({ kind: 'conflict', ...lane.refuseDue(expectation.entries), failure });
    return true;
  }

  /** Writes one group of what `lane` holds, or rejects everything if the disk is full. */
  #writeOrReject(lane: WriterLane): void {
    try {
      this.#committer.finishRecovery();
      if (this.#writeGroup(lane) === 'segment-full') {
        this.#rotate();
        this.#writeGroup(lane);
      }
    } catch (error) {
      if (!mayPass(error)) throw error;
      this.#rejectAll(error);
      return;
    }
    this.#committer.noteWritten(lane);
    if (this.#framer.insideBatch) return;
    this.#committer.poll();
    this.#startDue();
  }

  /** Takes one group from the lane to the file. */
  #writeGroup(lane: WriterLane): 'written' | 'segment-full' | 'nothing' {
    const { place } = this.#tail;
    if (place === undefined) return 'segment-full';
    // Not the committer's watermark, which is updated later than the acknowledgements: a group appended after one must prove it.
    const group = this.#framer.frame(lane, place, this.#status.get('durableLsn'));
    if (typeof group === 'string') return group;
    this.#committer.withRoom(() => this.#tail.append(group));
    this.#sealTimer.noteEntries();
    lane.noteWritten(group);
    return 'written';
  }

  #rotate(): void {
    // Synced before the directory is checked, since a sync may take long: the check must hold when the segment is created by name.
    this.#committer.syncSealed();
    this.#tail.checkPlace();
    const { live, firstLsn, sealedBytes } = this.#committer.withRoom(() => this.#tail.rotate());
    this.#committer.noteRotated(live, sealedBytes !== undefined);
    this.#sealTimer.noteEmpty();
    const { number, createdMs } = live;
    this.#lanes.opener.post({
      kind: 'segment-opened',
      number,
      createdMs,
      firstLsn,
      sealedBytes: sealedBytes ?? 0,
      previousLatestMs: this.#tail.previousLatestMs,
    });
  }

  /** Starts a sync or housework if one is due, unless a job is under way. */
  #startDue(): boolean {
    const committer = this.#committer;
    const isForced = this.#closing || this.#requests.reachBeyond(committer.watermark);
    try {
      if (!committer.startDue(isForced)) return false;
    } catch (error) {
      if (!(error instanceof PassingError)) throw error;
      this.#requests.rejectAll(outOfRoom(error, this.#options.directory));
      return false;
    }
    this.#answerRequests();
    return true;
  }

  #answerRequests(): boolean {
    return this.#requests.answer(this.#committer.watermark);
  }

  #handle(lane: WriterLane, request: LaneRequest): void {
    switch (request.kind) {
      case 'sync':
        this.#requests.add(lane, { kind: 'sync', id: request.id });
        break;
      case 'echo':
        lane.post({ kind: 'room' });
        break;
      case 'ask-next-lsn':
        this.#tellNextLsn(lane, request.id, request.expectLsn);
        break;
      case 'command':
        this.#runCommand(lane, request.id, request.command);
        break;
      case 'checkpoints':
        this.#changeCheckpoints(lane, request);
        break;
      case 'attach':
        this.#attach(request);
        break;
      case 'detach':
        this.#startLeaving(lane);
        break;
      case 'gone':
        this.#noteGone(request.lane);
        break;
      case 'close':
        this.#startClosing();
    }
  }

  #tellNextLsn(lane: WriterLane, id: number, expectLsn: number | undefined): void {
    const lsn = this.#tail.nextLsn;
    if (expectLsn === undefined || expectLsn === lsn) lane.post({ kind: 'next-lsn', id, lsn });
    else {
      const failure = conflict(expectLsn, lsn, this.#options.directory);
      lane.post({ kind: 'command-rejected', id, failure });
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
    this.#lanes.add(lane);
    this.#syncer.addLane(lane.index, request.syncPort);
    const { lifePort } = request;
    const { buffer } = lane.views.i32;
    this.#lanes.opener.post({ kind: 'lane-opened', lane: lane.index, lifePort, buffer }, [lifePort]);
  }

  /** Nothing more comes by `lane`: it is freed once all of it is durable. */
  #startLeaving(lane: WriterLane): void {
    if (lane.isLeaving) return;
    lane.isLeaving = true;
    if (this.#failure !== undefined) this.#leavers.push(lane);
    else this.#requests.add(lane, { kind: 'leave' });
  }

  /** The thread of a lane has ended. The entries that it had published are written like any others. */
  #noteGone(index: number): void {
    const lane = this.#lanes.find(index);
    if (lane === undefined || lane.isLeaving) return;
    this.#status.add('lanesGone', 1);
    // This look sees everything: the opening thread noticed the end, and posted it, after the thread's last store.
    lane.freeze();
    this.#startLeaving(lane);
  }

  #freeLeavers(): void {
    if (this.#leavers.length === 0) return;
    this.#committer.noteNews();
    for (const lane of this.#leavers) {
      this.#lanes.remove(lane);
      // Answers the lane before the sync thread's port closes.
      this.#pool.free(lane);
      this.#syncer.removeLane(lane.index);
    }
    this.#leavers = [];
  }

  /**
   * Entries that other threads have published until now still count. These threads may publish more, since nothing stops them, and
   * learn which entries were taken. The opener has stopped by itself.
   */
  #startClosing(): void {
    this.#closing = true;
    this.#committer.startClosing();
    for (const lane of this.#lanes.all) if (lane !== this.#lanes.opener) lane.freeze();
  }

  #takeFlush(lane: WriterLane): boolean {
    const ticket = lane.input.takeFlush();
    if (ticket === undefined) return false;
    this.#requests.add(lane, { kind: 'flush', ticket });
    return true;
  }

  #runCommand(lane: WriterLane, id: number, command: AnyCommand): void {
    const unprepared = this.#commands.prepare(command);
    // Requests that came before the command are durable now. They are answered before a cut lowers the watermark.
    this.#answerRequests();
    const { failure, result } =
      unprepared === undefined ? this.#commands.run(command) : { failure: unprepared, result: undefined };
    this.#noteLive();
    lane.post(
      failure === undefined
        ? { kind: 'command-done', id, result }
        : { kind: 'command-rejected', id, failure },
    );
  }

  #changeCheckpoints(
    lane: WriterLane,
    { id, changes }: Extract<LaneRequest, { readonly kind: 'checkpoints' }>,
  ): void {
    const outcome = this.#commands.change(changes);
    this.#answerRequests();
    lane.post(
      'results' in outcome
        ? { kind: 'checkpoints-done', id, results: outcome.results }
        : { kind: 'checkpoints-rejected', id, failure: outcome },
    );
  }

  /**
   * Seals the live segment if its entries have waited long enough for the archive. If there is no room for the next
   * segment, this is reported and tried again later.
   */
  #sealIfDue(): boolean {
    if (this.#closing || !this.#sealTimer.isDue) return false;
    try {
      this.#committer.finishRecovery();
      this.#sealLive();
    } catch (error) {
      if (!mayPass(error)) throw error;
      this.#sealTimer.putOff();
      this.#lanes.opener.post({ kind: 'trouble', failure: notSealed(error, this.#options.directory) });
    }
    return true;
  }

  /** Ends the live segment, durably, and begins the next one. */
  #sealLive(): void {
    this.#rotate();
    // Removes the old content of a recycled file: with it, the next open would not take the segment for an empty one.
    this.#tail.trim();
    // The archive gets the segment only once it is certain that it stays sealed.
    this.#committer.syncSealed();
  }

  #noteLive(): void {
    if (this.#tail.progress.bytes > 0) this.#sealTimer.noteEntries();
    else this.#sealTimer.noteEmpty();
  }

  /**
   * The disk is full: rejects everything that was accepted and not written, durably cuts off a half-written group, and continues.
   * The cut is durable because a rejected entry must not come back after a power cut. A request for a sync that would have
   * covered a rejected entry is rejected too; a request whose target is known covers only written entries.
   */
  #rejectAll(error: unknown): void {
    const failure = outOfRoom(error, this.#options.directory);
    this.#committer.finishJob();
    this.#framer.reset();
    for (const number of this.#tail.takeBack())
      this.#lanes.opener.post({ kind: 'segment-withdrawn', number });
    this.#committer.noteTakenBack();
    this.#noteLive();
    const losers = this.#lanes.all.filter((lane) => this.#discard(lane, failure));
    this.#requests.rejectVoid(losers, failure);
  }

  /** Rejects all entries that `lane` holds, and each `sync` that follows one of them; true = there were any. */
  #discard(lane: WriterLane, failure: Failure): boolean {
    lane.look();
    this.#takeFlush(lane);
    let lost = 0;
    for (;;) {
      const { from, to } = lane.discard();
      if (to > from) lane.post({ kind: 'rejected', from, to, failure });
      lost += to - from;
      const request = lane.input.dueRequest();
      if (request === undefined) break;
      lane.input.takeRequest();
      if (request.kind === 'sync' && lost > 0) lane.post({ kind: 'sync-rejected', id: request.id, failure });
      else this.#handle(lane, request);
    }
    this.#status.add('rejected', lost);
    if (lost > 0) this.#committer.noteNews();
    return lost > 0;
  }

  /** The log ends: takes no entry any more and rejects everything that waits. */
  #fail(cause: Failure): void {
    const failure = endOfLog(cause);
    this.#failure = failure;
    this.#answerRequests();
    for (const lane of this.#lanes.all)
      lane.post({ kind: 'failed', written: lane.waiters.nextWhole, failure });
    this.#doorbell.setFailed();
    this.#requests.rejectAll(failure);
    this.#serveFailed();
  }

  /** After a failure: no producer stays blocked, and `close` is answered. */
  #serveFailed(): boolean {
    let worked = this.#committer.pollLate();
    for (const lane of this.#lanes.all) {
      lane.look();
      worked = this.#releaseFlush(lane) || worked;
      const { from, to } = lane.discard();
      worked = worked || to > from;
      for (let request = lane.input.dueRequest(); request !== undefined; request = lane.input.dueRequest()) {
        lane.input.takeRequest();
        // The lane already knows that the failure rejected its sync or command.
        if (HEARD_AFTER_FAILURE.includes(request.kind)) this.#handle(lane, request);
        worked = true;
        lane.discard();
      }
    }
    return worked;
  }

  #releaseFlush(lane: WriterLane): boolean {
    const ticket = lane.input.takeFlush();
    if (ticket !== undefined) lane.input.finishFlush(ticket);
    return ticket !== undefined;
  }

  /** Nothing is left to write, to sync or to answer. */
  #isQuiet(): boolean {
    return (
      this.#committer.isAtRest &&
      this.#requests.isEmpty &&
      this.#leavers.length === 0 &&
      !this.#lanes.all.some((lane) => lane.hasWork())
    );
  }

  #close(): void {
    if (this.#failure === undefined) this.#sealLast();
    this.#committer.close(this.#failure !== undefined);
    // Posted before the lock is released and before any thread ends, so that neither is taken for a death.
    for (const lane of this.#lanes.all) lane.post({ kind: 'closed', taken: lane.waiters.nextWhole });
    this.#syncer.stop();
    this.#tail.close();
  }

  #sealLast(): void {
    const tail = this.#tail;
    try {
      // A segment may have been sealed for an entry that then found no room.
      this.#committer.syncSealed();
      tail.checkPlace();
      tail.seal();
      this.#committer.makeRoom();
    } catch (error) {
      this.#fail(failureOf(error, `close "${this.#options.directory}"`, this.#options.directory));
    }
  }

  /** After `closed` was posted: a producer that began to wait while the log was closing finds that message in its port. */
  wakeFlushes(): void {
    for (const lane of this.#lanes.all) {
      lane.look();
      this.#releaseFlush(lane);
    }
  }
}

/** Requests that still count once the log has failed. */
const HEARD_AFTER_FAILURE: readonly LaneRequest['kind'][] = ['close', 'attach', 'detach', 'gone'];

/** The failure, with the way out added unless it is there: a failed sync's message has it. */
function endOfLog(failure: Failure): Failure {
  if (failure.code !== 'ERR_WAL_IO') return failure;
  // A file-size limit, of the process or of the file system, is not lack of room and does not pass.
  const wayOut =
    failure.cause?.code === 'EFBIG'
      ? 'Close it and open it again with a maxFileSize below the limit (`ulimit -f`), or raise that.'
      : 'Close it and open it again once the cause is gone.';
  const message = `${failure.message.replace(/\.$/, '')}. The log has ended: entries that were not acknowledged may or may not be in it. ${wayOut}`;
  return { ...failure, message };
}

function conflict(expectLsn: number, nextLsn: number, directory: string): Failure {
  return {
    code: 'ERR_WAL_CONFLICT',
    message:
      `Cannot append to "${directory}" as entry ${expectLsn}: the next entry is ${nextLsn}. Nothing was taken. Read what the log ` +
      'holds now, and decide again.',
    path: directory,
    lsn: expectLsn,
  };
}

function outOfRoom(error: unknown, directory: string): Failure {
  const cause = systemCause(error instanceof PassingError ? error.cause : error);
  return {
    code: 'ERR_WAL_IO',
    message:
      `Cannot write to "${directory}": ${cause.message}. Every entry that was accepted and not written yet is rejected and is not in the log; ` +
      'the log works on once there is room.',
    path: directory,
    cause,
  };
}

function notSealed(error: unknown, directory: string): Failure {
  const cause = systemCause(error instanceof PassingError ? error.cause : error);
  return {
    code: 'ERR_WAL_IO',
    message: `Cannot seal the live segment of "${directory}" for the archive: ${cause.message}. It is tried again after archiveTimeout.`,
    path: directory,
    cause,
  };
}
