/**
 * A backlog of this many bytes of frames is synced without waiting for the interval. Bet: a disk needs some ten milliseconds for
 * it, so that the cost of the call itself does not count, and it is a fraction of a segment of the default size
 * (bench/workloads/fire-and-forget.ts).
 */
const BACKLOG_BYTES = 16 * 1024 * 1024;

/** Bytes that are written and that no started sync covers. */
export interface Backlog {
  readonly pendingBytes: number;
  /** A sealed segment is among them. */
  readonly isSealPending: boolean;
}

/**
 * Decides when to sync. Pure arithmetic on milliseconds of a clock that never goes back; Infinity = no need.
 *
 *   interval  written data is synced at the latest `syncInterval` after the first of it was written
 *   backlog   at once, if much has gathered or a segment is sealed: the disk works while the writer writes on. The next
 *             rotation, which must wait for that segment's sync, and a caller that asks for a sync then find little to do
 *   group     a durable append asks for a sync at once, or after `commitDelay` to gather company; an append that comes
 *             while a sync is under way waits for that sync and joins the next group
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

  /** A group was written. */
  noteWritten(nowMs: number, { pendingBytes, isSealPending }: Backlog): void {
    const waitMs = isSealPending || pendingBytes >= BACKLOG_BYTES ? 0 : this.#syncInterval;
    this.#intervalDueMs = Math.min(this.#intervalDueMs, nowMs + waitMs);
  }

  /** A written entry waits for a sync. */
  noteCommit(nowMs: number): void {
    this.#commitDueMs = Math.min(this.#commitDueMs, nowMs + this.#commitDelay);
  }

  /** A sync that covers everything written so far was started. */
  noteStarted(): void {
    this.#intervalDueMs = Number.POSITIVE_INFINITY;
    this.#commitDueMs = Number.POSITIVE_INFINITY;
  }

  /** Does a written entry wait for a sync that is due? */
  isCommitDue(nowMs: number): boolean {
    return nowMs >= this.#commitDueMs;
  }

  /** When the next sync is due. */
  get dueMs(): number {
    return Math.min(this.#intervalDueMs, this.#commitDueMs);
  }
}
