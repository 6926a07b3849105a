import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Contender, Crew } from './contender.js';

/** The log with several threads that append to it, each through its own lane. */
export const ringwalLanes: readonly Contender[] = [1, 2, 4].map((threads) => ({
  name: nameOfLanes(threads),
  kind: 'ringwal',
  note: `ringwal, ${threads === 1 ? 'a worker thread that appends' : `${threads} worker threads that append`}, the opening thread idle`,
  openCrew: (directory) => openCrew(directory, threads),
}));

export function nameOfLanes(threads: number): string {
  return threads === 1 ? '1 thread' : `${threads} threads`;
}

async function openCrew(directory: string, threads: number): Promise<Crew> {
  const { Wal } = await import('#ringwal');
  const wal = await Wal.open(join(directory, 'log'));
  const workers = Array.from({ length: threads }, () => {
    const attachment = wal.attachment();
    return new Worker(new URL('./producer.mjs', import.meta.url), {
      workerData: attachment,
      transferList: attachment.transferList,
    });
  });
  const all = (message: unknown) =>
    Promise.all(
      workers.map((worker) => {
        const done = answerOf(worker);
        worker.postMessage(message);
        return done;
      }),
    );
  await Promise.all(workers.map(answerOf));
  return {
    threads,
    firstLapBytes: wal.stats().ringBytes,
    async push(entry, count) {
      await all({ entry, count });
    },
    async sync() {
      await wal.sync();
    },
    async close() {
      await all('close');
      await wal.close();
    },
  };
}

function answerOf(worker: Worker): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.once('error', reject);
    worker.once('message', () => {
      worker.off('error', reject);
      resolve();
    });
  });
}
