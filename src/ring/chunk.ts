import { copyIn } from './copy-in.js';
import { RECORD_HEADER_BYTES, recordBytes } from './layout.js';
import type { LaneTextEncoder } from './producer.js';

/*
 * A chunk: records beside the ring, in memory that producer and writer share, so that one message brings many entries. It is
 * posted with its first record and grows in place until it is full, until the producer posts something else, or until the writer
 * has taken all of it.
 *
 *   byte 0        12
 *   +-------------+-----------+-----------+--------------------+
 *   | state  | -  | record    | record    | not published yet  |     records as in the ring (layout.ts), without WRAP and BATCH
 *   +-------------+-----------+-----------+--------------------+
 *                             ▲
 *                             end, in bytes of records
 *
 *   state   int32: end, and the bit SEALED once nothing is added any more
 *
 * 1. A record is published by the exchange that moves `end` past it: its bytes are plain stores before that exchange, and a
 *    thread that loads the new end, or finds it by an exchange, reads them after it.
 * 2. Both sides seal. The writer seals only by an exchange from the end up to which it has taken everything, so it leaves no
 *    record unread. The producer adds only by an exchange from the end that it left, without the bit. So it adds none to a chunk
 *    that is finished, and learns of that. The word decides which side comes first.
 * 3. The chunk's entries stand in the lane's order where the message stands. So the producer adds only as long as it has used
 *    neither the ring nor another message since, and seals before it posts one: later entries follow all of the chunk.
 * 4. No thread writes bytes before `end`, so the writer may read them for as long as it likes.
 * 5. A producer that dies in the middle of a record has not moved `end`: the record does not exist.
 *
 * test/ring/chunk.test.ts checks all orders of the two sides' accesses.
 */

const STATE = 0;
const SEALED = 1 << 30;
/** Places payloads at multiples of 8, as in the ring. */
const RECORDS_START = 12;

/** The producer's side. */
export class GrowingChunk {
  readonly memory: SharedArrayBuffer;
  readonly #i32: Int32Array<SharedArrayBuffer>;
  readonly #u8: Uint8Array<SharedArrayBuffer>;
  readonly #text: LaneTextEncoder;
  #end = 0;

  /** For at most `bytes` bytes of records, below 2^30. `textFor` makes an encoder for that memory, which is zeroed. */
  constructor(
    bytes: number,
    textFor: (memory: SharedArrayBuffer) => LaneTextEncoder,
    memory = new SharedArrayBuffer(RECORDS_START + bytes),
  ) {
    this.memory = memory;
    this.#i32 = new Int32Array(this.memory);
    this.#u8 = new Uint8Array(this.memory);
    this.#text = textFor(this.memory);
  }

  hasRoom(length: number): boolean {
    return RECORDS_START + this.#end + recordBytes(length) <= this.#u8.length;
  }

  /** Adds an entry of `length` bytes, which must fit; text is encoded as UTF-8. False = sealed, nothing was added. */
  add(data: Uint8Array | string, length: number): boolean {
    const at = RECORDS_START + this.#end;
    this.#i32[at >> 2] = length;
    if (typeof data === 'string') this.#text.write(data, at + RECORD_HEADER_BYTES, length);
    else copyIn(data, length, this.#u8, at + RECORD_HEADER_BYTES);
    const end = this.#end + recordBytes(length);
    // Points 1 and 2 of the header.
    if (Atomics.compareExchange(this.#i32, STATE, this.#end, end) !== this.#end) return false;
    this.#end = end;
    return true;
  }

  /** After this nothing is added any more. */
  seal(): void {
    Atomics.or(this.#i32, STATE, SEALED);
  }
}

/** The writer's side, of a chunk that another thread posted or of records that are complete. */
export class TakenChunk {
  readonly #i32: Int32Array<SharedArrayBuffer> | undefined;
  readonly #records: Uint8Array;
  /** Bytes of records, as loaded last. */
  #end: number;
  #isSealed: boolean;
  #released = 0;

  constructor(source: SharedArrayBuffer | Uint8Array) {
    if (source instanceof Uint8Array) {
      this.#records = source;
      this.#end = source.length;
      this.#isSealed = true;
    } else {
      this.#i32 = new Int32Array(source);
      this.#records = new Uint8Array(source, RECORDS_START);
      this.#end = 0;
      this.#isSealed = false;
      this.load();
    }
  }

  /** Loads the records that were added until now; true = more may come. */
  load(): boolean {
    if (this.#isSealed) return false;
    const state = Atomics.load(this.#i32 as Int32Array<SharedArrayBuffer>, STATE);
    this.#end = state & ~SEALED;
    this.#isSealed = (state & SEALED) !== 0;
    return !this.#isSealed;
  }

  /** The records that are loaded and not released. */
  get loaded(): Uint8Array {
    return this.#records.subarray(this.#released, this.#end);
  }

  /** The first `bytes` of the loaded records are taken. */
  release(bytes: number): void {
    this.#released += bytes;
  }

  /** True = everything is released, and nothing is added any more: the chunk is finished. */
  seal(): boolean {
    if (this.#released < this.#end) return false;
    if (!this.#isSealed) {
      const i32 = this.#i32 as Int32Array<SharedArrayBuffer>;
      const before = Atomics.compareExchange(i32, STATE, this.#end, this.#end | SEALED);
      this.#isSealed = (before & ~SEALED) === this.#end;
    }
    return this.#isSealed;
  }

  /** Records that are added from now on do not count: [GrowingChunk.add] reports that to the producer. */
  freeze(): void {
    if (this.#isSealed) return;
    this.#end = Atomics.or(this.#i32 as Int32Array<SharedArrayBuffer>, STATE, SEALED) & ~SEALED;
    this.#isSealed = true;
  }
}
