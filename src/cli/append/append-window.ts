import type { Wal } from '../../index.js';
import type { Appends, Taken } from './appends.js';

/** Limits of unacknowledged entries: enough to fill groups, far below the log's own limits. */
const ENTRIES_MAX = 16_384;
const BYTES_MAX = 8 * 2 ** 20;

/** Appends each record with a promise, a limited number at a time, and acknowledges them in order. */
export class AppendWindow implements Appends {
  readonly #wal: Wal;
  readonly #durable: boolean;
  readonly #onAck: (lsn: number) => void;
  #prefix = { entries: 0, bytes: 0 };
  /** Unacknowledged entries. */
  #entries = 0;
  #bytes = 0;
  #failure: unknown;
  #wake = () => {};

  constructor(wal: Wal, durable: boolean, onAck: (lsn: number) => void) {
    this.#wal = wal;
    this.#durable = durable;
    this.#onAck = onAck;
  }

  get prefix(): Taken {
    return this.#prefix;
  }

  tryTake(record: Uint8Array): boolean {
    const { length } = record;
    if (this.#failure !== undefined || !this.#hasRoom(length)) return false;
    this.#entries += 1;
    this.#bytes += length;
    this.#wal.append(record, { durable: this.#durable }).then(
      (lsn) => {
        this.#settle(length);
        // An entry after a failed one may have been written, for example if only the failed one was too large for the
        // disk.
        if (this.#failure !== undefined) return;
        this.#prefix.entries += 1;
        this.#prefix.bytes += length;
        this.#onAck(lsn);
      },
      (error) => {
        this.#failure ??= error;
        this.#settle(length);
      },
    );
    return true;
  }

  async room(length: number): Promise<void> {
    while (!this.#hasRoom(length) && this.#failure === undefined) await this.#change();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Each append has copied its record. */
  async mark(): Promise<void> {}

  async idle(): Promise<void> {
    while (this.#entries > 0) await this.#change();
    if (this.#failure !== undefined) throw this.#failure;
  }

  #hasRoom(length: number): boolean {
    return this.#entries === 0 || (this.#entries < ENTRIES_MAX && this.#bytes + length <= BYTES_MAX);
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #settle(length: number): void {
    this.#entries -= 1;
    this.#bytes -= length;
    this.#wake();
  }
}
