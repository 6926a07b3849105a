/**
 * The thread of the contender 'raw loop, other thread' (contenders/raw.ts): for each call that is counted in
 * `calls[0]` it commits an entry of `calls[1]` bytes with the rewriting loop, and sends a message. It ends when the
 * count is below 0. It polls for the next call as long as ringwal's writer does before it sleeps.
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

/** Waits until there are more than `done` calls; false = there will be no more. */
function called(done: number): boolean {
  const endMs = performance.now() + LOOK_MS;
  while (Atomics.load(calls, 0) === done && performance.now() < endMs);
  Atomics.wait(calls, 0, done);
  return Atomics.load(calls, 0) > done;
}
