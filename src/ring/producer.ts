import { copyIn } from './copy-in.js';
import {
  BATCH,
  BATCH_MARKER_BYTES,
  LaneState,
  type LaneViews,
  LaneWord,
  RECORD_HEADER_BYTES,
  RING_START,
  recordBytes,
  WRAP,
} from './layout.js';
import { lengthOf } from './view-fields.js';

/** The requests of an append to the writer, besides being written: a set of bits. */
export const Want = {
  nothing: 0,
  /** A message once it is written. */
  written: 1,
  /** A message once it is durable. */
  durable: 2,
  /** A sync at once, without waiting for the interval. */
  commit: 4,
} as const;

/** Encodes UTF-8 straight into the lane. Injected: this folder knows no Buffer and no TextEncoder. */
export interface LaneTextEncoder {
  byteLength(text: string): number;
  /** Encodes `text` at byte `offset` of the lane's memory, where `bytesMax` suffice; returns the bytes written. */
  write(text: string, offset: number, bytesMax: number): number;
}

/**
 * The producer's side of a lane: one thread, one instance.
 *
 * Race-free because:
 * 1. Only this instance stores head, so its own copy is always right.
 * 2. This side writes only bytes in [head, tail + ringBytes), the writer reads only bytes in [tail, head): never the same byte. A
 *    stale copy of tail or head only makes these ranges smaller.
 * 3. Record bytes and `…Wanted` words are plain stores, before `Atomics.store(head)` in program order. The writer reads them
 *    after an `Atomics.load(head)` that saw this store or a later one. Each store thus happens-before the read: the writer sees
 *    whole records or none. (A `…Wanted` word may already be newer than head: it then names an entry still to come, which does no
 *    harm, and a plain int32 never tears.)
 * 4. The other way round, the writer's reads of a record come before its `Atomics.store(tail)`, and this side writes those bytes
 *    again only after an `Atomics.load(tail)` that saw it.
 * 5. Wherever a producer is terminated, it has stored head or has not: the ring holds whole records and whole batches either way.
 *    The bytes that it wrote after head do not count.
 *
 * Full is a value: a push that returns false has taken nothing.
 */
export class LaneProducer {
  readonly #i32: Int32Array<SharedArrayBuffer>;
  readonly #u8: Uint8Array<SharedArrayBuffer>;
  readonly #ringBytes: number;
  readonly #text: LaneTextEncoder | undefined;

  #head: number;
  /** Tail as loaded last. It may lag behind the word, never lead it. */
  #tail: number;
  #sequence: number;
  #posted: number;
  /** Where the open reservation's record begins, and how long it may be; -1 = none is open. */
  #reservedAt = -1;
  #reservedBytesMax = 0;

  /** Takes over a lane that `resetLane` prepared. The way in which this thread got the lane orders its words. */
  constructor(views: LaneViews, text?: LaneTextEncoder) {
    this.#i32 = views.i32;
    this.#u8 = views.u8;
    this.#ringBytes = views.ringBytes;
    this.#text = text;
    this.#head = Atomics.load(views.i32, LaneWord.head);
    this.#tail = Atomics.load(views.i32, LaneWord.tail);
    this.#sequence = Atomics.load(views.i32, LaneWord.writtenWanted);
    this.#posted = Atomics.load(views.i32, LaneWord.posted);
  }

  /** Position after the newest record. A message beside the ring carries it: the message follows all records pushed so far. */
  get position(): number {
    return this.#head;
  }

  /** Sequence number of the newest entry that was taken, in the ring or beside it. */
  get sequence(): number {
    return this.#sequence;
  }

  /**
   * Takes a copy of `data`, at most `maxRecordPayload` bytes, if there is room now. `wants`: bits of `Want`. `length`: the length
   * by view-fields.ts, if the caller has it already.
   *
   * The hot path. Its bets: nothing is allocated; the one atomic access is the store of head; tail is loaded only when its copy
   * leaves no room, about once for each lap while the writer keeps up; and the code for a record that fits before the end of the
   * ring is in one piece here, since the engine would not inline all the calls of the other ways to push
   * (bench/workloads/fire-and-forget.ts, time inside accepted calls).
   */
  tryPush(data: Uint8Array, wants: number = Want.nothing, length: number = lengthOf(data)): boolean {
    const bytes = recordBytes(length);
    const head = this.#head;
    const place = head & (this.#ringBytes - 1);
    if (bytes > this.#ringBytes - place) return this.#tryPushWrapped(data, length, wants);
    if (!this.#hasFree(bytes)) return false;
    const at = RING_START + place;
    this.#i32[at >> 2] = length;
    copyIn(data, length, this.#u8, at + RECORD_HEADER_BYTES);
    this.#publish((head + bytes) | 0, 1, wants);
    return true;
  }

  /** As `tryPush` for `text` in UTF-8, encoded in place. At most `maxRecordPayload` bytes of it. */
  tryPushText(text: string, wants: number = Want.nothing): boolean {
    const encoder = this.#text;
    if (encoder === undefined) throw new TypeError('this lane was made without a text encoder');
    // A UTF-16 unit takes at most 3 bytes. Measuring the text costs a pass over it, so it is done only if this bound does not
    // fit.
    let bytesMax = text.length * 3;
    let at = this.#claim(recordBytes(bytesMax));
    if (at < 0) {
      bytesMax = encoder.byteLength(text);
      at = this.#claim(recordBytes(bytesMax));
      if (at < 0) return false;
    }
    const length = encoder.write(text, at + RECORD_HEADER_BYTES, bytesMax);
    this.#i32[at >> 2] = length;
    this.#publishRecord(at, length, wants);
    return true;
  }

  /**
   * Takes all `parts` (at least one, each as in `tryPush`) as one atomic batch, or nothing. A batch that has no room in an
   * empty ring is never taken here.
   */
  tryPushBatch(parts: readonly Uint8Array[], wants: number = Want.nothing): boolean {
    if (!this.#hasFree(this.#batchBytes(parts))) return false;
    const marker = this.#byteAt(this.#head);
    this.#i32[marker >> 2] = BATCH;
    this.#i32[(marker >> 2) + 1] = parts.length;
    let position = this.#head + BATCH_MARKER_BYTES;
    for (const part of parts) {
      const length = lengthOf(part);
      const bytes = recordBytes(length);
      const at = this.#place(position, bytes);
      this.#writeRecord(at, part, length);
      position = this.#startOf(position, at) + bytes;
    }
    this.#publish(position | 0, parts.length, wants);
    return true;
  }

  /**
   * Opens a reservation: a record that the caller fills in place. Returns the byte offset, in the lane's memory, of `bytesMax`
   * bytes (at most `maxRecordPayload`), or -1 if there is no room now. `commit` or `abandon` ends it; push nothing else
   * meanwhile.
   */
  reserve(bytesMax: number): number {
    if (this.#reservedAt >= 0) throw new Error('a reservation is open already');
    const at = this.#claim(recordBytes(bytesMax));
    if (at < 0) return -1;
    this.#reservedAt = at;
    this.#reservedBytesMax = bytesMax;
    return at + RECORD_HEADER_BYTES;
  }

  /** Takes the first `length` of the reserved bytes as an entry. */
  commit(length: number, wants: number = Want.nothing): void {
    const at = this.#reservedAt;
    if (at < 0) throw new Error('no reservation is open');
    if (length > this.#reservedBytesMax) throw new RangeError(`${length} bytes in ${this.#reservedBytesMax}`);
    this.#reservedAt = -1;
    this.#i32[at >> 2] = length;
    this.#publishRecord(at, length, wants);
  }

  /** Ends the reservation and takes nothing. */
  abandon(): void {
    this.#reservedAt = -1;
  }

  /**
   * Counts a message that was just posted beside the ring with `entries` entries in it. Call it right after the
   * postMessage: the writer that sees the new count, or any later head, finds the message.
   */
  countPosted(entries: number, wants: number = Want.nothing): void {
    this.#count(entries, wants);
    this.#posted = (this.#posted + 1) | 0;
    Atomics.store(this.#i32, LaneWord.posted, this.#posted);
  }

  /**
   * Counts an entry that is about to be added to a chunk (chunk.ts). Call it right before: a writer that sees the entry then also
   * sees its `wants`. If the entry cannot be added, post it and call [countPosted] without entries.
   */
  countAdded(wants: number): void {
    this.#count(1, wants);
  }

  /** Would an entry of `payloadBytes` be taken now? */
  hasRoom(payloadBytes: number): boolean {
    return this.#hasFree(this.#needed(recordBytes(payloadBytes)));
  }

  /**
   * Asks the writer for a message once an entry of `payloadBytes` has room, or once the ring is empty if the entry needs even
   * more. True = it has room already and nothing was asked. There is one request at a time: a new one replaces the old one.
   *
   * No request is lost, because this side stores the request before it loads tail, and the writer stores tail before it loads the
   * request: in the single order of all atomic accesses one of the two loads comes last and sees the other side's store. The
   * writer may linger while the ring is full, so ring the doorbell urgently afterwards.
   */
  askForRoom(payloadBytes: number): boolean {
    const needed = Math.min(this.#needed(recordBytes(payloadBytes)), this.#ringBytes);
    Atomics.store(this.#i32, LaneWord.roomWanted, needed);
    this.#tail = Atomics.load(this.#i32, LaneWord.tail);
    if (needed > this.#free()) return false;
    // Ordered against nothing: the writer may have answered in between, and one message too many does no harm.
    Atomics.store(this.#i32, LaneWord.roomWanted, 0);
    return true;
  }

  /** Does the writer lag behind by `bytes` or more? Uses the copy of tail first: the lag by the copy is never too small. */
  lagsBy(bytes: number): boolean {
    if (this.#ringBytes - this.#free() < bytes) return false;
    // Ordered against the writer's store of tail; also refreshes the copy that `tryPush` uses.
    this.#tail = Atomics.load(this.#i32, LaneWord.tail);
    return this.#ringBytes - this.#free() >= bytes;
  }

  /**
   * Asks for a flush of everything taken so far and returns its ticket. Ring the doorbell urgently afterwards, then call
   * `waitForFlush`. A writer that sees the ticket sees every head and count that this thread stored before.
   */
  requestFlush(): number {
    const ticket = (Atomics.load(this.#i32, LaneWord.flushRequested) + 1) | 0;
    Atomics.store(this.#i32, LaneWord.flushRequested, ticket);
    return ticket;
  }

  /**
   * Blocks until the flush is done, or for `timeoutMs`, and returns whether it is done. May return false early: the caller
   * repeats it and checks in between that the writer still lives.
   */
  waitForFlush(ticket: number, timeoutMs: number): boolean {
    const done = Atomics.load(this.#i32, LaneWord.flushDone);
    if (((done - ticket) | 0) >= 0) return true;
    // A store between the load and the wait makes the wait's own compare fail: it does not sleep on a stale value.
    Atomics.wait(this.#i32, LaneWord.flushDone, done, timeoutMs);
    return ((Atomics.load(this.#i32, LaneWord.flushDone) - ticket) | 0) >= 0;
  }

  /** The producer's last store. Ordered after all its heads, so that a writer that sees `closing` sees the final head. */
  close(): void {
    Atomics.store(this.#i32, LaneWord.state, LaneState.closing);
  }

  /** As [tryPush], for a record that has to begin at the ring's start. */
  #tryPushWrapped(data: Uint8Array, length: number, wants: number): boolean {
    const at = this.#claim(recordBytes(length));
    if (at < 0) return false;
    this.#writeRecord(at, data, length);
    this.#publishRecord(at, length, wants);
    return true;
  }

  /** Makes room for a record of `bytes` at head, with WRAP before it if needed: returns its byte offset, -1 = no room. */
  #claim(bytes: number): number {
    return this.#hasFree(this.#needed(bytes)) ? this.#place(this.#head, bytes) : -1;
  }

  /** Bytes that a record of `bytes` takes at head, the rest of the ring included if it has to begin at the start. */
  #needed(bytes: number): number {
    const rest = this.#restAt(this.#head);
    return bytes <= rest ? bytes : rest + bytes;
  }

  #batchBytes(parts: readonly Uint8Array[]): number {
    const head = this.#head;
    let needed = BATCH_MARKER_BYTES;
    for (const part of parts) {
      const bytes = recordBytes(lengthOf(part));
      const rest = this.#restAt(head + needed);
      needed += bytes <= rest ? bytes : rest + bytes;
      // Past the size of the ring the sum would soon exceed what int32 arithmetic on positions can represent.
      if (needed > this.#ringBytes) break;
    }
    return needed;
  }

  #hasFree(bytes: number): boolean {
    if (bytes <= this.#free()) return true;
    // Ordered against the writer's store of tail: the writer has finished reading the bytes that this frees.
    this.#tail = Atomics.load(this.#i32, LaneWord.tail);
    return bytes <= this.#free();
  }

  #free(): number {
    return this.#ringBytes - ((this.#head - this.#tail) | 0);
  }

  /** Byte offset of a record of `bytes` after `position`. Writes WRAP if it has to begin at the ring's start. */
  #place(position: number, bytes: number): number {
    const at = this.#byteAt(position);
    if (bytes <= this.#restAt(position)) return at;
    this.#i32[at >> 2] = WRAP;
    return RING_START;
  }

  #writeRecord(at: number, data: Uint8Array, length: number): void {
    this.#i32[at >> 2] = length;
    copyIn(data, length, this.#u8, at + RECORD_HEADER_BYTES);
  }

  #publishRecord(at: number, length: number, wants: number): void {
    this.#publish((this.#startOf(this.#head, at) + recordBytes(length)) | 0, 1, wants);
  }

  /** The one store that publishes everything up to position `end`. */
  #publish(end: number, entries: number, wants: number): void {
    this.#count(entries, wants);
    this.#head = end;
    Atomics.store(this.#i32, LaneWord.head, end);
  }

  #count(entries: number, wants: number): void {
    const sequence = (this.#sequence + entries) | 0;
    this.#sequence = sequence;
    if (wants === Want.nothing) return;
    if ((wants & Want.written) !== 0) this.#want(LaneWord.writtenWanted, sequence);
    if ((wants & Want.durable) !== 0) this.#want(LaneWord.durableWanted, sequence);
    if ((wants & Want.commit) !== 0) this.#want(LaneWord.commitWanted, sequence);
  }

  /** The word must change, or the writer does not notice the request: layout.ts. */
  #want(word: number, sequence: number): void {
    this.#i32[word] = this.#i32[word] === sequence ? (sequence + 1) | 0 : sequence;
  }

  #byteAt(position: number): number {
    return RING_START + (position & (this.#ringBytes - 1));
  }

  /** The first position from `position` on whose byte is `at`. */
  #startOf(position: number, at: number): number {
    return position + ((at - RING_START - position) & (this.#ringBytes - 1));
  }

  /** Bytes from `position` to the end of the ring: 8 or more, since both are multiples of 8. */
  #restAt(position: number): number {
    return this.#ringBytes - (position & (this.#ringBytes - 1));
  }
}
