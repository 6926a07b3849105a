import * as promises from 'node:fs/promises';
import { Wal } from 'ringwal';
import { readNewestSnapshot, removeLeftovers, writeSnapshot } from './snapshots.mjs';

const SEGMENTS_PER_SNAPSHOT = 4;

/**
 * Keys and JSON values in memory. After a kill or a power cut, every acknowledged change is there.
 *
 * - A write is acknowledged once its entries in the log are fsynced; concurrent writes share the fsyncs. Only then
 *   can it be read, so no reader sees a value that a crash could take back.
 * - An entry is a change, `{"key":…,"value":…}`. An entry without a value removes the key. The changes of one `putMany` are
 *   one atomic batch: a crash leaves all of them or none.
 * - After every `snapshotBytes` of log the store writes its whole content into a snapshot, and the log's retention may remove
 *   the entries that the snapshot covers. This limits the size of the log and the time that opening takes.
 *
 * To open, the store reads the newest snapshot and replays the log after it.
 */
export class KeyValueStore {
  #wal;
  #fs;
  #values = new Map();
  /** The content is that of the log up to this entry, which is the last of its batch. */
  #lsn = 0;
  #snapshotBytes;
  #nextSnapshotAt;
  #snapshot;
  #onError;

  /** What opening found: the snapshot's LSN (0 = none), the entries replayed after it, and how long both took. */
  opened;

  /**
   * `snapshotBytes`: bytes of log between two snapshots. `onError` gets the error of a snapshot that failed. Nothing is lost by
   * it, since the log keeps every entry that no snapshot covers. `openLog`, `fs`: in a test, those of a simulated machine.
   */
  static async open(
    directory,
    {
      snapshotBytes = 64 * 2 ** 20,
      onError = (error) => process.emitWarning(error),
      openLog = Wal.open,
      fs = promises,
    } = {},
  ) {
    const wal = await openLog(directory, {
      durable: true,
      // Retention may remove all segments that the checkpoint covers, except the live one.
      maxFileSize: snapshotBytes / SEGMENTS_PER_SNAPSHOT,
      maxFiles: 1,
      retainFrom: 'checkpoint',
    });
    const store = new KeyValueStore(wal, fs, snapshotBytes, onError);
    try {
      await store.#recover();
    } catch (error) {
      await wal.close();
      throw error;
    }
    return store;
  }

  /** Use `KeyValueStore.open`. */
  constructor(wal, fs, snapshotBytes, onError) {
    this.#wal = wal;
    this.#fs = fs;
    this.#snapshotBytes = snapshotBytes;
    this.#onError = onError;
  }

  get size() {
    return this.#values.size;
  }

  get(key) {
    return this.#values.get(key);
  }

  entries() {
    return this.#values.entries();
  }

  /** Resolves once the change is durable. If it rejects, except with `ERR_WAL_FULL`, only opening again shows its result. */
  put(key, value) {
    return this.putMany([{ key, value }]);
  }

  delete(key) {
    return this.putMany([{ key }]);
  }

  /** As `put`, all or nothing. `changes`: `{ key, value }`, or `{ key }` to remove it. */
  async putMany(changes) {
    const entries = changes.map((change) => JSON.stringify(change));
    const { last } = await this.#wal.appendBatch(entries);
    // Promises of the log resolve in the order of their entries, and the code that awaits them runs in that order.
    for (const entry of entries) this.#apply(entry);
    this.#lsn = last;
    if (this.#wal.stats().frameBytes >= this.#nextSnapshotAt) this.#startSnapshot();
  }

  /** Accepts nothing more, and completes what was accepted. */
  async close() {
    await this.#wal.close();
    await this.#snapshot;
  }

  /** Applies the entry and not the arguments of `put`, so that a value is the same before and after a crash. */
  #apply(entry) {
    const { key, value } = JSON.parse(entry);
    if (value === undefined) this.#values.delete(key);
    else this.#values.set(key, value);
  }

  async #recover() {
    const startedAt = performance.now();
    const { lsn, values } = await readNewestSnapshot(this.#fs, this.#wal.directory);
    this.#values = new Map(values);
    this.#lsn = lsn;
    // A crash may have come between a snapshot and the steps after it.
    if (lsn > 0) await this.#finishSnapshot(lsn);
    let bytes = 0;
    if (this.#wal.lastLsn > lsn) {
      for await (const batch of this.#wal.batches({ from: lsn + 1 })) {
        for (const { data } of batch) {
          this.#apply(Buffer.from(data).toString());
          bytes += data.length;
        }
      }
      this.#lsn = this.#wal.lastLsn;
    }
    // Replayed bytes count too: otherwise a store that crashes often would never make a snapshot.
    this.#nextSnapshotAt = this.#snapshotBytes - bytes;
    this.opened = { snapshotLsn: lsn, replayed: this.#lsn - lsn, ms: performance.now() - startedAt };
  }

  /** Runs in the background, one at a time. It copies the content at once, as it is after the last acknowledged batch. */
  #startSnapshot() {
    if (this.#snapshot !== undefined) return;
    this.#nextSnapshotAt = this.#wal.stats().frameBytes + this.#snapshotBytes;
    this.#snapshot = this.#saveSnapshot(this.#lsn, JSON.stringify([...this.#values]))
      .catch((error) => {
        // The next opening finishes the snapshot that closing has interrupted.
        if (error.code !== 'ERR_WAL_CLOSED') this.#onError(error);
      })
      .finally(() => {
        this.#snapshot = undefined;
      });
  }

  async #saveSnapshot(lsn, content) {
    await writeSnapshot(this.#fs, this.#wal.directory, lsn, content);
    await this.#finishSnapshot(lsn);
  }

  /** Tells the log which entries it may remove. Called only once the snapshot is durable. */
  async #finishSnapshot(lsn) {
    await this.#wal.checkpoint(lsn);
    await removeLeftovers(this.#fs, this.#wal.directory, lsn);
  }
}
