/**
 * The thread of the contender 'raw loop, other thread' (contenders/raw.ts): for each call that is counted in `calls[0]` it
 * commits an entry of `calls[1]` bytes by the rewriting loop, and says so; below 0 it ends. It looks for the next call for as
 * long as ringwal's writer does before it sleeps.
 */
import { availableParallelism } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { rawRewrite } from './contenders/raw.js';

const LOOK_MS = availableParallelism() > 1 ? 0.05 : 0;

export interface RewriterData {
  readonly directory: string;
  readonly calls: Int32Array<SharedArrayBuffer>;
}

const { directory, calls } = workerData as RewriterData;
const loop = await rawRewrite.openCommitter!(directory, 'durable');
const block = Buffer.alloc(64 * 1024, 65);
for (let done = 0; called(done); done++) {
  await loop.commit(block.subarray(0, calls[1]));
  parentPort?.postMessage(done);
}
await loop.close();

/** Waits until there is one call more than `done`; false = there will be none. */
function called(done: number): boolean {
  const endMs = performance.now() + LOOK_MS;
  while (Atomics.load(calls, 0) === done && performance.now() < endMs);
  Atomics.wait(calls, 0, done);
  return Atomics.load(calls, 0) > done;
}
