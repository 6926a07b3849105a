import type { SegmentInfo } from '../../protocol/reports.js';

/** The archive of a log: {@link WalStats.archive}. */
export interface ArchiveStats {
  /** Segments archived since the log was opened. */
  readonly archived: number;
  /** Calls of the option `archive` that failed since the log was opened. */
  readonly failures: number;
  /** The last entry in an archived segment; 0 = none that is still in the log. */
  readonly archivedLsn: number;
  /** Sealed segments that are not archived yet. */
  readonly pendingSegments: number;
  /** Their bytes. */
  readonly pendingBytes: number;
  /** Milliseconds that the oldest of them has waited since it was sealed, or since the log was opened; 0 = there is none. */
  readonly pendingMs: number;
}

/** Counts for {@link ArchiveStats}, and knows since when each sealed segment has waited. */
export class ArchiveBacklog {
  readonly #nowMs: () => number;
  /** By number, ascending: the segments that were sealed while the log was open. All others wait since it was opened. */
  readonly #sealedMs = new Map<number, number>();
  readonly #openedMs: number;
  #lastSealed: number;
  #archived = 0;
  #failures = 0;

  constructor(nowMs: () => number, lastSealed: number) {
    this.#nowMs = nowMs;
    this.#openedMs = nowMs();
    this.#lastSealed = lastSealed;
  }

  noteSealed(number: number): void {
    for (let each = this.#lastSealed + 1; each <= number; each++) this.#sealedMs.set(each, this.#nowMs());
    this.#lastSealed = Math.max(this.#lastSealed, number);
  }

  /** The log was cut: segment `live` is its last one now. */
  noteCut(live: number): void {
    this.#lastSealed = Math.min(this.#lastSealed, live - 1);
    for (const number of [...this.#sealedMs.keys()]) if (number >= live) this.#sealedMs.delete(number);
  }

  /** Segments with lower numbers than `before` are archived. */
  noteArchived(before: number): void {
    this.#archived += 1;
    for (const number of this.#sealedMs.keys()) {
      if (number >= before) return;
      this.#sealedMs.delete(number);
    }
  }

  noteFailure(): void {
    this.#failures += 1;
  }

  /** `archived`: segments with lower numbers are; `sealed`: segments up to it are sealed. Walks through all segments. */
  read(segments: readonly SegmentInfo[], archived: number, sealed: number): ArchiveStats {
    const pending = segments.filter(
      ({ number, firstLsn }) => firstLsn > 0 && number >= archived && number <= sealed,
    );
    const [oldest] = pending;
    const sinceMs = oldest && (this.#sealedMs.get(oldest.number) ?? this.#openedMs);
    return {
      archived: this.#archived,
      failures: this.#failures,
      archivedLsn: segments.findLast(({ number }) => number < archived)?.lastLsn ?? 0,
      pendingSegments: pending.length,
      pendingBytes: pending.reduce((sum, { bytes }) => sum + bytes, 0),
      pendingMs: sinceMs === undefined ? 0 : this.#nowMs() - sinceMs,
    };
  }
}
