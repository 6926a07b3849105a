import { type LaneViews, LaneWord, PollState } from './layout.js';

/** A run of durable entries of a lane with consecutive LSNs: sequence number of the first, how many, LSN of the first. */
export type AckRun = [first: number, count: number, lsn: number];

/*
 * The acknowledgement slot of a lane: the words `poll` and `ackSlot`. Through it the writer tells a polling producer of durable
 * entries without a message. A message costs the writer a lock, a system call and the copy of an object; and a producer that
 * polls its port meanwhile runs into that lock and is put to sleep (bench/workloads/durable-latency.ts, busyPoll).
 *
 *              start               fill
 *     none ────────────▶ polling ────────▶ filled
 *      ▲                  │  ▲              │ │
 *      ├────── stop ──────┘  └──── take ────┘ │
 *      └────── stop, which takes it too ──────┘
 *
 * `fill` is the writer's, the other steps are the producer's. This is right because:
 *
 * 1. From `polling` both sides may move on, so both use an exchange, and exactly one succeeds. If it is the writer's, the
 *    producer's stop finds `filled` and takes the run. If it is the producer's, the writer's fill fails and it posts the run. So
 *    each run goes exactly one way.
 * 2. The producer reads the three numbers in state `filled` only: after a load or an exchange that found it, before the store
 *    that leaves it. Only the writer enters `filled`, by an exchange after it has written the numbers, and only the producer
 *    leaves it. So while the writer writes, between its load of `polling` and its exchange, the state is not `filled`, whatever
 *    the producer does meanwhile (it may stop, and start again), and no thread reads. All accesses of the word are sequentially
 *    consistent: the exchange publishes the numbers written before it, and the store that leaves `filled` comes after the reads.
 * 3. A producer that is gone leaves `polling` or `filled`: at most one run is never read, and later runs are posted.
 *
 * test/model/poll.pml checks all orders, with faults that it must notice.
 */

/** The producer's side. It may touch the lane only until it has published `closing`: the lane's memory is used again. */
export class AckSlotReader {
  readonly #i32: Int32Array<SharedArrayBuffer>;
  readonly #slot: Float64Array<SharedArrayBuffer>;

  constructor(views: LaneViews) {
    this.#i32 = views.i32;
    this.#slot = views.ackSlot;
  }

  /** From `none`: the writer may fill the slot from now on. */
  start(): void {
    // Only this side leaves `none`.
    Atomics.store(this.#i32, LaneWord.poll, PollState.polling);
  }

  /** Between [start] and [stop]: the run in the slot, if there is one. The writer may fill the slot again then. */
  take(): AckRun | undefined {
    if (Atomics.load(this.#i32, LaneWord.poll) !== PollState.filled) return undefined;
    return this.#takeFor(PollState.polling);
  }

  /** To `none`: runs are posted from now on. Returns the run in the slot, if there is one. */
  stop(): AckRun | undefined {
    const before = Atomics.compareExchange(this.#i32, LaneWord.poll, PollState.polling, PollState.none);
    return before === PollState.filled ? this.#takeFor(PollState.none) : undefined;
  }

  #takeFor(next: PollState): AckRun {
    const [first, count, lsn] = this.#slot as unknown as AckRun;
    Atomics.store(this.#i32, LaneWord.poll, next);
    return [first, count, lsn];
  }
}

/** The writer's side. */
export class AckSlotWriter {
  readonly #i32: Int32Array<SharedArrayBuffer>;
  readonly #slot: Float64Array<SharedArrayBuffer>;

  constructor(views: LaneViews) {
    this.#i32 = views.i32;
    this.#slot = views.ackSlot;
  }

  /** False: the producer does not poll, or has not taken the last run yet. Post this run. */
  fill(first: number, count: number, lsn: number): boolean {
    if (Atomics.load(this.#i32, LaneWord.poll) !== PollState.polling) return false;
    this.#slot[0] = first;
    this.#slot[1] = count;
    this.#slot[2] = lsn;
    const before = Atomics.compareExchange(this.#i32, LaneWord.poll, PollState.polling, PollState.filled);
    return before === PollState.polling;
  }
}
