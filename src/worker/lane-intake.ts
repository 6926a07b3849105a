import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import type { LaneFigures } from '../format/stats-file.js';
import { TakenChunk } from '../ring/chunk.js';
import { LaneConsumer } from '../ring/consumer.js';
import type { Kernel } from '../ring/kernel/kernel.js';
import { type LaneViews, PACKED_BYTES } from '../ring/layout.js';
import { type PolledRun, RunTeller } from '../ring/polled-runs.js';
import { countEntries, endOfWholeRecords } from '../ring/records.js';
import type { LaneRuns, ToLane, ToWriter } from './messages.js';

/** How far a producer had got at some look: modulo 2^32, good for as long as fewer than 2^31 bytes are drained. */
export interface LaneMark {
  readonly head: number;
  readonly posted: number;
}

/** An entry or batch that travels beside the ring and is written by itself. */
export type Beside = Extract<ToWriter, { kind: 'entry' | 'batch' }>;

const ENTRY_KINDS: readonly ToWriter['kind'][] = ['entry', 'batch', 'chunk', 'records'];

/** A message and, if it brings records, how far they are dealt with. */
interface Received {
  readonly message: ToWriter;
  readonly chunk: TakenChunk | undefined;
}

/** What is no entry. */
export type Wish = Exclude<ToWriter, { kind: 'entry' | 'batch' | 'chunk' | 'records' }>;

export function isWish(message: ToWriter): message is Wish {
  return !ENTRY_KINDS.includes(message.kind);
}

/**
 * The writer's end of one lane: what came by the ring and beside it, in the producer's call order, and who waits for
 * which of it.
 *
 * Order. Ring records come in ring order; a message beside the ring names the position that it stands at, and the ring
 * is drained just up to there. That is safe because a producer posts the message, counts it in `posted`, and only then
 * publishes later records: whoever sees a record has received every message before it.
 *
 * Entries are numbered from 1 in call order (`sequence` of the lane). The lane's words hold those numbers modulo 2^32;
 * here they are exact.
 */
export class LaneIntake {
  readonly index: number;
  readonly views: LaneViews;
  readonly kernel: Kernel;
  readonly #consumer: LaneConsumer;
  readonly #teller: RunTeller;
  readonly #port: MessagePort;
  /** Received, from slot `#firstMessage` on not yet taken; messages keep their place relative to the ring. */
  #messages: Received[] = [];
  #firstMessage = 0;
  /** The newest message, as long as records may be added to it. */
  #openChunk: TakenChunk | undefined;
  /** Where the run that [nextRun] answered last comes from; `undefined`: the ring. */
  #runOf: TakenChunk | undefined;

  /** Sequence number of the next entry to write. */
  next = 1;
  /** As `next`, behind the last entry of a finished batch. */
  nextWhole = 1;
  /** Newest sequence number that waits until it is written, until it is durable, that asks for a sync at once. */
  readonly #writtenWanted = new WidenedWish();
  readonly #durableWanted = new WidenedWish();
  readonly #commitWanted = new WidenedWish();
  /** Entries below it are covered by a sync that was started. */
  syncStarted = 1;
  /** Written and not yet in a sync that was started, as far as somebody may wait for them. */
  #durableRuns: LaneRuns = [];
  /** The newest flush that is not answered, and the newest that [takeFlush] has handed out. */
  #flushTicket: number | undefined;
  #flushTaken: number | undefined;
  /** Nothing that the producer publishes from now on counts. */
  #isFrozen = false;
  /** Its producer has said its last word, or is gone: the lane is freed once all of it is durable. */
  isLeaving = false;

  constructor(index: number, views: LaneViews, kernel: Kernel, port: MessagePort) {
    this.index = index;
    this.views = views;
    this.kernel = kernel;
    this.#consumer = new LaneConsumer(views);
    this.#teller = new RunTeller(views);
    this.#port = port;
  }

  /** Takes note of all that the producer has published until now. */
  look(): void {
    const consumer = this.#consumer;
    // Before the head, which then covers everything that was taken before the ticket.
    this.#flushTicket = consumer.flushTicket();
    if (this.#isFrozen) return;
    consumer.loadHead();
    const received = this.#messages.length - this.#firstMessage;
    // Loaded behind `posted`: a chunk that another message stands behind is known whole.
    this.#loadOpenChunk();
    for (let waiting = consumer.postedWaiting - received; waiting > 0; waiting--) this.#receive();
    this.#noteWishes();
  }

  /** Behind all that was loaded: whose entry is known his wish is. */
  #noteWishes(): void {
    const consumer = this.#consumer;
    this.#writtenWanted.note(consumer.writtenWanted, this.next);
    this.#durableWanted.note(consumer.durableWanted, this.next);
    this.#commitWanted.note(consumer.commitWanted, this.next);
  }

  /**
   * Looks for the last time: what is published later is never taken, and the producer learns what was. The cut is between
   * two entries of its order: of the messages those go that stand behind records which this look did not see.
   */
  freeze(): void {
    if (this.#isFrozen) return;
    this.look();
    this.#isFrozen = true;
    this.#openChunk?.freeze();
    this.#openChunk = undefined;
    this.#noteWishes();
    const { head } = this.#consumer;
    this.#messages = this.#messages
      .slice(this.#firstMessage)
      .filter(({ message }) => ((message.position - head) | 0) <= 0);
    this.#firstMessage = 0;
  }

  /** Where the producer was at the last [look]. */
  get mark(): LaneMark {
    return { head: this.#consumer.head, posted: this.#consumer.posted };
  }

  /** Everything before `mark` is taken. */
  hasPassed(mark: LaneMark): boolean {
    const { position, taken } = this.#consumer;
    return this.#isFrozen
      ? this.isDrained
      : ((position - mark.head) | 0) >= 0 && ((taken - mark.posted) | 0) >= 0;
  }

  /** Looks, and tells whether anything is published and not taken. */
  hasWork(): boolean {
    this.look();
    const isEmpty = this.#consumer.loadedBytes === 0 && this.#messages.length === this.#firstMessage;
    return !isEmpty || this.#flushTicket !== this.#flushTaken;
  }

  /**
   * Nothing more can be taken of what the last [look] saw. A message may be left: head is loaded before `posted`, so that
   * its place may be behind records that only the next look will see.
   */
  get isDrained(): boolean {
    return this.#consumer.loadedBytes === 0 && this.dueMessage() === undefined;
  }

  /** How full the lane is now, for the figures that other processes see. */
  get figures(): LaneFigures {
    return {
      index: this.index,
      ringBytes: this.views.ringBytes,
      ...this.#consumer.figures(),
      entries: this.nextWhole - 1,
    };
  }

  /** The message whose turn it is: every ring record before it is drained, and it has something that the last [look] saw. */
  dueMessage(): ToWriter | undefined {
    return this.#due()?.message;
  }

  #due(): Received | undefined {
    const first = this.#messages[this.#firstMessage];
    if (first === undefined || first.message.position !== this.#consumer.position) return undefined;
    return first.chunk === undefined || first.chunk.loaded.length > 0 ? first : undefined;
  }

  /** The due message is dealt with; its bytes no longer count against the producer's `maxPending`. */
  takeMessage(): void {
    // A slot and no shift: of a long array that would move all the others.
    this.#firstMessage += 1;
    if (this.#firstMessage > this.#messages.length / 2) {
      this.#messages.splice(0, this.#firstMessage);
      this.#firstMessage = 0;
    }
    this.#consumer.takePosted();
  }

  /**
   * The next records: of the due message, if that has some, else of the ring, up to the loaded head or to the message that stands
   * before it. Those of a message are laid behind staging, as many as have room there.
   */
  nextRun(run: { from: number; to: number }): boolean {
    const chunk = this.#due()?.chunk;
    this.#runOf = chunk;
    if (chunk !== undefined) {
      const { i32, u8, packedStart } = this.views;
      const records = chunk.loaded.subarray(0, PACKED_BYTES);
      u8.set(records, packedStart);
      run.from = packedStart;
      run.to = endOfWholeRecords(i32, packedStart, packedStart + records.length);
      return true;
    }
    const limit = this.#messages[this.#firstMessage]?.message.position;
    return limit === undefined ? this.#consumer.nextRun(run) : this.#consumer.nextRun(run, limit);
  }

  /** Frees what stands in front of the byte `to` of the run that [nextRun] answered last. */
  release(to: number): void {
    const chunk = this.#runOf;
    if (chunk === undefined) {
      this.#consumer.release(to);
      if (this.#consumer.takeRoomWish()) this.post({ kind: 'room' });
      return;
    }
    chunk.release(to - this.views.packedStart);
    // Otherwise there is more of it, which this look has seen or the next one will.
    if (!chunk.seal()) return;
    if (chunk === this.#openChunk) this.#openChunk = undefined;
    this.takeMessage();
  }

  /**
   * `count` more entries were written, the last of them with LSN `lastLsn`; `whole`: no batch is unfinished behind them.
   * Between two whole points only this lane is drained, so that its LSNs are consecutive there.
   */
  noteWritten(count: number, lastLsn: number, whole: boolean): void {
    this.next += count;
    if (!whole) return;
    const first = this.nextWhole;
    const entries = this.next - first;
    this.nextWhole = this.next;
    if (this.#durableWanted.newest >= first)
      appendRun(this.#durableRuns, first, entries, lastLsn - entries + 1);
    if (this.#writtenWanted.newest >= first) {
      this.post({ kind: 'written', runs: [first, entries, lastLsn - entries + 1] });
    }
  }

  /** Somebody asked for a sync at once, and some of it is written and in no sync that was started. */
  get wantsCommit(): boolean {
    return this.#commitWanted.newest >= this.syncStarted && this.nextWhole > this.syncStarted;
  }

  /** Since the last sync was started somebody has waited for entries to be written, and no more than that. */
  get wantsWritten(): boolean {
    return this.#writtenWanted.newest >= this.syncStarted;
  }

  /** A sync that covers everything written is about to start: the runs that it acknowledges. */
  startSync(): LaneRuns {
    const runs = this.#durableRuns;
    this.#durableRuns = [];
    this.syncStarted = this.nextWhole;
    return runs;
  }

  /** Drops everything published and not written, and what was written of an unfinished batch; answers the sequence numbers [from, to). */
  discard(): { from: number; to: number } {
    const from = this.nextWhole;
    const run = { from: 0, to: 0 };
    for (;;) {
      while (this.nextRun(run)) {
        this.next += countEntries(this.views.i32, run.from, run.to);
        this.release(run.to);
      }
      const message = this.dueMessage();
      if (message?.kind === 'entry') this.next += 1;
      else if (message?.kind === 'batch') this.next += message.parts.length;
      else break;
      this.takeMessage();
    }
    this.nextWhole = this.next;
    this.syncStarted = Math.max(this.syncStarted, from);
    return { from, to: this.next };
  }

  /** A flush that came since the last call, as of the last [look]. */
  takeFlush(): number | undefined {
    if (this.#flushTicket === this.#flushTaken) return undefined;
    this.#flushTaken = this.#flushTicket;
    return this.#flushTaken;
  }

  /** Answers a flush: wakes the producer that is blocked in it. What it is to find by port was posted before. */
  finishFlush(ticket: number): void {
    this.#consumer.finishFlush(ticket);
  }

  /** Tells of durable entries: `runs`, of which there are some, as [startSync] has answered them. */
  acknowledge(runs: LaneRuns): void {
    const [first, count, lsn] = runs as PolledRun;
    if (runs.length === 3 && this.#teller.tell(first, count, lsn)) return;
    this.post({ kind: 'durable', runs });
  }

  post(message: ToLane, transfer: MessagePort[] = []): void {
    this.#port.postMessage(message, transfer);
  }

  /** The lane is nobody's any more. */
  detach(): void {
    this.#consumer.free();
    this.post({ kind: 'detached' });
    this.#port.close();
  }

  #receive(): void {
    const received = receiveMessageOnPort(this.#port);
    if (received === undefined) throw new Error('a lane has counted a message that is not there');
    const message = received.message as ToWriter;
    const chunk = chunkOf(message);
    this.#messages.push({ message, chunk });
    this.#openChunk = chunk;
    this.#loadOpenChunk();
  }

  #loadOpenChunk(): void {
    if (this.#openChunk?.load() === false) this.#openChunk = undefined;
  }
}

function chunkOf(message: ToWriter): TakenChunk | undefined {
  if (message.kind === 'chunk') return new TakenChunk(message.memory);
  return message.kind === 'records' ? new TakenChunk(message.records) : undefined;
}

/** Appends a run, or lengthens the last one where both sequence and LSN go on. */
function appendRun(runs: LaneRuns, first: number, count: number, lsn: number): void {
  const at = runs.length - 3;
  if (at >= 0) {
    const lastCount = runs[at + 1] as number;
    if ((runs[at] as number) + lastCount === first && (runs[at + 2] as number) + lastCount === lsn) {
      runs[at + 1] = lastCount + count;
      return;
    }
  }
  runs.push(first, count, lsn);
}

/** One of the lane's `…Wanted` words, exact: layout.ts says when the word means something. */
class WidenedWish {
  #word = 0;
  /** Sequence number; 0 = nobody has ever wished. */
  newest = 0;

  /** `next`: the next entry to write, which a new wish is less than 2^31 away from. */
  note(word: number, next: number): void {
    if (word === this.#word) return;
    this.#word = word;
    this.newest = next + ((word - next) | 0);
  }
}
