/**
 * When the live segment is to be sealed although it has room, so that the option `archive` gets its entries. A segment without entries
 * has no such time: an idle log is woken once, and not again.
 */
export class SealTimer {
  readonly #timeoutMs: number;
  #dueMs = Number.POSITIVE_INFINITY;

  /** `timeoutMs` Infinity = never. */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** Infinity = not before an entry comes. */
  get dueMs(): number {
    return this.#dueMs;
  }

  /** The live segment holds entries. Its first ones count. */
  noteEntries(nowMs: number): void {
    if (this.#dueMs === Number.POSITIVE_INFINITY) this.#dueMs = nowMs + this.#timeoutMs;
  }

  /** The live segment is empty. */
  noteEmpty(): void {
    this.#dueMs = Number.POSITIVE_INFINITY;
  }

  /** It could not be sealed. */
  putOff(nowMs: number): void {
    this.#dueMs = nowMs + this.#timeoutMs;
  }
}
