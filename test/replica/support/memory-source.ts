import type { LogSource, ShippableRun } from '../../../src/replica/log-source.js';
import { encodeShipped, joinFrames, type ShippedFrame } from '../../../src/replica/payload.js';

/** A local log in memory: every entry is durable at once. */
export class MemorySource implements LogSource {
  floor = 0;
  #firstLsn: number;
  readonly #frames: ShippedFrame[] = [];
  #wakeups: (() => void)[] = [];

  constructor(firstLsn = 1) {
    this.#firstLsn = firstLsn;
  }

  get firstLsn(): number {
    return this.#firstLsn;
  }

  get lastLsn(): number {
    return this.#firstLsn + this.#frames.length - 1;
  }

  /** One atomic batch. */
  append(...texts: string[]): void {
    for (const [at, text] of texts.entries()) {
      this.add({
        lsn: this.lastLsn + 1,
        data: Buffer.from(text),
        batchRemaining: texts.length - 1 - at,
        skipped: 0,
      });
    }
    this.#wakeAll();
  }

  add(entry: Omit<ShippedFrame, 'bytes'>): void {
    const bytes = encodeShipped(entry);
    this.#frames.push({ ...entry, bytes });
  }

  /** As `truncateAfter`. */
  cutAfter(lsn: number): void {
    this.#frames.length = Math.max(0, lsn + 1 - this.#firstLsn);
  }

  /** As retention: the entries up to `lsn` go. */
  purgeUpTo(lsn: number): void {
    this.#frames.splice(0, lsn + 1 - this.#firstLsn);
    this.#firstLsn = lsn + 1;
  }

  /** The texts of the entries. */
  get texts(): string[] {
    return this.#frames.map(({ data }) => Buffer.from(data).toString());
  }

  /** The same log in another directory. */
  copy(): MemorySource {
    const copy = new MemorySource(this.#firstLsn);
    for (const frame of this.#frames) copy.add(frame);
    return copy;
  }

  take(after: number, maxBytes: number): ShippableRun | undefined {
    const taken: Uint8Array[] = [];
    let bytes = 0;
    let last = after;
    let at = after + 1 - this.#firstLsn;
    while (at < this.#frames.length) {
      const end = at + 1 + (this.#frames[at] as ShippedFrame).batchRemaining;
      const run = this.#frames.slice(at, end).map((frame) => frame.bytes);
      const runBytes = run.reduce((sum, { length }) => sum + length, 0);
      if (taken.length > 0 && bytes + runBytes > maxBytes) break;
      taken.push(...run);
      bytes += runBytes;
      last = this.#firstLsn + end - 1;
      at = end;
    }
    return taken.length === 0 ? undefined : { last, data: joinFrames(taken) };
  }

  read(from: number, to: number): Iterable<ShippedFrame> {
    return this.#frames.slice(from - this.#firstLsn, to + 1 - this.#firstLsn);
  }

  news(lsn: number, signal: AbortSignal): Promise<void> {
    if (this.lastLsn > lsn || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wakeups.push(resolve);
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  #wakeAll(): void {
    const wakeups = this.#wakeups;
    this.#wakeups = [];
    for (const wake of wakeups) wake();
  }
}
