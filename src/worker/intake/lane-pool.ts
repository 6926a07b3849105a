import type { AttachRequest, ToLane } from '../../protocol/lane-messages.js';
import type { Kernel } from '../../ring/kernel/kernel.js';
import {
  createLaneMemory,
  type LaneMemory,
  type LaneViews,
  resetLane,
  stagingBytesFor,
  viewLane,
} from '../../ring/layout.js';
import type { LogStatus } from '../../ring/log-status.js';
import { WriterLane } from './writer-lane.js';

interface PooledLane {
  readonly memory: LaneMemory;
  readonly views: LaneViews;
  /** Bound to the memory, so they are pooled together. */
  readonly kernel: Kernel;
}

/**
 * Lanes for producers on other threads. The writer thread owns them: it alone knows when a lane is no longer used.
 *
 * Memory is pooled, since the engine frees dropped shared memory late: there are never more rings than lanes were in use at one
 * time, at most `maxLanes`. A lane returns to the pool
 *
 *   - when its producer has posted `detach`, after which it writes nothing, or
 *   - when the opening thread has noticed that the producer's thread has ended. It notices by a port, which Node closes with the
 *     thread's environment, after its last JavaScript.
 *
 * In both cases everything that the producer published is durable by then, and no acknowledgement is under way.
 */
export class LanePool {
  /** The log's directory, for messages. */
  readonly #directory: string;
  readonly #ringSize: number;
  readonly #maxLanes: number;
  readonly #status: LogStatus;
  readonly #createKernel: (memory: LaneMemory, views: LaneViews) => Kernel;
  readonly #pooled: PooledLane[] = [];
  readonly #used = new Map<WriterLane, PooledLane>();
  /** Never used twice: a message about a lane that is gone must not be taken for another lane's. 0 is the opener's. */
  #nextIndex = 1;
  #hasClosedPorts = false;

  constructor(
    directory: string,
    limits: { readonly ringSize: number; readonly maxLanes: number },
    status: LogStatus,
    createKernel: (memory: LaneMemory, views: LaneViews) => Kernel,
  ) {
    this.#directory = directory;
    this.#ringSize = limits.ringSize;
    this.#maxLanes = limits.maxLanes;
    this.#status = status;
    this.#createKernel = createKernel;
    this.#publish();
  }

  /** Creates the requested lane and sends it; `undefined`: the request was refused. */
  open(request: AttachRequest): WriterLane | undefined {
    if (this.#used.size + 1 >= this.#maxLanes) {
      this.#refuseAsFull(
        request,
        `${this.#maxLanes} lanes are in use already (option maxLanes). Close one of them first`,
      );
      return undefined;
    }
    const pooled = this.#pooled.pop();
    let made: PooledLane;
    try {
      made = pooled ?? this.#create();
    } catch (error) {
      // There is no address space for it. Existing lanes continue.
      this.#refuseAsFull(request, `there is no memory for another lane (${(error as Error).message})`);
      return undefined;
    }
    // On this thread, before the memory is sent: the port orders these stores for the producer.
    resetLane(made.views);
    const lane = new WriterLane(this.#nextIndex++, made.views, made.kernel, request.writerPort);
    this.#used.set(lane, made);
    if (pooled !== undefined) this.#status.add('lanesReused', 1);
    this.#publish();
    lane.post({ kind: 'attached', memory: made.memory, isNew: pooled === undefined });
    return lane;
  }

  /** Tells the thread at the other end why there is no lane. */
  refuse(request: AttachRequest, why: ToLane): void {
    request.writerPort.postMessage(why);
    for (const port of [request.writerPort, request.syncPort, request.lifePort]) port.close();
    this.#hasClosedPorts = true;
  }

  /** Takes back the memory of a lane that no producer uses any more, and tells its producer. */
  free(lane: WriterLane): void {
    this.#pooled.push(this.#used.get(lane) as PooledLane);
    this.#used.delete(lane);
    // Before the producer gets its answer: otherwise an attach right after that could find no free lane.
    this.#publish();
    lane.detach();
    this.#hasClosedPorts = true;
  }

  /** Were ports closed since the last call? See [finishClosing]. */
  takeClosedPorts(): boolean {
    const hadSome = this.#hasClosedPorts;
    this.#hasClosedPorts = false;
    return hadSome;
  }

  #create(): PooledLane {
    const memory = createLaneMemory(this.#ringSize, stagingBytesFor(this.#ringSize));
    const views = viewLane(memory);
    return { memory, views, kernel: this.#createKernel(memory, views) };
  }

  #refuseAsFull(request: AttachRequest, why: string): void {
    this.refuse(request, {
      kind: 'refused',
      failure: {
        code: 'ERR_WAL_FULL',
        message: `Cannot attach another thread to "${this.#directory}": ${why}.`,
        path: this.#directory,
      },
    });
  }

  #publish(): void {
    this.#status.set('lanes', this.#used.size + 1);
    this.#status.set('lanesPooled', this.#pooled.length);
  }
}
