import { parentPort, workerData } from 'node:worker_threads';
import { holdLifeline, lockHolder, tryLock } from '../../src/files/lock.js';

/**
 * Takes the lock of the file that it is told, or a lifeline there, says whether it got it, and sits on it until it is killed
 * or told to meet its fate, which is code. Told to `look` it says instead what it sees of the holder.
 */
const path: string = workerData?.path ?? process.argv[2];
if (process.argv[3] === 'look') {
  process.stdout.write(JSON.stringify({ pid: process.pid, holder: lockHolder(path) }));
} else {
  if (parentPort === null) process.stdout.write(take());
  else {
    parentPort.postMessage(take());
    parentPort.once('message', () => new Function(workerData.fate)());
  }
  setInterval(() => {}, 1000);
}

function take(): string {
  if (workerData?.lifeline === undefined) return tryLock(path) === undefined ? 'held by another' : 'locked';
  holdLifeline(path, workerData.lifeline);
  return 'locked';
}
