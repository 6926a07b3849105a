import { LaneState, type LaneViews, LaneWord, RING_START, WRAP } from './layout.js';

/**
 * The writer's side of a lane: one thread, one instance.
 *
 * Race-free because:
 * 1. Only this instance stores tail, so its own copy is always right.
 * 2. It reads only bytes in [tail, head) for a head that it loaded; `LaneProducer` writes only outside of them.
 * 3. `loadHead` is an atomic load that sees the producer's atomic store: every plain store before that one, whole records and
 *    `…Wanted` words, happens-before everything that is read here afterwards.
 * 4. `release` is an atomic store after the last read of the bytes that it frees.
 * 5. Head is loaded before posted, and the producer stores posted before any later head: of the messages that precede a record
 *    below the loaded head, `posted` counts all.
 *
 *     loadHead();
 *     while (nextRun(run)) { kernel.frameRun(run); release(run.consumedTo); }
 */
export class LaneConsumer {
  readonly #i32: Int32Array<SharedArrayBuffer>;
  readonly #ringBytes: number;
  #tail: number;
  #head: number;
  #posted: number;
  #taken: number;

  /** Takes over a lane that `resetLane` prepared in this thread. */
  constructor(views: LaneViews) {
    this.#i32 = views.i32;
    this.#ringBytes = views.ringBytes;
    this.#tail = Atomics.load(views.i32, LaneWord.tail);
    this.#head = this.#tail;
    this.#taken = Atomics.load(views.i32, LaneWord.taken);
    this.#posted = this.#taken;
  }

  /** Position of the next byte to drain. */
  get position(): number {
    return this.#tail;
  }

  /** Messages beside the ring that were posted, by the last `loadHead`, and not yet taken. */
  get postedWaiting(): number {
    return (this.#posted - this.#taken) | 0;
  }

  /** The head that `loadHead` saw last, and the number of messages taken so far: both modulo 2^32. */
  get head(): number {
    return this.#head;
  }

  get posted(): number {
    return this.#posted;
  }

  get taken(): number {
    return this.#taken;
  }

  /** Bytes between tail and the head that was last loaded. */
  get loadedBytes(): number {
    return (this.#head - this.#tail) | 0;
  }

  /** Loads the producer's published state: once for each drain, not for each record. */
  loadHead(): void {
    this.#head = Atomics.load(this.#i32, LaneWord.head);
    this.#posted = Atomics.load(this.#i32, LaneWord.posted);
  }

  /**
   * Bytes in the ring and messages beside it, now, and how often the producer found no room; unlike [loadHead] this does not
   * change the records that are drained next. Tail and `taken` are stored by this side, so neither of the first two figures is ever
   * below
   * 0 or above the capacity. The others are modulo 2^32.
   */
  figures(): ConsumerFigures {
    const load = (word: number) => Atomics.load(this.#i32, word) >>> 0;
    return {
      ringUsed: (Atomics.load(this.#i32, LaneWord.head) - this.#tail) | 0,
      waiting: (Atomics.load(this.#i32, LaneWord.posted) - this.#taken) | 0,
      refused: load(LaneWord.refused),
      queued: load(LaneWord.queued),
      waits: load(LaneWord.waits),
      dropped: load(LaneWord.dropped),
    };
  }

  /**
   * Is anything published that was not drained? The writer calls this between `Doorbell.announce` and `wait`, so it loads anew:
   * ordered against the producer's store of head or posted before it loads the doorbell.
   */
  hasWork(): boolean {
    this.loadHead();
    return this.loadedBytes !== 0 || this.postedWaiting !== 0;
  }

  /**
   * Sets `run` to the next records up to the loaded head, or up to position `limit` if that comes first: contiguous bytes [from,
   * to) of the lane's memory. False = there are none. A message beside the ring has its turn when `limit` is its position, the
   * answer is false and `position` is `limit`.
   *
   * If the records continue at the start of the ring, the run extends to the end of the ring, and its last record may be WRAP. A
   * kernel stops there, with or without consuming it. WRAP is never the first record.
   */
  nextRun(run: { from: number; to: number }, limit = this.#head): boolean {
    let bytes = Math.min((limit - this.#tail) | 0, this.loadedBytes);
    if (bytes <= 0) return false;
    if (this.#i32[this.#byteAt(this.#tail) >> 2] === WRAP) {
      const padding = this.#restAt(this.#tail);
      this.#tail = (this.#tail + padding) | 0;
      bytes -= padding;
    }
    run.from = this.#byteAt(this.#tail);
    run.to = run.from + Math.min(bytes, this.#restAt(this.#tail));
    return true;
  }

  /** Gives the bytes before `to`, an offset in the run that `nextRun` returned last, back to the producer. */
  release(to: number): void {
    this.#tail = (this.#tail + (to - this.#byteAt(this.#tail))) | 0;
    Atomics.store(this.#i32, LaneWord.tail, this.#tail);
  }

  /** Counts one message beside the ring as taken. */
  takePosted(): void {
    this.#taken = (this.#taken + 1) | 0;
    Atomics.store(this.#i32, LaneWord.taken, this.#taken);
  }

  /** The `…Wanted` words: sequence numbers, or stale values. As new as the loaded head and posted. See layout.ts. */
  get writtenWanted(): number {
    return this.#i32[LaneWord.writtenWanted];
  }

  get durableWanted(): number {
    return this.#i32[LaneWord.durableWanted];
  }

  get commitWanted(): number {
    return this.#i32[LaneWord.commitWanted];
  }

  /**
   * Clears the producer's request for room if the bytes released so far satisfy it: true = tell the producer. Call it after
   * `release`, whose store of tail comes before the load here (`LaneProducer.askForRoom` explains why that is enough).
   */
  takeRoomWanted(): boolean {
    const wanted = Atomics.load(this.#i32, LaneWord.roomWanted);
    if (wanted === 0) return false;
    // Loaded after `roomWanted`, so that it covers everything that the producer pushed before its request. The head that
    // `loadHead` saw may be older and would promise room that does not exist.
    const head = Atomics.load(this.#i32, LaneWord.head);
    if (wanted > this.#ringBytes - ((head - this.#tail) | 0)) return false;
    // Fails only if the producer has changed its request since, and then it has loaded the newest tail itself.
    return Atomics.compareExchange(this.#i32, LaneWord.roomWanted, wanted, 0) === wanted;
  }

  /**
   * The newest flush ticket, or undefined if it is served. Load it before `loadHead`: the head then covers everything that was
   * pushed before the ticket.
   */
  flushTicket(): number | undefined {
    const requested = Atomics.load(this.#i32, LaneWord.flushRequested);
    return requested === Atomics.load(this.#i32, LaneWord.flushDone) ? undefined : requested;
  }

  /**
   * Wakes the producer that waits for `ticket`. The store comes before the notify because the producer's wait compares with this
   * word. An older ticket, of a flush that timed out, changes nothing: the newer one may have been answered first, by a
   * rejection.
   */
  finishFlush(ticket: number): void {
    if (((ticket - Atomics.load(this.#i32, LaneWord.flushDone)) | 0) <= 0) return;
    Atomics.store(this.#i32, LaneWord.flushDone, ticket);
    Atomics.notify(this.#i32, LaneWord.flushDone);
  }

  /** Has the producer published its last record? Load it before `loadHead`: the head then is the final one. */
  isClosing(): boolean {
    return Atomics.load(this.#i32, LaneWord.state) === LaneState.closing;
  }

  /** Marks the lane as free, before it returns to the pool. */
  free(): void {
    Atomics.store(this.#i32, LaneWord.state, LaneState.free);
  }

  #byteAt(position: number): number {
    return RING_START + (position & (this.#ringBytes - 1));
  }

  #restAt(position: number): number {
    return this.#ringBytes - (position & (this.#ringBytes - 1));
  }
}

export interface ConsumerFigures {
  readonly ringUsed: number;
  readonly waiting: number;
  readonly refused: number;
  readonly queued: number;
  readonly waits: number;
  readonly dropped: number;
}
