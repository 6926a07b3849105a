import type { Doorbell } from '../../ring/doorbell.js';
import type { LaneProducer } from '../../ring/producer.js';
import type { Appender } from './appender.js';
import type { LaneTallies } from './lane-tallies.js';
import type { OverflowQueue } from './overflow-queue.js';
import type { WaitingPromises } from './waiting-promises.js';

interface RoomWaiter {
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export interface RoomWaitersParts {
  readonly appender: Appender;
  readonly producer: LaneProducer;
  readonly overflow: OverflowQueue;
  readonly doorbell: Doorbell;
  readonly tallies: LaneTallies;
  readonly promises: WaitingPromises;
}

/** The calls of `ready` that wait for room. */
export class RoomWaiters {
  readonly #parts: RoomWaitersParts;
  #waiters: RoomWaiter[] = [];
  /** The writer will send `room` once it has taken all messages that are beside the ring now. */
  #isEchoAsked = false;

  constructor(parts: RoomWaitersParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#waiters.length;
  }

  /** See `Wal.ready`. */
  wait(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    return this.#parts.promises.create(signal, (resolve, reject) => {
      this.#parts.appender.assertAllowed(bytes);
      const waiter = { bytes, resolve, reject };
      this.#waiters.push(waiter);
      this.#serve();
      if (!this.#waiters.includes(waiter)) return undefined;
      this.#parts.tallies.add('waits');
      return () => {
        this.#waiters = this.#waiters.filter((each) => each !== waiter);
      };
    });
  }

  /** The writer has sent `room`. */
  noteRoom(): void {
    this.#isEchoAsked = false;
    this.#serve();
  }

  rejectAll(error: unknown): void {
    for (const waiter of this.#waiters) waiter.reject(error);
    this.#waiters = [];
  }

  /** Resolves the waiters that have room now. If some are left, the writer will say when to look again. */
  #serve(): void {
    do {
      const waiting = this.#waiters;
      this.#waiters = [];
      for (const waiter of waiting) {
        if (this.#parts.appender.hasRoom(waiter.bytes)) waiter.resolve();
        else this.#waiters.push(waiter);
      }
    } while (this.#waiters.length > 0 && !this.#askForRoom());
  }

  /**
   * Asks the writer for one message on behalf of all waiters: once the ring has room for the largest record, which is a quarter of
   * the ring, and, if some wait for that, once everything beside the ring is taken. False = there is room by now.
   *
   * The writer does not send the message as soon as the awaited entry has room: the producer would fill that room at once and wait
   * again, with a message and a thread switch for each written group. The writer has the rest of the ring to drain meanwhile, and
   * a quarter becomes free in any case. Four threads that wait at a time append faster this way (bench/workloads/lanes.ts).
   */
  #askForRoom(): boolean {
    const { appender, producer, overflow, doorbell } = this.#parts;
    const { isQueued } = overflow;
    const isForRing = this.#waiters.some(({ bytes }) => bytes <= appender.recordMax);
    if (!isQueued && isForRing && producer.askForRoom(appender.recordMax)) return false;
    const isForOverflow = isQueued || this.#waiters.some(({ bytes }) => bytes > appender.recordMax);
    if (isForOverflow && !this.#isEchoAsked) {
      this.#isEchoAsked = true;
      overflow.post({ kind: 'echo' });
    }
    doorbell.ring(true);
    return true;
  }
}
