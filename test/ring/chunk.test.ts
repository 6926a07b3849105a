import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GrowingChunk, TakenChunk } from '../../src/ring/chunk.js';
import { RECORD_HEADER_BYTES, recordBytes } from '../../src/ring/layout.js';
import { type Actor, explore } from './explore.js';

const NO_TEXT = () => ({ byteLength: () => 0, write: () => 0 });
/** In front of the records. */
const STATE_BYTES = 12;

/** The first byte of each record. */
function entriesIn(records: Uint8Array): number[] {
  const entries: number[] = [];
  const view = new DataView(records.buffer, records.byteOffset, records.length);
  for (let at = 0; at < records.length; ) {
    const length = view.getInt32(at, true);
    const number = records[at + RECORD_HEADER_BYTES] as number;
    assert.equal(length, entryOf(number).length, 'the record is whole');
    entries.push(number);
    at += recordBytes(length);
  }
  return entries;
}

/** Entries of several lengths. */
function entryOf(number: number): Uint8Array {
  return new Uint8Array(1 + (number % 9)).fill(number);
}

function add(chunk: GrowingChunk, number: number): boolean {
  const entry = entryOf(number);
  return chunk.add(entry, entry.length);
}

function contentOf(memory: SharedArrayBuffer): Uint8Array {
  const taken = new TakenChunk(memory);
  return taken.loaded;
}

test('what is added to a chunk comes out of it, until it is full', () => {
  const chunk = new GrowingChunk(64, NO_TEXT);
  const taken = new TakenChunk(chunk.memory);
  let next = 1;
  for (; chunk.hasRoom(10); next++) assert.ok(add(chunk, next));
  assert.ok(next > 3);
  assert.equal(taken.loaded.length, 0);
  assert.equal(taken.load(), true);
  assert.deepEqual(
    entriesIn(taken.loaded),
    Array.from({ length: next - 1 }, (_, at) => at + 1),
  );
});

test('a chunk is taken only when all of it is released, and takes nothing then', () => {
  const chunk = new GrowingChunk(64, NO_TEXT);
  assert.ok(add(chunk, 1));
  const taken = new TakenChunk(chunk.memory);
  assert.equal(taken.seal(), false);
  taken.release(taken.loaded.length);
  assert.ok(add(chunk, 2));
  assert.equal(taken.seal(), false, 'there is more');
  taken.load();
  assert.deepEqual(entriesIn(taken.loaded), [2]);
  taken.release(taken.loaded.length);
  assert.equal(taken.seal(), true);
  assert.equal(add(chunk, 3), false);
  assert.equal(taken.load(), false);
  assert.equal(taken.loaded.length, 0);
});

test('nothing is added to a chunk that either side has sealed, and what was before counts', () => {
  for (const who of ['producer', 'writer'] as const) {
    const chunk = new GrowingChunk(64, NO_TEXT);
    assert.ok(add(chunk, 1));
    const taken = new TakenChunk(chunk.memory);
    assert.ok(add(chunk, 2));
    if (who === 'producer') chunk.seal();
    else taken.freeze();
    assert.equal(add(chunk, 3), false);
    taken.load();
    assert.deepEqual(entriesIn(taken.loaded), [1, 2]);
    taken.release(taken.loaded.length);
    assert.equal(taken.seal(), true);
  }
});

const ENTRIES = 4;
/** Of a box that both actors know: chunks that are posted; whether the producer is done. */
const POSTED = 0;
const OVER = 1;

/** Posts an entry in a new chunk where it cannot be added to the last one. */
function producer(memories: readonly SharedArrayBuffer[], box: Int32Array, mortal: boolean): Actor {
  return {
    name: 'producer',
    mortal,
    begin: () => {
      const chunks = memories.map((memory) => new GrowingChunk(0, NO_TEXT, memory));
      return () => {
        let posted = 0;
        for (let entry = 1; entry <= ENTRIES; entry++) {
          const newest = chunks[posted - 1];
          if (newest?.hasRoom(10) === true && add(newest, entry)) continue;
          newest?.seal();
          assert.ok(add(chunks[posted] as GrowingChunk, entry));
          posted += 1;
          Atomics.store(box, POSTED, posted);
        }
        Atomics.store(box, OVER, 1);
      };
    },
  };
}

/** Emitted for each chunk that is taken, behind its entries. */
const TAKEN = 0;
const LOOKS = 5;

/** Takes chunks as the writer does: looks, takes what it has seen, seals what is empty. */
function writer(memories: readonly SharedArrayBuffer[], box: Int32Array, isHasty: boolean): Actor {
  return {
    name: 'writer',
    begin: (tools) => {
      return () => {
        let taken = 0;
        let open: TakenChunk | undefined;
        for (let looks = 0; looks < LOOKS; looks++) {
          const isOver = Atomics.load(box, OVER) === 1;
          const posted = Atomics.load(box, POSTED);
          while (taken < posted) {
            open ??= new TakenChunk(memories[taken] as SharedArrayBuffer);
            open.load();
            for (const entry of entriesIn(open.loaded)) tools.emit(entry);
            open.release(open.loaded.length);
            // If not: more was added, which the next look sees.
            if (isHasty) open.freeze();
            else if (!open.seal()) break;
            tools.emit(TAKEN);
            open = undefined;
            taken += 1;
          }
          if (isOver && taken === posted) return;
        }
      };
    },
  };
}

function exploreChunks({ mortal = false, isHasty = false } = {}) {
  const memories = Array.from({ length: ENTRIES }, () => new SharedArrayBuffer(STATE_BYTES + 48));
  const box = new Int32Array(new SharedArrayBuffer(8));
  const counter = new Int32Array(new SharedArrayBuffer(4));
  return explore({
    memory: [counter, box, ...memories.map((memory) => new Int32Array(memory))],
    counter,
    actors: [producer(memories, box, mortal), writer(memories, box, isHasty)],
    settled: (end) => {
      const emitted = end.emitted('writer');
      const entries = emitted.filter((each) => each !== TAKEN);
      assert.deepEqual(
        entries,
        entries.map((_, at) => at + 1),
        'in order, each once',
      );
      const takenChunks = memories.slice(0, emitted.filter((each) => each === TAKEN).length);
      const inTaken = takenChunks.flatMap((memory) => entriesIn(contentOf(memory)));
      const whenTaken = emitted.slice(0, emitted.lastIndexOf(TAKEN) + 1).filter((each) => each !== TAKEN);
      assert.deepEqual(whenTaken, inTaken, 'nothing is left in a chunk that was taken');
      if (end.isDone('producer')) {
        const posted = memories.slice(0, box[POSTED]);
        assert.equal(posted.flatMap((memory) => entriesIn(contentOf(memory))).length, ENTRIES);
      }
    },
  });
}

test('no order of steps loses, doubles or reorders an entry of a chunk', (t) => {
  const { states, settled } = exploreChunks();
  t.diagnostic(`${states} states, ${settled} ends`);
  assert.ok(settled > 1);
});

test('no order of steps shows a piece of an entry, wherever its producer is terminated', (t) => {
  const { states, settled } = exploreChunks({ mortal: true });
  t.diagnostic(`${states} states, ${settled} ends`);
  assert.ok(settled > 1);
});

test('a writer that sealed without looking whether more was added would lose it, and this shows', () => {
  assert.throws(() => exploreChunks({ isHasty: true }), /in order, each once|nothing is left/);
});
