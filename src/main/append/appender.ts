import { Buffer } from 'node:buffer';
import type { Expectation } from '../../protocol/lane-messages.js';
import { BATCH_MARKER_BYTES, type LaneViews, maxRecordPayload, recordBytes } from '../../ring/layout.js';
import type { LaneProducer } from '../../ring/producer.js';
import { lengthOf } from '../../ring/view-fields.js';
import { describeValue } from '../errors/describe-value.js';
import { WalError } from '../errors/wal-error.js';
import type { LaneOptions } from '../options/wal-options.js';
import {
  assertMemory,
  byteLengthOf,
  copiesInOne,
  type Encode,
  type EntryData,
  entryBytes,
} from './entry-data.js';
import { ringFull, tooLarge } from './lane-errors.js';
import type { LaneLife } from './lane-life.js';
import type { LaneTallies } from './lane-tallies.js';
import type { OverflowQueue } from './overflow-queue.js';
import { packBatch } from './packed-batch.js';

export interface AppenderParts {
  /** The log's, for messages. */
  readonly directory: string;
  readonly views: LaneViews;
  /** The lane's memory, of which `encode` gets views. */
  readonly bytes: Buffer;
  readonly options: LaneOptions;
  readonly producer: LaneProducer;
  readonly overflow: OverflowQueue;
  readonly life: LaneLife;
  readonly tallies: LaneTallies;
}

/** If the writer lags behind by this share of the ring, it is woken although it lingers. */
const LAG_THAT_WAKES = 1 / 4;

/**
 * Copies entries into the ring, or posts them beside it, and numbers them.
 *
 * An entry's number (`accepted`, from 1) is its sequence number in the lane, exact. The writer thread and the sync thread name
 * entries by it.
 */
export class Appender {
  readonly #directory: string;
  readonly #options: LaneOptions;
  readonly #producer: LaneProducer;
  readonly #overflow: OverflowQueue;
  readonly #life: LaneLife;
  readonly #tallies: LaneTallies;
  readonly #bytes: Buffer;
  readonly #ringBytes: number;
  readonly #lagThatWakes: number;
  /** Longest payload of a ring record. */
  readonly #recordMax: number;
  /** An entry up to this length needs no further check: the ring may take it. */
  readonly #plainMax: number;
  #accepted = 0;

  constructor(parts: AppenderParts) {
    this.#directory = parts.directory;
    this.#options = parts.options;
    this.#producer = parts.producer;
    this.#overflow = parts.overflow;
    this.#life = parts.life;
    this.#tallies = parts.tallies;
    this.#bytes = parts.bytes;
    this.#ringBytes = parts.views.ringBytes;
    this.#lagThatWakes = this.#ringBytes * LAG_THAT_WAKES;
    this.#recordMax = maxRecordPayload(this.#ringBytes);
    this.#plainMax = Math.min(this.#recordMax, parts.options.maxEntrySize);
  }

  /** Entries taken so far, which is the number of the newest one. */
  get accepted(): number {
    return this.#accepted;
  }

  get recordMax(): number {
    return this.#recordMax;
  }

  get plainMax(): number {
    return this.#plainMax;
  }

  /** Does the writer lag so far behind that it has to be woken although it lingers? */
  get lagsFar(): boolean {
    return this.#producer.lagsBy(this.#lagThatWakes);
  }

  /**
   * [accepted], after a check that the producer has numbered as many entries: the writer names entries by the producer's numbers,
   * so a difference would settle the wrong promises.
   */
  assertedAccepted(): number {
    if ((this.#accepted | 0) === this.#producer.sequence) return this.#accepted;
    throw new Error(`${this.#accepted} entries accepted, but the producer is at ${this.#producer.sequence}`);
  }

  /** Takes the entry if there is room now. False = full, nothing was taken. */
  push(data: EntryData, wants: number): boolean {
    if (typeof data === 'string') {
      // A UTF-16 unit takes 3 bytes at most: only long texts are measured.
      if (data.length * 3 > this.#plainMax) {
        const bytes = Buffer.byteLength(data);
        if (bytes > this.#plainMax) return this.#pushBeside(data, bytes, wants);
      }
      if (this.#overflow.isQueued || !this.#producer.tryPushText(data, wants)) return false;
    } else {
      const bytes = entryBytes(data);
      const length = lengthOf(bytes);
      if (length === 0) assertMemory(bytes);
      if (length > this.#plainMax) return this.#pushBeside(bytes, length, wants);
      if (this.#overflow.isQueued || !this.#producer.tryPush(bytes, wants, length)) return false;
    }
    this.#accepted += 1;
    return true;
  }

  /** The ring is full: queues the entry beside it. False = `maxPending` would be exceeded, nothing was taken. */
  tryQueue(data: EntryData, wants: number): boolean {
    const bytes = byteLengthOf(data);
    if (!this.#overflow.admits(bytes)) return false;
    this.#tallies.add('queued');
    this.#overflow.queue(data, bytes, wants);
    this.#accepted += 1;
    return true;
  }

  /** As [tryQueue]. @throws ERR_WAL_FULL beyond `maxPending` */
  queue(data: EntryData, wants: number): void {
    if (!this.tryQueue(data, wants)) throw this.#full(byteLengthOf(data));
  }

  /** @throws ERR_WAL_FULL beyond `maxPending`, ERR_WAL_TOO_LARGE */
  pushBatch(parts: readonly Uint8Array[], wants: number): void {
    const bytes = parts.reduce((sum, part) => sum + lengthOf(part), 0);
    this.assertAllowed(bytes);
    const fitsRing = this.#fitsEmptyRing(parts);
    if (!fitsRing || this.#overflow.isQueued || !this.#producer.tryPushBatch(parts, wants)) {
      if (!this.#overflow.admits(bytes, parts.length)) throw this.#full(bytes);
      if (fitsRing) this.#tallies.add('queued');
      // If an empty ring could take the batch, nothing may overtake it on its way around the full one.
      this.#postBatch(parts, { bytes, entries: parts.length, wants, queued: fitsRing });
    }
    this.#accepted += parts.length;
  }

  /**
   * Takes an entry that must become entry `expectLsn`. It goes beside the ring: the writer decides when its turn comes.
   *
   * @throws ERR_WAL_FULL beyond `maxPending`, ERR_WAL_TOO_LARGE
   */
  post(data: EntryData, wants: number, expectLsn: number): void {
    const bytes = byteLengthOf(data);
    if (bytes === 0 && typeof data !== 'string') assertMemory(data);
    this.assertAllowed(bytes);
    if (!this.#overflow.admits(bytes)) throw this.#full(bytes);
    this.#overflow.postEntry(data, bytes, wants, false, { lsn: expectLsn, entries: 1 });
    this.#accepted += 1;
  }

  /** As [post], for a batch whose first entry must become `expectLsn`. */
  postBatch(parts: readonly Uint8Array[], wants: number, expectLsn: number): void {
    const bytes = parts.reduce((sum, part) => sum + lengthOf(part), 0);
    this.assertAllowed(bytes);
    const entries = parts.length;
    if (!this.#overflow.admits(bytes, entries)) throw this.#full(bytes);
    this.#postBatch(parts, { bytes, entries, wants, queued: false }, { lsn: expectLsn, entries });
    this.#accepted += entries;
  }

  /** See `Wal.tryEncode`. False = full, nothing was taken. */
  encode(maxLength: number, encode: Encode): boolean {
    if (!Number.isSafeInteger(maxLength) || maxLength < 0) {
      throw new WalError(
        'ERR_WAL_OPTION',
        `maxLength must be an integer from 0, not ${describeValue(maxLength)}.`,
      );
    }
    if (typeof encode !== 'function') {
      throw new WalError('ERR_WAL_OPTION', `encode must be a function, not ${describeValue(encode)}.`);
    }
    this.assertAllowed(maxLength);
    const isTaken =
      maxLength > this.#recordMax
        ? this.#encodeBeside(maxLength, encode)
        : this.#encodeInRing(maxLength, encode);
    if (isTaken) this.#accepted += 1;
    return isTaken;
  }

  /** @throws ERR_WAL_TOO_LARGE: no entry and no batch may have so many bytes */
  assertAllowed(bytes: number): void {
    const { maxEntrySize } = this.#options;
    if (bytes > maxEntrySize) throw tooLarge(this.#directory, bytes, maxEntrySize);
  }

  /** Would `tryAppend` take an entry of `bytes` now? */
  hasRoom(bytes: number): boolean {
    if (this.#overflow.isQueued) return false;
    return bytes > this.#recordMax ? this.#overflow.admits(bytes) : this.#producer.hasRoom(bytes);
  }

  /** An entry that is too large for the ring, or for the log. */
  #pushBeside(data: EntryData, bytes: number, wants: number): boolean {
    this.assertAllowed(bytes);
    if (this.#overflow.isQueued || !this.#overflow.admits(bytes)) return false;
    this.#overflow.postEntry(data, bytes, wants, false);
    this.#accepted += 1;
    return true;
  }

  #postBatch(
    parts: readonly Uint8Array[],
    load: { bytes: number; entries: number; wants: number; queued: boolean },
    expectation?: Expectation,
  ): void {
    const records = packBatch(parts);
    if (records !== undefined) {
      this.#overflow.post({ kind: 'records', records, expectation }, { ...load, transfer: [records.buffer] });
      return;
    }
    const copies = copiesInOne(parts, load.bytes);
    this.#overflow.post(
      { kind: 'parts', parts: copies, expectation },
      { ...load, transfer: [copies[0]?.buffer as ArrayBuffer] },
    );
  }

  #fitsEmptyRing(parts: readonly Uint8Array[]): boolean {
    if (parts.some((part) => lengthOf(part) > this.#recordMax)) return false;
    const bytes = parts.reduce((sum, part) => sum + recordBytes(lengthOf(part)), BATCH_MARKER_BYTES);
    return bytes <= this.#ringBytes;
  }

  #encodeInRing(maxLength: number, encode: Encode): boolean {
    if (this.#overflow.isQueued) return false;
    const at = this.#producer.reserve(maxLength);
    if (at < 0) return false;
    let length = -1;
    try {
      length = this.#runEncode(this.#bytes.subarray(at, at + maxLength), maxLength, encode);
    } finally {
      // Nothing of it is published: the bytes that the callback wrote belong to no entry.
      if (length < 0) this.#producer.abandon();
    }
    this.#producer.commit(length);
    return true;
  }

  /** Too large for the ring: encodes into memory that is then transferred to the writer, so no view of it stays usable. */
  #encodeBeside(maxLength: number, encode: Encode): boolean {
    if (this.#overflow.isQueued || !this.#overflow.admits(maxLength)) return false;
    const memory = new ArrayBuffer(maxLength);
    const view = Buffer.from(memory);
    const length = this.#runEncode(view, maxLength, encode);
    if (memory.byteLength !== maxLength) {
      throw new WalError(
        'ERR_WAL_OPTION',
        'encode must not transfer the memory of the view that it gets, and it has done so.',
      );
    }
    const data = new Uint8Array(memory, 0, length);
    this.#overflow.post(
      { kind: 'parts', parts: [data] },
      { bytes: maxLength, entries: 1, transfer: [memory] },
    );
    return true;
  }

  /** Runs the callback and returns the length that it reports. Meanwhile the lane takes nothing. */
  #runEncode(view: Buffer, maxLength: number, encode: Encode): number {
    this.#life.startEncoding();
    let length: unknown;
    try {
      length = encode(view);
    } finally {
      this.#life.endEncoding();
    }
    this.#life.assertTaking();
    if (!Number.isSafeInteger(length) || (length as number) < 0 || (length as number) > maxLength) {
      throw new WalError(
        'ERR_WAL_OPTION',
        `encode must return the number of bytes that it wrote, an integer from 0 to ${maxLength}, not ${describeValue(length)}.`,
      );
    }
    return length as number;
  }

  #full(bytes: number): WalError {
    const { maxPending } = this.#options;
    return ringFull(this.#directory, { bytes, queuedBytes: this.#overflow.bytes, maxPending });
  }
}
