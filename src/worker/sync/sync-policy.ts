/**
 * Bytes of frames that wait for no interval. Bet: a disk takes them in some ten milliseconds, so that the cost of the
 * call itself is nothing beside them, and they are a part of a segment of the default size (bench/workloads/fire-and-forget.ts).
 */
const BACKLOG_BYTES = 16 * 1024 * 1024;

/** What is written and in no sync that was started. */
export interface Backlog {
  readonly pendingBytes: number;
  /** A sealed segment is among it. */
  readonly isSealPending: boolean;
}

/**
 * When to sync. Pure arithmetic on milliseconds of a clock that never goes back; Infinity = no need.
 *
 *   interval  written data is synced at the latest `syncInterval` after the first of it was written
 *   backlog   at once, if much of it has gathered or a segment is sealed: the disk works while the writer writes on, and
 *             neither the next rotation, which must wait for that segment's sync, nor whoever asks for one finds much to do
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
  noteWritten(nowMs: number, { pendingBytes, isSealPending }: Backlog): void {
    const waitMs = isSealPending || pendingBytes >= BACKLOG_BYTES ? 0 : this.#syncInterval;
    this.#intervalDueMs = Math.min(this.#intervalDueMs, nowMs + waitMs);
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

  /** Is any of it waited for, and due? */
  isCommitDue(nowMs: number): boolean {
    return nowMs >= this.#commitDueMs;
  }

  /** When the next sync is due. */
  get dueMs(): number {
    return Math.min(this.#intervalDueMs, this.#commitDueMs);
  }
}
