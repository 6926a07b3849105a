import assert from 'node:assert/strict';
import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { createDirectory } from '../../../src/files/directories.js';
import type { DiskLock } from '../../../src/files/disk.js';
import { SimulatedDisk } from '../../../src/files/simulation/simulated-disk.js';
import type { ToLane } from '../../../src/protocol/lane-messages.js';
import type { WriterOptions } from '../../../src/protocol/thread-data.js';
import { createDoorbellMemory, Doorbell } from '../../../src/ring/doorbell.js';
import type { Kernel } from '../../../src/ring/kernel/kernel.js';
import { createReferenceKernel } from '../../../src/ring/kernel/reference.js';
import { type LaneViews, viewLane } from '../../../src/ring/layout.js';
import { createLogStatus, LogStatus } from '../../../src/ring/log-status.js';
import { SteppedSyncer, type SyncerHost } from '../../../src/testing/stepped-syncer.js';
import { LanePool } from '../../../src/worker/intake/lane-pool.js';
import { WriterLane } from '../../../src/worker/intake/writer-lane.js';
import { WriterLanes } from '../../../src/worker/intake/writer-lanes.js';
import { type Recovered, recoverLog } from '../../../src/worker/recover/recovery.js';
import { SyncRound, type SyncRoundParts } from '../../../src/worker/sync/sync-round.js';
import { type NextStep, Writer } from '../../../src/worker/writer.js';
import { LaneClient, RING_BYTES } from './lane-client.js';
import { type FrameOnDisk, type LogBytes, readFrames, readState, segmentNumbers } from './segments.js';

export const DIRECTORY = '/logs/data';

/** The process id in the stats file. */
export const PID = 4711;

export const OPTIONS: WriterOptions = {
  directory: DIRECTORY,
  create: true,
  maxFileSize: 1024 * 1024,
  maxFiles: Number.POSITIVE_INFINITY,
  maxTotalSize: Number.POSITIVE_INFINITY,
  maxAge: Number.POSITIVE_INFINITY,
  retainFromCheckpoint: false,
  hasArchive: false,
  hasReplica: false,
  archiveTimeout: Number.POSITIVE_INFINITY,
  retainFromSnapshot: false,
  syncInterval: 200,
  commitDelay: 0,
  recovery: 'strict',
  preallocate: false,
  // A stamp would make frames longer by the clock.
  timeResolution: 0,
  fileMode: 0o600,
  directoryMode: 0o700,
  compression: undefined,
};

/** Only a ring wakes the writer. */
export const PARKED: NextStep = {
  kind: 'wait',
  forMs: Number.POSITIVE_INFINITY,
  lingering: false,
  afterLoneCommit: false,
};

/** More rounds than any amount of work here takes: a writer that needs more never rests. */
const ROUNDS_MAX = 10_000;

export interface TestLogSettings {
  readonly disk?: SimulatedDisk;
  readonly options?: Partial<WriterOptions>;
  /** The round of syncs for both threads. Default: the real one. */
  readonly createRound?: ((parts: SyncRoundParts) => SyncRound) | undefined;
  /** Default: the real one. */
  readonly createSyncer?: ((host: SyncerHost) => SteppedSyncer) | undefined;
  /** Default: the reference kernel. */
  readonly createKernel?: ((views: LaneViews) => Kernel) | undefined;
  readonly maxLanes?: number;
  /** Default: a lock whose file keeps its name. */
  readonly lock?: Pick<DiskLock, 'isNamed'>;
}

/**
 * A log with everything around its writer, in one thread and with a virtual clock. The clock moves, and syncs return, only when
 * the test says so.
 */
export class TestLog {
  readonly disk: SimulatedDisk;
  readonly options: WriterOptions;
  readonly recovered: Recovered;
  readonly lane: LaneClient;
  /** Memory of [status]. */
  readonly statusMemory = createLogStatus();
  readonly status = new LogStatus(this.statusMemory);
  readonly syncer: SteppedSyncer;
  readonly doorbell = new Doorbell(createDoorbellMemory());
  readonly #writer: Writer;
  readonly #ports: MessagePort[] = [];
  #nowMs = 0;

  /** Opens the log of a disk as src/worker/writer-thread.ts does. */
  constructor({
    disk = newDisk(),
    options = {},
    createRound = (parts) => new SyncRound(parts),
    createSyncer,
    createKernel = createReferenceKernel,
    maxLanes = 64,
    lock = { isNamed: () => true },
  }: TestLogSettings = {}) {
    this.disk = disk;
    this.options = { ...OPTIONS, ...options };
    createDirectory(disk, this.options.directory, this.options.directoryMode);
    this.recovered = recoverLog(disk, this.options);
    // Created late, since a log that is refused would not free it.
    this.lane = new LaneClient();
    const { views, writerPort } = this.lane;
    const { status } = this;
    const nowMs = () => this.#nowMs;
    const host: SyncerHost = {
      disk,
      nowMs,
      status,
      options: this.options,
      place: this.recovered.start.place,
      openerPort: writerPort,
      createRound,
      pid: PID,
    };
    this.syncer = createSyncer?.(host) ?? new SteppedSyncer(host);
    const lanes = new WriterLanes(new WriterLane(0, views, createKernel(views), writerPort));
    const { directory } = this.options;
    try {
      this.#writer = new Writer({
        disk,
        lock,
        nowMs,
        status,
        doorbell: this.doorbell,
        options: this.options,
        lanes,
        pool: new LanePool(DIRECTORY, { ringSize: RING_BYTES, maxLanes }, status, (_memory, laneViews) =>
          createKernel(laneViews),
        ),
        syncer: this.syncer,
        round: createRound({ disk, nowMs, directory, status, channels: lanes.channels }),
        start: this.recovered.start,
      });
    } catch (error) {
      // It opens the last segment.
      this.dispose();
      throw error;
    }
  }

  step(): NextStep {
    const next = this.#writer.step();
    this.lane.noteStep();
    return next;
  }

  /** A lane for another thread, as the writer creates it; or the writer's refusal. Call `run` before, or the reply comes later. */
  attach(asker: LaneClient = this.lane): LaneClient | ToLane {
    const toWriter = new MessageChannel();
    const toSync = new MessageChannel();
    const life = new MessageChannel();
    asker.attach({ writerPort: toWriter.port2, syncPort: toSync.port2, lifePort: life.port2 });
    this.run();
    const first = receiveMessageOnPort(toWriter.port1)?.message as ToLane;
    this.#ports.push(toWriter.port1, toSync.port1, life.port1);
    if (first.kind !== 'attached') return first;
    return new LaneClient({ views: viewLane(first.memory), port: toWriter.port1, syncPort: toSync.port1 });
  }

  /** Would the writer's thread stay awake? */
  get hasWork(): boolean {
    return this.#writer.hasWork();
  }

  /** Steps until there is nothing to do but wait. */
  run(): NextStep {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const next = this.step();
      if (next.kind === 'closed' || (next.kind === 'wait' && !next.lingering)) return next;
    }
    throw new Error('the writer never rests');
  }

  /** Lets the sync under way return, and the writer take it in. */
  finishSync(): NextStep {
    this.syncer.complete();
    return this.run();
  }

  /** Lets time pass; nothing happens by itself. */
  advance(ms: number): void {
    this.#nowMs += ms;
    this.disk.advance(ms);
  }

  /** Lets time pass; the writer wakes up at its due times. */
  sleep(ms: number): NextStep {
    const endMs = this.#nowMs + ms;
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const next = this.run();
      const forMs = next.kind === 'wait' ? next.forMs : Number.POSITIVE_INFINITY;
      if (this.#nowMs + forMs > endMs) {
        this.advance(endMs - this.#nowMs);
        return next;
      }
      this.advance(forMs);
    }
    throw new Error('the writer spins');
  }

  /** Closes the log in good order. */
  close(): void {
    this.lane.close();
    this.syncer.isPrompt = true;
    this.syncer.complete();
    assert.equal(this.run().kind, 'closed');
    this.lane.hear();
    this.dispose();
  }

  /** Releases everything, however the test ended. */
  dispose(): void {
    this.lane.dispose();
    for (const port of this.#ports) port.close();
  }

  /** What a program would read now. */
  get files(): LogBytes {
    return {
      names: () => this.disk.names(this.options.directory),
      contents: (name) => this.disk.contents(`${this.options.directory}/${name}`),
    };
  }

  get frames(): FrameOnDisk[] {
    return readFrames(this.files);
  }

  /** The entries as text, in order. */
  get texts(): string[] {
    return this.frames.map(({ data }) => Buffer.from(data).toString());
  }

  /** The files of segments, by number. */
  get segments(): number[] {
    return segmentNumbers(this.files);
  }

  get state(): ReturnType<typeof readState> {
    return readState(this.files);
  }
}

export function newDisk(seed = 1): SimulatedDisk {
  return new SimulatedDisk({ seed });
}
