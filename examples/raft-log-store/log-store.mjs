import { Wal } from 'ringwal';
import { decodeEntry, encodeEntry } from './entry.mjs';

/**
 * The log store that Raft libraries expect, on one ringwal log. A Raft index is an LSN, so nothing is kept beside the log.
 *
 * | Raft | ringwal |
 * | --- | --- |
 * | store entries from index n on | `appendBatch(…, { expectLsn: n })`: all or nothing after a crash, refused unless n comes next |
 * | delete up to an index (a snapshot has it) | `truncateBefore`: `firstLsn` is exact at once |
 * | delete from an index on (another leader wrote otherwise) | `truncateAfter`, with `splitBatch` since the leader cuts anywhere |
 * | delete everything | `truncateBefore(lastLsn + 1)` |
 * | go on elsewhere (a snapshot was installed) | `reset` |
 *
 * Every method that changes the log resolves once the change is durable. Call them one after the other, as Raft does.
 */
export class RaftLogStore {
  #wal;

  /** `openLog`: in a test, that of a simulated machine. */
  static async open(directory, { openLog = Wal.open, ...options } = {}) {
    return new RaftLogStore(await openLog(directory, { ...options, durable: true }));
  }

  /** Use `RaftLogStore.open`. */
  constructor(wal) {
    this.#wal = wal;
  }

  /** 0 = the store is empty. */
  get firstIndex() {
    return this.#isEmpty ? 0 : this.#wal.firstLsn;
  }

  /** 0 = the store is empty. */
  get lastIndex() {
    return this.#isEmpty ? 0 : this.#wal.lastLsn;
  }

  /** Entries have consecutive indexes: a library that asks may leave out checks of its own. */
  get isMonotonic() {
    return true;
  }

  /** The entry `{ index, term, type, data }`. @throws RaftLogError NOT_FOUND: it was deleted, or is not there yet */
  async getLog(index) {
    if (this.#isEmpty || index < this.firstIndex || index > this.lastIndex) throw notFound(index, this);
    const entry = await this.#wal.get(index);
    if (entry === undefined) throw notFound(index, this);
    return { index, ...decodeEntry(entry.data) };
  }

  /** The entries from index `from` on, in arrays, to replay them. */
  async *readFrom(from = this.firstIndex) {
    if (this.#isEmpty || from > this.lastIndex) return;
    for await (const batch of this.#wal.batches({ from })) {
      yield batch.map(({ lsn, data }) => ({ index: lsn, ...decodeEntry(data) }));
    }
  }

  storeLog(entry) {
    return this.storeLogs([entry]);
  }

  /**
   * Stores entries `{ index, term, type, data }`, whose indexes are consecutive and go on after `lastIndex`. The first entry of
   * an empty store may have any index.
   *
   * @throws RaftLogError NOT_NEXT: nothing was stored
   */
  async storeLogs(entries) {
    if (entries.length === 0) return;
    const [{ index: first }] = entries;
    if (!Number.isSafeInteger(first) || first < 1) throw notNext(first, 'an index is an integer from 1');
    for (const [at, { index }] of entries.entries()) {
      if (index !== first + at) throw notNext(index, `entry ${first + at} must come there`);
    }
    if (this.#isEmpty) await this.#wal.reset(first);
    try {
      await this.#wal.appendBatch(entries.map(encodeEntry), { expectLsn: first });
    } catch (error) {
      if (error.code !== 'ERR_WAL_CONFLICT') throw error;
      throw notNext(first, `entry ${this.lastIndex + 1} comes next`);
    }
  }

  /**
   * Deletes the entries from index `min` to `max`, at either end of the log. Indexes that are not there are none of its business.
   *
   * @throws RaftLogError MIDDLE: entries would be left on both sides; nothing was deleted
   */
  async deleteRange(min, max) {
    const { firstIndex, lastIndex } = this;
    if (this.#isEmpty || min > max || max < firstIndex || min > lastIndex) return;
    if (min <= firstIndex) await this.#wal.truncateBefore(Math.min(max, lastIndex) + 1);
    else if (max >= lastIndex) await this.#wal.truncateAfter(min - 1, { splitBatch: true });
    else
      throw new RaftLogError(
        'MIDDLE',
        `Cannot delete ${min} to ${max}: the log holds ${firstIndex} to ${lastIndex}.`,
      );
  }

  close() {
    return this.#wal.close();
  }

  get #isEmpty() {
    return this.#wal.firstLsn === 0 || this.#wal.firstLsn > this.#wal.lastLsn;
  }
}

export class RaftLogError extends Error {
  name = 'RaftLogError';

  /** `code`: NOT_FOUND, NOT_NEXT or MIDDLE. */
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

function notFound(index, { firstIndex, lastIndex }) {
  const holds = lastIndex === 0 ? 'is empty' : `holds ${firstIndex} to ${lastIndex}`;
  return new RaftLogError('NOT_FOUND', `Entry ${index} is not in the log, which ${holds}.`);
}

function notNext(index, why) {
  return new RaftLogError('NOT_NEXT', `Cannot store entry ${index}: ${why}. Nothing was stored.`);
}
