import type { MessagePort } from 'node:worker_threads';
import { LaneWord } from '../ring/layout.js';
import type { LaneProducer } from '../ring/producer.js';
import type { ToWriter } from '../worker/messages.js';

type Unplaced<T> = T extends unknown ? Omit<T, 'position'> : never;

/**
 * What goes to the writer beside the ring: entries too large for it, entries queued in front of a full one, requests.
 *
 * Everything is posted at once, so that it reaches the writer though this thread be blocked or about to exit; "queued"
 * means posted and not yet taken. The bytes on the way are bounded by `maxPending`, except that one is always admitted
 * when nothing is on the way.
 */
export class BesideQueue {
  readonly #port: MessagePort;
  readonly #i32: Int32Array;
  readonly #producer: LaneProducer;
  readonly #maxPending: number;
  /** Payload bytes, and entries, of the messages on the way, oldest first, from slot `#first`. */
  #sizes: number[] = [];
  #entries: number[] = [];
  /** 1 for each message that asks for a lane. */
  #lanes: number[] = [];
  #first = 0;
  #bytes = 0;
  /** Messages that the writer has taken, as last read (modulo 2^32). */
  #taken = 0;
  /** How many of those on the way must be taken before the ring may be used again; 0 = it may. */
  #queued = 0;

  constructor(port: MessagePort, i32: Int32Array, producer: LaneProducer, maxPending: number) {
    this.#port = port;
    this.#i32 = i32;
    this.#producer = producer;
    this.#maxPending = maxPending;
  }

  /** Bytes on the way. */
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

  /** May `bytes` more be on the way? */
  admits(bytes: number): boolean {
    this.#notice();
    return this.#bytes === 0 || this.#bytes + bytes <= this.#maxPending;
  }

  /**
   * Posts a message; `entries` of them count as accepted. `queued`: the ring was full, so whatever comes next must not
   * use it before this one was taken.
   */
  post(
    message: Unplaced<ToWriter>,
    options: {
      bytes?: number;
      entries?: number;
      wants?: number;
      queued?: boolean;
      transfer?: (ArrayBuffer | MessagePort)[];
    } = {},
  ): void {
    const { bytes = 0, entries = 0, wants = 0, queued = false, transfer = [] } = options;
    this.#port.postMessage({ ...message, position: this.#producer.position }, transfer);
    this.#producer.countPosted(entries, wants);
    this.#sizes.push(bytes);
    this.#entries.push(entries);
    this.#lanes.push(message.kind === 'attach' ? 1 : 0);
    this.#bytes += bytes;
    if (queued) this.#queued = this.#sizes.length - this.#first;
  }

  #notice(): void {
    // Ordered after the writer's last look at what it took: those bytes are its own now.
    const taken = Atomics.load(this.#i32, LaneWord.taken);
    let news = (taken - this.#taken) | 0;
    this.#taken = taken;
    this.#queued = Math.max(0, this.#queued - news);
    for (; news > 0; news--) this.#bytes -= this.#sizes[this.#first++] as number;
    // Bet: few are on the way at a time, so that moving the rest now and then costs less than nodes.
    if (this.#first < this.#sizes.length && this.#first < 1024) return;
    this.#sizes.splice(0, this.#first);
    this.#entries.splice(0, this.#first);
    this.#lanes.splice(0, this.#first);
    this.#first = 0;
  }
}
