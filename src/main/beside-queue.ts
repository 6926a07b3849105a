import type { MessagePort } from 'node:worker_threads';
import { LaneWord, PACKED_PAYLOAD_MAX } from '../ring/layout.js';
import type { LaneProducer } from '../ring/producer.js';
import type { ToWriter } from '../worker/messages.js';
import { copyBytes, type EntryData, viewBytes } from './entry-data.js';
import { PackedRecords } from './packed-records.js';

type Unplaced<T> = T extends unknown ? Omit<T, 'position'> : never;

interface Load {
  /** Payload bytes of its entries. */
  readonly bytes?: number;
  readonly entries?: number;
  /** Bits of `Want`. */
  readonly wants?: number;
  /** The ring was full: whatever comes next must not use it before this was taken. */
  readonly queued?: boolean;
  readonly transfer?: (ArrayBuffer | MessagePort)[];
}

/**
 * So many messages are posted at once each. Behind them small entries share one, until the end of the turn or until it is full:
 * the writer has enough to do till then. Bet: a producer that has overrun the ring comes back to it (bench/workloads/overrun.ts),
 * since to post and to take a message costs many times an entry.
 */
const SINGLE_MESSAGES_MAX = 16;
/** What an entry counts at least against `maxPending`: the record of an empty one takes memory, too. */
const CHARGED_BYTES_MIN = 16;

/**
 * What goes to the writer beside the ring: entries too large for it, entries queued in front of a full one, requests.
 *
 * "Queued" means posted and not yet taken, so that it reaches the writer though this thread be blocked. But for a pack of small entries that
 * stands behind many messages: it is posted with the next message, and at the latest when the turn of the event loop or a
 * flush begins to wait. The bytes on the way are bounded by `maxPending`, except that one is always admitted when nothing is
 * on the way.
 */
export class BesideQueue {
  readonly #port: MessagePort;
  readonly #i32: Int32Array;
  readonly #producer: LaneProducer;
  readonly #maxPending: number;
  readonly #onLatePost: () => void;
  /** Charged bytes, and entries, of the messages on the way, oldest first, from slot `#first`. */
  #charges: number[] = [];
  #entries: number[] = [];
  /** 1 for each message that asks for a lane. */
  #lanes: number[] = [];
  #first = 0;
  /** Charged, the pack's included. */
  #bytes = 0;
  /** Messages that the writer has taken, as last read (modulo 2^32). */
  #taken = 0;
  /** How many of those on the way must be taken before the ring may be used again; 0 = it may. */
  #queued = 0;
  #pack: PackedRecords | undefined;
  #packCharge = 0;
  #packWants = 0;

  /** `onLatePost`: something was posted that the call which brought it has not rung for. */
  constructor(
    port: MessagePort,
    i32: Int32Array,
    producer: LaneProducer,
    maxPending: number,
    onLatePost: () => void,
  ) {
    this.#port = port;
    this.#i32 = i32;
    this.#producer = producer;
    this.#maxPending = maxPending;
    this.#onLatePost = onLatePost;
  }

  /** Bytes on the way, as they count against `maxPending`. */
  get bytes(): number {
    this.#notice();
    return this.#bytes;
  }

  /** Entries on the way. */
  get entries(): number {
    this.#notice();
    return this.#entries.slice(this.#first).reduce((sum, each) => sum + each, this.#packed);
  }

  /** Lanes that were asked for and not made yet. */
  get lanes(): number {
    this.#notice();
    return this.#lanes.slice(this.#first).reduce((sum, each) => sum + each, 0);
  }

  /** Is an entry on the way that found the ring full? Nothing may overtake it. */
  get isQueued(): boolean {
    if (this.#packed > 0) return true;
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
    this.flush();
    const { entries = 0, bytes = 0 } = load;
    const charge = chargeOf(bytes, entries);
    this.#bytes += charge;
    this.#send(message, charge, load);
  }

  /** An entry that found the ring full. `bytes`: its length, in UTF-8 where it is text. */
  queue(data: EntryData, bytes: number, wants: number): void {
    if (bytes > PACKED_PAYLOAD_MAX) {
      const copy = copyBytes(typeof data === 'string' ? data : viewBytes(data));
      const load = { bytes, entries: 1, wants, queued: true, transfer: [copy.buffer] };
      this.post({ kind: 'entry', data: copy }, load);
      return;
    }
    this.#pack ??= new PackedRecords();
    if (!this.#pack.hasRoom(bytes)) this.flush();
    this.#pack.add(data, bytes);
    const charge = chargeOf(bytes, 1);
    this.#bytes += charge;
    this.#packCharge += charge;
    this.#packWants |= wants;
    if (this.#charges.length - this.#first < SINGLE_MESSAGES_MAX) this.flush();
    else if (this.#packed === 1) queueMicrotask(() => this.#flushLate());
  }

  /** Posts what waits to be posted. */
  flush(): void {
    const pack = this.#pack;
    if (pack === undefined || pack.entries === 0) return;
    const { entries } = pack;
    const records = pack.take();
    const load = { entries, wants: this.#packWants, queued: true, transfer: [records.buffer] };
    const charge = this.#packCharge;
    this.#packCharge = 0;
    this.#packWants = 0;
    this.#send({ kind: 'records', records, entries }, charge, load);
  }

  /** Nobody takes anything any more, and the lane's memory may be another's: what waits to be posted never is. */
  drop(): void {
    this.#pack?.clear();
  }

  get #packed(): number {
    return this.#pack === undefined ? 0 : this.#pack.entries;
  }

  #flushLate(): void {
    if (this.#packed === 0) return;
    this.flush();
    this.#onLatePost();
  }

  #send(message: Unplaced<ToWriter>, charge: number, load: Load): void {
    const { entries = 0, wants = 0, queued = false, transfer = [] } = load;
    this.#port.postMessage({ ...message, position: this.#producer.position }, transfer);
    this.#producer.countPosted(entries, wants);
    this.#charges.push(charge);
    this.#entries.push(entries);
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
