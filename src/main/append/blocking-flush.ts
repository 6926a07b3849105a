import { nowMs } from '../../files/node-globals.js';
import type { LaneProducer } from '../../ring/producer.js';
import { WalError } from '../errors/wal-error.js';
import { flushTimedOut } from './lane-errors.js';
import type { LaneLife } from './lane-life.js';
import type { LaneParts } from './lane-parts.js';
import type { LaneTallies } from './lane-tallies.js';

/** How long a blocked wait lasts before it checks whether the log's threads still live. */
const LIVENESS_CHECK_MS = 100;

/** The lane, as its flush sees it. */
export interface BlockingFlushHost {
  /** Takes in everything that was sent to the lane. */
  drain(): void;
  /** The log's threads have died. */
  die(): void;
}

/** Blocks this thread until everything that its lane accepted is durable. */
export class BlockingFlush {
  readonly #parts: LaneParts;
  readonly #producer: LaneProducer;
  readonly #life: LaneLife;
  readonly #host: BlockingFlushHost;
  /** Why entries that the running flush waits for are not durable. */
  #error: WalError | undefined;

  constructor(parts: LaneParts, producer: LaneProducer, life: LaneLife, host: BlockingFlushHost) {
    this.#parts = parts;
    this.#producer = producer;
    this.#life = life;
    this.#host = host;
  }

  /** A flush that runs now throws this error once it is answered. */
  noteError(error: WalError): void {
    this.#error = error;
  }

  run(timeoutMs: number): void {
    this.#error = undefined;
    const ticket = this.#producer.requestFlush();
    this.#parts.doorbell.ring(true);
    const deadline = nowMs() + timeoutMs;
    for (let leftMs = timeoutMs; ; leftMs = deadline - nowMs()) {
      if (this.#producer.waitForFlush(ticket, Math.max(0, Math.min(leftMs, LIVENESS_CHECK_MS)))) break;
      if (!this.#parts.areThreadsAlive()) {
        this.#endWithoutThreads();
        break;
      }
      if (leftMs <= 0) throw flushTimedOut(this.#parts.directory, timeoutMs);
    }
    // The errors of this flush were posted before it was answered.
    this.#host.drain();
    if (this.#error !== undefined) throw this.#error;
  }

  /** As [run], for as long as it takes. Does not report again a failure that was reported with the entries that it lost. */
  runAtExit(tallies: Pick<LaneTallies, 'lost'>): void {
    const { lost } = tallies;
    try {
      this.run(Number.POSITIVE_INFINITY);
    } catch (error) {
      if (tallies.lost === lost || !(error instanceof WalError)) throw error;
    }
  }

  /** Either the log was closed, and a message says so, or its threads have died. */
  #endWithoutThreads(): void {
    this.#host.drain();
    if (!this.#life.isOver) this.#host.die();
    const makeError = this.#life.failure;
    if (makeError !== undefined) throw makeError();
  }
}
