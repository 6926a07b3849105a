import { RECORD_HEADER_BYTES, recordBytes } from './layout.js';
import { byteOffsetOf, partOf } from './view-fields.js';

/*
 * The copy of an entry's bytes into the ring.
 *
 * Into shared memory, `set` copies by words of 8 bytes only if source and target have the same alignment, and otherwise byte by
 * byte. Payloads begin at a multiple of 8. A source with another alignment is first copied within this thread's own memory, where
 * copies go by words whatever the alignment:
 *
 *     from  (any offset) ──▶ scratch (offset 0) ──▶ ring (a multiple of 8)
 *
 * Bet: two fast copies cost less than one slow copy, from 128 bytes on (bench/functions/copy.ts). A server mostly appends a part
 * of a larger buffer, such as a chunk from a socket or a line of a file, which begins at any offset.
 */

/** Up to this length a loop beats `set`: the call alone costs as much as about ten rounds of the loop. */
const LOOP_BYTES_MAX = 8;
/** Below this length, checking the alignment costs most entries more than it saves a few. */
const STRAIGHTEN_BYTES_MIN = 128;
const WORD_BYTES = 8;
/**
 * A multiple of 8. Longer entries go through the scratch in pieces. A piece stays within the first-level cache, and is too short
 * for the C library to copy it by the processor's string move (from 2,112 bytes on, at the least): some processors do that byte
 * by byte, too, for unlucky alignments.
 */
const SCRATCH_BYTES = 2048;

let scratch: Uint8Array | undefined;
/** By the number of words: views of the start of the scratch. Kept, so that no view is allocated for an entry. */
const views: (Uint8Array | undefined)[] = [];

/**
 * Copies `from`, `length` bytes, to the payload of a record at byte `at` of `ring`, a multiple of 8. May write past the payload,
 * but not past the record.
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

/** A view of up to 7 bytes more than `length`, which a record has room for: one view serves eight lengths. */
function viewOf(bytes: Uint8Array, length: number): Uint8Array {
  const words = recordBytes(length) / WORD_BYTES;
  let view = views[words];
  if (view === undefined) {
    view = bytes.subarray(0, words * WORD_BYTES - RECORD_HEADER_BYTES);
    views[words] = view;
  }
  return view;
}
