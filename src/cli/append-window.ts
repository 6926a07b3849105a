import type { Wal } from '../index.js';

/** What may be unacknowledged at a time: enough to fill groups, far from the log's own limits. */
const ENTRIES_MAX = 16_384;
const BYTES_MAX = 8 * 2 ** 20;

/** Appends whose promises are looked at: so many at a time, acknowledged in order. */
export class AppendWindow {
  readonly #wal: Wal;
  readonly #durable: boolean;
  readonly #onAck: (lsn: number) => void;
  #entries = 0;
  #bytes = 0;
  #failure: unknown;
  #wake = () => {};

  constructor(wal: Wal, durable: boolean, onAck: (lsn: number) => void) {
    this.#wal = wal;
    this.#durable = durable;
    this.#onAck = onAck;
  }

  hasRoom(length: number): boolean {
    return this.#entries === 0 || (this.#entries < ENTRIES_MAX && this.#bytes + length <= BYTES_MAX);
  }

  append(data: Uint8Array): void {
    const { length } = data;
    this.#entries += 1;
    this.#bytes += length;
    this.#wal.append(data, { durable: this.#durable }).then(
      (lsn) => {
        this.#settle(length);
        if (this.#failure === undefined) this.#onAck(lsn);
      },
      (error) => {
        this.#failure ??= error;
        this.#settle(length);
      },
    );
  }

  /** Resolves once there is room. @throws the first append that failed */
  async room(length: number): Promise<void> {
    while (!this.hasRoom(length) && this.#failure === undefined) await this.#change();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Resolves once everything is acknowledged. @throws the first append that failed */
  async idle(): Promise<void> {
    while (this.#entries > 0) await this.#change();
    if (this.#failure !== undefined) throw this.#failure;
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
