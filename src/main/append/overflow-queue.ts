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
  /** Entries in it, where some were counted before. */
  readonly charged?: number | undefined;
  /** Bits of `Want`. */
  readonly wants?: number;
  /** The ring was full: whatever comes next must not use it before this was taken. */
  readonly queued?: boolean;
  readonly transfer?: (ArrayBuffer | MessagePort)[];
}

/** Named field by field: nothing is to come from `Object.prototype`, whatever somebody has put there. */
const NOTHING = {
  bytes: 0,
  entries: 0,
  charged: undefined,
  wants: 0,
  queued: false,
  transfer: [],
} satisfies Load & { charged: undefined };

/** Bytes of a chunk; twice as many as the one before where that was filled. Bet: memory for a few entries should not cost more than they do. */
const CHUNK_BYTES_MIN = 4096;
/** What an entry counts at least against `maxPending`: the record of an empty one takes memory, too. */
const CHARGED_BYTES_MIN = 16;

/**
 * What goes to the writer beside the ring: entries too large for it, entries queued in front of a full one, requests.
 *
 * Everything is posted at once, so that it reaches the writer though this thread be blocked, about to exit or terminated; "queued"
 * means posted and not yet taken. Small entries that are queued share a message, which grows (chunk.ts). Bet: a producer that has overrun
 * the ring comes back to it (bench/workloads/overrun.ts), since to post and to take a message costs many times an entry.
 *
 * The bytes on the way are bounded by `maxPending`, except that one is always admitted when nothing is on the way.
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
  /** Charged. */
  #bytes = 0;
  /** Messages that the writer has taken, as last read (modulo 2^32). */
  #taken = 0;
  /** How many of those on the way must be taken before the ring may be used again; 0 = it may. */
  #queued = 0;
  /** The newest message, as long as entries may be added to it: while the ring is not used, since what it has comes behind the chunk. */
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
    // Before it is posted: whoever knows of the next message knows all of this one.
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

  /** An entry that found the ring full. `bytes`: its length, in UTF-8 where it is text. */
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

  /** To the newest message. */
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
    // Nobody need ever ask.
    if (this.#charges.length % 1024 === 0) this.#notice();
  }

  #notice(): void {
    // Ordered after the writer's last look at what it took: those bytes are its own now.
    const taken = Atomics.load(this.#i32, LaneWord.taken);
    let news = (taken - this.#taken) | 0;
    this.#taken = taken;
    this.#queued = Math.max(0, this.#queued - news);
    for (; news > 0; news--) this.#bytes -= this.#charges[this.#first++] as number;
    // What is moved down is less than what has gone: so much for each message, however many are on the way.
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
