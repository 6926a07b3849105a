import type { LaneRuns } from '../worker/messages.js';

type Resolve = (value: never) => void;
type Reject = (error: unknown) => void;

let resolveOfNewPromise: Resolve;
let rejectOfNewPromise: Reject;
/** One executor for all promises: a closure for each append would cost more than the promise itself. */
function takeFunctions(resolve: Resolve, reject: Reject): void {
  resolveOfNewPromise = resolve;
  rejectOfNewPromise = reject;
}

/** Marks an append of one entry, whose promise resolves to a bare LSN. */
const SINGLE = 0;

/**
 * The unsettled appends of one lane that wait for one level (written, or durable), oldest first.
 *
 * A queue of parallel arrays, so that an append costs no object but its promise. Acknowledgements come as runs
 * (sequence number, count, LSN) and mostly in order; the one exception is a group that the writer thread synced
 * itself, whose message may overtake the one of the sync thread before it, since they come by two ports. Runs that
 * are ahead are kept until the gap closes, so that promises always settle in the order of their appends.
 */
export class PendingAppends {
  // Slots [first, end) are in use. Sequence numbers are the lane's, exact up to 2^53.
  #sequence: number[] = [];
  #entries: number[] = [];
  #resolve: Resolve[] = [];
  #reject: Reject[] = [];
  #first = 0;
  /** Acknowledged runs that no settled append has used up yet, by sequence number. */
  #runs: { from: number; count: number; lsn: number }[] = [];

  get size(): number {
    return this.#sequence.length - this.#first;
  }

  /** A promise for the LSN of the entry `sequence`. */
  addEntry(sequence: number): Promise<number> {
    const promise = new Promise<number>(takeFunctions);
    this.#push(sequence, SINGLE);
    return promise;
  }

  /** A promise for the LSNs of a batch of `count` entries that begins at `sequence`. */
  addBatch(sequence: number, count: number): Promise<{ first: number; last: number }> {
    const promise = new Promise<{ first: number; last: number }>(takeFunctions);
    this.#push(sequence, count);
    return promise;
  }

  /** Resolves what the acknowledged runs cover. */
  acknowledge(runs: LaneRuns): void {
    for (let at = 0; at < runs.length; at += 3) {
      this.#insertRun(runs[at] as number, runs[at + 1] as number, runs[at + 2] as number);
    }
    while (this.#first < this.#sequence.length) {
      const sequence = this.#sequence[this.#first] as number;
      const count = this.#entries[this.#first] as number;
      const lastSequence = count === SINGLE ? sequence : sequence + count - 1;
      this.#dropRunsBefore(sequence);
      const run = this.#runs[0];
      if (run === undefined || run.from > sequence) return;
      const last = this.#lsnOf(lastSequence);
      if (last === undefined) return;
      const resolve = this.#resolve[this.#first] as (value: unknown) => void;
      this.#shift();
      resolve(count === SINGLE ? last : { first: last - count + 1, last });
    }
    this.#runs.length = 0;
  }

  /** Rejects the appends with a sequence number in [from, to); returns how many entries they stood for. */
  reject(from: number, to: number, error: unknown): number {
    let entries = 0;
    const rejects: Reject[] = [];
    let kept = this.#first;
    for (let slot = this.#first; slot < this.#sequence.length; slot++) {
      const sequence = this.#sequence[slot] as number;
      if (sequence >= from && sequence < to) {
        entries += Math.max(1, this.#entries[slot] as number);
        rejects.push(this.#reject[slot] as Reject);
        continue;
      }
      this.#sequence[kept] = sequence;
      this.#entries[kept] = this.#entries[slot] as number;
      this.#resolve[kept] = this.#resolve[slot] as Resolve;
      this.#reject[kept] = this.#reject[slot] as Reject;
      kept++;
    }
    this.#truncate(kept);
    for (const reject of rejects) reject(error);
    return entries;
  }

  #push(sequence: number, entries: number): void {
    this.#sequence.push(sequence);
    this.#entries.push(entries);
    this.#resolve.push(resolveOfNewPromise);
    this.#reject.push(rejectOfNewPromise);
  }

  #shift(): void {
    this.#first++;
    // Bet: moving the rest once for every 1,024 settled, and only when that at least halves the arrays, costs less
    // than a linked node for each append.
    if (this.#first === this.#sequence.length) {
      this.#truncate(0);
      this.#first = 0;
    } else if (this.#first >= 1024 && this.#first * 2 >= this.#sequence.length) {
      for (const array of [this.#sequence, this.#entries, this.#resolve, this.#reject])
        array.splice(0, this.#first);
      this.#first = 0;
    }
  }

  #truncate(length: number): void {
    this.#sequence.length = length;
    this.#entries.length = length;
    this.#resolve.length = length;
    this.#reject.length = length;
  }

  #insertRun(from: number, count: number, lsn: number): void {
    let at = this.#runs.length;
    while (at > 0 && (this.#runs[at - 1] as { from: number }).from > from) at--;
    const before = this.#runs[at - 1];
    if (before !== undefined && before.from + before.count === from && before.lsn + before.count === lsn) {
      before.count += count;
    } else {
      this.#runs.splice(at, 0, { from, count, lsn });
    }
  }

  #dropRunsBefore(sequence: number): void {
    let drop = 0;
    while (drop < this.#runs.length) {
      const run = this.#runs[drop] as { from: number; count: number };
      if (run.from + run.count > sequence) break;
      drop++;
    }
    if (drop > 0) this.#runs.splice(0, drop);
  }

  #lsnOf(sequence: number): number | undefined {
    for (const run of this.#runs) {
      if (sequence < run.from) return undefined;
      if (sequence < run.from + run.count) return run.lsn + (sequence - run.from);
    }
    return undefined;
  }
}
