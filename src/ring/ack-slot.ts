import { type LaneViews, LaneWord, PollState } from './layout.js';

/** Durable entries of a lane with consecutive LSNs: sequence number of the first, how many, LSN of the first. */
export type AckRun = [first: number, count: number, lsn: number];

/*
 * How a producer that polls is told of durable entries: by the words `poll` and `told` of its lane, in place of a message. A
 * message costs the writer a lock, a system call and the copy of an object; and a producer that looks at its port meanwhile
 * meets that lock, and is put to sleep by it (bench/workloads/durable-latency.ts, busyPoll).
 *
 *              start               tell
 *     none ────────────▶ polling ────────▶ told
 *      ▲                  │  ▲              │ │
 *      ├────── stop ──────┘  └──── take ────┘ │
 *      └────── stop, which takes it too ──────┘
 *
 * `tell` is the writer's, the others are the producer's. Right because:
 *
 * 1. From `polling` both sides may go on, so both do it by an exchange: one of them succeeds. If it is the writer, the
 *    producer's stop finds `told` and takes the run; if it is the producer, the writer's tell has failed and it posts. So
 *    each run goes exactly one way.
 * 2. The producer reads the three numbers in `told` only: behind a load or an exchange that found it, before the store that
 *    leaves it. Only the writer enters `told`, by an exchange behind its writes, and only the producer leaves it. So while the
 *    writer writes, between a load of `polling` and its exchange, it is not `told`, whatever the producer does meanwhile (it
 *    may stop, and start anew), and nobody reads. All these accesses of the word are sequentially consistent, so that the
 *    exchange publishes what was written before it, and the store that leaves `told` comes behind the reads.
 * 3. A producer that is gone leaves `polling` or `told`: at most one run is told to nobody, and the next ones are posted.
 *
 * test/model/poll.pml goes through all orders, with faults that it must notice.
 */

/** The producer's side. It may touch the lane only until it has said its last word: memory of a lane is used again. */
export class AckSlotReader {
  readonly #i32: Int32Array<SharedArrayBuffer>;
  readonly #slot: Float64Array<SharedArrayBuffer>;

  constructor(views: LaneViews) {
    this.#i32 = views.i32;
    this.#slot = views.ackSlot;
  }

  /** From `none`: a run may be told from now on. */
  start(): void {
    // Nobody but this side leaves `none`.
    Atomics.store(this.#i32, LaneWord.poll, PollState.polling);
  }

  /** Between [start] and [stop]: what was told, if anything was. The next one may be told then. */
  take(): AckRun | undefined {
    if (Atomics.load(this.#i32, LaneWord.poll) !== PollState.filled) return undefined;
    return this.#takeFor(PollState.polling);
  }

  /** To `none`: runs are posted from now on. Answers what was told until now. */
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

  /** False: the producer does not poll, or has not taken the last run yet. Post this one. */
  fill(first: number, count: number, lsn: number): boolean {
    if (Atomics.load(this.#i32, LaneWord.poll) !== PollState.polling) return false;
    this.#slot[0] = first;
    this.#slot[1] = count;
    this.#slot[2] = lsn;
    const before = Atomics.compareExchange(this.#i32, LaneWord.poll, PollState.polling, PollState.filled);
    return before === PollState.polling;
  }
}
