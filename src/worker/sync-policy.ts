/**
 * When to sync. Pure arithmetic on milliseconds of a clock that never goes back; Infinity = no need.
 *
 *   interval  written data is synced at the latest `syncInterval` after the first of it was written
 *   group     a durable append asks for a sync at once, or `commitDelay` later for company; whoever comes while a sync
 *             is under way waits for it and forms the next group
 *   forced    `sync`, `flushSync`, `close`
 */
export class SyncPolicy {
  readonly #syncInterval: number;
  readonly #commitDelay: number;
  #intervalDueMs = Number.POSITIVE_INFINITY;
  #commitDueMs = Number.POSITIVE_INFINITY;

  constructor(options: { readonly syncInterval: number; readonly commitDelay: number }) {
    this.#syncInterval = options.syncInterval;
    this.#commitDelay = options.commitDelay;
  }

  /** Something was written. */
  noteWritten(nowMs: number): void {
    this.#intervalDueMs = Math.min(this.#intervalDueMs, nowMs + this.#syncInterval);
  }

  /** Some of it is waited for. */
  noteCommit(nowMs: number): void {
    this.#commitDueMs = Math.min(this.#commitDueMs, nowMs + this.#commitDelay);
  }

  /** A sync that covers everything written so far was started. */
  noteStarted(): void {
    this.#intervalDueMs = Number.POSITIVE_INFINITY;
    this.#commitDueMs = Number.POSITIVE_INFINITY;
  }

  /** Is anything written that no started sync covers? */
  get hasUnsynced(): boolean {
    return this.#intervalDueMs !== Number.POSITIVE_INFINITY;
  }

  /** Is any of it waited for, and due? */
  isCommitDue(nowMs: number): boolean {
    return nowMs >= this.#commitDueMs;
  }

  /** When the next sync is due. */
  get dueMs(): number {
    return Math.min(this.#intervalDueMs, this.#commitDueMs);
  }
}
