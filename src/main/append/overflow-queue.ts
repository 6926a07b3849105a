import { Buffer } from 'node:buffer';
import type { MessagePort } from 'node:worker_threads';
import type { Expectation, ToWriter } from '../../protocol/lane-messages.js';
import { GrowingChunk } from '../../ring/chunk.js';
import { LaneWord, PACKED_BYTES, PACKED_PAYLOAD_MAX, recordBytes } from '../../ring/layout.js';
import type { LaneProducer, LaneTextEncoder } from '../../ring/producer.js';
import { copyBytes, type EntryData, entryBytes } from './entry-data.js';

type Unplaced<T> = T extends unknown ? Omit<T, 'position'> : never;

interface Load {
  /** Payload bytes of its entries. */
  readonly bytes?: number;
  readonly entries?: number;
  /** Number of entries in it, if some of them were counted before. */
  readonly charged?: number | undefined;
  /** Bits of `Want`. */
  readonly wants?: number;
  /** The ring was full: later entries must not use it before this message was taken. */
  readonly queued?: boolean;
  readonly transfer?: (ArrayBuffer | MessagePort)[];
}

/** Every field is named, so that none comes from `Object.prototype`, whatever other code has put there. */
const NOTHING = {
  bytes: 0,
  entries: 0,
  charged: undefined,
  wants: 0,
  queued: false,
  transfer: [],
} satisfies Load & { charged: undefined };

/** Bytes of the first chunk; a later one has twice as many if the one before was filled. Bet: a few entries need little memory. */
const CHUNK_BYTES_MIN = 4096;
/** The least that an entry counts against `maxPending`: the record of an empty entry takes memory, too. */
const CHARGED_BYTES_MIN = 16;

/**
 * Messages to the writer beside the ring: entries too large for the ring, entries that found it full, and requests.
 *
 * Everything is posted at once, so that it reaches the writer even if this thread is blocked, about to exit or terminated; "queued"
 * means posted and not yet taken. Small entries that are queued share a message, which grows (chunk.ts). Bet: this lets a producer
 * that has overrun the ring return to it (bench/workloads/overrun.ts), since posting and taking a message costs many times an
 * entry.
 *
 * `maxPending` bounds the bytes on the way, except that a message is always admitted when nothing is on the way.
 */
export class OverflowQueue {
  readonly #port: MessagePort;
  readonly #i32: Int32Array;
  readonly #producer: LaneProducer;
  readonly #maxPending: number;
  /** Charged bytes, and entries, of the messages on the way, oldest first, from slot `#first`. */
  #charges: number[] = [];
  #entries: number[] = [];
  /** 1 for each message that asks for a lane. */
  #lanes: number[] = [];
  #first = 0;
  /** Charged bytes on the way. */
  #bytes = 0;
  /** Messages that the writer has taken, as last read (modulo 2^32). */
  #taken = 0;
  /** How many messages on the way must be taken before the ring may be used again; 0 = it may be used. */
  #queued = 0;
  /** The newest message, as long as entries may be added to it: while the ring is not used, since its records follow the chunk. */
  #chunk: GrowingChunk | undefined;
  #chunkPosition = 0;
  #chunkBytes = CHUNK_BYTES_MIN;

  constructor(port: MessagePort, i32: Int32Array, producer: LaneProducer, maxPending: number) {
    this.#port = port;
    this.#i32 = i32;
    this.#producer = producer;
    this.#maxPending = maxPending;
  }

  /** Bytes on the way, as they count against `maxPending`. */
  get bytes(): number {
    this.#notice();
    return this.#bytes;
  }

  /** Entries on the way. */
  get entries(): number {
    this.#notice();
    return this.#entries.slice(this.#first).reduce((sum, each) => sum + each, 0);
  }

  /** Lanes that were asked for and not made yet. */
  get lanes(): number {
    this.#notice();
    return this.#lanes.slice(this.#first).reduce((sum, each) => sum + each, 0);
  }

  /** Is an entry on the way that found the ring full? Nothing may overtake it. */
  get isQueued(): boolean {
    if (this.#queued === 0) return false;
    this.#notice();
    return this.#queued > 0;
  }

  /** May `bytes` more, in so many entries, be on the way? */
  admits(bytes: number, entries = 1): boolean {
    this.#notice();
    return this.#bytes === 0 || this.#bytes + chargeOf(bytes, entries) <= this.#maxPending;
  }

  /** Posts a message; its `entries` count as accepted. */
  post(message: Unplaced<ToWriter>, load: Load = {}): void {
    // Sealed before the next message is posted: a thread that has received that message then knows all of this one.
    this.#chunk?.seal();
    this.#chunk = undefined;
    this.#send(message, load);
  }

  /** Posts a copy of an entry of `bytes` bytes. `queued`: as of [Load]. */
  postEntry(data: EntryData, bytes: number, wants: number, queued: boolean, expectation?: Expectation): void {
    const copy = copyBytes(typeof data === 'string' ? data : entryBytes(data));
    this.post(
      { kind: 'parts', parts: [copy], expectation },
      { bytes, entries: 1, wants, queued, transfer: [copy.buffer] },
    );
  }

  /** Queues an entry that found the ring full. `bytes`: its length, in UTF-8 if it is text. */
  queue(data: EntryData, bytes: number, wants: number): void {
    if (bytes > PACKED_PAYLOAD_MAX) {
      this.postEntry(data, bytes, wants, true);
      return;
    }
    const entry = typeof data === 'string' ? data : entryBytes(data);
    if (this.#chunkPosition !== this.#producer.position) this.#chunk = undefined;
    if (this.#chunk?.hasRoom(bytes) !== true) {
      const isFilled = this.#chunk !== undefined;
      this.#chunkBytes = isFilled ? Math.min(2 * this.#chunkBytes, PACKED_BYTES) : CHUNK_BYTES_MIN;
      this.#postChunk(entry, bytes, { bytes, entries: 1, wants });
      return;
    }
    this.#producer.countAdded(wants);
    if (this.#chunk.add(entry, bytes)) {
      this.#noteAdded(bytes);
      return;
    }
    // The writer has caught up.
    this.#chunkBytes = CHUNK_BYTES_MIN;
    this.#postChunk(entry, bytes, { bytes, charged: 1 });
  }

  #postChunk(entry: Uint8Array | string, bytes: number, load: Load): void {
    const chunk = new GrowingChunk(Math.max(this.#chunkBytes, recordBytes(bytes)), encoderFor);
    chunk.add(entry, bytes);
    this.post({ kind: 'records', records: chunk.memory }, { ...load, queued: true });
    this.#chunk = chunk;
    this.#chunkPosition = this.#producer.position;
  }

  /** An entry was added to the newest message. */
  #noteAdded(bytes: number): void {
    const newest = this.#charges.length - 1;
    const charge = chargeOf(bytes, 1);
    this.#charges[newest] = (this.#charges[newest] as number) + charge;
    this.#entries[newest] = (this.#entries[newest] as number) + 1;
    this.#bytes += charge;
  }

  #send(message: Unplaced<ToWriter>, load: Load): void {
    const { bytes, entries, charged = entries, wants, queued, transfer } = { ...NOTHING, ...load };
    const charge = chargeOf(bytes, charged);
    this.#port.postMessage({ ...message, position: this.#producer.position }, transfer);
    this.#producer.countPosted(entries, wants);
    this.#bytes += charge;
    this.#charges.push(charge);
    this.#entries.push(charged);
    this.#lanes.push(message.kind === 'attach' ? 1 : 0);
    if (queued) this.#queued = this.#charges.length - this.#first;
    // The queue may never be asked for its state.
    if (this.#charges.length % 1024 === 0) this.#notice();
  }

  #notice(): void {
    // Ordered after the writer's last access to the messages that it took: their bytes are free now.
    const taken = Atomics.load(this.#i32, LaneWord.taken);
    let news = (taken - this.#taken) | 0;
    this.#taken = taken;
    this.#queued = Math.max(0, this.#queued - news);
    for (; news > 0; news--) this.#bytes -= this.#charges[this.#first++] as number;
    // Fewer elements are moved down than have gone: so the cost of a message is constant, however many are on the way.
    if (this.#first <= this.#charges.length / 2) return;
    this.#charges.splice(0, this.#first);
    this.#entries.splice(0, this.#first);
    this.#lanes.splice(0, this.#first);
    this.#first = 0;
  }
}

function chargeOf(bytes: number, entries: number): number {
  return Math.max(bytes, CHARGED_BYTES_MIN * entries);
}

function encoderFor(memory: SharedArrayBuffer): LaneTextEncoder {
  const bytes = Buffer.from(memory);
  return {
    byteLength: (text) => Buffer.byteLength(text),
    write: (text, offset, bytesMax) => bytes.write(text, offset, bytesMax, 'utf8'),
  };
}
