/**
 * When to seal a live segment that still has room, so that the option `archive` gets its entries. A segment without entries
 * has no such time: an idle log is woken once, and not again.
 */
export class SealTimer {
  readonly #timeoutMs: number;
  readonly #nowMs: () => number;
  #dueMs = Number.POSITIVE_INFINITY;

  /** `timeoutMs` Infinity = never; the timer then does not read the clock either. */
  constructor(timeoutMs: number, nowMs: () => number) {
    this.#timeoutMs = timeoutMs;
    this.#nowMs = nowMs;
  }

  /** Infinity = not before an entry comes. */
  get dueMs(): number {
    return this.#dueMs;
  }

  get isDue(): boolean {
    return this.#dueMs !== Number.POSITIVE_INFINITY && this.#nowMs() >= this.#dueMs;
  }

  /** The live segment holds entries. Its first ones count. */
  noteEntries(): void {
    if (this.#dueMs === Number.POSITIVE_INFINITY) this.#restart();
  }

  /** The live segment is empty. */
  noteEmpty(): void {
    this.#dueMs = Number.POSITIVE_INFINITY;
  }

  /** The segment could not be sealed. */
  putOff(): void {
    this.#restart();
  }

  #restart(): void {
    if (this.#timeoutMs !== Number.POSITIVE_INFINITY) this.#dueMs = this.#nowMs() + this.#timeoutMs;
  }
}
