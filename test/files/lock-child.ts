import { parentPort, workerData } from 'node:worker_threads';
import { tryLock } from '../../src/files/lock.js';

/** Takes the lock of the file that it is told, says whether it got it, and sits on it until it is killed. */
const path: string = workerData?.path ?? process.argv[2];
const answer = tryLock(path) === undefined ? 'held by another' : 'locked';
if (parentPort === null) process.stdout.write(answer);
else parentPort.postMessage(answer);
setInterval(() => {}, 1000);
