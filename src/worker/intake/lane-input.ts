import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import type { Expectation, ToWriter } from '../../protocol/lane-messages.js';
import { TakenChunk } from '../../ring/chunk.js';
import type { LaneConsumer } from '../../ring/consumer.js';
import { type LaneViews, PACKED_BYTES } from '../../ring/layout.js';
import { countEntries, endOfWholeRecords } from '../../ring/records.js';

/** How far a producer had got when a look was taken: modulo 2^32, valid as long as fewer than 2^31 bytes are drained. */
export interface LaneMark {
  readonly head: number;
  readonly posted: number;
}

/** A message with entries. */
type EntryMessage = Extract<ToWriter, { kind: 'records' | 'parts' }>;

/** A message with a request and no entry. */
export type LaneRequest = Exclude<ToWriter, EntryMessage>;

/** A message beside the ring that was received and is not finished. */
interface Received {
  readonly message: ToWriter;
  /** For a message with records: how far they are taken. */
  readonly chunk: TakenChunk | undefined;
  /** For a message with parts: how many of them are written. */
  partsTaken: number;
  /** A part of it is taken: its expectation was met. */
  hasBegun: boolean;
}

/**
 * The input of one lane, in the order of the producer's calls.
 *
 * Ring records come in ring order. A message beside the ring names its position in the ring, and the ring is drained exactly up
 * to there. That is safe because a producer posts the message, counts it in `posted`, and only then publishes later records: a
 * thread that sees a record has received every message before it.
 */
export class LaneInput {
  readonly #views: LaneViews;
  readonly #consumer: LaneConsumer;
  readonly #port: MessagePort;
  /** Received messages; those from index `#firstMessage` on are not finished. A message keeps its place relative to the ring. */
  #messages: Received[] = [];
  #firstMessage = 0;
  /** The newest message, as long as the producer may add records to it. */
  #openChunk: TakenChunk | undefined;
  /** The source of the run that [nextRun] returned last; `undefined`: the ring. */
  #runOf: TakenChunk | undefined;
  /** The newest flush that is not answered, and the newest that [takeFlush] has returned. */
  #flushTicket: number | undefined;
  #flushTaken: number | undefined;
  /** Nothing that the producer publishes from now on is taken. */
  #isFrozen = false;

  constructor(views: LaneViews, consumer: LaneConsumer, port: MessagePort) {
    this.#views = views;
    this.#consumer = consumer;
    this.#port = port;
  }

  /** Notes everything that the producer has published until now; false = the lane is frozen, and only flushes count. */
  look(): boolean {
    const consumer = this.#consumer;
    // Before the head is loaded: the head then covers everything that was pushed before the ticket.
    this.#flushTicket = consumer.flushTicket();
    if (this.#isFrozen) return false;
    consumer.loadHead();
    const received = this.#messages.length - this.#firstMessage;
    // Loaded after `posted`: a chunk that another message follows is then known to be complete.
    this.#loadOpenChunk();
    for (let waiting = consumer.postedWaiting - received; waiting > 0; waiting--) this.#receive();
    return true;
  }

  /** Looks for the last time. Drops messages that follow records which this look did not see. False = it was frozen already. */
  freeze(): boolean {
    if (!this.look()) return false;
    this.#isFrozen = true;
    this.#openChunk?.freeze();
    this.#openChunk = undefined;
    const { head } = this.#consumer;
    this.#messages = this.#messages
      .slice(this.#firstMessage)
      .filter(({ message }) => ((message.position - head) | 0) <= 0);
    this.#firstMessage = 0;
    return true;
  }

  /** The producer's position at the last [look]. */
  get mark(): LaneMark {
    return { head: this.#consumer.head, posted: this.#consumer.posted };
  }

  /** Is everything before `mark` taken? */
  hasPassed(mark: LaneMark): boolean {
    const { position, taken } = this.#consumer;
    return this.#isFrozen
      ? this.isDrained
      : ((position - mark.head) | 0) >= 0 && ((taken - mark.posted) | 0) >= 0;
  }

  /** Has the producer, as of the last [look], published anything that is not taken? */
  get hasWork(): boolean {
    const isEmpty = this.#consumer.loadedBytes === 0 && this.#messages.length === this.#firstMessage;
    return !isEmpty || this.#flushTicket !== this.#flushTaken;
  }

  /**
   * Everything that the last [look] saw and that can be taken is taken. A message may be left: head is loaded before `posted`, so
   * the message may follow records that only the next look will see.
   */
  get isDrained(): boolean {
    return this.#consumer.loadedBytes === 0 && this.#due() === undefined;
  }

  /** The request whose turn it is; `undefined`: entries come first, or nothing is there. */
  dueRequest(): LaneRequest | undefined {
    const message = this.#due()?.message;
    return message === undefined || isEntryMessage(message) ? undefined : message;
  }

  /** The due request is finished. */
  takeRequest(): void {
    this.#takeMessage();
  }

  /** The due message's expectation of the log; `undefined`: it has none, or some of the message is taken already. */
  dueExpectation(): Expectation | undefined {
    const due = this.#due();
    if (due === undefined || due.hasBegun || !isEntryMessage(due.message)) return undefined;
    return due.message.expectation;
  }

  /** Drops the due message. None of its entries may have been taken. */
  dropDue(): void {
    if (this.#due()?.chunk === this.#openChunk) this.#openChunk = undefined;
    this.#takeMessage();
  }

  /**
   * The rest of the due message's parts; `undefined`: records come next. If there are several, the first part opens an atomic
   * batch.
   */
  dueParts(): readonly Uint8Array[] | undefined {
    const due = this.#due();
    if (due?.message.kind !== 'parts') return undefined;
    const { parts } = due.message;
    return due.partsTaken === 0 ? parts : parts.slice(due.partsTaken);
  }

  /**
   * The next records: of the due message, if it has some, otherwise of the ring, up to the loaded head or to the next message.
   * Records of a message are first copied to the region after staging, as many as fit there.
   */
  nextRun(run: { from: number; to: number }): boolean {
    const chunk = this.#due()?.chunk;
    this.#runOf = chunk;
    if (chunk !== undefined) {
      const { i32, u8, packedStart } = this.#views;
      const records = chunk.loaded.subarray(0, PACKED_BYTES);
      u8.set(records, packedStart);
      run.from = packedStart;
      run.to = endOfWholeRecords(i32, packedStart, packedStart + records.length);
      return true;
    }
    const limit = this.#messages[this.#firstMessage]?.message.position;
    return limit === undefined ? this.#consumer.nextRun(run) : this.#consumer.nextRun(run, limit);
  }

  /**
   * The next input is finished: `entries` of the due parts, or the bytes before `consumedTo` of the run that [nextRun] returned
   * last.
   */
  release({ consumedTo, entries }: { readonly consumedTo: number; readonly entries: number }): void {
    const due = this.#due();
    if (due?.message.kind === 'parts') {
      due.partsTaken += entries;
      due.hasBegun = true;
      if (due.partsTaken === due.message.parts.length) this.#takeMessage();
      return;
    }
    const chunk = this.#runOf;
    if (chunk === undefined) {
      this.#consumer.release(consumedTo);
      return;
    }
    if (due?.chunk === chunk) due.hasBegun = true;
    chunk.release(consumedTo - this.#views.packedStart);
    // The chunk has more records, which this look has seen or the next one will see.
    if (!chunk.seal()) return;
    if (chunk === this.#openChunk) this.#openChunk = undefined;
    this.#takeMessage();
  }

  /** Drops all entries up to the next request; returns how many. */
  discard(): number {
    let dropped = 0;
    const run = { from: 0, to: 0 };
    for (;;) {
      const parts = this.dueParts();
      if (parts !== undefined) {
        dropped += parts.length;
        this.release({ consumedTo: 0, entries: parts.length });
      } else if (this.nextRun(run)) {
        dropped += countEntries(this.#views.i32, run.from, run.to);
        this.release({ consumedTo: run.to, entries: 0 });
      } else {
        return dropped;
      }
    }
  }

  /** A flush that came since the last call, as of the last [look]. */
  takeFlush(): number | undefined {
    if (this.#flushTicket === this.#flushTaken) return undefined;
    this.#flushTaken = this.#flushTicket;
    return this.#flushTaken;
  }

  /** Answers a flush: wakes the producer that is blocked in it. Post every message that the producer must find before this. */
  finishFlush(ticket: number): void {
    this.#consumer.finishFlush(ticket);
  }

  /** The message whose turn it is: every ring record before it is drained, and the last [look] saw something in it. */
  #due(): Received | undefined {
    const first = this.#messages[this.#firstMessage];
    if (first === undefined || first.message.position !== this.#consumer.position) return undefined;
    return first.chunk === undefined || first.chunk.loaded.length > 0 ? first : undefined;
  }

  /** The due message is finished; its bytes no longer count towards the producer's `maxPending`. */
  #takeMessage(): void {
    // Advances an index instead of shifting the array, which would move all other elements.
    this.#firstMessage += 1;
    if (this.#firstMessage > this.#messages.length / 2) {
      this.#messages.splice(0, this.#firstMessage);
      this.#firstMessage = 0;
    }
    this.#consumer.takePosted();
  }

  #receive(): void {
    const received = receiveMessageOnPort(this.#port);
    if (received === undefined) throw new Error('the lane counted a message that has not arrived');
    const message = received.message as ToWriter;
    const chunk = message.kind === 'records' ? new TakenChunk(message.records) : undefined;
    this.#messages.push({ message, chunk, partsTaken: 0, hasBegun: false });
    this.#openChunk = chunk;
    this.#loadOpenChunk();
  }

  #loadOpenChunk(): void {
    if (this.#openChunk?.load() === false) this.#openChunk = undefined;
  }
}

function isEntryMessage(message: ToWriter): message is EntryMessage {
  return message.kind === 'records' || message.kind === 'parts';
}
