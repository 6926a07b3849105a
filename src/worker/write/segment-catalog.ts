import { join } from 'node:path';
import { segmentName } from '../../format/segment-name.js';
import type { SegmentInfo } from '../messages.js';

/** What the writer knows of a segment without opening it. */
export interface SegmentRecord {
  readonly number: number;
  readonly createdMs: number;
  /** 0 while it holds no entry. */
  firstLsn: number;
  /** Bytes of whole frames. */
  bytes: number;
}

/** All segments of the log, lowest number first; the last one is live. */
export class SegmentCatalog {
  readonly #records: SegmentRecord[];

  constructor(records: readonly SegmentRecord[]) {
    this.#records = [...records];
  }

  get records(): readonly SegmentRecord[] {
    return this.#records;
  }

  get firstLsn(): number {
    return this.firstLsnBehind(-1);
  }

  /** The first entry that is left when every segment up to and including `number` is gone; 0 = none. */
  firstLsnBehind(number: number): number {
    return this.#records.find((record) => record.number > number && record.firstLsn !== 0)?.firstLsn ?? 0;
  }

  find(number: number): SegmentRecord | undefined {
    return this.#records.find((record) => record.number === number);
  }

  add(record: SegmentRecord): void {
    this.#records.push(record);
  }

  /** The newest segment was withdrawn. */
  dropLast(): void {
    this.#records.pop();
  }

  /** The log was cut: `number` is the last segment now, and has `bytes` of frames. */
  cutBehind(number: number, bytes: number): void {
    while ((this.#records.at(-1)?.number ?? number) > number) this.#records.pop();
    const last = this.#records.at(-1);
    if (last !== undefined) last.bytes = bytes;
  }

  /** Retention removed every segment up to and including `number`. */
  dropThrough(number: number): void {
    while (this.#records.length > 0 && (this.#records[0] as SegmentRecord).number <= number)
      this.#records.shift();
  }
}

/** The catalog as others are told of it; `lastLsn` is the log's. An empty live segment will begin behind that. */
export function describeSegments(catalog: SegmentCatalog, directory: string, lastLsn: number): SegmentInfo[] {
  const { records } = catalog;
  return records.map(({ number, firstLsn, bytes, createdMs }, at) => {
    const next = records.slice(at + 1).find((record) => record.firstLsn !== 0);
    const path = join(directory, segmentName(number));
    const last = firstLsn === 0 ? 0 : next === undefined ? lastLsn : next.firstLsn - 1;
    const first = firstLsn === 0 && at + 1 === records.length ? lastLsn + 1 : firstLsn;
    return { number, path, firstLsn: first, lastLsn: last, bytes, createdMs };
  });
}
