import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { maxRecordPayload } from '../../src/ring/layout.js';
import { Want } from '../../src/ring/producer.js';
import { SEED } from '../seed.js';
import { createLane, RecordReader, usedBytes } from './lanes.js';

/** The ring is small and starts close to where positions run over, so that a few dozen commands wrap both. */
const RING_BYTES = 256;
const PAYLOAD_MAX = maxRecordPayload(RING_BYTES);

type Command =
  | { do: 'push'; data: Uint8Array }
  | { do: 'text'; text: string }
  | { do: 'reserve'; bytesMax: number; data: Uint8Array }
  | { do: 'abandon'; bytesMax: number }
  | { do: 'batch'; parts: Uint8Array[] }
  | { do: 'post' }
  | { do: 'drain'; entriesMax: number };

const data = fc.uint8Array({ maxLength: PAYLOAD_MAX });
const text = fc
  .string({ unit: 'binary', maxLength: PAYLOAD_MAX })
  .filter((value) => Buffer.byteLength(value) <= PAYLOAD_MAX);
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('push' as const), data }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('text' as const), text }) },
  fc
    .record({ do: fc.constant('reserve' as const), bytesMax: fc.nat(PAYLOAD_MAX), data })
    .map((reserve) => ({ ...reserve, data: reserve.data.subarray(0, reserve.bytesMax) })),
  fc.record({ do: fc.constant('abandon' as const), bytesMax: fc.nat(PAYLOAD_MAX) }),
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('batch' as const),
      parts: fc.array(data, { minLength: 1, maxLength: 6 }),
    }),
  },
  fc.record({ do: fc.constant('post' as const) }),
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('drain' as const), entriesMax: fc.integer({ min: 1, max: 5 }) }),
  },
);

const start = fc
  .constantFrom(0, 2 ** 31 - 512, 2 ** 31 - 8, -(2 ** 31), -512, -8)
  .map((position) => position | 0);

test(`a lane behaves as a queue of entries and messages (seed ${SEED})`, () => {
  fc.assert(
    fc.property(start, start, fc.array(command, { maxLength: 120 }), (position, sequence, commands) => {
      const model = new ModelledLane(position, sequence);
      for (const next of commands) model.run(next);
      model.finish();
    }),
    { seed: SEED, numRuns: 1500 },
  );
});

interface ModelEntry {
  readonly data: Uint8Array;
  readonly batchRemaining: number;
}

/** A lane, and beside it the queue that it must behave as. */
class ModelledLane {
  readonly #lane: ReturnType<typeof createLane>;
  readonly #reader: RecordReader;
  readonly #queue: ModelEntry[] = [];
  /** Positions of messages beside the ring, and how many entries of the queue come before each. */
  readonly #messages: { position: number; entriesBefore: number }[] = [];
  #sequence: number;

  constructor(position: number, sequence: number) {
    this.#lane = createLane({ ringBytes: RING_BYTES, position, sequence });
    this.#reader = new RecordReader(this.#lane.views, this.#lane.consumer);
    this.#sequence = sequence;
  }

  run(command: Command): void {
    const { producer, views } = this.#lane;
    switch (command.do) {
      case 'push': {
        const hadRoom = producer.hasRoom(command.data.length);
        const taken = producer.tryPush(command.data, Want.durable);
        assert.equal(taken, hadRoom);
        if (taken) this.#took([command.data]);
        break;
      }
      case 'text': {
        const bytes = new Uint8Array(Buffer.from(command.text));
        const hadRoom = producer.hasRoom(bytes.length);
        const taken = producer.tryPushText(command.text);
        assert.equal(taken, hadRoom);
        if (taken) this.#took([bytes]);
        break;
      }
      case 'reserve': {
        const at = producer.reserve(command.bytesMax);
        if (at < 0) break;
        views.u8.set(command.data, at);
        producer.commit(command.data.length);
        this.#took([command.data]);
        break;
      }
      case 'abandon': {
        const at = producer.reserve(command.bytesMax);
        if (at >= 0) views.u8.fill(0xff, at, at + command.bytesMax);
        producer.abandon();
        break;
      }
      case 'batch':
        if (producer.tryPushBatch(command.parts)) this.#took(command.parts);
        break;
      case 'post':
        producer.countPosted(1);
        this.#sequence = (this.#sequence + 1) | 0;
        this.#messages.push({ position: producer.position, entriesBefore: this.#queue.length });
        break;
      case 'drain':
        this.#drain(command.entriesMax);
    }
    assert.equal(producer.sequence, this.#sequence);
    const used = usedBytes(views);
    assert.ok(used >= 0 && used <= RING_BYTES && used % 8 === 0, `${used} bytes used`);
  }

  finish(): void {
    this.#drain(Number.POSITIVE_INFINITY);
    assert.equal(this.#queue.length, 0);
    assert.equal(this.#messages.length, 0);
    assert.equal(usedBytes(this.#lane.views), 0);
    assert.equal(this.#lane.consumer.hasWork(), false);
  }

  #took(parts: readonly Uint8Array[]): void {
    parts.forEach((data, index) => {
      this.#queue.push({ data: Uint8Array.from(data), batchRemaining: parts.length - 1 - index });
    });
    this.#sequence = (this.#sequence + parts.length) | 0;
  }

  /** One run of at most `entriesMax` entries, or, without a limit, everything there is. */
  #drain(entriesMax: number): void {
    const { consumer } = this.#lane;
    consumer.loadHead();
    assert.equal(consumer.postedWaiting, this.#messages.length);
    for (const { position } of [...this.#messages]) {
      this.#drainRing(entriesMax, position);
      if (consumer.position !== position) return;
      assert.equal(this.#messages.shift()!.entriesBefore, 0, 'a message overtook an entry');
      consumer.takePosted();
    }
    this.#drainRing(entriesMax, undefined);
  }

  #drainRing(entriesMax: number, limit: number | undefined): void {
    this.#reader.drain(
      (entry) => {
        assert.deepEqual(entry, this.#queue.shift());
        for (const message of this.#messages) message.entriesBefore--;
      },
      entriesMax,
      limit,
    );
  }
}
