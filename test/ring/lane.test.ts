import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LaneWord, maxRecordPayload, RING_START, WRAP } from '../../src/ring/layout.js';
import { LaneProducer, Want } from '../../src/ring/producer.js';
import { createLane, createViews, RecordReader, usedBytes } from './lanes.js';

test('a full ring is a value: the push answers false and nothing changes', () => {
  const { producer, views } = createLane({ ringBytes: 64 });
  for (let i = 0; i < 8; i++) assert.ok(producer.tryPush(bytes(4, i)));
  assert.equal(usedBytes(views), 64);
  const { position, sequence } = producer;
  assert.equal(producer.tryPush(bytes(0)), false);
  assert.equal(producer.tryPush(bytes(4), Want.durable), false);
  assert.equal(producer.tryPushText('x'), false);
  assert.equal(producer.tryPushBatch([bytes(1)]), false);
  assert.equal(producer.reserve(1), -1);
  assert.equal(producer.hasRoom(0), false);
  assert.equal(producer.position, position);
  assert.equal(producer.sequence, sequence);
  assert.equal(views.i32[LaneWord.durableWanted], 0);
});

test('a ring that is full right at its end goes on at its start', () => {
  const lane = createLane({ ringBytes: 64 });
  for (let lap = 0; lap < 3; lap++) {
    for (let i = 0; i < 4; i++) assert.ok(lane.producer.tryPush(bytes(12, i)));
    assert.equal(lane.producer.tryPush(bytes(0)), false);
    assert.deepEqual(drain(lane), [bytes(12, 0), bytes(12, 1), bytes(12, 2), bytes(12, 3)]);
  }
});

test('where 8 bytes are left before the end, WRAP fills them', () => {
  const lane = createLane({ ringBytes: 64, position: 56 });
  assert.ok(lane.producer.tryPush(bytes(8, 7)));
  assert.equal(lane.views.i32[(RING_START + 56) >> 2], WRAP);
  assert.equal(usedBytes(lane.views), 24);
  assert.deepEqual(drain(lane), [bytes(8, 7)]);
});

test('the padding at the wrap counts as used, so that a record may have no room although its bytes are free', () => {
  const lane = createLane({ ringBytes: 64, position: 40 });
  assert.ok(lane.producer.tryPush(bytes(4)));
  assert.equal(lane.producer.hasRoom(36), true); // 40 bytes behind 16 of padding: exactly the 56 that are free
  assert.equal(lane.producer.hasRoom(37), false); // 48 of those 56 would do if it could begin at head
});

test('any record fits into an empty ring, wherever it stands', () => {
  for (let position = 0; position < 256; position += 8) {
    const lane = createLane({ ringBytes: 256, position });
    const longest = bytes(maxRecordPayload(256), 1);
    assert.ok(lane.producer.tryPush(longest));
    assert.deepEqual(drain(lane), [longest]);
  }
});

test('the producer sees room only after the writer has released it', () => {
  const { producer, consumer } = createLane({ ringBytes: 64 });
  for (let i = 0; i < 4; i++) producer.tryPush(bytes(12));
  const run = { from: 0, to: 0 };
  consumer.loadHead();
  assert.ok(consumer.nextRun(run));
  assert.equal(producer.hasRoom(4), false);
  consumer.release(run.from + 16);
  assert.equal(producer.hasRoom(12), true);
  assert.equal(producer.hasRoom(13), false);
});

test('text is encoded in place, also where only its exact length has room', () => {
  const lane = createLane({ ringBytes: 64 });
  for (const text of ['', 'plain', 'grüße', '日本語', '😀', '\ud800 alone']) {
    assert.ok(lane.producer.tryPushText(text));
    assert.deepEqual(drain(lane), [new Uint8Array(Buffer.from(text))]);
  }
  const full = createLane({ ringBytes: 64 });
  const exact = 'x'.repeat(60); // 64 bytes with its header; the estimate of 3 bytes a unit would need 184
  assert.ok(full.producer.tryPushText(exact));
  assert.deepEqual(drain(full), [new Uint8Array(Buffer.from(exact))]);
});

test('a lane without an encoder refuses text as misuse', () => {
  const producer = new LaneProducer(createViews());
  assert.throws(() => producer.tryPushText('x'), TypeError);
});

test('a reservation is taken at the length that was used, or not at all', () => {
  const lane = createLane({ ringBytes: 64, position: 48 });
  const at = lane.producer.reserve(20);
  lane.views.u8.fill(5, at, at + 3);
  assert.equal(usedBytes(lane.views), 0);
  lane.producer.commit(3, Want.written);
  assert.equal(lane.views.i32[LaneWord.writtenWanted], 1);
  assert.deepEqual(drain(lane), [bytes(3, 5)]);

  assert.ok(lane.producer.reserve(8) > 0);
  assert.throws(() => lane.producer.reserve(8), /open already/);
  assert.throws(() => lane.producer.commit(9), RangeError);
  lane.producer.abandon();
  assert.throws(() => lane.producer.commit(1), /no reservation/);
  assert.deepEqual(drain(lane), []);
});

test('a batch is published as a whole, and WRAP may stand inside it', () => {
  for (let position = 0; position < 128; position += 8) {
    const lane = createLane({ ringBytes: 128, position });
    const parts = [bytes(9, 1), bytes(20, 2), bytes(0, 3), bytes(5, 4)];
    assert.ok(lane.producer.tryPushBatch(parts, Want.durable));
    assert.equal(lane.producer.sequence, 4);
    assert.equal(lane.views.i32[LaneWord.durableWanted], 4);
    const reader = new RecordReader(lane.views, lane.consumer);
    const seen: [Uint8Array, number][] = [];
    lane.consumer.loadHead();
    reader.drain(({ data, batchRemaining }) => seen.push([data, batchRemaining]));
    assert.deepEqual(
      seen,
      parts.map((part, index) => [part, parts.length - 1 - index]),
    );
  }
});

test('a batch that has no room even in an empty ring is refused, however large', () => {
  const { producer } = createLane({ ringBytes: 64 });
  assert.equal(producer.tryPushBatch(Array(9).fill(bytes(4))), false);
  assert.equal(producer.tryPushBatch(Array(8).fill(bytes(4))), false);
  assert.equal(producer.tryPushBatch(Array(7).fill(bytes(4))), true);
});

test('each append raises the words of what it wants to its own sequence number, beside the ring too', () => {
  const { producer, consumer } = createLane({ ringBytes: 256, sequence: 2 ** 31 - 2 });
  producer.tryPush(bytes(1), Want.written);
  assert.equal(consumer.writtenWanted, 2 ** 31 - 1);
  producer.tryPush(bytes(1), Want.durable | Want.commit);
  assert.equal(consumer.durableWanted, -(2 ** 31));
  assert.equal(consumer.commitWanted, -(2 ** 31));
  producer.tryPush(bytes(1));
  producer.countPosted(5, Want.written);
  assert.equal(consumer.writtenWanted, (2 ** 31 + 6) | 0);
  assert.equal(producer.sequence, (2 ** 31 + 6) | 0);
});

test('a message beside the ring has its turn behind the entries before it', () => {
  const lane = createLane({ ringBytes: 128 });
  lane.producer.tryPush(bytes(4, 1));
  const place = lane.producer.position;
  lane.producer.countPosted(1);
  lane.producer.tryPush(bytes(4, 2));

  const reader = new RecordReader(lane.views, lane.consumer);
  const seen: number[] = [];
  lane.consumer.loadHead();
  assert.equal(lane.consumer.postedWaiting, 1);
  reader.drain(({ data }) => seen.push(data[0]), undefined, place);
  assert.deepEqual(seen, [1]);
  assert.equal(lane.consumer.position, place);
  lane.consumer.takePosted();
  assert.equal(lane.consumer.postedWaiting, 0);
  reader.drain(({ data }) => seen.push(data[0]));
  assert.deepEqual(seen, [1, 2]);
});

test('a wish for room is granted once, when the room is there', () => {
  const lane = createLane({ ringBytes: 64 });
  assert.equal(lane.producer.askForRoom(20), true);
  assert.equal(lane.consumer.takeRoomWanted(), false);
  for (let i = 0; i < 8; i++) lane.producer.tryPush(bytes(4));
  assert.equal(lane.producer.askForRoom(4), false);
  assert.equal(lane.consumer.takeRoomWanted(), false);
  drain(lane, 1);
  assert.equal(lane.consumer.takeRoomWanted(), true);
  assert.equal(lane.consumer.takeRoomWanted(), false);
});

test('a wish for more room than the ring has is granted when the ring is empty', () => {
  const lane = createLane({ ringBytes: 64 });
  lane.producer.tryPush(bytes(4));
  assert.equal(lane.producer.askForRoom(1000), false);
  assert.equal(lane.consumer.takeRoomWanted(), false);
  drain(lane);
  assert.equal(lane.consumer.takeRoomWanted(), true);
});

test('lagsBy goes by the newest tail', () => {
  const lane = createLane({ ringBytes: 64 });
  for (let i = 0; i < 4; i++) lane.producer.tryPush(bytes(4));
  assert.equal(lane.producer.lagsBy(33), false);
  assert.equal(lane.producer.lagsBy(32), true);
  drain(lane, 1);
  assert.equal(lane.producer.lagsBy(32), false);
});

test('a flush is done when its ticket is, also where tickets run over', () => {
  const { producer, consumer, views } = createLane();
  views.i32[LaneWord.flushRequested] = 2 ** 31 - 1;
  views.i32[LaneWord.flushDone] = 2 ** 31 - 1;
  assert.equal(consumer.flushTicket(), undefined);
  const ticket = producer.requestFlush();
  assert.equal(ticket, -(2 ** 31));
  assert.equal(producer.waitForFlush(ticket, 0), false);
  assert.equal(consumer.flushTicket(), ticket);
  consumer.finishFlush(ticket);
  assert.equal(producer.waitForFlush(ticket, 0), true);
  assert.equal(consumer.flushTicket(), undefined);
});

test('the producer has the last word on its lane', () => {
  const { producer, consumer, views } = createLane();
  assert.equal(consumer.isClosing(), false);
  producer.close();
  assert.equal(consumer.isClosing(), true);
  consumer.free();
  assert.equal(views.i32[LaneWord.state], 0);
});

function bytes(length: number, value = 1): Uint8Array {
  return new Uint8Array(length).fill(value);
}

/** Drains everything, or one run of so many entries. */
function drain({ views, consumer }: ReturnType<typeof createLane>, entriesMax?: number): Uint8Array[] {
  const seen: Uint8Array[] = [];
  consumer.loadHead();
  const until = entriesMax === undefined ? undefined : (consumer.position + 8 * entriesMax) | 0;
  new RecordReader(views, consumer).drain(({ data }) => seen.push(data), undefined, until);
  return seen;
}
