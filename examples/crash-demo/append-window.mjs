/** The only option that is not the default: FILE may be a single huge line. */
export const LOG_OPTIONS = { maxEntrySize: 2 ** 30 };

const DURABLE = { durable: true };

/**
 * Durable appends, many under way at a time: they share fsyncs, which makes them quick. The window limits their number,
 * since each of them takes memory until it is acknowledged.
 */
export class AppendWindow {
  #wal;
  #onDurable;
  #maxEntries;
  #maxBytes;
  #entries = 0;
  #bytes = 0;
  #failure;
  #wake = () => {};

  /** `onDurable(lsn, latencyMs)` is called for each acknowledged append, in the order of the appends. */
  constructor(wal, onDurable, { maxEntries = 16_384, maxBytes = 8 * 1024 * 1024 } = {}) {
    this.#wal = wal;
    this.#onDurable = onDurable;
    this.#maxEntries = maxEntries;
    this.#maxBytes = maxBytes;
  }

  /** May `bytes` more be under way? One append always may. */
  hasRoom(bytes) {
    return this.#entries === 0 || (this.#entries < this.#maxEntries && this.#bytes + bytes <= this.#maxBytes);
  }

  async room(bytes) {
    while (!this.hasRoom(bytes)) await this.#nextAcknowledgement();
  }

  async idle() {
    while (this.#entries > 0) await this.#nextAcknowledgement();
    if (this.#failure !== undefined) throw this.#failure;
  }

  append(data) {
    const startedAt = performance.now();
    this.#entries += 1;
    this.#bytes += data.length;
    this.#wal.append(data, DURABLE).then(
      (lsn) => {
        this.#entries -= 1;
        this.#bytes -= data.length;
        this.#onDurable(lsn, performance.now() - startedAt);
        this.#wake();
      },
      (error) => {
        this.#failure ??= error;
        this.#wake();
      },
    );
  }

  async #nextAcknowledgement() {
    if (this.#failure !== undefined) throw this.#failure;
    await new Promise((resolve) => {
      this.#wake = resolve;
    });
    if (this.#failure !== undefined) throw this.#failure;
  }
}
