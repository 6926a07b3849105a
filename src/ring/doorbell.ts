/**
 * The one word on which a blocked writer sleeps, and the few flags that all threads read. There is one SharedArrayBuffer for the
 * whole log, since `Atomics.wait` watches a single word: all lanes, the sync thread and all ports ring it.
 *
 *  byte  word  name      written by        meaning
 *     0     0  bell      all               bits 0-1: BellState, changed by the writer only; bits 2-31: generation,
 *                                          +4 for each announcement of the writer and for each ring
 *   128    32  closing   opening thread    1 = no new append is taken
 *   132    33  failed    writer            1 = the log ended by a failure
 *   136    34  dead      opening thread    1 = the writer thread is gone
 *
 *   31                                              2   1 0
 *  +-------------------------------------------------+-----+
 *  | generation                                      |state|
 *  +-------------------------------------------------+-----+
 *
 * All accesses are `Atomics`, which JavaScript orders in one total order that respects each thread's own. Below, "a < b" means
 * that order.
 *
 *   producer                              writer
 *   p1  store head (or post a message)    w1  announce: add 1 to the generation, set state
 *   p2  load bell                         w2  look at every head, the sync result, the ports
 *   p3  if the writer sleeps: add 4       w3  wait, if bell still has the value that w1 stored
 *   p4  notify                            w4  awake: clear state; drain
 *
 * No published record is missed (each case says how far the producer got):
 *
 *   p1 < w2                  The writer sees the record at w2 and does not sleep.
 *   w2 < p1, hence w1 < p2   The producer sees the state at p2 and rings:
 *     p3 < w3                  the generation has changed, the wait does not begin;
 *     w3 < p3                  the writer sleeps, p4 wakes it.
 *   killed before p3         The state still says that the writer sleeps: the next ring wakes it, and it drains every
 *                            lane. Until then no thread waits for the dead thread's record.
 *   killed before p4         The same: p3 changes nothing that other threads rely on. (A producer that cleared the state at p3
 *                            would leave a sleeping writer that no thread rings any more.)
 *   w4 < p2                  The writer is awake and has w1 and w2 before it when it next wants to sleep.
 *
 * No thread spins and no thread waits for a producer. The generation makes one `notify` enough: a ring between w2 and w3 wakes no
 * thread, but the wait's own compare sees it.
 *
 * A producer rings once for each sleep, not once for each append: after its p4 the bell holds the value that it keeps as `rung`.
 * As long as the bell shows that value, the writer has been woken and has not reached w4. Records that the producer pushes
 * meanwhile come before w4, so they are drained. Each announcement steps the generation as well, so that the producer does not take
 * a later sleep for the one it has rung for. The bet: between two rings of one thread that find the same state, the number of
 * announcements and rings is never an exact multiple of 2^30. If it were, that ring would be lost, and the next one would make up
 * for it.
 */

/** The state of the writer: the low two bits of the bell. */
export const BellState = {
  /** Awake: it looks at everything before it sleeps. */
  running: 0,
  /** A timed wait for more to write, a few ms at most: only urgent work rings. */
  lingering: 1,
  /** Asleep until a thread rings. */
  parked: 2,
} as const;
export type BellState = (typeof BellState)[keyof typeof BellState];

const DOORBELL_BYTES = 256;

const BELL = 0;
const CLOSING = 32;
const FAILED = 33;
const DEAD = 34;

const STATE_MASK = 3;
const GENERATION_STEP = 4;

/** The shared memory of a doorbell, state `running`. */
export function createDoorbellMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(DOORBELL_BYTES);
}

/** Any thread's end of the doorbell; one instance in each thread. */
export class Doorbell {
  readonly #i32: Int32Array<SharedArrayBuffer>;
  /** The bell right after this thread's last ring. Never a value that a fresh bell has: its state is not running. */
  #rung: number = BellState.running;

  constructor(memory: SharedArrayBuffer) {
    this.#i32 = new Int32Array(memory);
  }

  /**
   * Does the writer sleep, or is it about to? Call it after the store that the writer must see. If the writer is awake, there is
   * no need to [ring], nor to find out how urgent it is.
   */
  get isAsleep(): boolean {
    // Ordered as the load in [ring].
    return (Atomics.load(this.#i32, BELL) & STATE_MASK) !== BellState.running;
  }

  /**
   * Makes the writer look at everything. Call it after the store or the postMessage that the writer must see. An urgent ring also
   * ends lingering. It costs one load if the writer is awake or was rung already, and a system call only if the writer sleeps.
   */
  ring(urgent: boolean): void {
    const bell = Atomics.load(this.#i32, BELL);
    const state = bell & STATE_MASK;
    if (state === BellState.running || (state === BellState.lingering && !urgent)) return;
    if (bell === this.#rung) return;
    // The add may land on a newer value than `bell`, even on `running`. Then it wakes no thread and needs to wake none. The kept
    // value is exact, so it stands for the sleep that was really rung for.
    this.#rung = (Atomics.add(this.#i32, BELL, GENERATION_STEP) + GENERATION_STEP) | 0;
    Atomics.notify(this.#i32, BELL);
  }

  get closing(): boolean {
    return Atomics.load(this.#i32, CLOSING) === 1;
  }

  get failed(): boolean {
    return Atomics.load(this.#i32, FAILED) === 1;
  }

  get dead(): boolean {
    return Atomics.load(this.#i32, DEAD) === 1;
  }

  /** A flag is stored after everything that a thread which sees it relies on, and before the ring that announces it. */
  setClosing(): void {
    Atomics.store(this.#i32, CLOSING, 1);
  }

  setFailed(): void {
    Atomics.store(this.#i32, FAILED, 1);
  }

  setDead(): void {
    Atomics.store(this.#i32, DEAD, 1);
  }
}

/** The writer thread's end: only this thread changes the state. */
export class DoorbellSleeper {
  readonly #i32: Int32Array<SharedArrayBuffer>;
  #state: BellState = BellState.running;

  constructor(memory: SharedArrayBuffer) {
    this.#i32 = new Int32Array(memory);
  }

  /**
   * Announces how the writer is about to sleep, and returns what `wait` needs. Then look at every head, the sync result and the
   * ports, and call `wait` only if there is nothing. From lingering the writer may go on to parked without `awake` in between.
   */
  announce(state: typeof BellState.lingering | typeof BellState.parked): number {
    // One add changes both fields: only this thread changes the low bits, so their value is known and no carry leaves them.
    const step = GENERATION_STEP + state - this.#state;
    this.#state = state;
    return (Atomics.add(this.#i32, BELL, step) + step) | 0;
  }

  /**
   * Sleeps until a ring or for `timeoutMs`. `announced`: the result of the last `announce`; a ring since then ends the sleep at
   * once. False = no thread rang.
   */
  wait(announced: number, timeoutMs: number = Number.POSITIVE_INFINITY): boolean {
    return Atomics.wait(this.#i32, BELL, announced, timeoutMs) !== 'timed-out';
  }

  /**
   * Back to running. Call it before draining: a thread that pushes from here on need not ring, so everything must be looked at
   * after it.
   */
  awake(): void {
    Atomics.sub(this.#i32, BELL, this.#state);
    this.#state = BellState.running;
  }
}
