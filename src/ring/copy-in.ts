import { RECORD_HEADER_BYTES, recordBytes } from './layout.js';
import { byteOffsetOf, partOf } from './view-fields.js';

/*
 * The copy of an entry's bytes into the ring.
 *
 * `set` into shared memory goes by words only where source and target lie alike, 8 bytes to a word, and else by single bytes.
 * Payloads begin at a multiple of 8. What does not is straightened first, by a copy within this thread's own memory, which goes by
 * words whatever lies where:
 *
 *     from  (any offset) ──▶ scratch (offset 0) ──▶ ring (a multiple of 8)
 *
 * Bet: two quick copies cost less than a slow one, from 128 bytes on (bench/functions/copy.ts). What a server hands on is
 * mostly a piece of something larger, a chunk from a socket or a line of a file, and lies anywhere.
 */

/** Up to this length a loop beats `set`, whose call alone costs as much as about ten rounds of the loop. */
const LOOP_BYTES_MAX = 8;
/** Below it, to ask where the source begins costs most entries more than it saves a few. */
const STRAIGHTEN_BYTES_MIN = 128;
const WORD_BYTES = 8;
/**
 * A multiple of 8. Longer entries go through it piece by piece: within the first-level cache, and not so many that
 * the C library copies them by the processor's string move (from 2,112 bytes on, at the least): some processors do that by
 * single bytes, too, where source and target lie unluckily.
 */
const SCRATCH_BYTES = 2048;

let scratch: Uint8Array | undefined;
/** By the words of a record: the beginning of the scratch, as long as its payload may be. Kept: nothing is allocated for an entry. */
const views: (Uint8Array | undefined)[] = [];

/**
 * Copies `from`, `length` bytes, to the payload of a record at byte `at` of `ring`, a multiple of 8. May write more than
 * that, but nothing beyond the record.
 */
export function copyIn(from: Uint8Array, length: number, ring: Uint8Array, at: number): void {
  if (length <= LOOP_BYTES_MAX) {
    for (let i = 0; i < length; i++) ring[at + i] = from[i] as number;
  } else if (length < STRAIGHTEN_BYTES_MIN || byteOffsetOf(from) % WORD_BYTES === 0) {
    ring.set(from, at);
  } else {
    copyStraightened(from, length, ring, at);
  }
}

function copyStraightened(from: Uint8Array, length: number, ring: Uint8Array, at: number): void {
  scratch ??= new Uint8Array(SCRATCH_BYTES);
  let done = 0;
  for (; length - done > SCRATCH_BYTES; done += SCRATCH_BYTES) {
    scratch.set(partOf(from, done, SCRATCH_BYTES));
    ring.set(scratch, at + done);
  }
  scratch.set(done === 0 ? from : partOf(from, done, length - done));
  ring.set(viewOf(scratch, length - done), at + done);
}

/** Of up to 7 bytes more than `length`, which a record has room for: one view serves eight lengths. */
function viewOf(bytes: Uint8Array, length: number): Uint8Array {
  const words = recordBytes(length) / WORD_BYTES;
  let view = views[words];
  if (view === undefined) {
    view = bytes.subarray(0, words * WORD_BYTES - RECORD_HEADER_BYTES);
    views[words] = view;
  }
  return view;
}
