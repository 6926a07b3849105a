import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { entryOf } from '../measure/feed.js';
import { runLoad } from './load-generator.js';
import { contenderOf, type Outcome, oneSize, type Task, type Workload } from './workload.js';

const APPENDS_PER_REQUEST = 10;
const CONNECTIONS = 64;
const CAPACITY_MS = { full: 3_000, quick: 250 } as const;
const HALF_LOAD_MS = { full: 5_000, quick: 500 } as const;
/** Time to open connections and compile code. */
const WARM_UP_MS = { full: 1_000, quick: 100 } as const;

/** Measures how durable appends in a request handler affect all other work of the process. */
export const eventLoop: Workload = {
  name: 'event-loop',
  title: `Event loop of an HTTP server, ${APPENDS_PER_REQUEST} durable appends of 100 B to a request`,
  note:
    `Capacity: requests a second with ${CONNECTIONS} connections that ask again at once, from a process of their own. Then half of ` +
    'that at fixed times, with the appends and without them at the same rate, in turn the one and the other first: p99 of `monitorEventLoopDelay` at a ' +
    'resolution of 1 ms, which is part of both. Response time counts from when the request was due.',
  metrics: ['capacityPerS', 'delayMs', 'bareDelayMs', 'moreDelayMs', 'responseP99Ms'],
  contenders: ['ringwal', 'lmdb', 'fs.promises', 'better-sqlite3'],
  sizes: oneSize,
  run,
};

async function run(task: Task): Promise<Outcome> {
  const { scale } = task;
  const entry = entryOf(task.entryBytes);
  const committer = await contenderOf(task).openCommitter!(task.directory, 'durable');
  let appends = APPENDS_PER_REQUEST;
  const server = createServer(async (_request, response) => {
    const committed = [];
    for (let at = 0; at < appends; at++) committed.push(committer.commit(entry));
    await Promise.all(committed);
    response.end('ok');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  const warmUpMs = WARM_UP_MS[scale];
  const load = { port, connections: CONNECTIONS, warmUpMs };
  const { requestsPerS } = await runLoad({ ...load, measuredMs: CAPACITY_MS[scale] });
  const atHalf = async () => {
    const delay = monitorEventLoopDelay({ resolution: 1 });
    const startDelay = setTimeout(() => delay.enable(), warmUpMs);
    const { responseP99Ms } = await runLoad({
      ...load,
      requestsPerS: requestsPerS / 2,
      measuredMs: HALF_LOAD_MS[scale],
    });
    clearTimeout(startDelay);
    delay.disable();
    return { delayMs: delay.percentile(99) / 1e6, responseP99Ms };
  };
  const withAppends = async (count: number) => {
    appends = count;
    return atHalf();
  };
  // The second measurement finds everything warmer, so the order alternates.
  const isBareFirst = task.round % 2 === 1;
  const before = isBareFirst ? await withAppends(0) : undefined;
  const { delayMs, responseP99Ms } = await withAppends(APPENDS_PER_REQUEST);
  const { delayMs: bareDelayMs } = before ?? (await withAppends(0));

  server.close();
  server.closeAllConnections();
  await committer.close();
  return {
    figures: {
      capacityPerS: requestsPerS,
      delayMs,
      bareDelayMs,
      moreDelayMs: delayMs - bareDelayMs,
      responseP99Ms,
    },
  };
}
