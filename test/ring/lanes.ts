import { LaneConsumer } from '../../src/ring/consumer.js';
import {
  BATCH,
  createLaneMemory,
  type LaneViews,
  LaneWord,
  RECORD_HEADER_BYTES,
  RING_START,
  recordBytes,
  resetLane,
  viewLane,
  WRAP,
} from '../../src/ring/layout.js';
import { LaneProducer, type LaneTextEncoder } from '../../src/ring/producer.js';

export interface Lane {
  readonly views: LaneViews;
  readonly producer: LaneProducer;
  readonly consumer: LaneConsumer;
}

export function createLane({ ringBytes = 64, position = 0, sequence = 0 } = {}): Lane {
  const views = createViews({ ringBytes, position, sequence });
  return { views, producer: new LaneProducer(views, textEncoder(views)), consumer: new LaneConsumer(views) };
}

export function createViews({ ringBytes = 64, position = 0, sequence = 0 } = {}): LaneViews {
  const views = viewLane(createLaneMemory(ringBytes, 0));
  resetLane(views, position, sequence);
  return views;
}

export function textEncoder({ u8 }: LaneViews): LaneTextEncoder {
  const buffer = Buffer.from(u8.buffer);
  return {
    byteLength: (text) => Buffer.byteLength(text),
    write: (text, offset, bytesMax) => buffer.write(text, offset, bytesMax, 'utf8'),
  };
}

/** An entry as a kernel sees it: its bytes, and how many of its batch are still to come. */
export interface SeenEntry {
  readonly data: Uint8Array;
  readonly batchRemaining: number;
}

/** Reads records as a kernel does: run by run, and stops at WRAP as at the run's end. */
export class RecordReader {
  readonly #views: LaneViews;
  readonly #consumer: LaneConsumer;
  #batchRemaining = 0;

  constructor(views: LaneViews, consumer: LaneConsumer) {
    this.#views = views;
    this.#consumer = consumer;
  }

  /** Drains up to the head that is loaded, at most `entriesMax` for each run, and frees what it has read. */
  drain(onEntry: (entry: SeenEntry) => void, entriesMax = Number.POSITIVE_INFINITY, limit?: number): void {
    const run = { from: 0, to: 0 };
    while (this.#consumer.nextRun(run, limit)) {
      this.#consumer.release(this.#readRun(run, onEntry, entriesMax));
    }
  }

  #readRun(
    run: { from: number; to: number },
    onEntry: (entry: SeenEntry) => void,
    entriesMax: number,
  ): number {
    const { i32, u8 } = this.#views;
    let at = run.from;
    for (let entries = 0; at < run.to && entries < entriesMax; ) {
      const word = i32[at >> 2];
      if (word === WRAP) return run.to;
      if (word === BATCH) {
        if (this.#batchRemaining !== 0) throw new Error('a batch begins inside a batch');
        this.#batchRemaining = i32[(at >> 2) + 1];
        at += 8;
        continue;
      }
      if (word < 0 || at + recordBytes(word) > run.to)
        throw new Error(`no record: ${word} at byte ${at - RING_START}`);
      if (this.#batchRemaining > 0) this.#batchRemaining--;
      const start = at + RECORD_HEADER_BYTES;
      onEntry({ data: u8.slice(start, start + word), batchRemaining: this.#batchRemaining });
      at += recordBytes(word);
      entries++;
    }
    return at;
  }
}

/** Bytes of ring behind head that a producer may still use, by the words in memory. */
export function usedBytes({ i32 }: LaneViews): number {
  return (i32[LaneWord.head] - i32[LaneWord.tail]) | 0;
}
