import type { AckRuns } from '../../protocol/lane-messages.js';

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

/** Number of slots at first, a power of two. It doubles when all are in use. */
const SLOTS_MIN = 64;
/** So many slots are kept for the next burst. Further slots of a larger burst are given back once all of it is settled. */
const SLOTS_KEPT = 16_384;

/**
 * The unsettled appends of one lane that wait for one level (written, or durable), oldest first.
 *
 * A ring of slots in parallel arrays, so that an append costs no object but its promise, and nothing is ever moved down (bet: that,
 * and the growing of arrays, was a tenth of a call; bench/workloads/in-flight.ts).
 *
 * Acknowledgements come as runs (sequence number, count, LSN) and mostly in order. They come by the sync thread's port, by
 * the writer's, or, for a thread that polls, in the lane itself, so that one may overtake another. Runs that
 * are ahead are kept until the gap closes, by an acknowledgement or by a rejection, so that promises always settle in the order of
 * their appends.
 */
export class PendingAppends {
  // Place p of the queue, first <= p < end, is slot p & (slots - 1). Sequence numbers are the lane's, exact up to 2^53.
  #slots = createSlots(SLOTS_MIN);
  #first = 0;
  #end = 0;
  /** Acknowledged runs that no settled append has used up yet, by sequence number. */
  #runs: { from: number; count: number; lsn: number }[] = [];
  /** Sequence number of the newest entry that was added. */
  #newest = 0;

  get size(): number {
    return this.#end - this.#first;
  }

  /** A promise for the LSN of the entry `sequence`. */
  addEntry(sequence: number): Promise<number> {
    const promise = new Promise<number>(takeFunctions);
    this.#push(sequence, SINGLE, sequence);
    return promise;
  }

  /** A promise for the LSNs of a batch of `count` entries that begins at `sequence`. */
  addBatch(sequence: number, count: number): Promise<{ first: number; last: number }> {
    const promise = new Promise<{ first: number; last: number }>(takeFunctions);
    this.#push(sequence, count, sequence + count - 1);
    return promise;
  }

  /** Resolves the promises of the entries that the runs acknowledge. */
  acknowledge(runs: AckRuns): void {
    for (let at = 0; at < runs.length; at += 3) {
      this.#insertRun(runs[at] as number, runs[at + 1] as number, runs[at + 2] as number);
    }
    this.#settle();
  }

  /**
   * Rejects the appends with a sequence number in [from, to); returns how many entries they stood for. Later ones may have been
   * acknowledged already.
   */
  reject(from: number, to: number, error: unknown): number {
    const lo = this.#placeOf(from);
    const hi = this.#placeOf(to);
    const { entries, rejects, sequences } = this.#slots;
    const rejected: Reject[] = [];
    let rejectedEntries = 0;
    for (let place = lo; place < hi; place++) {
      const slot = place & (sequences.length - 1);
      rejectedEntries += Math.max(1, entries[slot] as number);
      rejected.push(rejects[slot] as Reject);
    }
    this.#takeOut(lo, hi);
    for (const reject of rejected) reject(error);
    if (rejected.length > 0) this.#settle();
    return rejectedEntries;
  }

  /** The first place whose append has a sequence number of at least `sequence`. */
  #placeOf(sequence: number): number {
    const { sequences } = this.#slots;
    let low = this.#first;
    let high = this.#end;
    while (low < high) {
      const middle = low + ((high - low) >>> 1);
      if ((sequences[middle & (sequences.length - 1)] as number) < sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /**
   * Closes the gap that the places [lo, hi) leave. The shorter side moves: appends that expect an LSN may be rejected one by one, each
   * with thousands after it.
   */
  #takeOut(lo: number, hi: number): void {
    const gap = hi - lo;
    if (gap === 0) return;
    if (lo - this.#first < this.#end - hi) {
      for (let place = lo - 1; place >= this.#first; place--) this.#move(place, place + gap);
      for (let place = this.#first; place < this.#first + gap; place++) this.#clear(place);
      this.#first += gap;
    } else {
      for (let place = hi; place < this.#end; place++) this.#move(place, place - gap);
      for (let place = this.#end - gap; place < this.#end; place++) this.#clear(place);
      this.#end -= gap;
    }
  }

  #move(from: number, to: number): void {
    const { sequences, entries, resolves, rejects } = this.#slots;
    const slot = from & (sequences.length - 1);
    this.#put(
      to,
      sequences[slot] as number,
      entries[slot] as number,
      resolves[slot] as Resolve,
      rejects[slot] as Reject,
    );
  }

  #clear(place: number): void {
    const { sequences, resolves, rejects } = this.#slots;
    const slot = place & (sequences.length - 1);
    resolves[slot] = undefined;
    rejects[slot] = undefined;
  }

  /** Resolves the oldest appends as far as the acknowledged runs reach. */
  #settle(): void {
    const { sequences, entries, resolves, rejects } = this.#slots;
    while (this.#first < this.#end) {
      const slot = this.#first & (sequences.length - 1);
      const sequence = sequences[slot] as number;
      const count = entries[slot] as number;
      const lastSequence = count === SINGLE ? sequence : sequence + count - 1;
      this.#dropRunsBefore(sequence);
      const run = this.#runs[0];
      if (run === undefined || run.from > sequence) return;
      const last = this.#lsnOf(lastSequence);
      if (last === undefined) return;
      const resolve = resolves[slot] as (value: unknown) => void;
      resolves[slot] = undefined;
      rejects[slot] = undefined;
      this.#first++;
      resolve(count === SINGLE ? last : { first: last - count + 1, last });
    }
    this.#runs.length = 0;
    // Keeps the numbers small: the engine stores small ones without a box.
    this.#first = this.#end = 0;
    if (sequences.length > SLOTS_KEPT) this.#slots = createSlots(SLOTS_KEPT);
  }

  #push(sequence: number, count: number, last: number): void {
    if (sequence <= this.#newest) throw new Error(`entry ${sequence} was added after entry ${this.#newest}`);
    this.#newest = last;
    if (this.size === this.#slots.sequences.length) this.#doubleSlots();
    this.#put(this.#end++, sequence, count, resolveOfNewPromise, rejectOfNewPromise);
  }

  #put(place: number, sequence: number, count: number, resolve: Resolve, reject: Reject): void {
    const { sequences, entries, resolves, rejects } = this.#slots;
    const slot = place & (sequences.length - 1);
    sequences[slot] = sequence;
    entries[slot] = count;
    resolves[slot] = resolve;
    rejects[slot] = reject;
  }

  #doubleSlots(): void {
    const { sequences, entries, resolves, rejects } = this.#slots;
    const [first, end] = [this.#first, this.#end];
    this.#slots = createSlots(2 * sequences.length);
    for (let place = first; place < end; place++) {
      const slot = place & (sequences.length - 1);
      this.#put(
        place,
        sequences[slot] as number,
        entries[slot] as number,
        resolves[slot] as Resolve,
        rejects[slot] as Reject,
      );
    }
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

interface Slots {
  readonly sequences: Float64Array;
  /** Entries that the append stands for, or SINGLE. */
  readonly entries: Float64Array;
  readonly resolves: (Resolve | undefined)[];
  readonly rejects: (Reject | undefined)[];
}

function createSlots(slots: number): Slots {
  return {
    sequences: new Float64Array(slots),
    entries: new Float64Array(slots),
    resolves: new Array(slots).fill(undefined),
    rejects: new Array(slots).fill(undefined),
  };
}
