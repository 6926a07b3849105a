import type { SegmentInfo } from '../../protocol/reports.js';

/**
 * The segments of a log, lowest number first. Operations that run while a log is read, written or retired take
 * constant or logarithmic time: no method copies or scans the list unless its comment says so.
 */
export class SegmentList {
  #segments: SegmentInfo[];
  /** Bytes of all segments before each one, since the list was made. */
  #startBytes: number[] = [];
  /** Segments before this index were removed. */
  #first = 0;

  constructor(segments: readonly SegmentInfo[] = []) {
    this.#segments = [];
    for (const segment of segments) this.push(segment);
  }

  get length(): number {
    return this.#segments.length - this.#first;
  }

  get last(): SegmentInfo | undefined {
    return this.length === 0 ? undefined : this.#segments.at(-1);
  }

  /** Adds a segment after all others. */
  push(segment: SegmentInfo): void {
    const before = this.#segments.length - 1;
    const startBytes =
      before < this.#first
        ? 0
        : (this.#startBytes[before] as number) + (this.#segments[before] as SegmentInfo).bytes;
    this.#segments.push(segment);
    this.#startBytes.push(startBytes);
  }

  pop(): void {
    if (this.length === 0) return;
    this.#segments.pop();
    this.#startBytes.pop();
  }

  /** Updates the last segment. */
  replaceLast(segment: SegmentInfo): void {
    this.#segments[this.#segments.length - 1] = segment;
  }

  /** Removes every segment up to and including `number`. */
  dropThrough(number: number): void {
    while (this.length > 0 && (this.#segments[this.#first] as SegmentInfo).number <= number) this.#first++;
    // So no more elements are moved than were removed.
    if (this.#first <= this.#segments.length / 2) return;
    this.#segments.splice(0, this.#first);
    this.#startBytes.splice(0, this.#first);
    this.#first = 0;
  }

  /** The last segment that begins at or before entry `lsn`. */
  holderOf(lsn: number): SegmentInfo | undefined {
    let low = this.#first;
    let high = this.#segments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      // A segment without an entry has no LSN to compare; the one before it decides.
      let told = middle;
      while (told > low && (this.#segments[told] as SegmentInfo).firstLsn === 0) told--;
      const { firstLsn } = this.#segments[told] as SegmentInfo;
      if (firstLsn === 0 || firstLsn <= lsn) low = middle + 1;
      else high = told;
    }
    return this.#lastFrom(low - 1);
  }

  /** The first segment with an entry after segment `number`. */
  after(number: number): SegmentInfo | undefined {
    let at = this.#countUpTo(number);
    while (at < this.#segments.length && (this.#segments[at] as SegmentInfo).firstLsn === 0) at++;
    return this.#segments[at];
  }

  /** The last segment with an entry before segment `number`. */
  before(number: number): SegmentInfo | undefined {
    return this.#lastFrom(this.#countUpTo(number - 1) - 1);
  }

  has(number: number): boolean {
    const at = this.#countUpTo(number) - 1;
    return at >= this.#first && this.#segments[at]?.number === number;
  }

  /** Bytes of segment `number` and all later ones; of all segments if it is not in the list. */
  bytesFrom(number: number): number {
    const last = this.last;
    if (last === undefined) return 0;
    const from = this.has(number) ? this.#countUpTo(number) - 1 : this.#first;
    const startBytes = this.#startBytes;
    return (startBytes.at(-1) as number) + last.bytes - (startBytes[from] as number);
  }

  /** All of them, copied. */
  toArray(): SegmentInfo[] {
    return this.#segments.slice(this.#first);
  }

  /** The index after the last segment whose number is at most `number`. */
  #countUpTo(number: number): number {
    let low = this.#first;
    let high = this.#segments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#segments[middle] as SegmentInfo).number <= number) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The last segment with an entry, from index `at` down. */
  #lastFrom(at: number): SegmentInfo | undefined {
    while (at >= this.#first && (this.#segments[at] as SegmentInfo).firstLsn === 0) at--;
    return at < this.#first ? undefined : this.#segments[at];
  }
}
