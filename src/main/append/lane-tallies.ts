import { type LaneViews, LaneWord } from '../../ring/layout.js';
import type { LogStatus } from '../../ring/log-status.js';
import type { LaneLife } from './lane-life.js';

/** Figures of one lane since it was opened or attached: {@link WalLane.stats}. Sizes in bytes. */
export interface LaneStats {
  /** Entries taken, by the ring or beside it. */
  readonly accepted: number;
  /** Fire-and-forget entries among them that were then not written (full disk, failure). */
  readonly lost: number;
  /** Bytes of the ring: the option `ringSize`. */
  readonly ringBytes: number;
  /** Bytes of the ring that are in use now. */
  readonly ringUsed: number;
  /** Bytes that wait for room in a full ring, or are on their way outside it. */
  readonly pendingBytes: number;
  /** Append promises that are not settled. */
  readonly unsettled: number;
  /** Times that `tryAppend` or `tryEncode` found no room and took nothing. */
  readonly refused: number;
  /** Appends that found the ring full and were queued. */
  readonly queued: number;
  /** Calls of `ready` that had to wait. */
  readonly waits: number;
  /** Lines that log streams of this lane dropped. */
  readonly droppedLines: number;
}

/** The lane's own figures that the other threads and processes see, in the lane's memory and in those of the log. */
type Tally = 'refused' | 'queued' | 'waits' | 'dropped';

/** Counts what happens to a lane besides appends that succeed. */
export class LaneTallies {
  readonly #i32: Int32Array<SharedArrayBuffer>;
  readonly #status: LogStatus;
  readonly #life: LaneLife;
  readonly #counts = { refused: 0, queued: 0, waits: 0, dropped: 0 };
  #lost = 0;

  constructor(views: LaneViews, status: LogStatus, life: LaneLife) {
    this.#i32 = views.i32;
    this.#status = status;
    this.#life = life;
  }

  /** Counts one more. Only a lane that takes entries writes to its memory: the memory of an ended lane may be pooled already. */
  add(tally: Tally): void {
    const count = this.#counts[tally] + 1;
    this.#counts[tally] = count;
    this.#status.add(tally, 1);
    if (this.#life.isTaking) Atomics.store(this.#i32, LaneWord[tally], count | 0);
  }

  addLost(entries: number): void {
    this.#lost += entries;
    this.#status.add('lost', entries);
  }

  get lost(): number {
    return this.#lost;
  }

  get stats(): Pick<LaneStats, 'lost' | 'refused' | 'queued' | 'waits' | 'droppedLines'> {
    const { refused, queued, waits, dropped } = this.#counts;
    return { lost: this.#lost, refused, queued, waits, droppedLines: dropped };
  }
}
