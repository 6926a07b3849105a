import { Buffer } from 'node:buffer';
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { nowMs } from '../../files/node-globals.js';
import type { LogCommand, ToLane } from '../../protocol/lane-messages.js';
import { type AckRun, AckSlotReader } from '../../ring/ack-slot.js';
import { LaneConsumer } from '../../ring/consumer.js';
import type { Doorbell } from '../../ring/doorbell.js';
import {
  BATCH_MARKER_BYTES,
  type LaneViews,
  LaneWord,
  maxRecordPayload,
  recordBytes,
} from '../../ring/layout.js';
import type { LogStatus } from '../../ring/log-status.js';
import { LaneProducer, Want } from '../../ring/producer.js';
import { countEntries } from '../../ring/records.js';
import { lengthOf } from '../../ring/view-fields.js';
import { describeValue } from '../errors/describe-value.js';
import { errorFromFailure, WalError } from '../errors/wal-error.js';
import { type AppendOptions, takeAppendOptions } from '../options/append-options.js';
import { checkSignal } from '../options/checks.js';
import type { LaneOptions } from '../options/wal-options.js';
import { BusyPoll } from './busy-poll.js';
import {
  assertMemory,
  batchBytes,
  byteLengthOf,
  copiesInOne,
  type Encode,
  type EntryData,
  entryBytes,
} from './entry-data.js';
import { OverflowQueue } from './overflow-queue.js';
import { packBatch } from './packed-batch.js';
import { PendingAppends } from './pending-appends.js';

export interface LaneParts {
  /** The log's, for messages. */
  readonly directory: string;
  readonly views: LaneViews;
  readonly doorbell: Doorbell;
  readonly writerPort: MessagePort;
  readonly syncPort: MessagePort;
  readonly status: LogStatus;
  readonly options: LaneOptions;
  /** Do the log's threads live? Asked while this thread is blocked, so that events do not tell. */
  readonly areThreadsAlive: () => boolean;
  /** Keeps the process alive, or lets it go. */
  readonly hold: (isHeld: boolean) => void;
  /** What no promise tells. */
  readonly onError: (error: WalError) => void;
  /** The log has failed, which so many entries of this lane were told of, written but not durable; the others only if `isTold`. */
  readonly onFailure: (failure: () => WalError, toldUnsynced: number, isTold: boolean) => void;
  /** A port has closed, and what came by it was received before: the thread behind it is gone, or `detach` closed it. */
  readonly onPortClosed: () => void;
  /** Word has come from the log's threads: once for a group, not for each entry of many. */
  readonly onReceive: () => void;
  /** Messages that concern the log and not this lane. */
  readonly onLogMessage: (message: ToLane) => void;
}

/** Figures of one lane since it was opened or attached: {@link WalLane.stats}. Sizes in bytes. */
export interface LaneStats {
  /** Entries taken, by the ring or beside it. */
  readonly accepted: number;
  /** Of these, fire-and-forget ones that were taken and then not written (full disk, failure). */
  readonly lost: number;
  /** Bytes of the ring: the option `ringSize`. */
  readonly ringBytes: number;
  /** Bytes of the ring that are in use now. */
  readonly ringUsed: number;
  /** Bytes queued in front of a full ring or travelling beside it. */
  readonly pendingBytes: number;
  /** Append promises that are not settled. */
  readonly unsettled: number;
  /** Times that `tryAppend` or `tryEncode` found no room and took nothing. */
  readonly refused: number;
  /** Appends that found the ring full and were queued in front of it. */
  readonly queued: number;
  /** Calls of `ready` that had to wait. */
  readonly waits: number;
  /** Lines that log streams of this lane dropped. */
  readonly droppedLines: number;
}

/** A share of the ring that lags so far behind that a lingering writer is woken. */
const RING_SHARE_THAT_RINGS = 1 / 4;

const NO_OPTIONS: AppendOptions = Object.freeze({ durable: undefined, commit: undefined });

/** How long a blocked wait goes without asking whether the log's threads still live. */
const LIVENESS_CHECK_MS = 100;

interface PendingSync {
  readonly accepted: number;
  readonly resolve: (watermark: number) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The producer's end of one lane: copies entries into the ring or posts them beside it, and settles the promises by what
 * the writer thread and the sync thread say.
 *
 * An entry's number here (`accepted`, from 1) is its sequence number in the lane, exact; writer and sync thread speak
 * of entries by it.
 */
export class Lane {
  readonly #producer: LaneProducer;
  readonly #overflow: OverflowQueue;
  readonly #doorbell: Doorbell;
  readonly #writerPort: MessagePort;
  readonly #syncPort: MessagePort;
  /** To receive from a port in its own event 'close' is a segmentation fault (Node 20); nothing can be left in it then. */
  readonly #closedPorts = new Set<MessagePort>();
  readonly #parts: LaneParts;
  readonly #options: LaneOptions;
  /** Longest payload of a ring record. */
  readonly #recordMax: number;
  /** Up to this length an entry needs no second look: it may go into the ring. */
  readonly #plainMax: number;
  readonly #ringMark: number;
  /** The lane's memory, to make views of it. */
  readonly #bytes: Buffer;

  readonly #written = new PendingAppends();
  readonly #durable = new PendingAppends();
  readonly #busyPoll: BusyPoll | undefined;
  readonly #syncs = new Map<number, PendingSync>();
  #nextSyncId = 1;
  readonly #commands = new Map<number, { resolve: () => void; reject: (error: unknown) => void }>();
  #nextCommandId = 1;
  #ready: {
    readonly bytes: number;
    readonly resolve: () => void;
    readonly reject: (error: unknown) => void;
  }[] = [];
  /** The writer will say `room` once it has taken what is beside the ring now. */
  #echoAsked = false;

  #accepted = 0;
  #lost = 0;
  #refused = 0;
  #queuedAppends = 0;
  #waits = 0;
  #droppedLines = 0;
  /** Set once nothing more is taken: makes the error that says why. */
  #ended: (() => WalError) | undefined;
  /** Everything is settled; only the reason in `#ended` may still change. */
  #isOver = false;
  #failure: (() => WalError) | undefined;
  #flushError: WalError | undefined;
  /** What was closed. */
  #subject: 'log' | 'lane' = 'log';
  /** The memory is nobody's, or another's by now. */
  #isDetached = false;
  #isHeld = false;
  /** Each append is made durable before it returns: the process is exiting. */
  #flushEach = false;

  constructor(parts: LaneParts) {
    const { views, options } = parts;
    const ring = Buffer.from(views.u8.buffer);
    this.#bytes = ring;
    this.#producer = new LaneProducer(views, {
      byteLength: (text) => Buffer.byteLength(text),
      write: (text, offset, bytesMax) => ring.write(text, offset, bytesMax, 'utf8'),
    });
    this.#parts = parts;
    this.#options = options;
    this.#doorbell = parts.doorbell;
    this.#writerPort = parts.writerPort;
    this.#syncPort = parts.syncPort;
    this.#overflow = new OverflowQueue(parts.writerPort, views.i32, this.#producer, options.maxPending);
    this.#recordMax = maxRecordPayload(views.ringBytes);
    this.#plainMax = Math.min(this.#recordMax, options.maxEntrySize);
    this.#ringMark = views.ringBytes * RING_SHARE_THAT_RINGS;
    if (options.busyPoll) {
      const poller = new AckSlotReader(views);
      this.#busyPoll = new BusyPoll({
        begin: () => poller.start(),
        take: () => this.#takeTold(poller.take()),
        isSettled: () => this.#durable.size === 0,
        end: () => this.#takeTold(poller.stop()),
      });
    }
    for (const port of [this.#writerPort, this.#syncPort]) {
      port.on('message', (message: ToLane) => this.#receive(message));
      port.on('close', () => {
        this.#closedPorts.add(port);
        parts.onPortClosed();
      });
      port.unref();
    }
  }

  /** See `Wal.tryAppend`. */
  tryAppend(data: EntryData): boolean {
    this.#assertTaking();
    if (!this.#push(data, Want.nothing)) {
      this.#noticeFull();
      return false;
    }
    this.#accepted += 1;
    if (this.#doorbell.isAsleep) this.#doorbell.ring(this.#producer.lagsBy(this.#ringMark));
    if (this.#flushEach) this.flushSync();
    return true;
  }

  /** See `Wal.tryEncode`. */
  tryEncode(maxLength: number, encode: Encode): boolean {
    this.#assertTaking();
    if (!Number.isSafeInteger(maxLength) || maxLength < 0) {
      throw new WalError(
        'ERR_WAL_OPTION',
        `maxLength must be an integer from 0, not ${describeValue(maxLength)}.`,
      );
    }
    if (typeof encode !== 'function') {
      throw new WalError('ERR_WAL_OPTION', `encode must be a function, not ${describeValue(encode)}.`);
    }
    if (maxLength > this.#options.maxEntrySize) throw this.#tooLarge(maxLength);
    const isTaken =
      maxLength > this.#recordMax
        ? this.#encodeBeside(maxLength, encode)
        : this.#encodeInRing(maxLength, encode);
    if (!isTaken) {
      this.#noticeFull();
      return false;
    }
    this.#accepted += 1;
    if (this.#doorbell.isAsleep) this.#doorbell.ring(this.#producer.lagsBy(this.#ringMark));
    if (this.#flushEach) this.flushSync();
    return true;
  }

  #encodeInRing(maxLength: number, encode: Encode): boolean {
    if (this.#overflow.isQueued) return false;
    const at = this.#producer.reserve(maxLength);
    if (at < 0) return false;
    let length = -1;
    try {
      length = this.#encode(this.#bytes.subarray(at, at + maxLength), maxLength, encode);
    } finally {
      // Nothing of it is published: what the callback wrote is nobody's.
      if (length < 0) this.#producer.abandon();
    }
    this.#producer.commit(length);
    return true;
  }

  /** Too large for the ring: encoded into memory that is handed over, which takes it away from whoever kept the view. */
  #encodeBeside(maxLength: number, encode: Encode): boolean {
    if (this.#overflow.isQueued || !this.#overflow.admits(maxLength)) return false;
    const memory = new ArrayBuffer(maxLength);
    const view = Buffer.from(memory);
    const length = this.#encode(view, maxLength, encode);
    if (memory.byteLength !== maxLength) {
      throw new WalError(
        'ERR_WAL_OPTION',
        "encode must leave the view's memory where it is: it has transferred it.",
      );
    }
    const data = new Uint8Array(memory, 0, length);
    this.#overflow.post(
      { kind: 'parts', parts: [data] },
      { bytes: maxLength, entries: 1, transfer: [memory] },
    );
    return true;
  }

  /**
   * Runs the callback and answers the length that it reports. Meanwhile the lane takes nothing: `#ended` is what every
   * method looks at, so that this costs the other appends nothing.
   */
  #encode(view: Buffer, maxLength: number, encode: Encode): number {
    this.#ended = isEncoding;
    let length: unknown;
    try {
      length = encode(view);
    } finally {
      if (this.#ended === isEncoding) this.#ended = undefined;
    }
    // The callback may have closed the log, or heard that it failed.
    this.#assertTaking();
    if (!Number.isSafeInteger(length) || (length as number) < 0 || (length as number) > maxLength) {
      throw new WalError(
        'ERR_WAL_OPTION',
        `encode must return the bytes that it used, an integer from 0 to ${maxLength}, not ${describeValue(length)}.`,
      );
    }
    return length as number;
  }

  /** The writer may be lingering on a full ring, or be gone: who found no room can afford to look. */
  #noticeFull(): void {
    this.#doorbell.ring(true);
    if (this.#doorbell.failed || this.#doorbell.closing) this.drainPorts();
    if (this.#doorbell.dead && !this.#isOver) this.die();
    this.#assertTaking();
    this.#refused += 1;
    this.#tally('refused', this.#refused);
  }

  /**
   * As [tryAppend], but on a full ring the entry is queued in front of it, up to `maxPending`. False = beyond that, nothing
   * was taken.
   */
  tryQueue(data: EntryData): boolean {
    this.#assertTaking();
    if (!this.#push(data, Want.nothing)) {
      if (!this.#overflow.admits(byteLengthOf(data))) return false;
      this.#queueEntry(data, Want.nothing);
    }
    this.#accepted += 1;
    this.#doorbell.ring(true);
    if (this.#flushEach) this.flushSync();
    return true;
  }

  /** See `Wal.append`. */
  append(data: EntryData, options: AppendOptions | undefined): Promise<number> {
    let wants: number;
    try {
      wants = this.#wants(options);
      this.#checkUnsettled();
      if (!this.#push(data, wants)) this.#queueEntry(data, wants);
    } catch (error) {
      return Promise.reject(error);
    }
    this.#accepted += 1;
    const promise = this.#pendingOf(wants).addEntry(this.#accepted);
    this.#afterAppend(wants);
    return promise;
  }

  /** See `Wal.appendBatch`. */
  appendBatch(
    entries: readonly EntryData[],
    options: AppendOptions | undefined,
  ): Promise<{ first: number; last: number }> {
    let wants: number;
    let parts: readonly Uint8Array[];
    try {
      wants = this.#wants(options);
      parts = batchBytes(entries);
      // The caller's code that ran meanwhile may have closed the lane.
      this.#assertTaking();
      this.#checkUnsettled();
      this.#pushBatch(parts, wants);
    } catch (error) {
      return Promise.reject(error);
    }
    const first = this.#accepted + 1;
    this.#accepted += parts.length;
    const promise = this.#pendingOf(wants).addBatch(first, parts.length);
    this.#afterAppend(wants);
    return promise;
  }

  /** See `Wal.ready`. */
  ready(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    return this.#pendingOn(signal, (resolve, reject) => {
      if (bytes > this.#options.maxEntrySize) throw this.#tooLarge(bytes);
      const waiter = { bytes, resolve, reject };
      this.#ready.push(waiter);
      this.#serveReady();
      if (!this.#ready.includes(waiter)) return undefined;
      this.#waits += 1;
      this.#tally('waits', this.#waits);
      return () => {
        this.#ready = this.#ready.filter((each) => each !== waiter);
      };
    });
  }

  /** See `Wal.sync`. */
  sync(signal: AbortSignal | undefined): Promise<number> {
    return this.#pendingOn(signal, (resolve, reject) => {
      const id = this.#nextSyncId++;
      this.#syncs.set(id, { accepted: this.#accepted, resolve, reject });
      this.#overflow.post({ kind: 'sync', id });
      this.#doorbell.ring(true);
      return () => {
        this.#syncs.delete(id);
      };
    });
  }

  /** Has the writer do something to the log as a whole, after everything that was accepted before. */
  command(command: LogCommand): Promise<void> {
    return this.#pendingOn(undefined, (resolve, reject) => {
      const id = this.#nextCommandId++;
      this.#commands.set(id, { resolve, reject });
      this.#overflow.post({ kind: 'command', id, command });
      this.#doorbell.ring(true);
      return () => {
        this.#commands.delete(id);
      };
    });
  }

  /** @throws ERR_WAL_FULL if as many lanes are in use, or asked for, as may be */
  checkLaneRoom(): void {
    this.#assertTaking();
    const { maxLanes } = this.#options;
    // The writer counts a request as taken before it counts the lane: in this order none is seen twice. One may be missed,
    // and requests of other threads are: the writer has the last word.
    const lanes = this.#parts.status.get('lanes') + this.#overflow.lanes;
    if (lanes < maxLanes) return;
    throw new WalError(
      'ERR_WAL_FULL',
      `Cannot attach another thread to "${this.#parts.directory}": ${maxLanes} lanes are in use already (option maxLanes). ` +
        'Close one of them first.',
      { path: this.#parts.directory },
    );
  }

  /** Asks the writer for a lane for whoever has the other ends of the ports. It answers there. */
  requestLane(writerPort: MessagePort, syncPort: MessagePort, lifePort: MessagePort): void {
    this.#overflow.post(
      { kind: 'attach', writerPort, syncPort, lifePort },
      { transfer: [writerPort, syncPort, lifePort] },
    );
    this.#doorbell.ring(true);
  }

  /** The thread of a lane has ended: the writer does not hear of it. */
  reportGone(lane: number): void {
    if (this.#isOver) return;
    this.#overflow.post({ kind: 'gone', lane });
    this.#doorbell.ring(true);
  }

  /** See `Wal.flushSync`. */
  flushSync(timeoutMs: number = Number.POSITIVE_INFINITY): void {
    this.#assertTaking();
    this.#flush(timeoutMs);
    this.#assertTaking();
  }

  /** Waits until everything accepted is durable, also while the log is being closed. */
  flushAtExit(): void {
    this.drainPorts();
    if (this.#isOver) return;
    const lost = this.#lost;
    try {
      this.#flush(Number.POSITIVE_INFINITY);
    } catch (error) {
      // A failure that cost entries was told with them.
      if (this.#lost === lost || !(error instanceof WalError)) throw error;
    }
  }

  #flush(timeoutMs: number): void {
    this.#flushError = undefined;
    const ticket = this.#producer.requestFlush();
    this.#doorbell.ring(true);
    const deadline = nowMs() + timeoutMs;
    for (let leftMs = timeoutMs; ; leftMs = deadline - nowMs()) {
      if (this.#producer.waitForFlush(ticket, Math.max(0, Math.min(leftMs, LIVENESS_CHECK_MS)))) break;
      if (!this.#parts.areThreadsAlive()) {
        // Closed, or dead: the port tells.
        this.drainPorts();
        if (!this.#isOver) this.die();
        if (this.#failure !== undefined) throw this.#failure();
        break;
      }
      if (leftMs <= 0) {
        throw new WalError(
          'ERR_WAL_TIMEOUT',
          `Cannot flush "${this.#parts.directory}" within ${timeoutMs} ms: not everything is durable yet. Nothing is lost, the log ` +
            'goes on with it: flush again to wait on.',
          { path: this.#parts.directory },
        );
      }
    }
    // Posted before the flush was answered: what failed of it.
    this.drainPorts();
    if (this.#flushError !== undefined) throw this.#flushError;
  }

  /** From now on each append flushes before it returns. */
  flushEachAppend(): void {
    this.#flushEach = true;
  }

  /** Takes no new append; asks the writer to complete the accepted ones and to close the log, or to let go of this lane. */
  startClosing(what: 'close' | 'detach'): void {
    if (this.#ended === undefined || this.#ended === isEncoding) {
      this.#subject = what === 'close' ? 'log' : 'lane';
      this.#ended = () => this.#closedError();
    }
    // The lane's memory is somebody else's once the writer has let go of it.
    this.#busyPoll?.stop();
    this.#overflow.post({ kind: what });
    this.#doorbell.ring(true);
  }

  /** Everything is settled, and nothing more is taken. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** The log's. */
  get directory(): string {
    return this.#parts.directory;
  }

  get maxEntrySize(): number {
    return this.#options.maxEntrySize;
  }

  /** So much room in the ring, a quarter of it, that going on after it was full does not fill it at once again. */
  get roomyBytes(): number {
    return this.#plainMax;
  }

  /** The failure that ended the log, if one did. */
  get failure(): WalError | undefined {
    return this.#failure?.();
  }

  /** A thread of the log is gone without having been asked: everything unsettled rejects. */
  die(cause?: unknown): void {
    this.drainPorts();
    if (this.#failure !== undefined) return;
    this.#failure = () => threadDied(this.#parts.directory, cause);
    this.#end(this.#failure, this.#accepted - this.#countUnwritten() + 1);
  }

  /** Nothing will come any more: settles what is left and lets go of the ports. */
  detach(): void {
    this.drainPorts();
    this.#end(() => this.#closedError(), this.#accepted + 1);
    this.letGo();
  }

  /** Closes the ports. Everything is settled. */
  letGo(): void {
    this.#writerPort.close();
    this.#syncPort.close();
    this.#isDetached = true;
  }

  /** A log stream of this lane has dropped a line. */
  noteDroppedLine(): void {
    this.#droppedLines += 1;
    this.#tally('dropped', this.#droppedLines);
  }

  #noteQueued(): void {
    this.#queuedAppends += 1;
    this.#tally('queued', this.#queuedAppends);
  }

  /**
   * One more of this lane, `count` now, and of all lanes: for the figures that other threads and processes see. A lane that ends
   * may have its memory pooled before it hears of it.
   */
  #tally(word: 'refused' | 'queued' | 'waits' | 'dropped', count: number): void {
    this.#parts.status.add(word, 1);
    if (this.#ended === undefined) Atomics.store(this.#parts.views.i32, LaneWord[word], count | 0);
  }

  stats(): LaneStats {
    const { views } = this.#parts;
    return {
      accepted: this.#accepted,
      lost: this.#lost,
      ringBytes: views.ringBytes,
      // Ordered against nothing: a figure.
      ringUsed: this.#isDetached ? 0 : (this.#producer.position - Atomics.load(views.i32, LaneWord.tail)) | 0,
      pendingBytes: this.#isDetached ? 0 : this.#overflow.bytes,
      unsettled: this.#written.size + this.#durable.size,
      refused: this.#refused,
      queued: this.#queuedAppends,
      waits: this.#waits,
      droppedLines: this.#droppedLines,
    };
  }

  #assertTaking(): void {
    if (this.#ended !== undefined) throw this.#ended();
  }

  #wants(options: AppendOptions | undefined): number {
    const { durable, commit } = options === undefined ? NO_OPTIONS : takeAppendOptions(options);
    // Behind the look at the options, which the caller's code may answer.
    this.#assertTaking();
    if (!(durable ?? this.#options.durable)) return Want.written;
    return (commit ?? this.#options.commit) === 'group' ? Want.durable | Want.commit : Want.durable;
  }

  /** Takes the entry if there is room now; false = full, nothing was taken. */
  #push(data: EntryData, wants: number): boolean {
    if (typeof data === 'string') {
      // No UTF-16 unit takes more than 3 bytes: only long texts are measured.
      if (data.length * 3 > this.#plainMax) {
        const bytes = Buffer.byteLength(data);
        if (bytes > this.#plainMax) return this.#pushBeside(data, bytes, wants);
      }
      return !this.#overflow.isQueued && this.#producer.tryPushText(data, wants);
    }
    const bytes = entryBytes(data);
    const length = lengthOf(bytes);
    if (length === 0) assertMemory(bytes);
    if (length > this.#plainMax) return this.#pushBeside(bytes, length, wants);
    return !this.#overflow.isQueued && this.#producer.tryPush(bytes, wants, length);
  }

  /** An entry too large for the ring, or for the log. */
  #pushBeside(data: EntryData, bytes: number, wants: number): boolean {
    if (bytes > this.#options.maxEntrySize) throw this.#tooLarge(bytes);
    if (this.#overflow.isQueued || !this.#overflow.admits(bytes)) return false;
    this.#overflow.postEntry(data, bytes, wants, false);
    return true;
  }

  /** The ring is full: the entry waits in front of it. @throws ERR_WAL_FULL beyond `maxPending` */
  #queueEntry(data: EntryData, wants: number): void {
    const bytes = byteLengthOf(data);
    if (!this.#overflow.admits(bytes)) throw this.#full(bytes);
    this.#noteQueued();
    this.#overflow.queue(data, bytes, wants);
  }

  #pushBatch(parts: readonly Uint8Array[], wants: number): void {
    const bytes = parts.reduce((sum, part) => sum + lengthOf(part), 0);
    if (bytes > this.#options.maxEntrySize) throw this.#tooLarge(bytes);
    const fitsRing = this.#fitsEmptyRing(parts);
    if (fitsRing && !this.#overflow.isQueued && this.#producer.tryPushBatch(parts, wants)) return;
    if (!this.#overflow.admits(bytes, parts.length)) throw this.#full(bytes);
    if (fitsRing) this.#noteQueued();
    // A batch that an empty ring could take was turned away by a full one: nothing may overtake it.
    const load = { bytes, entries: parts.length, wants, queued: fitsRing };
    const records = packBatch(parts);
    if (records !== undefined) {
      this.#overflow.post({ kind: 'records', records }, { ...load, transfer: [records.buffer] });
      return;
    }
    const copies = copiesInOne(parts, bytes);
    this.#overflow.post(
      { kind: 'parts', parts: copies },
      { ...load, transfer: [copies[0]?.buffer as ArrayBuffer] },
    );
  }

  #pendingOf(wants: number): PendingAppends {
    return (wants & Want.durable) === 0 ? this.#written : this.#durable;
  }

  #afterAppend(wants: number): void {
    this.#updateHold();
    this.#doorbell.ring(true);
    if ((wants & Want.commit) !== 0) this.#busyPoll?.start();
    if (this.#flushEach) this.#flushForPromise();
  }

  /** The process is exiting. Of what goes wrong the promise tells, though nobody may hear it any more. */
  #flushForPromise(): void {
    try {
      this.flushSync();
    } catch (error) {
      if (!(error instanceof WalError)) throw error;
    }
  }

  #takeTold(run: AckRun | undefined): void {
    if (run === undefined) return;
    this.#parts.onReceive();
    this.#durable.acknowledge(run);
    this.#updateHold();
  }

  #fitsEmptyRing(parts: readonly Uint8Array[]): boolean {
    if (parts.some((part) => lengthOf(part) > this.#recordMax)) return false;
    const bytes = parts.reduce((sum, part) => sum + recordBytes(lengthOf(part)), BATCH_MARKER_BYTES);
    return bytes <= this.#parts.views.ringBytes;
  }

  /** Would `tryAppend` take an entry of `bytes` now? */
  #hasRoom(bytes: number): boolean {
    if (this.#overflow.isQueued) return false;
    return bytes > this.#recordMax ? this.#overflow.admits(bytes) : this.#producer.hasRoom(bytes);
  }

  /** Resolves who waits in `ready` and has room now. If some are left the writer will say when to look again. */
  #serveReady(): void {
    do {
      const waiting = this.#ready;
      this.#ready = [];
      for (const waiter of waiting) {
        if (this.#hasRoom(waiter.bytes)) waiter.resolve();
        else this.#ready.push(waiter);
      }
    } while (this.#ready.length > 0 && !this.#askForRoom());
  }

  /**
   * Asks the writer for word on behalf of all who wait in `ready`: once the ring has room for the largest record, a quarter of
   * it, and once what is beside the ring is taken if that is what they wait for. False = there is room by now.
   *
   * Not as soon as the entry that somebody waits for has room: he would fill it at once and wait again, a message and a switch of
   * threads for each group that is written. Nothing stands still meanwhile, since the writer has the rest of the ring to drain, and
   * a quarter is always free in the end. Four threads that wait at a time append faster by it (bench/workloads/lanes.ts).
   */
  #askForRoom(): boolean {
    const isQueued = this.#overflow.isQueued;
    const isForRing = this.#ready.some(({ bytes }) => bytes <= this.#recordMax);
    if (!isQueued && isForRing && this.#producer.askForRoom(this.#recordMax)) return false;
    if (!this.#echoAsked && (isQueued || this.#ready.some(({ bytes }) => bytes > this.#recordMax))) {
      this.#echoAsked = true;
      this.#overflow.post({ kind: 'echo' });
    }
    this.#doorbell.ring(true);
    return true;
  }

  #receive(message: ToLane): void {
    // What was told before the message was posted comes first.
    this.#busyPoll?.take();
    this.#parts.onReceive();
    switch (message.kind) {
      case 'written':
        this.#written.acknowledge(message.runs);
        break;
      case 'durable':
        this.#durable.acknowledge(message.runs);
        break;
      case 'synced': {
        const sync = this.#syncs.get(message.id);
        this.#syncs.delete(message.id);
        sync?.resolve(message.watermark);
        break;
      }
      case 'sync-rejected': {
        const sync = this.#syncs.get(message.id);
        this.#syncs.delete(message.id);
        const error = errorFromFailure(message.failure);
        // Of one that was given up nobody wants to know.
        if (message.id === 0) this.#flushError = error;
        else sync?.reject(error);
        break;
      }
      case 'room':
        this.#echoAsked = false;
        this.#serveReady();
        break;
      case 'command-done': {
        const command = this.#commands.get(message.id);
        this.#commands.delete(message.id);
        command?.resolve();
        break;
      }
      case 'command-rejected': {
        const command = this.#commands.get(message.id);
        this.#commands.delete(message.id);
        command?.reject(errorFromFailure(message.failure));
        break;
      }
      case 'rejected':
        this.#reject(message.from, message.to, errorFromFailure(message.failure));
        break;
      case 'failed': {
        // What the sync thread acknowledged before the failure is on its way by the other port.
        this.#drain(this.#syncPort);
        const { failure } = message;
        this.#failure ??= () => errorFromFailure(failure);
        this.#end(this.#failure, message.written);
        break;
      }
      case 'closed':
        this.#drain(this.#syncPort);
        this.#end(() => closedError(this.#parts.directory), message.taken);
        this.#parts.onLogMessage(message);
        break;
      default:
        this.#parts.onLogMessage(message);
    }
    this.#updateHold();
  }

  /** Takes in what has been posted to this lane without waiting for the event loop. */
  drainPorts(): void {
    this.#busyPoll?.take();
    this.#drain(this.#syncPort);
    this.#drain(this.#writerPort);
  }

  #drain(port: MessagePort): void {
    if (this.#closedPorts.has(port)) return;
    for (let each = receiveMessageOnPort(port); each !== undefined; each = receiveMessageOnPort(port)) {
      this.#receive(each.message as ToLane);
    }
  }

  /** Entries [from, to) were accepted and are not in the log. */
  #reject(from: number, to: number, error: WalError): void {
    const told = this.#written.reject(from, to, error) + this.#durable.reject(from, to, error);
    for (const [id, sync] of this.#syncs) {
      if (sync.accepted < from) continue;
      this.#syncs.delete(id);
      sync.reject(error);
    }
    if (to > from) this.#flushError = error;
    this.#reportLost(to - from - told, error);
  }

  /** Nothing more is taken; entries from `firstUnwritten` on were not handed to the system, or nobody knows. */
  #end(makeError: () => WalError, firstUnwritten: number): void {
    this.#ended = makeError;
    if (this.#isOver) return;
    this.#isOver = true;
    this.#busyPoll?.stop();
    const error = makeError();
    const toldUnsynced =
      this.#written.reject(0, firstUnwritten, error) + this.#durable.reject(0, firstUnwritten, error);
    const lost = this.#lost;
    this.#reject(firstUnwritten, this.#accepted + 1, error);
    for (const sync of this.#syncs.values()) sync.reject(error);
    this.#syncs.clear();
    for (const command of this.#commands.values()) command.reject(error);
    this.#commands.clear();
    for (const waiter of this.#ready) waiter.reject(error);
    this.#ready = [];
    if (this.#failure !== undefined) this.#parts.onFailure(this.#failure, toldUnsynced, this.#lost > lost);
    this.#updateHold();
  }

  #reportLost(entries: number, error: WalError): void {
    if (entries <= 0) return;
    this.#lost += entries;
    this.#parts.status.add('lost', entries);
    const plural = entries === 1 ? 'entry' : 'entries';
    this.#parts.onError(
      new WalError(error.code, `${entries} ${plural} without a promise went unwritten. ${error.message}`, {
        path: error.path,
        cause: error.cause,
      }),
    );
  }

  /** Entries of a dead writer's lane that it never took out of the ring, or beside it. */
  #countUnwritten(): number {
    const consumer = new LaneConsumer(this.#parts.views);
    const run = { from: 0, to: 0 };
    let entries = this.#overflow.entries;
    consumer.loadHead();
    while (consumer.nextRun(run)) {
      entries += countEntries(this.#parts.views.i32, run.from, run.to);
      consumer.release(run.to);
    }
    return entries;
  }

  #checkUnsettled(): void {
    if (this.#written.size + this.#durable.size < this.#options.maxUnsettled) return;
    throw new WalError(
      'ERR_WAL_FULL',
      `Cannot append to "${this.#parts.directory}": ${this.#options.maxUnsettled} appends are unsettled already ` +
        '(option maxUnsettled). Wait for some of them.',
      { path: this.#parts.directory },
    );
  }

  #full(bytes: number): WalError {
    return new WalError(
      'ERR_WAL_FULL',
      `Cannot append to "${this.#parts.directory}": the ring is full and ${this.#overflow.bytes} bytes are queued in front of it; ` +
        `${bytes} more would pass maxPending (${this.#options.maxPending}). Wait for appends to settle, or for ready().`,
      { path: this.#parts.directory },
    );
  }

  #tooLarge(bytes: number): WalError {
    return new WalError(
      'ERR_WAL_TOO_LARGE',
      `Cannot append to "${this.#parts.directory}": ${bytes} bytes are more than an entry or a batch may have. Split it, or raise ` +
        `the option maxEntrySize (${this.#options.maxEntrySize}).`,
      { path: this.#parts.directory },
    );
  }

  #closedError(): WalError {
    const { directory } = this.#parts;
    return this.#subject === 'log' ? closedError(directory) : laneClosed(directory);
  }

  /** A promise that `signal` may abandon; `start` answers how to forget it, or `undefined` if it is settled already. */
  #pendingOn<T>(
    signal: AbortSignal | undefined,
    start: (resolve: (value: T) => void, reject: (error: unknown) => void) => (() => void) | undefined,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      checkSignal(signal);
      signal?.throwIfAborted();
      this.#assertTaking();
      let onAbort = () => {};
      const stopListening = () => signal?.removeEventListener('abort', onAbort);
      const forget = start(
        (value) => {
          stopListening();
          resolve(value);
        },
        (error) => {
          stopListening();
          reject(error);
        },
      );
      onAbort = () => {
        forget?.();
        this.#updateHold();
        reject(signal?.reason);
      };
      if (forget !== undefined) signal?.addEventListener('abort', onAbort, { once: true });
      this.#updateHold();
    });
  }

  /** Keeps the process alive exactly while a promise is pending. */
  #updateHold(): void {
    const isHeld =
      this.#written.size + this.#durable.size + this.#syncs.size + this.#commands.size + this.#ready.length >
      0;
    if (isHeld === this.#isHeld) return;
    this.#isHeld = isHeld;
    this.#parts.hold(isHeld);
  }
}

export function closedError(directory: string): WalError {
  return new WalError(
    'ERR_WAL_CLOSED',
    `Cannot use the log "${directory}": it is closed and takes nothing more. What is to go on opens it again.`,
    { path: directory },
  );
}

function laneClosed(directory: string): WalError {
  return new WalError(
    'ERR_WAL_CLOSED',
    `Cannot use this lane of "${directory}": it is closed and takes nothing more. What is to go on attaches another.`,
    { path: directory },
  );
}

/** A thread of the log is gone without having been asked; `cause` is what it threw, if that is known. */
export function threadDied(directory: string, cause?: unknown): WalError {
  const why = cause instanceof Error ? `: ${cause.message}` : '';
  return new WalError(
    'ERR_WAL_WORKER_DIED',
    `Cannot go on in "${directory}": a thread of the log ended unexpectedly${why}. What was not acknowledged may or may not ` +
      'be in the log. Close it and open it again.',
    { path: directory, cause },
  );
}

/** Why nothing else is taken while an entry is being encoded. */
function isEncoding(): WalError {
  return new WalError(
    'ERR_WAL_OPTION',
    'An entry is being encoded straight into the ring: until its callback has returned this lane takes nothing else.',
  );
}
