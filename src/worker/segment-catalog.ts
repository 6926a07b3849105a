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
    return this.#records.find((record) => record.firstLsn !== 0)?.firstLsn ?? 0;
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

  /** Retention removed every segment up to and including `number`. */
  dropThrough(number: number): void {
    while (this.#records.length > 0 && (this.#records[0] as SegmentRecord).number <= number)
      this.#records.shift();
  }
}
