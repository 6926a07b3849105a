import type { ShippedFrame } from './payload.js';

/** Entries to ship: whole atomic batches. */
export interface ShippableRun {
  readonly last: number;
  /** As in src/replica/payload.ts. */
  readonly data: Uint8Array;
}

/** The local log, as far as it is durable. Nothing above `lastLsn` is ever shipped. */
export interface LogSource {
  /** LSN of the first entry, or of the next one where there is none. */
  readonly firstLsn: number;
  /** The watermark: never inside an atomic batch. `firstLsn` − 1 = there is no entry. */
  readonly lastLsn: number;
  /** Entries below it were given up by the user (`truncateBefore`): the replica removes them too. 0 = none were. */
  readonly floor: number;
  /**
   * Entries from the one after `after` on, whole atomic batches, of about `maxBytes` at most; a single atomic batch may be larger.
   * `undefined`: nothing above `after` is durable.
   *
   * @throws ReplicaError ERR_WAL_PURGED: the next entry was removed
   */
  take(after: number, maxBytes: number): ShippableRun | undefined;

  /** The entries from `from` up to `to`, for a comparison. */
  read(from: number, to: number): Iterable<ShippedFrame>;

  /** Resolves once `lastLsn` may be above `lsn`, or `signal` is aborted. */
  news(lsn: number, signal: AbortSignal): Promise<void>;
}
