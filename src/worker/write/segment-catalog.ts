import { join } from 'node:path';
import { segmentName } from '../../format/segment-name.js';
import type { SegmentInfo } from '../../protocol/reports.js';

/** What the writer knows of a segment without opening it. */
export interface SegmentRecord {
  readonly number: number;
  readonly createdMs: number;
  /** LSN of its first entry; 0 while it holds none. */
  firstLsn: number;
  /** LSNs that its first frame says were removed right before it; 0 in a segment that the writer writes. */
  readonly skipped?: number | undefined;
  /** Bytes of whole frames. Only the last segment grows. */
  bytes: number;
  /** Every entry of it was made at this time of the wall clock or before it; 0 = it holds none; absent = not known. */
  latestMs?: number | undefined;
}

/**
 * All segments of the log, lowest number first; the last one is live. The calls made at each rotation and removal cost the same
 * however many segments there are.
 */
export class SegmentCatalog {
  readonly #records: SegmentRecord[] = [];
  /** Records before this index are removed. */
  #first = 0;
  /** Bytes of all but the last one. */
  #sealedBytes = 0;
  /**
   * Indexes, ascending, of the records that no later record is newer than: the first of them has the newest stamp of all. A plain
   * "last is newest" does not hold, since clocks can be set back.
   */
  #newest: number[] = [];
  #firstNewest = 0;
  /** The log was cut: `#newest` must be computed again. */
  #areNewestStale = false;

  constructor(records: readonly SegmentRecord[]) {
    for (const record of records) this.add(record);
  }

  get length(): number {
    return this.#records.length - this.#first;
  }

  /** The segment at `index`; 0 = the oldest. */
  at(index: number): SegmentRecord | undefined {
    return this.#records[this.#first + index];
  }

  /** The segment whose number is one lower than that of the last one. */
  get beforeLast(): SegmentRecord | undefined {
    const before = this.length < 2 ? undefined : this.#records.at(-2);
    return before !== undefined && before.number + 1 === this.last?.number ? before : undefined;
  }

  get last(): SegmentRecord | undefined {
    return this.length === 0 ? undefined : this.#records.at(-1);
  }

  /** Bytes of the frames in all segments. */
  get bytes(): number {
    return this.#sealedBytes + (this.last?.bytes ?? 0);
  }

  /** The newest creation stamp; 0 = there is none. */
  get newestMs(): number {
    if (this.#areNewestStale) this.#findNewest();
    const index = this.#newest[this.#firstNewest];
    return index === undefined ? 0 : (this.#records[index] as SegmentRecord).createdMs;
  }

  /** Where the oldest segment begins: at its first entry, less the LSNs that were removed before that. 0 = there is no entry. */
  get oldestLsn(): number {
    return this.oldestLsnAfter(-1);
  }

  /** The last segment that begins at or before entry `lsn`. Walks through the segments after it. */
  holderOf(lsn: number): SegmentRecord | undefined {
    for (let at = this.length - 1; at >= 0; at--) {
      const record = this.at(at) as SegmentRecord;
      if (record.firstLsn !== 0 && record.firstLsn <= lsn) return record;
    }
    return undefined;
  }

  /** A copy of all records. */
  toArray(): SegmentRecord[] {
    return this.#records.slice(this.#first);
  }

  /** What [oldestLsn] is once every segment up to and including `number` is removed. */
  oldestLsnAfter(number: number): number {
    for (let at = this.#first; at < this.#records.length; at++) {
      const record = this.#records[at] as SegmentRecord;
      if (record.number > number && record.firstLsn !== 0) return record.firstLsn - (record.skipped ?? 0);
    }
    return 0;
  }

  add(record: SegmentRecord): void {
    this.#sealedBytes += this.last?.bytes ?? 0;
    this.#records.push(record);
    this.#noteStamp(this.#records.length - 1);
  }

  /** The newest segment was withdrawn. */
  dropLast(): void {
    if (this.length === 0) return;
    this.#records.pop();
    this.#sealedBytes -= this.last?.bytes ?? 0;
    this.#areNewestStale = true;
  }

  /** The log was cut: `number` is the last segment now, with `bytes` bytes of frames. */
  cutAfter(number: number, bytes: number): void {
    while ((this.last?.number ?? number) > number) this.dropLast();
    const { last } = this;
    if (last !== undefined) last.bytes = bytes;
    this.#areNewestStale = true;
  }

  /** The log was emptied: `record` is its only segment. */
  restart(record: SegmentRecord): void {
    this.#records.length = 0;
    this.#first = 0;
    this.#sealedBytes = 0;
    this.#areNewestStale = true;
    this.add(record);
  }

  /** Retention removed every segment up to and including `number`. */
  dropThrough(number: number): void {
    while (this.length > 0 && (this.at(0) as SegmentRecord).number <= number) {
      // The last segment's bytes are not part of the sum.
      if (this.length > 1) this.#sealedBytes -= (this.at(0) as SegmentRecord).bytes;
      this.#first++;
      if ((this.#newest[this.#firstNewest] ?? this.#first) < this.#first) this.#firstNewest++;
    }
    // Moves records only when at least as many have been removed, so that the cost stays constant on average.
    if (this.#first <= this.#records.length / 2) return;
    this.#records.splice(0, this.#first);
    if (this.#areNewestStale) this.#newest = [];
    this.#newest = this.#newest.slice(this.#firstNewest).map((index) => index - this.#first);
    this.#firstNewest = 0;
    this.#first = 0;
  }

  #noteStamp(index: number): void {
    if (this.#areNewestStale) return;
    const { createdMs } = this.#records[index] as SegmentRecord;
    const newest = this.#newest;
    while (newest.length > this.#firstNewest) {
      const last = this.#records[newest.at(-1) as number] as SegmentRecord;
      if (last.createdMs > createdMs) break;
      newest.pop();
    }
    newest.push(index);
  }

  /** Walks through all records: a record older than one that was cut off may be the newest again. */
  #findNewest(): void {
    this.#areNewestStale = false;
    this.#newest = [];
    this.#firstNewest = 0;
    for (let index = this.#first; index < this.#records.length; index++) this.#noteStamp(index);
  }
}

/** Describes the catalog to other threads; `lastLsn` is the log's. An empty live segment will begin after it. */
export function describeSegments(catalog: SegmentCatalog, directory: string, lastLsn: number): SegmentInfo[] {
  const segments: SegmentInfo[] = [];
  /** First LSN of the next segment that has an entry. */
  let nextFirstLsn = 0;
  for (const [at, record] of catalog.toArray().reverse().entries()) {
    const { number, firstLsn, bytes, createdMs } = record;
    const path = join(directory, segmentName(number));
    const last = firstLsn === 0 ? 0 : nextFirstLsn === 0 ? lastLsn : nextFirstLsn - 1;
    const first = firstLsn === 0 && at === 0 ? lastLsn + 1 : firstLsn;
    segments.push({ number, path, firstLsn: first, lastLsn: last, bytes, createdMs });
    if (firstLsn !== 0) nextFirstLsn = firstLsn;
  }
  return segments.reverse();
}
