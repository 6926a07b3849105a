import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { packBatch } from '../../../src/main/append/packed-batch.js';
import type { CheckpointChange } from '../../../src/protocol/checkpoint-changes.js';
import type { AckRuns, LogCommand, ToLane, ToWriter } from '../../../src/protocol/lane-messages.js';
import { type AckRun, AckSlotReader } from '../../../src/ring/ack-slot.js';
import { GrowingChunk } from '../../../src/ring/chunk.js';
import {
  createLaneMemory,
  type LaneViews,
  LaneWord,
  maxRecordPayload,
  PollState,
  resetLane,
  viewLane,
} from '../../../src/ring/layout.js';
import { LaneProducer, Want } from '../../../src/ring/producer.js';

/** What an append waits for, in the terms of the public API. */
export const Level = {
  /** `tryAppend` */
  none: Want.nothing,
  /** `append` */
  written: Want.written,
  /** `append` with `durable: true` */
  durable: Want.durable | Want.commit,
  /** `append` with `durable: true, commit: 'interval'` */
  interval: Want.durable,
} as const;

/** Small, so that a few entries wrap the ring and a batch takes several groups. */
export const RING_BYTES = 4096;
const STAGING_BYTES = 2048;
/** The size of a chunk: a few small entries fill it. */
const CHUNK_BYTES = 2048;
const NO_TEXT = () => ({ byteLength: () => 0, write: () => 0 });
/** Entries up to this size may be packed: with its frame one fits into staging. */
export const SMALL_PAYLOAD_MAX = 1024;

/** Memory of lanes whose log is gone, to be used again: the engine frees dropped shared memory late. */
const pool: LaneViews[] = [];

/** The producer's end of a lane, without promises: it keeps the messages, and the test reads them when it wants. */
export class LaneClient {
  readonly views: LaneViews;
  /** The writer's end of the port. */
  readonly writerPort: MessagePort;
  /** Every message so far, oldest first. */
  readonly heard: ToLane[] = [];
  #producer: LaneProducer;
  #chunk: GrowingChunk | undefined;
  #chunkPosition = 0;
  readonly #poller: AckSlotReader;
  #isPolling = false;
  /** Messages that came since the last [hear]. */
  #inbox: ToLane[] = [];
  /** Where in the inbox the run in the acknowledgement slot belongs; `undefined`: no step has shown a run there. */
  #slotAt: number | undefined;
  readonly #port: MessagePort;
  /** An attached lane's port to the sync thread. */
  readonly #syncPort: MessagePort | undefined;
  #lastId = 0;

  constructor(attached?: { views: LaneViews; port: MessagePort; syncPort: MessagePort }) {
    this.views = attached?.views ?? pool.pop() ?? viewLane(createLaneMemory(RING_BYTES, STAGING_BYTES));
    if (attached === undefined) resetLane(this.views);
    this.#producer = new LaneProducer(this.views);
    this.#poller = new AckSlotReader(this.views);
    const { port1, port2 } = new MessageChannel();
    this.#port = attached?.port ?? port1;
    // A run that is in the slot when a message is posted is earlier than that message, also within one step of the writer.
    const post = port2.postMessage.bind(port2);
    port2.postMessage = (...given: Parameters<typeof post>) => {
      this.noteStep();
      post(...given);
    };
    this.writerPort = port2;
    this.#syncPort = attached?.syncPort;
  }

  /** Appends one entry in whichever way it fits; returns its sequence number, 0 = no room. */
  append(data: Uint8Array | string, level: number = Level.none): number {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    if (bytes.length > maxRecordPayload(RING_BYTES)) {
      this.#post({ kind: 'parts', position: this.#producer.position, parts: [bytes] }, 1, level);
    } else if (!this.#producer.tryPush(bytes, level)) {
      return 0;
    }
    return this.#producer.sequence;
  }

  /**
   * Appends small entries as if they had found the ring full: in a message beside it, possibly one that the writer has already.
   * Returns as [append].
   */
  appendQueued(entries: readonly Uint8Array[], level: number = Level.none): number {
    for (const data of entries) {
      // Entries in the ring come before this entry, and so after the chunk.
      const isAfterRing = this.#chunkPosition !== this.#producer.position;
      if (!isAfterRing && this.#chunk?.hasRoom(data.length) === true) {
        this.#producer.countAdded(level);
        if (!this.#chunk.add(data, data.length)) this.#postChunk(data, 0, Level.none);
      } else {
        this.#postChunk(data, 1, level);
      }
    }
    return this.#producer.sequence;
  }

  #postChunk(data: Uint8Array, entries: number, level: number): void {
    const chunk = new GrowingChunk(CHUNK_BYTES, NO_TEXT);
    chunk.add(data, data.length);
    this.#post({ kind: 'records', position: this.#producer.position, records: chunk.memory }, entries, level);
    this.#chunk = chunk;
    this.#chunkPosition = this.#producer.position;
  }

  /** Appends one atomic batch; returns the sequence number of its last entry, 0 = no room. */
  appendBatch(parts: readonly (Uint8Array | string)[], level: number = Level.none): number {
    const bytes = parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part));
    const total = bytes.reduce((sum, part) => sum + part.length + 16, 16);
    const records =
      total > RING_BYTES / 2 && bytes.every((part) => part.length <= SMALL_PAYLOAD_MAX)
        ? packBatch(bytes)
        : undefined;
    if (records !== undefined) {
      this.#post({ kind: 'records', position: this.#producer.position, records }, bytes.length, level);
    } else if (total > RING_BYTES / 2) {
      this.#post({ kind: 'parts', position: this.#producer.position, parts: bytes }, bytes.length, level);
    } else if (!this.#producer.tryPushBatch(bytes, level)) {
      return 0;
    }
    return this.#producer.sequence;
  }

  /** Appends one entry or a batch that must become entry `lsn`. Returns as [append]. */
  appendExpecting(parts: readonly Uint8Array[], lsn: number, level: number = Level.none): number {
    const expectation = { lsn, entries: parts.length };
    const { position } = this.#producer;
    const records =
      parts.length > 1 && parts.every(({ length }) => length <= SMALL_PAYLOAD_MAX)
        ? packBatch(parts)
        : undefined;
    if (records === undefined)
      this.#post({ kind: 'parts', position, parts, expectation }, parts.length, level);
    else this.#post({ kind: 'records', position, records, expectation }, parts.length, level);
    return this.#producer.sequence;
  }

  /** Acts as if this many more entries had been taken. A new producer reads the words of the lane. */
  skip(entries: number): void {
    const { i32 } = this.views;
    const wanted = LaneWord.writtenWanted;
    const before = i32[wanted] as number;
    i32[wanted] = this.#producer.sequence + entries;
    this.#producer = new LaneProducer(this.views);
    i32[wanted] = before;
  }

  /** Newest sequence number that was taken. */
  get sequence(): number {
    return this.#producer.sequence;
  }

  /** Returns the id that the reply will have. */
  sync(): number {
    this.#lastId += 1;
    this.#post({ kind: 'sync', position: this.#producer.position, id: this.#lastId }, 0);
    return this.#lastId;
  }

  /** Returns the id that the reply will have. */
  /** Changes of named checkpoints and of the archive's progress, in one request. */
  change(...changes: CheckpointChange[]): number {
    this.#lastId += 1;
    this.#post({ kind: 'checkpoints', position: this.#producer.position, id: this.#lastId, changes }, 0);
    return this.#lastId;
  }

  command(name: LogCommand['name'], lsn: number, splitBatch = false): number {
    this.#lastId += 1;
    const command = { name, lsn, splitBatch };
    this.#post({ kind: 'command', position: this.#producer.position, id: this.#lastId, command }, 0);
    return this.#lastId;
  }

  requestFlush(): number {
    return this.#producer.requestFlush();
  }

  /** Would the producer that is blocked in this flush wake up? */
  isFlushed(ticket: number): boolean {
    return ((Atomics.load(this.views.i32, LaneWord.flushDone) - ticket) | 0) >= 0;
  }

  /** As a producer with `busyPoll`: until [stopPolling] the writer may acknowledge runs in the slot, without a message. */
  startPolling(): void {
    if (this.#isPolling) return;
    this.#isPolling = true;
    this.#poller.start();
  }

  stopPolling(): void {
    if (!this.#isPolling) return;
    this.#isPolling = false;
    this.#receive();
    this.#receiveTold(this.#poller.stop());
  }

  get isPolling(): boolean {
    return this.#isPolling;
  }

  close(): void {
    this.stopPolling();
    this.#post({ kind: 'close', position: this.#producer.position }, 0);
  }

  /** Asks for a lane; the reply comes through the other end of `writerPort`. */
  attach(ports: { writerPort: MessagePort; syncPort: MessagePort; lifePort: MessagePort }): void {
    const { writerPort, syncPort, lifePort } = ports;
    const { position } = this.#producer;
    this.#post({ kind: 'attach', position, ...ports }, 0, Level.none, [writerPort, syncPort, lifePort]);
  }

  detach(): void {
    this.stopPolling();
    this.#post({ kind: 'detach', position: this.#producer.position }, 0);
  }

  /** The message of the opening thread when the thread of `lane` has ended. */
  gone(lane: number): void {
    this.#post({ kind: 'gone', position: this.#producer.position, lane }, 0);
  }

  /** A message of the sync thread. It uses the writer's port, so that the test sees the order of messages. */
  deliver(message: ToLane): void {
    this.writerPort.postMessage(message);
  }

  /** Call after a step of the writer: a run in the slot is later than the messages posted until now. */
  noteStep(): void {
    if (this.#slotAt !== undefined || Atomics.load(this.views.i32, LaneWord.poll) !== PollState.filled)
      return;
    this.#receive();
    this.#slotAt = this.#inbox.length;
  }

  /** The messages that came since the last call, with the run in the slot as the message that it replaces. */
  hear(): ToLane[] {
    this.#receive();
    if (this.#isPolling) this.#receiveTold(this.#poller.take());
    const news = this.#inbox;
    this.#inbox = [];
    this.heard.push(...news);
    return news;
  }

  /** All messages of a kind so far. */
  all<K extends ToLane['kind']>(kind: K): Extract<ToLane, { kind: K }>[] {
    this.hear();
    return this.heard.filter((message): message is Extract<ToLane, { kind: K }> => message.kind === kind);
  }

  /** LSNs by sequence number, of all that was acknowledged at this level. */
  acknowledged(level: 'written' | 'durable'): Map<number, number> {
    return new Map(this.all(level).flatMap(({ runs }) => expandRuns(runs)));
  }

  /** Sequence numbers that were rejected while the log went on. */
  get rejected(): number[] {
    return this.all('rejected').flatMap(({ from, to }) =>
      Array.from({ length: to - from }, (_, at) => from + at),
    );
  }

  /** Returns the lane's memory. */
  dispose(): void {
    this.#port.close();
    this.#syncPort?.close();
    this.writerPort.close();
    if (this.#syncPort === undefined) pool.push(this.views);
  }

  #receive(): void {
    for (const port of this.#syncPort === undefined ? [this.#port] : [this.#port, this.#syncPort]) {
      for (let each = receiveMessageOnPort(port); each !== undefined; each = receiveMessageOnPort(port)) {
        this.#inbox.push(each.message as ToLane);
      }
    }
  }

  #receiveTold(run: AckRun | undefined): void {
    if (run === undefined) return;
    this.#inbox.splice(this.#slotAt ?? this.#inbox.length, 0, { kind: 'durable', runs: run });
    this.#slotAt = undefined;
  }

  #post(message: ToWriter, entries: number, level: number = Level.none, transfer: MessagePort[] = []): void {
    this.#chunk?.seal();
    this.#chunk = undefined;
    this.#port.postMessage(message, transfer);
    this.#producer.countPosted(entries, level);
  }
}

/** Sequence number and LSN of every entry in the runs. */
export function expandRuns(runs: AckRuns): [sequence: number, lsn: number][] {
  const pairs: [number, number][] = [];
  for (let at = 0; at < runs.length; at += 3) {
    const [first, count, lsn] = runs.slice(at, at + 3) as [number, number, number];
    for (let i = 0; i < count; i++) pairs.push([first + i, lsn + i]);
  }
  return pairs;
}
