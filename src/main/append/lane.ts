import { Buffer } from 'node:buffer';
import type { AnyCommand, CommandResult } from '../../protocol/lane-messages.js';
import type { Doorbell } from '../../ring/doorbell.js';
import { ringUsed } from '../../ring/layout.js';
import { LaneProducer, Want } from '../../ring/producer.js';
import { WalError } from '../errors/wal-error.js';
import type { AppendOptions } from '../options/append-options.js';
import { AckReceiver } from './ack-receiver.js';
import { defaultWish, type Wish, wishOf } from './append-wants.js';
import { Appender } from './appender.js';
import { BlockingFlush } from './blocking-flush.js';
import type { CheckpointRequests } from './checkpoint-requests.js';
import { batchBytes, type Encode, type EntryData } from './entry-data.js';
import { notReplicatedYet, threadDied } from './lane-errors.js';
import { LaneInbox } from './lane-inbox.js';
import { type Closing, LaneLife } from './lane-life.js';
import type { LaneParts } from './lane-parts.js';
import { type LaneStats, LaneTallies } from './lane-tallies.js';
import { OtherLanes } from './other-lanes.js';
import { OverflowQueue } from './overflow-queue.js';
import { ProcessHold } from './process-hold.js';
import { ReplicatedAppends } from './replicated-appends.js';
import { RoomWaiters } from './room-waiters.js';
import { Settlement } from './settlement.js';
import { countUntaken } from './untaken-entries.js';
import { WaitingPromises } from './waiting-promises.js';
import { WriterRequests } from './writer-requests.js';

/**
 * The producer's end of one lane: every call of a thread that appends arrives here, and every message of the log's threads to it.
 *
 *   append ──▶ Appender ──▶ ring | OverflowQueue ──▶ writer thread, sync thread
 *   promises ◀── AckReceiver ◀── ports, slot ◀──────────────┘
 */
export class Lane {
  /** The log's. */
  readonly directory: string;
  readonly maxEntrySize: number;
  /** A quarter of the ring: with so much room, a producer that resumes after a full ring does not fill it again at once. */
  readonly roomyBytes: number;
  /** Lanes for other threads. */
  readonly otherLanes: OtherLanes;
  readonly #parts: LaneParts;
  readonly #defaultWish: Wish;
  readonly #doorbell: Doorbell;
  readonly #life: LaneLife;
  readonly #overflow: OverflowQueue;
  readonly #tallies: LaneTallies;
  readonly #appender: Appender;
  readonly #acks: AckReceiver;
  readonly #room: RoomWaiters;
  readonly #requests: WriterRequests;
  readonly #flush: BlockingFlush;
  readonly #settlement: Settlement;
  readonly #hold: ProcessHold;
  /** Only of a log with a replica. */
  readonly replicated: ReplicatedAppends | undefined;
  /** Each append is made durable before it returns: the process is exiting. */
  #flushEach = false;

  constructor(parts: LaneParts) {
    const { directory, views, options, doorbell } = parts;
    const bytes = Buffer.from(views.u8.buffer);
    const life = new LaneLife(directory);
    const producer = new LaneProducer(views, {
      byteLength: (text) => Buffer.byteLength(text),
      write: (text, offset, bytesMax) => bytes.write(text, offset, bytesMax, 'utf8'),
    });
    const overflow = new OverflowQueue(parts.writerPort, views.i32, producer, options.maxPending);
    const tallies = new LaneTallies(views, parts.status, life);
    const appender = new Appender({ directory, views, bytes, options, producer, overflow, life, tallies });
    const pending = () => this.#unsettled + this.#requests.size + this.#room.size;
    this.#hold = new ProcessHold(pending, parts.hold);
    const promises = new WaitingPromises(life, () => this.#hold.update());
    this.directory = directory;
    this.maxEntrySize = options.maxEntrySize;
    this.roomyBytes = appender.plainMax;
    this.#parts = parts;
    this.#defaultWish = defaultWish(options);
    this.#doorbell = doorbell;
    this.#life = life;
    this.#overflow = overflow;
    this.#tallies = tallies;
    this.#appender = appender;
    this.#room = new RoomWaiters({ appender, producer, overflow, doorbell, tallies, promises });
    this.#requests = new WriterRequests({ appender, overflow, doorbell, promises, directory });
    this.otherLanes = new OtherLanes(parts, life, overflow);
    this.#flush = new BlockingFlush(parts, producer, life, {
      drain: () => this.drainPorts(),
      die: () => this.die(),
    });
    this.#acks = new AckReceiver(parts, {
      onMessage: (message) => inbox.receive(message),
      onReceived: () => this.#hold.updateLater(),
      accepted: () => appender.assertedAccepted(),
    });
    this.replicated = ReplicatedAppends.of(parts, () => this.#hold.update());
    this.#settlement = new Settlement({
      life,
      tallies,
      appender,
      acks: this.#acks,
      requests: this.#requests,
      room: this.#room,
      flush: this.#flush,
      onError: parts.onError,
      onFailure: parts.onFailure,
    });
    const inbox = new LaneInbox({
      life,
      acks: this.#acks,
      requests: this.#requests,
      room: this.#room,
      flush: this.#flush,
      settlement: this.#settlement,
      onLogMessage: parts.onLogMessage,
    });
  }

  /** See `Wal.tryAppend`. */
  tryAppend(data: EntryData): boolean {
    this.#life.assertTaking();
    this.replicated?.assertRoom();
    if (!this.#appender.push(data, Want.nothing)) {
      this.#noticeFull();
      return false;
    }
    if (this.#doorbell.isAsleep) this.#doorbell.ring(this.#appender.lagsFar);
    if (this.#flushEach) this.flushSync();
    return true;
  }

  /** See `Wal.tryEncode`. */
  tryEncode(maxLength: number, encode: Encode): boolean {
    this.#life.assertTaking();
    this.replicated?.assertRoom();
    if (!this.#appender.encode(maxLength, encode)) {
      this.#noticeFull();
      return false;
    }
    if (this.#doorbell.isAsleep) this.#doorbell.ring(this.#appender.lagsFar);
    if (this.#flushEach) this.flushSync();
    return true;
  }

  /**
   * As [tryAppend], but if the ring is full, the entry is queued, up to `maxPending`. False = `maxPending` would be exceeded,
   * nothing was taken.
   */
  tryQueue(data: EntryData): boolean {
    this.#life.assertTaking();
    this.replicated?.assertRoom();
    if (!this.#appender.push(data, Want.nothing) && !this.#appender.tryQueue(data, Want.nothing))
      return false;
    this.#doorbell.ring(true);
    if (this.#flushEach) this.flushSync();
    return true;
  }

  /** See `Wal.append`. */
  append(data: EntryData, options: AppendOptions | undefined): Promise<number> {
    let wish = this.#defaultWish;
    try {
      if (options !== undefined) wish = wishOf(options, this.#parts.options);
      const { wants, expectLsn } = wish;
      this.#life.assertTaking();
      this.replicated?.assertTaking(wish);
      this.#acks.assertRoom(this.replicated?.size);
      if (expectLsn !== undefined) this.#appender.post(data, wants, expectLsn);
      else if (!this.#appender.push(data, wants)) this.#appender.queue(data, wants);
    } catch (error) {
      return Promise.reject(error);
    }
    // Done first, so that the writer wakes up while this thread does the rest. The answer comes in a later turn of the event loop.
    this.#doorbell.ring(true);
    const promise = this.#acks.pendingFor(wish.wants).addEntry(this.#appender.accepted);
    this.#afterAppend(wish.wants);
    return this.replicated?.after(promise, wish, (lsn) => lsn) ?? promise;
  }

  /** See `Wal.appendBatch`. */
  appendBatch(
    entries: readonly EntryData[],
    options: AppendOptions | undefined,
  ): Promise<{ first: number; last: number }> {
    let wish = this.#defaultWish;
    let parts: readonly Uint8Array[];
    try {
      if (options !== undefined) wish = wishOf(options, this.#parts.options);
      const { wants, expectLsn } = wish;
      this.#life.assertTaking();
      this.replicated?.assertTaking(wish);
      parts = batchBytes(entries);
      // The caller's code that ran meanwhile may have closed the lane.
      this.#life.assertTaking();
      if (parts.length === 0) return this.#appendNothing(expectLsn);
      this.#acks.assertRoom(this.replicated?.size);
      if (expectLsn === undefined) this.#appender.pushBatch(parts, wants);
      else this.#appender.postBatch(parts, wants, expectLsn);
    } catch (error) {
      return Promise.reject(error);
    }
    this.#doorbell.ring(true);
    const first = this.#appender.accepted - parts.length + 1;
    const promise = this.#acks.pendingFor(wish.wants).addBatch(first, parts.length);
    this.#afterAppend(wish.wants);
    return this.replicated?.after(promise, wish, ({ last }) => last) ?? promise;
  }

  /** The place where a batch of no entries stands in the lane's order. */
  async #appendNothing(expectLsn: number | undefined): Promise<{ first: number; last: number }> {
    const first = await this.#requests.nextLsn(expectLsn);
    return { first, last: first - 1 };
  }

  /** See `Wal.ready`. */
  ready(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    return this.#room.wait(bytes, signal);
  }

  /** See `Wal.sync`. */
  sync(signal: AbortSignal | undefined): Promise<number> {
    return this.#requests.sync(signal);
  }

  /** Makes the writer execute a command on the whole log, after everything that was accepted before. */
  command(command: AnyCommand): Promise<CommandResult | undefined> {
    return this.#requests.command(command);
  }

  /** Changes of named checkpoints. The writer makes many of them durable at once. */
  get checkpoints(): CheckpointRequests {
    return this.#requests.checkpoints;
  }

  /** See `Wal.flushSync`. */
  flushSync(timeoutMs: number = Number.POSITIVE_INFINITY): void {
    this.#life.assertTaking();
    this.#flush.run(timeoutMs);
    this.#life.assertTaking();
  }

  /** Waits until everything accepted is durable, also while the log is being closed. */
  flushAtExit(): void {
    this.drainPorts();
    if (!this.#life.isOver) this.#flush.runAtExit(this.#tallies);
  }

  /** From now on each append flushes before it returns. */
  flushEachAppend(): void {
    this.#flushEach = true;
  }

  /** Takes no new append. Asks the writer to complete the accepted ones and then to close the log, or to release this lane. */
  startClosing(what: Closing): void {
    this.#life.startClosing(what);
    // The lane's memory may get another producer once the writer has released the lane.
    this.#acks.stopPolling();
    this.#requests.checkpoints.postWaiting();
    this.#overflow.post({ kind: what });
    this.#doorbell.ring(true);
  }

  /** Everything is settled, and nothing more is taken. */
  get isOver(): boolean {
    return this.#life.isOver;
  }

  /** The failure that ended the log, if one did. */
  get failure(): WalError | undefined {
    return this.#life.failure?.();
  }

  /** A thread of the log has ended without a request: everything unsettled rejects. */
  die(cause?: unknown): void {
    this.drainPorts();
    if (this.#life.failure !== undefined) return;
    if (!this.#life.fail(() => threadDied(this.directory, cause))) return;
    const untaken = countUntaken(this.#parts.views, this.#overflow);
    this.#settlement.settleAll(this.#appender.accepted - untaken + 1);
    this.#hold.update();
  }

  /** Nothing more will arrive: settles all pending promises and closes the ports. */
  detach(): void {
    this.drainPorts();
    if (this.#life.close()) this.#settlement.settleAll(this.#appender.accepted + 1);
    this.replicated?.rejectAll(notReplicatedYet(this.directory));
    this.#hold.update();
    this.letGo();
  }

  /** Closes the ports. Settles nothing: pending promises stay pending for ever. */
  letGo(): void {
    this.#acks.close();
    this.replicated?.close();
    this.#life.detach();
  }

  /** A log stream of this lane has dropped a line. */
  noteDroppedLine(): void {
    this.#tallies.add('dropped');
  }

  stats(): LaneStats {
    const { views } = this.#parts;
    const { isDetached } = this.#life;
    const { lost, ...others } = this.#tallies.stats;
    return {
      accepted: this.#appender.accepted,
      lost,
      ringBytes: views.ringBytes,
      ringUsed: isDetached ? 0 : ringUsed(views.i32),
      pendingBytes: isDetached ? 0 : this.#overflow.bytes,
      unsettled: this.#unsettled,
      ...others,
    };
  }

  get #unsettled(): number {
    return this.#acks.unsettled + (this.replicated?.size ?? 0);
  }

  /** Takes in everything that was sent to this lane, without waiting for the event loop. */
  drainPorts(): void {
    this.#acks.drain();
  }

  /** The writer may linger although the ring is full, or may have ended. A caller that found no room has the time to check that. */
  #noticeFull(): void {
    this.#doorbell.ring(true);
    if (this.#doorbell.failed || this.#doorbell.closing) this.drainPorts();
    if (this.#doorbell.dead && !this.#life.isOver) this.die();
    this.#life.assertTaking();
    this.#tallies.add('refused');
  }

  #afterAppend(wants: number): void {
    this.#hold.update();
    if ((wants & Want.commit) !== 0) this.#acks.startPolling();
    if (!this.#flushEach) return;
    try {
      this.flushSync();
    } catch (error) {
      // The process is exiting. The promise reports the failure, although no code may be left to receive it.
      if (!(error instanceof WalError)) throw error;
    }
  }
}
