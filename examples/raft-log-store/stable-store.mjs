import { Wal } from 'ringwal';

/** After so many changes, the ones before the newest are given up. */
const CHANGES_KEPT = 1000;

/**
 * The stable store that Raft libraries expect: the term that a server is in, whom it voted for, and what else must never be
 * forgotten. A few small values, which a server must have on the disk before it answers.
 *
 * Each change is one entry, which holds all values: the newest entry is the whole store. After a crash it is the last one that was
 * acknowledged, or a later one.
 */
export class RaftStableStore {
  #wal;
  #values;

  /** `openLog`: in a test, that of a simulated machine. */
  static async open(directory, { openLog = Wal.open, ...options } = {}) {
    const wal = await openLog(directory, { ...options, durable: true });
    let values = {};
    for await (const { data } of wal.entries({ reverse: true })) {
      values = JSON.parse(Buffer.from(data).toString());
      break;
    }
    return new RaftStableStore(wal, values);
  }

  /** Use `RaftStableStore.open`. */
  constructor(wal, values) {
    this.#wal = wal;
    this.#values = values;
  }

  /** `undefined` = it was never set. */
  get(key) {
    return this.#values[key];
  }

  /** All values. */
  get values() {
    return { ...this.#values };
  }

  set(key, value) {
    return this.setMany({ [key]: value });
  }

  /** Resolves once all of them are durable: after a crash all are there or none. Values are what JSON can hold. */
  async setMany(changes) {
    const values = { ...this.#values, ...changes };
    const lsn = await this.#wal.append(JSON.stringify(values));
    this.#values = values;
    if (lsn - this.#wal.firstLsn >= CHANGES_KEPT) {
      await this.#wal.rotate();
      await this.#wal.truncateBefore(lsn);
    }
  }

  close() {
    return this.#wal.close();
  }
}
