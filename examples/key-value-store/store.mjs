import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { Wal } from 'ringwal';

const SEGMENTS_PER_SNAPSHOT = 4;

/**
 * Keys and JSON values in memory. After a kill or a power cut, every acknowledged change is there.
 *
 * - A write is acknowledged once its entries in the log are fsynced; concurrent writes share the fsyncs. Only then
 *   can it be read, so no reader sees a value that a crash could take back.
 * - An entry is a change, `{"key":…,"value":…}`. An entry without a value removes the key. The changes of one `putMany` are
 *   one atomic batch: a crash leaves all of them or none.
 * - After every `snapshotBytes` of log the store writes its whole content into a snapshot of the log, a line for each key, and the
 *   log's retention may remove the entries that its two newest snapshots do not need. This limits the size of the log and the
 *   time that opening takes.
 *
 * To open, `recover` reads the newest snapshot that is intact and replays the log after it.
 */
export class KeyValueStore {
  #wal;
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
   * it, since the log keeps every entry that no snapshot covers. `openLog`: in a test, that of a simulated machine.
   */
  static async open(
    directory,
    {
      snapshotBytes = 64 * 2 ** 20,
      onError = (error) => process.emitWarning(error),
      openLog = Wal.open,
    } = {},
  ) {
    const wal = await openLog(directory, {
      durable: true,
      // Retention may remove all segments that no snapshot needs, except the live one.
      maxFileSize: snapshotBytes / SEGMENTS_PER_SNAPSHOT,
      maxFiles: 1,
      retainFrom: 'snapshot',
    });
    const store = new KeyValueStore(wal, snapshotBytes, onError);
    try {
      await store.#recover();
    } catch (error) {
      await wal.close();
      throw error;
    }
    return store;
  }

  /** Use `KeyValueStore.open`. */
  constructor(wal, snapshotBytes, onError) {
    this.#wal = wal;
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
    let bytes = 0;
    const { snapshotLsn, replayed } = await this.#wal.recover({
      load: (stream) => this.#load(stream),
      apply: (batch) => {
        for (const { data } of batch) {
          this.#apply(Buffer.from(data).toString());
          bytes += data.length;
        }
      },
    });
    this.#lsn = this.#wal.lastLsn;
    // Replayed bytes count too: otherwise a store that crashes often would never make a snapshot.
    this.#nextSnapshotAt = this.#snapshotBytes - bytes;
    this.opened = { snapshotLsn, replayed, ms: performance.now() - startedAt };
  }

  async #load(stream) {
    for await (const line of createInterface({ input: Readable.from(stream) })) this.#apply(line);
  }

  /** Runs in the background, one at a time. It copies the content at once, as it is after the last acknowledged batch. */
  #startSnapshot() {
    if (this.#snapshot !== undefined) return;
    this.#nextSnapshotAt = this.#wal.stats().frameBytes + this.#snapshotBytes;
    this.#snapshot = this.#wal
      .writeSnapshot(this.#lsn, lines([...this.#values]))
      .catch((error) => {
        // Closing interrupts a snapshot. The log still has everything.
        if (error.code !== 'ERR_WAL_CLOSED') this.#onError(error);
      })
      .finally(() => {
        this.#snapshot = undefined;
      });
  }
}

/** The content as changes, a line for each. JSON has no line breaks. */
function* lines(content) {
  for (const [key, value] of content) yield Buffer.from(`${JSON.stringify({ key, value })}\n`);
}
