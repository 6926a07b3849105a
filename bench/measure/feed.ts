import type { Sink } from '../contenders/contender.js';

/** Entries between two readings of the clock, so that each entry bears 1/1000 of the cost of a reading. */
const BURST_ENTRIES = 1_000;

/**
 * Pushes `count` entries as fast as they are taken. Returns the milliseconds spent inside `push`, which is the cost
 * to the producer. Waiting for room is not included.
 */
export async function feed(sink: Pick<Sink, 'push' | 'room'>, entry: Buffer, count: number): Promise<number> {
  let insideMs = 0;
  for (let left = count; left > 0; ) {
    const asked = Math.min(left, BURST_ENTRIES);
    const startedMs = performance.now();
    const taken = sink.push(entry, asked);
    insideMs += performance.now() - startedMs;
    left -= taken;
    if (taken < asked) await sink.room(entry.length);
  }
  return insideMs;
}

/** An entry of `bytes`: 7-bit text with a long period, ending with a line feed. */
export function entryOf(bytes: number): Buffer {
  const entry = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at++) entry[at] = 33 + ((Math.imul(at + 1, 0x9e3779b1) >>> 16) % 94);
  entry[bytes - 1] = 10;
  return entry;
}
