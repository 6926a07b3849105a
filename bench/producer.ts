/**
 * A thread that appends through its own lane, controlled by contenders/ringwal-lanes.ts. It attaches and reports
 * that. Then it executes and answers each order: `{ entry, count }` or 'close'.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { Wal } from '#ringwal';
import { feed } from './measure/feed.js';

const lane = await Wal.attach(workerData);
const sink = {
  push(entry: Buffer, count: number) {
    for (let taken = 0; taken < count; taken++) if (!lane.tryAppend(entry)) return taken;
    return count;
  },
  room: (bytes: number) => lane.ready(bytes),
};

parentPort?.on('message', async (order: 'close' | { readonly entry: Uint8Array; readonly count: number }) => {
  if (order === 'close') {
    await lane.close();
    parentPort?.postMessage('closed');
    parentPort?.close();
  } else {
    await feed(sink, Buffer.from(order.entry), order.count);
    parentPort?.postMessage('done');
  }
});
parentPort?.postMessage('attached');
