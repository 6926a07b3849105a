import { BATCH, BATCH_MARKER_BYTES, recordBytes, WRAP } from './layout.js';

/** Counts the entries in the run of records [from, to) of a lane's memory, as `LaneConsumer.nextRun` returns it. */
export function countEntries(i32: Int32Array, from: number, to: number): number {
  let entries = 0;
  for (let at = from; at < to; ) {
    const word = i32[at >> 2];
    if (word === WRAP) break;
    if (word === BATCH) {
      at += BATCH_MARKER_BYTES;
      continue;
    }
    entries += 1;
    at += recordBytes(word);
  }
  return entries;
}

/**
 * The end of the last whole record of [from, to), which begins with a record. It is before `to` if the last record continues
 * after `to`. For a run without WRAP.
 */
export function endOfWholeRecords(i32: Int32Array, from: number, to: number): number {
  let at = from;
  for (;;) {
    if (at >= to) return at;
    const word = i32[at >> 2];
    const next = at + (word === BATCH ? BATCH_MARKER_BYTES : recordBytes(word));
    if (next > to) return at;
    at = next;
  }
}
