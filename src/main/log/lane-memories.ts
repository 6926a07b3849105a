import { createLaneMemory, type LaneMemory, stagingBytesFor, viewLane } from '../../ring/layout.js';

/**
 * Memory of opening threads' lanes whose logs are closed, for the next log of this thread: the engine gives dropped shared
 * memory back late, so it would pile up in a program that opens and closes many logs.
 */
const pool: LaneMemory[] = [];

/** Beyond this number, the oldest goes to the garbage collector: so many logs, or such large rings, may never be needed again. */
const POOLED_MAX = 4;

/** Memory of a lane, as `createLaneMemory` makes it, but perhaps with old content: `resetLane` makes it ready. */
export function takeLaneMemory(ringSize: number): LaneMemory {
  const at = pool.findIndex((memory) => viewLane(memory).ringBytes === ringSize);
  const [found] = at < 0 ? [] : pool.splice(at, 1);
  return found ?? createLaneMemory(ringSize, stagingBytesFor(ringSize));
}

/** Pools memory that is no longer used: both threads of its log are gone, and its lane takes nothing. */
export function poolLaneMemory(memory: LaneMemory): void {
  pool.push(memory);
  if (pool.length > POOLED_MAX) pool.shift();
}
