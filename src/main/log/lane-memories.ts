import { createLaneMemory, type LaneMemory, stagingBytesFor, viewLane } from '../../ring/layout.js';

/**
 * Memory of opening threads' lanes whose logs are closed, for the next log of this thread: the engine gives dropped shared
 * memory back late, and who opens and closes logs would pile it up.
 */
const pool: LaneMemory[] = [];

/** Beyond it the oldest goes to the garbage collector: nobody may ever open as many logs again, or of that size. */
const POOLED_MAX = 4;

/** Memory of a lane, as `createLaneMemory` makes it but for its old content: `resetLane` makes it ready. */
export function takeLaneMemory(ringSize: number): LaneMemory {
  const at = pool.findIndex((memory) => viewLane(memory).ringBytes === ringSize);
  const [found] = at < 0 ? [] : pool.splice(at, 1);
  return found ?? createLaneMemory(ringSize, stagingBytesFor(ringSize));
}

/** Nobody uses it any more: both threads of its log are gone, and its lane takes nothing. */
export function poolLaneMemory(memory: LaneMemory): void {
  pool.push(memory);
  if (pool.length > POOLED_MAX) pool.shift();
}
