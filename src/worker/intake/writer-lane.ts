import type { MessagePort } from 'node:worker_threads';
import type { LaneFigures } from '../../format/stats-file.js';
import type { AckLevel, AckRuns, ToLane } from '../../protocol/lane-messages.js';
import { AckSlotWriter } from '../../ring/ack-slot.js';
import { LaneConsumer } from '../../ring/consumer.js';
import type { Kernel } from '../../ring/kernel/kernel.js';
import type { LaneViews } from '../../ring/layout.js';
import { AckChannel } from './ack-channel.js';
import { LaneInput } from './lane-input.js';
import { LaneWaiters, type WrittenEntries } from './lane-waiters.js';

/** The writer thread's end of one lane: its input, its waiters, and the way back (`acks`). */
export class WriterLane {
  /** 0 is the opener's. Never used twice. */
  readonly index: number;
  readonly views: LaneViews;
  readonly kernel: Kernel;
  readonly input: LaneInput;
  readonly waiters = new LaneWaiters();
  readonly acks: AckChannel;
  readonly #consumer: LaneConsumer;
  /** The producer has detached or its thread has ended: the lane is freed once all of it is durable. */
  isLeaving = false;

  constructor(index: number, views: LaneViews, kernel: Kernel, port: MessagePort) {
    this.index = index;
    this.views = views;
    this.kernel = kernel;
    this.#consumer = new LaneConsumer(views);
    this.input = new LaneInput(views, this.#consumer, port);
    this.acks = new AckChannel(port, new AckSlotWriter(views));
  }

  /** Notes everything that the producer has published until now. */
  look(): void {
    if (this.input.look()) this.waiters.look(this.#consumer);
  }

  /**
   * Looks for the last time: entries that are published later are never taken, and the producer learns which were taken. The
   * boundary lies between two entries in the producer's order.
   */
  freeze(): void {
    if (this.input.freeze()) this.waiters.look(this.#consumer);
  }

  /** Looks, and returns whether anything is published and not taken. */
  hasWork(): boolean {
    this.look();
    return this.input.hasWork;
  }

  /** A group of the lane's next entries is in the file. */
  noteWritten(group: WrittenEntries & { readonly consumedTo: number }): void {
    this.input.release(group);
    if (this.#consumer.takeRoomWanted()) this.acks.post({ kind: 'room' });
    this.waiters.noteWritten(group);
    const runs = this.waiters.takeRuns('written');
    if (runs.length > 0) this.acks.acknowledge('written', runs);
  }

  acknowledge(level: AckLevel, runs: AckRuns): void {
    this.acks.acknowledge(level, runs);
  }

  post(message: ToLane, transfer: MessagePort[] = []): void {
    this.acks.post(message, transfer);
  }

  /**
   * Drops everything that is published and not written, and the written part of an unfinished batch. Returns the sequence numbers
   * [from, to).
   */
  discard(): { from: number; to: number } {
    const lost = this.waiters.discard(this.input.discard());
    if (this.#consumer.takeRoomWanted()) this.acks.post({ kind: 'room' });
    return lost;
  }

  /** Drops the due message, which holds so many entries. Returns their sequence numbers [from, to). */
  refuseDue(entries: number): { from: number; to: number } {
    this.input.dropDue();
    return this.waiters.discard(entries);
  }

  /** How full the lane is now, for the stats file. */
  get figures(): LaneFigures {
    return {
      index: this.index,
      ringBytes: this.views.ringBytes,
      ...this.#consumer.figures(),
      entries: this.waiters.nextWhole - 1,
    };
  }

  /** The lane no longer has a producer. */
  detach(): void {
    this.#consumer.free();
    this.acks.post({ kind: 'detached' });
    this.acks.close();
  }
}
