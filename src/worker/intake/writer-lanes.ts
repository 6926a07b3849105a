import type { AckChannel } from './ack-channel.js';
import type { WriterLane } from './writer-lane.js';

/** The lanes that the writer drains: the opener's, then those of other threads in the order in which they came. */
export class WriterLanes {
  /** Messages about the log as a whole go to this lane too. */
  readonly opener: WriterLane;
  readonly #all: WriterLane[];
  readonly #byIndex: Map<number, WriterLane>;
  readonly #channels: Map<number, AckChannel>;

  constructor(opener: WriterLane) {
    this.opener = opener;
    this.#all = [opener];
    this.#byIndex = new Map([[opener.index, opener]]);
    this.#channels = new Map([[opener.index, opener.acks]]);
  }

  get all(): readonly WriterLane[] {
    return this.#all;
  }

  /** The way from the writer thread to the producer of each lane. */
  get channels(): ReadonlyMap<number, AckChannel> {
    return this.#channels;
  }

  find(index: number): WriterLane | undefined {
    return this.#byIndex.get(index);
  }

  add(lane: WriterLane): void {
    this.#all.push(lane);
    this.#byIndex.set(lane.index, lane);
    this.#channels.set(lane.index, lane.acks);
  }

  remove(lane: WriterLane): void {
    this.#all.splice(this.#all.indexOf(lane), 1);
    this.#byIndex.delete(lane.index);
    this.#channels.delete(lane.index);
  }
}
