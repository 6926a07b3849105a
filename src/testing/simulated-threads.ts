import type { MessagePort } from 'node:worker_threads';
import type { AsyncFile } from '../files/async-file.js';
import type { DiskLock, FileIdentity } from '../files/disk.js';
import { SimulatedCrash } from '../files/simulation/simulated-disk.js';
import type { SnapshotJobs } from '../main/jobs/snapshot-jobs.js';
import type { DelayOptions, LifeWatch, LogEngine, LogThread } from '../main/log/log-engine.js';
import type { SyncThreadData, WriterThreadData } from '../protocol/thread-data.js';
import { Doorbell } from '../ring/doorbell.js';
import { LaneWord, viewLane } from '../ring/layout.js';
import { LogStatus } from '../ring/log-status.js';
import { type BackupRequest, backupOn } from '../worker/backup/backup.js';
import { failureOf } from '../worker/errors/failure.js';
import { createWriter, lockLog, openedMessage } from '../worker/open-writer.js';
import { recoverLog } from '../worker/recover/recovery.js';
import { SyncRound } from '../worker/sync/sync-round.js';
import type { Writer } from '../worker/writer.js';
import type { Boot } from './boot.js';
import { openSimulated } from './segment-files.js';
import { simulatedSnapshotJobs } from './simulated-snapshots.js';
import { SteppedSyncer } from './stepped-syncer.js';
import type { TimelineEvent } from './timeline.js';

/** More events than any flush takes: a flush that needs more never ends. */
const EVENTS_MAX = 1_000_000;

/**
 * The writer thread and the sync thread of one log on a simulated machine. The code is that of the real threads, but they take
 * turns with the caller instead of running beside it. Each step of the writer, and each sync, is an event of the machine's
 * timeline.
 *
 * Messages to the opening thread arrive at once: Node would deliver them at a moment that no seed decides.
 */
export class SimulatedThreads implements LogEngine {
  readonly hasOtherThreads = false;
  readonly snapshotJobs: SnapshotJobs;
  readonly #boot: Boot;
  readonly #pid: number;
  readonly #syncThread = new SimulatedThread();
  readonly #writerThread = new SimulatedThread();
  #writerData: WriterThreadData<MessagePort> | undefined;
  #syncData: SyncThreadData<MessagePort> | undefined;
  #deliver: () => void = () => {};
  #writer: Writer | undefined;
  #lock: DiskLock | undefined;
  /** The writer's next turn. */
  #turn: TimelineEvent | undefined;
  #isFlushing = false;
  #isOver = false;

  constructor(boot: Boot, pid: number) {
    this.#boot = boot;
    this.snapshotJobs = simulatedSnapshotJobs(boot);
    this.#pid = pid;
  }

  createDoorbell(memory: SharedArrayBuffer): Doorbell {
    return new RungDoorbell(memory, () => this.#ring());
  }

  startThread(
    data: WriterThreadData<MessagePort> | SyncThreadData<MessagePort>,
    _ports: MessagePort[],
    deliver: () => void,
  ): LogThread {
    this.#deliver = deliver;
    if (data.role === 'sync') {
      this.#syncData = data;
      this.#syncThread.onTerminate = () => this.#end(1);
      return this.#syncThread;
    }
    this.#writerData = data;
    this.#writerThread.onTerminate = () => this.#end(1);
    this.#boot.plan(this.#boot.shortMs(), () => this.#open());
    return this.#writerThread;
  }

  watchLives(): LifeWatch {
    return { bothLive: () => !this.#isOver && !this.#boot.isOver, close() {} };
  }

  openForReading(path: string): Promise<AsyncFile> {
    return openSimulated(this.#boot, path);
  }

  async identifyPath(path: string): Promise<FileIdentity | undefined> {
    return this.#boot.disk.stat(path);
  }

  nowMs(): number {
    return this.#boot.timeline.nowMs;
  }

  wallMs(): number {
    return this.#boot.disk.now();
  }

  delay(ms: number, { signal }: DelayOptions): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const end = () => {
        event.isCancelled = true;
        signal.removeEventListener('abort', end);
        resolve();
      };
      const event = this.#boot.plan(ms, end);
      signal.addEventListener('abort', end);
    });
  }

  /** The whole job is one event: the log's threads do not run meanwhile. */
  backup(request: BackupRequest): Promise<ReturnType<typeof backupOn>> {
    return this.#boot.later(() => backupOn(this.#boot.disk, request));
  }

  /** Both threads have ended, in any way. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** The opening thread takes in its messages. */
  deliver(): void {
    if (!this.#isOver && !this.#boot.isOver) this.#deliver();
  }

  /** The machine has stopped while the log was being opened: drops the callers that wait for the opening. */
  abandonOpening(): void {
    if (this.#writer === undefined) this.#end(1);
  }

  #open(): void {
    const { disk, timeline } = this.#boot;
    const [data, syncData] = [this.#writerData, this.#syncData];
    if (this.#isOver || data === undefined || syncData === undefined) return;
    const { options, lanePort } = data;
    const { directory } = options;
    const nowMs = () => timeline.nowMs;
    try {
      this.#lock = lockLog(disk, options);
      const recovered = recoverLog(disk, options);
      const syncer = new SteppedSyncer({
        disk,
        nowMs,
        status: new LogStatus(syncData.status),
        options,
        place: recovered.start.place,
        openerPort: syncData.lanePort,
        createRound: (parts) => new SyncRound(parts),
        pid: this.#pid,
      });
      syncer.onStart = () => this.#sync(syncer);
      this.#writer = createWriter({ disk, lock: this.#lock, nowMs, data, syncer, recovered }).writer;
      lanePort.postMessage(openedMessage(recovered, directory));
      this.deliver();
      this.#wake(this.#boot.shortMs());
    } catch (error) {
      if (disk.hasStopped) return;
      lanePort.postMessage({ kind: 'refused', failure: failureOf(error, `open "${directory}"`, directory) });
      this.#lock?.release();
      this.deliver();
      this.#end(0);
    }
  }

  /** Plans the events of the job that was just started. The writer may learn of its end, or have waited for it, before they come. */
  #sync(syncer: SteppedSyncer): void {
    const job = syncer.jobs.length;
    const isUnderWay = () => syncer.jobs.length === job && !this.#isOver;
    this.#boot.plan(this.#boot.syncMs(), () => {
      if (!isUnderWay()) return;
      syncer.work();
      if (this.#boot.disk.hasStopped) return;
      this.deliver();
      this.#boot.plan(this.#boot.shortMs(), () => {
        if (!isUnderWay()) return;
        syncer.complete();
        this.#wake(0);
      });
    });
  }

  /** There is work for the writer. A caller blocked in `flushSync` sees nothing happen before its flush is served. */
  #ring(): void {
    if (this.#isOver || this.#boot.isOver) return;
    this.#wake(this.#boot.shortMs());
    if (this.#isFlushing || !this.#isFlushAsked) return;
    this.#isFlushing = true;
    try {
      for (let events = 0; this.#isFlushAsked && !this.#boot.disk.hasStopped; events += 1) {
        if (events === EVENTS_MAX) throw new Error('the simulated threads never finish the flush');
        if (!this.#boot.timeline.advance()) throw new Error('no event is left that could finish the flush');
      }
    } finally {
      this.#isFlushing = false;
    }
    if (this.#boot.disk.hasStopped)
      throw new SimulatedCrash('the simulated machine stopped in the middle of a flush');
  }

  get #isFlushAsked(): boolean {
    const data = this.#writerData;
    if (data === undefined || this.#writer === undefined || this.#isOver) return false;
    const { i32 } = viewLane(data.lane);
    return i32[LaneWord.flushRequested] !== i32[LaneWord.flushDone];
  }

  /** The writer gets its turn after `delayMs` at the latest. */
  #wake(delayMs: number): void {
    if (this.#writer === undefined || this.#isOver) return;
    const atMs = this.#boot.timeline.nowMs + delayMs;
    if (this.#turn !== undefined && this.#turn.atMs <= atMs) return;
    if (this.#turn !== undefined) this.#turn.isCancelled = true;
    this.#turn = this.#boot.plan(delayMs, () => {
      this.#turn = undefined;
      this.#step();
    });
  }

  #step(): void {
    const writer = this.#writer;
    if (writer === undefined || this.#isOver) return;
    const next = writer.step();
    if (this.#boot.disk.hasStopped) return;
    this.deliver();
    if (next.kind === 'again') this.#wake(this.#boot.shortMs());
    else if (next.kind === 'wait') {
      if (Number.isFinite(next.forMs)) this.#wake(next.forMs);
    } else {
      this.#lock?.release();
      writer.wakeFlushes();
      this.#end(0);
    }
  }

  #end(exitCode: number): void {
    if (this.#isOver) return;
    this.deliver();
    this.#letGo();
    this.#lock?.release();
    this.#syncThread.end(exitCode);
    this.#writerThread.end(exitCode);
  }

  #letGo(): void {
    this.#isOver = true;
    const { lanePort, syncPort } = this.#writerData ?? {};
    for (const port of [lanePort, syncPort, this.#syncData?.lanePort, this.#syncData?.writerPort])
      port?.close();
  }
}

/** The opener's doorbell. Each ring counts, since the writer of a simulation is never awake by itself. */
class RungDoorbell extends Doorbell {
  readonly #onRing: () => void;

  constructor(memory: SharedArrayBuffer, onRing: () => void) {
    super(memory);
    this.#onRing = onRing;
  }

  override get isAsleep(): boolean {
    return true;
  }

  override ring(): void {
    this.#onRing();
  }
}

class SimulatedThread implements LogThread {
  onTerminate: () => void = () => {};
  #onExit: ((exitCode: number) => void)[] = [];

  /** The worker throws nothing. */
  on(): void {}

  once(_event: 'exit', listener: (exitCode: number) => void): void {
    this.#onExit.push(listener);
  }

  /** The timeline keeps the process alive. */
  ref(): void {}

  unref(): void {}

  async terminate(): Promise<void> {
    this.onTerminate();
  }

  end(exitCode: number): void {
    const listeners = this.#onExit;
    this.#onExit = [];
    for (const listener of listeners) listener(exitCode);
  }
}
