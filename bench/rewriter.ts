/**
 * The thread of the contender 'raw loop, other thread' (contenders/raw.ts): for each call that is counted in `calls[0]` it
 * writes `calls[1]` bytes over allocated blocks, syncs, and says so; below 0 it ends. It looks for the next call for as long
 * as ringwal's writer does before it sleeps.
 */
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';

const LOOK_MS = 0.05;

export interface RewriterData {
  readonly path: string;
  /** Size of the file: its blocks are written in a circle. */
  readonly fileBytes: number;
  readonly calls: Int32Array<SharedArrayBuffer>;
}

const { path, fileBytes, calls } = workerData as RewriterData;
const block = Buffer.alloc(64 * 1024, 65);
const fd = openSync(path, 'r+');
let position = 0;
for (let done = 0; called(done); done++) {
  const bytes = calls[1] as number;
  if (position + bytes > fileBytes) position = 0;
  position += writeSync(fd, block, 0, bytes, position);
  fdatasyncSync(fd);
  parentPort?.postMessage(done);
}
closeSync(fd);

/** Waits until there is one call more than `done`; false = there will be none. */
function called(done: number): boolean {
  const endMs = performance.now() + LOOK_MS;
  while (Atomics.load(calls, 0) === done && performance.now() < endMs);
  Atomics.wait(calls, 0, done);
  return Atomics.load(calls, 0) > done;
}
