/**
 * Memory that the waiting thread and the thread of a long job share: the progress of the job, and the request to stop.
 *
 *   word (64 bits)  name    written by       meaning
 *      0            done    the job          bytes done so far
 *      1            total   the job          bytes to be done; 0 until it is known
 *      2            needed  the job          n of the lowest segment that the job still reads; -1 = not known yet
 *      3            stop    waiting thread   1 = the job must stop, and undo its work
 *
 * Each access is one instruction, and orders nothing: a late look sees an older figure, or stops the job a piece later.
 */
export class JobControl {
  readonly buffer: SharedArrayBuffer;
  readonly #words: BigInt64Array;

  /** @param buffer the other thread's; default: new memory */
  constructor(buffer?: SharedArrayBuffer) {
    this.buffer = buffer ?? new SharedArrayBuffer(32);
    this.#words = new BigInt64Array(this.buffer);
    if (buffer === undefined) this.needed = -1;
  }

  get done(): number {
    return Number(Atomics.load(this.#words, 0));
  }

  addDone(bytes: number): void {
    Atomics.add(this.#words, 0, BigInt(bytes));
  }

  get total(): number {
    return Number(Atomics.load(this.#words, 1));
  }

  /** Begins to count from 0. */
  start(totalBytes: number): void {
    Atomics.store(this.#words, 0, 0n);
    Atomics.store(this.#words, 1, BigInt(totalBytes));
  }

  get needed(): number {
    return Number(Atomics.load(this.#words, 2));
  }

  set needed(segment: number) {
    Atomics.store(this.#words, 2, BigInt(segment));
  }

  get isStopped(): boolean {
    return Atomics.load(this.#words, 3) === 1n;
  }

  stop(): void {
    Atomics.store(this.#words, 3, 1n);
  }
}
