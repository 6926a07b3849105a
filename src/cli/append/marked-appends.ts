import type { Wal } from '../../index.js';
import type { Appends, Taken } from './appends.js';

/**
 * Appends with a promise only for the last record before a [mark]. Its LSN shows whether all records before it were
 * written, because this command is the only producer and LSNs are assigned one by one.
 */
export class MarkedAppends implements Appends {
  readonly #wal: Wal;
  readonly #firstLsn: number;
  /**
   * The newest record, not appended yet, because it may be the last one before the mark. Until then it is a view of
   * the caller's memory.
   */
  #held: Uint8Array | undefined;
  readonly #taken = { entries: 0, bytes: 0 };
  #prefix: Taken = { entries: 0, bytes: 0 };
  #marksOnTheirWay = 0;
  #failure: unknown;
  #wake = () => {};

  constructor(wal: Wal) {
    this.#wal = wal;
    this.#firstLsn = wal.lastLsn + 1;
  }

  get prefix(): Taken {
    return this.#prefix;
  }

  tryTake(record: Uint8Array): boolean {
    if (this.#failure !== undefined) return false;
    if (this.#held !== undefined && !this.#wal.tryAppend(this.#held)) return false;
    this.#held = record;
    this.#taken.entries += 1;
    this.#taken.bytes += record.length;
    return true;
  }

  async room(): Promise<void> {
    if (this.#failure === undefined && this.#held !== undefined) await this.#wal.ready(this.#held.length);
    if (this.#failure !== undefined) throw this.#failure;
  }

  async mark(): Promise<void> {
    const held = this.#held;
    if (held === undefined) return;
    await this.room();
    this.#held = undefined;
    const { entries, bytes } = this.#taken;
    const wantedLsn = this.#firstLsn + entries - 1;
    this.#marksOnTheirWay += 1;
    this.#wal.append(held).then(
      (lsn) => {
        // `onError` gets the errors of earlier entries that were not written.
        if (lsn === wantedLsn) this.#prefix = { entries, bytes };
        this.#settle();
      },
      (error) => {
        this.#failure ??= error;
        this.#settle();
      },
    );
  }

  async idle(): Promise<void> {
    while (this.#marksOnTheirWay > 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  #settle(): void {
    this.#marksOnTheirWay -= 1;
    this.#wake();
  }
}
